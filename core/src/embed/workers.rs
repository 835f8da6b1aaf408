//! On which threads does a model run?

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Code, Error, Result};

/// The process that first ran a model, whose global rayon pool can be trusted.
static HOME: OnceLock<u32> = OnceLock::new();

/// Where the work of one model runs: rayon's global pool, or a pool of its own size.
///
/// No thread starts before the first call of [`run`](Workers::run). Threads do not survive a `fork`, so a forked
/// child gets new ones.
pub(crate) struct Workers {
    threads: Option<usize>,
    /// The process that built the pool, and the pool.
    pool: Mutex<Option<(u32, Arc<ThreadPool>)>>,
}

impl Workers {
    /// `threads` of its own, or those of rayon's global pool.
    pub(crate) fn new(threads: Option<usize>) -> Self {
        Workers { threads, pool: Mutex::new(None) }
    }

    /// Runs `work` so that rayon's parallel iterators in it use these threads.
    /// Errors: `internal` when the operating system gives no thread.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R> {
        let process = std::process::id();
        if self.threads.is_none() && *HOME.get_or_init(|| process) == process {
            return Ok(work());
        }
        Ok(self.pool(process)?.install(work))
    }

    fn pool(&self, process: u32) -> Result<Arc<ThreadPool>> {
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((owner, pool)) = slot.as_ref()
            && *owner == process
        {
            return Ok(pool.clone());
        }
        let built = ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or(0)).build();
        let pool = built
            .map(Arc::new)
            .map_err(|e| Error::with_source(Code::Internal, format!("no threads: {e}"), e))?;
        // A pool of the parent process has no threads here that could end it.
        std::mem::forget(slot.replace((process, pool.clone())));
        Ok(pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_pool_has_its_own_size_and_the_global_one_is_used_as_it_is() {
        assert_eq!(Workers::new(Some(3)).run(rayon::current_num_threads).unwrap(), 3);
        assert_eq!(Workers::new(None).run(rayon::current_num_threads).unwrap(), rayon::current_num_threads());
    }

    #[test]
    fn another_process_gets_another_pool() {
        let workers = Workers::new(Some(1));
        let first = workers.pool(1).unwrap();
        assert!(Arc::ptr_eq(&first, &workers.pool(1).unwrap()));
        assert!(!Arc::ptr_eq(&first, &workers.pool(2).unwrap()));
    }
}
