//! Milliseconds a resize, one thread: `bench_resize [FILTER]`, bilinear when none is named.

use std::time::Instant;

use oodlab_datasets::RgbImage;
use oodlab_datasets::resize::{self, Filter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named = std::env::args().nth(1);
    let filters = [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];
    let filter = match named {
        None => Filter::Bilinear,
        Some(name) => filters.into_iter().find(|filter| filter.name() == name).ok_or("no such filter")?,
    };
    for (from, to) in [
        ((32, 32), (224, 224)),
        ((28, 28), (32, 32)),
        ((64, 64), (224, 224)),
        ((105, 105), (224, 224)),
        ((500, 300), (224, 224)),
        ((500, 300), (32, 32)),
    ] {
        let pixels = (0..3 * from.0 * from.1).map(|i: u32| (i * 31 % 251) as u8).collect();
        let image = RgbImage::new(from.0, from.1, pixels)?;
        let mut best = f64::INFINITY;
        for _ in 0..20 {
            let start = Instant::now();
            for _ in 0..20 {
                std::hint::black_box(resize::filtered(&image, to.0, to.1, filter)?);
            }
            best = best.min(start.elapsed().as_secs_f64() / 20.0);
        }
        println!("{from:?} -> {to:?}: {:.3} ms", best * 1e3);
    }
    Ok(())
}
