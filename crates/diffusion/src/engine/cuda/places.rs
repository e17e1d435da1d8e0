//! Where each parameter lies in the flat buffer.

use crate::{DiffusionError, Entry, LfdnConfig, layout};

/// A dense layer: weight `[to, from]`, bias `[to]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Linear {
    pub weight: usize,
    pub bias: usize,
    pub from: usize,
    pub to: usize,
}

/// A group norm: weight `[width]`, and its bias right behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Norm {
    pub weight: usize,
    pub bias: usize,
}

/// A residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub first_norm: Norm,
    pub first: Linear,
    /// The projection of the time embedding.
    pub shift: Option<Linear>,
    pub second_norm: Norm,
    pub second: Linear,
}

/// All of them, in the order of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    pub count: usize,
    pub input: Linear,
    pub time: Option<[Linear; 2]>,
    pub blocks: Vec<Block>,
    pub norm: Norm,
    pub output: Linear,
}

impl Places {
    pub fn new(config: LfdnConfig) -> Result<Places, DiffusionError> {
        let entries = layout(config.validate()?);
        let mut taken = Taken(entries.iter());
        let told = config.time_embedding;
        Ok(Places {
            input: taken.linear()?,
            time: if told { Some([taken.linear()?, taken.linear()?]) } else { None },
            blocks: (0..config.blocks)
                .map(|_| {
                    Ok(Block {
                        first_norm: taken.norm()?,
                        first: taken.linear()?,
                        shift: if told { Some(taken.linear()?) } else { None },
                        second_norm: taken.norm()?,
                        second: taken.linear()?,
                    })
                })
                .collect::<Result<_, DiffusionError>>()?,
            norm: taken.norm()?,
            output: taken.linear()?,
            count: entries.last().map_or(0, |entry| entry.span.end),
        })
    }
}

/// Takes parameters in order.
struct Taken<'a>(std::slice::Iter<'a, Entry>);

impl Taken<'_> {
    fn next(&mut self, sizes: usize) -> Result<&Entry, DiffusionError> {
        let unlike = || DiffusionError::Checkpoint("the layout has another form than the network".to_owned());
        self.0.next().filter(|entry| entry.shape.len() == sizes).ok_or_else(unlike)
    }

    fn linear(&mut self) -> Result<Linear, DiffusionError> {
        let weight = self.next(2)?;
        let (from, to, start) = (weight.shape[1], weight.shape[0], weight.span.start);
        Ok(Linear { weight: start, bias: self.next(1)?.span.start, from, to })
    }

    fn norm(&mut self) -> Result<Norm, DiffusionError> {
        Ok(Norm { weight: self.next(1)?.span.start, bias: self.next(1)?.span.start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_names() {
        for config in [LfdnConfig::new(3, 5, 2), LfdnConfig { time_embedding: false, ..LfdnConfig::new(3, 5, 2) }] {
            let (places, entries) = (Places::new(config).expect("small sizes"), layout(config));
            let start = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.span.start);
            let block = places.blocks[1];
            assert_eq!(Some(block.second.weight), start("res_blocks.1.out_layers.3.weight"));
            assert_eq!(Some(block.first_norm.bias), start("res_blocks.1.in_layers.0.bias"));
            assert_eq!(block.shift.map(|shift| shift.bias), start("res_blocks.1.emb_layers.1.bias"));
            assert_eq!(Some(places.output.bias), start("out.2.bias"));
            assert_eq!(places.norm.bias, places.norm.weight + config.width);
            assert_eq!(Some(places.count), config.parameter_count());
            assert_eq!((places.output.from, places.output.to), (5, 3));
        }
    }
}
