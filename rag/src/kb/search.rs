//! How does a handle search?

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quorate_core::embed::Embed;
use quorate_core::{Code, Error, Result};

use super::KnowledgeBase;
use super::prepare::normalize;
use crate::context::{Context, ContextOptions};
use crate::retrieve::{Hits, Mode, Query, Ready, SearchOptions, search, search_many};
use quorate_core::parallel;

impl KnowledgeBase {
    /// The best chunks for a text. Errors: `empty_input` (a query without text), `invalid_argument`, `filter_type`, `filter_field`, `unsupported` (without an
    /// embedder, other than lexically; late interaction with an embedder that has no token vectors), `invalid_shape`
    /// and `not_finite` (the scores of a reranker), `cancelled`, `closed`, and those of the embedder and the reranker.
    pub fn search(&self, query: &str, options: &SearchOptions) -> Result<Hits> {
        check_text(query, "the query", options)?;
        let vector = match options.mode {
            Mode::Lexical => Vec::new(),
            Mode::Dense | Mode::Hybrid => self.embedded(|model| model.embed_query(query))?,
        };
        self.search_one(Some(query), &vector, options)
    }

    /// The best chunks for each text, in parallel. Errors: as [`search`](KnowledgeBase::search); one failure fails all.
    pub fn search_batch(&self, queries: &[&str], options: &SearchOptions) -> Result<Vec<Hits>> {
        self.base.check_open()?;
        check_texts(queries, options)?;
        let vectors = match options.mode {
            Mode::Lexical => None,
            Mode::Dense | Mode::Hybrid => {
                Some(self.embedded(|model| model.embed_queries(queries, &options.cancel))?)
            }
        };
        let one = |i: usize| {
            let vector = vectors.as_ref().map_or(&[][..], |matrix| matrix.row(i));
            self.search_one(Some(queries[i]), vector, options)
        };
        parallel::try_map_range(queries.len(), one)
    }

    /// The best chunks for one question in several wordings, the question itself first: each is searched for, and the
    /// hits are fused by reciprocal rank (Cormack, Clarke & Buettcher 2009), which
    /// [`Explanation::queries`](crate::Explanation::queries) shows. A reranker reads the first. No wording gives no
    /// hit. Errors: as [`search`](KnowledgeBase::search).
    pub fn search_many(&self, queries: &[&str], options: &SearchOptions) -> Result<Hits> {
        self.base.check_open()?;
        check_texts(queries, options)?;
        let vectors = match options.mode {
            Mode::Dense | Mode::Hybrid if !queries.is_empty() => {
                Some(self.embedded(|model| model.embed_queries(queries, &options.cancel))?)
            }
            _ => None,
        };
        let mut units: Vec<Vec<f32>> = Vec::with_capacity(queries.len());
        for i in 0..queries.len() {
            units.push(unit(vectors.as_ref().map_or(&[][..], |matrix| matrix.row(i)))?);
        }
        let asked: Vec<Query<'_>> =
            queries.iter().zip(&units).map(|(&text, vector)| Query { text, vector }).collect();
        let ready = self.reranker(queries.first().copied().or(Some("")), options)?;
        search_many(
            &self.seen()?,
            &self.collection.analyzer,
            &asked,
            options,
            ready.as_ref(),
            self.base.model.judge(),
        )
    }

    /// The chunks nearest to a vector, which is brought to unit length. The mode in `options` is ignored; rerankers
    /// that read the query's text have none (`invalid_argument`).
    /// Errors: `invalid_shape`, `not_finite`, and as [`search`](KnowledgeBase::search).
    pub fn search_vector(&self, vector: &[f32], options: &SearchOptions) -> Result<Hits> {
        let options = SearchOptions { mode: Mode::Dense, ..options.clone() };
        self.search_one(None, vector, &options)
    }

    /// The best chunks for a text whose vector is given. Errors: `empty_input` (a query without text, where words count),
    /// and as [`search_vector`](KnowledgeBase::search_vector).
    pub fn search_with_vector(&self, query: &str, vector: &[f32], options: &SearchOptions) -> Result<Hits> {
        if options.mode != Mode::Dense {
            check_text(query, "the query", options)?;
        }
        self.search_one(Some(query), vector, options)
    }

    /// Finds the best chunks for a question and puts as many of them as fit a number of tokens into one text with
    /// citations. Errors: `invalid_argument`, and as [`search`](KnowledgeBase::search).
    ///
    /// ```
    /// use quorate_rag::{ContextOptions, Document, KnowledgeBase, OpenOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("kb").display().to_string();
    /// let kb = KnowledgeBase::open(place, OpenOptions::default())?;
    /// kb.add(vec![Document::new("label", "Metformin is contraindicated in renal failure.").title("Metformin")])?;
    /// let context = kb.context("metformin and kidneys", &ContextOptions { max_tokens: 100, ..Default::default() })?;
    /// assert_eq!(context.text, "[1] Metformin\nMetformin is contraindicated in renal failure.");
    /// let cited = &context.citations[0];
    /// assert_eq!((cited.marker.as_str(), cited.doc_id.as_str(), cited.start, cited.end), ("[1]", "label", 0, 46));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn context(&self, query: &str, options: &ContextOptions) -> Result<Context> {
        options.validate()?;
        let hits = self.search(query, &options.search)?;
        self.context_of(&hits, options)
    }

    /// Puts as many of the given hits, the best first, as fit a number of tokens into one text with citations; of
    /// `options.search` only `cancel` counts. Errors: `invalid_argument`, `unsupported` without an embedder or a
    /// tokenizer to count with, `cancelled`, `closed`.
    pub fn context_of(&self, hits: &[crate::Hit], options: &ContextOptions) -> Result<Context> {
        self.base.check_open()?;
        crate::context::build(hits, options, || Ok(self.open_embedder()?.as_ref()))
    }

    fn search_one(&self, text: Option<&str>, vector: &[f32], options: &SearchOptions) -> Result<Hits> {
        self.base.check_open()?;
        let unit = unit(vector)?;
        let ready = self.reranker(text, options)?;
        let query = Query { text: text.unwrap_or_default(), vector: &unit };
        search(
            &self.seen()?,
            &self.collection.analyzer,
            query,
            options,
            ready.as_ref(),
            self.base.model.judge(),
        )
    }

    fn reranker<'a>(
        &'a self,
        text: Option<&'a str>,
        options: &'a SearchOptions,
    ) -> Result<Option<Ready<'a>>> {
        let ready = |rerank| Ready::new(rerank, text, || Ok(self.open_embedder()?.as_ref()), &options.cancel);
        options.validate()?;
        options.rerank.as_ref().map(ready).transpose()
    }

    /// What the model gives for queries. A model that cannot be reached and has never answered here may be a mere name for
    /// vectors that the host makes itself: the error then says how to search without it. Errors: those of opening and of
    /// the embedder; `unsupported` instead of the first `offline`.
    fn embedded<T>(&self, embed: impl FnOnce(&dyn Embed) -> Result<T>) -> Result<T> {
        let model = &self.base.model;
        let found = embed(self.open_embedder()?.as_ref());
        match found {
            Ok(found) => {
                model.answered.store(true, Ordering::Relaxed);
                Ok(found)
            }
            Err(error) if error.code() == Code::Offline && !model.answered.load(Ordering::Relaxed) => {
                let message = format!(
                    "the embedder '{}' cannot be reached ({}): pass vector= with the query's own vector, search with mode \
                     lexical, or open the knowledge base with an embedder= that can be",
                    model.id,
                    error.message()
                );
                Err(Error::with_source(Code::Unsupported, message, error))
            }
            Err(error) => Err(error),
        }
    }

    fn open_embedder(&self) -> Result<&Arc<dyn Embed>> {
        self.base.check_open()?;
        self.base.model.get()
    }
}

/// Errors: `empty_input` for a query of nothing, unless a structured query says what its words would.
fn check_text(query: &str, what: &str, options: &SearchOptions) -> Result<()> {
    if !query.trim().is_empty() || (options.lexical.is_some() && options.mode == Mode::Lexical) {
        return Ok(());
    }
    Err(Error::new(
        Code::EmptyInput,
        format!("{what} is empty; give a text to search for, or a vector to search_vector"),
    ))
}

fn check_texts(queries: &[&str], options: &SearchOptions) -> Result<()> {
    let mut queries = queries.iter().enumerate();
    queries.try_for_each(|(i, query)| check_text(query, &format!("query {i}"), options))
}

/// The vector of unit length. Errors: `not_finite`.
fn unit(vector: &[f32]) -> Result<Vec<f32>> {
    if let Some(at) = vector.iter().position(|x| !x.is_finite()) {
        return Err(Error::new(Code::NotFinite, format!("component {at} of the query vector is not finite")));
    }
    let mut unit = vector.to_vec();
    normalize(&mut unit);
    Ok(unit)
}
