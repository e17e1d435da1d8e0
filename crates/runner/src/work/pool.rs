//! Worker processes: started when there is something to do, told what, and replaced when one dies.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};

use super::job::Job;
use super::message::{FromWorker, ToWorker};
use crate::lab::Lab;

/// Lines of a worker's standard error that are kept: what it said before it died.
const LAST_WORDS: usize = 20;

/// What happened in the pool.
pub enum Event {
    /// A worker says something.
    Said(usize, FromWorker),
    /// A worker's process ended.
    Died(usize),
}

/// Some worker processes.
pub struct Pool {
    workers: Vec<Worker>,
    threads: usize,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

struct Worker {
    process: Option<(Child, ChildStdin)>,
    /// The job that it does.
    job: Option<usize>,
    last_words: Arc<Mutex<VecDeque<String>>>,
}

impl Pool {
    /// Room for `workers` processes of `threads` threads each; none is started yet.
    pub fn new(workers: usize, threads: usize) -> Pool {
        let (sender, events) = channel();
        let worker = || Worker { process: None, job: None, last_words: Arc::default() };
        Pool { workers: (0..workers).map(|_| worker()).collect(), threads, events, sender }
    }

    /// A worker without a job: one that runs already, before one that would have to be started.
    pub fn idle(&self) -> Option<usize> {
        let idle = |running: bool| {
            let fits = move |worker: &Worker| worker.job.is_none() && worker.process.is_some() == running;
            self.workers.iter().position(fits)
        };
        idle(true).or_else(|| idle(false))
    }

    /// The jobs under way, with their workers.
    pub fn busy(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.workers.iter().enumerate().filter_map(|(at, worker)| Some((at, worker.job?)))
    }

    /// Gives a worker a job, starting its process where there is none.
    pub fn give(&mut self, lab: &Lab, worker: usize, job: Job) -> Result<()> {
        if self.workers[worker].process.is_none() {
            self.start(lab, worker)?;
        }
        self.workers[worker].job = Some(job.id);
        // That it just died is seen by the end of its output.
        let _ = self.say(worker, &ToWorker::Job(Box::new(job)));
        Ok(())
    }

    /// A worker's job ended.
    pub fn free(&mut self, worker: usize) -> Option<usize> {
        self.workers[worker].job.take()
    }

    /// Asks all workers to stop after the part or training step under way.
    pub fn stop(&mut self) {
        for worker in 0..self.workers.len() {
            let _ = self.say(worker, &ToWorker::Stop);
        }
    }

    /// The next event, or none within the time.
    pub fn wait(&self, time: Duration) -> Option<Event> {
        // Nothing but the time can be over: the pool holds a sender itself.
        self.events.recv_timeout(time).ok()
    }

    /// Buries a worker that died; says how it ended, and its last words.
    pub fn bury(&mut self, worker: usize) -> String {
        let worker = &mut self.workers[worker];
        let Some((mut child, stdin)) = worker.process.take() else { return "it was gone".to_owned() };
        drop(stdin);
        let status = child.wait();
        let told = worker.last_words.lock().map(|mut lines| lines.drain(..).collect::<Vec<_>>()).unwrap_or_default();
        let how = status.map_or_else(|error| error.to_string(), how_it_ended);
        if told.is_empty() { how } else { format!("{how}; it said: {}", told.join(" / ")) }
    }

    fn say(&mut self, worker: usize, message: &ToWorker) -> Result<()> {
        let Some((_, stdin)) = &mut self.workers[worker].process else { return Ok(()) };
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        stdin.write_all(&line)?;
        Ok(stdin.flush()?)
    }

    fn start(&mut self, lab: &Lab, at: usize) -> Result<()> {
        let mut command = command(lab, self.threads)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C in a terminal goes to its whole group: workers are told by this process instead.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("cannot start a worker process")?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            anyhow::bail!("a worker process has no standard input and output");
        };
        let last_words = self.workers[at].last_words.clone();
        let sender = self.sender.clone();
        let listen = move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line).unwrap_or(FromWorker::Line { text: line });
                if sender.send(Event::Said(at, said)).is_err() {
                    return;
                }
            }
            let _ = sender.send(Event::Died(at));
        };
        let remember = move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let Ok(mut lines) = last_words.lock() else { return };
                if lines.len() == LAST_WORDS {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("worker says").spawn(listen)?;
        thread("worker errors").spawn(remember)?;
        self.workers[at].process = Some((child, stdin));
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (mut child, stdin) in self.workers.iter_mut().filter_map(|worker| worker.process.take()) {
            // The end of its standard input ends an idle worker by itself; one with a job is not waited for.
            drop(stdin);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The command of a worker: this very program, with the same store, results and device.
pub fn command(lab: &Lab, threads: usize) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .arg("work")
        .arg("--store")
        .arg(&lab.root)
        .arg("--results")
        .arg(&lab.results)
        .args(["--threads", &threads.to_string()])
        .args(["--device", &lab.device.to_string()])
        .args(["--log", &lab.log]);
    Ok(command)
}

/// The running program's file, also when another was put in its place meanwhile.
fn program() -> Result<std::path::PathBuf> {
    let running = std::path::Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe().context("where is this program?") }
}

fn how_it_ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let hint = if signal == 9 { " (by a person, or because memory ran out)" } else { "" };
        return format!("its process was killed by signal {signal}{hint}");
    }
    format!("its process ended with {status}")
}
