//! How does work run on all cores, also in a forked child?
//!
//! This is the only file that names rayon. Work that already runs on a pool stays on it; otherwise the process that loaded
//! the library uses the global pool, and a forked child, where that pool has no threads, a pool of its own. Results never
//! depend on the number of threads: each function keeps the order of its items.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::fork::{PerProcess, forks};
use crate::{Code, Error, Result};

/// The pool of a forked child.
static CHILD: PerProcess<ThreadPool> = PerProcess::new();

/// Runs `work` where the functions of this module find threads of this process. Where the system gives none, they work
/// on the caller's thread.
fn here<R: Send>(work: impl FnOnce(bool) -> R + Send) -> R {
    if forks() == 0 || rayon::current_thread_index().is_some() {
        return work(true);
    }
    match CHILD.get(|| pool(0)) {
        Ok(pool) => pool.install(|| work(true)),
        Err(_) => work(false),
    }
}

fn pool(threads: usize) -> Result<ThreadPool> {
    let built = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("quorate-{i}")).build();
    built.map_err(|e| Error::with_source(Code::Internal, format!("no threads: {e}"), e))
}

/// The number of threads that work of this caller runs on.
pub fn threads() -> usize {
    here(|threads| if threads { rayon::current_num_threads().max(1) } else { 1 })
}

/// `f` of each item, in order.
pub fn map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    here(|threads| if threads { items.par_iter().map(f).collect() } else { items.iter().map(f).collect() })
}

/// `f` of each item, in order, or an error of one of them; the rest is then left undone.
pub fn try_map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> Result<R> + Send + Sync) -> Result<Vec<R>> {
    here(|threads| if threads { items.par_iter().map(f).collect() } else { items.iter().map(f).collect() })
}

/// `f` of each number below `n`, in order.
pub fn map_range<R: Send>(n: usize, f: impl Fn(usize) -> R + Send + Sync) -> Vec<R> {
    here(|threads| if threads { (0..n).into_par_iter().map(f).collect() } else { (0..n).map(f).collect() })
}

/// `f` of each number below `n`, in order, or an error of one of them; the rest is then left undone.
pub fn try_map_range<R: Send>(n: usize, f: impl Fn(usize) -> Result<R> + Send + Sync) -> Result<Vec<R>> {
    here(|threads| if threads { (0..n).into_par_iter().map(f).collect() } else { (0..n).map(f).collect() })
}

/// [`try_map_range`] with scratch memory that `init` makes for each run of numbers.
pub fn try_map_range_with<S, R: Send>(
    n: usize,
    init: impl Fn() -> S + Send + Sync,
    f: impl Fn(&mut S, usize) -> Result<R> + Send + Sync,
) -> Result<Vec<R>> {
    here(|threads| {
        if threads {
            return (0..n).into_par_iter().map_init(&init, &f).collect();
        }
        let mut scratch = init();
        (0..n).map(|i| f(&mut scratch, i)).collect()
    })
}

/// `f` of each item with its place.
pub fn for_each_mut<T: Send>(items: &mut [T], f: impl Fn(usize, &mut T) + Send + Sync) {
    here(|threads| {
        if threads {
            items.par_iter_mut().enumerate().for_each(|(i, item)| f(i, item));
        } else {
            items.iter_mut().enumerate().for_each(|(i, item)| f(i, item));
        }
    })
}

/// `f` of each piece of `size` items (the last may be shorter) with its number; a thread takes at least `at_least` pieces.
/// An error leaves the rest undone.
pub fn try_for_each_chunk_mut<T: Send>(
    items: &mut [T],
    size: usize,
    at_least: usize,
    f: impl Fn(usize, &mut [T]) -> Result<()> + Send + Sync,
) -> Result<()> {
    here(|threads| {
        if threads {
            let pieces = items.par_chunks_mut(size).enumerate().with_min_len(at_least);
            return pieces.try_for_each(|(i, piece)| f(i, piece));
        }
        items.chunks_mut(size).enumerate().try_for_each(|(i, piece)| f(i, piece))
    })
}

/// `f` of each piece of `size` items, in order.
pub fn map_chunks<T: Sync, R: Send>(items: &[T], size: usize, f: impl Fn(&[T]) -> R + Send + Sync) -> Vec<R> {
    here(
        |threads| {
            if threads {
                items.par_chunks(size).map(f).collect()
            } else {
                items.chunks(size).map(f).collect()
            }
        },
    )
}

/// `f` of each piece of `a` and the piece of `b` with the same number, in order.
pub fn map_chunks_mut2<A: Send, B: Send, R: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    f: impl Fn(usize, &mut [A], &mut [B]) -> R + Send + Sync,
) -> Vec<R> {
    here(|threads| {
        if threads {
            let pairs = a.par_chunks_mut(a_size).zip(b.par_chunks_mut(b_size)).enumerate();
            return pairs.map(|(i, (a, b))| f(i, a, b)).collect();
        }
        let pairs = a.chunks_mut(a_size).zip(b.chunks_mut(b_size)).enumerate();
        pairs.map(|(i, (a, b))| f(i, a, b)).collect()
    })
}

/// `f` of each item, each as a task of its own: for few items of much work.
pub fn for_each_task<T: Sync>(items: &[T], f: impl Fn(&T) + Send + Sync) {
    here(
        |threads| {
            if threads { items.par_iter().with_max_len(1).for_each(f) } else { items.iter().for_each(f) }
        },
    )
}

/// Both, at once where there is a thread for it.
pub fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    here(|threads| if threads { rayon::join(a, b) } else { (a(), b()) })
}

/// Threads of one owner, or those that all share. No thread starts before the first call of [`run`](Workers::run).
pub struct Workers {
    threads: Option<usize>,
    /// The number of forks before the process that built the pool, and the pool.
    pool: Mutex<Option<(u64, Arc<ThreadPool>)>>,
}

impl Workers {
    /// `threads` of its own, or those that all share.
    pub fn new(threads: Option<usize>) -> Self {
        Workers { threads, pool: Mutex::new(None) }
    }

    /// Runs `work` so that the functions of this module use these threads in it.
    /// Errors: `internal` when the operating system gives no thread.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R> {
        match self.threads {
            None => Ok(here(|_| work())),
            Some(threads) => Ok(self.pool(forks(), threads)?.install(work)),
        }
    }

    fn pool(&self, process: u64, threads: usize) -> Result<Arc<ThreadPool>> {
        let mut slot = match self.pool.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            // As a child may find it: held by a thread of the parent, which is not here to let go.
            Err(TryLockError::WouldBlock) if process > 0 => return Ok(Arc::new(pool(threads)?)),
            Err(TryLockError::WouldBlock) => self.pool.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if let Some((owner, pool)) = slot.as_ref()
            && *owner == process
        {
            return Ok(pool.clone());
        }
        let pool = Arc::new(pool(threads)?);
        // A pool of the parent process has no threads here that could end it.
        std::mem::forget(slot.replace((process, pool.clone())));
        Ok(pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_pool_has_its_own_size_and_the_shared_one_is_used_as_it_is() {
        assert_eq!(Workers::new(Some(3)).run(rayon::current_num_threads).unwrap(), 3);
        assert_eq!(Workers::new(None).run(rayon::current_num_threads).unwrap(), threads());
    }

    #[test]
    fn another_process_gets_another_pool() {
        let workers = Workers::new(Some(1));
        let first = workers.pool(1, 1).unwrap();
        assert!(Arc::ptr_eq(&first, &workers.pool(1, 1).unwrap()));
        assert!(!Arc::ptr_eq(&first, &workers.pool(2, 1).unwrap()));
    }

    #[test]
    fn order_is_kept_and_errors_are_told() {
        let numbers: Vec<usize> = (0..1000).collect();
        assert_eq!(map(&numbers, |n| n * 2), map_range(1000, |n| n * 2));
        let odd = |n: usize| if n == 7 { Err(Error::new(Code::TooLarge, "seven")) } else { Ok(n) };
        assert_eq!(try_map_range(1000, odd).unwrap_err().code(), Code::TooLarge);
        let mut items = [0usize; 10];
        try_for_each_chunk_mut(&mut items, 3, 1, |i, piece| {
            piece.fill(i);
            Ok(())
        })
        .unwrap();
        assert_eq!(items, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
        let (mut a, mut b) = ([1u32; 6], [2u32; 3]);
        let sums = map_chunks_mut2((&mut a, 4), (&mut b, 2), |i, a, b| {
            i as u32 + a.iter().sum::<u32>() + b.iter().sum::<u32>()
        });
        assert_eq!(sums, [8, 5]);
    }

    /// The child of a fork works on threads of its own, after the parent has used its own; a child that hangs is ended.
    #[cfg(unix)]
    #[test]
    fn a_forked_child_works_too() {
        let sum = |n: usize| map_range(n, |i| i).into_iter().sum::<usize>();
        let want = sum(10_000);
        // SAFETY: the child runs only this closure and leaves by `_exit`, without unwinding into the test's harness.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let (a, b) = join(|| sum(10_000), threads);
            // SAFETY: `_exit` ends the child without running what the parent registered.
            unsafe { libc::_exit(if a == want && b >= 1 { 0 } else { 1 }) };
        }
        for _ in 0..600 {
            let mut status = 0;
            // SAFETY: `status` is a place for the child's status, and the child is this process's own.
            if unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == child {
                assert_eq!(status, 0);
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // SAFETY: the child is this process's own and has not been waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
        panic!("the forked child waits for threads that it does not have");
    }
}
