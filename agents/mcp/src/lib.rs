//! How do tools of a Model Context Protocol server become tools of an expert?
//!
//! [`McpTools`] starts a server as a child process (stdio), or reaches one over streamable HTTP, reads its list of tools, and
//! gives each as a [`quorate_runtime::Tool`]. What the server says of its tools is foreign text: it is bounded and cleaned,
//! never trusted, and a tool whose definition changes is refused until the host accepts the change.

#![warn(missing_docs)]

mod changes;
mod connection;
mod definition;
mod http;
mod keys;
mod listing;
mod options;
mod process;
mod result;
mod server;
mod signals;
mod stdio;
mod text;
mod tool;
mod tools;

pub use changes::McpChanges;
pub use options::McpOptions;
pub use tools::McpTools;
