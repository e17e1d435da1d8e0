use oodlab_base::Seed;

use super::*;

const SMALL: LfdnConfig = LfdnConfig::new(5, 6, 2);

#[test]
fn the_order_is_that_of_the_published_module() {
    let names: Vec<String> = layout(LfdnConfig { blocks: 1, ..SMALL }).into_iter().map(|entry| entry.name).collect();
    let modules = [
        "input_proj.1",
        "time_embed.0",
        "time_embed.2",
        "res_blocks.0.in_layers.0",
        "res_blocks.0.in_layers.2",
        "res_blocks.0.emb_layers.1",
        "res_blocks.0.out_layers.0",
        "res_blocks.0.out_layers.3",
        "out.0",
        "out.2",
    ];
    let want: Vec<String> = modules.iter().flat_map(|m| [format!("{m}.weight"), format!("{m}.bias")]).collect();
    assert_eq!(names, want);
}

#[test]
fn the_spans_follow_one_another_and_the_count_agrees() {
    let mut at = 0;
    for entry in layout(SMALL) {
        assert_eq!(entry.span.start, at, "{}", entry.name);
        assert_eq!(entry.span.len(), entry.shape.iter().product::<usize>());
        at = entry.span.end;
    }
    assert_eq!(SMALL.parameter_count(), Some(at));
}

#[test]
fn initialisation_is_as_published() {
    let config = LfdnConfig::new(30, 64, 2);
    let parameters = Parameters::initialise(config, Seed(4)).expect("small sizes");
    let get = |name: &str| parameters.get(name).expect("a parameter of the network");
    for zero in ["res_blocks.0.out_layers.3", "res_blocks.1.out_layers.3", "out.2"] {
        assert!(get(&format!("{zero}.weight")).iter().all(|&x| x == 0.0));
        assert!(get(&format!("{zero}.bias")).iter().all(|&x| x == 0.0));
    }
    for norm in ["res_blocks.1.in_layers.0", "res_blocks.0.out_layers.0", "out.0"] {
        assert!(get(&format!("{norm}.weight")).iter().all(|&x| x == 1.0));
        assert!(get(&format!("{norm}.bias")).iter().all(|&x| x == 0.0));
    }
    let fans = [
        ("input_proj.1", 30),
        ("time_embed.0", 64),
        ("time_embed.2", 30),
        ("res_blocks.0.in_layers.2", 64),
        ("res_blocks.1.emb_layers.1", 30),
    ];
    for (name, fan_in) in fans {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let weights = get(&format!("{name}.weight"));
        let (low, high) = weights.iter().fold((0.0f32, 0.0f32), |(low, high), &x| (low.min(x), high.max(x)));
        assert!(low >= -bound && high <= bound && low < -0.95 * bound && high > 0.95 * bound, "{name}: {low} {high}");
        let square = weights.iter().map(|x| x * x).sum::<f32>() / weights.len() as f32;
        assert!((square / (bound * bound / 3.0) - 1.0).abs() < 0.1, "{name}: variance {square}");
        let biases = get(&format!("{name}.bias"));
        assert!(biases.iter().all(|x| x.abs() <= bound) && biases.iter().any(|x| x.abs() > 0.5 * bound), "{name}");
    }
    assert_eq!(parameters, Parameters::initialise(config, Seed(4)).expect("small sizes"));
    assert_ne!(parameters, Parameters::initialise(config, Seed(5)).expect("small sizes"));
}

#[test]
fn the_stamp_changes_with_the_values() {
    let mut parameters = Parameters::zeros(SMALL).expect("small sizes");
    let copy = parameters.clone();
    assert_eq!(parameters.stamp(), copy.stamp());
    parameters.values_mut()[0] = 1.0;
    assert_ne!(parameters.stamp(), copy.stamp());
}

#[test]
fn files_come_back_to_the_bit_and_foreign_ones_are_named() {
    let parameters = Parameters::initialise(SMALL, Seed(1)).expect("small sizes");
    let bytes = parameters.to_bytes().expect("a valid file");
    assert_eq!(Parameters::from_bytes(SMALL, &bytes).expect("its own file"), parameters);

    let message =
        |config, bytes: &[u8]| Parameters::from_bytes(config, bytes).expect_err("not this network").to_string();
    let wide = message(LfdnConfig { width: 8, ..SMALL }, &bytes);
    assert!(wide.contains("input_proj.1.weight") && wide.contains("[6, 5]") && wide.contains("[8, 5]"), "{wide}");
    let deep = message(LfdnConfig { blocks: 3, ..SMALL }, &bytes);
    assert!(deep.contains("res_blocks.2.in_layers.0.weight") && deep.contains("missing"), "{deep}");
    let shallow = message(LfdnConfig { blocks: 1, ..SMALL }, &bytes);
    assert!(shallow.contains("res_blocks.1.emb_layers.1.bias") && shallow.contains("does not belong"), "{shallow}");
    for cut in [0, 7, 100, bytes.len() - 1] {
        assert!(matches!(Parameters::from_bytes(SMALL, &bytes[..cut]), Err(DiffusionError::Format(_))));
    }
}
