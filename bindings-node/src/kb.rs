//! How is a knowledge base used from Node?

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::core::embed::Embed;
use quorate::rag::chunk::ChunkOptions;
use quorate::rag::{
    Durability, FileOptions, Filter, KnowledgeBase, Language, ModelSource, OnError, OpenOptions, WriteOptions,
};
use quorate::{Code, Document, Error, Result};
use serde_json::{Value, json};

use crate::convert::{self, Args, Out, arg, boolean, count, floats32, report, text, texts, whole};
use crate::documents::{self, NativeDocuments, written};
use crate::door::{Callback, Lane, NativeCancel, Promised, flag, promise};
use crate::embed::{NativeCrossEncoder, NativeEmbedder, Opening};
use crate::errors::{OrThrow, Thrown, invalid};
use crate::hits::hits;
use crate::retrieve::{self, Second, context_options, filter, only_search};
use crate::value::Given;

/// Documents that are kept and found.
#[napi(js_name = "KnowledgeBase")]
pub struct NativeKnowledgeBase {
    kb: KnowledgeBase,
    /// Whether a query may take longer than a few milliseconds to embed: over the network.
    slow: bool,
}

/// Opens the knowledge base in a folder.
#[napi(ts_return_type = "Promise<KnowledgeBase>")]
pub fn open(
    env: Env,
    place: Unknown<'_>,
    embedder: Option<&NativeEmbedder>,
    options: Unknown<'_>,
) -> Result<Promised, Thrown> {
    let place = arg(&env, &place, "the place", text)?;
    let mut options = open_options(&env, &options).or_throw()?;
    let slow = embedder.is_some_and(|embedder| embedder.slow);
    let embedder: Option<Opening<Arc<dyn Embed>>> = embedder.map(|embedder| embedder.model.clone());
    promise(&env, Lane::Slow, move || {
        options.embedder = embedder.map(|embedder| embedder.get()).transpose()?;
        let kb = KnowledgeBase::open(place, options)?;
        Ok(Out::object(NativeKnowledgeBase { kb, slow }))
    })
}

fn open_options(env: &Env, options: &Unknown<'_>) -> Result<OpenOptions> {
    let mut args = Args::read(env, options, "options of open")?;
    let defaults = OpenOptions::default();
    let languages: Vec<(&str, Language)> = Language::ALL.iter().map(|l| (l.name(), *l)).collect();
    let out = OpenOptions {
        model: args.maybe("model", text)?.map(ModelSource::new),
        tenant: args.maybe("tenant", text)?,
        read_only: args.or("readOnly", false, boolean)?,
        language: args
            .maybe("language", |given, what| convert::choose(what, &text(given, what)?, &languages))?,
        durability: args
            .choice("durability", &[("power_cut", Durability::PowerCut), ("process", Durability::Process)])?,
        chunking: args.maybe("chunking", chunking)?,
        keep_versions: args.or("keepVersions", defaults.keep_versions, count)?,
        cache_folder: args.maybe("cacheFolder", text)?.map(PathBuf::from),
        storage_options: args.or("storageOptions", Vec::new(), convert::named_texts)?.into_iter().collect(),
        ..defaults
    };
    args.done()?;
    Ok(out)
}

/// A filter, or none where none is given.
fn optional_filter(env: &Env, by: &Unknown<'_>) -> Result<Option<Filter>, Thrown> {
    arg(env, by, "where", |given, what| match given.is_missing() {
        true => Ok(None),
        false => filter(given, what).map(Some),
    })
}

/// How texts are cut: the name of a strategy, or the options.
fn chunking(given: Given, what: &str) -> Result<ChunkOptions> {
    let value = match given {
        Given::Text(strategy) => serde_json::json!({ "strategy": strategy }),
        given @ Given::Object(_) => convert::snake(convert::json(given, what)?),
        other => {
            return Err(invalid(format!("{what} is {}; a string or an object is expected", other.kind())));
        }
    };
    serde_json::from_value(value)
        .map_err(|e| Error::with_source(Code::InvalidArgument, format!("{what}: {e}"), e))
}

impl NativeKnowledgeBase {
    fn run(
        &self,
        env: &Env,
        lane: Lane,
        work: impl FnOnce(&KnowledgeBase) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let kb = self.kb.clone();
        promise(env, lane, move || work(&kb))
    }

    fn lane(&self, second: &Second) -> Lane {
        if self.slow || second.is_slow() { Lane::Slow } else { Lane::Quick }
    }

    /// Runs a write that tells of its progress and stops when telling fails.
    fn writing(
        &self,
        env: &Env,
        on_error: OnError,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
        work: impl FnOnce(&KnowledgeBase, WriteOptions) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let cancel = flag(cancel);
        let callback = progress.map(|f| Callback::new(env, &f)).transpose()?;
        self.run(env, Lane::Slow, move |kb| {
            let failed = Arc::new(AtomicBool::new(false));
            let mut options = WriteOptions { on_error, cancel: cancel.clone(), ..WriteOptions::default() };
            if let Some(callback) = callback {
                let failed = Arc::clone(&failed);
                options.progress = Some(Arc::new(move |done, total| {
                    let arguments = vec![Out::count(done), Out::count(total)];
                    if callback.call(arguments, &cancel).is_err() && !cancel.is_cancelled() {
                        failed.store(true, Ordering::Release);
                        cancel.cancel();
                    }
                }));
            }
            work(kb, options).map_err(|error| match failed.load(Ordering::Acquire) {
                true => Error::new(Code::Callback, "the progress callback failed, so nothing was stored"),
                false => error,
            })
        })
    }
}

#[napi]
impl NativeKnowledgeBase {
    /// Adds or replaces documents; `progress(reply, done, total)` is called on the way. The report is JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn write(
        &self,
        env: Env,
        documents: &NativeDocuments,
        replace: bool,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (parts, on_error) = documents.take();
        self.writing(&env, on_error, progress, cancel, move |kb, options| {
            let report = match replace {
                true => kb.upsert_with(parts.documents, &options),
                false => kb.add_with(parts.documents, &options),
            };
            Ok(written(report?, (parts.places, parts.skipped)))
        })
    }

    /// Adds or replaces the documents of files; otherwise as `write`.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn write_files(
        &self,
        env: Env,
        patterns: Unknown<'_>,
        replace: bool,
        skip: bool,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let patterns = arg(&env, &patterns, "patterns", texts)?;
        let on_error = if skip { OnError::Skip } else { OnError::Stop };
        self.writing(&env, on_error, progress, cancel, move |kb, write| {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let options = FileOptions { write, ..FileOptions::default() };
            let report = match replace {
                true => kb.upsert_files(&patterns, &options),
                false => kb.add_files(&patterns, &options),
            };
            Ok(written(report?, Default::default()))
        })
    }

    /// Gives a document other metadata.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn update_metadata(
        &self,
        env: Env,
        id: Unknown<'_>,
        metadata: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        let metadata = arg(&env, &metadata, "metadata", documents::metadata)?;
        self.run(&env, Lane::Slow, move |kb| kb.update_metadata(&id, metadata).map(|()| Out::Nothing))
    }

    /// Deletes documents by `ids` or by `where`, and says how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn delete(&self, env: Env, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let read = Args::read(&env, &options, "delete").and_then(|mut args| {
            let (ids, by) = (args.maybe("ids", texts)?, args.maybe("where", filter)?);
            args.done()?;
            match (&ids, &by) {
                (Some(_), None) | (None, Some(_)) => Ok((ids, by)),
                _ => Err(invalid("delete takes either ids or where")),
            }
        });
        let (ids, by) = read.or_throw()?;
        self.run(&env, Lane::Slow, move |kb| {
            let deleted = match (ids, by) {
                (_, Some(filter)) => kb.delete_where(&filter),
                (ids, None) => {
                    let ids = ids.unwrap_or_default();
                    kb.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>())
                }
            };
            deleted.map(Out::count)
        })
    }

    /// The best pieces for a query. `encoder` or `scorer(reply, query, hits)` reranks.
    #[napi(ts_return_type = "Promise<Hits>")]
    pub fn search(
        &self,
        env: Env,
        query: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
        encoder: Option<&NativeCrossEncoder>,
        scorer: Option<Unknown<'_>>,
    ) -> Result<Promised, Thrown> {
        let query = arg(&env, &query, "query", text)?;
        let options = only_search(&env, &options, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        self.run(&env, self.lane(&second), move |kb| {
            options.cancel.check()?;
            kb.search(&query, &second.into(options)?).map(hits)
        })
    }

    /// The best pieces for each query.
    #[napi(ts_return_type = "Promise<Array<Hits>>")]
    pub fn search_batch(
        &self,
        env: Env,
        queries: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
        encoder: Option<&NativeCrossEncoder>,
        scorer: Option<Unknown<'_>>,
    ) -> Result<Promised, Thrown> {
        let queries = arg(&env, &queries, "queries", texts)?;
        let options = only_search(&env, &options, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        self.run(&env, Lane::Slow, move |kb| {
            options.cancel.check()?;
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            let found = kb.search_batch(&queries, &second.into(options)?)?;
            Ok(Out::List(found.into_iter().map(hits).collect()))
        })
    }

    /// The best pieces for one question in several wordings.
    #[napi(ts_return_type = "Promise<Hits>")]
    pub fn search_many(
        &self,
        env: Env,
        queries: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
        encoder: Option<&NativeCrossEncoder>,
        scorer: Option<Unknown<'_>>,
    ) -> Result<Promised, Thrown> {
        let queries = arg(&env, &queries, "queries", texts)?;
        let options = only_search(&env, &options, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        self.run(&env, self.lane(&second), move |kb| {
            options.cancel.check()?;
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            kb.search_many(&queries, &second.into(options)?).map(hits)
        })
    }

    /// The pieces whose vectors are most similar to this one.
    #[napi(ts_return_type = "Promise<Hits>")]
    pub fn search_vector(
        &self,
        env: Env,
        vector: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let vector = arg(&env, &vector, "vector", floats32)?;
        let options = only_search(&env, &options, cancel)?;
        self.run(&env, Lane::Quick, move |kb| {
            options.cancel.check()?;
            kb.search_vector(&vector, &options).map(hits)
        })
    }

    /// Cited text for a question, within a budget of tokens, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn context(
        &self,
        env: Env,
        query: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
        encoder: Option<&NativeCrossEncoder>,
        scorer: Option<Unknown<'_>>,
    ) -> Result<Promised, Thrown> {
        let query = arg(&env, &query, "query", text)?;
        let mut options = context_options(&env, &options, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        self.run(&env, self.lane(&second), move |kb| {
            options.search.cancel.check()?;
            options.search = second.into(options.search)?;
            options.validate()?;
            let found = kb.search(&query, &options.search)?;
            Ok(retrieve::context(&kb.context_of(&found, &options)?, &found))
        })
    }

    /// The document with this id, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn get(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.run(&env, Lane::Quick, move |kb| {
            let Document { id, text, title, source, metadata, .. } = kb.get(&id)?;
            let out = json!({
                "id": id, "text": text, "title": title, "source": source, "metadata": metadata,
            });
            Ok(Out::Text(out.to_string()))
        })
    }

    /// The ids of the documents that match, oldest first.
    #[napi(ts_return_type = "Promise<Array<string>>")]
    pub fn ids(&self, env: Env, by: Unknown<'_>) -> Result<Promised, Thrown> {
        let by = optional_filter(&env, &by)?;
        self.run(&env, Lane::Quick, move |kb| {
            Ok(Out::List(kb.ids_of(by.as_ref())?.into_iter().map(Out::Text).collect()))
        })
    }

    /// How many documents match.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn count(&self, env: Env, by: Unknown<'_>) -> Result<Promised, Thrown> {
        let by = optional_filter(&env, &by)?;
        self.run(&env, Lane::Quick, move |kb| kb.count(by.as_ref()).map(Out::count))
    }

    /// What the knowledge base holds, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn stats(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |kb| report(&kb.stats()?))
    }

    /// The versions that `at` can show, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn versions(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |kb| {
            let versions: Vec<Value> = kb
                .versions()?
                .iter()
                .map(|v| json!({ "version": v.version, "timestamp": v.timestamp_ms }))
                .collect();
            Ok(Out::Text(Value::Array(versions).to_string()))
        })
    }

    /// The knowledge base as it was at a version.
    #[napi(ts_return_type = "Promise<KnowledgeBase>")]
    pub fn at(&self, env: Env, version: Unknown<'_>) -> Result<Promised, Thrown> {
        let version = arg(&env, &version, "version", whole)?;
        let slow = self.slow;
        self.run(&env, Lane::Slow, move |kb| {
            Ok(Out::object(NativeKnowledgeBase { kb: kb.at(version)?, slow }))
        })
    }

    /// A handle that sees one tenant.
    #[napi(ts_return_type = "Promise<KnowledgeBase>")]
    pub fn tenant(&self, env: Env, name: Unknown<'_>) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "tenant", text)?;
        let slow = self.slow;
        self.run(&env, Lane::Slow, move |kb| {
            Ok(Out::object(NativeKnowledgeBase { kb: kb.tenant(&name)?, slow }))
        })
    }

    /// The tenant that the handle sees.
    #[napi(getter)]
    pub fn tenant_name(&self) -> Option<String> {
        self.kb.tenant_name().map(str::to_owned)
    }

    /// Takes over what other processes wrote.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn refresh(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |kb| kb.refresh().map(Out::Bool))
    }

    /// Rewrites what many small writes have left.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn compact(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |kb| kb.compact().map(|()| Out::Nothing))
    }

    /// Gives the writer's lock back.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |kb| kb.close().map(|()| Out::Nothing))
    }
}
