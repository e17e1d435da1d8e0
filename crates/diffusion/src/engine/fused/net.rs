//! Where the network's parameters lie in the flat buffer.

use std::ops::Range;

use crate::LfdnConfig;

/// A linear layer.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    pub inputs: usize,
    pub outputs: usize,
}

/// A norm's weight and bias.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    pub weight: Range<usize>,
    pub bias: Range<usize>,
}

/// A residual block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub first_norm: Scale,
    pub first: Linear,
    /// The projection of the step's embedding.
    pub told: Option<Linear>,
    pub second_norm: Scale,
    pub second: Linear,
}

/// The whole network.
#[derive(Debug, Clone)]
pub(super) struct Net {
    pub config: LfdnConfig,
    pub input: Linear,
    pub time: Option<[Linear; 2]>,
    pub blocks: Vec<Block>,
    pub norm: Scale,
    pub output: Linear,
}

/// Takes spans one after the other, in the order of [`crate::layout`].
struct Cursor(usize);

impl Cursor {
    fn span(&mut self, count: usize) -> Range<usize> {
        let first = self.0;
        self.0 += count;
        first..self.0
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        Linear { weight: self.span(inputs * outputs), bias: self.span(outputs), inputs, outputs }
    }

    fn scale(&mut self, width: usize) -> Scale {
        Scale { weight: self.span(width), bias: self.span(width) }
    }
}

impl Net {
    /// The spans of a network whose sizes are valid.
    pub(super) fn new(config: LfdnConfig) -> Net {
        let LfdnConfig { dim, width, blocks, time_embedding } = config;
        let mut cursor = Cursor(0);
        let input = cursor.linear(dim, width);
        let time = time_embedding.then(|| [cursor.linear(width, dim), cursor.linear(dim, dim)]);
        let blocks = (0..blocks).map(|_| Block {
            first_norm: cursor.scale(width),
            first: cursor.linear(width, width),
            told: time_embedding.then(|| cursor.linear(dim, width)),
            second_norm: cursor.scale(width),
            second: cursor.linear(width, width),
        });
        let blocks = blocks.collect();
        Net { config, input, time, blocks, norm: cursor.scale(width), output: cursor.linear(width, dim) }
    }
}

#[cfg(test)]
mod tests {
    use super::Net;
    use crate::{LfdnConfig, layout};

    #[test]
    fn spans_are_those_of_the_layout() {
        for time_embedding in [true, false] {
            let config = LfdnConfig { time_embedding, ..LfdnConfig::new(5, 7, 2) };
            let net = Net::new(config);
            let entries = layout(config);
            let span = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.span.clone());
            let last = &net.blocks[1];
            assert_eq!(span("input_proj.1.bias"), Some(net.input.bias));
            assert_eq!(span("time_embed.2.weight"), net.time.map(|[_, second]| second.weight));
            assert_eq!(span("res_blocks.1.in_layers.0.bias"), Some(last.first_norm.bias.clone()));
            assert_eq!(span("res_blocks.1.in_layers.2.weight"), Some(last.first.weight.clone()));
            assert_eq!(span("res_blocks.1.emb_layers.1.weight"), last.told.as_ref().map(|told| told.weight.clone()));
            assert_eq!(span("res_blocks.1.out_layers.0.weight"), Some(last.second_norm.weight.clone()));
            assert_eq!(span("res_blocks.1.out_layers.3.bias"), Some(last.second.bias.clone()));
            assert_eq!(span("out.0.bias"), Some(net.norm.bias));
            assert_eq!(span("out.2.bias"), Some(net.output.bias));
        }
    }
}
