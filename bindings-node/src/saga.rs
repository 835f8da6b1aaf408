//! How are sagas carried through whose steps are functions of JavaScript?

use std::sync::Arc;

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::{Cancel, Code, Error, Result};
use quorate_bindings::saga::{SagaHand, give_up, given};
use quorate_bindings::{Host, queue};
use serde_json::Value;

use crate::convert::{Out, arg, marked, text};
use crate::door::{Callback, Held, Lane, Promised, promise};
use crate::errors::{OrThrow, Thrown};
use crate::hands::said;
use crate::pool::waiting;
use crate::runtime::answered;
use crate::state::NativeStateStore;

/// Steps that are all done, or all undone.
#[napi(js_name = "Saga")]
pub struct NativeSaga(Held<Arc<SagaHand>>);

fn written(found: Value) -> Out {
    Out::Text(marked(found).to_string())
}

/// Begins a saga of a store, or goes on with it.
#[napi(ts_return_type = "Promise<Saga>")]
pub fn open_saga(
    env: Env,
    store: &NativeStateStore,
    name: Unknown<'_>,
    options: Unknown<'_>,
) -> Result<Promised, Thrown> {
    let name = arg(&env, &name, "name", text)?;
    let how = queue::saga_options(Host::Node, arg(&env, &options, "options", said)?).or_throw()?;
    let (store, tenant) = (store.opening().or_throw()?, store.given.tenant.clone());
    promise(&env, Lane::Slow, move || {
        let hand = SagaHand::open(store.get()?, tenant, &name, how)?;
        Ok(Out::object(NativeSaga(Held::new(Arc::new(hand)))))
    })
}

impl NativeSaga {
    fn ask(
        &self,
        env: &Env,
        work: impl FnOnce(&SagaHand) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let hand = Arc::clone(&self.0);
        promise(env, Lane::Ask, move || waiting(|| work(&hand)))
    }
}

#[napi]
impl NativeSaga {
    /// Does a step: `call(reply)` answers with `{result}` or `{error}`; `undo(reply, value)`, with the value as JSON, undoes it. What the step
    /// gave, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn step(
        &self,
        env: Env,
        name: Unknown<'_>,
        call: Unknown<'_>,
        undo: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "name", text)?;
        let (call, undo) = (Callback::new(&env, &call)?, Arc::new(Callback::new(&env, &undo)?));
        self.ask(&env, move |hand| {
            let found = hand.on(move |saga| {
                let step = move || answered(call.call(Vec::new(), &Cancel::new())?, "what the step gave");
                let back = move |value: Option<&Value>| {
                    let value = written(given(value));
                    answered(undo.call(vec![value], &Cancel::new())?, "what the undoing gave").map(drop)
                };
                saga.step(&name, step, back)
            })?;
            Ok(written(found))
        })
    }

    /// Says that all steps are done.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn finish(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |hand| hand.on(|saga| saga.finish()).map(|()| Out::Nothing))
    }

    /// Undoes everything, where that is not done yet.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn fail(&self, env: Env, code: Unknown<'_>, message: Unknown<'_>) -> Result<Promised, Thrown> {
        let (code, message) = (arg(&env, &code, "code", text)?, arg(&env, &message, "message", text)?);
        let code = Code::ALL.iter().find(|known| known.as_str() == code).copied().unwrap_or(Code::Callback);
        self.ask(&env, move |hand| {
            hand.on(move |saga| give_up(saga, &Error::new(code, message))).map(|()| Out::Nothing)
        })
    }

    /// How far it is.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn status(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |hand| hand.status().map(Out::Text))
    }

    /// Lets go of it as it is.
    #[napi]
    pub fn close(&self) {
        self.0.close();
    }
}
