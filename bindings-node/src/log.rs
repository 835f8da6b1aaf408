//! How does what quorate says about its work reach a function of the host?
//!
//! One environment of the process listens, the one that asked last. What is said during a call is told before its Promise is
//! settled, because both take the same way.

use std::sync::{Mutex, OnceLock, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::core::events;

use crate::convert::Out;
use crate::door::Listener;
use crate::errors::Thrown;
use crate::telemetry;

static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// Calls `listener(level, target, text, message, fields)` with each event from now on; `fields` are JSON. Whether it is so: not
/// when the process has a subscriber of tracing already.
#[napi]
pub fn listen(env: Env, listener: Unknown<'_>) -> Result<bool, Thrown> {
    let listener = Listener::new(&env, &listener)?;
    *LISTENER.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    Ok(collects())
}

/// Collects events and spans from now on, unless the process has a subscriber of tracing already. Whether it is so.
pub fn collects() -> bool {
    static COLLECTS: OnceLock<bool> = OnceLock::new();
    *COLLECTS.get_or_init(|| {
        events::collect(|| {
            telemetry::tell();
            tell();
        })
    })
}

fn tell() {
    if !events::waiting() {
        return;
    }
    let listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(listener) = &*listener {
        listener.tell(|| events::take().into_iter().map(arguments).collect());
    }
}

fn arguments(event: events::Event) -> Vec<Out> {
    let text = event.to_string();
    let fields: serde_json::Map<_, _> =
        event.fields.into_iter().map(|(name, value)| (name, value.into())).collect();
    vec![
        Out::Text(event.level.as_str().to_owned()),
        Out::Text(event.target),
        Out::Text(text),
        Out::Text(event.message),
        Out::Text(serde_json::Value::Object(fields).to_string()),
    ]
}
