//! Which threads does Lance compute with, and how do they stand still while the process forks?

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use lance_core::utils::tokio::{get_num_compute_intensive_cpus, spawn_cpu};
use quorate_core::runtime::{self, block_on};
use quorate_core::{Code, Error, Result, forks};
use tokio::runtime::Handle;

/// The one thread that drives Lance's pool beside those that compute.
const WORKERS: usize = 1;

/// Has Lance's threads stand still at forks, once in each process. Errors: `internal` when Lance's pool does not start.
pub(crate) fn still_at_forks() -> Result<()> {
    /// For which process it was done, by its number in the line of forks, and one more.
    static DONE: AtomicU64 = AtomicU64::new(0);
    let process = forks() + 1;
    if DONE.swap(process, Ordering::AcqRel) == process {
        return Ok(());
    }
    let pool = block_on(async {
        let found = spawn_cpu(|| Ok::<_, io::Error>(Handle::current())).await;
        found.map_err(|e| Error::with_source(Code::Internal, "Lance's threads cannot start", e))
    })?;
    let handle = pool.clone();
    runtime::still_at_forks(WORKERS, move |work| drop(pool.spawn(async move { work() })));
    runtime::still_at_forks(get_num_compute_intensive_cpus(), move |work| {
        drop(handle.spawn_blocking(work));
    });
    Ok(())
}
