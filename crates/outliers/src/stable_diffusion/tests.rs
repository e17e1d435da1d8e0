//! A tiny model of the same structure, with weights by a formula, and the sampler against numpy.

use std::collections::BTreeMap;

use candle_core::Result as CandleResult;
use candle_nn::VarMap;
use oodlab_base::Silent;

use super::*;

const WIDTH: usize = 8;

/// Letters, letters that end a word, a hyphen, what merges give, and the two ends.
fn vocabulary() -> BTreeMap<String, u32> {
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("{letter}</w>")]);
    let others = ["-</w>", "th", "the</w>", "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
    letters.chain(others).zip(0..).collect()
}

fn tiny() -> Sizes {
    let mut sizes = Sizes::version1();
    sizes.text =
        TextSizes { vocabulary: vocabulary().len(), positions: 28, width: WIDTH, hidden: 12, heads: 2, layers: 2 };
    let block = |use_cross_attn| BlockConfig { out_channels: 32, use_cross_attn, attention_head_dim: 2 };
    sizes.unet.blocks = vec![block(Some(1)), block(None)];
    sizes.unet.layers_per_block = 1;
    sizes.unet.cross_attention_dim = WIDTH;
    sizes
}

/// Weight i of a tensor is `0.3 sin(s + 1.7 i)`, with s the sum of the bytes of its name.
fn write<Network>(path: &Path, build: impl FnOnce(VarBuilder<'_>) -> CandleResult<Network>) {
    let variables = VarMap::new();
    build(VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu)).expect("a network");
    for (name, variable) in variables.data().lock().expect("no other holder").iter() {
        let phase: f64 = name.bytes().map(f64::from).sum();
        let weight = |number: usize| (0.3 * (phase + 1.7 * number as f64).sin()) as f32;
        let values: Vec<f32> = (0..variable.elem_count()).map(weight).collect();
        variable.set(&Tensor::from_vec(values, variable.shape(), &Device::Cpu).expect("values")).expect("its shape");
    }
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    variables.save(path).expect("saved");
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    write(&at("text_encoder/model.safetensors"), |weights| TextEncoder::new(&weights, tiny().text));
    write(&at("unet/diffusion_pytorch_model.safetensors"), |weights| {
        UNet2DConditionModel::new(weights, CHANNELS, CHANNELS, false, tiny().unet)
    });
    std::fs::create_dir_all(at("tokenizer")).expect("a folder");
    let text = serde_json::to_string(&vocabulary()).expect("text");
    std::fs::write(at("tokenizer/vocab.json"), text).expect("written");
    std::fs::write(at("tokenizer/merges.txt"), "#version: 0.2\nt h\nth e</w>\nc a\nca t</w>\n").expect("written");
    folder
}

fn config() -> StableDiffusionConfig {
    StableDiffusionConfig { steps: 2, side: 64, count: 4, batch: 2, ..StableDiffusionConfig::default() }
}

fn names() -> Vec<String> {
    ["cat", "dog"].map(str::to_owned).to_vec()
}

fn outliers() -> Outliers {
    Outliers::random(6, WIDTH, 2, Seed(5)).expect("rows")
}

fn run(folder: &Path, config: StableDiffusionConfig, outliers: &Outliers, seed: u64) -> Latents {
    let model = StableDiffusion::load_sized(folder, config, tiny()).expect("a model");
    model.generate(outliers, &names(), Seed(seed), &Cancel::new(), &Silent).expect("latents")
}

/// `make_ddim_sampling_parameters` and `p_sample_plms` in numpy, float64, on noise `sin(x) + t / 1000 x - 0.3`.
#[test]
fn the_samplers_are_those_of_compvis() {
    let expected = [
        (Sampler::Plms, 1, [-1.4848762, -0.2434958, 0.498_039_66, 1.993_416_4]),
        (Sampler::Plms, 2, [-1.285_686_5, -0.14186953, 0.634_150_7, 2.019_285_2]),
        (Sampler::Plms, 10, [0.070_266_92, 0.293_049_1, 0.440_551_54, 1.279_649_7]),
        (Sampler::Ddim, 2, [0.380_845_55, 0.584_319_5, 0.273_409_9, 1.255_693_9]),
        (Sampler::Ddim, 10, [0.265_150_35, 0.358_488_35, 0.397_841_37, 0.857_598_3]),
    ];
    for (kind, steps, expected) in expected {
        let start: Vec<f32> = vec![-1.5, -0.25, 0.5, 2.0];
        let mut called = 0;
        let found = sampler::sample(kind, &sampler::schedule(steps).expect("steps"), start, |values, time| {
            called += 1;
            let scale = time as f64 / 1000.0;
            Ok(values.iter().map(|&x| (f64::from(x).sin() + scale * f64::from(x) - 0.3) as f32).collect())
        });
        for (found, expected) in found.expect("values").iter().zip(expected) {
            let difference: f32 = found - expected;
            assert!(difference.abs() < 2e-5, "{kind:?}, {steps} steps: {found} against {expected}");
        }
        assert_eq!(called, sampler::calls(kind, steps));
    }
    for steps in [0, 3, 1000] {
        assert!(sampler::schedule(steps).is_err(), "{steps}");
    }
}

#[test]
fn words_are_split_and_merged_as_clip_does() {
    let folder = folder();
    let tokenizer = Tokenizer::load(&folder.path().join("tokenizer")).expect("a tokenizer");
    let number = |token: &str| vocabulary()[token];
    let expected = |tokens: &[&str]| tokens.iter().map(|token| number(token)).collect::<Vec<u32>>();
    let encode = |text: &str| tokenizer.encode(text).expect("tokens");
    assert_eq!(encode("The  CAT"), expected(&["the</w>", "cat</w>"]));
    assert_eq!(encode("then-cats"), expected(&["th", "e", "n</w>", "-</w>", "ca", "t", "s</w>"]));
    let told = tokenizer.encode("7").expect_err("no digit").to_string();
    assert!(told.contains("vocab.json") && told.contains("7</w>"), "{told}");
}

#[test]
fn it_is_the_same_for_any_number_of_threads_and_differs_by_seed() {
    let folder = folder();
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| run(folder.path(), config(), &outliers(), seed))
    };
    let found = with(1, 1);
    assert_eq!(found, with(2, 1));
    assert_eq!((found.count, found.shape, found.classes.len()), (4, [4, 8, 8], 4));
    assert_eq!(found.classes[0], found.classes[1], "a batch has one class");
    assert_ne!(found.values[..256], found.values[256..512], "each latent has its own noise");
    assert_ne!(found.values, with(1, 2).values);
}

#[test]
fn an_outlier_a_sampler_and_the_guidance_matter() {
    let folder = folder();
    let found = run(folder.path(), config(), &outliers(), 1);
    let mut other = outliers();
    other.values.iter_mut().for_each(|value| *value = -*value);
    assert_ne!(found.values, run(folder.path(), config(), &other, 1).values);
    let ddim = StableDiffusionConfig { sampler: Sampler::Ddim, ..config() };
    assert_ne!(found.values, run(folder.path(), ddim, &outliers(), 1).values);
    let free = StableDiffusionConfig { guidance: 1.0, ..config() };
    let near = StableDiffusionConfig { guidance: 1.0 + 1e-6, ..config() };
    let (free, near) = (run(folder.path(), free, &outliers(), 1), run(folder.path(), near, &outliers(), 1));
    assert_ne!(found.values, free.values);
    for (free, near) in free.values.iter().zip(&near.values) {
        assert!((free - near).abs() < 1e-3 * (1.0 + free.abs()), "{free} without guidance, {near} with 1.000001");
    }
}

#[test]
fn an_overwritten_token_is_as_if_the_table_had_that_row() {
    let folder = folder();
    let model = StableDiffusion::load_sized(folder.path(), config(), tiny()).expect("a model");
    let (tokens, word) = model.prompt("cat").expect("a prompt");
    assert_eq!((tokens.len(), word), (28, vocabulary()["cat</w>"]));
    assert_eq!(tokens.iter().filter(|&&token| token == word).count(), 1);
    let plain = model.text.encode(&tokens, None).expect("states");
    let numbers = |states: &Tensor| states.flatten_all().and_then(|all| all.to_vec1::<f32>()).expect("numbers");
    // The embedding of another token in its place is that other token.
    let path = folder.path().join("text_encoder/model.safetensors");
    let stored = candle_core::safetensors::load(path, &Device::Cpu).expect("tensors");
    let table = &stored["text_model.embeddings.token_embedding.weight"];
    let other = vocabulary()["the</w>"];
    let row = table.get(other as usize).and_then(|row| row.to_vec1::<f32>()).expect("a row");
    let replaced: Vec<u32> = tokens.iter().map(|&token| if token == word { other } else { token }).collect();
    let found = numbers(&model.text.encode(&tokens, Some((word, &row))).expect("states"));
    assert_eq!(found, numbers(&model.text.encode(&replaced, None).expect("states")));
    assert_ne!(found, numbers(&plain));
    // Attention looks back only: what stands before the word is as it was.
    let at = tokens.iter().position(|&token| token == word).expect("the word");
    assert_eq!(found[..at * WIDTH], numbers(&plain)[..at * WIDTH]);
}

/// The same transformer in numpy, float64, with the same weights; the word's embedding is -3.5, -2.5, .. 3.5.
#[test]
fn the_text_encoder_is_clips() {
    let folder = folder();
    let model = StableDiffusion::load_sized(folder.path(), config(), tiny()).expect("a model");
    let (tokens, word) = model.prompt("cat").expect("a prompt");
    let vector: Vec<f32> = (0..8).map(|value| value as f32 - 3.5).collect();
    let states = model.text.encode(&tokens, Some((word, &vector))).and_then(|states| states.squeeze(0)?.to_vec2());
    let states: Vec<Vec<f32>> = states.expect("states");
    let at_word = [-0.1201253, 0.1580123, -0.09776735, -0.07472154, 0.3096317, -0.247889, -0.5147716, 0.5175389];
    let at_end = [0.6829383, 0.08912632, 0.1965021, -0.2031961, 0.3626186, -0.1977613, -0.328458, 0.3497648];
    for (row, expected) in [(22, at_word), (27, at_end)] {
        for (found, expected) in states[row].iter().zip(expected) {
            let difference: f32 = found - expected;
            assert!(difference.abs() < 5e-6, "position {row}: {found} against {expected}");
        }
    }
}

#[test]
fn the_reduction_is_the_mean_over_channels_and_height() {
    let values = (0..2 * 2 * 3 * 2).map(|value| value as f32).collect();
    let latents = Latents { count: 2, shape: [2, 3, 2], values, classes: vec![4, 1] };
    let rows = latents.reduced().expect("rows");
    assert_eq!((rows.width, rows.values, rows.classes), (2, vec![5.0, 6.0, 17.0, 18.0], Some(vec![4, 1])));
    let short = Latents { values: vec![0.0; 23], ..latents };
    assert!(short.reduced().expect_err("a value short").to_string().contains("expected 24 values, found 23"));
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = folder();
    let model = StableDiffusion::load_sized(folder.path(), config(), tiny()).expect("a model");
    let told = |outliers: &Outliers, names: &[String]| {
        let found = model.generate(outliers, names, Seed(1), &Cancel::new(), &Silent);
        found.expect_err("must be refused").to_string()
    };
    let narrow = Outliers::random(4, 3, 2, Seed(5)).expect("rows");
    assert!(told(&narrow, &names()).contains("8, the width of a token's embedding"));
    assert!(told(&Outliers { classes: None, ..outliers() }, &names()).contains("classes of outliers missing"));
    assert!(told(&outliers(), &names()[..1]).contains("expected 0 to 0"));
    assert!(told(&Outliers { classes: Some(vec![0; 6]), ..outliers() }, &names()).contains("class 1 has 0 samples"));
    assert!(told(&outliers(), &["cat".into(), " ".into()]).contains("expected a word"));
    assert!(told(&outliers(), &["cat".into(), "abcdefgh".into()]).contains("at most 26 tokens, found 29"));
    let stopped = Cancel::new();
    stopped.cancel();
    let found = model.generate(&outliers(), &names(), Seed(1), &stopped, &Silent);
    assert!(matches!(found, Err(OutlierError::Cancelled(_))));

    let load = |change: fn(&mut Sizes)| {
        let mut sizes = tiny();
        change(&mut sizes);
        StableDiffusion::load_sized(folder.path(), config(), sizes).expect_err("must be refused").to_string()
    };
    let shape = load(|sizes| sizes.text.hidden = 16);
    assert!(shape.contains("model.safetensors") && shape.contains("mlp.fc1"), "{shape}");
    assert!(shape.contains("[16, 8]") && shape.contains("[12, 8]"), "{shape}");
    let absent = load(|sizes| sizes.unet.layers_per_block = 2);
    assert!(absent.contains("diffusion_pytorch_model.safetensors") && absent.contains("resnets.1"), "{absent}");
    std::fs::write(folder.path().join("text_encoder/model.safetensors"), b"short").expect("written");
    assert!(load(|_| ()).contains("text_encoder"));
    let bad = StableDiffusionConfig { side: 100, ..config() };
    let found = StableDiffusion::load(folder.path(), bad).expect_err("a side").to_string();
    assert!(found.contains("stable_diffusion.side is 100"), "{found}");
}
