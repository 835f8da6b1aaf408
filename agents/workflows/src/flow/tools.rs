//! What does the host give a workflow to work with: tools, kinds of steps, a clock?

use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::{Cancel, Result};
use serde_json::Value;

/// What is told about a call.
#[derive(Clone, Debug)]
pub struct StepContext {
    /// The run.
    pub run_id: String,
    /// The step.
    pub step: String,
    /// How often the step was come to, from 1.
    pub visit: u32,
    /// The attempt of this visit, from 1.
    pub attempt: u32,
    /// What is called, by its whole name: `openfda.search`.
    pub name: String,
    /// The same for each attempt at this call, and for no other: what makes a repeated call harmless.
    pub idempotency_key: String,
    /// On whose behalf.
    pub tenant: Option<String>,
    /// Raised when the step is ended: cancelled, timed out, or left by a loop. Long work looks at it.
    pub cancel: Cancel,
}

/// Something outside that a workflow has done.
pub trait HostTool: Send + Sync {
    /// By which name workflows know it. One with several calls has the name before the dot: `openfda` answers
    /// `openfda.search`, and finds the whole name in its context.
    fn name(&self) -> &str;

    /// Makes the call. It may be made again with the same [key](StepContext::idempotency_key).
    ///
    /// The code of its error decides whether another attempt is worth it. With `stale_write` nothing is known to have failed:
    /// whoever made the call is gone, as after a kill, and the run is left to whoever goes on with it.
    fn call(&self, args: &Value, context: &StepContext) -> Result<Value>;

    /// Whether a call may be made again when it is not known how it ended, since its process was killed in the midst of it.
    /// Where it may not, the run is blocked until somebody says what to do. Default true: calls have a key.
    fn is_idempotent(&self) -> bool {
        true
    }
}

type Call = Box<dyn Fn(&Value, &StepContext) -> Result<Value> + Send + Sync>;

/// A tool that is a function.
pub struct FnTool {
    name: String,
    idempotent: bool,
    call: Call,
}

impl FnTool {
    /// A tool whose calls may be repeated with their key.
    ///
    /// ```
    /// use quorate_workflows::flow::{FnTool, HostTool};
    /// let tool = FnTool::new("estar.build", |args, context| Ok(serde_json::json!({"key": context.idempotency_key})));
    /// assert!(tool.is_idempotent());
    /// ```
    pub fn new(
        name: impl Into<String>,
        call: impl Fn(&Value, &StepContext) -> Result<Value> + Send + Sync + 'static,
    ) -> FnTool {
        FnTool { name: name.into(), idempotent: true, call: Box::new(call) }
    }

    /// The same, of which a call must not be repeated unasked.
    pub fn once(self) -> FnTool {
        FnTool { idempotent: false, ..self }
    }
}

impl HostTool for FnTool {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, args: &Value, context: &StepContext) -> Result<Value> {
        (self.call)(args, context)
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }
}

/// What time it is.
pub trait Clock: Send + Sync {
    /// Seconds since 1970.
    fn now(&self) -> f64;
}

/// The computer's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> f64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64())
    }
}

/// A clock that stands still until it is moved: for tests, and to see what a workflow does in a hundred days.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<f64>>);

impl ManualClock {
    /// A clock that shows `now`, in seconds since 1970.
    pub fn new(now: f64) -> ManualClock {
        ManualClock(Arc::new(Mutex::new(now)))
    }

    /// Moves it on.
    pub fn advance(&self, seconds: f64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += seconds;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> f64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
