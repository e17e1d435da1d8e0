//! ResNet's names in transformers, and those of the ResNet-18 for 32 px in `pytorch-cifar`. torchvision and timm use the
//! same ones, which are the network's own.

use super::{Place, Places, Scheme, number, without};
use crate::network::Network;

/// A name that only files of that program have.
pub(super) const MARKS: [(&str, Scheme); 2] = [
    ("resnet.embedder.embedder.convolution.weight", Scheme::HuggingFace),
    ("embedder.embedder.convolution.weight", Scheme::HuggingFace),
];

/// The same for the ResNet-18 for 32 px.
pub(super) const SMALL_MARKS: [(&str, Scheme); 1] = [("linear.weight", Scheme::PytorchCifar)];

/// Names of transformers: `encoder.stages.S.layers.B.layer.C` for convolution C with its norm, `shortcut` beside them.
pub(super) fn places<'a>(network: &Network) -> Places<'a> {
    let convolutions = if network.units().iter().any(|unit| unit.name.ends_with(".conv3")) { 3 } else { 2 };
    Box::new(move |name| hugging_face(convolutions, without(name, "resnet.")))
}

fn hugging_face(convolutions: usize, name: &str) -> Option<Place> {
    let (layer, leaf) = name.rsplit_once('.')?;
    let native = match layer {
        "embedder.embedder.convolution" => "conv1".to_owned(),
        "embedder.embedder.normalization" => "bn1".to_owned(),
        "classifier.1" => "fc".to_owned(),
        _ => {
            let (stage, rest) = number(layer.strip_prefix("encoder.stages.")?)?;
            let (block, part) = number(rest.strip_prefix("layers.")?)?;
            let inner = match part.strip_prefix("layer.").and_then(number) {
                Some((place, "convolution")) if place < convolutions => format!("conv{}", place + 1),
                Some((place, "normalization")) if place < convolutions => format!("bn{}", place + 1),
                Some(_) => return None,
                None => match part {
                    "shortcut.convolution" => "downsample.0".to_owned(),
                    "shortcut.normalization" => "downsample.1".to_owned(),
                    _ => return None,
                },
            };
            format!("layer{}.{block}.{inner}", stage + 1)
        }
    };
    Some(Place::At(format!("{native}.{leaf}")))
}

/// `pytorch-cifar` calls the classifier `linear`; all other names are the same.
pub(super) fn pytorch_cifar<'a>() -> Places<'a> {
    Box::new(|name| {
        let native = name.strip_prefix("linear.").map_or_else(|| name.to_owned(), |leaf| format!("fc.{leaf}"));
        Some(Place::At(native))
    })
}
