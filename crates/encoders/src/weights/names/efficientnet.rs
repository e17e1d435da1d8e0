//! EfficientNet's names in timm, torchvision and transformers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Place, Places, Scheme, number, without};

/// A name that only files of that program have.
pub(super) const MARKS: [(&str, Scheme); 4] = [
    ("conv_stem.weight", Scheme::Timm),
    ("features.0.0.weight", Scheme::Torchvision),
    ("efficientnet.embeddings.convolution.weight", Scheme::HuggingFace),
    ("embeddings.convolution.weight", Scheme::HuggingFace),
];

pub(super) fn places<'a>(scheme: Scheme, names: &[&str]) -> Places<'a> {
    match scheme {
        Scheme::Timm => {
            let blocks = Blocks::of(names, "blocks.", "conv_pwl.");
            Box::new(move |name| timm(&blocks, name))
        }
        Scheme::Torchvision => {
            let blocks = Blocks::of(names, "features.", "block.3.");
            // The last of `features` is no stage.
            let head = names.iter().filter_map(|name| number(name.strip_prefix("features.")?)).map(|(n, _)| n).max();
            Box::new(move |name| torchvision(&blocks, head, name))
        }
        _ => Box::new(hugging_face),
    }
}

/// The blocks of all stages in order, from names `PREFIX STAGE.BLOCK.part`.
struct Blocks {
    prefix: &'static str,
    /// Stage and block to the number among all.
    numbers: BTreeMap<(usize, usize), usize>,
    /// Those that expand: what comes first in the others is the depthwise convolution.
    expanding: BTreeSet<(usize, usize)>,
}

impl Blocks {
    fn of(names: &[&str], prefix: &'static str, expands: &str) -> Blocks {
        let split = |name: &str| {
            let (stage, rest) = number(name.strip_prefix(prefix)?)?;
            let (block, part) = number(rest)?;
            Some(((stage, block), part.starts_with(expands), part.contains('.')))
        };
        let all: Vec<_> = names.iter().filter_map(|name| split(name)).filter(|(.., deep)| *deep).collect();
        let places: BTreeSet<_> = all.iter().map(|(place, ..)| *place).collect();
        let numbers = places.into_iter().enumerate().map(|(number, place)| (place, number)).collect();
        let expanding = all.iter().filter(|(_, expands, _)| *expands).map(|(place, ..)| *place).collect();
        Blocks { prefix, numbers, expanding }
    }

    /// The number of a name's block, whether it expands, and the name within it.
    fn find<'a>(&self, name: &'a str) -> Option<(usize, bool, &'a str)> {
        let (stage, rest) = number(name.strip_prefix(self.prefix)?)?;
        let (block, part) = number(rest)?;
        let place = (stage, block);
        Some((*self.numbers.get(&place)?, self.expanding.contains(&place), part))
    }
}

/// The part of a name up to its last dot, and the last part: `weight`, `running_mean`, ..
fn leaf(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.')
}

fn timm(blocks: &Blocks, name: &str) -> Option<Place> {
    let (layer, leaf) = leaf(name)?;
    if let Some((number, expands, part)) = blocks.find(layer) {
        let native = match (part, expands) {
            ("conv_pw", true) => "_expand_conv",
            ("bn1", true) => "_bn0",
            ("conv_dw", _) => "_depthwise_conv",
            ("bn2", true) | ("bn1", false) => "_bn1",
            ("se.conv_reduce", _) => "_se_reduce",
            ("se.conv_expand", _) => "_se_expand",
            ("conv_pwl", true) | ("conv_pw", false) => "_project_conv",
            ("bn3", true) | ("bn2", false) => "_bn2",
            _ => return None,
        };
        return Some(Place::At(format!("_blocks.{number}.{native}.{leaf}")));
    }
    let native = match layer {
        "conv_stem" => "_conv_stem",
        "bn1" => "_bn0",
        "conv_head" => "_conv_head",
        "bn2" => "_bn1",
        "classifier" => "_fc",
        _ => return None,
    };
    Some(Place::At(format!("{native}.{leaf}")))
}

fn torchvision(blocks: &Blocks, head: Option<usize>, name: &str) -> Option<Place> {
    let (layer, leaf) = leaf(name)?;
    if let Some((number, expands, part)) = blocks.find(layer) {
        let (place, inner) = super::number(part.strip_prefix("block.")?)?;
        // Without an expansion everything comes one place earlier.
        let native = match (place + usize::from(!expands), inner) {
            (0, "0") => "_expand_conv",
            (0, "1") => "_bn0",
            (1, "0") => "_depthwise_conv",
            (1, "1") => "_bn1",
            (2, "fc1") => "_se_reduce",
            (2, "fc2") => "_se_expand",
            (3, "0") => "_project_conv",
            (3, "1") => "_bn2",
            _ => return None,
        };
        return Some(Place::At(format!("_blocks.{number}.{native}.{leaf}")));
    }
    let native = match layer {
        "features.0.0" => "_conv_stem",
        "features.0.1" => "_bn0",
        "classifier.1" => "_fc",
        _ => match number(layer.strip_prefix("features.")?)? {
            (place, "0") if Some(place) == head => "_conv_head",
            (place, "1") if Some(place) == head => "_bn1",
            _ => return None,
        },
    };
    Some(Place::At(format!("{native}.{leaf}")))
}

fn hugging_face(name: &str) -> Option<Place> {
    let (layer, leaf) = leaf(without(name, "efficientnet."))?;
    if let Some((number, part)) = layer.strip_prefix("encoder.blocks.").and_then(number) {
        let native = match part {
            "expansion.expand_conv" => "_expand_conv",
            "expansion.expand_bn" => "_bn0",
            "depthwise_conv.depthwise_conv" => "_depthwise_conv",
            "depthwise_conv.depthwise_norm" => "_bn1",
            "squeeze_excite.reduce" => "_se_reduce",
            "squeeze_excite.expand" => "_se_expand",
            "projection.project_conv" => "_project_conv",
            "projection.project_bn" => "_bn2",
            _ => return None,
        };
        return Some(Place::At(format!("_blocks.{number}.{native}.{leaf}")));
    }
    let native = match layer {
        "embeddings.convolution" => "_conv_stem",
        "embeddings.batchnorm" => "_bn0",
        "encoder.top_conv" => "_conv_head",
        "encoder.top_bn" => "_bn1",
        "classifier" => "_fc",
        _ => return None,
    };
    Some(Place::At(format!("{native}.{leaf}")))
}
