//! How does Node say how to search, to rerank and to cite?

use std::sync::Arc;

use napi::{Env, Unknown};
use quorate::core::embed::CrossEncoder;
use quorate::rag::{
    Bm25, Context, ContextOptions, ContextOrder, EmptyContext, Filter, Fusion, GroupBy, Hit, Hits, Lexical,
    LexicalQuery, Mode, Rerank, Reranker, SearchOptions,
};
use quorate::{Code, Error, Result};
use serde_json::json;

use crate::convert::{self, Args, Out, boolean, count, floats32, number32, text};
use crate::door::{Callback, NativeCancel, flag};
use crate::embed::{NativeCrossEncoder, Opening};
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
    pub fn into(self, mut options: SearchOptions) -> Result<SearchOptions> {
        let Some(rerank) = &mut options.rerank else { return Ok(options) };
        if let Some(encoder) = self.encoder {
            rerank.with = Reranker::CrossEncoder(encoder.get()?);
        }
        if let Some(callback) = self.callback {
            let cancel = options.cancel.clone();
            rerank.with = Reranker::Callback(Arc::new(move |query: &str, candidates: &[Hit]| {
                let candidates = hits(Hits::from(candidates.to_vec()));
                let answer = callback.call(vec![Out::Text(query.to_owned()), candidates], &cancel)?;
                floats32(answer, "the reranker's scores")
            }));
        }
        Ok(options)
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

/// The options of a search, and no others.
pub fn only_search(
    env: &Env,
    options: &Unknown<'_>,
    cancel: Option<&NativeCancel>,
) -> Result<SearchOptions, Thrown> {
    let read = Args::read(env, options, "options of search").and_then(|mut args| {
        let options = search_options(&mut args)?;
        args.done()?;
        Ok(options)
    });
    Ok(SearchOptions { cancel: flag(cancel), ..read.or_throw()? })
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
        rerank: rerank(args)?,
        ..defaults
    })
}

/// A structured query of the lexical leg.
fn lexical(given: Given, what: &str) -> Result<LexicalQuery> {
    if !matches!(given, Given::Object(_)) {
        let message = format!("{what} is {}; an object is expected", given.kind());
        return Err(Error::new(Code::QuerySyntax, message));
    }
    serde_json::from_value::<Lexical>(convert::snake(convert::json(given, what)?))
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

/// The name of a reranker; a function and a cross-encoder take the place of `given` later.
fn rerank(args: &mut Args) -> Result<Option<Rerank>> {
    let lambda = args.or("mmrLambda", 0.5, number32)?;
    let depth = args.or("rerankDepth", Rerank::DEPTH, count)?;
    let blend = args.or("blend", 1.0, number32)?;
    let known = [("mmr", Reranker::Mmr { lambda }), ("late", Reranker::Late)];
    let with = args.maybe("rerank", |given, what| match text(given, what)?.as_str() {
        "given" => Ok(Reranker::Mmr { lambda: 1.0 }),
        name => convert::choose(what, name, &known),
    })?;
    Ok(with.map(|with| Rerank { with, depth, blend }))
}

/// The options of a context: those of a search, and its own.
pub fn context_options(
    env: &Env,
    options: &Unknown<'_>,
    cancel: Option<&NativeCancel>,
) -> Result<ContextOptions, Thrown> {
    let read = Args::read(env, options, "options of context").and_then(|mut args| {
        let defaults = ContextOptions::default();
        let k = args.or("k", defaults.search.k, count)?;
        let out = ContextOptions {
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
            search: SearchOptions { k, cancel: flag(cancel), ..search_options(&mut args)? },
            ..defaults
        };
        args.done()?;
        Ok(out)
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
