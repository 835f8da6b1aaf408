//! How good and how fast is the whole engine? Prints one JSON object a line.
//!
//! `engine_bench quality BEIR_FOLDER SPLIT MODEL [plain] [late] [runs=FOLDER]`: nDCG@10 of each leg and fusion; `plain`
//! embeds chunks without title and headings, `late` also reranks by late interaction (slow with a transformer), and
//! the runs of both legs, 1000 deep, are kept in a folder.
//! `engine_bench speed GLOSSES.tsv MODEL ROWS QUERIES CACHE.f32`: times of ingest, search, filters, single additions and
//! opening, on glosses of Open English WordNet in the order of a hash of their ids. Vectors are embedded once and kept
//! in the cache file.
//! `engine_bench vectors GLOSSES.tsv MODEL COUNT CACHE.f32`: only makes that file.

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use quorate_core::embed::{Embed, Embedder};
use quorate_core::{Error, Result};
use quorate_rag::chunk::ChunkOptions;
use quorate_rag::eval::{Run, evaluate, load_beir, write_trec_run};
use quorate_rag::{
    Bm25, Document, Filter, Fusion, GroupBy, Hits, KnowledgeBase, Mode, ModelSource, OpenOptions, Rerank,
    Reranker, SearchOptions,
};
use serde_json::json;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["quality", folder, split, model, ref more @ ..] => quality(folder, split, model, more),
        ["speed", glosses, model, rows, queries, cache] => {
            let number = |text: &str| text.parse().map_err(|e| Error::invalid(format!("{text}: {e}")));
            speed(glosses, model, number(rows)?, number(queries)?, Path::new(cache))
        }
        ["vectors", glosses, model, count, cache] => {
            let count = count.parse().map_err(|e| Error::invalid(format!("{count}: {e}")))?;
            let text = read(glosses)?;
            let model = ModelSource::new(model);
            let model = Embedder::open(&model.source, model.options)?;
            embedded(&model, &glosses_of(&text, count), Path::new(cache)).map(|_| ())
        }
        _ => {
            let usage = "quality BEIR_FOLDER SPLIT MODEL [plain] [late] [runs=FOLDER] | speed GLOSSES MODEL ROWS QUERIES CACHE \
                         | vectors GLOSSES MODEL COUNT CACHE";
            Err(Error::invalid(usage))
        }
    }
}

fn open(place: &Path, model: &str) -> Result<KnowledgeBase> {
    let options = OpenOptions { model: Some(ModelSource::new(model)), ..OpenOptions::default() };
    KnowledgeBase::open(place.to_string_lossy(), options)
}

fn quality(folder: &str, split: &str, model: &str, more: &[&str]) -> Result<()> {
    let data = load_beir(folder, split)?;
    let place = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    let chunking = ChunkOptions { contextual_headers: !more.contains(&"plain"), ..ChunkOptions::default() };
    let options = OpenOptions {
        model: Some(ModelSource::new(model)),
        chunking: Some(chunking),
        ..OpenOptions::default()
    };
    let kb = KnowledgeBase::open(place.path().to_string_lossy(), options)?;
    let start = Instant::now();
    let docs = data.corpus.iter().map(|d| Document::new(&d.id, &d.text).title(&d.title)).collect();
    let report = kb.add(docs)?;
    println!(
        "{}",
        json!({"documents": report.added, "chunks": report.chunks, "add_s": start.elapsed().as_secs_f64()})
    );
    let judged = data.queries.iter().filter(|(id, _)| data.qrels.contains_key(*id));
    let (ids, texts): (Vec<&String>, Vec<&str>) = judged.map(|(id, text)| (id, text.as_str())).unzip();
    let base = SearchOptions { group_by: Some(GroupBy::Doc), ..SearchOptions::default() };
    let lexical = |title_boost: f32| SearchOptions {
        mode: Mode::Lexical,
        bm25: Bm25 { title_boost, ..Bm25::default() },
        ..base.clone()
    };
    let fused = |fusion| SearchOptions { fusion, ..base.clone() };
    let boosted =
        |title_boost| SearchOptions { bm25: Bm25 { title_boost, ..Bm25::default() }, ..base.clone() };
    let reranked = |with, blend, depth| {
        let rerank = Rerank { blend, depth, ..Rerank::new(with) };
        SearchOptions { rerank: Some(rerank), ..base.clone() }
    };
    let mut runs: Vec<(String, SearchOptions)> = vec![
        ("dense".into(), SearchOptions { mode: Mode::Dense, ..base.clone() }),
        ("rrf".into(), fused(Fusion::Rrf { k: Fusion::RRF_K })),
        ("dbsf".into(), fused(Fusion::Dbsf)),
    ];
    runs.extend([0.0, 0.1, 0.25, 0.5].map(|b| (format!("lexical, title boost {b}"), lexical(b))));
    runs.extend(
        [0.3, 0.4, 0.5, 0.6, 0.7].map(|a| (format!("convex {a}"), fused(Fusion::Convex { alpha: a }))),
    );
    let alone = Bm25 { neighbours: 0.0, ..Bm25::default() };
    runs.push(("lexical, neighbours 0".into(), SearchOptions { bm25: alone, ..lexical(0.0) }));
    runs.push(("hybrid, neighbours 0".into(), SearchOptions { bm25: alone, ..base.clone() }));
    runs.push(("hybrid, title boost 0.25".into(), boosted(0.25)));
    runs.push(("hybrid, k 100".into(), SearchOptions { k: 100, ..base.clone() }));
    for lambda in [0.9, 0.7, 0.5] {
        runs.push((format!("mmr {lambda}"), reranked(Reranker::Mmr { lambda }, 1.0, 50)));
    }
    if more.contains(&"late") {
        for blend in [1.0, 0.5, 0.3] {
            runs.push((format!("late, blend {blend}, depth 20"), reranked(Reranker::Late, blend, 20)));
        }
    }
    let found = |options: &SearchOptions| -> Result<Run> {
        let lists = kb.search_batch(&texts, options)?;
        let scores = |hits: Hits| -> BTreeMap<String, f64> {
            hits.iter().map(|h| (h.doc_id().to_owned(), f64::from(h.score()))).collect()
        };
        Ok(ids.iter().map(|id| (*id).clone()).zip(lists.into_iter().map(scores)).collect())
    };
    for (name, options) in runs {
        let start = Instant::now();
        let run = found(&options)?;
        let seconds = start.elapsed().as_secs_f64();
        let report = evaluate(&run, &data.qrels, &["ndcg@10"])?;
        println!("{}", json!({"run": name, "ndcg@10": report.mean("ndcg@10"), "seconds": seconds}));
    }
    if let Some(folder) = more.iter().find_map(|word| word.strip_prefix("runs=")) {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        for (name, options) in [
            ("dense", SearchOptions { mode: Mode::Dense, ..base.clone() }),
            ("lexical", lexical(0.0)),
            ("title", lexical(0.25)),
        ] {
            let run = found(&SearchOptions { k: 1000, ..options })?;
            write_trec_run(&run, Path::new(folder).join(format!("{name}.txt")))?;
        }
    }
    kb.close()
}

fn speed(glosses: &str, model: &str, rows: usize, queries: usize, cache: &Path) -> Result<()> {
    let text = read(glosses)?;
    let lines = glosses_of(&text, rows + queries);
    let place = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    let kb = open(place.path(), model)?;
    let dim = kb.embedder()?.dim();
    let vectors = embedded(kb.embedder()?.as_ref(), &lines, cache)?;
    let vector = |i: usize| vectors[i * dim..(i + 1) * dim].to_vec();
    let document = |i: usize| {
        Document::new(format!("{}-{i}", lines[i].0), lines[i].2)
            .title(lines[i].1)
            .metadata_field("n", i as i64)
            .vector(vector(i))
    };
    let start = Instant::now();
    kb.add((0..rows).map(document).collect())?;
    let added = start.elapsed().as_secs_f64();
    kb.compact()?;
    println!("{}", json!({"rows": rows, "add_s": added, "add_and_compact_s": start.elapsed().as_secs_f64()}));

    let base = SearchOptions::default();
    let time = |name: &str, options: &SearchOptions| -> Result<()> {
        let mut times = Vec::new();
        for round in 0..4 {
            for i in rows..rows + queries {
                let vector = &vectors[i * dim..(i + 1) * dim];
                let start = Instant::now();
                let hits = kb.search_with_vector(lines[i].2, vector, options)?;
                let read: usize = hits.iter().map(|h| h.text().len() + h.metadata_json().len()).sum();
                if round > 0 && read > 0 {
                    times.push(start.elapsed());
                }
            }
        }
        print_times(name, times);
        Ok(())
    };
    time("hybrid", &base)?;
    time("lexical", &SearchOptions { mode: Mode::Lexical, ..base.clone() })?;
    time("dense", &SearchOptions { mode: Mode::Dense, ..base.clone() })?;
    for share in [2, 10, 100, 1000] {
        let filter = Some(Filter::parse(&format!("n < {}", rows / share))?);
        time(&format!("hybrid, 1/{share}"), &SearchOptions { filter: filter.clone(), ..base.clone() })?;
        time(&format!("dense, 1/{share}"), &SearchOptions { filter, mode: Mode::Dense, ..base.clone() })?;
    }
    let mut times = Vec::new();
    for i in rows..rows + queries.min(300) {
        let start = Instant::now();
        kb.add(vec![document(i)])?;
        times.push(start.elapsed());
    }
    print_times("add one", times);
    time("hybrid after additions", &base)?;
    kb.close()?;
    drop(kb);
    let start = Instant::now();
    let kb = open(place.path(), model)?;
    println!("{}", json!({"open_ms": start.elapsed().as_secs_f64() * 1e3, "stats": kb.stats()?}));
    kb.close()?;
    std::fs::remove_dir_all(place.path().join("index")).map_err(|e| Error::io(place.path(), e))?;
    let start = Instant::now();
    let kb = open(place.path(), model)?;
    println!("{}", json!({"open_without_index_s": start.elapsed().as_secs_f64()}));
    kb.close()
}

fn print_times(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{}", json!({"what": name, "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99)}));
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

/// Id, words and gloss of the first `count` glosses in the order of the FNV-1a hash of their ids.
fn glosses_of(text: &str, count: usize) -> Vec<(&str, &str, &str)> {
    let mut lines: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
        .collect();
    let hash = |id: &str| {
        id.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
    };
    lines.sort_by_key(|line| hash(line.0));
    lines.truncate(count);
    lines
}

/// The vectors of the glosses, from the cache when it has as many.
fn embedded(model: &dyn Embed, lines: &[(&str, &str, &str)], cache: &Path) -> Result<Vec<f32>> {
    let bytes = lines.len() * model.dim() * 4;
    if let Ok(cached) = std::fs::read(cache)
        && cached.len() >= bytes
    {
        let (whole, _) = cached[..bytes].as_chunks::<4>();
        return Ok(whole.iter().map(|b| f32::from_le_bytes(*b)).collect());
    }
    let texts: Vec<&str> = lines.iter().map(|line| line.2).collect();
    let vectors = model.embed(&texts, &Default::default())?.into_vec();
    let bytes: Vec<u8> = vectors.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(cache, bytes).map_err(|e| Error::io(cache, e))?;
    Ok(vectors)
}
