//! How do spans of runs reach a tracer of the host?
//!
//! Any number of environments (the main thread, workers) may ask for spans, and one of them hears all: the main thread where it has
//! asked, else the one that asked last. What is heard of a call is told before its Promise is settled, because both take the same
//! way; and a function of the host that is called within a span may take what waits first.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::core::spans;
use quorate_bindings::{Host, telemetry};
use serde_json::{Value, json};

use crate::convert::Out;
use crate::door::{Ending, Listener, quick};
use crate::errors::Thrown;
use crate::log;

/// An environment that has asked for spans.
struct Hearer {
    id: u32,
    main: bool,
    ending: Ending,
    tell: Listener,
}

static HEARERS: Mutex<Vec<Hearer>> = Mutex::new(Vec::new());

/// Who is about to take what waits, since a message is under way; 0: nobody.
static TOLD: AtomicU32 = AtomicU32::new(0);

/// Says that the message to this one is not under way any more, also when nobody has received it.
struct Told(u32);

impl Drop for Told {
    fn drop(&mut self) {
        // Another one may hear by now, and have a message of its own under way.
        let _ = TOLD.compare_exchange(self.0, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

fn hearers() -> MutexGuard<'static, Vec<Hearer>> {
    let mut hearers = HEARERS.lock().unwrap_or_else(PoisonError::into_inner);
    hearers.retain(|one| !one.ending.has_come());
    hearers
}

/// Who hears.
fn chosen(hearers: &[Hearer]) -> Option<&Hearer> {
    hearers.iter().rev().find(|one| one.main).or(hearers.last())
}

/// Calls `tell(marks)` with what happens to spans from now on, as JSON. The number by which this environment takes them itself.
#[napi]
pub fn hear_spans(env: Env, tell: Unknown<'_>, main: bool) -> Result<u32, Thrown> {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let (ending, tell) = (Ending::of(&env)?, Listener::new(&env, &tell)?);
    log::collects();
    let id = NUMBER.fetch_add(1, Ordering::Relaxed);
    hearers().push(Hearer { id, main, ending, tell });
    telemetry::listen(true);
    Ok(id)
}

/// Ends that.
#[napi]
pub fn leave_spans(id: u32) {
    let mut hearers = hearers();
    hearers.retain(|one| one.id != id);
    if hearers.is_empty() {
        telemetry::listen(false);
    }
}

/// What has happened to spans and was not told yet, as JSON, for who hears; else nothing.
#[napi]
pub fn take_spans(id: u32) -> Result<Option<String>, Thrown> {
    quick(|| Ok(taken(id)))
}

/// Which version of the conventions names spans and metrics, and the metrics, as JSON.
#[napi]
pub fn span_metrics() -> Result<String, Thrown> {
    quick(|| {
        let told = json!({"schemaUrl": telemetry::SCHEMA_URL, "metrics": telemetry::instruments()});
        Ok(told.to_string())
    })
}

fn taken(id: u32) -> Option<String> {
    if !spans::waiting() || chosen(&hearers()).is_none_or(|one| one.id != id) {
        return None;
    }
    Some(Value::Array(telemetry::taken(Host::Node)).to_string())
}

/// Has who hears told of what waits.
pub fn tell() {
    if !spans::waiting() {
        return;
    }
    let hearers = hearers();
    let Some(one) = chosen(&hearers) else {
        // Whoever had asked is gone, and could not say so.
        telemetry::listen(false);
        spans::take();
        return;
    };
    let id = one.id;
    // That an earlier one is still to take it, and perhaps never does, is no reason to wait.
    if TOLD.swap(id, Ordering::AcqRel) == id {
        return;
    }
    let told = Told(id);
    one.tell.tell(move || {
        // What comes from now on is for the next message.
        drop(told);
        taken(id).into_iter().map(|marks| vec![Out::Text(marks)]).collect()
    });
}
