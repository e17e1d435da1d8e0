use super::*;
use crate::weights::WeightManifest;

const NETWORK: &str = "resnet20";

/// Formula weights with the values given in the first bias.
fn weights(values: &[f32]) -> Weights {
    let mut tensors = crate::formula::weights(NETWORK).expect("a known network").tensors().clone();
    tensors.get_mut("bn1.bias").expect("the stem's norm").values[..values.len()].copy_from_slice(values);
    Weights::from_tensors(tensors)
}

#[test]
fn what_is_written_is_read_back_and_the_bytes_do_not_vary() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = weights(&[1.0, -0.1, 65504.0, 1e-7]);
    for options in [ConvertOptions::default(), ConvertOptions { half: true, ..ConvertOptions::default() }] {
        let paths = [folder.path().join("a.safetensors"), folder.path().join("b.safetensors")];
        let converted = paths.clone().map(|path| convert(&input, NETWORK, &path, options).expect("a file"));
        assert_eq!(converted[0], converted[1]);
        let bytes = fs_err::read(&paths[0]).expect("the file");
        assert_eq!(bytes, fs_err::read(&paths[1]).expect("the file"));
        assert_eq!(converted[0].size_bytes, bytes.len() as u64);
        assert_eq!(converted[0].elements, input.tensors().values().map(|t| t.values.len() as u64).sum::<u64>());
        let again = Weights::read(&paths[0]).expect("a sound file");
        assert_eq!(again.sha256(), Some(converted[0].sha256.as_str()));
        for (name, tensor) in input.tensors() {
            let expected = tensor.values.iter().map(|&v| if options.half { f16::from_f32(v).to_f32() } else { v });
            let found = again.get(name).expect("the tensor");
            assert_eq!(found.shape, tensor.shape);
            assert!(found.values.iter().copied().eq(expected), "{name}");
        }
        let stated = |name: &str| again.metadata().get(name).map(String::as_str);
        assert_eq!(stated("dtype"), Some(if options.half { "f16" } else { "f32" }));
        assert_eq!(
            (stated("network"), stated("folded"), stated("source")),
            (Some(NETWORK), Some("false"), Some("memory"))
        );
    }
}

#[test]
fn what_f16_cannot_hold_is_an_error_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.safetensors");
    let options = ConvertOptions { half: true, ..ConvertOptions::default() };
    for wrong in [65520.0, f32::NAN, f32::NEG_INFINITY] {
        let error = convert(&weights(&[0.0, wrong]), NETWORK, &path, options).expect_err("it does not fit").to_string();
        assert!(error.contains("bn1.bias"), "{error}");
        assert_eq!(error.contains("element 1 of tensor `bn1.bias` is 65520"), wrong.is_finite(), "{error}");
    }
    assert_eq!(fs_err::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn what_was_converted_for_one_network_is_refused_for_its_twin() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.safetensors");
    let input = crate::formula::weights("efficientnet-b0-symmetric").expect("a known network");
    convert(&input, "efficientnet-b0-symmetric", &path, ConvertOptions::default()).expect("a file");
    let read = Weights::read(&path).expect("a sound file");
    assert_eq!(read.for_network("efficientnet-b0-symmetric").expect("its own").tensors(), input.tensors());
    let error = convert(&read, "efficientnet-b0", &path, ConvertOptions::default()).expect_err("another padding");
    assert!(
        matches!(&error, WeightError::OtherNetwork { other, .. } if other == "efficientnet-b0-symmetric"),
        "{error}"
    );
}

#[test]
fn only_the_trunk_stays_when_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.safetensors");
    let options = ConvertOptions { trunk_only: true, ..ConvertOptions::default() };
    for (network, head) in [("efficientnet-lite0", &["_conv_head.", "_bn1.", "_fc."][..]), (NETWORK, &["linear."])] {
        let whole = crate::formula::weights(network).expect("a known network");
        convert(&whole, network, &path, options).expect("a file");
        let trunk = Weights::read(&path).expect("a sound file");
        let is_head = |name: &&str| head.iter().any(|head| name.starts_with(head));
        assert!(whole.names().any(|name| is_head(&name)) && !trunk.names().any(|name| is_head(&name)));
        assert_eq!(trunk.names().count(), whole.names().filter(|name| !is_head(name)).count());
    }
}

#[test]
fn weights_that_do_not_fit_the_named_network_are_refused_folded_or_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.safetensors");
    for fold in [false, true] {
        let options = ConvertOptions { fold, ..ConvertOptions::default() };
        let error = convert(&weights(&[1.0]), "efficientnet-b0", &path, options).expect_err("not its weights");
        assert!(error.to_string().contains("_conv_stem.weight"), "{error}");
        let error = convert(&weights(&[1.0]), "no-such-network", &path, options).expect_err("no network");
        assert!(error.to_string().contains("no-such-network"), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn the_embedded_trunk_is_what_its_metadata_say() {
    let embedded = Weights::embedded("efficientnet-lite0").expect("embedded").expect("a sound file");
    let manifests = manifests().expect("sound manifests");
    let manifest: &WeightManifest =
        manifests.iter().find(|manifest| manifest.name == "efficientnet-lite0").expect("its manifest");
    let stated = |name: &str| embedded.metadata().get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(stated("source_sha256"), manifest.files[0].sha256);
    assert_eq!((stated("folded"), stated("trunk_only"), stated("dtype")), ("true", "true", "f16"));
    assert_eq!((stated("licence"), stated("network")), ("Apache-2.0", "efficientnet-lite0"));
    assert_eq!(stated("converter_revision"), CONVERTER_REVISION.to_string());
    // Folding what is folded changes nothing: the same tensors, and a file of at most 6 MiB.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("again.safetensors");
    let options = ConvertOptions { fold: true, half: true, trunk_only: true };
    let converted = convert(&embedded, "efficientnet-lite0", &path, options).expect("a file");
    assert!(converted.size_bytes <= 6 << 20, "{} bytes", converted.size_bytes);
    assert_eq!(Weights::read(&path).expect("a sound file").tensors(), embedded.tensors());
}
