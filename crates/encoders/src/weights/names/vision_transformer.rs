//! ViT's names in torchvision and transformers. timm's are the network's own, and those of DINO and MAE, whose files have
//! no classifier.

use super::{Place, Places, Scheme, number, without};

/// A name that only files of that program have.
pub(super) const MARKS: [(&str, Scheme); 3] = [
    ("conv_proj.weight", Scheme::Torchvision),
    ("vit.embeddings.patch_embeddings.projection.weight", Scheme::HuggingFace),
    ("embeddings.patch_embeddings.projection.weight", Scheme::HuggingFace),
];

pub(super) fn places<'a>(scheme: Scheme) -> Places<'a> {
    match scheme {
        Scheme::Torchvision => Box::new(torchvision),
        _ => Box::new(|name| hugging_face(without(name, "vit."))),
    }
}

fn torchvision(name: &str) -> Option<Place> {
    let native = match name {
        "class_token" => "cls_token".to_owned(),
        "encoder.pos_embedding" => "pos_embed".to_owned(),
        _ => {
            let (layer, leaf) = name.rsplit_once('.')?;
            match layer.strip_prefix("encoder.layers.encoder_layer_").and_then(number) {
                Some((block, "self_attention")) => match leaf {
                    "in_proj_weight" => format!("blocks.{block}.attn.qkv.weight"),
                    "in_proj_bias" => format!("blocks.{block}.attn.qkv.bias"),
                    _ => return None,
                },
                Some((block, part)) => {
                    let native = match part {
                        "ln_1" => "norm1",
                        "self_attention.out_proj" => "attn.proj",
                        "ln_2" => "norm2",
                        // Files from before torchvision 0.14 have the second names.
                        "mlp.0" | "mlp.linear_1" => "mlp.fc1",
                        "mlp.3" | "mlp.linear_2" => "mlp.fc2",
                        _ => return None,
                    };
                    format!("blocks.{block}.{native}.{leaf}")
                }
                None => {
                    let native = match layer {
                        "conv_proj" => "patch_embed.proj",
                        "encoder.ln" => "norm",
                        "heads.head" => "head",
                        _ => return None,
                    };
                    format!("{native}.{leaf}")
                }
            }
        }
    };
    Some(Place::At(native))
}

fn hugging_face(name: &str) -> Option<Place> {
    let native = match name {
        "embeddings.cls_token" => "cls_token".to_owned(),
        "embeddings.position_embeddings" => "pos_embed".to_owned(),
        _ => {
            let (layer, leaf) = name.rsplit_once('.')?;
            // Since transformers 5 a model in memory has `layers`; files have `encoder.layer`.
            let block = layer.strip_prefix("encoder.layer.").or_else(|| layer.strip_prefix("layers.")).and_then(number);
            match block {
                Some((block, part)) => {
                    let native = match part {
                        "attention.attention.query" | "attention.q_proj" => return Some(qkv(block, leaf, 0)),
                        "attention.attention.key" | "attention.k_proj" => return Some(qkv(block, leaf, 1)),
                        "attention.attention.value" | "attention.v_proj" => return Some(qkv(block, leaf, 2)),
                        "attention.output.dense" | "attention.o_proj" => "attn.proj",
                        "intermediate.dense" | "mlp.fc1" => "mlp.fc1",
                        "output.dense" | "mlp.fc2" => "mlp.fc2",
                        "layernorm_before" => "norm1",
                        "layernorm_after" => "norm2",
                        _ => return None,
                    };
                    format!("blocks.{block}.{native}.{leaf}")
                }
                None => {
                    let native = match layer {
                        "embeddings.patch_embeddings.projection" => "patch_embed.proj",
                        "layernorm" => "norm",
                        "classifier" => "head",
                        // A layer behind the class token, trained for another task; the features are taken before it.
                        "pooler.dense" => return Some(Place::Unread),
                        _ => return None,
                    };
                    format!("{native}.{leaf}")
                }
            }
        }
    };
    Some(Place::At(native))
}

/// Query, key and value are one product here, in this order.
fn qkv(block: usize, leaf: &str, part: usize) -> Place {
    Place::Part(format!("blocks.{block}.attn.qkv.{leaf}"), part)
}
