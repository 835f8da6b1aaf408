//! How do functions of JavaScript serve workflows: as tools, as kinds of steps, as clocks?

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::models::CallGuard;
use quorate::workflows::flow::{Clock, HostTool, ManualClock, StepContext, ToolOptions};
use quorate::{Cancel, Code, Error, Result};
use quorate_bindings::Host;
use quorate_bindings::workflow::{self, HostTime};
use serde_json::Value;

use crate::convert::{Out, arg, boolean, marked, number, text};
use crate::door::{Callback, Ending, Listener};
use crate::errors::{OrThrow, Thrown};
use crate::models::json as value;
use crate::runtime::answered;
use crate::value::Given;

const HOST: Host = Host::Node;

/// Something that a workflow may have done, or a kind of step.
#[napi(js_name = "WorkflowTool")]
pub struct NativeWorkflowTool {
    pub(crate) tool: Arc<dyn HostTool>,
    pub(crate) hand: Arc<Hand>,
}

/// What the calls of a tool share, in however many engines.
#[napi(js_name = "ToolGuard")]
pub struct NativeToolGuard {
    guard: Arc<CallGuard>,
    options: ToolOptions,
}

/// A clock that stands still until it is moved.
#[napi(js_name = "ManualClock")]
pub struct NativeManualClock(ManualClock);

/// What an engine is made of, beside its options.
#[napi(js_name = "EngineParts")]
#[derive(Default)]
pub struct NativeEngineParts(Mutex<Parts>);

/// Those parts.
#[derive(Default)]
pub struct Parts {
    /// Its tools.
    pub tools: Vec<Arc<dyn HostTool>>,
    /// The functions that they and its clock call.
    pub hands: Vec<Arc<Hand>>,
    /// What time it is.
    pub clock: Option<Arc<dyn Clock>>,
}

/// What a mutex holds, whoever has panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value of JSON; nothing is null.
pub fn said(given: Given, what: &str) -> Result<Value> {
    if given.is_missing() { Ok(Value::Null) } else { value(given, what) }
}

/// A function of JavaScript that steps call, and what is told when nobody waits for a call any more.
pub struct Hand {
    functions: Mutex<Option<(Arc<Callback>, Arc<Listener>)>>,
    ending: Ending,
}

impl Hand {
    /// Lets go of the functions: calls that come now find the engine closed.
    pub fn let_go(&self) {
        let functions = lock(&self.functions).take();
        drop(functions);
    }
}

struct HandTool {
    name: String,
    hand: Arc<Hand>,
    idempotent: bool,
    calls: AtomicU64,
}

/// What a run is told where nothing is known to have failed.
fn left(why: &str) -> Error {
    Error::new(Code::StaleWrite, why)
}

impl HostTool for HandTool {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, args: &Value, context: &StepContext) -> Result<Value> {
        let functions = lock(&self.hand.functions).clone();
        let Some((call, stop)) = functions else { return Err(left("the engine is closed")) };
        let number = self.calls.fetch_add(1, Ordering::Relaxed) as f64;
        let args = marked(args.clone()).to_string();
        let about = workflow::context(HOST, context).to_string();
        context.cancel.check()?;
        // It is told to end, and waited for: what it has done by then is done, and may have to be undone.
        let told = Arc::clone(&stop);
        let _wake = context.cancel.when_raised(move || told.tell(move || vec![vec![Out::Number(number)]]));
        let given = call.call(vec![Out::Number(number), Out::Text(args), Out::Text(about)], &Cancel::new());
        let given = match given {
            Ok(given) => given,
            Err(error) => {
                stop.tell(move || vec![vec![Out::Number(number)]]);
                let gone = self.hand.ending.has_come() || error.code() == Code::StaleWrite;
                return Err(if gone {
                    left("the thread of JavaScript has ended in the midst of the call")
                } else {
                    error
                });
            }
        };
        answered(given, "what the tool gave").map_err(|error| match error.code() {
            // That of something else: the run itself is as it was.
            Code::StaleWrite => Error::new(Code::ToolFailed, error.message()),
            _ => error,
        })
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }
}

/// A clock that is a function of JavaScript: `function(reply)` answers with seconds since 1970.
struct HostClock {
    hand: Arc<Hand>,
    time: HostTime,
}

impl Clock for HostClock {
    fn now(&self) -> f64 {
        let functions = lock(&self.hand.functions).clone();
        let told = match functions {
            None => Err(left("the engine is closed")),
            Some((call, _)) => {
                call.call(Vec::new(), &Cancel::new()).and_then(|given| number(given, "what the clock gave"))
            }
        };
        match told {
            // Nobody is asked any more; it has not failed.
            Err(error) if self.hand.ending.has_come() || error.code() == Code::StaleWrite => self.time.last(),
            told => self.time.now(told),
        }
    }
}

#[napi]
impl NativeToolGuard {
    /// One of a name; `options`: `retry`, `timeout`, `breaker`, `bulkhead`.
    #[napi(constructor)]
    pub fn new(env: Env, name: Unknown<'_>, options: Unknown<'_>) -> Result<Self, Thrown> {
        let name = arg(&env, &name, "name", text)?;
        let (options, calls) =
            workflow::tool_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        Ok(NativeToolGuard { guard: Arc::new(CallGuard::new(name, calls).or_throw()?), options })
    }
}

/// A tool that is a function of JavaScript: `call(reply, number, arguments, context)` with both as JSON answers with `{result}` or
/// `{error}`; `stop(number)` says that nobody waits for that call any more.
#[napi]
pub fn workflow_tool(
    env: Env,
    name: Unknown<'_>,
    call: Unknown<'_>,
    stop: Unknown<'_>,
    idempotent: Unknown<'_>,
    guard: &NativeToolGuard,
) -> Result<NativeWorkflowTool, Thrown> {
    let (name, idempotent) =
        (arg(&env, &name, "name", text)?, arg(&env, &idempotent, "idempotent", boolean)?);
    let functions = (Arc::new(Callback::new(&env, &call)?), Arc::new(Listener::new(&env, &stop)?));
    let hand = Arc::new(Hand { functions: Mutex::new(Some(functions)), ending: Ending::of(&env)? });
    let tool = HandTool { name, hand: Arc::clone(&hand), idempotent, calls: AtomicU64::new(0) };
    let tool = workflow::resilient(Arc::new(tool), &guard.options, &guard.guard).or_throw()?;
    Ok(NativeWorkflowTool { tool, hand })
}

#[napi]
impl NativeManualClock {
    /// A clock that shows `now`.
    #[napi(constructor)]
    pub fn new(env: Env, now: Unknown<'_>) -> Result<Self, Thrown> {
        let now = arg(&env, &now, "now", number)?;
        HostTime::new(now).or_throw()?;
        Ok(NativeManualClock(ManualClock::new(now)))
    }

    /// Seconds since 1970.
    #[napi]
    pub fn now(&self) -> f64 {
        use quorate::workflows::flow::Clock as _;
        self.0.now()
    }

    /// Moves it on.
    #[napi]
    pub fn advance(&self, env: Env, seconds: Unknown<'_>) -> Result<(), Thrown> {
        let seconds = arg(&env, &seconds, "seconds", number)?;
        self.0.advance(seconds);
        Ok(())
    }
}

impl NativeEngineParts {
    /// All of them, once.
    pub fn take(&self) -> Parts {
        std::mem::take(&mut *lock(&self.0))
    }
}

#[napi]
impl NativeEngineParts {
    /// None yet.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// One tool more.
    #[napi]
    pub fn add(&self, tool: &NativeWorkflowTool) {
        let mut parts = lock(&self.0);
        parts.tools.push(Arc::clone(&tool.tool));
        parts.hands.push(Arc::clone(&tool.hand));
    }

    /// What time it is, by a clock that is moved.
    #[napi]
    pub fn timed(&self, clock: &NativeManualClock) {
        lock(&self.0).clock = Some(Arc::new(clock.0.clone()));
    }

    /// What time it is, by a function `now(reply)`, which has said `first`.
    #[napi]
    pub fn timed_by(&self, env: Env, now: Unknown<'_>, first: Unknown<'_>) -> Result<(), Thrown> {
        let time = HostTime::new(arg(&env, &first, "what the clock gave", number)?).or_throw()?;
        let functions = (Arc::new(Callback::new(&env, &now)?), Arc::new(Listener::new(&env, &now)?));
        let hand = Arc::new(Hand { functions: Mutex::new(Some(functions)), ending: Ending::of(&env)? });
        let mut parts = lock(&self.0);
        parts.hands.push(Arc::clone(&hand));
        parts.clock = Some(Arc::new(HostClock { hand, time }));
        Ok(())
    }
}
