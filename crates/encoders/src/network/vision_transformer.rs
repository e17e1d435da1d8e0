//! ViT-B/16 (Dosovitskiy et al., ICLR 2021), names as in timm: OAL's teacher.
//!
//! Each block is a tap: its 14 × 14 patch tokens as a map, the class token left out. The penultimate vector is the class
//! token after the last norm.

use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

use super::{Convolution, Network, Normalisation, Readout, Step, Tap, TransformerBlock, Unit};

pub(super) const NAMES: [&str; 1] = ["vit-b16"];
const RESOLUTION: usize = 224;
const PATCH: usize = 16;
const WIDTH: usize = 768;
const HIDDEN: usize = 4 * WIDTH;
const HEADS: usize = 12;
const BLOCKS: usize = 12;
const TOKENS: usize = (RESOLUTION / PATCH) * (RESOLUTION / PATCH) + 1;

pub(super) fn named(name: &str) -> Option<Network> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let patches = Convolution {
        unit: Unit::biased("patch_embed.proj", &[WIDTH, 3, PATCH, PATCH]),
        stride: PATCH,
        padding: Padding::default(),
        activation: Activation::None,
        from: 0,
        to: 1,
        residual: None,
        append: false,
    };
    let class_token = Unit::tensor("cls_token", &[1, 1, WIDTH]);
    let positions = Unit::tensor("pos_embed", &[1, TOKENS, WIDTH]);
    let mut trunk = vec![Step::Convolve(patches), Step::Tokens { class_token, positions, from: 1, to: 2 }];
    for block in 0..BLOCKS {
        let part = |part: &str| format!("blocks.{block}.{part}");
        trunk.push(Step::Transform(Box::new(TransformerBlock {
            norm1: Unit::layer_norm(part("norm1"), WIDTH),
            qkv: Unit::biased(part("attn.qkv"), &[3 * WIDTH, WIDTH]),
            project: Unit::biased(part("attn.proj"), &[WIDTH, WIDTH]),
            norm2: Unit::layer_norm(part("norm2"), WIDTH),
            expand: Unit::biased(part("mlp.fc1"), &[HIDDEN, WIDTH]),
            contract: Unit::biased(part("mlp.fc2"), &[WIDTH, HIDDEN]),
            heads: HEADS,
            map: 2,
        })));
        let name = format!("block{}", block + 1);
        trunk.push(Step::Tap(Tap { name, channels: WIDTH, stride: PATCH, from: 2, skip: 1 }));
    }
    trunk.push(Step::NormaliseTokens { norm: Unit::layer_norm("norm", WIDTH), from: 2, to: 1 });
    Some(Network {
        name,
        nominal_resolution: RESOLUTION as u32,
        fixed_resolution: true,
        normalisation: Normalisation::HALF,
        batch_norm_epsilon: 1e-5,
        trunk,
        head: Vec::new(),
        readout: Readout::ClassToken,
        last: 1,
        classifier: Unit::biased("head", &[1000, WIDTH]),
    })
}
