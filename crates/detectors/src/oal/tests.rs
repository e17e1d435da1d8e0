use serde_json::json;

use super::*;
use crate::rule::testing::{Samples, check_contract, fit, score};

fn small(extra: Value) -> Value {
    let mut all = json!({
        "student": {"hidden": 8},
        "boundary": {"neighbour": 5, "border": 4, "candidates": 20, "repetitions": 2},
        "diffusion": {"rows": 12, "width": 6},
        "train": {"epochs": 6, "batch_size": 16, "learning_rate": 0.05, "keep": "best"},
    });
    if let (Value::Object(all), Value::Object(extra)) = (&mut all, extra) {
        all.extend(extra);
    }
    all
}

fn built(extra: Value, scores: &[&str]) -> Box<dyn Detector> {
    let scores: Vec<ScoreSpec> = scores.iter().map(|name| ScoreSpec::plain(name)).collect();
    build(small(extra), &scores).expect("good settings")
}

#[test]
fn it_keeps_the_promises_of_all_detectors() {
    check_contract(built(json!({}), &["msp"]).as_ref());
}

#[test]
fn other_detectors_score_what_the_student_says() {
    let pca = json!({"pca": {"scores": ["mse"]}});
    let asked =
        [json!("energy"), json!("msp"), json!("max-logit"), json!("mean-distance"), pca, json!("knn"), json!("vim")];
    let asked: Vec<ScoreSpec> = asked.iter().map(|asked| ScoreSpec::parse(asked).expect("a score")).collect();
    let detector = build(small(json!({})), &asked).expect("good settings");
    assert_eq!(detector.score_names(), ["energy", "msp", "max-logit", "mean-distance", "pca-mse", "knn", "vim"]);
    let (train, inside) = (Samples::new(90, true), Samples::new(40, true));
    let fitted = fit(detector.as_ref(), &train).expect("fits");
    let bytes = fitted.to_bytes().expect("bytes");
    let loaded = detector.load(&bytes).expect("its own bytes");
    assert!(loaded.to_bytes().expect("bytes") == bytes);
    let found = score(loaded.as_ref(), &inside, 0).expect("scores");
    assert_eq!(found, score(fitted.as_ref(), &inside, 0).expect("scores"));
    // The energy alone is that of the same student.
    let alone = fit(built(json!({}), &[]).as_ref(), &train).expect("fits");
    assert_eq!(score(alone.as_ref(), &inside, 0).expect("scores"), found);
    let curves: Vec<String> = loaded.curves().into_iter().map(|curve| curve.name).collect();
    for name in ["loss", "cross_entropy", "logits", "features", "boundary", "diffusion", "validation_accuracy"] {
        assert!(curves.contains(&name.to_owned()), "{curves:?}");
    }
    // What was fitted for other scores is refused.
    assert!(matches!(built(json!({}), &["mean-distance"]).load(&bytes), Err(DetectorError::Stored { .. })));
}

/// Parts in memory.
#[derive(Default)]
struct Kept(std::collections::BTreeMap<String, Vec<u8>>, usize);

impl crate::Parts for Kept {
    fn load(&mut self, name: &str, config: &Value) -> Result<Option<Vec<u8>>, oodlab_diffusion::KeeperError> {
        Ok(self.0.get(&format!("{name} {config}")).cloned())
    }

    fn save(&mut self, name: &str, config: &Value, bytes: &[u8]) -> Result<(), oodlab_diffusion::KeeperError> {
        self.1 += 1;
        self.0.insert(format!("{name} {config}"), bytes.to_vec());
        Ok(())
    }
}

#[test]
fn one_student_serves_all_lists_of_scores() {
    let train = Samples::new(90, true);
    let mut kept = Kept::default();
    let mut bytes = Vec::new();
    for scores in [&["energy"][..], &["mean-distance", "energy"]] {
        let detector = built(json!({"train": {"epochs": 2}}), scores);
        let labeled =
            Labeled { given: train.given(), labels: &train.labels, classes: 3, validation: None, teacher: None };
        let mut context = FitContext {
            seed: oodlab_base::Seed(5),
            progress: &oodlab_base::Silent,
            cancel: &oodlab_base::Cancel::new(),
            checkpoints: &mut oodlab_diffusion::NoCheckpoints,
            checkpoint_every: 0,
            checkpoint_every_steps: 0,
            compute: &oodlab_diffusion::Compute::processor(),
            validation: None,
            parts: &mut kept,
        };
        let fitted = detector.supervised().expect("learns classes").fit_labeled(&labeled, &mut context);
        bytes.push(fitted.expect("fits").to_bytes().expect("bytes"));
    }
    assert!(kept.1 == 1 && bytes[0] != bytes[1]);
}

#[test]
fn needs_follow_the_terms() {
    let needs = |extra| built(extra, &[]).needs();
    let all = needs(json!({}));
    assert!(all.features && all.labels && all.penultimate && all.logits && all.id_validation && !all.ood_validation);
    let plain = json!({"terms": {"logits": 0.0, "features": 0.0, "boundary": 0.0}, "train": {}});
    let plain = needs(plain);
    assert_eq!(plain, Needs { features: true, labels: true, ..Needs::default() });
    let taught = built(json!({"teacher": {"network": "resnet20"}}), &[]);
    assert!(!taught.needs().penultimate && !taught.needs().logits && taught.teacher().is_some());
    let untaught =
        json!({"teacher": {"network": "resnet20"}, "terms": {"logits": 0.0, "features": 0.0, "boundary": 0.0}});
    assert!(built(untaught, &[]).teacher().is_none());
}

#[test]
fn settings_and_scores_that_cannot_be_are_named() {
    let told =
        |extra: Value, scores: &[ScoreSpec]| build(small(extra), scores).expect_err("must be refused").to_string();
    assert!(told(json!({"terms": {"logit": 1}}), &[]).contains("known keys"));
    assert!(told(json!({"terms": {"logits": -1.0}}), &[]).contains("terms.logits"));
    assert!(told(json!({"diffusion": {"rows": 0}}), &[]).contains("diffusion.rows"));
    assert!(told(json!({}), &[ScoreSpec::plain("oal")]).contains("unknown score \"oal\""));
    assert!(told(json!({}), &[ScoreSpec::plain("pca")]).contains("needs at least 2 layers"));
    assert!(told(json!({}), &[ScoreSpec::plain("energi")]).contains("did you mean \"energy\""));
    assert!(told(json!({}), &[ScoreSpec::plain("msp"), ScoreSpec::plain("msp")]).contains("listed twice"));
    let network = json!({"student": {"network": "resnet18-32"}, "boundary": {"neighbour": 5, "border": 4}});
    let found = fit(built(network, &[]).as_ref(), &Samples::new(90, true)).expect_err("features are no images");
    assert!(found.to_string().contains("network: pixels"), "{found}");
    let few = fit(built(json!({"boundary": {"neighbour": 40, "border": 4}}), &[]).as_ref(), &Samples::new(90, true));
    assert!(few.expect_err("too few").to_string().contains("class 0 has 30 samples"));
}

#[test]
fn outliers_come_from_where_the_settings_say() {
    let latent =
        json!({"drive": "off-manifold", "steps": 3, "network": {"width": 8, "blocks": 1}, "train": {"epochs": 2}});
    let boundary = json!({"neighbour": 5, "border": 4});
    let mut found = Vec::new();
    for drive in ["boundary", "off-manifold"] {
        let mut latent = latent.clone();
        latent["drive"] = json!(drive);
        let diffusion = json!({"source": "latent", "rows": 12, "latent": latent});
        let settings = json!({"diffusion": diffusion, "boundary": boundary, "information": {"variant": "released"}});
        let fitted = fit(built(settings, &[]).as_ref(), &Samples::new(90, true)).expect("fits");
        found.push(fitted.to_bytes().expect("bytes"));
    }
    assert!(found[0] != found[1]);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("latents.npy");
    let mut bytes = oodlab_formats::npy::header("<f4", &[6, 2]);
    bytes.extend((0..12).flat_map(|i| (i as f32).sin().to_le_bytes()));
    std::fs::write(&path, &bytes).expect("written");
    let settings = |sha256: &str| json!({"diffusion": {"source": "precomputed", "path": path, "sha256": sha256}, "boundary": boundary, "information": {"variant": "released"}});
    let told = |settings| fit(built(settings, &[]).as_ref(), &Samples::new(90, true)).expect_err("refused").to_string();
    assert!(told(settings("00")).contains("expected 00"));
    let sum = oodlab_encoders::weights::sha256_hex(&bytes);
    fit(built(settings(&sum), &[]).as_ref(), &Samples::new(90, true)).expect("fits");
    let missing = build(small(json!({"diffusion": {"source": "precomputed"}})), &[]).expect_err("no path").to_string();
    assert!(missing.contains("sha256"), "{missing}");

    // Stable Diffusion's weights are checked before anything is drawn.
    let unet = folder.path().join("unet/diffusion_pytorch_model.safetensors");
    std::fs::create_dir_all(unet.parent().expect("a folder")).expect("made");
    std::fs::write(&unet, b"not the published weights").expect("written");
    let stable = |more: Value| {
        let mut diffusion = json!({"source": "stable-diffusion", "stable_diffusion": {"folder": folder.path()}});
        if let (Value::Object(diffusion), Value::Object(more)) = (&mut diffusion, more) {
            diffusion.extend(more);
        }
        small(json!({"diffusion": diffusion, "boundary": boundary}))
    };
    let missing = build(stable(json!({})), &[]).expect_err("no class names").to_string();
    assert!(missing.contains("class_names"), "{missing}");
    let named = build(stable(json!({"sha256": "00", "class_names": ["cat", "dog", "horse"]})), &[]).expect("settings");
    let told = fit(named.as_ref(), &Samples::new(90, true)).expect_err("another file").to_string();
    assert!(told.contains("diffusion_pytorch_model.safetensors") && told.contains("expected 00"), "{told}");
}
