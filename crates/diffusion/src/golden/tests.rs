use super::*;

fn outcome(stem: &str, bytes: &[u8]) -> Outcome {
    let file = GoldenFile::parse(stem, bytes).expect("an embedded file");
    check(&file).expect("a kind of this crate").unwrap_or_else(|error| panic!("{stem}: {error}"))
}

#[test]
fn all_embedded_files_pass() {
    for (stem, bytes) in embedded() {
        match outcome(stem, bytes) {
            Outcome::Pass(nearest) => println!("{stem}: {nearest}"),
            other => panic!("{stem}: {other:?}"),
        }
    }
}

/// The fast engine takes its optimiser steps in another way than the plain one; both must end where the independent program does.
#[test]
fn every_engine_of_the_processor_passes() {
    for (stem, bytes) in embedded() {
        let file = GoldenFile::parse(stem, bytes).expect("an embedded file");
        let mut engines: [Box<dyn LfdnEngine>; 2] =
            [Box::new(Plain::new()), Box::new(Fused::new(Precision::F32).expect("f32 is always there"))];
        for engine in &mut engines {
            let outcome = check_with(&file, engine.as_mut()).expect("a kind of this crate");
            assert!(matches!(outcome, Ok(Outcome::Pass(_))), "{stem} with {}: {outcome:?}", engine.name());
        }
    }
}

/// A check that cannot fail would be worth nothing: change one value of what each file pins, and it must.
#[test]
fn a_changed_file_fails() {
    for (stem, name, change) in [
        ("schedule", "alpha_bar", 1e-13f64),
        ("lfdn_forward", "y", 1e-3),
        ("lfdn_forward", "z", 1e-3),
        ("lfdn_train", "loss2", 1e-3),
        ("lfdn_train", "grad0.time_embed.2.bias", 1e-3),
        ("lfdn_train", "ema3.out.2.bias", 1e-2),
        ("ddim_paper_k10_eta1", "x_after0", 1e-3),
        ("ddim_released_k3_eta1", "cosine_per_layer", 1e-3),
    ] {
        let (_, bytes) = embedded().into_iter().find(|(found, _)| *found == stem).expect("embedded");
        let mut bytes = bytes.to_vec();
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("a good file");
        let info = metadata.info(name).expect("a tensor of the file");
        let at = 8 + header + info.data_offsets.0;
        if info.dtype == safetensors::Dtype::F64 {
            let value = f64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) + change;
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        } else {
            let value = f32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes")) + change as f32;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        assert!(matches!(outcome(stem, &bytes), Outcome::Fail { .. }), "{stem}: {name} was changed");
    }
}

#[test]
fn other_kinds_are_left_to_others() {
    let (_, bytes) = embedded().remove(0);
    assert!(check(&GoldenFile::parse("oal", bytes).expect("a good file")).is_none());
}

#[test]
fn a_file_without_its_tensors_is_an_error() {
    let (_, bytes) = embedded().pop().expect("the schedule");
    for stem in ["lfdn_forward", "lfdn_train", "ddim_paper_k3_eta0"] {
        let file = GoldenFile::parse(stem, bytes).expect("a good file");
        assert!(matches!(check(&file), Some(Err(_))), "{stem}");
    }
}
