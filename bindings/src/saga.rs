//! How do hosts carry a saga through, whose steps they call from one thread now and another then?
//!
//! A saga keeps what undoes its steps, and stays on one thread. So each has a thread of its own here; calls of the host are done there,
//! one after the other, and whoever called waits.

use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use quorate_core::{Code, Error, Result, forks};
use quorate_state::{Saga, SagaOptions, StateStore};
use serde_json::Value;

type Job = Box<dyn FnOnce(&mut Saga<'static>) + Send>;

/// A saga of a host. When it is let go of, its thread ends with what it is doing.
#[derive(Debug)]
pub struct SagaHand {
    /// None once it is let go of.
    jobs: Mutex<Option<Sender<Job>>>,
    /// The process that its thread is of.
    process: u64,
}

impl SagaHand {
    /// Begins a saga, or goes on with the one that has this name. Errors: those of [`StateStore::saga`]; `io` when no thread can be
    /// made.
    ///
    /// ```
    /// use quorate_bindings::saga::SagaHand;
    /// use quorate_state::{SagaOptions, StateStore};
    /// let saga = SagaHand::open(StateStore::memory(), None, "order", SagaOptions::default())?;
    /// let seat = saga.on(|saga| saga.step("reserve", || Ok("12A".into()), |_| Ok(())))?;
    /// assert_eq!((seat.as_str(), saga.status()?), (Some("12A"), "running".to_owned()));
    /// saga.on(|saga| saga.finish())?;
    /// assert_eq!(saga.status()?, "done");
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn open(store: StateStore, tenant: Option<String>, name: &str, options: SagaOptions) -> Result<Self> {
        let (jobs, received) = channel::<Job>();
        let (opened, answer) = sync_channel(1);
        let name = name.to_owned();
        let work = move || match store.saga(tenant.as_deref(), &name, &options) {
            Err(error) => drop(opened.send(Err(error))),
            Ok(mut saga) => {
                let _ = opened.send(Ok(()));
                for job in received {
                    job(&mut saga);
                }
            }
        };
        thread::Builder::new().name("quorate-saga".to_owned()).spawn(work).map_err(|error| {
            Error::with_source(Code::Io, format!("no thread can be made: {error}"), error)
        })?;
        answer.recv().unwrap_or_else(|_| Err(ended()))?;
        Ok(SagaHand { jobs: Mutex::new(Some(jobs)), process: forks() })
    }

    /// Does something with it on its thread, and waits for that. Errors: those of `work`; `closed`; `unsupported` in the child of a fork.
    pub fn on<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Saga<'static>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.process != forks() {
            let why =
                "the saga is of the process that forked; open it again here, when that has let go of it";
            return Err(Error::new(Code::Unsupported, why));
        }
        let (reply, answer) = sync_channel(1);
        let job: Job = Box::new(move |saga| drop(reply.send(work(saga))));
        let sent =
            self.jobs.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|jobs| jobs.send(job));
        match sent {
            None => Err(Error::new(Code::Closed, "the saga was let go of; open it again")),
            Some(Err(_)) => Err(ended()),
            Some(Ok(())) => answer.recv().unwrap_or_else(|_| Err(ended())),
        }
    }

    /// How far it is; see [`Saga::status`]. Errors: those of [`SagaHand::on`].
    pub fn status(&self) -> Result<String> {
        self.on(|saga| Ok(saga.status().to_owned()))
    }

    /// Lets go of it as it is: whoever opens it again goes on, or undoes it.
    pub fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Undoes everything for a reason of the caller's. Nothing happens where that is done already, or the saga has ended. Errors: where it
/// cannot be undone, why; those of [`Saga::fail`].
pub fn give_up(saga: &mut Saga<'_>, reason: &Error) -> Result<()> {
    if saga.status() == "done" || saga.status() == "failed" {
        return Ok(());
    }
    let error = saga.fail(reason);
    if saga.status() == "failed" { Ok(()) } else { Err(error) }
}

/// What undoes a step, of what the step gave; null where nobody knows.
pub fn given(value: Option<&Value>) -> Value {
    value.cloned().unwrap_or_default()
}

fn ended() -> Error {
    Error::new(Code::Internal, "the thread of the saga has ended; open it again")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_failed_step_undoes_those_before_it_on_the_threads_own() {
        let saga = SagaHand::open(StateStore::memory(), None, "s", SagaOptions::default()).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for name in ["a", "b"] {
            let seen = Arc::clone(&seen);
            let undo = move |value: Option<&Value>| {
                seen.lock().unwrap().push(given(value));
                Ok(())
            };
            saga.on(move |saga| saga.step(name, || Ok(name.into()), undo)).unwrap();
        }
        let failed = saga.on(|saga| saga.step("c", || Err(Error::invalid("no")), |_| Ok(())));
        assert_eq!(failed.unwrap_err().message(), "no");
        assert_eq!(*seen.lock().unwrap(), [Value::from("b"), Value::from("a")]);
        assert_eq!(saga.status().unwrap(), "failed");
        saga.on(|saga| give_up(saga, &Error::invalid("too late"))).unwrap();
        saga.close();
        assert_eq!(saga.status().unwrap_err().code(), Code::Closed);
    }
}
