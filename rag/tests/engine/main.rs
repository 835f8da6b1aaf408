//! Does the engine keep its promises? One binary, since each one is linked with all of the store.

mod adds;
mod common;
mod concurrent;
mod context;
mod damage;
#[cfg(feature = "failpoints")]
mod failpoints;
mod files;
#[cfg(unix)]
mod fork;
mod kill;
mod knowledge_base;
mod neighbours;
mod rerank;
mod tenants;
