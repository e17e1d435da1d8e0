//! What equal bits depend on besides the inputs: the GPU, the instruction set, the processor and its caches.

use std::sync::OnceLock;

use oodlab_kernels::cuda::Gpu;
use oodlab_kernels::simd::InstructionSet;

/// [`processor`], and before it, where there is one, the GPU with the versions of its libraries: networks are computed on it, everything
/// else on the processor. In which precision is not the device's matter: the settings of encoder and detector say so.
pub fn describe(gpu: Option<&Gpu>) -> String {
    match gpu {
        Some(gpu) => format!("cuda {}, {}", gpu.numerics(), known_processor()),
        None => known_processor().to_owned(),
    }
}

/// [`processor`], looked up once: a sweep asks for every cell.
fn known_processor() -> &'static str {
    static KNOWN: OnceLock<String> = OnceLock::new();
    KNOWN.get_or_init(processor)
}

/// Everything that matrix products may depend on: device, type, instruction set, processor and cache sizes (they choose the
/// blocks in which sums are taken). Two machines with the same text are promised the same bits.
fn processor() -> String {
    let processor = read("/proc/cpuinfo")
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let caches: Vec<String> = (0..4)
        .filter_map(|at| Some(read(&format!("/sys/devices/system/cpu/cpu0/cache/index{at}/size"))?.trim().to_owned()))
        .collect();
    format!("cpu f32 {}, {processor}, caches {}", InstructionSet::detect().name(), caches.join(" "))
}

fn read(path: &str) -> Option<String> {
    fs_err::read_to_string(path).ok()
}
