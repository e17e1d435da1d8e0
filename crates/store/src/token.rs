//! Names that no other process chooses.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// 32 hexadecimal digits, different at every call in every process on every machine. They reach no result: they only
/// name temporary files and leases.
pub(crate) fn fresh() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    // `RandomState` is seeded by the operating system; process and time are a second line of defence.
    let random = RandomState::new();
    let mut hasher = blake3::Hasher::new();
    for value in [random.hash_one(0_u64), random.hash_one(1_u64), call, u64::from(std::process::id())] {
        hasher.update(&value.to_le_bytes());
    }
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    hasher.update(&since_epoch.as_nanos().to_le_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_two_are_equal() {
        let tokens: BTreeSet<String> = (0..10_000).map(|_| super::fresh()).collect();
        assert_eq!(tokens.len(), 10_000);
        assert!(tokens.iter().all(|token| token.len() == 32));
    }
}
