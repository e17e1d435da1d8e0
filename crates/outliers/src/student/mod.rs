//! Students: networks that learn classes from labels, a frozen teacher and outliers, as OAL trains them.
//!
//! `loss = cross-entropy + 4 logits + 8 features + 0.1 boundary + 0.2 diffusion`, each weight a setting, so that cross-entropy alone,
//! distillation alone, or random vectors in the place of outliers are settings too. The optimiser is SGD with Nesterov momentum, its rate
//! falls along a cosine with every step (OAL's `oal_trainer.py`; OpenOOD's `lr_scheduler.py`).
//!
//! All random numbers are functions of (seed, epoch, step or sample): a training that is continued from a checkpoint equals one that was
//! never interrupted, to the bit, on any number of threads.

mod body;
mod checkpoint;
mod config;
mod input;
mod lesson;
mod objective;
mod optimiser;
#[cfg(test)]
mod tests;
mod train;
mod trained;

pub use config::{Keep, StudentConfig, StudentNetwork, StudentTrainConfig, Terms};
pub use lesson::{HeldOut, Lesson, Pixels, TeacherView};
pub use train::Student;
pub use trained::{Curve, Curves, StudentOutput, TrainedStudent};
