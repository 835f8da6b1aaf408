//! How does Node keep state, and look at what is kept?

use std::sync::{Mutex, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::state::{Checkpoints, StateStore as Store};
use quorate::workflows::graph::Durability;
use quorate::{Code, Error, Result};
use quorate_bindings::state::{self, StoreOptions};
use quorate_bindings::{Host, saver};
use serde_json::Value;

use crate::convert::{Out, arg, marked, text};
use crate::door::{Held, Lane, Promised, promise};
use crate::embed::Opening;
use crate::errors::{OrThrow, Thrown};
use crate::models::json as value;
use crate::runtime::maybe;

const HOST: Host = Host::Node;

/// Where runs, graphs and workflows are kept.
#[napi(js_name = "StateStore")]
pub struct NativeStateStore {
    /// None once it is closed.
    store: Mutex<Option<Held<Opening<Store>>>>,
    /// What else was said of it.
    pub(crate) given: StoreOptions,
}

impl NativeStateStore {
    /// The store, which may still be opening. Errors: `closed`.
    pub fn opening(&self) -> Result<Opening<Store>> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Error::new(Code::Closed, "the store is closed; open it again");
        store.as_ref().map(|store| (**store).clone()).ok_or_else(closed)
    }

    /// Whether what a checkpointer writes waits for the disk.
    fn durable(&self) -> bool {
        self.given.durability != Durability::Async
    }

    /// Does something with the checkpoints of its tenant.
    fn run(
        &self,
        env: &Env,
        work: impl FnOnce(&Checkpoints) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let (store, tenant) = (self.opening().or_throw()?, self.given.tenant.clone());
        promise(env, Lane::Slow, move || work(&store.get()?.checkpoints(tenant.as_deref())?))
    }
}

/// What users have written, as JSON.
fn out(found: Value) -> Out {
    Out::Text(marked(found).to_string())
}

#[napi]
impl NativeStateStore {
    /// Starts to open a folder, or one in memory.
    #[napi(factory)]
    pub fn open(env: Env, path: Unknown<'_>, options: Unknown<'_>) -> Result<NativeStateStore, Thrown> {
        let path = maybe(&env, &path, "path")?;
        let given = state::store_options(HOST, arg(&env, &options, "options", value)?).or_throw()?;
        let store = match path {
            Some(path) => {
                state::check_place(&path).or_throw()?;
                Opening::start(move || Store::open(path)).or_throw()?
            }
            None => Opening::opened(Store::memory()),
        };
        Ok(NativeStateStore { store: Mutex::new(Some(Held::new(store))), given })
    }

    /// Resolves when it is open.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, env: Env) -> Result<Promised, Thrown> {
        let store = self.opening().or_throw()?;
        promise(&env, Lane::Slow, move || store.get().map(|_| Out::Nothing))
    }

    /// Lets go of it. What was given the store keeps it open until it is let go of too.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self, env: Env) -> Result<Promised, Thrown> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).take();
        promise(&env, Lane::Slow, move || {
            drop(store);
            Ok(Out::Nothing)
        })
    }

    /// Checkpoints, the newest first, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn list(&self, env: Env, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let query = state::query(HOST, arg(&env, &options, "options", value)?).or_throw()?;
        self.run(&env, move |checkpoints| {
            Ok(out(checkpoints.list(&query)?.iter().map(|one| state::checkpoint(one, false)).collect()))
        })
    }

    /// A checkpoint with its values, as JSON, or undefined.
    #[napi(ts_return_type = "Promise<string | undefined>")]
    pub fn get(
        &self,
        env: Env,
        thread: Unknown<'_>,
        namespace: Unknown<'_>,
        id: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let thread = arg(&env, &thread, "thread", text)?;
        let namespace = maybe(&env, &namespace, "namespace")?.unwrap_or_default();
        let id = maybe(&env, &id, "id")?;
        self.run(&env, move |checkpoints| {
            let found = checkpoints.get(&thread, &namespace, id.as_deref())?;
            Ok(found.map_or(Out::Nothing, |found| out(state::checkpoint(&found, true))))
        })
    }

    /// The threads, in the order in which they were begun, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn threads(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, |checkpoints| Ok(out(checkpoints.threads()?.iter().map(state::thread).collect())))
    }

    /// Copies a thread, and gives how many checkpoints.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn copy(&self, env: Env, thread: Unknown<'_>, to: Unknown<'_>) -> Result<Promised, Thrown> {
        let (thread, to) = (arg(&env, &thread, "thread", text)?, arg(&env, &to, "to", text)?);
        self.run(&env, move |checkpoints| checkpoints.copy(&thread, &to).map(Out::count))
    }

    /// Removes a thread, and says whether it was there.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn delete(&self, env: Env, thread: Unknown<'_>) -> Result<Promised, Thrown> {
        let thread = arg(&env, &thread, "thread", text)?;
        self.run(&env, move |checkpoints| checkpoints.delete(&thread).map(Out::Bool))
    }

    /// Removes older checkpoints, and says which, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn prune(&self, env: Env, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let what = state::prune(HOST, arg(&env, &options, "options", value)?).or_throw()?;
        self.run(&env, move |checkpoints| Ok(out(state::pruned(&checkpoints.prune(&what)?))))
    }

    /// Keeps a checkpoint of another library.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn save(&self, env: Env, given: Unknown<'_>) -> Result<Promised, Thrown> {
        let (given, durable) = (arg(&env, &given, "checkpoint", value)?, self.durable());
        self.run(&env, move |checkpoints| saver::put(checkpoints, given, durable).map(|()| Out::Nothing))
    }

    /// Keeps what a task of another library has written.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn save_writes(&self, env: Env, given: Unknown<'_>) -> Result<Promised, Thrown> {
        let (given, durable) = (arg(&env, &given, "writes", value)?, self.durable());
        self.run(&env, move |checkpoints| {
            saver::put_writes(checkpoints, given, durable).map(|()| Out::Nothing)
        })
    }

    /// A checkpoint of another library with all that stands in it and beside it, as JSON: null where there is none.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn saved(
        &self,
        env: Env,
        thread: Unknown<'_>,
        namespace: Unknown<'_>,
        id: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let thread = arg(&env, &thread, "thread", text)?;
        let namespace = arg(&env, &namespace, "namespace", text)?;
        let id = maybe(&env, &id, "id")?;
        self.run(&env, move |checkpoints| {
            Ok(out(saver::get(checkpoints, &thread, &namespace, id.as_deref())?))
        })
    }

    /// The same of a list, the newest first.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn saved_list(&self, env: Env, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let query = state::query(HOST, arg(&env, &options, "options", value)?).or_throw()?;
        self.run(&env, move |checkpoints| Ok(out(saver::list(checkpoints, &query)?)))
    }
}
