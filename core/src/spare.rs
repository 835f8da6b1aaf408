//! Which thread does work that its caller waits for?
//!
//! A thread that has ended its work waits a while for more, since starting one costs as much as a short request does.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::fork::PerProcess;
use crate::{Code, Error};

/// How long a thread waits for more work.
const PATIENCE: Duration = Duration::from_secs(5);
/// At most so many threads wait.
const MOST: usize = 16;
/// How long a thread stays awake for what may come in a moment. Measured on two idle cores: a run of two model calls and a tool
/// takes 37 us, and without this 85; the whole example (`agents/runtime/examples/run_speed`) takes 6.5 s of the processors' time and
/// without this 6.2. From Python, where two threads wait for one another, a run takes 290 us for 411, and 560 us of the
/// processors' time for 240.
const MOMENT: Duration = Duration::from_micros(100);
/// At most so many threads stay awake at once: of many that wait, each would take the others' time.
const MOST_AWAKE: usize = 3;

/// The threads that stay awake; those of the parent are not in a child of a fork.
static AWAKE: PerProcess<AtomicUsize> = PerProcess::new();

type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    /// What is to be done when this thread ends; none where it is not one of these threads.
    static LEAVES: RefCell<Option<Vec<Box<dyn FnOnce()>>>> = const { RefCell::new(None) };
}

/// Has `leave` done when this thread ends, where it is one that does work for others, and says whether it is.
pub fn at_end(leave: impl FnOnce() + 'static) -> bool {
    LEAVES.with_borrow_mut(|leaves| leaves.as_mut().map(|leaves| leaves.push(Box::new(leave))).is_some())
}

/// The threads that wait, the last one to have worked at the end. Each is known by its number.
#[derive(Default)]
struct Waiting {
    threads: Vec<(u64, SyncSender<Work>)>,
    started: u64,
}

static WAITING: PerProcess<Arc<Mutex<Waiting>>> = PerProcess::new();

/// Has `work` done on a thread of its own, one that waits for work or a new one. It must not unwind. Errors: `io` when no
/// thread can be started.
///
/// ```
/// let (sender, result) = std::sync::mpsc::channel();
/// quorate_core::spare::run(move || sender.send(6 * 7).unwrap())?;
/// assert_eq!(result.recv(), Ok(42));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn run(work: impl FnOnce() + Send + 'static) -> crate::Result<()> {
    let waiting = WAITING.get(|| Ok(Arc::default()))?;
    let work: Work = Box::new(work);
    let number = {
        let mut waiting = lock(waiting);
        if let Some((_, thread)) = waiting.threads.pop() {
            // Who is taken off the list waits for what is sent to it, however long.
            drop(waiting);
            return thread.send(work).map_err(|_| Error::new(Code::Internal, "a thread that waits is gone"));
        }
        waiting.started += 1;
        waiting.started
    };
    start(number, Arc::clone(waiting), work)
        .map_err(|e| Error::with_source(Code::Io, format!("no thread could be started: {e}"), e))
}

fn start(number: u64, waiting: Arc<Mutex<Waiting>>, first: Work) -> io::Result<()> {
    let serve = move || {
        let (sender, receiver) = sync_channel(1);
        let mut work = first;
        loop {
            work();
            {
                let mut waiting = lock(&waiting);
                if waiting.threads.len() >= MOST {
                    return;
                }
                waiting.threads.push((number, sender.clone()));
            }
            let next = recv(&receiver, PATIENCE).or_else(|e| {
                let mut waiting = lock(&waiting);
                let before = waiting.threads.len();
                waiting.threads.retain(|(other, _)| *other != number);
                let taken = waiting.threads.len() == before;
                drop(waiting);
                // Somebody has taken this thread off the list, and is about to send.
                if taken { receiver.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { Err(e) }
            });
            match next {
                Ok(next) => work = next,
                Err(_) => return,
            }
        }
    };
    let serve = move || {
        LEAVES.set(Some(Vec::new()));
        serve();
        LEAVES.take().into_iter().flatten().for_each(|leave| leave());
    };
    thread::Builder::new().name("quorate".to_owned()).spawn(serve).map(|_| ())
}

/// Waits for what another thread sends, for at most `limit`. What comes within the time that waking a sleeping core takes is
/// waited for awake, while others have their turn.
pub fn recv<T>(receiver: &Receiver<T>, limit: Duration) -> Result<T, RecvTimeoutError> {
    struct Awake<'a>(&'a AtomicUsize);
    impl Drop for Awake<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let begun = Instant::now();
    let awake = AWAKE.get(|| Ok(AtomicUsize::new(0))).ok();
    let one_more = |awake: &&AtomicUsize| {
        let more = |n: usize| (n < MOST_AWAKE).then_some(n + 1);
        awake.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    };
    if let Some(awake) = awake.filter(one_more) {
        let _awake = Awake(awake);
        while begun.elapsed() < MOMENT.min(limit) {
            match receiver.try_recv() {
                Ok(found) => return Ok(found),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => thread::yield_now(),
            }
        }
    }
    receiver.recv_timeout(limit.saturating_sub(begun.elapsed()))
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_is_done_at_once_and_each_time() {
        // More at a time than wait, and each needs all the others.
        for _ in 0..5 {
            let (sender, results) = channel();
            let together = Arc::new(std::sync::Barrier::new(3 * MOST));
            for i in 0..3 * MOST {
                let (sender, together) = (sender.clone(), Arc::clone(&together));
                run(move || {
                    together.wait();
                    sender.send(i).unwrap();
                })
                .unwrap();
            }
            drop(sender);
            let mut found: Vec<usize> = results.iter().collect();
            found.sort_unstable();
            assert_eq!(found, (0..3 * MOST).collect::<Vec<_>>());
        }
        let waiting = WAITING.get(|| Ok(Arc::default())).unwrap();
        assert!(lock(waiting).threads.len() <= MOST);
    }

    #[test]
    fn what_is_left_for_the_end_of_a_thread_is_done_there() {
        assert!(!at_end(|| unreachable!("this thread does no work for others")));
        let (sender, ended) = channel();
        // More at a time than wait for more work: some end at once.
        let together = Arc::new(std::sync::Barrier::new(2 * MOST));
        for _ in 0..2 * MOST {
            let (sender, together) = (sender.clone(), Arc::clone(&together));
            run(move || {
                assert!(at_end(move || sender.send(thread::current().id()).unwrap()));
                together.wait();
            })
            .unwrap();
        }
        drop(sender);
        let first = ended.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_ne!(first, thread::current().id());
        // The others end when they have waited in vain.
        assert_eq!(ended.iter().count(), 2 * MOST - 1);
    }

    #[test]
    fn a_thread_is_used_again() {
        let (sender, names) = channel();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let sender = sender.clone();
            run(move || sender.send(thread::current().id()).unwrap()).unwrap();
            seen.insert(names.recv().unwrap());
            thread::sleep(Duration::from_millis(1));
        }
        assert!(seen.len() < 100, "{} threads", seen.len());
    }
}
