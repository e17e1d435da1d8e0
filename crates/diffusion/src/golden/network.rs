//! The network's output and its training.

use oodlab_base::Tolerance;
use oodlab_base::golden::{Findings, GoldenFile};
use oodlab_kernels::{forward_noise, zscore};

use super::{flat, layers, parameters, steps};
use crate::{AdamW, Batch, DiffusionError, LfdnEngine, Parameters, Schedule, TrainConfig, TrainState};

pub(super) fn forward(file: &GoldenFile, engine: &mut dyn LfdnEngine) -> Result<Findings, DiffusionError> {
    let model = parameters(file, "param.")?;
    let mut findings = Findings::new();

    let raw = file.tensor("raw")?.f32();
    let mut z = vec![0.0; raw.len()];
    zscore::run(&raw, &layers(file)?, &mut z).map_err(|error| DiffusionError::Setting {
        name: "layers",
        found: error.to_string(),
        expected: "the layers of the raw features".into(),
    })?;
    let want = file.tensor("z")?.f32();
    findings.add("z", Tolerance::SINGLE.compare_f32(&z, &want));

    let mut y = vec![0.0; want.len()];
    engine.predict(&model, &want, &steps(file, "t")?, &mut y)?;
    findings.add("y", Tolerance::SINGLE.compare_f32(&y, &file.tensor("y")?.f32()));
    Ok(findings)
}

pub(super) fn training(file: &GoldenFile, engine: &mut dyn LfdnEngine) -> Result<Findings, DiffusionError> {
    let config = TrainConfig {
        learning_rate: file.setting("lr")?,
        weight_decay: file.setting("weight_decay")?,
        epsilon: file.setting("eps")?,
        ema_decay: file.setting("ema_decay")?,
        ..TrainConfig::default()
    };
    config.validate()?;
    let mut state = TrainState::new(parameters(file, "param.")?);
    let network = state.parameters.config();
    let mut gradients = Parameters::zeros(network)?;
    let (schedule, optimiser) = (Schedule::published(), AdamW::new(&config));
    let z = file.tensor("z")?.f32();
    let mut findings = Findings::new();
    let mut step = 0;
    while file.tensor(&format!("loss{step}")).is_ok() {
        let t = steps(file, &format!("t{step}"))?;
        let noise = file.tensor(&format!("noise{step}"))?.f32();
        let coefficients = t.iter().map(|&t| schedule.forward(t)).collect::<Result<Vec<_>, _>>()?;
        let mut x = vec![0.0; z.len()];
        forward_noise::run(&z, &noise, &coefficients, &mut x)?;
        let batch = Batch { x: &x, t: &t, target: &z };
        if step == 0 {
            engine.gradients(&state.parameters, &batch, &mut gradients)?;
            let want = flat(file, "grad0.", Parameters::zeros(network)?)?;
            findings.add("grad0", Tolerance::SINGLE.compare_f32(gradients.values(), want.values()));
        }
        let loss = engine.train_step(&mut state, &optimiser, config.learning_rate, &[batch])?;
        let name = format!("loss{step}");
        findings.add(&name, Tolerance::SINGLE.compare([loss], file.tensor(&name)?.values.iter().copied()));
        step += 1;
    }
    engine.synchronise(&mut state)?;
    for (name, got) in [("after", &state.parameters), ("ema", &state.ema)] {
        let name = format!("{name}{step}");
        let want = flat(file, &format!("{name}."), Parameters::zeros(network)?)?;
        nearly_all(&mut findings, &name, got.values(), want.values());
    }
    Ok(findings)
}

/// 99.9 % of the elements within 2e-5, all within 5e-4: Adam divides by gradients that may be tiny.
fn nearly_all(findings: &mut Findings, name: &str, got: &[f32], want: &[f32]) {
    let near = Tolerance::absolute("2e-5 for 99.9 %", 2e-5).compare_f32(got, want);
    if near.failed * 1000 > near.count {
        findings.add(name, near);
    }
    findings.add(name, Tolerance::absolute("5e-4", 5e-4).compare_f32(got, want));
}
