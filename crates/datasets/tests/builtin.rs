//! The manifests, benchmarks, generated sets and the sample that are compiled in.

use std::path::Path;

use oodlab_datasets::{DatasetError, Library, RgbImage, State, golden};

fn library() -> Library {
    Library::open(Path::new("no-such-root")).expect("built-in manifests are valid")
}

#[test]
fn every_set_has_what_a_table_needs() {
    let names: Vec<String> = library().manifests().map(|manifest| manifest.name.clone()).collect();
    for name in
        ["cifar10", "cifar100", "mnist", "fashion-mnist", "kmnist", "notmnist", "omniglot", "textures", "tiny-imagenet"]
    {
        assert!(names.iter().any(|other| other == name), "{name}");
        assert_eq!(library().status(name).expect("known").state, State::Absent);
        assert!(matches!(
            library().open_set(name, library().manifest(name).expect("known").evaluation_split().expect("one"), None),
            Err(DatasetError::Absent { .. })
        ));
    }
    assert_eq!(library().manifest("textures").expect("known").class_names.len(), 47);
}

#[test]
fn benchmarks_name_known_sets_and_splits() {
    let library = library();
    for name in library.benchmarks().map(str::to_owned).collect::<Vec<_>>() {
        let benchmark = library.benchmark(&name).expect("valid");
        assert!(benchmark.members().all(|(_, member)| member.split.is_some()), "{name}");
    }
    let far = library.benchmark("cifar10-far").expect("valid");
    let sets: Vec<(&str, &str, &str)> =
        far.members().map(|(group, member)| (group, member.set.as_str(), member.split())).collect();
    assert_eq!(sets[0], ("far", "fashion-mnist", "test"));
    assert_eq!(sets[5], ("far", "textures", "all"));
    assert_eq!(sets[6], ("near", "tiny-imagenet", "test"));
    assert!(library.benchmark("mini").is_ok());
    assert!(library.benchmark("nothing").is_err_and(|error| error.to_string().contains("cifar10-far, mini")));
}

#[test]
fn benchmark_mistakes_are_named() {
    let text = "name: b\ntitle: B\nid: {set: cifar10, train_split: train, test_split: test}\ngroups:\n  far: [mnist, {set: kmnist, limit: 5}]\n";
    let parse = |text: &str| oodlab_datasets::Benchmark::parse("b.yaml", text);
    let resolved = parse(text).and_then(|benchmark| benchmark.resolve(&library())).expect("valid");
    assert_eq!(resolved.groups["far"][1].limit, Some(5));
    for (from, to, part) in [
        ("limit: 5", "limits: 5", "limits"),
        ("limit: 5", "limit: 0", "limit of 0"),
        ("set: kmnist", "set: mnist", "twice"),
        ("test_split: test", "test_split: train", "trained on and scored"),
        ("title: B", "title: B\ntitel: B", "titel"),
        ("[mnist, ", "[3, ", "a data set's name"),
    ] {
        let message = parse(&text.replace(from, to)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.starts_with("b.yaml") && message.contains(part), "{to}: {message:?}");
    }
    let unknown = parse(&text.replace("[mnist", "[mnits")).and_then(|benchmark| benchmark.resolve(&library()));
    assert!(unknown.is_err_and(|error| error.to_string().contains("nearest: \"mnist\"")));
}

/// The golden file holds the first CIFAR-10 test images, written by another program.
#[test]
fn the_sample_begins_with_the_images_of_the_golden_file() {
    let (stem, bytes) = golden::embedded()[0];
    let file = oodlab_base::golden::GoldenFile::parse(stem, bytes).expect("a safetensors file");
    let tensor = file.tensor("cifar_u8").expect("in the file");
    let planes: Vec<u8> = tensor.values.iter().map(|&value| value as u8).collect();
    let set = library().open_set("cifar10-mini", "test", Some(8)).expect("embedded");
    for (index, planes) in planes.chunks_exact(3 * 32 * 32).enumerate() {
        assert_eq!(set.read(index).expect("readable"), RgbImage::from_planes(32, 32, planes).expect("well formed"));
    }
    assert_eq!(set.label(0), Some(3), "a cat");
}

/// Lists of images are inputs of every result: their hashes must not move unnoticed.
#[test]
fn built_in_images_never_change() {
    for (name, split, count, size, key) in [
        ("cifar10-mini", "train", 1500, (32, 32), "7eb5dde12423"),
        ("cifar10-mini", "test", 300, (32, 32), "8b94a6bf960b"),
        ("fashion-mnist-mini", "test", 300, (28, 28), "e481ff4883f0"),
        ("gaussian-noise", "test", 300, (32, 32), "06bcc6dd2e49"),
        ("uniform-noise", "test", 300, (32, 32), "9caf7516d427"),
        ("stripes", "test", 300, (32, 32), "06684c8a83a2"),
        ("blobs", "test", 300, (32, 32), "a2452b0adcef"),
    ] {
        let set = library().open_set(name, split, None).expect("built in");
        assert_eq!((set.len(), set.uniform_size(), set.is_partial()), (count, Some(size), false), "{name}");
        assert_eq!(set.list_key().short(), key, "{name} {split}");
        assert_eq!(library().status(name).expect("known").state, State::Present);
    }
}

#[test]
fn generated_images_look_like_what_they_are() {
    let moments = |name: &str| {
        let set = library().open_set(name, "test", Some(50)).expect("generated");
        let pixels: Vec<f64> = (0..50).flat_map(|i| set.read(i).expect("generated").pixels).map(f64::from).collect();
        let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
        let variance = pixels.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / pixels.len() as f64;
        (mean, variance.sqrt())
    };
    let near = |(mean, deviation): (f64, f64), want: (f64, f64)| {
        (mean - want.0).abs() < 1.0 && (deviation - want.1).abs() < 1.5
    };
    // Clipping at two deviations narrows the normal from 63.75 to 61.1.
    assert!(near(moments("gaussian-noise"), (127.5, 61.1)), "{:?}", moments("gaussian-noise"));
    assert!(near(moments("uniform-noise"), (127.5, 73.9)), "{:?}", moments("uniform-noise"));
    let stripes = library().open_set("stripes", "test", None).expect("generated");
    for index in 0..20 {
        let image = stripes.read(index).expect("generated");
        let colours: std::collections::BTreeSet<&[u8]> = image.pixels.chunks_exact(3).collect();
        assert_eq!(colours.len(), 2, "image {index}");
    }
    let blobs = library().open_set("blobs", "test", None).expect("generated").read(0).expect("generated");
    let zeros = blobs.pixels.iter().filter(|&&value| value == 0).count();
    assert!((500..2900).contains(&zeros), "{zeros} of 3072");
    assert!(blobs.pixels.iter().all(|&value| value == 0 || value >= 191), "nothing lies below the threshold");
}

#[test]
fn everything_built_in_passes_its_own_verification() {
    for name in ["cifar10-mini", "fashion-mnist-mini", "blobs"] {
        let report = library().verify(name, &oodlab_base::Silent, &oodlab_base::Cancel::new()).expect("built in");
        assert!(report.problems.is_empty() && report.images >= 300);
    }
}
