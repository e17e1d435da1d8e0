//! What equal bits depend on besides the inputs: the instruction set, the processor and its caches.

/// The instruction set that the vector kernels choose, as recorded in keys: results may differ in the last bits between them.
pub fn instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "x86_64-avx512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "x86_64-avx2";
        }
    }
    std::env::consts::ARCH
}

/// Everything that matrix products may depend on: device, type, instruction set, processor and cache sizes (they choose the
/// blocks in which sums are taken). Two machines with the same text are promised the same bits.
pub fn describe() -> String {
    let processor = read("/proc/cpuinfo")
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let caches: Vec<String> = (0..4)
        .filter_map(|at| Some(read(&format!("/sys/devices/system/cpu/cpu0/cache/index{at}/size"))?.trim().to_owned()))
        .collect();
    format!("cpu f32 {}, {processor}, caches {}", instruction_set(), caches.join(" "))
}

fn read(path: &str) -> Option<String> {
    fs_err::read_to_string(path).ok()
}
