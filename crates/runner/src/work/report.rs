//! A worker's side of telling: progress and lines as messages on standard output.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oodlab_base::Task;

use super::message::{FromWorker, Outcome};

/// Progress is told at most so often.
const EVERY: Duration = Duration::from_millis(100);

/// Writes messages to standard output.
#[derive(Clone, Default)]
pub struct Reporter {
    /// Lines of several threads must not mix.
    output: Arc<Mutex<()>>,
    tasks: Arc<AtomicU64>,
}

impl Reporter {
    /// A line for a person.
    pub fn line(&self, text: &str) {
        self.tell(&FromWorker::Line { text: text.to_owned() });
    }

    /// A job ended.
    pub fn finished(&self, outcome: Outcome) {
        self.tell(&FromWorker::Finished(outcome));
    }

    /// Begins a task.
    pub fn task(&self, label: &str, unit: &'static str, total: u64, done: u64) -> Box<dyn Task> {
        let number = self.tasks.fetch_add(1, Ordering::Relaxed);
        let state = State { done, remark: String::new(), last: Instant::now() };
        let task =
            Told { reporter: self.clone(), number, label: label.to_owned(), unit, total, state: Mutex::new(state) };
        if let Ok(state) = task.state.lock() {
            task.tell(&state);
        }
        Box::new(task)
    }

    fn tell(&self, message: &FromWorker) {
        let Ok(mut line) = serde_json::to_vec(message) else { return };
        line.push(b'\n');
        let Ok(_held) = self.output.lock() else { return };
        let mut output = std::io::stdout();
        // Nobody listens: whoever started this process is gone, and closing standard input ends it.
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

struct Told {
    reporter: Reporter,
    number: u64,
    label: String,
    unit: &'static str,
    total: u64,
    state: Mutex<State>,
}

struct State {
    done: u64,
    remark: String,
    last: Instant,
}

impl Told {
    fn tell(&self, state: &State) {
        self.reporter.tell(&FromWorker::Progress {
            task: self.number,
            label: self.label.clone(),
            unit: self.unit.to_owned(),
            total: self.total,
            done: state.done,
            remark: state.remark.clone(),
        });
    }
}

impl Task for Told {
    fn advance(&self, units: u64) {
        let Ok(mut state) = self.state.lock() else { return };
        state.done += units;
        if state.last.elapsed() >= EVERY {
            state.last = Instant::now();
            self.tell(&state);
        }
    }

    fn remark(&self, text: &str) {
        if let Ok(mut state) = self.state.lock() {
            text.clone_into(&mut state.remark);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Ok(state) = self.state.lock() {
            self.tell(&state);
        }
        self.reporter.tell(&FromWorker::Ended { task: self.number });
    }
}
