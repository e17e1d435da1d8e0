//! Whether products in bfloat16 are fast here: matrix tiles (Intel AMX), found at run time.
//!
//! The vector instruction `vdpbf16ps` alone does not count: where it was measured (Sapphire Rapids) it does half the
//! operations a second of the f32 multiply-add, while tiles do fourteen times as many.

/// Whether the processor has tiles of bfloat16 and the system lets this process use them.
#[must_use]
pub fn has_bf16() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        static FOUND: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *FOUND.get_or_init(detect)
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    false
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn detect() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    // Leaf 7: bit 22 is bfloat16 on tiles, bit 24 the tiles themselves.
    const TILES: u32 = 1 << 22 | 1 << 24;
    let vectors = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16");
    vectors && __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & TILES == TILES && permission()
}

/// Linux keeps the tiles' registers only for processes that asked: `arch_prctl(ARCH_REQ_XCOMP_PERM, tile data)`. It refuses
/// where it does not know them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn permission() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: this system call touches no memory of the process; the kernel changes `rcx` and `r11`.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}
