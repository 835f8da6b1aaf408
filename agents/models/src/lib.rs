//! How are language models asked, so that no token, call or cent is lost?
//!
//! [`Model::open`] gives a model behind a service, [`ScriptedModel`] one for tests; [`Model::complete`] and
//! [`Model::stream`] ask it. Messages have one neutral form; what a service calls things stands under `wire/` and
//! nowhere else. Retries, limits, breakers and fallbacks are one layer, [`Resilience`]. [`record()`] and [`replay()`] hold
//! for whatever is asked.
//!
//! Another kind of model (one that runs in this process, a router) implements [`Provider`]: one attempt, whole or as a
//! [`Source`] of [`Piece`]s, that looks at the [`Cancel`](quorate_core::Cancel) flag between steps; [`Model::new`] does
//! the rest. Models that run in this process go to `local/`.

#![warn(missing_docs)]

mod assembly;
mod event;
pub mod history;
#[cfg(feature = "local")]
mod local;
mod message;
mod model;
mod output;
mod price;
mod provider;
mod record;
mod redact;
mod reply;
mod request;
mod resilience;
mod scripted;
mod stream;
pub mod tokens;
mod wire;

pub use event::Event;
#[cfg(feature = "local")]
pub use local::{LocalModel, LocalOptions};
pub use message::{
    CacheFor, Image, MESSAGE_SCHEMA, Message, Opaque, Part, Reasoning, Role, Text, ToolCall, ToolResult,
};
pub use model::{Model, ModelOptions};
pub use output::{Output, check_arguments, lenient};
pub use price::{Price, Rate, known_price, prices_as_of};
pub use provider::{AttemptLimits, Failure, OutputWay, Piece, Provider, Source, TokenCount, Used};
pub use quorate_core::http::Secret;
pub use record::{Recording, call, record, replay};
pub use reply::{Finish, Reply, Usage};
pub use request::{Request, ToolChoice, ToolSpec};
pub use resilience::{
    AdmittedCall, BreakerOptions, BulkheadOptions, CallGuard, CallOptions, Clock, ManualClock, Resilience,
    SystemClock,
};
pub use scripted::ScriptedModel;
pub use stream::Stream;
