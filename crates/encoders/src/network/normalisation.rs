//! How pixels become a network's input.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest mean or deviation that pixels in 0..1 are taken to have, with room for unusual scalings.
const LARGEST: f64 = 2.0;

/// Mean and deviation of each channel, for pixels scaled to 0..1: normalised = (pixel / 255 - mean) / deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// Subtracted, red, green, blue.
    pub mean: [f64; 3],
    /// Divided by.
    pub deviation: [f64; 3],
}

impl Normalisation {
    /// ImageNet's.
    pub const IMAGENET: Normalisation = Normalisation { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] };
    /// CIFAR-10's as OpenOOD and the DICE networks have it.
    pub const CIFAR: Normalisation =
        Normalisation { mean: [0.4914, 0.4822, 0.4465], deviation: [0.2023, 0.1994, 0.2010] };
    /// To -1..1.
    pub const HALF: Normalisation = Normalisation { mean: [0.5; 3], deviation: [0.5; 3] };
    /// EfficientNet-Lite's: (x - 127) / 128 on pixels of 0..255.
    pub const LITE: Normalisation = Normalisation { mean: [127.0 / 255.0; 3], deviation: [128.0 / 255.0; 3] };

    /// Factor and shift of each channel: normalised = pixel · factor + shift, pixels in 0..255.
    #[must_use]
    pub fn factors(&self) -> [(f32, f32); 3] {
        if *self == Normalisation::LITE {
            // Both exact in f32, which quotients of 255ths are not.
            return [(1.0 / 128.0, -127.0 / 128.0); 3];
        }
        std::array::from_fn(|c| {
            ((1.0 / (255.0 * self.deviation[c])) as f32, (-self.mean[c] / self.deviation[c]) as f32)
        })
    }

    /// Whether the numbers can be those of pixels in 0..1: finite, deviations above zero, none beyond 2. Means of
    /// pixels in 0..255 are a common mistake, which would make all images nearly alike.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mean = |mean: &f64| mean.is_finite() && mean.abs() <= LARGEST;
        self.mean.iter().all(mean) && self.deviation.iter().all(|deviation| *deviation > 0.0 && *deviation <= LARGEST)
    }
}
