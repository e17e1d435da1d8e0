use std::io::Write;

use super::*;

fn manifest(files: &str) -> Manifest {
    let text = format!(
        "name: small
title: Small
licence: none
citation: none
format: {{kind: idx}}
image_size: [3, 2]
files:
{files}
  - {{path: c, split: train}}
splits:
  test: {{}}
  train: {{}}
"
    );
    Manifest::parse("small.yaml", &text).expect("valid")
}

fn part(path: &str, role: Role) -> Part {
    Part { path: path.to_owned(), role, place: super::super::Place::Embedded(path.to_owned()) }
}

/// An image whose value at (x, y, channel) tells the place, in each order.
fn bytes(order: Order) -> Vec<u8> {
    let value = |x: usize, y: usize, c: usize| (100 * c + 10 * y + x) as u8;
    let all = |outer: usize, middle: usize, inner: usize| {
        (0..outer).flat_map(move |a| (0..middle).flat_map(move |b| (0..inner).map(move |c| (a, b, c))))
    };
    match order {
        Order::Interleaved => all(2, 3, 3).map(|(y, x, c)| value(x, y, c)).collect(),
        Order::Planes => all(3, 2, 3).map(|(c, y, x)| value(x, y, c)).collect(),
        Order::PlanesByColumn => all(3, 3, 2).map(|(c, x, y)| value(x, y, c)).collect(),
        Order::Grey => all(1, 2, 3).map(|(c, y, x)| value(x, y, c)).collect(),
        Order::GreyByColumn => all(1, 3, 2).map(|(c, x, y)| value(x, y, c)).collect(),
    }
}

#[test]
fn every_order_shows_the_same_image() {
    let colour = [0, 100, 200, 1, 101, 201, 2, 102, 202, 10, 110, 210, 11, 111, 211, 12, 112, 212];
    let grey = [0, 0, 0, 1, 1, 1, 2, 2, 2, 10, 10, 10, 11, 11, 11, 12, 12, 12];
    for order in [Order::Interleaved, Order::Planes, Order::PlanesByColumn, Order::Grey, Order::GreyByColumn] {
        let image = order.image((3, 2), &bytes(order)).expect("well formed");
        let expected = if order.channels() == 3 { &colour } else { &grey };
        assert_eq!((image.width, image.height, &image.pixels[..]), (3, 2, &expected[..]), "{order:?}");
        assert!(order.image((3, 2), &bytes(order)[1..]).is_err());
        assert!(order.image((0, 2), &[]).is_err());
    }
}

#[test]
fn memory_and_disk_give_the_same_images() {
    let manifest = manifest("  - {path: sample/cifar10_train.bin.gz, split: test}");
    let part = part("sample/cifar10_train.bin.gz", Role::Images);
    // Two images behind one byte, with two bytes between them.
    let mut raw = vec![9];
    raw.extend(bytes(Order::Planes));
    raw.extend([7, 7]);
    raw.extend(bytes(Order::Planes).iter().rev());
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&raw).expect("writable");
    let mut read = Vec::new();
    for blob in [Blob::memory(raw.clone()), Blob::file(file).expect("open")] {
        let grid = Grid { bytes: blob, offset: 1, step: 20, count: 2, size: (3, 2), order: Order::Planes };
        let mut arrays = Arrays::default();
        let labels = Arc::new(Labels::new(&[4, 5], 0, None).expect("valid"));
        arrays.push(&manifest, &part, grid.clone(), Some(labels.clone())).expect("valid");
        arrays.push(&manifest, &part, grid.clone(), None).expect("valid");
        assert_eq!((arrays.len(), arrays.id(3)), (4, format!("{}#1", part.path)));
        assert_eq!([arrays.label(1), arrays.label(2), arrays.label(4)], [Some(5), None, None]);
        let image = |index| {
            let fetched = arrays.fetch(index).expect("there");
            let direct = arrays.decode(index, None, Reading::default()).expect("there");
            assert_eq!(direct, arrays.decode(index, fetched, Reading::default()).expect("there"));
            direct
        };
        assert_eq!(image(1), image(3));
        assert_ne!(image(0), image(1));
        assert!(arrays.decode(4, None, Reading::default()).is_err());
        assert_ne!(arrays.content(0), arrays.content(1));
        read.push((image(0), image(1)));
        for (wrong, what) in [
            (Grid { offset: 2, ..grid.clone() }, "do not fit"),
            (Grid { count: 3, ..grid.clone() }, "do not fit"),
            (Grid { step: u64::MAX, ..grid.clone() }, "do not fit"),
            (Grid { count: 0, ..grid.clone() }, "found 0"),
            (Grid { size: (2, 3), ..grid.clone() }, "of 3 x 2, found 2 of 2 x 3"),
            (grid, "2 labels for"),
        ] {
            let longer = (what == "2 labels for").then(|| Arc::new(Labels::Bytes(vec![0; 3])));
            let error = arrays.push(&manifest, &part, wrong, longer).expect_err(what).to_string();
            assert!(error.contains(what) || error.contains("3 labels for 2 images"), "{error}");
        }
    }
    assert_eq!(read[0], read[1]);
}

#[test]
fn labels_are_held_to_their_range() {
    assert_eq!(Labels::new(&[1, 10], 1, Some(10)), Ok(Labels::Bytes(vec![0, 9])));
    assert_eq!(Labels::new(&[0, 300], 0, None), Ok(Labels::Words(vec![0, 300])));
    for (raw, first, classes, what) in [
        ([1, 0], 1, Some(10), "label 1 is 0, expected 1 to 10"),
        ([11, 1], 1, Some(10), "label 0 is 11, expected 1 to 10"),
        ([5, 0], 1, None, "label 1 is 0, expected 1 or more"),
    ] {
        assert_eq!(Labels::new(&raw, first, classes), Err(what.to_owned()));
    }
}

#[test]
fn labels_find_their_images_whichever_files_are_missing() {
    let pairs = "  - {path: a, split: test}\n  - {path: a-labels, split: test, role: labels}\n  - {path: b, split: test}\n  \
                 - {path: b-labels, split: test, role: labels}";
    let shared =
        "  - {path: a, split: test}\n  - {path: b, split: test}\n  - {path: l, splits: [test, train], role: labels}";
    let uneven = "  - {path: a, split: test}\n  - {path: l, split: test, role: labels}\n  - {path: m, split: test, role: labels}";
    let all = |files: &str, paths: &[&str]| {
        let parts: Vec<Part> =
            paths.iter().map(|path| part(path, if path.contains('l') { Role::Labels } else { Role::Images })).collect();
        let found = with_labels(&manifest(files), "test", &parts);
        found.map(|pairs| {
            let name = |(images, labels): (&Part, Option<&Part>)| (images.path.clone(), labels.map(|l| l.path.clone()));
            pairs.into_iter().map(name).collect::<Vec<_>>()
        })
    };
    let of = |images: &str, labels: Option<&str>| (images.to_owned(), labels.map(str::to_owned));
    let found = all(pairs, &["a", "a-labels", "b", "b-labels"]).expect("valid");
    assert_eq!(found, [of("a", Some("a-labels")), of("b", Some("b-labels"))]);
    assert_eq!(all(pairs, &["a", "b", "b-labels"]).expect("valid"), [of("a", None), of("b", Some("b-labels"))]);
    assert_eq!(all(pairs, &["b", "a-labels"]).expect("valid"), [of("b", None)]);
    assert_eq!(all(shared, &["b", "l"]).expect("valid"), [of("b", Some("l"))]);
    assert!(all(uneven, &["a"]).is_err_and(|error| error.to_string().contains("2 labels files for 1 images files")));
}
