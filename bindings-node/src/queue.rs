//! How does Node put work and events into line, and have it worked off?

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::state::Events;
use quorate::{Cancel, Code, Result};
use quorate_bindings::Host;
use quorate_bindings::queue::{self, Crew, Line};
use serde_json::Value;

use crate::convert::{Out, arg, boolean, count, marked, number, text};
use crate::door::{Callback, Ending, Held, Lane, Listener, NativeCancel, Promised, flag, promise, quick};
use crate::embed::Opening;
use crate::errors::{OrThrow, Thrown};
use crate::hands::said;
use crate::pool::waiting;
use crate::runtime::{answered, maybe};
use crate::state::NativeStateStore;

const HOST: Host = Host::Node;

/// What messages or events are taken from.
#[napi(js_name = "Line")]
pub struct NativeLine(Held<Opening<Line>>);

/// The events of a store.
#[napi(js_name = "EventBus")]
pub struct NativeEvents(Held<Opening<Events>>);

/// Threads that work something off.
#[napi(js_name = "Workers")]
pub struct NativeWorkers(Held<Arc<Crew>>);

/// What users have written, as JSON.
fn written(found: Value) -> Out {
    Out::Text(marked(found).to_string())
}

/// A number of seconds, or none.
fn limit(env: &Env, given: &Unknown<'_>) -> Result<Option<f64>, Thrown> {
    arg(env, given, "timeout", |given, what| match given.is_missing() {
        true => Ok(None),
        false => number(given, what).map(Some),
    })
}

impl NativeLine {
    fn ask(
        &self,
        env: &Env,
        work: impl FnOnce(&Line) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let line = self.0.clone();
        promise(env, Lane::Slow, move || work(&line.get()?))
    }
}

#[napi]
impl NativeLine {
    /// Starts to open a queue of a store, which may be opening itself.
    #[napi(factory)]
    pub fn queue(
        env: Env,
        store: &NativeStateStore,
        name: Unknown<'_>,
        options: Unknown<'_>,
    ) -> Result<NativeLine, Thrown> {
        let name = arg(&env, &name, "name", text)?;
        let how = queue::queue_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        let (store, tenant) = (store.opening().or_throw()?, store.given.tenant.clone());
        let open = move || queue::open(&store.get()?, tenant.as_deref(), &name, how.as_ref());
        Ok(NativeLine(Held::new(Opening::start(open).or_throw()?)))
    }

    /// What holds for a queue, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn options(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |line| line.options(HOST).map(written))
    }

    /// Puts a message; what came of it, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn put(&self, env: Env, data: Unknown<'_>, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let data = arg(&env, &data, "the payload", said)?;
        let how = queue::put_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        self.ask(&env, move |line| line.put(&data, &how).map(written))
    }

    /// Takes at most so many, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn take(&self, env: Env, most: Unknown<'_>) -> Result<Promised, Thrown> {
        let most = arg(&env, &most, "n", count)?;
        self.ask(&env, move |line| line.take(HOST, most).map(written))
    }

    /// Says that what a lease holds is worked off.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ack(&self, env: Env, lease: Unknown<'_>) -> Result<Promised, Thrown> {
        let lease = arg(&env, &lease, "lease", text)?;
        self.ask(&env, move |line| line.ack(lease).map(|()| Out::Nothing))
    }

    /// Gives it back; whether it was put aside as dead.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn nack(&self, env: Env, lease: Unknown<'_>, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let lease = arg(&env, &lease, "lease", text)?;
        let given = arg(&env, &options, "options", said)?;
        self.ask(&env, move |line| line.nack(HOST, lease, given).map(Out::Bool))
    }

    /// Puts it aside as dead.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn reject(&self, env: Env, lease: Unknown<'_>, reason: Unknown<'_>) -> Result<Promised, Thrown> {
        let (lease, reason) = (arg(&env, &lease, "lease", text)?, arg(&env, &reason, "reason", text)?);
        self.ask(&env, move |line| line.reject(lease, &reason).map(|()| Out::Nothing))
    }

    /// Has its lease begin anew; until when it lasts.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn renew(&self, env: Env, lease: Unknown<'_>) -> Result<Promised, Thrown> {
        let lease = arg(&env, &lease, "lease", text)?;
        self.ask(&env, move |line| line.renew(lease).map(Out::Number))
    }

    /// What was tried too often, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn dead(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |line| line.dead(HOST).map(written))
    }

    /// Puts dead ones back; how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn replay(&self, env: Env, ids: Unknown<'_>) -> Result<Promised, Thrown> {
        let ids = queue::ids(&arg(&env, &ids, "ids", said)?).or_throw()?;
        self.ask(&env, move |line| line.replay(&ids).map(Out::count))
    }

    /// Removes dead ones; how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn discard(&self, env: Env, ids: Unknown<'_>) -> Result<Promised, Thrown> {
        let ids = queue::ids(&arg(&env, &ids, "ids", said)?).or_throw()?;
        self.ask(&env, move |line| line.discard(&ids).map(Out::count))
    }

    /// How many stand where, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn stats(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |line| line.stats().map(written))
    }

    /// Removes it; whether it was there.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn delete(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |line| line.delete().map(Out::Bool))
    }

    /// Works it off: `call(reply, number, message)` with the message as JSON answers with `{}` or `{error}`; `stop(number)` says that the
    /// handler is to end.
    #[napi(ts_return_type = "Promise<Workers>")]
    pub fn work(
        &self,
        env: Env,
        call: Unknown<'_>,
        stop: Unknown<'_>,
        options: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let how = queue::work_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        let caller = Caller {
            call: Callback::new(&env, &call)?,
            stop: Arc::new(Listener::new(&env, &stop)?),
            ending: Ending::of(&env)?,
            calls: AtomicU64::new(0),
            crew: Arc::default(),
        };
        self.ask(&env, move |line| {
            let crew = Arc::clone(&caller.crew);
            let made = line.work(HOST, move |one, cancel| caller.handle(one, cancel), &how)?;
            let made = Arc::new(made);
            let _ = crew.set(Arc::downgrade(&made));
            Ok(Out::object(NativeWorkers(Held::new(made))))
        })
    }
}

/// What calls a handler of JavaScript.
struct Caller {
    call: Callback,
    stop: Arc<Listener>,
    ending: Ending,
    calls: AtomicU64,
    crew: Arc<OnceLock<Weak<Crew>>>,
}

impl Caller {
    fn handle(&self, one: Value, cancel: &Cancel) -> Result<()> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) as f64;
        cancel.check()?;
        let told = Arc::clone(&self.stop);
        let _wake = cancel.when_raised(move || told.tell(move || vec![vec![Out::Number(number)]]));
        let given = self.call.call(vec![Out::Number(number), written(one)], &Cancel::new());
        match given {
            Ok(given) => answered(given, "what the handler gave").map(drop),
            Err(error) => {
                if self.ending.has_come() || error.code() == Code::StaleWrite {
                    // Nothing can be worked off here any more, and is for others.
                    if let Some(crew) = self.crew.get().and_then(Weak::upgrade) {
                        crew.leave();
                    }
                }
                Err(error)
            }
        }
    }
}

#[napi]
impl NativeWorkers {
    /// Has them end; whether all is settled.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn end(
        &self,
        env: Env,
        stop: Unknown<'_>,
        timeout: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (stop, most) = (arg(&env, &stop, "stop", boolean)?, limit(&env, &timeout)?);
        let (crew, cancel) = (Arc::clone(&self.0), flag(cancel));
        promise(&env, Lane::Ask, move || waiting(|| crew.end(stop, most, &cancel).map(Out::Bool)))
    }

    /// Has them take nothing more, and waits for nothing; whether all is settled.
    #[napi]
    pub fn leave(&self) -> Result<bool, Thrown> {
        quick(|| Ok(self.0.leave()))
    }

    /// Waits until they have ended; whether they have.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn wait(
        &self,
        env: Env,
        timeout: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (crew, most, cancel) = (Arc::clone(&self.0), limit(&env, &timeout)?, flag(cancel));
        promise(&env, Lane::Ask, move || waiting(|| crew.wait(most, &cancel).map(Out::Bool)))
    }

    /// How many messages are being worked at.
    #[napi(getter)]
    pub fn working(&self) -> f64 {
        self.0.working() as f64
    }

    /// What went wrong last with the store: its code and message.
    #[napi]
    pub fn error(&self) -> Option<Vec<String>> {
        self.0.error().map(|(code, message)| vec![code.to_owned(), message])
    }
}

impl NativeEvents {
    fn ask(
        &self,
        env: &Env,
        work: impl FnOnce(&Events) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let events = self.0.clone();
        promise(env, Lane::Slow, move || work(&events.get()?))
    }
}

#[napi]
impl NativeEvents {
    /// The events of a store, which may be opening.
    #[napi(factory)]
    pub fn of(store: &NativeStateStore) -> Result<NativeEvents, Thrown> {
        let (store, tenant) = (store.opening().or_throw()?, store.given.tenant.clone());
        let open = move || store.get()?.events(tenant.as_deref());
        Ok(NativeEvents(Held::new(Opening::start(open).or_throw()?)))
    }

    /// Writes an event; its number.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn publish(
        &self,
        env: Env,
        subject: Unknown<'_>,
        data: Unknown<'_>,
        key: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (subject, key) = (arg(&env, &subject, "subject", text)?, maybe(&env, &key, "key")?);
        let data = arg(&env, &data, "the data", said)?;
        self.ask(&env, move |events| Ok(Out::Number(events.publish(&subject, &data, key.as_deref())? as f64)))
    }

    /// Subscribes a group.
    #[napi(ts_return_type = "Promise<Line>")]
    pub fn subscribe(
        &self,
        env: Env,
        pattern: Unknown<'_>,
        options: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let pattern = arg(&env, &pattern, "pattern", text)?;
        let how = queue::subscribe_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        self.ask(&env, move |events| {
            let line = events.subscribe(&pattern, &how).map(Line::Events)?;
            Ok(Out::object(NativeLine(Held::new(Opening::opened(line)))))
        })
    }

    /// The groups that are subscribed, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn subscriptions(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |events| queue::subscriptions(events).map(written))
    }

    /// Puts events before the groups once more, from a number on or from a time; how many deliveries.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn replay(
        &self,
        env: Env,
        since: Unknown<'_>,
        time: Unknown<'_>,
        group: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (since, time) = (arg(&env, &since, "since", said)?, arg(&env, &time, "time", boolean)?);
        let group = maybe(&env, &group, "group")?;
        self.ask(&env, move |events| {
            queue::replay(events, HOST, &since, time, group.as_deref()).map(Out::count)
        })
    }

    /// Forgets events; how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn prune(&self, env: Env, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let what = queue::forget_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        self.ask(&env, move |events| events.prune(&what).map(Out::count))
    }

    /// The number of the newest event.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn last(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |events| Ok(Out::Number(events.last()? as f64)))
    }
}

/// The names of the queues of a store.
#[napi(ts_return_type = "Promise<string[]>")]
pub fn queue_names(env: Env, store: &NativeStateStore) -> Result<Promised, Thrown> {
    let (store, tenant) = (store.opening().or_throw()?, store.given.tenant.clone());
    promise(&env, Lane::Slow, move || {
        let names = store.get()?.queues(tenant.as_deref())?;
        Ok(Out::List(names.into_iter().map(Out::Text).collect()))
    })
}
