//! kill -9 at random moments spread over the whole run: no finished work is lost, no number is wrong, nothing is left behind.
//!
//! `OODLAB_KILLS` and `OODLAB_CELLS` make it longer, as `make test-all` does (200 kills, 50 cells).

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use support::Sandbox;

const RUN: [&str; 8] = ["run", "sweep.yaml", "--store", "store", "--results", "results", "--workers", "2"];

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Cells that share encodings, and by five each a training.
fn sandbox(cells: usize) -> Sandbox {
    let starts: Vec<String> = (1..=cells.min(5)).map(|start| start.to_string()).collect();
    let epochs: Vec<String> = (0..cells.div_ceil(5)).map(|place| (4 + place).to_string()).collect();
    let sandbox = Sandbox::new();
    sandbox.write(
        "sweep.yaml",
        &format!(
            "benchmark: mini\nprotocols: [matched]\n\
             encoder: {{network: efficientnet-lite0, weights: embedded, resolution: 64, pooling: average}}\n\
             limit: {{train: 288, id_test: 40, ood: 20}}\n\
             detector: {{kind: dlsr, network: {{width: 32, blocks: 2}}, train: {{batch_size: 32, learning_rate: 1.0e-3}}}}\n\
             scores: [mse, mfsim]\nintervals: {{replicates: 100}}\nfigures: []\n\
             sweep: {{grid: {{detector.sample.start: [{}], detector.train.epochs: [{}]}}}}\n",
            starts.join(", "),
            epochs.join(", ")
        ),
    );
    sandbox
}

fn results(sandbox: &Sandbox) -> [Vec<u8>; 2] {
    ["table.csv", "scores.parquet"]
        .map(|name| std::fs::read(sandbox.path("results/sweep").join(name)).expect("the run wrote it"))
}

/// Finished artifacts with the times of their parts.
fn finished(sandbox: &Sandbox) -> BTreeMap<PathBuf, SystemTime> {
    let files = sandbox.files("store/artifacts");
    let done: Vec<PathBuf> = files
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name == "done.json"))
        .filter_map(|file| file.parent().map(PathBuf::from))
        .collect();
    let parts = files.into_iter().filter(|file| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("part-") && file.parent().is_some_and(|folder| done.iter().any(|one| one == folder))
    });
    parts.filter_map(|part| Some((part.clone(), std::fs::metadata(&part).ok()?.modified().ok()?))).collect()
}

fn start(sandbox: &Sandbox) -> Child {
    sandbox.command(&RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Worker processes of a run.
fn workers(child: &Child) -> Vec<u32> {
    let path = format!("/proc/{0}/task/{0}/children", child.id());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn kill(pid: u32) {
    // That it ended by itself meanwhile is no harm.
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Numbers that look random and are the same in every run of the test.
struct Draws(u64);

impl Draws {
    /// 0..1
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[test]
fn kills_at_random_moments_lose_nothing_and_change_no_byte() {
    let (kills, cells) = (number("OODLAB_KILLS", 6), number("OODLAB_CELLS", 10));
    let reference = sandbox(cells);
    let began = Instant::now();
    reference.ok(&RUN);
    let whole = began.elapsed();
    let expected = results(&reference);

    let mut draws = Draws(number("OODLAB_KILL_SEED", 1) as u64);
    let (mut killed, mut rounds) = (0, 0);
    while killed < kills {
        rounds += 1;
        let sandbox = sandbox(cells);
        // A run that is killed early again and again gets nowhere; with a tenth of the whole each, kills are spread over all of it.
        let step = whole.mul_f64(0.2);
        loop {
            let before = finished(&sandbox);
            let mut child = start(&sandbox);
            let wait = step.mul_f64(0.05 + draws.next());
            let until = Instant::now() + wait;
            while Instant::now() < until && child.try_wait().expect("a child").is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            if child.try_wait().expect("a child").is_some() {
                break;
            }
            let of_worker = draws.next() < 0.3;
            match workers(&child).first() {
                // The run itself goes on, with another worker.
                Some(&worker) if of_worker && killed < kills => {
                    kill(worker);
                    killed += 1;
                }
                _ => {}
            }
            if killed >= kills {
                child.wait().expect("reaped");
                break;
            }
            kill(child.id());
            child.wait().expect("reaped");
            killed += 1;
            // What was finished before is there, untouched.
            let after = finished(&sandbox);
            for (part, time) in before {
                assert_eq!(after.get(&part), Some(&time), "{} was lost or computed again", part.display());
            }
        }
        let told = sandbox.run(&RUN);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        assert!(results(&sandbox) == expected, "after {killed} kills, round {rounds}: other numbers");
        assert_eq!(sandbox.leftovers(), Vec::<PathBuf>::new());
        assert!(sandbox.ok(&["cache", "verify", "--store", "store"]).contains("artifacts"));
        assert!(
            sandbox.files("store/artifacts/checkpoint").iter().all(|file| !file.to_string_lossy().contains("part-"))
        );
    }
    assert!(killed >= kills);
}

#[test]
fn two_runners_of_one_sweep_share_the_work_and_agree() {
    let reference = sandbox(5);
    reference.ok(&RUN);
    let expected = results(&reference);
    let sandbox = sandbox(5);
    let (mut first, mut second) = (start(&sandbox), start(&sandbox));
    assert!(first.wait().expect("ends").success());
    assert!(second.wait().expect("ends").success());
    assert!(results(&sandbox) == expected);
    assert_eq!(sandbox.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_killed_worker_is_replaced() {
    let sandbox = sandbox(5);
    let mut child = start(&sandbox);
    let until = Instant::now() + Duration::from_secs(60);
    let worker = loop {
        if let Some(&worker) = workers(&child).first() {
            break worker;
        }
        assert!(Instant::now() < until && child.try_wait().expect("a child").is_none(), "no worker was started");
        std::thread::sleep(Duration::from_millis(1));
    };
    // It has its first job as soon as it is there.
    kill(worker);
    assert!(child.wait().expect("ends").success());
    let log = std::fs::read_to_string(sandbox.path("results/sweep/log.jsonl")).expect("a log");
    assert!(log.contains("killed by signal 9") && log.contains("tried again"), "{log}");
}
