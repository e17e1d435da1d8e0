use std::collections::BTreeMap;

use oodlab_base::golden::{GoldenFile, Outcome};
use oodlab_base::{Cancel, Seed, Silent, Tolerance};
use oodlab_encoders::weights::{Tensor, Weights};

use super::*;

/// Numbers of `golden/autoencoder.py`.
const GOLDEN: &[u8] = include_bytes!("../../../golden/autoencoder.safetensors");

/// Channels of the networks under test: inside, inside a pool, of the latents.
#[derive(Clone, Copy)]
struct Sizes {
    inner: usize,
    pool: usize,
    latent: usize,
}

const SMALL: Sizes = Sizes { inner: 4, pool: 8, latent: 2 };
const PUBLISHED: Sizes = Sizes { inner: 64, pool: 256, latent: 32 };

type Layout = BTreeMap<String, Vec<usize>>;

fn block(layout: &mut Layout, sizes: Sizes, position: usize, pool: bool) {
    let Sizes { inner, pool: inside, .. } = sizes;
    for layer in [0, 2, 4] {
        layout.insert(format!("{position}.conv.{layer}.weight"), vec![inner, inner, 3, 3]);
        layout.insert(format!("{position}.conv.{layer}.bias"), vec![inner]);
    }
    if pool {
        layout.insert(format!("{position}.pool.0.weight"), vec![inside, inner, 1, 1]);
        layout.insert(format!("{position}.pool.1.weight"), vec![inside]);
        layout.insert(format!("{position}.pool.1.bias"), vec![inside]);
        layout.insert(format!("{position}.pool.3.weight"), vec![inner, inside, 1, 1]);
    }
}

fn with_bias(layout: &mut Layout, position: usize, from: usize, to: usize) {
    layout.insert(format!("{position}.weight"), vec![to, from, 3, 3]);
    layout.insert(format!("{position}.bias"), vec![to]);
}

fn encoder_layout(sizes: Sizes) -> Layout {
    let mut layout = Layout::new();
    with_bias(&mut layout, 0, 3, sizes.inner);
    block(&mut layout, sizes, 1, false);
    for position in [2, 6, 10] {
        layout.insert(format!("{position}.weight"), vec![sizes.inner, sizes.inner, 3, 3]);
        (1..=3).for_each(|place| block(&mut layout, sizes, position + place, position == 10));
    }
    with_bias(&mut layout, 14, sizes.inner, sizes.latent);
    layout
}

fn decoder_layout(sizes: Sizes) -> Layout {
    let mut layout = Layout::new();
    with_bias(&mut layout, 1, sizes.latent, sizes.inner);
    for position in [3, 8, 13] {
        (0..3).for_each(|place| block(&mut layout, sizes, position + place, position == 3));
        layout.insert(format!("{}.weight", position + 4), vec![sizes.inner, sizes.inner, 3, 3]);
    }
    block(&mut layout, sizes, 18, false);
    with_bias(&mut layout, 19, sizes.inner, 3);
    layout
}

/// The formula of `golden/autoencoder.py`.
fn formula(layout: &Layout) -> BTreeMap<String, Tensor> {
    let value = |place: usize, i: usize| ((17 * place + 7 * i + 5 * (i / 9)) % 31) as f32;
    let made = |(place, (name, shape)): (usize, (&String, &Vec<usize>))| {
        let values = (0..shape.iter().product()).map(|i| (value(place, i) - 15.0) / 64.0).collect();
        (name.clone(), Tensor { shape: shape.clone(), values })
    };
    layout.iter().enumerate().map(made).collect()
}

fn load(sizes: Sizes) -> TinyAutoencoder {
    let weights = |layout| Weights::from_tensors(formula(&layout));
    TinyAutoencoder::load(&weights(encoder_layout(sizes)), &weights(decoder_layout(sizes))).expect("all tensors")
}

fn encode(autoencoder: &TinyAutoencoder, pixels: &[f32], side: usize) -> Vec<f32> {
    autoencoder.encode(pixels, side, (&Cancel::new(), &Silent)).expect("images")
}

fn decode(autoencoder: &TinyAutoencoder, latents: &[f32], side: usize) -> Vec<f32> {
    autoencoder.decode(latents, side, (&Cancel::new(), &Silent)).expect("latents")
}

#[test]
fn it_computes_what_numpy_does() {
    let golden = GoldenFile::parse("autoencoder", GOLDEN).expect("a golden file");
    let tensor = |name: &str| golden.tensor(name).expect("a tensor").f32();
    let autoencoder = load(SMALL);
    assert_eq!((autoencoder.channels(), autoencoder.latent_width(16).expect("a side")), (2, 8));
    let mut findings = oodlab_base::golden::Findings::new();
    let pairs = [
        ("encoded", encode(&autoencoder, &tensor("pixels"), 16)),
        ("decoded", decode(&autoencoder, &tensor("latents"), 16)),
    ];
    for (name, found) in pairs {
        findings.add(name, Tolerance::SINGLE.compare_f32(&found, &tensor(name)));
    }
    let outcome = findings.outcome();
    assert!(matches!(outcome, Outcome::Pass(_)), "{outcome:?}");
}

/// Channels as published, so that products are large enough to be shared among threads.
#[test]
fn it_depends_neither_on_the_other_images_nor_on_threads() {
    let autoencoder = load(PUBLISHED);
    let mut pixels = vec![0.0; 2 * 3 * 32 * 32];
    oodlab_kernels::normal::fill(Seed(3).stream("pixels"), 0, &mut pixels);
    pixels.iter_mut().for_each(|x| *x = (0.5 + 0.2 * *x).clamp(0.0, 1.0));
    let run = |threads: usize, pixels: &[f32]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let latents = encode(&autoencoder, pixels, 32);
            let decoded = decode(&autoencoder, &latents, 32);
            (latents, decoded)
        })
    };
    let (latents, decoded) = run(1, &pixels);
    assert_eq!((latents.len(), decoded.len()), (2 * 32 * 16, pixels.len()));
    assert!(run(3, &pixels) == (latents.clone(), decoded.clone()));
    let (second, decoded_second) = run(2, &pixels[3 * 32 * 32..]);
    assert!(second == latents[32 * 16..] && decoded_second == decoded[3 * 32 * 32..]);
    assert!(latents[..32 * 16] != latents[32 * 16..]);
}

#[test]
fn every_tensor_that_does_not_fit_is_named() {
    let decoder = Weights::from_tensors(formula(&decoder_layout(SMALL)));
    let mut tensors = formula(&encoder_layout(SMALL));
    tensors.remove("3.conv.2.bias");
    tensors.remove("11.pool.1.weight");
    tensors.get_mut("6.weight").expect("a tensor").shape = vec![4, 36];
    tensors.get_mut("1.conv.0.bias").expect("a tensor").values[1] = f32::NAN;
    tensors.insert("15.weight".to_owned(), Tensor { shape: vec![1], values: vec![0.0] });
    let wrong = Weights::from_tensors(tensors).with_source("encoder.safetensors");
    let told = TinyAutoencoder::load(&wrong, &decoder).err().expect("damaged").to_string();
    let parts = [
        "encoder.safetensors: not the weights of a tiny autoencoder's encoder",
        "`3.conv.2.bias` is missing",
        "`11.pool.1.weight` is missing",
        "`6.weight` has shape [4, 36], expected [4, 4, 3, 3]",
        "`1.conv.0.bias` is not finite",
        "`15.weight` belongs to no layer",
    ];
    for part in parts {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.matches(" is missing").count(), 2, "{told}");

    let swapped = TinyAutoencoder::load(&decoder, &decoder).err().expect("no encoder").to_string();
    assert!(swapped.contains("`0.weight` is missing") && swapped.contains("`18.conv.0.bias` belongs"), "{swapped}");
    let encoder = Weights::from_tensors(formula(&encoder_layout(Sizes { latent: 3, ..SMALL })));
    let told = TinyAutoencoder::load(&encoder, &decoder).err().expect("other latents").to_string();
    assert!(told.contains("latents of 2 channels, the encoder makes 3"), "{told}");
    let none = TinyAutoencoder::load(&Weights::none(), &Weights::none()).err().expect("nothing").to_string();
    assert_eq!(none.matches(" is missing").count(), 67, "{none}");
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let autoencoder = load(SMALL);
    let refused = |pixels: &[f32], side: usize| {
        autoencoder.encode(pixels, side, (&Cancel::new(), &Silent)).expect_err("must be refused").to_string()
    };
    assert!(refused(&[0.5; 3 * 12 * 12], 12).contains("side of images is 12"));
    assert!(refused(&[], 0).contains("multiple of 8"));
    assert!(refused(&[0.5; 200], 8).contains("expected 384 values, found 200"));
    assert!(refused(&[255.0; 192], 8).contains("255"));
    assert!(refused(&[f32::NAN; 192], 8).contains("row 0"));
    assert!(encode(&autoencoder, &[], 8).is_empty());
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(autoencoder.decode(&[0.0; 2], 8, (&cancel, &Silent)).is_err());
}

#[test]
fn a_sheet_shows_each_image_in_its_cell() {
    let mut sheet = ContactSheet::new([2, 3], 2, 2).expect("a sheet");
    assert_eq!(sheet.size(), [3 * 6 + 2, 2 * 6 + 2]);
    // Red 1, green counting up, blue out of range on both sides.
    let pixels = [1.0, 1.0, 1.0, 1.0, 0.0, 0.2, 0.4, 0.6, -1.0, 2.0, f32::NAN, 1.0];
    sheet.put([1, 2], &pixels).expect("a cell");
    let at = |sheet: &ContactSheet, x: usize, y: usize| sheet.bytes()[3 * (y * 20 + x)..][..3].to_vec();
    assert_eq!(at(&sheet, 14, 8), [255, 0, 0]);
    assert_eq!(at(&sheet, 15, 9), [255, 0, 0]);
    assert_eq!(at(&sheet, 16, 8), [255, 51, 255]);
    assert_eq!(at(&sheet, 14, 10), [255, 102, 0]);
    assert_eq!(at(&sheet, 17, 11), [255, 153, 255]);
    let ground = sheet.bytes().chunks_exact(3).filter(|colour| *colour == [128; 3]).count();
    assert_eq!(ground, 20 * 14 - 16);
    let read = image::load_from_memory(&sheet.to_png().expect("a file")).expect("a PNG").to_rgb8();
    assert_eq!((read.dimensions(), read.into_raw()), ((20, 14), sheet.bytes().to_vec()));
    assert!(sheet.put([2, 0], &pixels).expect_err("no such row").to_string().contains("(2, 0)"));
    assert!(sheet.put([0, 0], &pixels[1..]).expect_err("too short").to_string().contains("expected 12"));
    for (cells, side, scale) in [([0, 1], 8, 1), ([1, 1], 0, 1), ([1, 600], 32, 1), ([1, 1], usize::MAX, 2)] {
        assert!(ContactSheet::new(cells, side, scale).is_err());
    }
}
