//! Does the engine keep its promises? One binary, since each one is linked with all of the store.

mod adds;
mod browse;
mod common;
mod concurrent;
mod context;
mod damage;
mod durability;
#[cfg(feature = "failpoints")]
mod failpoints;
mod files;
#[cfg(unix)]
mod fork;
mod kill;
#[cfg(unix)]
mod kill_files;
mod knowledge_base;
mod model;
mod neighbours;
mod operations;
#[cfg(target_os = "linux")]
mod power_cut;
mod rerank;
mod search;
mod tenants;
mod versions;
