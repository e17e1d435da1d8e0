//! The manifests, benchmarks, generated sets and the sample that are compiled in.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Bench, png, zip};
use oodlab_datasets::manifest::{Axes, Format, KnownFile, Role};
use oodlab_datasets::{DatasetError, Library, Manifest, Protocol, RgbImage, State, Subset, golden};

fn library() -> Library {
    Library::open(Path::new("no-such-root")).expect("built-in manifests are valid")
}

/// Every set that the architecture names.
const SETS: [&str; 29] = [
    "cifar10",
    "cifar100",
    "svhn",
    "lsun",
    "lsun-c",
    "lsun-r",
    "isun",
    "textures",
    "places365",
    "sun",
    "inaturalist",
    "celeba",
    "mnist",
    "fashion-mnist",
    "kmnist",
    "notmnist",
    "emnist",
    "omniglot",
    "stl10",
    "tiny-imagenet",
    "imagenet",
    "imagenet-100",
    "imagenet-200",
    "cifar10-c",
    "cifar100-c",
    "cifar10.1",
    "ssb-hard",
    "ninco",
    "openimage-o",
];

/// Hosts that offer no https, or not for certain; what comes from them is proven by its checksum, or by its size.
const WITHOUT_HTTPS: [&str; 7] = [
    "ai.stanford.edu",
    "codh.rois.ac.jp",
    "cs231n.stanford.edu",
    "data.csail.mit.edu",
    "dl.yf.io",
    "ufldl.stanford.edu",
    "yaroslavvb.com",
];

#[test]
fn every_set_has_what_a_table_needs() {
    let library = library();
    for name in SETS {
        let manifest = library.manifest(name).expect(name);
        assert_eq!(library.status(name).expect("known").state, State::Absent, "{name}");
        for split in manifest.splits.keys() {
            assert!(matches!(library.open_set(name, split, None), Err(DatasetError::Absent { .. })), "{name} {split}");
        }
    }
    assert_eq!(library.manifest("textures").expect("known").class_names.len(), 47);
}

#[test]
fn every_set_can_be_had_somehow() {
    let library = library();
    for manifest in library.manifests().filter(|manifest| manifest.built_in().is_none()) {
        let name = &manifest.name;
        let fetched = manifest.files.iter().any(|file| !file.mirrors.is_empty())
            || manifest.archives.iter().any(|archive| !archive.mirrors.is_empty());
        assert!(fetched || manifest.access.is_some(), "{name}: neither an address nor a word on how to get it");
        assert!(manifest.homepage.is_some(), "{name}");
        for text in [&manifest.licence, &manifest.citation, &manifest.title] {
            assert!(text.len() > 2, "{name}: {text:?}");
        }
        // A table says when a split is not complete, so its number must be known: from the manifest, or from its list.
        for (split, options) in &manifest.splits {
            let unknown = options.images.is_none() && options.list.is_none();
            assert!(!unknown || name == "imagenet-100", "{name} {split}: how many images?");
        }
    }
}

/// What is known of a file that an address leads to.
type Proof = (String, Option<u64>, Option<String>, Option<String>);

fn addresses(manifest: &Manifest) -> Vec<(String, Proof)> {
    let files = manifest.files.iter().map(|file| {
        let proof = (file.file_name().to_owned(), file.size, file.sha256.clone(), file.md5.clone());
        (&file.mirrors, proof)
    });
    let archives = manifest.archives.iter().map(|archive| {
        let proof = (archive.path.clone(), archive.size, archive.sha256.clone(), archive.md5.clone());
        (&archive.mirrors, proof)
    });
    let each = |(mirrors, proof): (&Vec<String>, Proof)| {
        mirrors.iter().map(|address| (address.clone(), proof.clone())).collect::<Vec<_>>()
    };
    files.chain(archives).flat_map(each).collect()
}

#[test]
fn what_is_fetched_can_be_proven() {
    let library = library();
    let mut seen: BTreeMap<String, Proof> = BTreeMap::new();
    for manifest in library.manifests() {
        let mut own = BTreeSet::new();
        for (address, proof) in addresses(manifest) {
            let name = &manifest.name;
            assert!(own.insert(address.clone()), "{name}: {address} twice");
            assert!(
                proof.1.is_some() || proof.2.is_some() || proof.3.is_some(),
                "{name}: {address} has neither size nor checksum"
            );
            let host = address.split('/').nth(2).unwrap_or_default();
            assert!(
                address.starts_with("https://") || address.starts_with("http://") && WITHOUT_HTTPS.contains(&host),
                "{name}: {address}"
            );
            assert!(host.contains('.') && !address.contains(char::is_whitespace), "{name}: {address}");
            // Several sets may come from one archive; one address cannot lead to two files.
            let before = seen.entry(address.clone()).or_insert_with(|| proof.clone());
            assert_eq!(*before, proof, "{name}: {address}");
        }
    }
    assert!(seen.len() > 60, "{} addresses", seen.len());
}

/// A file that holds nothing but its images has a size that their number explains.
#[test]
fn sizes_and_counts_agree() {
    let mut checked = 0;
    for manifest in library().manifests() {
        let Some((width, height)) = manifest.image_size else { continue };
        let pixels = u64::from(width) * u64::from(height);
        let (head, each) = match &manifest.format {
            Format::CifarBinary { labels, .. } => (0, labels.len() as u64 + 3 * pixels),
            Format::Planes { .. } => (0, 3 * pixels),
            Format::Numpy { axes: Axes::Nhwc | Axes::Nchw, .. } => (128, 3 * pixels),
            Format::Idx { .. } => (16, pixels),
            _ => continue,
        };
        for (name, split) in &manifest.splits {
            let files: Vec<_> =
                manifest.files.iter().filter(|file| file.is_of(name) && file.role == Role::Images).collect();
            let size = |file: &&KnownFile| {
                if file.path.ends_with(".gz") { file.unpacked_size } else { file.size }
            };
            let Some(total) = files.iter().map(size).sum::<Option<u64>>() else { continue };
            let images = split.images.expect("counted") as u64;
            assert_eq!(total, files.len() as u64 * head + images * each, "{} {name}", manifest.name);
            checked += 1;
        }
    }
    assert!(checked >= 50, "{checked} splits");
}

#[test]
fn class_names_are_those_of_their_sets() {
    for manifest in library().manifests() {
        let names: BTreeSet<&String> = manifest.class_names.iter().collect();
        assert_eq!(names.len(), manifest.class_names.len(), "{}: a class twice", manifest.name);
        let wordnet = |name: &String| name.len() == 9 && name.starts_with('n') && name[1..].parse::<u32>().is_ok();
        if manifest.class_names.iter().any(wordnet) {
            assert!(manifest.class_names.iter().all(wordnet), "{}", manifest.name);
            assert!(manifest.class_names.is_sorted(), "{}: ImageNet's classes ascend", manifest.name);
        }
    }
    let library = library();
    let count = |name: &str| library.manifest(name).expect("known").class_count();
    for (name, classes) in [
        ("cifar10", 10),
        ("cifar100", 100),
        ("svhn", 10),
        ("emnist", 47),
        ("emnist-letters", 26),
        ("stl10", 10),
        ("tiny-imagenet", 200),
        ("imagenet", 1000),
        ("imagenet-100", 100),
        ("imagenet-200", 200),
        ("cifar10-openood", 10),
        ("cifar100-openood", 100),
        ("notmnist-small", 10),
        ("celeba", 2),
        ("places365", 365),
    ] {
        assert_eq!(count(name), Some(classes), "{name}");
    }
    // One order of classes in all sets of the same labels, or accuracies would be wrong.
    let names = |name: &str| library.manifest(name).expect("known").class_names.clone();
    for name in ["cifar10-openood", "cifar10-c", "cifar10-c-openood", "cifar10.1", "cifar10-mini"] {
        assert_eq!(names(name), names("cifar10"), "{name}");
    }
    for name in ["cifar100-openood", "cifar100-c"] {
        assert_eq!(names(name), names("cifar100"), "{name}");
    }
}

/// The built-in benchmarks, besides `mini`.
const BENCHMARKS: [&str; 19] = [
    "cifar10-far",
    "cifar10-near",
    "dlsr-table1",
    "dlsr-table10-cifar10",
    "dlsr-table10-cifar100",
    "dlsr-table12",
    "dlsr-table2",
    "dlsr-table3-cifar10",
    "dlsr-table3-cifar100",
    "dlsr-table8",
    "dlsr-table9",
    "mini",
    "openood-cifar10",
    "openood-cifar10-fs",
    "openood-cifar100",
    "openood-imagenet",
    "openood-imagenet-fs",
    "openood-imagenet200",
    "openood-imagenet200-fs",
];

#[test]
fn benchmarks_name_known_sets_and_splits() {
    let library = library();
    let names: Vec<String> = library.benchmarks().map(str::to_owned).collect();
    assert_eq!(names, BENCHMARKS);
    for name in names {
        let benchmark = library.benchmark(&name).expect("valid");
        assert!(benchmark.members().all(|(_, member)| member.split.is_some()), "{name}");
        assert!(!benchmark.notes.is_empty(), "{name}: where is it from?");
    }
    let far = library.benchmark("cifar10-far").expect("valid");
    let sets: Vec<(&str, &str, &str)> =
        far.members().map(|(group, member)| (group, member.set.as_str(), member.split())).collect();
    assert_eq!(sets[0], ("far", "fashion-mnist", "test"));
    assert_eq!(sets[5], ("far", "textures", "all"));
    assert_eq!(sets[6], ("near", "tiny-imagenet", "test"));
    assert!(library.benchmark("nothing").is_err_and(|error| error.to_string().contains("cifar10-far")));
}

/// The numbers of images that DLSR states in its appendix B.1, and the sums that its rates are computed from.
#[test]
fn the_tables_of_dlsr_have_its_sets_and_numbers() {
    let library = library();
    let total = |name: &str| -> usize {
        let benchmark = library.benchmark(name).expect("valid");
        benchmark.members().map(|(_, member)| member.images.expect("stated")).sum()
    };
    assert_eq!((total("dlsr-table1"), total("dlsr-table2")), (97_936, 112_680));
    for (name, columns) in [
        ("dlsr-table1", 7),
        ("dlsr-table2", 4),
        ("dlsr-table3-cifar10", 6),
        ("dlsr-table3-cifar100", 6),
        ("dlsr-table8", 1),
        ("dlsr-table9", 2),
        ("dlsr-table10-cifar10", 2),
        ("dlsr-table10-cifar100", 2),
        ("dlsr-table12", 4),
    ] {
        let benchmark = library.benchmark(name).expect("valid");
        assert_eq!(benchmark.members().count(), columns, "{name}");
        assert_eq!(benchmark.protocol, Some(Protocol::Native), "{name}");
        // Where a part of a set is drawn, the rule is there, and it draws as many as the paper scored.
        for (_, member) in benchmark.members() {
            if let Some(rule) = member.subset {
                assert!(matches!(rule, Subset::Random { seed: 0, .. }), "{name} {}", member.set);
                assert!(member.images.is_none_or(|images| images == rule.images()), "{name} {}", member.set);
            }
        }
    }
}

#[test]
fn the_benchmarks_of_openood_tune_and_score_different_images() {
    let library = library();
    let benchmark = |name: &str| library.benchmark(name).expect("valid");
    for (name, near, far) in [
        ("openood-cifar10", 2, 4),
        ("openood-cifar100", 2, 4),
        ("openood-imagenet200", 2, 3),
        ("openood-imagenet", 2, 3),
    ] {
        let standard = benchmark(name);
        assert_eq!((standard.groups["near"].len(), standard.groups["far"].len()), (near, far), "{name}");
        let (id, ood) = standard.tuning().expect("OpenOOD has validation images");
        assert_eq!((id.choice().split.as_str(), ood.len()), ("val", 1), "{name}");
        assert_eq!(standard.shifted().count(), 0, "{name}");
    }
    for (name, shifted) in [("openood-cifar10", 1), ("openood-imagenet200", 3), ("openood-imagenet", 3)] {
        let (standard, full) = (benchmark(name), benchmark(&format!("{name}-fs")));
        assert_eq!(full.shifted().count(), shifted, "{name}");
        assert_eq!((&full.groups, &full.validation), (&standard.groups, &standard.validation), "{name}");
    }
    // The lists lie where OpenOOD's archive has them, and every path in them begins with the set's folder.
    for manifest in
        library.manifests().filter(|manifest| manifest.archives.iter().any(|a| a.path == "benchmark_imglist.zip"))
    {
        for (name, split) in manifest.splits.iter().filter(|(_, split)| split.list.is_some()) {
            let list = split.list.as_ref().expect("filtered");
            assert!(list.file.starts_with("benchmark_imglist/"), "{} {name}", manifest.name);
            assert_eq!(split.folders.first(), manifest.splits.values().next().expect("one").folders.first());
        }
    }
}

#[test]
fn benchmark_mistakes_are_named() {
    let text = "name: b\ntitle: B\nid: {set: cifar10, train_split: train, test_split: test}\ngroups:\n  far: [mnist, {set: kmnist, limit: 5}]\n";
    let parse = |text: &str| oodlab_datasets::Benchmark::parse("b.yaml", text);
    let resolved = parse(text).and_then(|benchmark| benchmark.resolve(&library())).expect("valid");
    assert_eq!(resolved.groups["far"][1].limit, Some(5));
    for (from, to, part) in [
        ("limit: 5", "limits: 5", "limits"),
        ("limit: 5", "limit: 0", "of 0 leaves no image"),
        ("set: kmnist", "set: mnist", "twice"),
        ("test_split: test", "test_split: train", "trained on and scored"),
        ("title: B", "title: B\ntitel: B", "titel"),
        ("limit: 5", "subset: {rule: every, images: 5}", "every"),
        ("limit: 5", "subset: {rule: rows, from: 9, to: 9}", "of 0 leaves no image"),
        (
            "test_split: test",
            "test_split: test, shifted: [{set: kmnist, split: test}, {set: kmnist, split: test}]",
            "twice",
        ),
        ("title: B", "title: B\nvalidation: {id: {set: cifar10, split: test}}", "tuned with and scored"),
        (
            "title: B",
            "title: B\nvalidation: {id: {set: mnist, split: train}, ood: [{set: kmnist}, {set: mnist}]}",
            "tuned with",
        ),
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

/// OpenOOD's files as they are downloaded, and with the images unpacked as it does. The lists of two benchmarks share a file
/// name and the images of a folder.
#[test]
fn the_files_of_openood_are_imported_by_its_lists() {
    let lists = [
        ("cifar10/test_tin.txt", "cifar10-near", vec!["val_2", "val_0"]),
        ("cifar100/test_tin.txt", "cifar100-near", vec!["val_3"]),
        ("cifar10/val_tin.txt", "cifar10-val", vec!["val_1"]),
        ("cifar100/val_tin.txt", "cifar100-val", vec!["val_0", "val_1"]),
    ];
    let path = |name: &str| format!("tin/val/images/{name}.JPEG");
    let texts = lists.iter().map(|(list, _, names)| {
        let lines: String = names.iter().map(|name| format!("{} -1\n", path(name))).collect();
        (format!("benchmark_imglist/{list}"), lines.into_bytes())
    });
    let texts: Vec<(String, Vec<u8>)> = texts.collect();
    let texts: Vec<(&str, Vec<u8>)> = texts.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let images: Vec<(String, Vec<u8>)> =
        (0..4).map(|number| (format!("val/images/val_{number}.JPEG"), png(64, 64, number))).collect();
    for packed in [true, false] {
        let bench = Bench::new(&[]);
        bench.put("benchmark_imglist.zip", &zip(&texts));
        if packed {
            let images: Vec<(&str, Vec<u8>)> =
                images.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
            bench.put("tin.zip", &zip(&images));
        } else {
            for (name, bytes) in &images {
                bench.put(&format!("images_classic/tin/{name}"), bytes);
            }
            bench.put("images_classic/svhn/test/000001_5.jpg", &png(32, 32, 9));
        }
        bench.import("tiny-imagenet-openood").expect("OpenOOD's files");
        for (_, split, names) in &lists {
            let set = bench.library.open_set("tiny-imagenet-openood", split, None).expect(split);
            let ids: Vec<String> = (0..set.len()).map(|index| set.id(index)).collect();
            let expected: Vec<String> = names.iter().map(|name| path(name)).collect();
            assert_eq!((ids, set.label(0)), (expected, None), "{split}, packed: {packed}");
        }
    }
}

#[test]
fn a_list_with_a_published_sum_must_have_it() {
    let bench = Bench::new(&[]);
    for number in 1..=4 {
        bench.put(&format!("celeba/img_align_celeba/{number:06}.jpg"), &png(178, 218, number));
    }
    // Lists with a published sum are taken only when they have it, so this one is refused.
    bench.put("celeba/list_eval_partition.txt", b"000001.jpg 0\n000002.jpg 2\n");
    let message = bench.import("celeba").expect_err("not the published list").to_string();
    assert!(message.contains("list_eval_partition.txt"), "{message}");
}

#[test]
fn the_two_empty_files_of_notmnist_are_left_out_and_others_are_not() {
    let bench = Bench::new(&[]);
    for (letter, value) in [("A", 1), ("B", 2), ("J", 3)] {
        bench.put(&format!("notMNIST_small/{letter}/glyph.png"), &png(28, 28, value));
    }
    bench.put("notMNIST_small/A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png", b"");
    let report = bench.import("notmnist-small").expect("the one broken file is known");
    assert_eq!((report.unreadable.len(), report.status.splits["test"].found), (1, 3));
    let set = bench.library.open_set("notmnist-small", "test", None).expect("imported");
    assert_eq!((0..3).map(|index| set.label(index)).collect::<Vec<_>>(), [Some(0), Some(1), Some(9)]);
    bench.put("notMNIST_small/A/other.png", b"");
    assert!(bench.import("notmnist-small").is_err_and(|error| error.to_string().contains("allow-unreadable")));
}

#[test]
fn the_hundred_classes_are_taken_out_of_a_whole_imagenet_folder() {
    let bench = Bench::new(&[]);
    for (class, value) in [("n01498041", 1), ("n01440764", 2), ("n13052670", 3)] {
        for split in ["train", "val"] {
            bench.put(&format!("{split}/{class}/{class}_1.JPEG"), &png(8, 8, value));
        }
    }
    let report = bench.import("imagenet-100").expect("an ImageNet folder");
    assert_eq!((report.added, report.status.splits["train"].found), (4, 2), "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("1 images of other classes")), "{report:?}");
    let set = bench.library.open_set("imagenet-100", "val", None).expect("imported");
    assert_eq!((set.label(0), set.label(1)), (Some(0), Some(99)));
}

#[test]
fn tiny_imagenet_has_its_labels_from_folders_and_from_a_list() {
    let bench = Bench::new(&[]);
    for (class, value) in [("n01443537", 1), ("n01629819", 2)] {
        bench.put(&format!("train/{class}/images/{class}_0.JPEG"), &png(64, 64, value));
    }
    // Labels are numbered over the folders only when all 200 of them are there.
    for class in 2..200 {
        bench.put(&format!("train/n9{class:07}/images/n9{class:07}_0.JPEG"), &png(64, 64, class as u8));
    }
    for (number, value) in [(0, 3), (1, 4)] {
        bench.put(&format!("val/images/val_{number}.JPEG"), &png(64, 64, value));
    }
    bench.put("val/val_annotations.txt", b"val_0.JPEG\tn01629819\t0\t0\t9\t9\nval_1.JPEG\tn01443537\t1\t1\t9\t9\n");
    bench.put("test/images/test_9999.JPEG", &png(64, 64, 5));
    let report = bench.import("tiny-imagenet").expect("the official layout");
    assert_eq!(report.added, 204, "{report:?}");
    let labels = |split: &str| {
        let set = bench.library.open_set("tiny-imagenet", split, None).expect("imported");
        (0..set.len()).map(|index| set.label(index)).collect::<Vec<_>>()
    };
    assert_eq!(labels("train"), (0..200).map(Some).collect::<Vec<_>>());
    assert_eq!(labels("val"), [Some(1), Some(0)]);
    assert_eq!(labels("test"), [None]);
}

/// Images have one name, whichever folder above them was named, so that lists and results agree.
#[test]
fn images_have_one_name_from_wherever_they_are_imported() {
    for (name, above, image, kept) in [
        ("lsun-r", "LSUN_resize/LSUN_resize", "0.jpg", "LSUN_resize/LSUN_resize/0.jpg"),
        ("isun", "iSUN/iSUN_patches", "0.jpeg", "iSUN/iSUN_patches/0.jpeg"),
        ("sun", "SUN/images", "a.jpg", "SUN/images/a.jpg"),
        ("ninco", "NINCO/NINCO_OOD_classes", "octopus/a.jpg", "NINCO/NINCO_OOD_classes/octopus/a.jpg"),
    ] {
        let parts: Vec<&str> = above.split('/').collect();
        for depth in 0..=parts.len() {
            let bench = Bench::new(&[]);
            bench.put(&[&parts[depth..], &[image]].concat().join("/"), &png(32, 32, 5));
            bench.import(name).unwrap_or_else(|error| panic!("{name} at {depth}: {error}"));
            let set = bench.library.open_set(name, "test", None).expect("imported");
            assert_eq!(set.id(0), kept, "{name}, without {:?}", &parts[..depth]);
        }
    }
}
