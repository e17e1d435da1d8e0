//! Memory of processes and of the machine, where the system tells (Linux).

/// The most memory that this process held since [`forget_peak`], in bytes.
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Begins to measure the peak anew.
pub fn forget_peak() {
    // Only a measurement depends on it: where it is refused, the peak is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Memory that could be used now without swapping, in bytes.
pub fn available() -> Option<u64> {
    field("/proc/meminfo", "MemAvailable:")
}

/// A line `Name:   123 kB` in bytes.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_peak_is_told_and_forgotten() {
        let big = std::hint::black_box(vec![1_u8; 64 << 20]);
        let with = super::peak().expect("Linux tells");
        assert!(with > 64 << 20, "{with}");
        drop(big);
        super::forget_peak();
        assert!(super::peak().expect("Linux tells") < with);
        assert!(super::available().expect("Linux tells") > 1 << 20);
    }
}
