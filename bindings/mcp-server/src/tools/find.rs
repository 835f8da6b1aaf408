//! What is in the documents, and who knows about it?

use std::fmt::Write as _;

use quorate::agents::MatchOptions;
use quorate::rag::{ContextOptions, Filter, GroupBy, Mode, SearchOptions};
use quorate::{Cancel, Error, Result};
use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{arguments, result};
use crate::caller::Caller;
use crate::resources::uri_of;
use crate::rooms::Room;

/// The most hits, and the most experts, of one call.
const MAX_K: usize = 100;
/// The most tokens of one context.
const MAX_TOKENS: usize = 32_000;
/// How much of a document is given where nothing is said, and at most, in bytes.
const PART: usize = 32 << 10;
const MAX_PART: usize = 1 << 20;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchArgs {
    /// What is looked for, in words.
    query: String,
    /// The most passages, 1 to 100.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    k: usize,
    /// How many of the best to leave out, for the next page.
    #[serde(default)]
    offset: usize,
    /// How it is looked for: by words and meaning, by meaning, or by words.
    #[serde(default)]
    mode: ModeArg,
    /// Which documents: an expression such as `year >= 2020 AND kind IN ('label', 'guideline')`, or an object such as
    /// {"year": {"$gte": 2020}}.
    #[serde(default, rename = "where")]
    filter: Option<Value>,
    /// Whether each document gives its best passage alone.
    #[serde(default)]
    one_per_document: bool,
    /// The least relevance, 0 to 1: with it a search may find nothing.
    #[serde(default)]
    min_relevance: Option<f32>,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ModeArg {
    #[default]
    Hybrid,
    Dense,
    Lexical,
}

fn ten() -> usize {
    10
}

fn five() -> usize {
    5
}

fn two_thousand() -> usize {
    2_000
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SearchResult {
    /// The passages, best first.
    hits: Vec<HitOut>,
}

#[derive(Serialize, JsonSchema)]
struct HitOut {
    /// The document's id.
    doc_id: String,
    /// The document as a resource.
    uri: String,
    /// Its title; empty when there is none.
    title: String,
    /// The passage.
    text: String,
    /// Where it starts in the document's text, in bytes of UTF-8.
    start: usize,
    /// Where it ends.
    end: usize,
    /// What the order goes by; comparable within one search.
    score: f32,
    /// How likely the passage is about the query at all, 0 to 1; null where that is not known.
    relevance: Option<f32>,
    /// What is known about the document.
    metadata: Map<String, Value>,
}

/// `search`.
pub(crate) fn find(room: &Room, given: JsonObject, cancel: &Cancel) -> Result<CallToolResult> {
    let args: SearchArgs = arguments(given)?;
    let options = SearchOptions {
        k: bounded("k", args.k, MAX_K)?,
        offset: args.offset,
        mode: match args.mode {
            ModeArg::Hybrid => Mode::Hybrid,
            ModeArg::Dense => Mode::Dense,
            ModeArg::Lexical => Mode::Lexical,
        },
        filter: filter(args.filter.as_ref())?,
        group_by: args.one_per_document.then_some(GroupBy::Doc),
        min_relevance: args.min_relevance,
        cancel: cancel.clone(),
        ..SearchOptions::default()
    };
    let mut hits = Vec::new();
    for hit in &room.kb.search(&args.query, &options)? {
        hits.push(HitOut {
            uri: uri_of(hit.doc_id()),
            doc_id: hit.doc_id().to_owned(),
            title: hit.title().to_owned(),
            text: hit.text().to_owned(),
            start: hit.start(),
            end: hit.end(),
            score: hit.score(),
            relevance: hit.relevance()?,
            metadata: hit.metadata(),
        });
    }
    let mut text = String::new();
    for (n, hit) in (1 + args.offset..).zip(&hits) {
        let title = if hit.title.is_empty() { &hit.doc_id } else { &hit.title };
        let _ = write!(text, "{n}. {title} (id {}, score {:.3})\n{}\n\n", hit.doc_id, hit.score, hit.text);
    }
    if hits.is_empty() {
        text.push_str("No passage was found.");
    }
    result(text.trim_end().to_owned(), &SearchResult { hits })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContextArgs {
    /// The question that the text is to answer.
    question: String,
    /// The most tokens of the text, 1 to 32,000.
    #[serde(default = "two_thousand")]
    #[schemars(range(min = 1, max = 32_000))]
    max_tokens: usize,
    /// Which documents: an expression, or an object, as of `search`.
    #[serde(default, rename = "where")]
    filter: Option<Value>,
    /// The least relevance of a passage, 0 to 1: with it the text may be empty.
    #[serde(default)]
    min_relevance: Option<f32>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ContextResult {
    /// The passages, each with its marker before it.
    text: String,
    /// One for each marker, in the order of the text.
    citations: Vec<CitationOut>,
    /// The tokens of the text.
    tokens: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CitationOut {
    /// What stands in the text: [1], [2] and so on.
    pub(super) marker: String,
    /// The document's id.
    pub(super) doc_id: String,
    /// The document as a resource.
    pub(super) uri: String,
    /// Its title; empty when there is none.
    pub(super) title: String,
    /// Where the passage starts in the document's text, in bytes of UTF-8.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

/// `context`.
pub(crate) fn context(room: &Room, given: JsonObject, cancel: &Cancel) -> Result<CallToolResult> {
    let args: ContextArgs = arguments(given)?;
    let mut options = ContextOptions {
        max_tokens: bounded("max_tokens", args.max_tokens, MAX_TOKENS)?,
        ..ContextOptions::default()
    };
    options.search.filter = filter(args.filter.as_ref())?;
    options.search.min_relevance = args.min_relevance;
    options.search.cancel = cancel.clone();
    let context = room.kb.context(&args.question, &options)?;
    let citations = context.citations.into_iter().map(|citation| CitationOut {
        uri: uri_of(&citation.doc_id),
        marker: citation.marker,
        doc_id: citation.doc_id,
        title: citation.title,
        start: citation.start,
        end: citation.end,
    });
    let out = ContextResult { text: context.text, citations: citations.collect(), tokens: context.tokens };
    let text =
        if out.text.is_empty() { "The documents say nothing about this.".into() } else { out.text.clone() };
    result(text, &out)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetArgs {
    /// The id of the document.
    id: String,
    /// Where the part begins, in bytes of UTF-8.
    #[serde(default)]
    start: usize,
    /// The most bytes of the part, 1 to 1,048,576; default 32,768.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_048_576))]
    max_bytes: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct GetResult {
    /// The document's id.
    id: String,
    /// The document as a resource.
    uri: String,
    /// Its title; empty when there is none.
    title: String,
    /// Where it came from; empty when that is not known.
    source: String,
    /// What is known about it.
    metadata: Map<String, Value>,
    /// The text, or the part of it.
    text: String,
    /// Where the part begins, in bytes of UTF-8.
    start: usize,
    /// How long the whole text is, in bytes of UTF-8.
    bytes: usize,
    /// Where the next part begins; null after the last.
    next: Option<usize>,
}

/// `get`.
pub(crate) fn get(room: &Room, given: JsonObject, _: &Cancel) -> Result<CallToolResult> {
    let args: GetArgs = arguments(given)?;
    let most = bounded("max_bytes", args.max_bytes.unwrap_or(PART), MAX_PART)?;
    let document = room.kb.get(&args.id)?;
    let text = &document.text;
    // A part begins and ends between characters, and is never empty before the end.
    let start =
        (args.start.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let mut end = start.saturating_add(most).min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let part = text.get(start..end).unwrap_or_default().to_owned();
    let out = GetResult {
        uri: uri_of(&document.id),
        text: part.clone(),
        start,
        bytes: text.len(),
        next: (end < text.len()).then_some(end),
        id: document.id,
        title: document.title,
        source: document.source,
        metadata: document.metadata,
    };
    result(part, &out)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchArgs {
    /// The question.
    question: String,
    /// The most experts, 1 to 100.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 100))]
    k: usize,
    /// Capabilities that each must have, such as `regulatory.fda`.
    #[serde(default)]
    require: Vec<String>,
    /// A condition on the experts' fields: an expression, or an object.
    #[serde(default, rename = "where")]
    filter: Option<Value>,
    /// Whether nobody is named rather than somebody who may not fit.
    #[serde(default)]
    abstain: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct MatchResult {
    /// The experts, best first.
    matches: Vec<MatchOut>,
}

#[derive(Serialize, JsonSchema)]
struct MatchOut {
    /// The expert's id.
    agent: String,
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// The probability that it is the right one, 0 to 1.
    confidence: f64,
    /// What the order goes by; comparable within one call.
    score: f64,
}

/// `match`.
pub(crate) fn matching(
    room: &Room,
    caller: &Caller,
    given: JsonObject,
    cancel: &Cancel,
) -> Result<CallToolResult> {
    let args: MatchArgs = arguments(given)?;
    let options = MatchOptions {
        k: bounded("k", args.k, MAX_K)?,
        filter: filter(args.filter.as_ref())?,
        require: args.require,
        permissions: caller.permissions.clone(),
        abstain: args.abstain,
        ..MatchOptions::default()
    };
    let found = room.experts()?.cancelled_by(cancel).match_agents(&args.question, &options)?;
    let matches = found.into_iter().map(|found| MatchOut {
        agent: found.agent.id.clone(),
        name: found.agent.name.clone(),
        description: found.agent.summary.clone(),
        confidence: found.confidence,
        score: found.score,
    });
    let matches: Vec<MatchOut> = matches.collect();
    let lines =
        matches.iter().map(|one| format!("{} ({}): {:.0}%", one.name, one.agent, one.confidence * 100.0));
    let mut text = lines.collect::<Vec<_>>().join("\n");
    if matches.is_empty() {
        text.push_str("No expert fits.");
    }
    result(text, &MatchResult { matches })
}

/// A filter as it was given. Errors: `filter_syntax`.
fn filter(given: Option<&Value>) -> Result<Option<Filter>> {
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Filter::parse(text).map(Some),
        Some(value) => Filter::from_json(value).map(Some),
    }
}

/// Errors: `invalid_argument`.
pub(super) fn bounded(name: &str, value: usize, most: usize) -> Result<usize> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(format!("{name} is {value}; it is 1 to {most}")))
}
