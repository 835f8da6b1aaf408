//! How does Node say how to search, to rerank and to cite?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::{Env, Unknown};
use quorate::core::embed::{CrossEncoder, Embed};
use quorate::rag::{
    Bm25, Context, ContextOptions, ContextOrder, EmptyContext, Filter, Fusion, GroupBy, Hit, Hits, Lexical,
    LexicalQuery, Mode, Rerank, Reranker, SearchOptions,
};
use quorate::{Code, Error, Result};
use quorate_bindings::Args;
use serde_json::json;

use crate::convert::{self, Out, args, boolean, count, floats32, number32, text};
use crate::door::{Callback, NativeCancel, flag};
use crate::embed::{NativeCrossEncoder, NativeEmbedder, Opening};
use crate::errors::{OrThrow, Thrown, invalid};
use crate::hits::{hits, units};
use crate::value::Given;

/// What gives the candidates new scores, other than by name.
pub struct Second {
    encoder: Option<Opening<Arc<CrossEncoder>>>,
    callback: Option<Callback>,
}

impl Second {
    /// From a cross-encoder or a function `(reply, query, hits)`, whichever is there.
    pub fn new(
        env: &Env,
        encoder: Option<&NativeCrossEncoder>,
        function: Option<&Unknown<'_>>,
    ) -> Result<Second, Thrown> {
        Ok(Second {
            encoder: encoder.map(|encoder| encoder.model.clone()),
            callback: function.map(|f| Callback::new(env, f)).transpose()?,
        })
    }

    /// Whether it may take longer than a search.
    pub fn is_slow(&self) -> bool {
        self.encoder.is_some() || self.callback.is_some()
    }

    /// Completes the options on the thread of the search: opens the encoder, ties the function to the cancellation.
    pub fn into(self, search: Search) -> Result<SearchOptions> {
        let Search { mut options, depth, blend, .. } = search;
        if let Some(encoder) = self.encoder {
            options.rerank = Some(Rerank { with: Reranker::CrossEncoder(encoder.get()?), depth, blend });
        }
        if let Some(callback) = self.callback {
            let cancel = options.cancel.clone();
            let with = Reranker::Callback(Arc::new(move |query: &str, candidates: &[Hit]| {
                let candidates = hits(Hits::from(candidates.to_vec()));
                let answer = callback.call(vec![Out::Text(query.to_owned()), candidates], &cancel)?;
                floats32(answer, "the reranker's scores")
            }));
            options.rerank = Some(Rerank { with, depth, blend });
        }
        Ok(options)
    }
}

/// A search as it was described.
pub struct Search {
    /// Its options; the reranker, if it has a name.
    pub options: SearchOptions,
    /// How many candidates a reranker puts in order, and the weight of its score.
    depth: usize,
    blend: f32,
    /// The query's vector, where the host has it.
    pub vector: Option<Vec<f32>>,
}

/// What counts tokens, other than the embedder of the knowledge base.
pub struct Counter {
    embedder: Option<Opening<Arc<dyn Embed>>>,
    callback: Option<Callback>,
}

impl Counter {
    /// From an embedder or a function `(reply, text)`, whichever is there.
    pub fn new(
        env: &Env,
        embedder: Option<&NativeEmbedder>,
        function: Option<&Unknown<'_>>,
    ) -> Result<Counter, Thrown> {
        Ok(Counter {
            embedder: embedder.map(|embedder| embedder.model.clone()),
            callback: function.map(|f| Callback::new(env, f)).transpose()?,
        })
    }

    /// Whether it may take longer than a search.
    pub fn is_slow(&self) -> bool {
        self.embedder.is_some() || self.callback.is_some()
    }

    /// Puts it into the options of a context, which `cancel` stops. The flag is raised when the function failed.
    pub fn into(self, options: &mut ContextOptions) -> Result<Arc<AtomicBool>> {
        let failed = Arc::new(AtomicBool::new(false));
        if let Some(embedder) = self.embedder {
            let model = embedder.get()?;
            // One that cannot count is refused here, not taken to count nothing.
            model.tokenize("text")?;
            let tokens = move |text: &str| model.tokenize(text).map_or(usize::MAX, |tokens| tokens.len());
            options.tokenizer = Some(Arc::new(tokens));
        }
        if let Some(callback) = self.callback {
            let (cancel, told) = (options.search.cancel.clone(), Arc::clone(&failed));
            options.tokenizer = Some(Arc::new(move |text: &str| {
                let answer = callback.call(vec![Out::Text(text.to_owned())], &cancel);
                answer.and_then(|given| count(given, "what the tokenizer gave")).unwrap_or_else(|_| {
                    if !cancel.is_cancelled() {
                        told.store(true, Ordering::Release);
                        cancel.cancel();
                    }
                    0
                })
            }));
        }
        Ok(failed)
    }
}

/// A filter from its text or its object.
pub fn filter(given: Given, what: &str) -> Result<Filter> {
    match given {
        Given::Text(text) => Filter::parse(&text),
        given @ Given::Object(_) => Filter::from_json(&convert::json(given, what)?),
        other => Err(invalid(format!("{what} is {}; a string or an object is expected", other.kind()))),
    }
}

/// The options of a search, and no others; with the query's `vector` among them where the call takes one.
pub fn only_search(
    env: &Env,
    options: &Unknown<'_>,
    vector: bool,
    cancel: Option<&NativeCancel>,
) -> Result<Search, Thrown> {
    let read = args(env, options, "options of search").and_then(|mut args| {
        let vector = if vector { args.maybe("vector", floats32)? } else { None };
        let search = Search { vector, ..search(&mut args)? };
        args.done()?;
        Ok(search)
    });
    let mut search = read.or_throw()?;
    search.options.cancel = flag(cancel);
    Ok(search)
}

fn search(args: &mut Args) -> Result<Search> {
    let depth = args.or("rerankDepth", Rerank::DEPTH, count)?;
    let blend = args.or("blend", 1.0, number32)?;
    let with = reranker(args)?;
    let mut options = search_options(args)?;
    options.rerank = with.map(|with| Rerank { with, depth, blend });
    Ok(Search { options, depth, blend, vector: None })
}

fn search_options(args: &mut Args) -> Result<SearchOptions> {
    let alpha = args.or("alpha", 0.5, number32)?;
    let k = args.or("rrfK", Fusion::RRF_K, number32)?;
    let defaults = SearchOptions::default();
    Ok(SearchOptions {
        k: args.or("k", defaults.k, count)?,
        offset: args.or("offset", 0, count)?,
        mode: args.choice(
            "mode",
            &[("hybrid", Mode::Hybrid), ("dense", Mode::Dense), ("lexical", Mode::Lexical)],
        )?,
        filter: args.maybe("where", filter)?,
        strict: args.or("strict", false, boolean)?,
        fusion: args.choice(
            "fusion",
            &[("convex", Fusion::Convex { alpha }), ("rrf", Fusion::Rrf { k }), ("dbsf", Fusion::Dbsf)],
        )?,
        group_by: args.maybe("groupBy", |given, what| {
            convert::choose(what, &text(given, what)?, &[("doc", GroupBy::Doc)])
        })?,
        min_score: args.maybe("minScore", number32)?,
        min_relevance: args.maybe("minRelevance", number32)?,
        recall: args.maybe("recall", number32)?,
        ef_search: args.or("efSearch", defaults.ef_search, count)?,
        exact: args.or("exact", defaults.exact, boolean)?,
        depth: args.or("depth", defaults.depth, count)?,
        lexical: args.maybe("lexical", lexical)?,
        bm25: bm25(args)?,
        ..defaults
    })
}

/// A structured query of the lexical leg.
fn lexical(given: Given, what: &str) -> Result<LexicalQuery> {
    if !matches!(given, Given::Object(_)) {
        let message = format!("{what} is {}; an object is expected", given.kind());
        return Err(Error::new(Code::QuerySyntax, message));
    }
    serde_json::from_value::<Lexical>(quorate_bindings::snake(convert::json(given, what)?))
        .map(LexicalQuery::from)
        .map_err(|e| Error::with_source(Code::QuerySyntax, format!("{what}: {e}"), e))
}

/// The parameters of BM25, and what titles count.
fn bm25(args: &mut Args) -> Result<Bm25> {
    let defaults = Bm25::default();
    let given = args.maybe("bm25", |given, what| convert::floats(given, what, false))?;
    let (k1, b) = match given.as_deref() {
        Some([k1, b]) => (*k1 as f32, *b as f32),
        Some(other) => {
            return Err(invalid(format!("bm25 has {} numbers; the two [k1, b] are expected", other.len())));
        }
        None => (defaults.k1, defaults.b),
    };
    Ok(Bm25 { k1, b, title_boost: args.or("titleBoost", defaults.title_boost, number32)?, ..defaults })
}

/// A reranker by its name.
fn reranker(args: &mut Args) -> Result<Option<Reranker>> {
    let lambda = args.or("mmrLambda", 0.5, number32)?;
    let known = [("mmr", Reranker::Mmr { lambda }), ("late", Reranker::Late)];
    args.maybe("rerank", |given, what| convert::choose(what, &text(given, what)?, &known))
}

/// The options of a context: those of a search where there is one, and its own.
pub fn context_options(
    env: &Env,
    options: &Unknown<'_>,
    searches: bool,
    cancel: Option<&NativeCancel>,
) -> Result<(ContextOptions, Option<Search>), Thrown> {
    let read = args(env, options, "options of context").and_then(|mut args| {
        let defaults = ContextOptions::default();
        let most = defaults.search.k;
        let mut out = ContextOptions {
            max_tokens: args.or("maxTokens", defaults.max_tokens, count)?,
            order: args.choice(
                "order",
                &[
                    ("score", ContextOrder::Score),
                    ("document", ContextOrder::Document),
                    ("lost_in_the_middle", ContextOrder::LostInTheMiddle),
                ],
            )?,
            neighbours: args.or("neighbours", defaults.neighbours, count)?,
            dedupe: args.or("dedupe", defaults.dedupe, number32)?,
            ..defaults
        };
        out.search.cancel = flag(cancel);
        let search = match searches {
            true => {
                let k = args.or("k", most, count)?;
                let mut search = search(&mut args)?;
                search.options.k = k;
                search.options.cancel = out.search.cancel.clone();
                Some(search)
            }
            false => None,
        };
        args.done()?;
        Ok((out, search))
    });
    read.or_throw()
}

/// A context as JSON, with offsets in UTF-16 units; `hits` are those that it was made of.
pub fn context(context: &Context, hits: &[Hit]) -> Out {
    let citations: Vec<serde_json::Value> = context
        .citations
        .iter()
        .map(|cited| {
            let hit = hits.iter().find(|hit| hit.doc_id() == cited.doc_id);
            let text = hit.map_or(&[][..], |hit| hit.document_text().as_bytes());
            let start = units(text.get(..cited.start).unwrap_or_default());
            let end = start + units(text.get(cited.start..cited.end).unwrap_or_default());
            json!({
                "marker": cited.marker, "docId": cited.doc_id, "chunkId": cited.chunk_id, "start": start, "end": end,
                "title": cited.title, "score": cited.score,
            })
        })
        .collect();
    let reason = context.reason.map(EmptyContext::as_str);
    let out =
        json!({ "text": context.text, "citations": citations, "tokens": context.tokens, "reason": reason });
    Out::Text(out.to_string())
}
