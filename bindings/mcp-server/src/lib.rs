//! How do the clients of the Model Context Protocol use a knowledge base and its experts?
//!
//! [`Server`] serves them over stdio ([`Server::serve_stdio`]), where the caller is who started the process, and over streamable
//! HTTP ([`Server::serve_http`]), where the caller is whom a bearer token names ([`Verify`]). Six tools (`search`, `context`, `get`,
//! `match`, `ask`, `panel`), documents as resources, two prompts. What a [`Caller`] may not see does not exist for it.

#![warn(missing_docs)]

mod caller;
#[doc(hidden)]
pub mod foreign;
mod guard;
mod handler;
mod http;
mod limits;
mod problem;
mod progress;
mod prompts;
mod resources;
mod rooms;
mod server;
mod sessions;
mod slow;
mod stdio;
mod stop;
mod tools;
mod work;

pub use caller::{Caller, Tokens, Verify};
pub use http::HttpServer;
pub use limits::Limits;
pub use server::Server;
pub use stop::Stop;
