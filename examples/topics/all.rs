//! Which topics are there? The example `topics` runs one by its name, and a test runs all.

use std::error::Error;
use std::io::Write;

pub mod add_and_search;
pub mod agreement;
pub mod ask_a_panel;
pub mod ask_an_expert;
pub mod backup_and_verify;
pub mod chunking;
pub mod context_with_citations;
pub mod conversations;
pub mod csv_and_jsonl;
pub mod dates_and_null;
pub mod errors_and_codes;
pub mod evaluate_retrieval;
pub mod facets_and_pages;
pub mod files;
pub mod filters;
pub mod lexical_queries;
pub mod match_experts;
pub mod own_embedder;
pub mod own_vectors;
pub mod panel_score;
pub mod pooling_forecasts;
pub mod rankings;
pub mod readers_and_one_writer;
pub mod record_and_replay;
pub mod rerank;
pub mod scripted_model;
pub mod select_panel;
pub mod stream_a_model;
pub mod structured_output;
pub mod tenants;
pub mod tools_and_approval;
pub mod truth_inference;
pub mod versions;

/// A topic: it writes what happens.
pub type Topic = fn(&mut dyn Write) -> Result<(), Box<dyn Error>>;

/// Every topic with its name.
pub const ALL: [(&str, Topic); 33] = [
    ("add_and_search", add_and_search::run),
    ("agreement", agreement::run),
    ("ask_a_panel", ask_a_panel::run),
    ("ask_an_expert", ask_an_expert::run),
    ("backup_and_verify", backup_and_verify::run),
    ("chunking", chunking::run),
    ("context_with_citations", context_with_citations::run),
    ("conversations", conversations::run),
    ("csv_and_jsonl", csv_and_jsonl::run),
    ("dates_and_null", dates_and_null::run),
    ("errors_and_codes", errors_and_codes::run),
    ("evaluate_retrieval", evaluate_retrieval::run),
    ("facets_and_pages", facets_and_pages::run),
    ("files", files::run),
    ("filters", filters::run),
    ("lexical_queries", lexical_queries::run),
    ("match_experts", match_experts::run),
    ("own_embedder", own_embedder::run),
    ("own_vectors", own_vectors::run),
    ("panel_score", panel_score::run),
    ("pooling_forecasts", pooling_forecasts::run),
    ("rankings", rankings::run),
    ("readers_and_one_writer", readers_and_one_writer::run),
    ("record_and_replay", record_and_replay::run),
    ("rerank", rerank::run),
    ("scripted_model", scripted_model::run),
    ("select_panel", select_panel::run),
    ("stream_a_model", stream_a_model::run),
    ("structured_output", structured_output::run),
    ("tenants", tenants::run),
    ("tools_and_approval", tools_and_approval::run),
    ("truth_inference", truth_inference::run),
    ("versions", versions::run),
];
