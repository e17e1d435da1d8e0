//! What stored detectors have in common.

use oodlab_features::Layer;

/// The number of columns of stored layers, which must follow one another from column 0.
pub(crate) fn check_layers(layers: &[Layer]) -> Result<usize, String> {
    let mut end = 0;
    for layer in layers {
        if layer.start != end || layer.end <= layer.start {
            return Err(format!("layer {:?} is out of place", layer.name));
        }
        end = layer.end;
    }
    if end == 0 { Err("no layers".to_owned()) } else { Ok(end) }
}

/// Bits of f64 losses: JSON keeps them exactly.
pub(crate) fn to_bits(losses: &[f64]) -> Vec<u64> {
    losses.iter().map(|loss| loss.to_bits()).collect()
}

/// The loss over the epochs, for a figure.
pub(crate) fn loss_curve(bits: &[u64], what: &str) -> crate::Curve {
    crate::Curve {
        name: "loss".into(),
        x_label: "epoch".into(),
        y_label: format!("training loss ({what})"),
        points: (1..).map(f64::from).zip(bits.iter().map(|&bits| f64::from_bits(bits))).collect(),
    }
}
