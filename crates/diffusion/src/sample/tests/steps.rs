//! The coefficients of a step, and the steps that are visited.

use proptest::prelude::*;

use super::*;
use crate::ScheduleConfig;

proptest! {
    #[test]
    fn every_legal_setting_gives_finite_steps_down_to_the_end(
        steps in 2usize..300, beta_start in 1e-5f64..0.5, widen in 1.0f64..1.9, start in 1usize..300, stride in 1usize..310,
        eta in 0.0f64..=1.0, released: bool, ddpm: bool,
    ) {
        let beta_end = (beta_start * widen).min(0.99);
        let schedule = Schedule::new(ScheduleConfig { steps, beta_start, beta_end }).expect("rising betas");
        let config = SampleConfig {
            start: start.min(steps - 1),
            stride: Stride::Every(stride),
            eta: if ddpm { 1.0 } else { eta },
            variant: if released { Variant::Released } else { Variant::Paper },
            method: if ddpm { Method::Ddpm } else { Method::Ddim },
            draws: 1,
            first_draw: 0,
        };
        let sampler = Sampler::new(&config, &schedule).expect("a legal setting");
        let found = sampler.steps();
        prop_assert_eq!(found.len() as f64, sampler.evaluations());
        prop_assert_eq!(found[0].t as usize, config.start);
        prop_assert!(found.is_sorted_by(|a, b| a.t == b.t + stride as u32));
        prop_assert!((1..=stride).contains(&(found[found.len() - 1].t as usize)));
        for Step { coefficients: c, .. } in found {
            prop_assert!(c.state.is_finite() && c.prediction.is_finite() && c.noise.is_finite() && c.noise >= 0.0, "{c:?}");
        }
    }
}

#[test]
fn in_the_papers_reading_ancestral_steps_are_ddim_with_all_noise() {
    for stride in [1, 2, 3, 7, 99] {
        let ddim = SampleConfig { start: 99, stride: Stride::Every(stride), ..SampleConfig::default() };
        let ddpm = SampleConfig { method: Method::Ddpm, ..ddim };
        let steps = |config: &SampleConfig| Sampler::new(config, &Schedule::published()).expect("valid").steps();
        for (a, b) in steps(&ddim).iter().zip(steps(&ddpm)) {
            let (a, b) = (a.coefficients, b.coefficients);
            let far = [a.state - b.state, a.prediction - b.prediction, a.noise - b.noise];
            assert!(far.iter().all(|x| x.abs() < 1e-6), "{a:?} and {b:?}");
        }
    }
}

#[test]
fn an_ancestral_step_has_the_posteriors_mean_and_variance() {
    // Equations 6 and 7 of Ho et al. 2020 with the schedule's own betas: step t -> t - 1.
    let schedule = Schedule::published();
    let config = SampleConfig { start: 60, method: Method::Ddpm, ..SampleConfig::default() };
    let steps = Sampler::new(&config, &schedule).expect("valid").steps();
    for step in &steps[..steps.len() - 1] {
        let t = step.t as usize;
        let (beta, now, before) = (schedule.betas()[t], schedule.alpha_bar()[t], schedule.alpha_bar()[t - 1]);
        let c = step.coefficients;
        let prediction = before.sqrt() * beta / (1.0 - now);
        let state = (1.0 - beta).sqrt() * (1.0 - before) / (1.0 - now);
        let variance = (1.0 - before) / (1.0 - now) * beta;
        for (found, wanted) in [(c.prediction, prediction), (c.state, state), (c.noise, variance.sqrt())] {
            assert!((f64::from(found) - wanted).abs() < 1e-6, "t = {t}: {found} instead of {wanted}");
        }
    }
}

#[test]
fn the_released_programs_last_step_stays_where_it_is() {
    for method in [Method::Ddim, Method::Ddpm] {
        let config = SampleConfig { variant: Variant::Released, method, ..SampleConfig::default() };
        let steps = Sampler::new(&config, &Schedule::published()).expect("valid").steps();
        let c = steps[2].coefficients;
        assert!((c.state - 1.0).abs() < 1e-6 && c.prediction.abs() < 1e-6 && c.noise == 0.0, "{c:?}");
    }
}

#[test]
fn a_stride_is_a_number_or_random() {
    let read = |text: &str| serde_json::from_str::<SampleConfig>(&format!("{{\"stride\": {text}}}"));
    assert_eq!(read("3").expect("a number").stride, Stride::Every(3));
    assert_eq!(read("\"random\"").expect("the word").stride, Stride::Random);
    for bad in ["-1", "2.5", "\"often\"", "null", "[1]"] {
        let message = read(bad).expect_err("no stride").to_string();
        assert!(message.contains("a number of steps or \"random\""), "{message}");
    }
    for stride in [Stride::Every(7), Stride::Random] {
        let text = serde_json::to_string(&stride).expect("plain");
        assert_eq!(serde_json::from_str::<Stride>(&text).expect("its own"), stride);
    }
}
