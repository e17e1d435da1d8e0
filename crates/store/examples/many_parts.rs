//! What artifacts of very many parts cost: `cargo run --release --example many_parts -- DIR PARTS BYTES`.
//!
//! Writes one artifact of PARTS parts of BYTES bytes below DIR (once; it stays there), then measures what planning and reading
//! do with it: counting the parts, noting that they are all there, asking whether they are, reading all of them.

use std::path::PathBuf;
use std::time::Instant;

use oodlab_base::Key;
use oodlab_store::Store;

const WRITERS: usize = 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "usage: many_parts DIR PARTS BYTES";
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or(usage)?);
    let parts: usize = arguments.next().ok_or(usage)?.parse()?;
    let bytes: usize = arguments.next().ok_or(usage)?.parse()?;
    let store = Store::open(&folder)?;
    let artifact = store.artifact("many", &Key::of_bytes(format!("{parts} of {bytes}").as_bytes()));
    let payload: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();

    let missing: Vec<usize> = (0..parts).filter(|&part| !artifact.has_part(part).unwrap_or(false)).collect();
    let writing = Instant::now();
    // Many at once: each waits for the disk.
    std::thread::scope(|scope| {
        let writers: Vec<_> = missing
            .chunks(missing.len().div_ceil(WRITERS).max(1))
            .map(|own| scope.spawn(|| own.iter().try_for_each(|&part| artifact.write_part(part, &payload))))
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("a writer that does not panic"))
    })?;
    told(&format!("write a part, {WRITERS} threads"), writing, missing.len(), missing.len());
    let counting = Instant::now();
    assert_eq!(artifact.parts()?.len(), parts);
    told("count the parts (plan)", counting, 1, parts);
    let noting = Instant::now();
    artifact.finish(parts, &Default::default())?;
    told("note that it is finished", noting, 1, parts);
    let asking = Instant::now();
    assert!(artifact.finished()?.is_some());
    told("ask whether it is finished", asking, 1, parts);
    let reading = Instant::now();
    for part in 0..parts {
        assert!(artifact.read_part(part)?.is_some());
    }
    told("read and check a part", reading, parts, parts);
    let note = artifact.folder().join("done.json").metadata()?.len();
    tell(&format!("done.json: {note} bytes"));
    Ok(())
}

fn told(what: &str, since: Instant, times: usize, parts: usize) {
    let seconds = since.elapsed().as_secs_f64();
    let each = seconds / parts.max(1) as f64 * 1e6;
    tell(&format!("{what}: {seconds:.3} s in all, {times} times, {each:.1} us a part"));
}

fn tell(line: &str) {
    use std::io::Write;
    // Nobody left to tell.
    let _ = writeln!(std::io::stdout(), "{line}");
}
