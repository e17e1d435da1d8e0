//! What tests of losses share: everything in f64, where central differences tell more than rounding.

use candle_core::{DType, Device, Result, Tensor, Var};
use oodlab_base::Seed;

use crate::parameters::{Maker, Parameter};

/// Makes layers of double precision.
pub(crate) fn maker(seed: u64) -> Maker {
    Maker::new(Seed(seed), DType::F64)
}

/// Normal draws of a stream of that name, in f64.
pub(crate) fn normals(name: &str, shape: &[usize]) -> Tensor {
    let mut values = vec![0.0f32; shape.iter().product()];
    oodlab_kernels::normal::fill(Seed(11).stream(name), 0, &mut values);
    Tensor::from_vec(values, shape, &Device::Cpu).and_then(|t| t.to_dtype(DType::F64)).expect("a tensor")
}

/// The value of a loss.
pub(crate) fn scalar(loss: Result<Tensor>) -> f64 {
    loss.and_then(|loss| loss.to_dtype(DType::F64)?.to_scalar()).expect("a scalar")
}

/// All values of a tensor.
pub(crate) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1()).expect("values")
}

/// The gradient of a loss by its argument, against central differences along a few random directions.
pub(crate) fn check_gradient(at: &Tensor, loss: impl Fn(&Tensor) -> Result<Tensor>) {
    let var = Var::from_tensor(at).expect("a variable");
    let parameter = Parameter { name: "argument".to_owned(), var: var.clone() };
    check_parameters(&[parameter], || loss(var.as_tensor()));
}

/// The gradient of a loss by each parameter, against central differences along random directions.
pub(crate) fn check_parameters(parameters: &[Parameter], loss: impl Fn() -> Result<Tensor>) {
    const LENGTH: f64 = 1e-6;
    let found = loss().and_then(|loss| loss.backward()).expect("a gradient");
    for Parameter { name, var } in parameters {
        let before = flat(var);
        let gradient = flat(found.get(var).unwrap_or_else(|| panic!("{name}: no gradient reaches it")));
        for trial in 0..3 {
            let direction = Seed(trial).stream(name);
            let direction: Vec<f64> = (0..before.len() as u64).map(|i| f64::from(direction.normal(i))).collect();
            let step = LENGTH / direction.iter().map(|d| d * d).sum::<f64>().sqrt();
            let at = |sign: f64| {
                let moved: Vec<f64> = before.iter().zip(&direction).map(|(x, d)| x + sign * step * d).collect();
                var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).expect("a tensor"))
                    .expect("the same shape");
                scalar(loss())
            };
            let numeric = (at(1.0) - at(-1.0)) / (2.0 * step);
            let analytic: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let scale = 1e-5 * numeric.abs().max(analytic.abs()) + 1e-4;
            assert!((numeric - analytic).abs() < scale, "{name}: {numeric} against {analytic}");
        }
        var.set(&Tensor::from_vec(before, var.shape(), &Device::Cpu).expect("a tensor")).expect("the same shape");
    }
}
