//! Reading, computing and storing beside one another, with bounded memory.
//!
//! Rows (images) come in batches (parts of an artifact). A few threads read rows ahead and do nothing else; each row is then
//! one task of the thread pool, with no barrier between rows or batches; the calling thread stores finished batches. A slow disk
//! is hidden by reading ahead, decoding of one image runs beside the computing of others, and the tail of a batch beside the
//! head of the next. At most [`BATCHES`] batches are under way, and of them only [`ROWS_A_THREAD`] rows a thread lie read and
//! not computed, so the memory of computing does not depend on the number of rows. (Who reads what was stored takes its own: a
//! fit holds all training rows.)

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

/// Batches under way: one that ends or is being stored, and the next.
const BATCHES: usize = 2;

/// Rows read and not computed yet, for each thread of the pool.
const ROWS_A_THREAD: usize = 8;

/// Threads that read: what they wait for is a disk or a network, not a processor.
const READERS: usize = 4;

/// Consecutive rows that are stored together, and what the caller needs to store them.
pub struct Batch<T> {
    /// The rows.
    pub rows: Range<usize>,
    /// The caller's: which part it is, say, and the lease on it.
    pub tag: T,
}

/// What each of a pipeline's threads does.
pub struct Steps<Next, Read, Compute> {
    /// Gives the next batch; none when no more shall begin. Called by one thread at a time.
    pub next: Next,
    /// Reads a row, on a thread that may wait.
    pub read: Read,
    /// Computes a row from what was read, on the thread pool.
    pub compute: Compute,
}

/// Computes batches of rows and hands each to `store`, on the calling thread, as soon as all of its rows are there.
///
/// # Errors
/// That of the first row, in order, that failed in a batch; of `next`; or of `store`. Batches before it have been stored.
///
/// # Panics
/// When one of the steps does, or `store`, after the other threads have ended.
pub fn run<T, Read, Row>(
    steps: Steps<
        impl FnMut() -> Result<Option<Batch<T>>> + Send,
        impl Fn(usize) -> Result<Read> + Sync,
        impl Fn(Read) -> Result<Row> + Sync,
    >,
    mut store: impl FnMut(Batch<T>, Vec<Row>) -> Result<()>,
) -> Result<()>
where
    T: Send,
    Read: Send,
    Row: Send,
{
    let Steps { next, read, compute } = steps;
    let gate = Gate {
        state: Mutex::new(State {
            next,
            open: BTreeMap::new(),
            begun: 0,
            stored: 0,
            feeding: None,
            rows_under_way: 0,
            stopped: None,
            most_rows: ROWS_A_THREAD * rayon::current_num_threads(),
        }),
        changed: Condvar::new(),
    };
    let (sender, finished) = channel::<(usize, usize, Result<Row>)>();
    rayon::in_place_scope(|pool| {
        std::thread::scope(|threads| {
            // The readers are waited for, whatever happens here: none may wait for room that nobody makes any more.
            let _stop = StopOnPanic(&gate);
            for _ in 0..READERS {
                let (sender, gate, read, compute) = (sender.clone(), &gate, &read, &compute);
                threads.spawn(move || {
                    let _stop = StopOnPanic(gate);
                    while let Some((batch, row)) = gate.take() {
                        let under_way = UnderWay(gate);
                        let read = read(row);
                        let sender: Sender<_> = sender.clone();
                        pool.spawn(move |_| {
                            let _stop = StopOnPanic(gate);
                            let row_result = read.and_then(compute);
                            // The receiver is gone only when the pipeline has failed: nobody wants the row.
                            let _ = sender.send((batch, row, row_result));
                            drop(under_way);
                        });
                    }
                });
            }
            drop(sender);
            let mut collecting: BTreeMap<usize, BTreeMap<usize, Result<Row>>> = BTreeMap::new();
            for (batch, row, result) in &finished {
                let rows = collecting.entry(batch).or_default();
                rows.insert(row, result);
                let Some(whole) = gate.finished(batch, rows.len()) else { continue };
                let rows = collecting.remove(&batch).unwrap_or_default().into_values().collect::<Result<Vec<Row>>>();
                gate.stored(batch, rows.and_then(|rows| store(whole, rows)));
            }
        });
    });
    match gate.lock().stopped.take() {
        Some((_, Some(error))) => Err(error),
        _ => Ok(()),
    }
}

/// What decides which row is next, and whether there is room for it.
struct Gate<Next, T> {
    state: Mutex<State<Next, T>>,
    changed: Condvar,
}

struct State<Next, T> {
    next: Next,
    /// Batches of which rows are still to come, by number.
    open: BTreeMap<usize, Batch<T>>,
    /// Batches begun so far: the number of the next.
    begun: usize,
    /// Batches stored so far, in whatever order.
    stored: usize,
    /// The batch that is being read, and its rows that are left.
    feeding: Option<(usize, Range<usize>)>,
    rows_under_way: usize,
    most_rows: usize,
    /// No more rows: the batch that failed first, and how (none after a panic, which reports itself).
    stopped: Option<(usize, Option<anyhow::Error>)>,
}

impl<T, Next: FnMut() -> Result<Option<Batch<T>>>> Gate<Next, T> {
    /// The next row to read with the number of its batch, once there is room for it; none when the work is over.
    fn take(&self) -> Option<(usize, usize)> {
        let mut state = self.lock();
        loop {
            if state.stopped.is_some() {
                return None;
            }
            let next_row = match &mut state.feeding {
                Some((batch, rows)) if rows.start < rows.end => Some((*batch, rows.start)),
                _ => None,
            };
            if state.rows_under_way >= state.most_rows || (next_row.is_none() && state.begun - state.stored >= BATCHES)
            {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if let Some(next_row) = next_row {
                state.rows_under_way += 1;
                if let Some((_, rows)) = &mut state.feeding {
                    rows.start += 1;
                }
                return Some(next_row);
            }
            let number = state.begun;
            match (state.next)() {
                Ok(Some(batch)) => {
                    state.feeding = Some((number, batch.rows.clone()));
                    state.open.insert(number, batch);
                    state.begun += 1;
                }
                other => {
                    state.stopped = Some((number, other.err()));
                    self.changed.notify_all();
                }
            }
        }
    }
}

impl<Next, T> Gate<Next, T> {
    fn lock(&self) -> MutexGuard<'_, State<Next, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch, when this is the number of its rows: all have come. Until it is stored it counts as under way.
    fn finished(&self, number: usize, rows: usize) -> Option<Batch<T>> {
        let mut state = self.lock();
        if state.open.get(&number)?.rows.len() == rows { state.open.remove(&number) } else { None }
    }

    /// Makes room for the next batch; after an error none begins. The first batch, in order, that failed is remembered.
    fn stored(&self, number: usize, result: Result<()>) {
        let mut state = self.lock();
        state.stored += 1;
        if let Err(error) = result
            && state.stopped.as_ref().is_none_or(|(first, _)| number < *first)
        {
            state.stopped = Some((number, Some(error)));
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// A row that was read and is not computed yet; dropping it makes room for another.
struct UnderWay<'a, Next, T>(&'a Gate<Next, T>);

impl<Next, T> Drop for UnderWay<'_, Next, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.rows_under_way -= 1;
        drop(state);
        self.0.changed.notify_all();
    }
}

/// Ends the work when the thread that has it panics: a batch will never be whole or stored, and nobody shall wait for it.
struct StopOnPanic<'a, Next, T>(&'a Gate<Next, T>);

impl<Next, T> Drop for StopOnPanic<'_, Next, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().stopped.get_or_insert((0, None));
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn batches(count: usize, rows: usize) -> impl FnMut() -> Result<Option<Batch<usize>>> + Send {
        let mut all = (0..count).map(move |tag| Batch { rows: tag * rows..(tag + 1) * rows, tag });
        move || Ok(all.next())
    }

    #[test]
    fn every_row_comes_once_and_in_its_place() {
        let mut stored = BTreeMap::new();
        let steps = Steps { next: batches(20, 7), read: |row| Ok(row), compute: |row: usize| Ok(row * 2) };
        run(steps, |batch, rows| {
            assert_eq!(rows, batch.rows.map(|row| row * 2).collect::<Vec<_>>());
            assert!(stored.insert(batch.tag, rows.len()).is_none());
            Ok(())
        })
        .expect("no step fails");
        assert_eq!(stored, (0..20).map(|tag| (tag, 7)).collect());
        run(Steps { next: batches(0, 7), read: Ok, compute: Ok }, |_, _| panic!("no batch")).expect("nothing to do");
    }

    #[test]
    fn what_is_under_way_is_bounded_however_slow_the_computing() {
        let (read, computed, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let steps = Steps {
            next: batches(30, 100),
            read: |row: usize| {
                let ahead = read.fetch_add(1, Ordering::SeqCst) + 1 - computed.load(Ordering::SeqCst);
                most.fetch_max(ahead, Ordering::SeqCst);
                Ok(row)
            },
            compute: |row: usize| {
                std::thread::sleep(Duration::from_micros(20));
                computed.fetch_add(1, Ordering::SeqCst);
                Ok(row)
            },
        };
        run(steps, |_, _| Ok(())).expect("no step fails");
        assert_eq!(computed.into_inner(), 3000);
        let (most, allowed) = (most.into_inner(), ROWS_A_THREAD * rayon::current_num_threads());
        assert!(most > 1 && most <= allowed, "{most} rows read and not computed, {allowed} allowed");
    }

    #[test]
    fn no_batch_begins_before_there_is_room() {
        let (begun, stored, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let mut all = batches(12, 5);
        let next = || {
            let under_way = begun.fetch_add(1, Ordering::SeqCst) + 1 - stored.load(Ordering::SeqCst);
            most.fetch_max(under_way, Ordering::SeqCst);
            all()
        };
        run(Steps { next, read: Ok, compute: Ok }, |_, _: Vec<usize>| {
            std::thread::sleep(Duration::from_millis(2));
            stored.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .expect("no step fails");
        assert_eq!(stored.into_inner(), 12);
        assert_eq!(most.into_inner(), BATCHES);
    }

    #[test]
    fn the_first_row_that_fails_is_told_and_batches_before_it_are_kept() {
        for failing in ["read", "compute"] {
            let mut stored = Vec::new();
            let fail = |row: usize, step: &str| {
                let wrong = step == failing && (row == 23 || row == 27 || row == 31);
                anyhow::ensure!(!wrong, "row {row}");
                Ok(row)
            };
            let steps =
                Steps { next: batches(9, 10), read: |row| fail(row, "read"), compute: |row| fail(row, "compute") };
            let error = run(steps, |batch, _| {
                stored.push(batch.tag);
                Ok(())
            })
            .expect_err("a row failed");
            assert_eq!(error.to_string(), "row 23");
            // Two are under way at a time, and either may end first.
            stored.sort_unstable();
            assert_eq!(stored, [0, 1]);
        }
        let failing = || anyhow::bail!("no lease");
        let none = |_: Batch<()>, _: Vec<usize>| Ok(());
        assert_eq!(
            run(Steps { next: failing, read: Ok, compute: Ok }, none).expect_err("told").to_string(),
            "no lease"
        );
        let mut count = 0;
        let error = run(Steps { next: batches(9, 10), read: Ok, compute: Ok }, |_, _: Vec<usize>| {
            count += 1;
            anyhow::bail!("disk full")
        });
        assert_eq!(error.expect_err("told").to_string(), "disk full");
        assert!(count <= BATCHES, "{count} batches were stored after a failure");
    }

    #[test]
    fn a_panic_in_any_step_ends_the_work() {
        for panicking in ["next", "read", "compute", "store"] {
            let (told, ended) = channel();
            std::thread::spawn(move || {
                let reach = |step: &str, row: usize| assert!(step != panicking || row < 23, "on purpose");
                let mut all = batches(9, 10);
                let next = move || {
                    let batch = all()?;
                    batch.iter().for_each(|batch| reach("next", batch.rows.start));
                    Ok(batch)
                };
                let read = |row| {
                    reach("read", row);
                    Ok(row)
                };
                let compute = |row| {
                    reach("compute", row);
                    Ok(row)
                };
                let work = || {
                    run(Steps { next, read, compute }, |batch, _| {
                        reach("store", batch.rows.start);
                        Ok(())
                    })
                };
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                told.send(outcome.is_err()).expect("the test waits");
            });
            let panicked = ended.recv_timeout(Duration::from_secs(60));
            assert_eq!(panicked, Ok(true), "{panicking}: it goes on for ever, or says that all is well");
        }
    }
}
