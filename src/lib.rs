//! quorate: hybrid search, expert matching and consensus in one process. This facade only re-exports.
//!
//! [`Embedder`] turns text into vectors; [`rag`] holds documents, filters and evaluation; [`consensus`] scores what raters
//! and panels say. Every error is an [`Error`] with a stable [`Code`].

#![warn(missing_docs)]

mod sources;

pub use quorate_agents as agents;
pub use quorate_consensus as consensus;
pub use quorate_core as core;
pub use quorate_mcp as mcp;
pub use quorate_models as models;
pub use quorate_rag as rag;
pub use quorate_runtime as runtime;
pub use quorate_state as state;
pub use quorate_workflows as workflows;

pub use quorate_core::embed::{
    CachedEmbedder, CallbackEmbedder, CrossEncoder, CrossEncoderOptions, Embed, Embedder, EmbedderOptions,
    EmbeddingCache, Precision, RemoteEmbedder, RemoteOptions,
};
pub use quorate_core::{Cancel, Code, Error, Kind, Result};
pub use quorate_rag::eval::{compare, evaluate, load_beir, read_trec_run, write_trec_run};
pub use quorate_rag::{Chunk, Document};
pub use sources::Sources;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The pages of the book that show Rust.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../docs/index.md")]
    struct Index;
    #[doc = include_str!("../docs/filters.md")]
    struct Filters;
    #[doc = include_str!("../docs/graphs.md")]
    struct Graphs;
    #[doc = include_str!("../docs/jobs.md")]
    struct Jobs;
    #[doc = include_str!("../docs/models-local.md")]
    struct ModelsLocal;
    #[doc = include_str!("../docs/queues.md")]
    struct Queues;
    #[doc = include_str!("../docs/workflows.md")]
    struct Workflows;
}
