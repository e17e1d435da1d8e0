//! Features a second in training and in scoring (3 steps): `speed [dim width blocks batch seconds]`.

use std::error::Error;

use oodlab_diffusion::bench::{BenchConfig, run};
use oodlab_diffusion::{Compute, LfdnConfig, Precision};

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let at = |i: usize, default: usize| given.get(i).copied().unwrap_or(default);
    let network = LfdnConfig::new(at(0, 512), at(1, 512), at(2, 4));
    let precision = if std::env::var_os("BF16").is_some() { Precision::Bf16 } else { Precision::F32 };
    let plain = std::env::var_os("PLAIN").is_some();
    let report = run(
        &BenchConfig { network, batch: at(3, 256), threads: 0, precision, plain, seconds: at(4, 6) as u64 },
        &Compute::processor(),
    )?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
