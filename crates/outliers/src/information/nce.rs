//! The contrastive lower bound.

use candle_core::{D, Result, Tensor};

use super::pairs;
use crate::parameters::{Linear, Maker};

/// A critic of pairs: `softplus(v · relu(A x + B y + c) + d)`: a perceptron over x and y side by side, its first layer cut in two so that
/// all pairs of a batch cost two small products.
#[derive(Debug, Clone)]
pub(crate) struct Critic {
    of_x: Linear,
    of_y: Linear,
    last: Linear,
}

impl Critic {
    pub fn new(make: &mut Maker, name: &str, (inputs, outputs): (usize, usize), hidden: usize) -> Result<Critic> {
        Ok(Critic {
            of_x: Linear::new(make, &format!("{name}.critic.x"), inputs, hidden)?,
            of_y: Linear::new(make, &format!("{name}.critic.y"), outputs, hidden)?,
            last: Linear::new(make, &format!("{name}.critic.last"), hidden, 1)?,
        })
    }

    /// `mean_i [f(x_i, y_i) - log mean_j exp f(x_j, y_i)]`, at most `ln rows`.
    pub fn bound(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let (of_x, of_y) = (self.of_x.forward(x)?, self.of_y.forward(y)?);
        let rows = of_x.dim(0)?;
        // Row i, column j: the critic of x_j and y_i.
        let pairs = pairs::scores(&of_y, &of_x, &self.last.weight.flatten_all()?)?;
        let all = softplus(&pairs.broadcast_add(&self.last.bias)?)?;
        let own = softplus(&self.last.forward(&(of_x + of_y)?.relu()?)?)?.squeeze(1)?;
        let log_mean = (crate::distillation::log_sum_exp(&all)? - (rows as f64).ln())?;
        (own - log_mean)?.mean(D::Minus1)
    }
}

/// `log(1 + exp x)` without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()
}
