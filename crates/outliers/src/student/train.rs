//! Training of a student.

use std::collections::BTreeMap;

use candle_core::DType;
use oodlab_base::Seed;
use oodlab_diffusion::TrainContext;
use oodlab_encoders::plain::Mode;

use super::body::{Body, Shape, matrix};
use super::checkpoint::{Best, Underway};
use super::input::Input;
use super::objective::{Loss, Objective};
use super::optimiser::{Adam, Sgd, cosine};
use super::trained::{Curves, TrainedStudent};
use super::{Keep, Lesson, StudentConfig};
use crate::OutlierError;
use crate::information::Variant;
use crate::parameters::Parameter;

/// Trains students.
#[derive(Debug, Clone, Copy)]
pub struct Student;

/// One training: what does not change in it.
struct Course<'a> {
    config: &'a StudentConfig,
    lesson: &'a Lesson<'a>,
    seed: Seed,
    input: Input,
    objective: Objective<'a>,
}

impl Student {
    /// Trains a student, from the latest checkpoint if there is one.
    ///
    /// # Errors
    /// When settings are out of range, samples, labels, teacher or outliers do not fit or are missing, the loss or a weight is not finite, a
    /// checkpoint cannot be read or kept, or the work is cancelled. A checkpoint that is damaged or of another training is passed over with
    /// a warning.
    pub fn train(
        config: &StudentConfig,
        lesson: &Lesson<'_>,
        seed: Seed,
        context: &mut TrainContext<'_>,
    ) -> Result<TrainedStudent, OutlierError> {
        config.validate()?;
        lesson.check(config)?;
        let input = Input::of(config, lesson);
        let shape =
            Shape { network: config.network, dim: input.made(), hidden: config.hidden, classes: lesson.classes };
        let body = Body::new(shape, seed, DType::F32)?;
        let objective = Objective::new(config, lesson, body.width(), seed, DType::F32)?;
        Course { config, lesson, seed, input, objective }.run(body, context)
    }
}

impl Course<'_> {
    fn run(&self, fresh: Body, context: &mut TrainContext<'_>) -> Result<TrainedStudent, OutlierError> {
        let (config, rows) = (self.config, self.lesson.rows);
        let (train, steps) = (&config.train, rows.div_ceil(config.train.batch_size));
        let epochs = train.pretrain_epochs + train.epochs;
        let training = super::checkpoint::key(config, self.lesson, self.seed)?;
        let mut underway = self.resume(fresh, &training, context)?;
        let begun = underway.epoch * rows + underway.step * train.batch_size;
        let task = context.progress.task("training", "samples", (epochs * rows) as u64, begun as u64);
        for epoch in underway.epoch..epochs {
            let order = self.seed.stream("student order").child(epoch as u64).permutation(rows);
            for (step, chosen) in order.chunks(train.batch_size).enumerate().skip(underway.step) {
                context.cancel.check()?;
                self.step(&mut underway, (epoch, step, steps), chosen)?;
                task.advance(chosen.len() as u64);
                let every = context.checkpoint_every_steps;
                let keep = every > 0 && (epoch * steps + step + 1).is_multiple_of(every) && step + 1 < steps;
                if keep && context.checkpoints.due(false) {
                    underway.save(self.auxiliary(), &training, (epoch * steps + step + 1) as u64, context)?;
                }
            }
            self.finish_epoch(&mut underway)?;
            let loss = underway.curves.last("loss").unwrap_or(f64::NAN);
            task.remark(&format!("epoch {}/{epochs}, loss {loss:.4}", epoch + 1));
            tracing::debug!(epoch = epoch + 1, loss, "epoch finished");
            let every = context.checkpoint_every;
            let keep = every > 0 && (epoch + 1).is_multiple_of(every) && epoch + 1 < epochs;
            if keep && context.checkpoints.due(true) {
                underway.save(self.auxiliary(), &training, ((epoch + 1) * steps) as u64, context)?;
            }
        }
        let Underway { body, best, curves, .. } = underway;
        let body = match best {
            Some(best) => body.with_state(best.state)?,
            None => body,
        };
        Ok(TrainedStudent::new(body, self.input.clone(), curves))
    }

    /// Parameters beside the student's: the projector's and the measuring networks', in a fixed order.
    fn auxiliary(&self) -> Vec<&Parameter> {
        let measures = self.objective.measures().iter().flat_map(|measure| &measure.parameters);
        self.objective.projector().iter().chain(measures).collect()
    }

    fn resume(&self, fresh: Body, training: &str, context: &mut TrainContext<'_>) -> Result<Underway, OutlierError> {
        let latest = context.checkpoints.latest();
        let latest = latest.map_err(|source| OutlierError::Keeper { action: "read", source })?;
        let shape = fresh.shape();
        let auxiliary = self.auxiliary();
        if let Some(bytes) = latest {
            match Underway::read(&bytes, training, self.config, self.lesson.rows, shape, &auxiliary) {
                Ok(found) => {
                    tracing::info!(epoch = found.epoch, step = found.step, "training continues from a checkpoint");
                    return Ok(found);
                }
                Err(reason) => tracing::warn!("training begins anew, its checkpoint cannot be used: {reason}"),
            }
        }
        let sgd = {
            let all: Vec<&Parameter> = fresh.trained().iter().chain(auxiliary.iter().copied()).collect();
            Sgd::new(&all, self.config.train.momentum, self.config.train.weight_decay)
        };
        let adam = Adam::new(&self.measuring());
        Ok(Underway {
            body: fresh,
            sgd,
            adam,
            epoch: 0,
            step: 0,
            sums: BTreeMap::new(),
            curves: Curves::default(),
            best: None,
        })
    }

    /// The measuring networks' parameters.
    fn measuring(&self) -> Vec<&Parameter> {
        self.objective.measures().iter().flat_map(|measure| &measure.parameters).collect()
    }

    /// One step: the measuring networks are fitted first, where they have an optimiser of their own.
    fn step(&self, underway: &mut Underway, place: (usize, usize, usize), rows: &[usize]) -> Result<(), OutlierError> {
        let (epoch, step, steps) = place;
        let train = &self.config.train;
        let pretraining = epoch < train.pretrain_epochs;
        if step == 0 && epoch == train.pretrain_epochs {
            underway.sgd.reset();
        }
        let draws = train.augment.then(|| self.seed.stream("student augmentation").child(epoch as u64));
        let x = matrix(self.input.batch(self.lesson.samples, rows, draws), self.input.made(), DType::F32)?;
        let (features, logits) = underway.body.forward(&x, Mode::Train)?;
        let stream = self.seed.stream("student outliers").child(epoch as u64).child(step as u64);
        let mut paired = Vec::new();
        if !pretraining {
            for (number, measure) in self.objective.measures().iter().enumerate() {
                paired.push(self.objective.outliers(measure, rows, stream.child(number as u64))?);
            }
            if self.config.information.variant == Variant::Corrected {
                self.fit_measures(underway, &paired, &features.detach())?;
            }
        }
        let Loss { total, terms } = self.objective.loss(rows, (&features, &logits), &paired, pretraining)?;
        let value = f64::from(total.to_scalar::<f32>()?);
        let mut values = vec![("loss", value)];
        for (name, term) in &terms {
            values.push((name, f64::from(term.to_scalar::<f32>()?)));
        }
        if values.iter().any(|(_, value)| !value.is_finite()) {
            let told: Vec<String> = values[1..].iter().map(|(name, value)| format!("{name} {value}")).collect();
            let terms = told.join(", ");
            return Err(OutlierError::NonFiniteLoss { loss: value, epoch: epoch + 1, step: step + 1, terms });
        }
        for (name, value) in values {
            *underway.sums.entry(name.to_owned()).or_default() += value * rows.len() as f64;
        }
        let right = rows.iter().zip(super::trained::arg_max(&logits)?);
        let right = right.filter(|(row, class)| self.lesson.labels[**row] == *class).count();
        *underway.sums.entry("accuracy".to_owned()).or_default() += right as f64;

        let (at, of, rate) = match pretraining {
            true => (epoch * steps + step, train.pretrain_epochs * steps, train.pretrain_rate),
            false => ((epoch - train.pretrain_epochs) * steps + step, train.epochs * steps, train.learning_rate),
        };
        // One factor for all groups, as torch's LambdaLR has it.
        let factor = cosine(at, of, train.last_rate / rate);
        let Underway { body, sgd, .. } = underway;
        let auxiliary = self.auxiliary();
        let mut rates = vec![rate * factor; body.trained().len()];
        rates.extend(self.objective.projector().iter().map(|_| train.projector_rate * factor));
        // Measuring networks with an optimiser of their own do not move here.
        let measuring = match self.config.information.variant {
            Variant::Released => self.config.information.learning_rate * factor,
            Variant::Corrected => 0.0,
        };
        rates.resize(body.trained().len() + auxiliary.len(), measuring);
        let all: Vec<&Parameter> = body.trained().iter().chain(auxiliary).collect();
        sgd.step(&all, &rates, &total.backward()?)?;
        underway.step = step + 1;
        Ok(())
    }

    fn fit_measures(
        &self,
        underway: &mut Underway,
        paired: &[candle_core::Tensor],
        features: &candle_core::Tensor,
    ) -> Result<(), OutlierError> {
        let mut total: Option<candle_core::Tensor> = None;
        for (measure, x) in self.objective.measures().iter().zip(paired) {
            let loss = measure.estimator.fit(x, &features.narrow(0, 0, x.dim(0)?)?)?;
            total = Some(match total {
                Some(total) => (total + loss)?,
                None => loss,
            });
        }
        if let Some(total) = total {
            underway.adam.step(&self.measuring(), self.config.information.fit_rate, &total.backward()?)?;
        }
        Ok(())
    }

    /// Means of the epoch, accuracy on held-out samples, and the best weights so far.
    fn finish_epoch(&self, underway: &mut Underway) -> Result<(), OutlierError> {
        let rows = self.lesson.rows as f64;
        let mut count = 0;
        for parameter in underway.body.trained().iter().chain(self.auxiliary()) {
            count += parameter.values()?.iter().filter(|value| !value.is_finite()).count();
        }
        underway.epoch += 1;
        if count > 0 {
            return Err(OutlierError::NonFiniteWeights { count, epoch: underway.epoch });
        }
        let sums = std::mem::take(&mut underway.sums);
        for (name, sum) in sums {
            underway.curves.push(&name, underway.epoch, sum / rows);
        }
        if let Some(held) = &self.lesson.validation
            && !held.labels.is_empty()
        {
            let output = super::trained::predict(&underway.body, &self.input, held.samples)?;
            let accuracy = output.accuracy(held.labels);
            underway.curves.push("validation_accuracy", underway.epoch, accuracy);
            let better = underway.best.as_ref().is_none_or(|best| accuracy > best.accuracy);
            // A student that has only pretrained is not what was asked for.
            if self.config.train.keep == Keep::Best && better && underway.epoch > self.config.train.pretrain_epochs {
                let state = underway.body.state()?;
                underway.best = Some(Best { epoch: underway.epoch, accuracy, state });
            }
        }
        underway.step = 0;
        Ok(())
    }
}
