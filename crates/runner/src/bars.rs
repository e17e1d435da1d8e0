//! Progress as a person sees it: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use oodlab_base::{Progress, Task};

use crate::work::report::Reporter;

/// Plain lines come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Draws the bars of all tasks; log lines go through [`Bars::line`] so that the two do not break each other.
#[derive(Clone)]
pub struct Bars {
    group: MultiProgress,
    terminal: bool,
    quiet: bool,
    /// In a worker process: who starts it draws the bars.
    told: Option<Reporter>,
}

impl Bars {
    /// Bars on standard error when that is a terminal; nothing at all when quiet.
    pub fn new(quiet: bool) -> Bars {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Bars { group: MultiProgress::with_draw_target(target), terminal, quiet, told: None }
    }

    /// Draws nothing itself: the process that started this one is told.
    pub fn reporting(reporter: Reporter) -> Bars {
        Bars { told: Some(reporter), ..Bars::new(true) }
    }

    /// Whether bars can be seen.
    pub fn are_drawn(&self) -> bool {
        self.terminal
    }

    /// Writes one line to standard error, above the bars.
    pub fn line(&self, text: &str) {
        if let Some(reporter) = &self.told {
            reporter.line(text);
        } else if self.terminal {
            // The group only fails when standard error is closed: there is nobody left to tell.
            let _ = self.group.println(text);
        } else {
            write_line(text);
        }
    }
}

/// Units a second, to one decimal.
fn rate(state: &ProgressState, text: &mut dyn std::fmt::Write) {
    // Writing into a string cannot fail.
    let _ = write!(text, "{:.1}/s", state.per_sec());
}

/// Time left, once something is known of it.
fn left(state: &ProgressState, text: &mut dyn std::fmt::Write) {
    if state.pos() > 0 && state.per_sec() > 0.0 {
        let _ = write!(text, "{} left", HumanDuration(state.eta()));
    }
}

fn write_line(text: &str) {
    use std::io::Write;
    // Standard error may be closed or full: there is nobody left to tell, and the work goes on.
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Progress for Bars {
    fn task(&self, label: &str, unit: &'static str, total: u64, done: u64) -> Box<dyn Task> {
        if let Some(reporter) = &self.told {
            return reporter.task(label, unit, total, done);
        }
        let bar = self.group.add(ProgressBar::new(total));
        let template = format!("{{prefix}} [{{bar:16}}] {{pos}}/{{len}} {unit} {{rate}} {{left}} {{msg}}");
        // A template that does not parse would only cost the looks: indicatif's own is used then.
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> ").with_key("rate", rate).with_key("left", left));
        }
        bar.set_prefix(label.to_owned());
        bar.set_position(done);
        bar.reset_eta();
        let started = Instant::now();
        let plain =
            (!self.terminal && !self.quiet).then(|| Mutex::new(Plain { last: started, done, remark: String::new() }));
        Box::new(BarTask { bar, plain, label: label.to_owned(), unit, total, resumed: done, started })
    }
}

struct Plain {
    last: Instant,
    done: u64,
    remark: String,
}

struct BarTask {
    bar: ProgressBar,
    plain: Option<Mutex<Plain>>,
    label: String,
    unit: &'static str,
    total: u64,
    resumed: u64,
    started: Instant,
}

impl BarTask {
    fn report(&self, plain: &Plain) {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = (plain.done - self.resumed) as f64 / seconds.max(1e-9);
        let left = (self.total.saturating_sub(plain.done)) as f64 / rate.max(1e-9);
        let left = if plain.done > self.resumed && plain.done < self.total {
            format!(", {left:.0} s left")
        } else {
            String::new()
        };
        let remark = if plain.remark.is_empty() { String::new() } else { format!(", {}", plain.remark) };
        let (label, unit, total) = (&self.label, self.unit, self.total);
        write_line(&format!("{label}: {}/{total} {unit}, {rate:.1} {unit}/s{left}{remark}", plain.done));
    }
}

impl Task for BarTask {
    fn advance(&self, units: u64) {
        self.bar.inc(units);
        let Some(plain) = &self.plain else { return };
        let Ok(mut plain) = plain.lock() else { return };
        plain.done += units;
        if plain.last.elapsed() >= LINE_EVERY {
            plain.last = Instant::now();
            self.report(&plain);
        }
    }

    fn remark(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        if let Some(Ok(mut plain)) = self.plain.as_ref().map(Mutex::lock) {
            text.clone_into(&mut plain.remark);
        }
    }
}

impl Drop for BarTask {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some(Ok(plain)) = self.plain.as_ref().map(Mutex::lock) {
            self.report(&plain);
        }
    }
}
