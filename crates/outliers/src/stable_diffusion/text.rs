//! CLIP's text transformer (openai/clip-vit-large-patch14), with tokens' embeddings that may be overwritten.
//!
//! candle-transformers has the same network, but takes tokens only.

use candle_core::{D, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module, VarBuilder};

/// Sizes of a text transformer.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextSizes {
    pub vocabulary: usize,
    pub positions: usize,
    pub width: usize,
    pub hidden: usize,
    pub heads: usize,
    pub layers: usize,
}

#[derive(Debug)]
struct Layer {
    before_attention: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    before_dense: LayerNorm,
    up: Linear,
    down: Linear,
}

/// The transformer.
#[derive(Debug)]
pub(super) struct TextEncoder {
    sizes: TextSizes,
    tokens: Tensor,
    positions: Tensor,
    layers: Vec<Layer>,
    last: LayerNorm,
    mask: Tensor,
}

impl TextEncoder {
    /// Takes weights of the names that `transformers` gives them.
    pub fn new(weights: &VarBuilder, sizes: TextSizes) -> Result<TextEncoder> {
        let weights = weights.pp("text_model");
        let width = sizes.width;
        let tokens = weights.pp("embeddings.token_embedding").get((sizes.vocabulary, width), "weight")?;
        let positions = weights.pp("embeddings.position_embedding").get((sizes.positions, width), "weight")?;
        let layer = |number: usize| {
            let weights = weights.pp("encoder.layers").pp(number.to_string());
            let square = |name: &str| candle_nn::linear(width, width, weights.pp("self_attn").pp(name));
            Ok(Layer {
                before_attention: candle_nn::layer_norm(width, 1e-5, weights.pp("layer_norm1"))?,
                query: square("q_proj")?,
                key: square("k_proj")?,
                value: square("v_proj")?,
                out: square("out_proj")?,
                before_dense: candle_nn::layer_norm(width, 1e-5, weights.pp("layer_norm2"))?,
                up: candle_nn::linear(width, sizes.hidden, weights.pp("mlp.fc1"))?,
                down: candle_nn::linear(sizes.hidden, width, weights.pp("mlp.fc2"))?,
            })
        };
        let layers = (0..sizes.layers).map(layer).collect::<Result<Vec<Layer>>>()?;
        let last = candle_nn::layer_norm(width, 1e-5, weights.pp("final_layer_norm"))?;
        let n = sizes.positions;
        let mask = (0..n * n).map(|at| if at % n > at / n { f32::MIN } else { 0.0 }).collect::<Vec<f32>>();
        let mask = Tensor::from_vec(mask, (n, n), tokens.device())?;
        Ok(TextEncoder { sizes, tokens, positions, layers, last, mask })
    }

    /// Width of a token's embedding.
    pub fn width(&self) -> usize {
        self.sizes.width
    }

    /// Number of tokens of a text.
    pub fn positions(&self) -> usize {
        self.sizes.positions
    }

    /// The last hidden states `[1, positions, width]` of `positions` tokens; wherever the token of `instead` stands, its vector does.
    pub fn encode(&self, tokens: &[u32], instead: Option<(u32, &[f32])>) -> Result<Tensor> {
        let device = self.tokens.device();
        let mut rows = self.tokens.index_select(&Tensor::from_slice(tokens, tokens.len(), device)?, 0)?;
        if let Some((token, vector)) = instead {
            let vector = Tensor::from_slice(vector, (1, vector.len()), device)?;
            for (at, _) in tokens.iter().enumerate().filter(|(_, found)| **found == token) {
                rows = rows.slice_assign(&[at..at + 1, 0..self.sizes.width], &vector)?;
            }
        }
        let mut now = (rows + &self.positions)?;
        for layer in &self.layers {
            now = (&now + self.attend(layer, &layer.before_attention.forward(&now)?)?)?;
            let up = layer.up.forward(&layer.before_dense.forward(&now)?)?;
            // QuickGELU.
            let active = (&up * candle_nn::ops::sigmoid(&(&up * 1.702)?)?)?;
            now = (&now + layer.down.forward(&active)?)?;
        }
        self.last.forward(&now)?.unsqueeze(0)
    }

    fn attend(&self, layer: &Layer, input: &Tensor) -> Result<Tensor> {
        let (heads, width, n) = (self.sizes.heads, self.sizes.width, self.sizes.positions);
        let split = |values: Tensor| values.reshape((n, heads, width / heads))?.transpose(0, 1)?.contiguous();
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let query = split((layer.query.forward(input)? * scale)?)?;
        let key = split(layer.key.forward(input)?)?;
        let value = split(layer.value.forward(input)?)?;
        let scores = query.matmul(&key.transpose(1, 2)?.contiguous()?)?.broadcast_add(&self.mask)?;
        let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
        layer.out.forward(&weights.matmul(&value)?.transpose(0, 1)?.contiguous()?.reshape((n, width))?)
    }
}
