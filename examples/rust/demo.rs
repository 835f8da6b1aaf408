//! What does quorate do on real text? Ingests SciFact and a folder of mixed files, finds, filters, reranks, cites, and
//! evaluates; then a question picks its experts and their ballots are scored; an expert and a panel are asked, and a
//! workflow runs.

use std::path::PathBuf;
use std::time::Instant;

use quorate::Result;
use quorate::rag::eval::{Run, evaluate, load_beir};
use quorate::rag::{
    ContextOptions, Document, FileOptions, Filter, GroupBy, KnowledgeBase, Mode, OnError, OpenOptions,
    Rerank, Reranker, SearchOptions, WriteOptions,
};

mod experts;
#[path = "demo/work.rs"]
mod work;

fn main() -> Result<()> {
    let data = std::env::var_os("QUORATE_DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from);
    let scifact = load_beir(data.join("scifact"), "test")?;
    let place = std::env::temp_dir().join(format!("quorate-demo-{}", std::process::id()));
    let kb = KnowledgeBase::open(place.to_string_lossy(), OpenOptions::default())?;

    title("1. Ingest");
    let start = Instant::now();
    let abstracts = scifact
        .corpus
        .iter()
        .map(|d| Document::new(&d.id, &d.text).title(&d.title).metadata_field("kind", "abstract"));
    let report = kb.add(abstracts.collect())?;
    println!("{} abstracts as {} chunks in {:.2?}", report.added, report.chunks, start.elapsed());
    let skip = WriteOptions { on_error: OnError::Skip, ..WriteOptions::default() };
    let files =
        kb.add_files(&["examples/files/*"], &FileOptions { write: skip, ..FileOptions::default() })?;
    println!("{} documents from files; left out:", files.added);
    for one in &files.skipped {
        println!("  {}", one.error);
    }

    title("2. Search");
    let claim = "Metformin lowers blood glucose in type 2 diabetes.";
    println!("{claim}");
    let base = SearchOptions { k: 3, ..SearchOptions::default() };
    let hits = kb.search(claim, &base)?;
    for hit in &hits {
        println!("  {:.3}  {}", hit.score(), hit.title());
    }
    if let Some(best) = hits.first() {
        println!("Why the first: {}", best.explain()?.to_string().trim_end());
    }

    title("3. Filter and rerank");
    let recent = Filter::parse("kind IN ('guideline', 'answer', 'code') AND year >= 2023")?;
    let question = "May a patient with reduced kidney function take metformin around a contrast scan?";
    println!("{question}");
    for (name, rerank) in [("as fused", None), ("mmr", Some(Rerank::new(Reranker::Mmr { lambda: 0.7 })))] {
        println!("  {name}:");
        let options = SearchOptions { filter: Some(recent.clone()), rerank, ..base.clone() };
        for hit in &kb.search(question, &options)? {
            println!("    {:.3}  {}", hit.score(), hit.title());
        }
    }

    title("4. Cited context");
    let options = ContextOptions { max_tokens: 320, ..ContextOptions::default() };
    let context = kb.context(question, &options)?;
    println!("{}\n({} tokens of 320)", context.text, context.tokens);
    for cited in &context.citations {
        println!("  {} {} bytes {}..{}", cited.marker, cited.doc_id, cited.start, cited.end);
    }

    title("5. Evaluation on SciFact test, 300 claims");
    let (ids, claims): (Vec<&String>, Vec<&str>) =
        scifact.queries.iter().map(|(id, text)| (id, text.as_str())).unzip();
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        let only = Some(Filter::parse("kind = 'abstract'")?);
        let options =
            SearchOptions { k: 100, mode, filter: only, group_by: Some(GroupBy::Doc), ..base.clone() };
        let start = Instant::now();
        let found = kb.search_batch(&claims, &options)?;
        let took = start.elapsed();
        let ranked = found
            .iter()
            .map(|hits| hits.iter().map(|hit| (hit.doc_id().to_owned(), f64::from(hit.score()))).collect());
        let run: Run = ids.iter().copied().cloned().zip(ranked).collect();
        let report = evaluate(&run, &scifact.qrels, &["ndcg@10", "recall@100", "mrr@10"])?;
        let values: Vec<String> = report.means.iter().map(|(m, v)| format!("{m} {v:.4}")).collect();
        println!("  {:<8} {}  ({took:.1?})", format!("{mode:?}").to_lowercase(), values.join("  "));
    }

    title("6. Experts and their consensus");
    experts::run()?;

    let runtime = work::runtime(&kb)?;
    title("7. Ask an expert");
    work::ask(&runtime)?;
    title("8. Ask a panel");
    work::deliberate(&runtime)?;
    title("9. Run a workflow");
    work::work(&runtime)?;
    kb.close()?;
    std::fs::remove_dir_all(&place).map_err(|e| quorate::Error::io(&place, e))
}

fn title(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
