//! Scratch.
use oodlab_encoders::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "golden" {
        for (stem, bytes) in golden::embedded() {
            let file = oodlab_base::golden::GoldenFile::parse(stem, bytes).expect("x");
            let r = golden::check(&file, &|n| if n.ends_with("lite0") { weights::Weights::read(args[2].as_ref()).ok() } else { None });
            println!("{stem} {r:?}");
        }
        return;
    }
    if args[1] == "cpu" {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("x");
        for name in &args[2..] {
            let w = formula::weights(name).expect("x");
            let e = Encoder::new(&EncoderConfig { network: name.clone(), ..Default::default() }, &w).expect("x");
            let x = formula::images(4, 224);
            let cpu = || std::fs::read_to_string("/proc/thread-self/schedstat").expect("x").split(' ').next().expect("x").parse::<u64>().expect("x");
            let best = pool.install(|| (0..20).map(|_| { let a = cpu(); e.encode_tensor(&x, 4).expect("x"); (cpu() - a) as f64 / 4e6 }).fold(1e9, f64::min));
            println!("{name} {best:.2} ms cpu an image");
        }
        return;
    }
    for name in args[2..].iter() {
        let c = bench::BenchConfig { network: name.clone(), image_side: (args[1] == "resize").then_some(32), seconds: 4, ..Default::default() };
        let r = bench::run(&c).expect("x");
        println!("{name}: {:.1} img/s ({:.1}..{:.1}) {:.1} GF/s of {:.1} = {:.2}, gflop/img {:.3} mem {:?}", r.images_per_s, r.images_per_s_min, r.images_per_s_max, r.gflop_per_s, r.peak_gflop_per_s, r.share_of_peak, r.gflop_per_image, r.peak_memory_bytes);
    }
}
