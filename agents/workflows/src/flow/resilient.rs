//! How does a tool last through a bad time of what it calls: by further attempts, a limit of time, a breaker, places?

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_core::{Code, Error, Result, spare};
use quorate_models::{AdmittedCall, CallGuard, Clock, SystemClock};
use serde_json::Value;

use super::form::Retry;
use super::machine::ends::{is_worth, wait};
use super::tools::{HostTool, StepContext};

/// The longest time of one call, in seconds: a day.
const MAX_TIMEOUT: f64 = 86_400.0;

/// How often a tool is tried, and for how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolOptions {
    /// Further attempts within one attempt of the step, which sees the last one alone; `None`: none. A call that must not be
    /// repeated is not when it is not known how it ended.
    pub retry: Option<Retry>,
    /// Seconds for one call, after which it is not waited for any more (`tool_timeout`); `None`: any time.
    pub timeout: Option<f64>,
}

impl ToolOptions {
    /// Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if let Some(timeout) = self.timeout.filter(|timeout| !(*timeout > 0.0 && *timeout <= MAX_TIMEOUT)) {
            let message = format!(
                "timeout is {timeout}; a number of seconds above 0, and {MAX_TIMEOUT} at most, is expected"
            );
            return Err(Error::invalid(message));
        }
        let Some(retry) = &self.retry else { return Ok(()) };
        if !(1..=100).contains(&retry.max_attempts) {
            let message = format!(
                "retry: max_attempts is {}; a whole number from 1 to 100 is expected",
                retry.max_attempts
            );
            return Err(Error::invalid(message));
        }
        if !(1.0..=100.0).contains(&retry.factor) {
            return Err(Error::invalid(format!(
                "retry: factor is {}; a number from 1 to 100 is expected",
                retry.factor
            )));
        }
        for (name, span) in [("backoff", &retry.backoff), ("max_backoff", &retry.max_backoff)] {
            span.seconds().map_err(|wrong| Error::invalid(format!("retry: {name}: {wrong}")))?;
        }
        Ok(())
    }
}

/// A tool that lasts through a bad time. Several of one guard share its breaker and its places.
///
/// ```
/// use std::sync::Arc;
/// use quorate_models::{CallGuard, CallOptions};
/// use quorate_workflows::flow::{FnTool, HostTool, ResilientTool, ToolOptions};
/// let tool = Arc::new(FnTool::new("openfda", |_, _| Ok(serde_json::json!(1))));
/// let guard = Arc::new(CallGuard::new("openfda", CallOptions::default())?);
/// let tool = ResilientTool::new(tool, ToolOptions { timeout: Some(10.0), ..ToolOptions::default() }, guard)?;
/// assert_eq!(tool.name(), "openfda");
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct ResilientTool {
    tool: Arc<dyn HostTool>,
    options: ToolOptions,
    guard: Arc<CallGuard>,
}

impl ResilientTool {
    /// Errors: those of [`ToolOptions::validate`].
    pub fn new(
        tool: Arc<dyn HostTool>,
        options: ToolOptions,
        guard: Arc<CallGuard>,
    ) -> Result<ResilientTool> {
        options.validate()?;
        Ok(ResilientTool { tool, options, guard })
    }

    fn attempt(&self, args: &Value, context: &StepContext) -> Result<Value> {
        let admitted = self.guard.admit(&context.cancel)?;
        match self.options.timeout {
            None => {
                let made = self.tool.call(args, context);
                admitted.ended(&made);
                made
            }
            Some(timeout) => self.timed(
                args,
                context,
                admitted,
                Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX),
            ),
        }
    }

    /// The call is made on a thread of its own, which is left alone after its time. It holds its place until it has ended. One
    /// that is told to end is waited for as any other: what it has done meanwhile is done, and may have to be undone.
    fn timed(
        &self,
        args: &Value,
        context: &StepContext,
        admitted: AdmittedCall,
        most: Duration,
    ) -> Result<Value> {
        let cancel = context.cancel.child();
        let (tool, args) = (Arc::clone(&self.tool), args.clone());
        let context = StepContext { cancel: cancel.clone(), ..context.clone() };
        let admitted = Arc::new(Mutex::new(admitted));
        let (sender, made) = sync_channel(1);
        let theirs = Arc::clone(&admitted);
        spare::run(move || {
            let made = catch_unwind(AssertUnwindSafe(|| tool.call(&args, &context)));
            let made = made.unwrap_or_else(|_| Err(Error::new(Code::Callback, "the tool has panicked")));
            came_to(&theirs, &made);
            // Whoever asked may not wait any more.
            let _ = sender.try_send(made);
        })?;
        match made.recv_timeout(most) {
            Ok(made) => {
                came_to(&admitted, &made);
                made
            }
            Err(RecvTimeoutError::Timeout) => {
                let message = format!("'{}' has not ended in {} s", self.tool.name(), most.as_secs_f64());
                let late = Err(Error::new(Code::ToolTimeout, message));
                // Its own end says nothing any more.
                came_to(&admitted, &late);
                cancel.cancel();
                late
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new(Code::Internal, "the thread of a tool has ended without a word"))
            }
        }
    }
}

fn came_to(admitted: &Mutex<AdmittedCall>, how: &Result<Value>) {
    admitted.lock().unwrap_or_else(PoisonError::into_inner).came_to(how);
}

impl HostTool for ResilientTool {
    fn name(&self) -> &str {
        self.tool.name()
    }

    fn call(&self, args: &Value, context: &StepContext) -> Result<Value> {
        let clock = SystemClock::default();
        let mut attempts = 0;
        loop {
            let made = self.attempt(args, context);
            attempts += 1;
            let (Err(error), Some(retry)) = (&made, &self.options.retry) else { return made };
            let unknown =
                matches!(error.code(), Code::Timeout | Code::ToolTimeout) && !self.tool.is_idempotent();
            if attempts >= retry.max_attempts || unknown || !is_worth(retry, error.code().as_str()) {
                return made;
            }
            let draw = RandomState::new().hash_one(attempts) as f64 / u64::MAX as f64;
            let pause = Duration::try_from_secs_f64(wait(retry, attempts, draw)).unwrap_or(Duration::MAX);
            if clock.sleep(pause, &context.cancel).is_err() {
                return made;
            }
        }
    }

    fn is_idempotent(&self) -> bool {
        self.tool.is_idempotent()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    use quorate_models::{BreakerOptions, BulkheadOptions, CallOptions};
    use serde_json::json;

    use super::super::perform::context;
    use super::super::tools::FnTool;
    use super::*;

    fn retry(given: Value) -> Option<Retry> {
        Some(serde_json::from_value(given).unwrap())
    }

    fn made(tool: FnTool, options: ToolOptions, calls: CallOptions) -> ResilientTool {
        let guard = CallGuard::new("t", calls).unwrap();
        ResilientTool::new(Arc::new(tool), options, Arc::new(guard)).unwrap()
    }

    fn call(tool: &ResilientTool) -> Result<Value> {
        tool.call(&json!({}), &context("r", "s", None))
    }

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_not() {
        let tries = Arc::new(AtomicU32::new(0));
        let flaky = |code: Code, good: u32| {
            let tries = Arc::clone(&tries);
            FnTool::new("t", move |_, _| match tries.fetch_add(1, Ordering::SeqCst) + 1 {
                n if n >= good => Ok(json!(n)),
                _ => Err(Error::new(code, "down")),
            })
        };
        let options = ToolOptions { retry: retry(json!({"max_attempts": 3, "backoff": 0})), timeout: None };
        let plain = CallOptions::default;
        assert_eq!(call(&made(flaky(Code::RemoteFailed, 3), options.clone(), plain())).unwrap(), json!(3));
        tries.store(0, Ordering::SeqCst);
        assert!(call(&made(flaky(Code::RemoteFailed, 4), options.clone(), plain())).is_err());
        assert_eq!(tries.swap(0, Ordering::SeqCst), 3);
        assert!(call(&made(flaky(Code::ToolArguments, 4), options.clone(), plain())).is_err());
        assert_eq!(tries.swap(0, Ordering::SeqCst), 1);
        // Nobody knows how it ended.
        assert!(call(&made(flaky(Code::ToolTimeout, 4).once(), options, plain())).is_err());
        assert_eq!(tries.swap(0, Ordering::SeqCst), 1);
    }

    #[test]
    fn a_call_that_hangs_is_left_and_holds_its_place() {
        let (under, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (inside, heard) = (Arc::clone(&under), Arc::clone(&told));
        let hangs = FnTool::new("t", move |_, context| {
            inside.fetch_add(1, Ordering::SeqCst);
            while !context.cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            heard.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(300));
            inside.fetch_sub(1, Ordering::SeqCst);
            Ok(json!(null))
        });
        let options = ToolOptions { retry: None, timeout: Some(0.05) };
        let bulkhead = Some(BulkheadOptions { most: 1, queue: 0 });
        let tool = made(hangs, options, CallOptions { bulkhead, breaker: None });
        assert_eq!(call(&tool).unwrap_err().code(), Code::ToolTimeout);
        assert_eq!(under.load(Ordering::SeqCst), 1, "it is under way still");
        assert_eq!(call(&tool).unwrap_err().code(), Code::RateLimited, "and has its place");
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!((under.load(Ordering::SeqCst), told.load(Ordering::SeqCst)), (0, 1));
        assert_eq!(call(&tool).unwrap_err().code(), Code::ToolTimeout);
    }

    #[test]
    fn a_breaker_counts_what_is_late() {
        let hangs = FnTool::new("t", |_, context| {
            while !context.cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(json!(null))
        });
        let breaker = Some(BreakerOptions { failures: 2, ..BreakerOptions::default() });
        let options = ToolOptions { retry: None, timeout: Some(0.02) };
        let tool = made(hangs, options, CallOptions { breaker, bulkhead: None });
        let codes: Vec<Code> = (0..3).map(|_| call(&tool).unwrap_err().code()).collect();
        assert_eq!(codes, [Code::ToolTimeout, Code::ToolTimeout, Code::CircuitOpen]);
    }

    #[test]
    fn what_a_call_comes_to_that_is_told_to_end_is_not_lost() {
        let deaf = |millis: u64| {
            FnTool::new("t", move |_, _| {
                std::thread::sleep(Duration::from_millis(millis));
                Ok(json!("done"))
            })
        };
        let ended = |millis: u64, timeout: f64| {
            let options = ToolOptions { retry: retry(json!({})), timeout: Some(timeout) };
            let tool = made(deaf(millis), options, CallOptions::default());
            let about = context("r", "s", None);
            let flag = about.cancel.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                flag.cancel();
            });
            tool.call(&json!({}), &about)
        };
        assert_eq!(ended(300, 60.0).unwrap(), json!("done"));
        // Nor is it waited for longer than its time, or made again.
        let begun = std::time::Instant::now();
        assert_eq!(ended(5_000, 0.2).unwrap_err().code(), Code::ToolTimeout);
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn options_without_sense_are_refused() {
        for (given, timeout) in [
            (json!({"max_attempts": 0}), None),
            (json!({"max_attempts": 101}), None),
            (json!({"factor": 0.5}), None),
            (json!({"backoff": "soon"}), None),
            (json!({"max_backoff": -1}), None),
            (json!({}), Some(0.0)),
            (json!({}), Some(f64::NAN)),
            (json!({}), Some(1e9)),
        ] {
            let options = ToolOptions { retry: retry(given.clone()), timeout };
            assert_eq!(options.validate().unwrap_err().code(), Code::InvalidArgument, "{given} {timeout:?}");
        }
    }
}
