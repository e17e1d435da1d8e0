//! Tensor names of other programs into those of this one.
//!
//! A network's own names are those of its [`Network`]: EfficientNet-PyTorch's, torchvision's for ResNet,
//! timm's for ViT. Files of timm, torchvision and Hugging Face's transformers use others; which, is seen from the
//! names. Every tensor is either given a name or named in an error, except the few that no inference reads, which are
//! reported: step counters do not count, Hugging Face's `pooler` is told as left out.
//!
//! Padding and epsilon are not in a file. torchvision's names identify networks with symmetric padding, Hugging
//! Face's those with TensorFlow's, and each is refused for the other. timm uses the same names for both (`tf_efficientnet_b0`,
//! `efficientnet_b0`): there the network that the user named decides.

mod efficientnet;
mod resnet;
mod vision_transformer;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Tensor, WeightError, Weights};
use crate::network::{Network, Normalisation, Role, Unit};

/// What training scripts wrap every name in: `DataParallel`, Lightning modules, classifiers around a backbone.
const WRAPPERS: [&str; 8] =
    ["module.", "model.", "net.", "network.", "backbone.", "_orig_mod.", "state_dict.", "encoder."];

/// So many names are told in an error.
const NAMES_TOLD: usize = 5;

/// A program's way of naming tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The network's own names.
    Native,
    /// timm's.
    Timm,
    /// torchvision's.
    Torchvision,
    /// Those of Hugging Face's transformers.
    HuggingFace,
    /// Those of the CIFAR networks of `pytorch-cifar`.
    PytorchCifar,
}

impl Scheme {
    /// The name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Native => "the network's own",
            Scheme::Timm => "timm",
            Scheme::Torchvision => "torchvision",
            Scheme::HuggingFace => "Hugging Face transformers",
            Scheme::PytorchCifar => "pytorch-cifar",
        }
    }
}

/// Tensors under a network's own names.
#[derive(Debug, Clone, PartialEq)]
pub struct Renamed {
    /// The tensors.
    pub tensors: BTreeMap<String, Tensor>,
    /// How they were named.
    pub scheme: Scheme,
    /// What every name was wrapped in: `module.`; empty for nothing.
    pub wrapper: String,
    /// Names of tensors that no inference reads, as in the file.
    pub left_out: Vec<String>,
}

/// What becomes of one foreign tensor.
enum Place {
    /// It has this name here.
    At(String),
    /// It is a part of this tensor: parts are joined along the first axis in the order of their numbers.
    Part(String, usize),
    /// Nothing reads it.
    Unread,
}

/// Finds the place of a tensor by its name.
type Places<'a> = Box<dyn Fn(&str) -> Option<Place> + 'a>;

/// Gives tensors of any known program the names of `network`. Tensors under the network's own names are only unwrapped: reading
/// them accounts for each by name ([`mod@crate::fold`]).
///
/// # Errors
/// [`WeightError::UnknownNetwork`] for a network that is not known; [`WeightError::OtherNetwork`] for names that only a
/// network with another padding has; [`WeightError::Names`] when tensors are not understood, missing, or two have the
/// same place.
pub fn to_native(network: &str, file: &str, tensors: &BTreeMap<String, Tensor>) -> Result<Renamed, WeightError> {
    let network = known_network(network)?;
    let (wrapper, scheme) = recognise(&network, tensors);
    let mut renamed = Renamed { tensors: BTreeMap::new(), scheme, wrapper, left_out: Vec::new() };
    let inner = tensors.iter().map(|(name, tensor)| (&name[renamed.wrapper.len()..], tensor));
    if scheme == Scheme::Native {
        renamed.tensors = inner.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        return Ok(renamed);
    }
    check_padding(file, network.name, scheme)?;
    let wrong = |what: &'static str, names: Vec<String>| WeightError::Names {
        file: file.to_owned(),
        network: network.name.to_owned(),
        scheme: scheme.name(),
        what,
        count: names.len(),
        names: told(&names),
    };
    let names: Vec<&str> = inner.clone().map(|(name, _)| name).collect();
    let places: Places<'_> = match family(&network) {
        Family::EfficientNet => efficientnet::places(scheme, &names),
        Family::ResNet => resnet::places(&network),
        Family::SmallResNet => resnet::pytorch_cifar(),
        Family::VisionTransformer => vision_transformer::places(scheme),
        Family::Other => Box::new(|_| None),
    };
    let own = own_names(&network);
    let (mut strangers, mut doubles) = (Vec::new(), Vec::new());
    let mut parts: BTreeMap<String, BTreeMap<usize, &Tensor>> = BTreeMap::new();
    for (name, tensor) in inner {
        let whole = || format!("{}{name}", renamed.wrapper);
        let double = match places(name) {
            Some(Place::At(native)) if own.contains(&native) => {
                renamed.tensors.insert(native, tensor.clone()).is_some()
            }
            Some(Place::Part(native, number)) if own.contains(&native) => {
                parts.entry(native).or_default().insert(number, tensor).is_some()
            }
            Some(Place::Unread) => {
                renamed.left_out.push(whole());
                false
            }
            _ => {
                strangers.push(whole());
                false
            }
        };
        if double {
            doubles.push(whole());
        }
    }
    if !strangers.is_empty() {
        return Err(wrong("not understood", strangers));
    }
    if !doubles.is_empty() {
        return Err(wrong("there twice", doubles));
    }
    for (native, parts) in parts {
        let joined = join(&parts).ok_or_else(|| wrong("not three parts of equal shapes", vec![native.clone()]))?;
        renamed.tensors.insert(native, joined);
    }
    let missing = missing(&network, &renamed.tensors);
    if missing.is_empty() { Ok(renamed) } else { Err(wrong("missing (told by their names here)", missing)) }
}

impl Weights {
    /// The same weights under the names of `network`, whatever program named them; borrowed when they have these names
    /// already. The key stays that of the file. Metadata gain `names` (the scheme) where names were changed.
    ///
    /// # Errors
    /// As [`to_native`]; [`WeightError::OtherNetwork`] too when the metadata say that they belong to another network.
    pub fn for_network(&self, network: &str) -> Result<Cow<'_, Weights>, WeightError> {
        let own = known_network(network)?;
        if let Some(stated) = self.metadata().get("network").filter(|stated| *stated != network) {
            return Err(WeightError::OtherNetwork {
                file: self.source().to_owned(),
                network: network.to_owned(),
                other: stated.clone(),
                reason: "its metadata say so".to_owned(),
            });
        }
        let (wrapper, scheme) = recognise(&own, self.tensors());
        if scheme == Scheme::Native && wrapper.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let renamed = to_native(network, self.source(), self.tensors())?;
        Ok(Cow::Owned(self.renamed(renamed)))
    }
}

impl Weights {
    /// How pixels are normalised where nobody says it: as the network usually is, but torchvision's ViT, known by its names,
    /// was trained with ImageNet's mean and deviation.
    #[must_use]
    pub fn usual_normalisation(&self, network: &Network) -> Normalisation {
        let told = self.metadata().get("names").is_some_and(|names| names == Scheme::Torchvision.name());
        let torchvision = told || recognise(network, self.tensors()).1 == Scheme::Torchvision;
        match family(network) {
            Family::VisionTransformer if torchvision => Normalisation::IMAGENET,
            _ => network.normalisation,
        }
    }
}

/// What a user of timm's EfficientNets must know.
pub(super) fn timm_note(network: &str) -> Option<String> {
    let symmetric = network.strip_suffix("-symmetric");
    let (taken, other) = match symmetric {
        Some(plain) => ("symmetric padding (timm's `efficientnet_*`)", plain.to_owned()),
        None => ("TensorFlow's padding (timm's `tf_efficientnet_*`)", format!("{network}-symmetric")),
    };
    // Lite has no symmetric twin here.
    let advice = match Network::named(&other) {
        Some(_) => format!("; if they are of the other kind, import them as `{other}`"),
        None => String::new(),
    };
    network
        .starts_with("efficientnet-")
        .then(|| format!("timm's names do not tell the padding: taken as weights with {taken}{advice}"))
}

fn known_network(name: &str) -> Result<Network, WeightError> {
    Network::named(name)
        .ok_or_else(|| WeightError::UnknownNetwork { network: name.to_owned(), known: Network::names().join(", ") })
}

/// Networks that share their naming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    EfficientNet,
    ResNet,
    /// ResNet-18 for 32 px.
    SmallResNet,
    VisionTransformer,
    /// Only their own names are known.
    Other,
}

fn family(network: &Network) -> Family {
    match network.name {
        "resnet18-32" => Family::SmallResNet,
        "resnet20" | "resnet56" => Family::Other,
        name if name.starts_with("efficientnet-") => Family::EfficientNet,
        name if name.starts_with("resnet") => Family::ResNet,
        name if name.starts_with("vit-") => Family::VisionTransformer,
        _ => Family::Other,
    }
}

/// What all names are wrapped in, and whose they are. Names that nobody is known to use count as the network's own:
/// reading them tells which tensor is missing.
fn recognise(network: &Network, tensors: &BTreeMap<String, Tensor>) -> (String, Scheme) {
    let first = network.state().into_iter().next().map(|parameter| parameter.name).unwrap_or_default();
    let mut names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    let mut wrapper = String::new();
    loop {
        let scheme = scheme(network, &first, &names);
        if let Some(scheme) = scheme {
            return (wrapper, scheme);
        }
        let all = |prefix: &&&str| names.iter().all(|name| name.len() > prefix.len() && name.starts_with(**prefix));
        match WRAPPERS.iter().find(all).filter(|_| !names.is_empty()) {
            Some(prefix) => {
                wrapper.push_str(prefix);
                names = names.iter().map(|name| &name[prefix.len()..]).collect();
            }
            None => return (String::new(), Scheme::Native),
        }
    }
}

/// Whose names these are, by the first layer's.
fn scheme(network: &Network, first: &str, names: &[&str]) -> Option<Scheme> {
    let has = |wanted: &str| names.contains(&wanted);
    let foreign: &[(&str, Scheme)] = match family(network) {
        Family::EfficientNet => &efficientnet::MARKS,
        Family::ResNet => &resnet::MARKS,
        Family::SmallResNet => &resnet::SMALL_MARKS,
        Family::VisionTransformer => &vision_transformer::MARKS,
        Family::Other => &[],
    };
    let found = foreign.iter().find(|(mark, _)| has(mark)).map(|(_, scheme)| *scheme);
    found.or_else(|| has(first).then_some(Scheme::Native))
}

/// torchvision's EfficientNets have symmetric padding, Hugging Face's have TensorFlow's; each would run in the other network
/// and give wrong features.
fn check_padding(file: &str, network: &str, scheme: Scheme) -> Result<(), WeightError> {
    if !network.starts_with("efficientnet-") {
        return Ok(());
    }
    let symmetric = network.strip_suffix("-symmetric");
    let (other, padding) = match (scheme, symmetric) {
        (Scheme::Torchvision, None) => (format!("{network}-symmetric"), "symmetrically"),
        (Scheme::HuggingFace, Some(plain)) => (plain.to_owned(), "as TensorFlow does"),
        _ => return Ok(()),
    };
    let reason = format!("its tensors are named by {}, whose EfficientNets pad {padding}", scheme.name());
    Err(WeightError::OtherNetwork { file: file.to_owned(), network: network.to_owned(), other, reason })
}

/// All names of the network's tensors.
fn own_names(network: &Network) -> BTreeSet<String> {
    network.state().into_iter().map(|parameter| parameter.name).collect()
}

/// Tensors that the trunk needs and that are not there; of the head too, up to the last unit of which any is there.
fn missing(network: &Network, tensors: &BTreeMap<String, Tensor>) -> Vec<String> {
    let names = |unit: &Unit| -> Vec<String> {
        unit.state().into_iter().filter(|one| one.role != Role::Counter).map(|one| one.name).collect()
    };
    let mut units = network.units();
    let head = network.head_units(network.classes());
    let present = |unit: &Unit| names(unit).iter().any(|name| tensors.contains_key(name));
    let reached = head.iter().rposition(present).map_or(0, |last| last + 1);
    units.extend_from_slice(&head[..reached]);
    units.iter().flat_map(names).filter(|name| !tensors.contains_key(name)).collect()
}

/// Three parts in the order of their numbers, one below the other.
fn join(parts: &BTreeMap<usize, &Tensor>) -> Option<Tensor> {
    let first = parts.get(&0)?;
    if !parts.keys().copied().eq(0..3) || parts.values().any(|part| part.shape != first.shape) {
        return None;
    }
    let mut shape = first.shape.clone();
    *shape.first_mut()? *= 3;
    let values = parts.values().flat_map(|part| part.values.iter().copied()).collect();
    Some(Tensor { shape, values })
}

/// The first few names, and how many more there are.
fn told(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_TOLD).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = names.len().saturating_sub(NAMES_TOLD);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// A name behind an optional beginning.
fn without<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// The number before a dot, and the rest.
fn number(name: &str) -> Option<(usize, &str)> {
    let (digits, rest) = name.split_once('.')?;
    // A number is written one way only: `01` is a stranger.
    let value: usize = digits.parse().ok().filter(|value: &usize| value.to_string() == digits)?;
    Some((value, rest))
}
