//! Sizes, names and parameter counts of all networks against published ones.

use super::{Network, Step};

fn network(name: &str) -> Network {
    Network::named(name).expect("a known network")
}

fn tap_channels(name: &str) -> Vec<usize> {
    network(name).taps().iter().map(|tap| tap.channels).collect()
}

/// For each tap of an EfficientNet, the index of its block and its channels.
fn tapped_blocks(name: &str) -> Vec<(usize, usize)> {
    let mut blocks = 0;
    let mut found = Vec::new();
    for step in network(name).trunk {
        match step {
            Step::InvertedResidual(_) => blocks += 1,
            Step::Tap(tap) => found.push((blocks - 1, tap.channels)),
            _ => {}
        }
    }
    found
}

/// Channels and blocks as published with the weights.
#[test]
fn taps_are_the_published_ones() {
    assert_eq!(tapped_blocks("efficientnet-lite0"), [(0, 16), (2, 24), (4, 40), (10, 112), (15, 320)]);
    assert_eq!(tapped_blocks("efficientnet-lite2"), [(0, 16), (3, 24), (6, 48), (14, 120), (20, 352)]);
    assert_eq!(tapped_blocks("efficientnet-b4"), [(1, 24), (5, 32), (9, 56), (21, 160), (31, 448)]);
    let strides = |name| network(name).taps().iter().map(|tap| tap.stride).collect::<Vec<_>>();
    assert_eq!(strides("efficientnet-b0"), [2, 4, 8, 16, 32]);
    assert_eq!(strides("resnet50"), [4, 8, 16, 32]);
    assert_eq!(strides("resnet18-32"), [1, 2, 4, 8]);
    assert_eq!(tap_channels("resnet50"), [256, 512, 1024, 2048]);
    assert_eq!(tap_channels("densenet100"), [216, 300, 342]);
    assert_eq!(tap_channels("wrn-40-2"), [32, 64, 128]);
    assert_eq!(tap_channels("vit-b16"), [768; 12]);
}

/// Trained parameters with the head as published: torchvision's and timm's model cards, the papers of the others.
#[test]
fn parameter_counts_are_the_published_ones() {
    for (name, count) in [
        ("efficientnet-b0", 5_288_548),
        ("efficientnet-b4", 19_341_616),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("vit-b16", 86_567_656),
        ("resnet18-32", 11_173_962),
        ("densenet100", 769_162),
        ("wrn-40-2", 2_243_546),
    ] {
        assert_eq!(network(name).parameters(), count, "{name}");
    }
    // In hundredths of a million, as their authors state them.
    for (name, hundredths) in [("resnet20", 27), ("resnet56", 85)] {
        assert_eq!((network(name).parameters() as f64 / 1e4).round() as u64, hundredths, "{name}");
    }
    // In tenths of a million, B0 to B7 and Lite0 to Lite4.
    let published = [53, 78, 91, 122, 193, 304, 430, 663, 47, 54, 61, 82, 130];
    let names = Network::names().into_iter().filter(|name| name.starts_with("eff") && !name.ends_with("symmetric"));
    for (name, want) in names.zip(published) {
        let count = network(name).parameters();
        assert_eq!((count as f64 / 1e5).round() as u64, want, "{name}: {count}");
    }
}

#[test]
fn padding_follows_the_nominal_size() {
    let ends = |name: &str| -> Vec<(usize, usize)> {
        let padding = |step: &Step| match step {
            Step::Convolve(step) if step.stride == 2 => Some((step.padding.top, step.padding.bottom)),
            Step::InvertedResidual(step) if step.stride == 2 => Some((step.padding.top, step.padding.bottom)),
            _ => None,
        };
        network(name).trunk.iter().filter_map(padding).collect()
    };
    // 224: 112, 112, 56, 28, ..: even sides pad one row more at the end for stride 2.
    assert_eq!(ends("efficientnet-b0"), [(0, 1), (0, 1), (1, 2), (0, 1), (1, 2)]);
    // 260 → 130 → 65 → 33 → 17: the odd side of 65 pads both ends.
    assert_eq!(ends("efficientnet-b2"), [(0, 1), (0, 1), (2, 2), (1, 1), (2, 2)]);
    assert_eq!(ends("efficientnet-b2-symmetric"), [(1, 1), (1, 1), (2, 2), (1, 1), (2, 2)]);
}

#[test]
fn names_are_sorted_and_known_and_no_other_is() {
    let names = Network::names();
    assert!(names.is_sorted());
    for name in names {
        assert_eq!(network(name).name, name);
    }
    assert_eq!(Network::named("efficientnet-b8"), None);
    assert_eq!(Network::named(""), None);
}

/// No step reads a map that nobody wrote, and none writes the image or the map that it reads.
#[test]
fn maps_are_written_before_they_are_read_and_never_in_place() {
    for name in Network::names() {
        let network = network(name);
        let mut written = vec![false; network.slots()];
        written[0] = true;
        for step in network.trunk.iter().chain(&network.head) {
            for read in step.reads() {
                assert!(written[read], "{name}: {step:?}");
            }
            if let Some(to) = step.writes() {
                assert_ne!(to, 0, "{name}: {step:?}");
                assert!(matches!(step, Step::Transform(_)) || !step.reads().contains(&to), "{name}: {step:?}");
                written[to] = true;
            }
        }
        assert!(written[network.last], "{name}");
    }
}
