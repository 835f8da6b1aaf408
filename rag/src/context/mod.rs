//! How do hits become one text for a language model, within a budget and with citations that resolve?
//!
//! Hits become passages of their documents; passages that touch are one. Passages are taken in the order of the hits
//! as long as they fit, then widened by their neighbours, then put in order, numbered and joined.

mod cut;
mod passages;
mod shingles;

use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::retrieve::{Hit, SearchOptions};
use passages::{Passage, Passages};

/// Counts the tokens of a text as the model does that will read it. Any function from text to number is one.
///
/// ```
/// use quorate_rag::CountTokens;
/// let words = |text: &str| text.split_whitespace().count();
/// assert_eq!(words.count("two words"), 2);
/// ```
pub trait CountTokens: Send + Sync {
    /// The number of tokens in `text`.
    fn count(&self, text: &str) -> usize;
}

impl<F: Fn(&str) -> usize + Send + Sync> CountTokens for F {
    fn count(&self, text: &str) -> usize {
        self(text)
    }
}

/// In which order the passages of a context stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextOrder {
    /// The best first.
    #[default]
    Score,
    /// Passages of one document together, as they follow each other in it; the document with the best passage first.
    Document,
    /// The best at both ends, the weakest in the middle, where language models read least carefully
    /// (Liu et al. 2023, Lost in the Middle).
    LostInTheMiddle,
}

/// How a context is put together. Fields have the defaults named.
#[derive(Clone)]
pub struct ContextOptions {
    /// The most tokens of the whole text, markers and titles included. Default 2000.
    pub max_tokens: usize,
    /// How the hits are found. Default hybrid with `k` 20.
    pub search: SearchOptions,
    /// Default the best first.
    pub order: ContextOrder,
    /// How many chunks before and after each passage are joined to it while the budget lasts, nearest first. Default 1.
    pub neighbours: usize,
    /// A passage is left out when it says nearly the same as a better one: when their word triples have at least this
    /// Jaccard similarity (Broder 1997), 0 to 1. It compares words, not meanings, so that two statements that differ
    /// in one number of a short sentence both stay. 1 leaves nothing out. Default .85.
    pub dedupe: f32,
    /// What counts tokens. Default the tokenizer of the embedder, without special tokens.
    pub tokenizer: Option<Arc<dyn CountTokens>>,
}

impl ContextOptions {
    /// Whether the values make sense. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.dedupe) {
            return Err(Error::invalid(format!(
                "context: dedupe is {}; it is a similarity, 0 to 1",
                self.dedupe
            )));
        }
        self.search.validate()
    }
}

impl Default for ContextOptions {
    fn default() -> Self {
        ContextOptions {
            max_tokens: 2000,
            search: SearchOptions { k: 20, ..SearchOptions::default() },
            order: ContextOrder::Score,
            neighbours: 1,
            dedupe: 0.85,
            tokenizer: None,
        }
    }
}

impl std::fmt::Debug for ContextOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContextOptions")
            .field("max_tokens", &self.max_tokens)
            .field("search", &self.search)
            .field("order", &self.order)
            .field("neighbours", &self.neighbours)
            .field("dedupe", &self.dedupe)
            .finish_non_exhaustive()
    }
}

/// Why a context is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyContext {
    /// The search found nothing: no document matches the filter or has a word of the question, or there are no hits.
    NothingFound,
    /// The search found something, but nothing that reaches `min_relevance` or `min_score`.
    NothingRelevant,
    /// Not even the beginning of one passage fits into `max_tokens`.
    BudgetTooSmall,
}

impl EmptyContext {
    /// The name of the reason: `nothing_found`, `nothing_relevant`, `budget_too_small`.
    pub fn as_str(self) -> &'static str {
        match self {
            EmptyContext::NothingFound => "nothing_found",
            EmptyContext::NothingRelevant => "nothing_relevant",
            EmptyContext::BudgetTooSmall => "budget_too_small",
        }
    }
}

/// A text made of passages, each under its marker and its document's title.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Context {
    /// The text; empty when nothing was found or nothing fits, which `reason` tells.
    pub text: String,
    /// One for each passage, in the order of the text.
    pub citations: Vec<Citation>,
    /// The tokens of the text, as they were counted; at most `max_tokens`.
    pub tokens: usize,
    /// Why the text is empty; none where it is not.
    pub reason: Option<EmptyContext>,
}

impl Context {
    fn empty(reason: EmptyContext) -> Self {
        Context { reason: Some(reason), ..Context::default() }
    }
}

/// Where a passage comes from: `document_text[start..end]` is the passage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Citation {
    /// What stands before the passage in the text: `[1]`, `[2]` and so on.
    pub marker: String,
    /// The id of its document.
    pub doc_id: String,
    /// The id of the best chunk in it.
    pub chunk_id: String,
    /// Where it starts in its document's text, in UTF-8 bytes.
    pub start: usize,
    /// Where it ends in its document's text, in UTF-8 bytes.
    pub end: usize,
    /// The title of its document; empty when there is none.
    pub title: String,
    /// The score of the best chunk in it.
    pub score: f32,
}

/// What counts, given or the embedder's.
enum Counter<'a> {
    Given(&'a dyn CountTokens),
    Embedder(&'a dyn Embed),
}

impl Counter<'_> {
    fn count(&self, text: &str) -> Result<usize> {
        Ok(match self {
            // Nothing has no tokens, whatever a tokenizer adds to each text.
            _ if text.is_empty() => 0,
            Counter::Given(tokenizer) => tokenizer.count(text),
            Counter::Embedder(embedder) => embedder.tokenize(text)?.len(),
        })
    }
}

/// Builds a context of hits, best first. Errors: `invalid_argument`, `cancelled`, and those of the embedder.
pub(crate) fn build<'a>(
    hits: &[Hit],
    options: &ContextOptions,
    embedder: impl FnOnce() -> Result<&'a dyn Embed>,
) -> Result<Context> {
    options.validate()?;
    if hits.is_empty() {
        return Ok(Context::empty(EmptyContext::NothingFound));
    }
    if options.max_tokens == 0 {
        return Ok(Context::empty(EmptyContext::BudgetTooSmall));
    }
    let counter = match &options.tokenizer {
        Some(tokenizer) => Counter::Given(tokenizer.as_ref()),
        None => Counter::Embedder(embedder()?),
    };
    // Passages are counted one by one; should the joined text have more tokens than their sum, less is taken.
    let mut budget = options.max_tokens;
    loop {
        options.search.cancel.check()?;
        let passages = Passages::choose(hits, options, budget, &counter)?;
        if passages.is_empty() {
            return Ok(Context::empty(EmptyContext::BudgetTooSmall));
        }
        let context = join(passages, options.order, &counter)?;
        if context.tokens <= options.max_tokens {
            return Ok(context);
        }
        let excess = context.tokens - options.max_tokens;
        budget = match budget.saturating_sub(excess).min(budget * 15 / 16) {
            0 => return Ok(Context::empty(EmptyContext::BudgetTooSmall)),
            less => less,
        };
    }
}

/// Orders, numbers and joins passages, which come best first.
fn join(passages: Vec<Passage<'_>>, order: ContextOrder, counter: &Counter<'_>) -> Result<Context> {
    let mut text = String::new();
    let mut citations = Vec::with_capacity(passages.len());
    for (i, passage) in arrange(passages, order).into_iter().enumerate() {
        let marker = format!("[{}]", i + 1);
        if !text.is_empty() {
            text.push_str(SEPARATOR);
        }
        text.push_str(&passage.block(&marker));
        let hit = passage.hit;
        citations.push(Citation {
            marker,
            doc_id: hit.doc_id().to_owned(),
            chunk_id: hit.chunk_id(),
            start: passage.range.start,
            end: passage.range.end,
            title: hit.title().to_owned(),
            score: hit.score(),
        });
    }
    let tokens = counter.count(&text)?;
    Ok(Context { text, citations, tokens, reason: None })
}

/// What stands between passages.
const SEPARATOR: &str = "\n\n";

fn arrange(mut passages: Vec<Passage<'_>>, order: ContextOrder) -> Vec<Passage<'_>> {
    match order {
        ContextOrder::Score => passages,
        ContextOrder::Document => {
            let first: Vec<usize> = passages
                .iter()
                .map(|p| passages.iter().position(|other| other.same_document(p.hit)).unwrap_or_default())
                .collect();
            let mut keyed: Vec<(usize, Passage<'_>)> = first.into_iter().zip(passages).collect();
            keyed.sort_by_key(|(first, passage)| (*first, passage.range.start));
            keyed.into_iter().map(|(_, passage)| passage).collect()
        }
        ContextOrder::LostInTheMiddle => {
            let mut end = Vec::new();
            let mut at = 0;
            passages.retain(|passage| {
                at += 1;
                if at % 2 == 0 {
                    end.push(passage.clone());
                }
                at % 2 == 1
            });
            end.reverse();
            passages.extend(end);
            passages
        }
    }
}
