//! A small U-Net in the manner of Ho et al. (2020): three resolutions, one residual block each on the way down and up, two between; GroupNorm
//! of 8 groups, SiLU, the step added in every block. No attention and no dropout.

use candle_core::{Device, Result, Tensor};

use super::doubled::doubled;
use super::group_norm::GROUPS;
use crate::small::{LayoutBuilder, Taken};
use crate::{DiffusionError, Entry, time_embedding};

/// Channels of the first map, at most.
const MOST_CHANNELS: usize = 128;
const MOST_SIDE: usize = 256;

/// Sizes of the network: `channels` at full size, two and four times as many at the half and the quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unet {
    pub side: usize,
    pub channels: usize,
}

impl Unet {
    pub fn new(side: usize, channels: usize) -> std::result::Result<Unet, DiffusionError> {
        let refuse = |name, found: usize, expected: &str| {
            Err(DiffusionError::Setting { name, found: found.to_string(), expected: expected.to_owned() })
        };
        if !(4..=MOST_SIDE).contains(&side) || !side.is_multiple_of(4) {
            return refuse("side of the images", side, "a multiple of 4 from 4 to 256");
        }
        if !(GROUPS..=MOST_CHANNELS).contains(&channels) || !channels.is_multiple_of(GROUPS) {
            return refuse("network.channels", channels, "a multiple of 8 from 8 to 128");
        }
        Ok(Unet { side, channels })
    }

    pub fn layout(&self) -> Vec<Entry> {
        let [full, half, quarter] = [1, 2, 4].map(|times| times * self.channels);
        let mut layout = LayoutBuilder::default();
        layout.linear("time.0", full, quarter, 1.0);
        layout.linear("time.1", quarter, quarter, 1.0);
        layout.convolution("in", 3, full, 3, 1.0);
        block_layout(&mut layout, "down.0", full, full, quarter);
        layout.convolution("down.1.in", full, half, 3, 1.0);
        block_layout(&mut layout, "down.1", half, half, quarter);
        layout.convolution("down.2.in", half, quarter, 3, 1.0);
        block_layout(&mut layout, "between.0", quarter, quarter, quarter);
        block_layout(&mut layout, "between.1", quarter, quarter, quarter);
        layout.convolution("up.1.in", quarter, half, 3, 1.0);
        block_layout(&mut layout, "up.1", 2 * half, half, quarter);
        layout.convolution("up.0.in", half, full, 3, 1.0);
        block_layout(&mut layout, "up.0", 2 * full, full, quarter);
        layout.norm("out.norm", full);
        layout.convolution("out", full, 3, 3, 0.0);
        layout.0
    }

    /// The noise in `x`, `[rows, 3 side side]`, of the steps `t`, `[rows]`.
    pub fn forward(&self, p: &mut Taken<'_>, x: &Tensor, t: &[u32]) -> Result<Tensor> {
        let table = time_embedding::table(t, self.channels);
        let time = Tensor::from_vec(table, (t.len(), self.channels), &Device::Cpu)?;
        let time = p.linear(&time)?.silu()?;
        let time = p.linear(&time)?.silu()?;
        let x = x.reshape((t.len(), 3, self.side, self.side))?;
        let x = p.convolution(&x, 1)?;
        let full = block(p, &x, &time)?;
        let x = p.convolution(&full, 2)?;
        let half = block(p, &x, &time)?;
        let x = p.convolution(&half, 2)?;
        let x = block(p, &x, &time)?;
        let x = block(p, &x, &time)?;
        let x = p.convolution(&doubled(&x)?, 1)?;
        let x = block(p, &Tensor::cat(&[&x, &half], 1)?, &time)?;
        let x = p.convolution(&doubled(&x)?, 1)?;
        let x = block(p, &Tensor::cat(&[&x, &full], 1)?, &time)?;
        let x = p.norm_silu(&x)?;
        p.convolution(&x, 1)?.flatten_from(1)
    }
}

fn block_layout(layout: &mut LayoutBuilder, name: &str, from: usize, to: usize, time: usize) {
    layout.norm(&format!("{name}.norm.0"), from);
    layout.convolution(&format!("{name}.convolution.0"), from, to, 3, 1.0);
    layout.linear(&format!("{name}.time"), time, to, 1.0);
    layout.norm(&format!("{name}.norm.1"), to);
    layout.convolution(&format!("{name}.convolution.1"), to, to, 3, 0.0);
    if from != to {
        layout.convolution(&format!("{name}.shortcut"), from, to, 1, 0.7);
    }
}

/// A residual block. `time`: `[rows, width]`.
fn block(p: &mut Taken<'_>, x: &Tensor, time: &Tensor) -> Result<Tensor> {
    let h = p.norm_silu(x)?;
    let h = p.convolution(&h, 1)?;
    let shift = p.linear(time)?;
    let (rows, channels) = shift.dims2()?;
    let h = h.broadcast_add(&shift.reshape((rows, channels, 1, 1))?)?;
    let h = p.norm_silu(&h)?;
    let h = p.convolution(&h, 1)?;
    if x.dim(1)? == channels { h + x } else { h + p.convolution(x, 1)? }
}
