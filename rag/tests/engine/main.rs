//! Does the engine keep its promises? One binary, since each one is linked with all of the store.

mod common;
mod concurrent;
mod damage;
#[cfg(feature = "failpoints")]
mod failpoints;
mod kill;
mod knowledge_base;
mod tenants;
