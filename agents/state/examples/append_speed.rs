//! How many entries does a store take in a second: one thread, 64 threads, in memory?
//!
//! `cargo run --release -p quorate-state --example append_speed [FOLDER]`; the folder decides which disk is measured.

use std::time::Instant;

use quorate_core::Result;
use quorate_state::{Begun, Entry, NewRun, Run, StateStore};

const DATA: &str = "what a step of an agent says in a line or two: a tool was called, and what it gave";

fn begin(store: &StateStore) -> Result<Run> {
    match store.begin(&NewRun { kind: "bench", ..NewRun::default() }, &[])? {
        Begun::New(run) => Ok(run),
        Begun::Known(row) => store.take(None, &row.id),
    }
}

/// Appends `each` entries in each of `threads` threads, and prints the rate.
fn measure(name: &str, store: &StateStore, threads: u64, each: u64) -> Result<()> {
    let runs = (0..threads).map(|_| begin(store)).collect::<Result<Vec<_>>>()?;
    let before = store.commits();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = runs
            .iter()
            .map(|run| {
                scope.spawn(|| {
                    (1..=each).try_for_each(|seq| run.append(&[Entry::new(seq, "step", DATA)], None))
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    let (seconds, appends) = (begun.elapsed().as_secs_f64(), threads * each);
    let commits = store.commits() - before;
    #[allow(clippy::print_stdout)]
    {
        println!(
            "{name}: {appends} appends in {seconds:.2} s, {:.0} a second, {:.2} us each; {commits} transactions",
            appends as f64 / seconds,
            seconds * 1e6 / appends as f64
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1).map_or_else(std::env::temp_dir, std::path::PathBuf::from);
    let folder = path.join(format!("quorate-append-speed-{}", std::process::id()));
    let store = StateStore::open(&folder)?;
    measure("disk, 1 thread", &store, 1, 2_000)?;
    measure("disk, 64 threads", &store, 64, 500)?;
    let first = store.runs(None, None)?.remove(0);
    let begun = Instant::now();
    let read = store.entries(None, &first.id, 1)?.len();
    #[allow(clippy::print_stdout)]
    {
        println!("disk: {read} entries read in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    }
    let begun = Instant::now();
    store.delete(None, &first.id)?;
    #[allow(clippy::print_stdout)]
    {
        println!("disk: they are deleted in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    }
    drop(store);
    let _ = std::fs::remove_dir_all(&folder);
    measure("memory, 1 thread", &StateStore::memory(), 1, 1_000_000)?;
    measure("memory, 64 threads", &StateStore::memory(), 64, 20_000)
}
