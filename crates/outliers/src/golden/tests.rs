use super::*;

fn outcome(bytes: &[u8]) -> Outcome {
    let file = GoldenFile::parse("oal", bytes).expect("a good file");
    check(&file).expect("a kind of this crate").expect("all tensors are there")
}

#[test]
fn the_embedded_file_passes() {
    for (_, bytes) in embedded() {
        match outcome(bytes) {
            Outcome::Pass(nearest) => println!("{nearest}"),
            other => panic!("{other:?}"),
        }
    }
}

/// A check that cannot fail would be worth nothing: change one value of each quantity, and it must.
#[test]
fn a_changed_file_fails() {
    let names =
        ["club", "loglik", "kd_logit", "kd_feat", "energy", "knn_dk", "knn_cand_dk", "knn_chosen", "knn_features"];
    for name in names {
        let mut bytes = embedded()[0].1.to_vec();
        // Eight bytes of length, the JSON header, then the tensors.
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a JSON header");
        let at = 8 + length + header[name]["data_offsets"][0].as_u64().expect("a tensor of the file") as usize;
        let value = f32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes")) + 1e-3;
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(matches!(outcome(&bytes), Outcome::Fail { .. }), "{name} was changed");
    }
}

#[test]
fn other_kinds_are_left_to_others_and_missing_tensors_are_an_error() {
    let (_, bytes) = embedded()[0];
    assert!(check(&GoldenFile::parse("schedule", bytes).expect("a good file")).is_none());
    let empty = [&2u64.to_le_bytes()[..], b"{}"].concat();
    assert!(matches!(check(&GoldenFile::parse("oal", &empty).expect("an empty file")), Some(Err(_))));
}
