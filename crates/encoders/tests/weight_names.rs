//! Names of other programs: lists of real models' state dictionaries (fixtures/names) under the names of our networks.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_encoders::network::{Network, Normalisation, Parameter, Role};
use oodlab_encoders::weights::names::{Scheme, to_native};
use oodlab_encoders::weights::{Tensor, WeightError, Weights};

/// One list: its text, a network that it belongs to, and whose names it has.
type Listed = (&'static str, &'static str, Scheme);

macro_rules! list {
    ($file:literal, $network:literal, $scheme:ident) => {
        (include_str!(concat!("fixtures/names/", $file, ".txt")), $network, Scheme::$scheme)
    };
}

const LISTS: [Listed; 20] = [
    list!("timm-tf_efficientnet_b0", "efficientnet-b0", Timm),
    list!("timm-tf_efficientnet_b0", "efficientnet-b0-symmetric", Timm),
    list!("timm-tf_efficientnet_b4", "efficientnet-b4", Timm),
    list!("timm-tf_efficientnet_b4", "efficientnet-b4-symmetric", Timm),
    list!("timm-tf_efficientnet_lite0", "efficientnet-lite0", Timm),
    list!("torchvision-efficientnet_b0", "efficientnet-b0-symmetric", Torchvision),
    list!("torchvision-efficientnet_b4", "efficientnet-b4-symmetric", Torchvision),
    list!("transformers-efficientnet_b0", "efficientnet-b0", HuggingFace),
    list!("torchvision-resnet18", "resnet18", Native),
    list!("torchvision-resnet50", "resnet50", Native),
    list!("timm-resnet18", "resnet18", Native),
    list!("transformers-resnet18", "resnet18", HuggingFace),
    list!("transformers-resnet50", "resnet50", HuggingFace),
    list!("transformers-resnet50-trunk", "resnet50", HuggingFace),
    list!("timm-vit_base_patch16_224", "vit-b16", Native),
    list!("timm-vit_base_patch16_224.dino", "vit-b16", Native),
    list!("torchvision-vit_b_16", "vit-b16", Torchvision),
    list!("transformers-vit", "vit-b16", HuggingFace),
    list!("transformers-vit-trunk", "vit-b16", HuggingFace),
    list!("torchvision-resnet18", "resnet18", Native),
];

/// Each tensor with its shape; its only value is its place in the list. Nothing reads values here.
fn tensors(list: &str) -> BTreeMap<String, Tensor> {
    let read = |(place, line): (usize, &str)| {
        let (name, shape) = line.split_once(' ').expect("a name and a shape");
        let shape =
            shape.split(',').filter(|length| !length.is_empty()).map(|l| l.parse().expect("a length")).collect();
        (name.to_owned(), Tensor { shape, values: vec![place as f32] })
    };
    list.lines().enumerate().map(read).collect()
}

fn state(network: &str) -> Vec<Parameter> {
    Network::named(network).expect("a known network").state()
}

#[test]
fn every_tensor_of_every_program_has_its_place_and_shape() {
    for (list, network, scheme) in LISTS {
        let foreign = tensors(list);
        let renamed = to_native(network, "file", &foreign).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(renamed.scheme, scheme, "{network}");
        let head = renamed.tensors.contains_key(&state(network).last().expect("tensors").name);
        let mut wanted: BTreeMap<String, Vec<usize>> =
            state(network).into_iter().map(|parameter| (parameter.name, parameter.shape)).collect();
        if !head {
            let classifier = Network::named(network).expect("known").classifier.name;
            wanted.retain(|name, _| !name.starts_with(&format!("{classifier}.")));
        }
        let found: BTreeMap<String, Vec<usize>> =
            renamed.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect();
        assert_eq!(found, wanted, "{network}");
        // Nothing is lost and nothing is there twice.
        let places: Vec<u32> = renamed.tensors.values().flat_map(|tensor| &tensor.values).map(|v| *v as u32).collect();
        let left = renamed.left_out.len();
        assert_eq!(places.len() + left, foreign.len());
        assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len());
        assert_eq!(left, if list.contains("pooler") { 2 } else { 0 }, "{:?}", renamed.left_out);
    }
}

/// Modules are registered in the order in which they run, in all programs but these two: an independent check that shapes
/// cannot give (two batch norms of a block have the same).
#[test]
fn tensors_keep_the_order_in_which_their_layers_run() {
    let mut checked = 0;
    for (list, network, scheme) in LISTS {
        if scheme == Scheme::HuggingFace && !network.starts_with("efficientnet-") {
            continue;
        }
        let renamed = to_native(network, "file", &tensors(list)).expect("understood");
        let mut order: Vec<f32> = Vec::new();
        for parameter in state(network) {
            order.extend(renamed.tensors.get(&parameter.name).map(|tensor| tensor.values[0]));
        }
        // Class token and positions are registered before the convolution that makes the patches; a projection that is
        // added to a block's output after the block's convolutions.
        let moved = if network.starts_with("vit-") { 4 } else { usize::from(network.starts_with("resnet")) * 6 * 4 };
        let descents = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(if moved == 0 { descents == 0 } else { descents <= 8 }, "{network}: {descents}");
        checked += usize::from(moved == 0);
    }
    assert_eq!(checked, 8);
}

#[test]
fn formula_weights_come_back_equal_from_every_naming() {
    for (list, network, scheme) in LISTS {
        // The largest are left out: the way is the same.
        if scheme == Scheme::Native || network.starts_with("vit-") || network.starts_with("efficientnet-b4") {
            continue;
        }
        let original = oodlab_encoders::formula::weights(network).expect("a known network");
        let places = to_native(network, "file", &tensors(list)).expect("understood").tensors;
        let by_place: BTreeMap<u32, &str> =
            places.iter().map(|(native, tensor)| (tensor.values[0] as u32, native.as_str())).collect();
        let names: Vec<&str> = list.lines().map(|line| line.split(' ').next().expect("a name")).collect();
        let foreign: BTreeMap<String, Tensor> = by_place
            .iter()
            .filter_map(|(&place, native)| {
                Some((format!("module.{}", names[place as usize]), original.get(native)?.clone()))
            })
            .collect();
        let foreign = Weights::from_tensors(foreign);
        let back = foreign.for_network(network).expect("understood");
        for (name, tensor) in back.tensors() {
            assert_eq!(original.get(name), Some(tensor), "{network}: {name}");
        }
        let trunk = |weights: &Weights| {
            let folded = oodlab_encoders::fold(network, weights, oodlab_encoders::HeadPolicy::Drop).expect("it fits");
            folded.tensors().clone()
        };
        assert_eq!(trunk(&back), trunk(&original), "{network}");
        assert_eq!(back.key(), foreign.key(), "the key is the file's");
        assert_eq!(back.metadata().get("names").map(String::as_str), Some(scheme.name()));
    }
}

#[test]
fn query_key_and_value_become_one_in_this_order() {
    let (list, network, _) = list!("transformers-vit", "vit-b16", HuggingFace);
    let foreign = tensors(list);
    let place =
        |part: &str, leaf: &str| foreign[&format!("vit.encoder.layer.7.attention.attention.{part}.{leaf}")].values[0];
    let renamed = to_native(network, "file", &foreign).expect("understood").tensors;
    for leaf in ["weight", "bias"] {
        let joined = &renamed[&format!("blocks.7.attn.qkv.{leaf}")];
        assert_eq!(joined.values, [place("query", leaf), place("key", leaf), place("value", leaf)]);
        assert_eq!(joined.shape[0], 3 * 768);
    }
    // The names that transformers 5 has in memory.
    let newer: BTreeMap<String, Tensor> = foreign
        .iter()
        .map(|(name, tensor)| {
            let new = [
                ("encoder.layer.", "layers."),
                ("attention.attention.query", "attention.q_proj"),
                ("attention.attention.key", "attention.k_proj"),
                ("attention.attention.value", "attention.v_proj"),
                ("attention.output.dense", "attention.o_proj"),
                ("intermediate.dense", "mlp.fc1"),
                ("output.dense", "mlp.fc2"),
            ];
            (new.iter().fold(name.clone(), |name, (old, new)| name.replace(old, new)), tensor.clone())
        })
        .collect();
    assert_eq!(to_native(network, "file", &newer).expect("understood").tensors, renamed);
    // A part that is missing, and parts that differ.
    let mut cut = foreign.clone();
    cut.remove("vit.encoder.layer.3.attention.attention.key.bias");
    let error = to_native(network, "file", &cut).expect_err("two parts").to_string();
    assert!(error.contains("`blocks.3.attn.qkv.bias`"), "{error}");
    let mut uneven = foreign;
    uneven.get_mut("vit.encoder.layer.3.attention.attention.key.bias").expect("there").shape = vec![5];
    assert!(to_native(network, "file", &uneven).is_err());
}

#[test]
fn tensors_that_are_missing_renamed_or_more_are_named() {
    for (list, network, scheme) in LISTS {
        if scheme == Scheme::Native {
            continue;
        }
        let foreign = tensors(list);
        let fail = |foreign: &BTreeMap<String, Tensor>| match to_native(network, "file", foreign) {
            Err(error @ WeightError::Names { .. }) => error.to_string(),
            other => panic!("{network}: an error of names expected, found {other:?}"),
        };
        // By their places in the list: an early, a middle and a late one that are not counters, and not the mark.
        let names: Vec<&String> =
            foreign.keys().filter(|name| !name.ends_with("num_batches_tracked") && !name.contains("pooler")).collect();
        for victim in [names[3], names[names.len() / 2], names[names.len() - 2]] {
            let mut less = foreign.clone();
            let tensor = less.remove(victim).expect("it is there");
            if !list.lines().next().is_some_and(|first| first.starts_with(victim.as_str())) {
                let error = fail(&less);
                assert!(error.contains("missing") || error.contains("not three parts"), "{network}: {error}");
            }
            let stranger = format!("{victim}_x");
            less.insert(stranger.clone(), tensor.clone());
            assert!(fail(&less).contains("1 tensors are not understood"), "{network}");
            assert!(fail(&less).contains(&format!("`{stranger}`")), "{network}");
            let mut more = foreign.clone();
            more.insert("ema.decay".to_owned(), tensor);
            assert!(fail(&more).contains("`ema.decay`"), "{network}");
        }
    }
    // Two names for one place: old and new torchvision at once.
    let (list, network, _) = list!("torchvision-vit_b_16", "vit-b16", Torchvision);
    let mut both = tensors(list);
    let tensor = both["encoder.layers.encoder_layer_0.mlp.0.bias"].clone();
    both.insert("encoder.layers.encoder_layer_0.mlp.linear_1.bias".to_owned(), tensor);
    let error = to_native(network, "file", &both).expect_err("twice").to_string();
    assert!(error.contains("there twice") && error.contains("mlp.linear_1.bias"), "{error}");
    // Many strangers are counted, few are told; control characters do not reach the terminal.
    let mut many = tensors(list);
    many.extend((0..50).map(|n| (format!("\x1b[31m{n}"), Tensor { shape: vec![], values: vec![] })));
    let error = to_native(network, "file", &many).expect_err("strangers").to_string();
    assert!(error.contains("50 tensors") && error.contains("and 45 more") && !error.contains('\x1b'), "{error:?}");
}

#[test]
fn weights_whose_names_tell_another_padding_are_refused_with_the_right_network() {
    let (list, ..) = list!("torchvision-efficientnet_b0", "efficientnet-b0-symmetric", Torchvision);
    let error = to_native("efficientnet-b0", "file", &tensors(list)).expect_err("symmetric").to_string();
    assert!(error.contains("name the network `efficientnet-b0-symmetric`") && error.contains("torchvision"), "{error}");
    let (list, ..) = list!("transformers-efficientnet_b0", "efficientnet-b0", HuggingFace);
    let error = to_native("efficientnet-b0-symmetric", "file", &tensors(list)).expect_err("not symmetric").to_string();
    assert!(error.contains("name the network `efficientnet-b0`"), "{error}");
    let error = to_native("efficientnet-b9", "file", &tensors(list)).expect_err("no such network");
    assert!(matches!(error, WeightError::UnknownNetwork { .. }), "{error}");
}

#[test]
fn wrappers_of_training_scripts_are_taken_off() {
    let (list, network, _) = list!("timm-tf_efficientnet_b0", "efficientnet-b0", Timm);
    let plain = to_native(network, "file", &tensors(list)).expect("understood");
    for wrapper in ["module.", "model.", "module.model.", "_orig_mod.module.", "net.backbone."] {
        let wrapped = tensors(list).into_iter().map(|(name, tensor)| (format!("{wrapper}{name}"), tensor)).collect();
        let renamed = to_native(network, "file", &wrapped).expect("understood");
        assert_eq!((renamed.wrapper.as_str(), &renamed.tensors), (wrapper, &plain.tensors));
        // One name without it: the file is not what it seems, and that name is told.
        let mut mixed: BTreeMap<String, Tensor> = wrapped;
        mixed.insert("criterion.weight".to_owned(), Tensor { shape: vec![1], values: vec![0.0] });
        let whole = Weights::from_tensors(mixed);
        let fitted = whole.for_network(network).map_err(|error| error.to_string()).and_then(|weights| {
            oodlab_encoders::fold(network, &weights, oodlab_encoders::HeadPolicy::Drop)
                .map_err(|error| error.to_string())
        });
        assert!(fitted.is_err());
    }
    // Under the network's own names too.
    let own = oodlab_encoders::formula::weights("wrn-40-2").expect("a known network");
    let wrapped: BTreeMap<String, Tensor> =
        own.tensors().iter().map(|(name, tensor)| (format!("backbone.{name}"), tensor.clone())).collect();
    let wrapped = Weights::from_tensors(wrapped);
    assert_eq!(wrapped.for_network("wrn-40-2").expect("understood").tensors(), own.tensors());
    // pytorch-cifar's classifier.
    let own = oodlab_encoders::formula::weights("resnet18-32").expect("a known network");
    let other: BTreeMap<String, Tensor> =
        own.tensors().iter().map(|(name, tensor)| (name.replace("fc.", "linear."), tensor.clone())).collect();
    let other = Weights::from_tensors(other);
    assert_eq!(other.for_network("resnet18-32").expect("understood").tensors(), own.tensors());
}

#[test]
fn every_network_keeps_its_own_names() {
    for name in Network::names() {
        let tensors: BTreeMap<String, Tensor> = state(name)
            .into_iter()
            .filter(|parameter| parameter.role != Role::Counter)
            .map(|parameter| (parameter.name, Tensor { shape: parameter.shape, values: Vec::new() }))
            .collect();
        let renamed = to_native(name, "file", &tensors).expect("its own");
        assert_eq!((renamed.scheme, &renamed.tensors), (Scheme::Native, &tensors), "{name}");
    }
}

/// Two publishers of one ViT normalise differently; the names tell which it is.
#[test]
fn torchvision_vit_is_normalised_as_it_was_trained() {
    let network = Network::named("vit-b16").expect("known");
    let tensor = || Tensor { shape: vec![1], values: vec![0.0] };
    let usual = |name: &str| Weights::from_tensors([(name.to_owned(), tensor())].into()).usual_normalisation(&network);
    assert_eq!(usual("conv_proj.weight"), Normalisation::IMAGENET);
    assert_eq!(usual("patch_embed.proj.weight"), Normalisation::HALF);
}
