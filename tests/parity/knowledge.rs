//! How do knowledge bases, embedders and evaluation answer the fixture?

use std::path::Path;
use std::sync::Arc;

use quorate::rag::eval::{Qrels, Run};
use quorate::rag::{
    ContextOptions, Durability, Filter, Fusion, Hits, KnowledgeBase, Metadata, ModelSource, OnError,
    OpenOptions, Rerank, Reranker, SearchOptions, WriteOptions, WriteReport,
};
use quorate::{Cancel, Document, Embed, Embedder, EmbedderOptions, Result};
use serde_json::{Value, json};

use crate::args::Args;
use crate::{Done, Handle};

/// Calls of the package itself; none for a name that is not here.
pub fn top(call: &str, args: &Args<'_>, folder: &Path) -> Option<Result<Done>> {
    Some(match call {
        "open" => open(args, folder),
        "Embedder" => embedder(args).map(|e| Done::made(Handle::Embedder(e))),
        "evaluate" => {
            let metrics: Vec<String> = args.get("metrics");
            let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
            quorate::evaluate(&run(args, "run"), &qrels(args), &metrics).map(|found| {
                Done::answer(serde_json::Map::from_iter(
                    found.means.iter().map(|(name, mean)| (name.clone(), Value::from(*mean))),
                ))
            })
        }
        "compare" => {
            let (a, b) = (run(args, "run_a"), run(args, "run_b"));
            quorate::compare(&a, &b, &qrels(args), &args.get::<String>("metric"), args.or("seed", 0))
                .map(|found| Done::answer(plain(&found)))
        }
        _ => return None,
    })
}

fn run(args: &Args<'_>, name: &str) -> Run {
    args.get(name)
}

fn qrels(args: &Args<'_>) -> Qrels {
    args.get("qrels")
}

fn embedder(args: &Args<'_>) -> Result<Arc<dyn Embed>> {
    let options = EmbedderOptions { dimensions: args.maybe("dimensions"), ..EmbedderOptions::default() };
    Ok(Arc::new(Embedder::open(&args.get::<String>("source"), options)?))
}

fn open(args: &Args<'_>, folder: &Path) -> Result<Done> {
    let place = folder.join(args.get::<String>("place"));
    let mut options = OpenOptions {
        read_only: args.or("read_only", false),
        tenant: args.maybe("tenant"),
        chunking: args.maybe("chunking"),
        ..OpenOptions::default()
    };
    if args.maybe::<String>("durability").as_deref() == Some("process") {
        options.durability = Durability::Process;
    }
    match args.raw("embedder") {
        Value::Null => {}
        Value::String(source) => options.model = Some(ModelSource::new(source)),
        given => options.embedder = Some(embedder(&Args::new("embedder", &given["embedder"]))?),
    }
    let kb = KnowledgeBase::open(place.to_str().expect("a path of Unicode"), options)?;
    Ok(Done::made(Handle::Knowledge(kb)))
}

/// Calls of an embedder.
pub fn on_embedder(embedder: &dyn Embed, call: &str, args: &Args<'_>) -> Result<Done> {
    match call {
        "embed" => {
            let texts: Vec<String> = args.get("texts");
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let matrix = embedder.embed(&texts, &Cancel::new())?;
            Ok(Done::answer(matrix.iter().map(|row| Value::from(row.to_vec())).collect::<Vec<_>>()))
        }
        "embed_query" => Ok(Done::answer(embedder.embed_query(&args.get::<String>("text"))?)),
        other => panic!("an embedder has no {other}"),
    }
}

/// Calls of a knowledge base.
pub fn on_kb(kb: &KnowledgeBase, call: &str, args: &Args<'_>) -> Result<Done> {
    let answer = match call {
        "add" | "upsert" => {
            let documents = documents(args.raw("documents"));
            let on_error = args.or("on_error", OnError::Stop);
            let options = WriteOptions { on_error, ..WriteOptions::default() };
            let report = if call == "add" {
                kb.add_with(documents, &options)?
            } else {
                kb.upsert_with(documents, &options)?
            };
            written(&report)
        }
        "update_metadata" => {
            kb.update_metadata(&args.get::<String>("id"), args.get("metadata"))?;
            Value::Null
        }
        "delete" => match args.maybe::<Vec<String>>("ids") {
            Some(ids) => kb.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>())?.into(),
            None => kb.delete_where(&filter(args)?.expect("ids or where"))?.into(),
        },
        "search" => found(&kb.search(&args.get::<String>("query"), &search_options(args)?)?)?,
        "search_batch" => {
            let queries: Vec<String> = args.get("queries");
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            let all = kb.search_batch(&queries, &search_options(args)?)?;
            Value::Array(all.iter().map(found).collect::<Result<_>>()?)
        }
        "search_vector" => {
            let vector: Vec<f32> = match args.raw("vector") {
                Value::Array(_) => args.get("vector"),
                of => kb.embedder()?.embed_query(of["vector_of"].as_str().expect("a text"))?,
            };
            found(&kb.search_vector(&vector, &search_options(args)?)?)?
        }
        "search_many" => {
            let queries: Vec<String> = args.get("queries");
            let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
            found(&kb.search_many(&queries, &search_options(args)?)?)?
        }
        "context" => {
            let defaults = ContextOptions::default();
            let options = ContextOptions {
                max_tokens: args.or("max_tokens", defaults.max_tokens),
                order: args.or("order", defaults.order),
                neighbours: args.or("neighbours", defaults.neighbours),
                dedupe: args.or("dedupe", defaults.dedupe),
                search: SearchOptions { k: args.or("k", defaults.search.k), ..search_options(args)? },
                tokenizer: None,
            };
            plain(&kb.context(&args.get::<String>("question"), &options)?)
        }
        "get" => {
            let document = kb.get(&args.get::<String>("id"))?;
            json!({
                "id": document.id, "text": document.text, "title": document.title, "source": document.source,
                "metadata": document.metadata,
            })
        }
        "ids" => kb.ids()?.into(),
        "count" => kb.count(filter(args)?.as_ref())?.into(),
        "versions" => kb.versions()?.iter().map(|v| v.version).collect::<Vec<_>>().into(),
        "stats" => {
            let mut stats = plain(&kb.stats()?);
            // Bytes on disk differ between systems, and segments with the time that merging took.
            let fields = stats.as_object_mut().expect("an object");
            fields.retain(|name, _| !name.ends_with("_bytes") && name != "segments");
            stats
        }
        "at" => return Ok(Done::made(Handle::Knowledge(kb.at(args.get("version"))?))),
        "tenant" => return Ok(Done::made(Handle::Knowledge(kb.tenant(&args.get::<String>("name"))?))),
        "close" => {
            kb.close()?;
            Value::Null
        }
        other => panic!("a knowledge base has no {other}"),
    };
    Ok(Done::answer(answer))
}

fn documents(given: &Value) -> Vec<Document> {
    let one = |given: &Value| {
        let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
        Document {
            id: text("id"),
            text: text("text"),
            title: text("title"),
            source: text("source"),
            metadata: given["metadata"].as_object().cloned().unwrap_or_else(Metadata::new),
            chunks: None,
        }
    };
    given.as_array().expect("documents").iter().map(one).collect()
}

fn filter(args: &Args<'_>) -> Result<Option<Filter>> {
    match args.raw("where") {
        Value::Null => Ok(None),
        Value::String(text) => Filter::parse(text).map(Some),
        value => Filter::from_json(value).map(Some),
    }
}

fn search_options(args: &Args<'_>) -> Result<SearchOptions> {
    let defaults = SearchOptions::default();
    let alpha = args.or("alpha", 0.5);
    let rrf_k = args.or("rrf_k", Fusion::RRF_K);
    Ok(SearchOptions {
        k: args.or("k", defaults.k),
        offset: args.or("offset", 0),
        mode: args.or("mode", defaults.mode),
        filter: filter(args)?,
        strict: args.or("strict", false),
        fusion: match args.or("fusion", "convex".to_owned()).as_str() {
            "convex" => Fusion::Convex { alpha },
            "rrf" => Fusion::Rrf { k: rrf_k },
            "dbsf" => Fusion::Dbsf,
            other => panic!("there is no fusion {other}"),
        },
        rerank: args.maybe::<String>("rerank").map(|name| Rerank {
            with: match name.as_str() {
                "mmr" => Reranker::Mmr { lambda: args.or("mmr_lambda", 0.5) },
                "late" => Reranker::Late,
                other => panic!("there is no reranker {other}"),
            },
            depth: args.or("rerank_depth", Rerank::DEPTH),
            blend: args.or("blend", 1.0),
        }),
        group_by: args.maybe("group_by"),
        min_score: args.maybe("min_score"),
        ..defaults
    })
}

fn written(report: &WriteReport) -> Value {
    let skipped: Vec<Value> = report
        .skipped
        .iter()
        .map(|one| json!({"index": one.index, "id": one.id, "code": one.error.code().as_str()}))
        .collect();
    json!({
        "added": report.added, "replaced": report.replaced, "chunks": report.chunks, "version": report.version,
        "skipped": skipped,
    })
}

fn found(hits: &Hits) -> Result<Value> {
    let one = |hit: &quorate::rag::Hit| {
        Ok(json!({
            "score": hit.score(), "doc_id": hit.doc_id(), "chunk_id": hit.chunk_id(), "title": hit.title(),
            "text": hit.text(), "source": hit.source(), "start": hit.start(), "end": hit.end(),
            "headings": hit.headings(), "metadata": hit.metadata(), "explain": plain(&hit.explain()?),
        }))
    };
    Ok(Value::Array(hits.iter().map(one).collect::<Result<_>>()?))
}

/// A report under its own field names.
pub fn plain(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("a report is JSON")
}
