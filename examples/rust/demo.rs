//! What does quorate do on real text? Embeds SciFact with the built-in model and finds the abstracts nearest to claims.

use std::path::PathBuf;
use std::time::Instant;

use quorate::core::embed::{Embed, Embedder, EmbedderOptions};
use quorate::core::vector::{nearest, nearest_batch};
use quorate::core::{Cancel, Result};
use quorate::rag::eval::{Run, evaluate, load_beir};

fn main() -> Result<()> {
    let data =
        std::env::var_os("QUORATE_DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from).join("scifact");
    let scifact = load_beir(&data, "test")?;
    let texts: Vec<String> = scifact.corpus.iter().map(|doc| format!("{} {}", doc.title, doc.text)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let start = Instant::now();
    let embedder = Embedder::open("builtin", EmbedderOptions::default())?;
    println!("built-in model, {} components, loaded in {:.1?}", embedder.dim(), start.elapsed());
    let start = Instant::now();
    let vectors = embedder.embed(&texts, &Cancel::new())?;
    println!("{} abstracts embedded in {:.2?}\n", texts.len(), start.elapsed());

    for claim in
        ["Metformin lowers blood glucose in type 2 diabetes.", "Smoking raises the risk of lung cancer."]
    {
        println!("{claim}");
        for hit in nearest(&vectors, &embedder.embed_query(claim)?, 3, None)? {
            println!("  {:.3}  {}", hit.score, scifact.corpus[hit.index as usize].title);
        }
        println!();
    }

    let (ids, claims): (Vec<&String>, Vec<&str>) =
        scifact.queries.iter().map(|(id, text)| (id, text.as_str())).unzip();
    let queries = embedder.embed_queries(&claims, &Cancel::new())?;
    let start = Instant::now();
    let found = nearest_batch(&vectors, &queries, 100, None)?;
    println!("{} claims searched exactly in {:.1?}", claims.len(), start.elapsed());
    let ranked = found.iter().map(|hits| {
        hits.iter().map(|hit| (scifact.corpus[hit.index as usize].id.clone(), f64::from(hit.score))).collect()
    });
    let run: Run = ids.into_iter().cloned().zip(ranked).collect();
    for (metric, value) in evaluate(&run, &scifact.qrels, &["ndcg@10", "recall@100", "mrr@10"])?.means {
        println!("  {metric:<11} {value:.4}");
    }
    Ok(())
}
