//! How does work leave the JavaScript thread, come back as a Promise, and never unwind into Node?
//!
//! Each environment (the main thread, each worker thread) has one channel back, a thread-safe function of Node-API. It
//! keeps the process alive only while work is under way.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use napi::Env;
use napi::bindgen_prelude::{ToNapiValue, TypeName, Unknown, retain_current_module_for_unload_safety};
use napi::sys::{self, napi_env, napi_value};
use napi_derive::napi;
use quorate::core::spare;
use quorate::{Cancel, Code, Error, Result};

pub use crate::cancel::{NativeCancel, flag};
pub use crate::contain::contain;
use crate::convert::Out;
use crate::errors::{OrThrow, Thrown, engine};
pub use crate::held::Held;
pub use crate::pool::Lane;
use crate::pool::{submit, waiting};
use crate::value::{Given, read};

/// A Promise that a native function returns.
pub struct Promised(napi_value);

impl TypeName for Promised {
    fn type_name() -> &'static str {
        "Promise"
    }

    fn value_type() -> napi::ValueType {
        napi::ValueType::Object
    }
}

impl ToNapiValue for Promised {
    unsafe fn to_napi_value(_: napi_env, promise: Self) -> napi::Result<napi_value> {
        Ok(promise.0)
    }
}

/// Runs `work` on a thread of `lane`; the Promise is resolved with what it returns or rejected with its error.
pub fn promise(
    env: &Env,
    lane: Lane,
    work: impl FnOnce() -> Result<Out> + Send + 'static,
) -> Result<Promised, Thrown> {
    let door = Door::of(env.raw()).or_throw()?;
    let (mut deferred, mut promise) = (null_mut(), null_mut());
    // SAFETY: `env` serves a call on this thread; the pointers are to locals.
    check(unsafe { sys::napi_create_promise(door.env, &mut deferred, &mut promise) }).or_throw()?;
    // The handle is only used again on this thread.
    let deferred = deferred.expose_provenance();
    let way = Arc::clone(&door.way);
    door.begin();
    let sent = submit(
        lane,
        Box::new(move || {
            let outcome = contain(work);
            way.send(Box::new(move |env| {
                settle(env, deferred, outcome);
                if let Ok(door) = Door::of(env) {
                    door.end();
                }
            }));
        }),
    );
    if let Err(error) = sent {
        settle(door.env, deferred, Err(error));
        door.end();
    }
    Ok(Promised(promise))
}

/// What a Promise waits for that another thread settles, sooner or later. Dropped unsettled it gives `undefined`.
pub struct Later {
    way: Arc<Way>,
    deferred: Option<usize>,
}

impl Later {
    /// Settles the Promise.
    pub fn settle(mut self, outcome: Result<Out>) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Result<Out>) {
        let Some(deferred) = self.deferred.take() else { return };
        self.way.send(Box::new(move |env| {
            settle(env, deferred, outcome);
            if let Ok(door) = Door::of(env) {
                door.end();
            }
        }));
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.send(Ok(Out::Nothing));
    }
}

/// A Promise, and what settles it. It keeps the process alive until then, and no thread waits for it.
pub fn later(env: &Env) -> Result<(Promised, Later), Thrown> {
    let door = Door::of(env.raw()).or_throw()?;
    let (mut deferred, mut promise) = (null_mut(), null_mut());
    // SAFETY: `env` serves a call on this thread; the pointers are to locals.
    check(unsafe { sys::napi_create_promise(door.env, &mut deferred, &mut promise) }).or_throw()?;
    door.begin();
    // The handle is only used again on this thread.
    let deferred = Some(deferred.expose_provenance());
    Ok((Promised(promise), Later { way: Arc::clone(&door.way), deferred }))
}

/// Runs `work`, which takes well under a millisecond, on this thread.
pub fn quick<T>(work: impl FnOnce() -> Result<T>) -> Result<T, Thrown> {
    contain(work).or_throw()
}

fn settle(env: napi_env, deferred: usize, outcome: Result<Out>) {
    let deferred = with_exposed_provenance_mut(deferred);
    let given = outcome.and_then(|out| {
        out.give(env).map_err(|e| engine(format!("a result could not be handed over: {}", e.reason)))
    });
    match given {
        // SAFETY: the deferred was made on this thread and is settled once.
        Ok(value) => unsafe {
            sys::napi_resolve_deferred(env, deferred, value);
        },
        Err(error) => {
            let thrown = napi::JsError::from(crate::errors::throw(error));
            // SAFETY: as above; `env` is alive while it serves this call.
            unsafe {
                let value = thrown.into_value(env);
                sys::napi_reject_deferred(env, deferred, value);
            }
        }
    }
}

fn check(status: sys::napi_status) -> Result<()> {
    match status {
        sys::Status::napi_ok => Ok(()),
        status => Err(engine(format!("Node-API answers with status {status}"))),
    }
}

/// Whether an environment goes down.
pub struct Ending(Arc<Way>);

impl Ending {
    /// Of the environment that is being served.
    pub fn of(env: &Env) -> Result<Ending, Thrown> {
        Ok(Ending(Arc::clone(&Door::of(env.raw()).or_throw()?.way)))
    }

    /// It runs no JavaScript any more; what it lets go of now is not what its host has let go of.
    pub fn has_come(&self) -> bool {
        self.0.gone.load(Ordering::Acquire)
    }
}

/// The longest that an answer is waited for at once.
const LONG: Duration = Duration::from_secs(3600);

/// What is done on the JavaScript thread.
type Message = Box<dyn FnOnce(napi_env) + Send>;

/// The way back to one environment, for any thread.
struct Way {
    /// The address of the thread-safe function; none once its environment goes down.
    function: Mutex<Option<usize>>,
    /// Whether the environment goes down, and runs no JavaScript any more.
    gone: AtomicBool,
    /// How many messages were sent.
    sent: AtomicUsize,
}

/// How long the thread of JavaScript stays awake for what comes of an answer that a function of the host has given. Measured on two
/// cores that others used too: a run of two model calls and a tool takes 262 us for 474, and 263 us of the processors' time for 325.
const MOMENT: Duration = Duration::from_micros(50);

impl Way {
    /// Has the thread of JavaScript, once what it does now is done with all that follows at once, look a moment for the next
    /// message before it sleeps: whoever was answered often asks again before a sleeping thread would be awake.
    fn linger(self: &Arc<Self>) {
        let (way, number) = (Arc::clone(self), Arc::new(AtomicUsize::new(0)));
        let own = Arc::clone(&number);
        let sent = self.send(Box::new(move |_| {
            let (own, begun) = (own.load(Ordering::Relaxed), Instant::now());
            while way.sent.load(Ordering::Acquire) == own && begun.elapsed() < MOMENT {
                std::thread::yield_now();
            }
        }));
        // It is read on this thread, later.
        number.store(sent, Ordering::Relaxed);
    }

    /// Why no function of the host will answer any more, where its environment goes down. Nothing is known to have failed then, and
    /// a run that waits for it is left as it is: interrupted, to be resumed.
    fn gone(&self) -> Option<Error> {
        let message = "the thread of JavaScript whose function was called has ended";
        self.gone.load(Ordering::Acquire).then(|| Error::new(Code::StaleWrite, message))
    }

    /// Has `message` run on the JavaScript thread, and gives its number; drops it when that has ended.
    fn send(&self, message: Message) -> usize {
        let function = self.function.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(address) = *function else { return 0 };
        let data = Box::into_raw(Box::new(message));
        let number = self.sent.fetch_add(1, Ordering::Release) + 1;
        // SAFETY: the function is alive while its address is there, which the lock keeps.
        let status = unsafe {
            sys::napi_call_threadsafe_function(
                with_exposed_provenance_mut(address),
                data.cast(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
        if status != sys::Status::napi_ok {
            // SAFETY: the message was not taken, so it is still ours.
            drop(unsafe { Box::from_raw(data) });
        }
        number
    }
}

/// What one environment has under way.
struct Door {
    env: napi_env,
    way: Arc<Way>,
    pending: Cell<usize>,
    callbacks: RefCell<HashMap<u64, sys::napi_ref>>,
    last: Cell<u64>,
}

thread_local! {
    /// The environments of this thread; there is one, except where a test runner loads the addon again.
    static DOORS: RefCell<Vec<Rc<Door>>> = const { RefCell::new(Vec::new()) };
}

impl Door {
    fn of(env: napi_env) -> Result<Rc<Door>> {
        DOORS.with_borrow_mut(|doors| {
            if let Some(door) = doors.iter().find(|door| door.env == env) {
                return Ok(Rc::clone(door));
            }
            let door = Rc::new(Door::new(env)?);
            doors.push(Rc::clone(&door));
            Ok(door)
        })
    }

    fn new(env: napi_env) -> Result<Door> {
        // Threads of the pool outlive an environment, so the addon must stay in memory.
        retain_current_module_for_unload_safety();
        let (mut name, mut function) = (null_mut(), null_mut());
        // SAFETY: `env` is alive on this thread; the pointers are to locals and a literal of this length.
        unsafe {
            check(sys::napi_create_string_utf8(env, c"quorate".as_ptr(), 7, &mut name))?;
            check(sys::napi_create_threadsafe_function(
                env,
                null_mut(),
                null_mut(),
                name,
                0,
                1,
                null_mut(),
                None,
                null_mut(),
                Some(receive),
                &mut function,
            ))?;
            check(sys::napi_unref_threadsafe_function(env, function))?;
        }
        let function = Mutex::new(Some(function.expose_provenance()));
        let way = Arc::new(Way { function, gone: AtomicBool::new(false), sent: AtomicUsize::new(0) });
        let hook = Arc::into_raw(Arc::clone(&way));
        // SAFETY: the hook owns one count of the way and gives it back when it runs, once.
        check(unsafe { sys::napi_add_env_cleanup_hook(env, Some(leave), hook.cast_mut().cast()) })?;
        Ok(Door { env, way, pending: Cell::new(0), callbacks: RefCell::default(), last: Cell::new(0) })
    }

    fn function(&self) -> Option<sys::napi_threadsafe_function> {
        let function = self.way.function.lock().unwrap_or_else(PoisonError::into_inner);
        function.map(with_exposed_provenance_mut)
    }

    /// Keeps the process alive for one more piece of work.
    fn begin(&self) {
        self.pending.set(self.pending.get() + 1);
        if self.pending.get() == 1
            && let Some(function) = self.function()
        {
            // SAFETY: the function is alive, and this is its thread.
            unsafe { sys::napi_ref_threadsafe_function(self.env, function) };
        }
    }

    fn end(&self) {
        self.pending.set(self.pending.get().saturating_sub(1));
        if self.pending.get() == 0
            && let Some(function) = self.function()
        {
            // SAFETY: as above.
            unsafe { sys::napi_unref_threadsafe_function(self.env, function) };
        }
    }
}

/// Runs a message on the JavaScript thread. Without `env` the environment is going down, and the message is dropped.
unsafe extern "C" fn receive(env: napi_env, _: napi_value, _: *mut c_void, data: *mut c_void) {
    // SAFETY: the data is a message that `Way::send` let go of.
    let message = unsafe { Box::from_raw(data.cast::<Message>()) };
    if !env.is_null() {
        // Nothing can be told to anybody here: what may fail is contained where it has a promise.
        let _ = catch_unwind(AssertUnwindSafe(|| message(env)));
    }
}

/// The environment goes down: no message reaches it from now on.
unsafe extern "C" fn leave(way: *mut c_void) {
    // SAFETY: this is the count that the hook was given.
    let way = unsafe { Arc::from_raw(way.cast_const().cast::<Way>()) };
    way.gone.store(true, Ordering::Release);
    let function = way.function.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(address) = function {
        // SAFETY: the function is alive until it is released here, on its thread.
        unsafe {
            sys::napi_release_threadsafe_function(
                with_exposed_provenance_mut(address),
                sys::ThreadsafeFunctionReleaseMode::abort,
            )
        };
    }
    DOORS.with_borrow_mut(|doors| doors.retain(|door| !Arc::ptr_eq(&door.way, &way)));
}

/// A function of JavaScript that is told something now and then, and answers nothing.
pub struct Listener(Callback);

impl Listener {
    /// Keeps a function, called as `function(...arguments)`.
    pub fn new(env: &Env, function: &Unknown<'_>) -> Result<Listener, Thrown> {
        Callback::new(env, function).map(Listener)
    }

    /// Has the function called with each of the lists of arguments that `calls` gives then, on its thread.
    pub fn tell(&self, calls: impl FnOnce() -> Vec<Vec<Out>> + Send + 'static) {
        let id = self.0.id;
        self.0.way.send(Box::new(move |env| {
            for arguments in calls() {
                // Nobody waits for it; what it throws is its own affair.
                let _ = invoke(env, id, Vec::new(), arguments);
            }
        }));
    }
}

/// A JavaScript function that other threads call.
pub struct Callback {
    way: Arc<Way>,
    id: u64,
}

impl Callback {
    /// Keeps a function. It is called as `function(reply, ...arguments)` and must answer by `reply`, once.
    pub fn new(env: &Env, function: &Unknown<'_>) -> Result<Callback, Thrown> {
        let door = Door::of(env.raw()).or_throw()?;
        let mut reference = null_mut();
        // SAFETY: the value belongs to the call that is being served; the pointer is to a local.
        check(unsafe {
            sys::napi_create_reference(door.env, napi::JsValue::raw(function), 1, &mut reference)
        })
        .or_throw()?;
        let id = door.last.get() + 1;
        door.last.set(id);
        door.callbacks.borrow_mut().insert(id, reference);
        Ok(Callback { way: Arc::clone(&door.way), id })
    }

    /// Calls the function from another thread and waits for its answer. Errors: `callback` when it fails, `cancelled`.
    pub fn call(&self, arguments: Vec<Out>, cancel: &Cancel) -> Result<Given> {
        self.ask(arguments, cancel, None)
    }

    /// The same in work that a Promise waits for, which does not keep the process alive meanwhile: an answer that never comes must
    /// not hold it. One such call at a time for each Promise.
    pub fn call_idle(&self, arguments: Vec<Out>, cancel: &Cancel) -> Result<Given> {
        self.ask(arguments, cancel, Some(Arc::default()))
    }

    fn ask(&self, arguments: Vec<Out>, cancel: &Cancel, rest: Option<Rest>) -> Result<Given> {
        let (sender, receiver) = sync_channel(1);
        let sender = Arc::new(sender);
        // Whoever raises the flag tells, also before the function is called, and before the cancelled call can be settled: else
        // its Promise would be let go of twice, or a process end that has only its news to wait for.
        let (way, rested) = (Arc::clone(&self.way), rest.clone());
        let (flag, waits) = (cancel.clone(), Arc::downgrade(&sender));
        let _wake = cancel.when_raised(move || {
            if let Some(rest) = &rested {
                rouse(&way, rest);
            }
            if let (Some(sender), Err(error)) = (waits.upgrade(), flag.check()) {
                let _ = sender.try_send(Err(error));
            }
        });
        let (id, resting, flag) = (self.id, rest.clone(), cancel.clone());
        let way = Arc::downgrade(&self.way);
        self.way.send(Box::new(move |env| {
            if let Some(way) = way.upgrade() {
                way.linger();
            }
            if !flag.is_cancelled() {
                sleep(env, resting.as_ref());
            }
            if let Err(error) = call(env, id, arguments, Arc::clone(&sender), resting.clone()) {
                wake(env, resting.as_ref());
                let _ = sender.try_send(Err(ended(env).unwrap_or(error)));
            }
        }));
        let given_up = |_| {
            let given_up = "the callback was given up without an answer";
            Err(self.way.gone().unwrap_or_else(|| Error::new(Code::Callback, given_up)))
        };
        let answer = waiting(|| next(&receiver).unwrap_or_else(given_up));
        if let Some(rest) = rest.filter(|_| answer.is_err()) {
            rouse(&self.way, &rest);
        }
        answer
    }
}

/// What comes, however long it takes. Errors: when nothing will.
fn next<T>(receiver: &Receiver<T>) -> std::result::Result<T, RecvTimeoutError> {
    loop {
        match spare::recv(receiver, LONG) {
            Err(RecvTimeoutError::Timeout) => {}
            found => return found,
        }
    }
}

/// The error of a call that was broken off since its environment goes down: a worker that is terminated runs no JavaScript any more.
fn ended(env: napi_env) -> Option<Error> {
    let (mut undefined, mut text) = (null_mut(), null_mut());
    // SAFETY: `env` serves a message on its thread; the pointers are to locals.
    let status = unsafe {
        sys::napi_get_undefined(env, &mut undefined);
        sys::napi_coerce_to_string(env, undefined, &mut text)
    };
    let door = Door::of(env).ok()?;
    if status != sys::Status::napi_ok {
        door.way.gone.store(true, Ordering::Release);
    }
    door.way.gone()
}

/// Whether a call has let go of the process.
type Rest = Arc<AtomicBool>;

/// Lets go of the process until the call is answered.
fn sleep(env: napi_env, rest: Option<&Rest>) {
    if let (Some(rest), Ok(door)) = (rest, Door::of(env)) {
        rest.store(true, Ordering::Release);
        door.end();
    }
}

/// Keeps the process alive again, if [`sleep`] has let go of it.
fn wake(env: napi_env, rest: Option<&Rest>) {
    if let (Some(rest), Ok(door)) = (rest, Door::of(env))
        && rest.swap(false, Ordering::AcqRel)
    {
        door.begin();
    }
}

/// The same from any thread: at once on the thread of JavaScript, whose process might end before a message is read.
fn rouse(way: &Arc<Way>, rest: &Rest) {
    let here = DOORS.with_borrow(|doors| doors.iter().find(|door| Arc::ptr_eq(&door.way, way)).cloned());
    match here {
        Some(door) => wake(door.env, Some(rest)),
        None => {
            let rest = Arc::clone(rest);
            way.send(Box::new(move |env| wake(env, Some(&rest))));
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let id = self.id;
        self.way.send(Box::new(move |env| {
            if let Ok(door) = Door::of(env)
                && let Some(reference) = door.callbacks.borrow_mut().remove(&id)
            {
                // SAFETY: the reference was made in this environment and is deleted once.
                unsafe { sys::napi_delete_reference(env, reference) };
            }
        }));
    }
}

fn call(
    env: napi_env,
    id: u64,
    arguments: Vec<Out>,
    sender: Arc<SyncSender<Result<Given>>>,
    rest: Option<Rest>,
) -> Result<()> {
    let reply = Reply { sender: Mutex::new(Some(sender)), rest };
    // SAFETY: `env` serves this message on its thread.
    let reply = unsafe { ToNapiValue::to_napi_value(env, reply) };
    let reply =
        reply.map_err(|e| engine(format!("a callback's argument could not be made: {}", e.reason)))?;
    invoke(env, id, vec![reply], arguments)
}

/// Calls a function that is kept.
fn invoke(env: napi_env, id: u64, mut values: Vec<napi_value>, arguments: Vec<Out>) -> Result<()> {
    let door = Door::of(env)?;
    let reference = door.callbacks.borrow().get(&id).copied();
    let reference = reference.ok_or_else(|| engine("a callback is not there any more"))?;
    for argument in arguments {
        let value = argument.give(env);
        values.push(
            value.map_err(|e| engine(format!("a callback's argument could not be made: {}", e.reason)))?,
        );
    }
    let (mut function, mut this, mut returned) = (null_mut(), null_mut(), null_mut());
    // SAFETY: the reference was made in this environment; the pointers are to locals and to the arguments.
    unsafe {
        check(sys::napi_get_reference_value(env, reference, &mut function))?;
        check(sys::napi_get_undefined(env, &mut this))?;
        let status =
            sys::napi_call_function(env, this, function, values.len(), values.as_ptr(), &mut returned);
        if status != sys::Status::napi_ok {
            let mut exception = null_mut();
            sys::napi_get_and_clear_last_exception(env, &mut exception);
            return Err(Error::new(Code::Callback, "the callback threw"));
        }
    }
    Ok(())
}

/// Where a callback puts its answer.
#[napi]
pub struct Reply {
    sender: Mutex<Option<Arc<SyncSender<Result<Given>>>>>,
    rest: Option<Rest>,
}

#[napi]
impl Reply {
    /// The answer.
    #[napi]
    pub fn answer(&self, env: Env, value: Unknown<'_>) {
        let answer = read(env.raw(), napi::JsValue::raw(&value), "the callback's answer");
        self.send(&env, answer);
    }

    /// The callback has failed; why is known to the caller.
    #[napi]
    pub fn fail(&self, env: Env, message: String) {
        self.send(&env, Err(Error::new(Code::Callback, message)));
    }
}

impl Reply {
    fn send(&self, env: &Env, answer: Result<Given>) {
        wake(env.raw(), self.rest.as_ref());
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            let _ = sender.try_send(answer);
        }
    }
}
