//! How is a knowledge base used from Node?

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::Float32Array;
use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::core::embed::Embed;
use quorate::rag::{
    Filter, Fusion, GroupBy, Hit, KnowledgeBase, Language, Mode, ModelSource, OnError, OpenOptions,
    SearchOptions, Skipped, WriteOptions, WriteReport,
};
use quorate::{Chunk, Code, Document, Error, Result};
use serde_json::{Value, json};

use crate::convert::{
    self, Args, Out, arg, boolean, count, floats32, list, number32, report, text, texts, whole,
};
use crate::door::{Callback, Lane, NativeCancel, Promised, flag, promise, quick};
use crate::embed::{NativeEmbedder, Opening};
use crate::errors::{OrThrow, Thrown, engine, invalid};
use crate::value::{Given, read_items};

/// Documents that are kept and found.
#[napi(js_name = "KnowledgeBase")]
pub struct NativeKnowledgeBase {
    kb: KnowledgeBase,
    /// Whether a query may take longer than a few milliseconds to embed: over the network.
    slow: bool,
}

/// Documents on their way into a knowledge base, copied part by part.
#[napi(js_name = "Documents")]
pub struct NativeDocuments {
    skip: bool,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    documents: Vec<Document>,
    /// The place of each document in what was given.
    places: Vec<usize>,
    skipped: Vec<Skipped>,
    given: usize,
}

/// The pieces that a search has found, by place from 0.
#[napi(js_name = "Hits")]
pub struct NativeHits {
    hits: Vec<Hit>,
    /// Where each stands in its document's text, in UTF-16 units, as JavaScript counts.
    spans: Vec<(usize, usize)>,
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
        keep_versions: args.or("keepVersions", defaults.keep_versions, count)?,
        ..defaults
    };
    args.done()?;
    Ok(out)
}

fn refuse(message: String) -> Error {
    Error::new(Code::InvalidDocument, message)
}

fn document(given: Given, what: &str) -> Result<Document> {
    let Given::Object(members) = given else {
        return Err(refuse(format!("{what} is {}; an object is expected", given.kind())));
    };
    let mut out = Document::default();
    let mut chunks = None;
    for (name, value) in members {
        let place = format!("{what}.{name}");
        if value.is_missing() {
            continue;
        }
        let slot = match name.as_str() {
            "metadata" => {
                out.metadata = metadata(value, &place)?;
                continue;
            }
            "chunks" => {
                chunks = Some(value);
                continue;
            }
            "id" => &mut out.id,
            "text" => &mut out.text,
            "title" => &mut out.title,
            "source" => &mut out.source,
            _ => {
                return Err(refuse(format!(
                    "{what} has the unknown field '{name}'; further fields go into 'metadata'"
                )));
            }
        };
        *slot = match value {
            Given::Text(text) => text,
            other => return Err(refuse(format!("{place} is {}; a string is expected", other.kind()))),
        };
    }
    if let Some(chunks) = chunks {
        let cut = |(i, chunk)| self::chunk(chunk, &out.text, &format!("{what}.chunks[{i}]"));
        out.chunks = Some(list(chunks, what)?.into_iter().enumerate().map(cut).collect::<Result<_>>()?);
    }
    Ok(out)
}

/// A chunk that the caller has cut: `{start, end, headings, vector}` with UTF-16 offsets.
fn chunk(given: Given, text: &str, what: &str) -> Result<Chunk> {
    let Given::Object(members) = given else {
        return Err(refuse(format!("{what} is {}; an object is expected", given.kind())));
    };
    let mut out = Chunk { range: 0..text.len(), ..Chunk::default() };
    for (name, value) in members {
        let place = format!("{what}.{name}");
        if value.is_missing() {
            continue;
        }
        match name.as_str() {
            "start" => out.range.start = byte_at(text, count(value, &place)?, &place)?,
            "end" => out.range.end = byte_at(text, count(value, &place)?, &place)?,
            "headings" => out.headings = texts(value, &place)?,
            "vector" => out.vector = Some(floats32(value, &place)?),
            _ => return Err(refuse(format!("{what} has the unknown field '{name}'"))),
        }
    }
    Ok(out)
}

fn metadata(given: Given, what: &str) -> Result<quorate::rag::Metadata> {
    match given {
        Given::Object(members) => convert::object(members, what),
        other => Err(refuse(format!("{what} is {}; an object is expected", other.kind()))),
    }
}

/// A filter from its text or its object.
fn filter(given: Given, what: &str) -> Result<Filter> {
    match given {
        Given::Text(text) => Filter::parse(&text),
        given @ Given::Object(_) => Filter::from_json(&convert::json(given, what)?),
        other => Err(invalid(format!("{what} is {}; a string or an object is expected", other.kind()))),
    }
}

#[napi]
impl NativeDocuments {
    /// None yet. `skip`: those that are no documents are reported rather than refused.
    #[napi(constructor)]
    pub fn new(skip: bool) -> Self {
        NativeDocuments { skip, parts: Mutex::default() }
    }

    /// Copies some more.
    #[napi]
    pub fn push(&self, env: Env, documents: Unknown<'_>) -> Result<(), Thrown> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let value = napi::JsValue::raw(&documents);
        let items = read_items(env.raw(), value, "documents", parts.given).or_throw()?;
        for given in items {
            let place = parts.given;
            parts.given += 1;
            let what = format!("documents[{place}]");
            let id = match &given {
                Ok(Given::Object(members)) => members.iter().find_map(|(name, value)| match value {
                    Given::Text(id) if name == "id" => Some(id.clone()),
                    _ => None,
                }),
                _ => None,
            };
            match given.and_then(|given| document(given, &what)) {
                Ok(document) => {
                    parts.documents.push(document);
                    parts.places.push(place);
                }
                Err(error) if self.skip => {
                    parts.skipped.push(Skipped { index: place, id: id.unwrap_or_default(), error });
                }
                Err(error) => return Err(crate::errors::throw(error)),
            }
        }
        Ok(())
    }
}

fn written(report: WriteReport, before: Vec<Skipped>, places: &[usize]) -> Out {
    let place = |skipped: Skipped| Skipped {
        index: places.get(skipped.index).copied().unwrap_or(skipped.index),
        ..skipped
    };
    let mut skipped: Vec<Skipped> = report.skipped.into_iter().map(place).chain(before).collect();
    skipped.sort_by_key(|one| one.index);
    let skipped: Vec<Value> = skipped
        .iter()
        .map(|one| {
            let (code, message) = (one.error.code().as_str(), one.error.message());
            json!({ "index": one.index, "id": one.id, "code": code, "message": message })
        })
        .collect();
    let out = json!({
        "added": report.added, "replaced": report.replaced, "chunks": report.chunks, "skipped": skipped,
        "version": report.version,
    });
    Out::Text(out.to_string())
}

fn search_options(args: &mut Args) -> Result<SearchOptions> {
    let alpha = args.or("alpha", 0.5, number32)?;
    let k = args.or("rrfK", 60.0, number32)?;
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
        ..defaults
    })
}

fn hits(hits: quorate::rag::Hits) -> Out {
    let hits = hits.into_vec();
    let spans = hits.iter().map(span).collect();
    Out::object(NativeHits { hits, spans })
}

/// The number of UTF-16 units of a text.
fn units(text: &[u8]) -> usize {
    // Each character counts by its first byte; those of four bytes are surrogate pairs.
    text.iter().map(|byte| usize::from(byte & 0xC0 != 0x80) + usize::from(*byte >= 0xF0)).sum()
}

fn span(hit: &Hit) -> (usize, usize) {
    let text = hit.document_text().as_bytes();
    let start = units(text.get(..hit.start()).unwrap_or_default());
    (start, start + units(hit.text().as_bytes()))
}

/// The byte where a UTF-16 unit stands.
fn byte_at(text: &str, unit: usize, what: &str) -> Result<usize> {
    let mut seen = 0;
    for (byte, c) in text.char_indices() {
        if seen >= unit {
            return match seen == unit {
                true => Ok(byte),
                false => Err(refuse(format!("{what} is {unit}, in the middle of a character"))),
            };
        }
        seen += c.len_utf16();
    }
    match seen == unit {
        true => Ok(text.len()),
        false => Err(refuse(format!("{what} is {unit}, but the text has {seen} UTF-16 units"))),
    }
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

    fn lane(&self) -> Lane {
        if self.slow { Lane::Slow } else { Lane::Quick }
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
        let parts = std::mem::take(&mut *documents.parts.lock().unwrap_or_else(PoisonError::into_inner));
        let on_error = if documents.skip { OnError::Skip } else { OnError::Stop };
        let cancel = flag(cancel);
        let callback = progress.map(|f| Callback::new(&env, &f)).transpose()?;
        self.run(&env, Lane::Slow, move |kb| {
            let failed = Arc::new(AtomicBool::new(false));
            let mut options = WriteOptions { on_error, cancel: cancel.clone(), ..WriteOptions::default() };
            if let Some(callback) = callback {
                let (failed, cancel) = (Arc::clone(&failed), cancel.clone());
                options.progress = Some(Arc::new(move |done, total| {
                    let arguments = vec![Out::count(done), Out::count(total)];
                    if callback.call(arguments, &cancel).is_err() && !cancel.is_cancelled() {
                        failed.store(true, Ordering::Release);
                        cancel.cancel();
                    }
                }));
            }
            let result = match replace {
                true => kb.upsert_with(parts.documents, &options),
                false => kb.add_with(parts.documents, &options),
            };
            match result {
                Ok(report) => Ok(written(report, parts.skipped, &parts.places)),
                Err(_) if failed.load(Ordering::Acquire) => {
                    Err(Error::new(Code::Callback, "the progress callback failed, so nothing was stored"))
                }
                Err(error) => Err(error),
            }
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
        let metadata = arg(&env, &metadata, "metadata", self::metadata)?;
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

    /// The best pieces for a query.
    #[napi(ts_return_type = "Promise<Hits>")]
    pub fn search(
        &self,
        env: Env,
        query: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let query = arg(&env, &query, "query", text)?;
        let mut options = only_search(&env, &options).or_throw()?;
        options.cancel = flag(cancel);
        self.run(&env, self.lane(), move |kb| {
            options.cancel.check()?;
            kb.search(&query, &options).map(hits)
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
    ) -> Result<Promised, Thrown> {
        let queries = arg(&env, &queries, "queries", texts)?;
        let mut options = only_search(&env, &options).or_throw()?;
        options.cancel = flag(cancel);
        self.run(&env, Lane::Slow, move |kb| {
            options.cancel.check()?;
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            Ok(Out::List(kb.search_batch(&queries, &options)?.into_iter().map(hits).collect()))
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
        let mut options = only_search(&env, &options).or_throw()?;
        options.cancel = flag(cancel);
        self.run(&env, Lane::Quick, move |kb| {
            options.cancel.check()?;
            kb.search_vector(&vector, &options).map(hits)
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

    /// The ids of all documents, oldest first.
    #[napi(ts_return_type = "Promise<Array<string>>")]
    pub fn ids(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Quick, |kb| Ok(Out::List(kb.ids()?.into_iter().map(Out::Text).collect())))
    }

    /// How many documents match.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn count(&self, env: Env, by: Unknown<'_>) -> Result<Promised, Thrown> {
        let by = arg(&env, &by, "where", |given, what| match given.is_missing() {
            true => Ok(None),
            false => filter(given, what).map(Some),
        })?;
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

fn only_search(env: &Env, options: &Unknown<'_>) -> Result<SearchOptions> {
    let mut args = Args::read(env, options, "options of search")?;
    let options = search_options(&mut args)?;
    args.done()?;
    Ok(options)
}

impl NativeHits {
    fn hit(&self, i: u32) -> Result<&Hit, Thrown> {
        self.hits.get(i as usize).ok_or_else(|| engine(format!("there is no hit {i}"))).or_throw()
    }
}

#[napi]
impl NativeHits {
    /// How many there are.
    #[napi(getter)]
    pub fn length(&self) -> u32 {
        self.hits.len() as u32
    }

    /// How good it is; larger is better.
    #[napi]
    pub fn score(&self, i: u32) -> Result<f64, Thrown> {
        Ok(self.hit(i)?.score().into())
    }

    /// The text of the piece.
    #[napi]
    pub fn text(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.text())
    }

    /// The id of its document.
    #[napi]
    pub fn doc_id(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.doc_id())
    }

    /// The id of the piece.
    #[napi]
    pub fn chunk_id(&self, i: u32) -> Result<String, Thrown> {
        Ok(self.hit(i)?.chunk_id())
    }

    /// The title of its document.
    #[napi]
    pub fn title(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.title())
    }

    /// The source of its document.
    #[napi]
    pub fn source(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.source())
    }

    /// The metadata of its document, as JSON.
    #[napi]
    pub fn metadata(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.metadata_json())
    }

    /// The headings above it, outermost first.
    #[napi]
    pub fn headings(&self, i: u32) -> Result<Vec<String>, Thrown> {
        Ok(self.hit(i)?.headings())
    }

    /// Where it starts in the document's text, in UTF-16 units.
    #[napi]
    pub fn start(&self, i: u32) -> Result<f64, Thrown> {
        self.hit(i)?;
        Ok(self.spans[i as usize].0 as f64)
    }

    /// Where it ends in the document's text, in UTF-16 units.
    #[napi]
    pub fn end(&self, i: u32) -> Result<f64, Thrown> {
        self.hit(i)?;
        Ok(self.spans[i as usize].1 as f64)
    }

    /// The vector of the piece.
    #[napi]
    pub fn vector(&self, i: u32) -> Result<Float32Array, Thrown> {
        Ok(Float32Array::new(self.hit(i)?.vector().to_vec()))
    }

    /// How the score came about: as JSON, and for people.
    #[napi(ts_return_type = "[json: string, text: string]")]
    pub fn explain(&self, i: u32) -> Result<Vec<String>, Thrown> {
        let hit = self.hit(i)?;
        quick(|| {
            let explanation = hit.explain()?;
            let value = serde_json::to_value(&explanation)
                .map_err(|e| engine(format!("an explanation could not be converted: {e}")))?;
            Ok(vec![convert::camel(value).to_string(), explanation.to_string()])
        })
    }
}
