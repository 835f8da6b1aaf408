//! How is a knowledge base used from Node?

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::core::embed::Embed;
use quorate::rag::chunk::ChunkOptions;
use quorate::rag::load::{CsvOptions, LoadOptions, Ocr};
use quorate::rag::{
    CopyOptions, Durability, FileOptions, Filter, KnowledgeBase, Language, ListOptions, ModelSource, OnError,
    OpenOptions, Progress, ReembedOptions, Sort, SyncOptions, WriteOptions,
};
use quorate::{Cancel, Code, Document, Error, Result};
use serde_json::{Value, json};

use crate::convert::{self, Out, arg, args, boolean, count, floats32, marked, report, text, texts, whole};
use crate::documents::{self, NativeDocuments, synced, written};
use crate::door::{Callback, Held, Lane, NativeCancel, Promised, flag, promise};
use crate::embed::{NativeCrossEncoder, NativeEmbedder, Opening};
use crate::errors::{OrThrow, Thrown, invalid};
use crate::hits::{NativeHits, hits, units};
use crate::retrieve::{self, Counter, Second, context_options, filter, only_search};
use crate::value::Given;

/// Documents that are kept and found.
#[napi(js_name = "KnowledgeBase")]
pub struct NativeKnowledgeBase {
    kb: Held<KnowledgeBase>,
    /// Whether a query may take longer than a few milliseconds to embed: over the network.
    slow: bool,
}

/// Opens the knowledge base in a folder, or in memory for `null`.
#[napi(ts_return_type = "Promise<KnowledgeBase>")]
pub fn open(
    env: Env,
    place: Unknown<'_>,
    embedder: Option<&NativeEmbedder>,
    options: Unknown<'_>,
    progress: Option<Unknown<'_>>,
) -> Result<Promised, Thrown> {
    // `undefined` is more likely a setting that is not set than a wish.
    let place = arg(&env, &place, "the place", |given, what| match given {
        Given::Null => Ok(None),
        given => text(given, what).map(Some),
    })?;
    let mut options = open_options(&env, &options).or_throw()?;
    let slow = embedder.is_some_and(|embedder| embedder.slow);
    let embedder: Option<Opening<Arc<dyn Embed>>> = embedder.map(|embedder| embedder.model.clone());
    let told = progress.map(|f| Callback::new(&env, &f)).transpose()?;
    promise(&env, Lane::Slow, move || {
        options.embedder = embedder.map(|embedder| embedder.get()).transpose()?;
        let failed = Arc::new(AtomicBool::new(false));
        let cancel = Cancel::new();
        options.progress = told.map(|callback| progress_of(callback, cancel.clone(), &failed));
        let opened = cancel.cover(|| match place {
            Some(place) => KnowledgeBase::open(place, options),
            None => KnowledgeBase::in_memory(options),
        });
        if failed.load(Ordering::Acquire) {
            return Err(Error::new(Code::Callback, "the progress callback failed"));
        }
        let kb = opened?;
        Ok(Out::object(NativeKnowledgeBase { kb: Held::new(kb), slow }))
    })
}

/// Tells the host how many of how many are done; when that fails, `cancel` stops the work.
pub fn progress_of(callback: Callback, cancel: Cancel, failed: &Arc<AtomicBool>) -> Arc<Progress> {
    let failed = Arc::clone(failed);
    Arc::new(move |done, total| {
        let arguments = vec![Out::count(done), Out::count(total)];
        if callback.call(arguments, &cancel).is_err() && !cancel.is_cancelled() {
            failed.store(true, Ordering::Release);
            cancel.cancel();
        }
    })
}

fn open_options(env: &Env, options: &Unknown<'_>) -> Result<OpenOptions> {
    let mut args = args(env, options, "options of open")?;
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

fn file_options(env: &Env, options: &Unknown<'_>, sync: bool) -> Result<SyncOptions> {
    let mut args = args(env, options, "options of files")?;
    let defaults = SyncOptions::default();
    let load = LoadOptions {
        max_bytes: args.or("maxBytes", defaults.files.load.max_bytes, whole)?,
        timeout: args.or("timeout", defaults.files.load.timeout, convert::seconds)?,
        csv: args.or("csv", CsvOptions::default(), csv)?,
        encoding: args.maybe("encoding", text)?,
        main_text: args.or("mainText", false, boolean)?,
        ..defaults.files.load
    };
    let files = FileOptions {
        load,
        write: WriteOptions {
            on_error: args.choice("onError", &[("stop", OnError::Stop), ("skip", OnError::Skip)])?,
            ..WriteOptions::default()
        },
        root: args.maybe("root", text)?.map(PathBuf::from),
        metadata: args.or("metadata", defaults.files.metadata, documents::metadata)?,
        follow_links: args.or("followLinks", false, boolean)?,
        batch: args.or("batch", defaults.files.batch, count)?,
    };
    let delete_missing = if sync { args.or("deleteMissing", true, boolean)? } else { false };
    let out = SyncOptions { files, delete_missing };
    args.done()?;
    Ok(out)
}

/// Asks the host for the text of the image of a page. When it fails, the whole call does.
fn reading(callback: Callback, cancel: &Cancel, failed: &Arc<AtomicBool>) -> Ocr {
    let (cancel, failed) = (cancel.clone(), Arc::clone(failed));
    Ocr::new(move |png: &[u8]| {
        let answer = callback.call(vec![Out::Bytes(png.to_vec())], &cancel);
        answer.and_then(|given| text(given, "what ocr gave")).inspect_err(|_| {
            if !cancel.is_cancelled() {
                failed.store(true, Ordering::Release);
                cancel.cancel();
            }
        })
    })
}

/// How tables in text form are read.
fn csv(given: Given, what: &str) -> Result<CsvOptions> {
    match given {
        Given::Object(_) => serde_json::from_value(convert::json(given, what)?)
            .map_err(|e| Error::with_source(Code::InvalidArgument, format!("{what}: {e}"), e)),
        other => Err(invalid(format!("{what} is {}; an object is expected", other.kind()))),
    }
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
        given @ Given::Object(_) => quorate_bindings::snake(convert::json(given, what)?),
        other => {
            return Err(invalid(format!("{what} is {}; a string or an object is expected", other.kind())));
        }
    };
    serde_json::from_value(value)
        .map_err(|e| Error::with_source(Code::InvalidArgument, format!("{what}: {e}"), e))
}

/// A document without its chunks.
fn plain(document: Document) -> Value {
    let Document { id, text, title, source, metadata, .. } = document;
    let metadata = marked(Value::Object(metadata));
    json!({ "id": id, "text": text, "title": title, "source": source, "metadata": metadata })
}

/// Errors: `callback` when the function that counts tokens has failed.
fn counted(failed: &AtomicBool) -> Result<()> {
    match failed.load(Ordering::Acquire) {
        true => Err(Error::new(Code::Callback, "the tokenizer callback failed")),
        false => Ok(()),
    }
}

impl NativeKnowledgeBase {
    /// A handle of the same knowledge base.
    pub fn handle(&self) -> KnowledgeBase {
        self.kb.clone()
    }

    fn run(
        &self,
        env: &Env,
        lane: Lane,
        work: impl FnOnce(&KnowledgeBase) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let kb = self.kb.clone();
        promise(env, lane, move || work(&kb))
    }

    /// Runs a look at the documents, which `cancel` stops.
    fn look(
        &self,
        env: &Env,
        cancel: Option<&NativeCancel>,
        work: impl FnOnce(&KnowledgeBase) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let flag = flag(cancel);
        self.run(env, Lane::Quick, move |kb| flag.cover(|| work(kb)))
    }

    fn lane(&self, slow: bool) -> Lane {
        if self.slow || slow { Lane::Slow } else { Lane::Quick }
    }

    /// Runs long work that tells of its progress and stops when telling fails; `work` is given whom to tell.
    fn telling(
        &self,
        env: &Env,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
        work: impl FnOnce(&KnowledgeBase, Option<Arc<Progress>>, Cancel) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let cancel = flag(cancel);
        let callback = progress.map(|f| Callback::new(env, &f)).transpose()?;
        self.run(env, Lane::Slow, move |kb| {
            let failed = Arc::new(AtomicBool::new(false));
            let progress = callback.map(|callback| progress_of(callback, cancel.clone(), &failed));
            work(kb, progress, cancel).map_err(|error| match failed.load(Ordering::Acquire) {
                true => Error::new(Code::Callback, "the progress callback failed, so nothing was stored"),
                false => error,
            })
        })
    }

    /// Runs a write.
    fn writing(
        &self,
        env: &Env,
        on_error: OnError,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
        work: impl FnOnce(&KnowledgeBase, WriteOptions) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        self.telling(env, progress, cancel, move |kb, progress, cancel| {
            work(kb, WriteOptions { on_error, progress, cancel })
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
        vectors: Unknown<'_>,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (mut parts, on_error) = documents.take();
        let vectors = arg(&env, &vectors, "vectors", |given, what| match given.is_missing() {
            true => Ok(None),
            false => convert::rows32(given, what).map(Some),
        })?;
        if let Some(vectors) = vectors {
            parts.embedded(vectors).or_throw()?;
        }
        self.writing(&env, on_error, progress, cancel, move |kb, options| {
            let report = match replace {
                true => kb.upsert_with(parts.documents, &options),
                false => kb.add_with(parts.documents, &options),
            };
            Ok(written(report?, (parts.places, parts.skipped)))
        })
    }

    /// Adds, upserts or syncs the documents of files; `ocr(reply, png)` reads pages that are images; otherwise as `write`.
    #[allow(clippy::too_many_arguments)] // two of them are what napi-rs gives
    #[napi(ts_return_type = "Promise<string>")]
    pub fn write_files(
        &self,
        env: Env,
        patterns: Unknown<'_>,
        task: String,
        options: Unknown<'_>,
        progress: Option<Unknown<'_>>,
        ocr: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let patterns = arg(&env, &patterns, "patterns", texts)?;
        let SyncOptions { mut files, delete_missing } =
            file_options(&env, &options, task == "sync").or_throw()?;
        let ocr = ocr.map(|f| Callback::new(&env, &f)).transpose()?;
        self.writing(&env, files.write.on_error, progress, cancel, move |kb, write| {
            let failed = Arc::new(AtomicBool::new(false));
            files.load.ocr = ocr.map(|callback| reading(callback, &write.cancel, &failed));
            let files = FileOptions { write, ..files };
            let out = match task.as_str() {
                "add" => kb.add_files(&patterns, &files).map(|report| written(report, Default::default())),
                "upsert" => {
                    kb.upsert_files(&patterns, &files).map(|report| written(report, Default::default()))
                }
                _ => kb.sync_files(&patterns, &SyncOptions { files, delete_missing }).map(synced),
            };
            out.map_err(|error| match failed.load(Ordering::Acquire) {
                true => Error::new(Code::Callback, "the ocr callback failed"),
                false => error,
            })
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

    /// Deletes documents by `ids`, by `where`, or `all`, and says how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn delete(&self, env: Env, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let read = args(&env, &options, "delete").and_then(|mut args| {
            let (ids, by) = (args.maybe("ids", texts)?, args.maybe("where", filter)?);
            let all = args.or("all", false, boolean)?;
            args.done()?;
            match (&ids, &by) {
                (Some(_), None) if !all => Ok((ids, by, all)),
                (None, Some(_)) => Ok((ids, by, all)),
                (None, None) if all => Ok((ids, by, all)),
                _ => Err(invalid("delete takes either ids or where")),
            }
        });
        let (ids, by, all) = read.or_throw()?;
        self.run(&env, Lane::Slow, move |kb| {
            let deleted = match (ids, by) {
                (Some(ids), _) => kb.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()),
                (None, Some(filter)) if !(all && filter.is_empty()) => kb.delete_where(&filter),
                (None, _) => kb.delete_all(),
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
        let mut search = only_search(&env, &options, true, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        self.run(&env, self.lane(second.is_slow()), move |kb| {
            search.options.cancel.check()?;
            match search.vector.take() {
                Some(vector) => kb.search_with_vector(&query, &vector, &second.into(search)?),
                None => kb.search(&query, &second.into(search)?),
            }
            .map(hits)
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
        let search = only_search(&env, &options, false, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        self.run(&env, Lane::Slow, move |kb| {
            search.options.cancel.check()?;
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            let found = kb.search_batch(&queries, &second.into(search)?)?;
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
        let search = only_search(&env, &options, false, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        self.run(&env, self.lane(second.is_slow()), move |kb| {
            search.options.cancel.check()?;
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            kb.search_many(&queries, &second.into(search)?).map(hits)
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
        let options = only_search(&env, &options, false, cancel)?.options;
        self.run(&env, Lane::Quick, move |kb| {
            options.cancel.check()?;
            kb.search_vector(&vector, &options).map(hits)
        })
    }

    /// Cited text for a question, within a budget of tokens, as JSON. `counter` or `tokens(reply, text)` counts tokens.
    #[allow(clippy::too_many_arguments)] // two of them are what napi-rs gives
    #[napi(ts_return_type = "Promise<string>")]
    pub fn context(
        &self,
        env: Env,
        question: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
        encoder: Option<&NativeCrossEncoder>,
        scorer: Option<Unknown<'_>>,
        counter: Option<&NativeEmbedder>,
        tokens: Option<Unknown<'_>>,
    ) -> Result<Promised, Thrown> {
        let question = arg(&env, &question, "question", text)?;
        let (mut options, search) = context_options(&env, &options, true, cancel)?;
        let second = Second::new(&env, encoder, scorer.as_ref())?;
        let counter = Counter::new(&env, counter, tokens.as_ref())?;
        self.run(&env, self.lane(second.is_slow() || counter.is_slow()), move |kb| {
            options.search.cancel.check()?;
            if let Some(search) = search {
                options.search = second.into(search)?;
            }
            let failed = counter.into(&mut options)?;
            let found = kb.context_with_hits(&question, &options);
            counted(&failed)?;
            let (context, found) = found?;
            Ok(retrieve::context(&context, &found))
        })
    }

    /// The same of hits that were found already, the best first.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn context_of(
        &self,
        env: Env,
        hits: &NativeHits,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
        counter: Option<&NativeEmbedder>,
        tokens: Option<Unknown<'_>>,
    ) -> Result<Promised, Thrown> {
        let found = hits.found();
        let (mut options, _) = context_options(&env, &options, false, cancel)?;
        let counter = Counter::new(&env, counter, tokens.as_ref())?;
        self.run(&env, self.lane(counter.is_slow()), move |kb| {
            let failed = counter.into(&mut options)?;
            let context = kb.context_of(&found, &options);
            counted(&failed)?;
            Ok(retrieve::context(&context?, &found))
        })
    }

    /// The document with this id, as JSON; with `chunks` also the vector of each.
    #[napi(ts_return_type = "Promise<string | [json: string, vectors: Array<Float32Array>]>")]
    pub fn get(&self, env: Env, id: Unknown<'_>, chunks: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        let chunks = arg(&env, &chunks, "chunks", |given, what| match given.is_missing() {
            true => Ok(false),
            false => boolean(given, what),
        })?;
        self.run(&env, Lane::Quick, move |kb| {
            let mut document = kb.get(&id)?;
            let cut = document.chunks.take().unwrap_or_default();
            if !chunks {
                return Ok(Out::Text(plain(document).to_string()));
            }
            let place = |byte| units(document.text.as_bytes().get(..byte).unwrap_or_default());
            let rows: Vec<Value> = cut
                .iter()
                .map(|chunk| {
                    let (start, end) = (place(chunk.range.start), place(chunk.range.end));
                    json!({ "start": start, "end": end, "headings": chunk.headings })
                })
                .collect();
            let mut out = plain(document);
            out["chunks"] = rows.into();
            let vectors = cut.into_iter().map(|chunk| Out::F32(chunk.vector.unwrap_or_default())).collect();
            Ok(Out::List(vec![Out::Text(out.to_string()), Out::List(vectors)]))
        })
    }

    /// The ids of the documents that match, oldest first.
    #[napi(ts_return_type = "Promise<Array<string>>")]
    pub fn ids(&self, env: Env, by: Unknown<'_>, cancel: Option<&NativeCancel>) -> Result<Promised, Thrown> {
        let by = optional_filter(&env, &by)?;
        self.look(&env, cancel, move |kb| {
            Ok(Out::List(kb.ids_of(by.as_ref())?.into_iter().map(Out::Text).collect()))
        })
    }

    /// How many documents match.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn count(
        &self,
        env: Env,
        by: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let by = optional_filter(&env, &by)?;
        self.look(&env, cancel, move |kb| kb.count(by.as_ref()).map(Out::count))
    }

    /// The values of a field with the number of documents that have each, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn facets(
        &self,
        env: Env,
        field: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let field = arg(&env, &field, "field", text)?;
        let read = args(&env, &options, "options of facets").and_then(|mut args| {
            let out = (args.maybe("where", filter)?, args.or("limit", 20, count)?);
            args.done()?;
            Ok(out)
        });
        let (by, limit) = read.or_throw()?;
        self.look(&env, cancel, move |kb| {
            let found = kb.facets(&field, by.as_ref(), limit)?;
            let pairs: Vec<Value> =
                found.iter().map(|(value, count)| json!([marked(value.to_json()), count])).collect();
            Ok(Out::Text(Value::Array(pairs).to_string()))
        })
    }

    /// The least and the greatest value of a field, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn min_max(
        &self,
        env: Env,
        field: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let field = arg(&env, &field, "field", text)?;
        let read = args(&env, &options, "options of minMax").and_then(|mut args| {
            let out = args.maybe("where", filter)?;
            args.done()?;
            Ok(out)
        });
        let by = read.or_throw()?;
        self.look(&env, cancel, move |kb| {
            let found = kb.min_max(&field, by.as_ref())?;
            let pair = found.map(|(low, high)| json!([marked(low.to_json()), marked(high.to_json())]));
            Ok(Out::Text(pair.unwrap_or(Value::Null).to_string()))
        })
    }

    /// A page of documents and where the next one begins, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn documents(
        &self,
        env: Env,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let read = args(&env, &options, "options of documents").and_then(|mut args| {
            let defaults = ListOptions::default();
            let out = ListOptions {
                filter: args.maybe("where", filter)?,
                sort: args.maybe("sort", text)?.as_deref().map(Sort::parse).transpose()?,
                limit: args.or("limit", defaults.limit, count)?,
                after: args.maybe("after", text)?,
                cancel: flag(cancel),
            };
            args.done()?;
            Ok(out)
        });
        let options = read.or_throw()?;
        self.run(&env, Lane::Quick, move |kb| {
            let page = kb.documents(&options)?;
            let documents: Vec<Value> = page.documents.into_iter().map(plain).collect();
            Ok(Out::Text(json!({ "documents": documents, "next": page.next }).to_string()))
        })
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
            Ok(Out::object(NativeKnowledgeBase { kb: Held::new(kb.at(version)?), slow }))
        })
    }

    /// A handle that sees one tenant.
    #[napi(ts_return_type = "Promise<KnowledgeBase>")]
    pub fn tenant(&self, env: Env, name: Unknown<'_>) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "tenant", text)?;
        let slow = self.slow;
        self.run(&env, Lane::Slow, move |kb| {
            Ok(Out::object(NativeKnowledgeBase { kb: Held::new(kb.tenant(&name)?), slow }))
        })
    }

    /// The names of the tenants that have written something.
    #[napi(ts_return_type = "Promise<Array<string>>")]
    pub fn tenants(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |kb| Ok(Out::List(kb.tenants()?.into_iter().map(Out::Text).collect())))
    }

    /// Removes a tenant with all that it has.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn drop_tenant(&self, env: Env, name: Unknown<'_>) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "tenant", text)?;
        self.run(&env, Lane::Slow, move |kb| kb.drop_tenant(&name).map(|()| Out::Nothing))
    }

    /// Copies the knowledge base; `progress(reply, done, total)` is called on the way. The report is JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn backup(
        &self,
        env: Env,
        to: Unknown<'_>,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let to = arg(&env, &to, "to", text)?;
        self.telling(&env, progress, cancel, move |kb, progress, cancel| {
            report(&kb.backup(&to, &CopyOptions { progress, cancel })?)
        })
    }

    /// Makes a knowledge base with another embedder; otherwise as `backup`.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn reembed(
        &self,
        env: Env,
        to: Unknown<'_>,
        embedder: Option<&NativeEmbedder>,
        options: Unknown<'_>,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let to = arg(&env, &to, "to", text)?;
        let read = args(&env, &options, "options of reembed").and_then(|mut args| {
            let model = args.maybe("model", text)?.map(ModelSource::new);
            let keep_chunks = args.or("keepChunks", false, boolean)?;
            args.done()?;
            Ok((model, keep_chunks))
        });
        let (model, keep_chunks) = read.or_throw()?;
        let embedder: Option<Opening<Arc<dyn Embed>>> = embedder.map(|embedder| embedder.model.clone());
        self.telling(&env, progress, cancel, move |kb, progress, cancel| {
            let embedder = embedder.map(|embedder| embedder.get()).transpose()?;
            let open = OpenOptions { embedder, model, ..OpenOptions::default() };
            let options = ReembedOptions { keep_chunks, copy: CopyOptions { progress, cancel } };
            report(&kb.reembed(&to, open, &options)?)
        })
    }

    /// Compares what is stored with its checksums. The report is JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn verify(
        &self,
        env: Env,
        progress: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        self.telling(&env, progress, cancel, move |kb, progress, cancel| {
            report(&kb.verify(&CopyOptions { progress, cancel })?)
        })
    }

    /// The model that embeds.
    #[napi(ts_return_type = "Promise<Embedder>")]
    pub fn embedder(&self, env: Env) -> Result<Promised, Thrown> {
        let slow = self.slow;
        self.run(&env, Lane::Slow, move |kb| {
            let model = Opening::opened(Arc::clone(kb.embedder()?));
            Ok(Out::object(NativeEmbedder { model, slow }))
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
