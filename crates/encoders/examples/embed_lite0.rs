//! Makes the embedded weights again: `cargo run --release -p oodlab-encoders --example embed_lite0 -- INPUT OUTPUT`,
//! where INPUT is `efficientnet-lite0-57934424.pth` and OUTPUT `crates/encoders/weights/efficientnet-lite0.safetensors`.

use std::path::Path;

use oodlab_encoders::weights::{ConvertOptions, Weights, convert};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else { return Err("usage: embed_lite0 INPUT OUTPUT".into()) };
    let weights = Weights::read(Path::new(input))?;
    let options = ConvertOptions { fold: true, half: true, trunk_only: true };
    let converted = convert(&weights, "efficientnet-lite0", Path::new(output), options)?;
    println!(
        "{output}: {} tensors, {} elements, {} bytes, SHA-256 {}",
        converted.tensors, converted.elements, converted.size_bytes, converted.sha256
    );
    Ok(())
}
