//! How good are extractive answers?
//!
//! `cargo run --release -p quorate-runtime --example extract_eval -- DATA [MODE] [MINILM]`, where MODE is `measure`, `fit`,
//! `misses`, `check`, `speed` or `fixture`: DATA holds the collections
//! `scifact`, `medquad`, `xquad_en` and `pubmedqa` (corpus.jsonl, queries.jsonl, qrels/*.tsv), MINILM is the folder of
//! all-MiniLM-L6-v2. Passages of 250 words are retrieved by BM25 and the built-in model, fused by reciprocal ranks; the
//! eight best are what answers are taken from. Weights and calibrations are fitted on the questions at even places, and
//! the figures are those of the odd ones.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checking;
mod collections;
mod fixture;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use quorate_core::Cancel;
use quorate_core::embed::{Embed, Embedder, EmbedderOptions};
use quorate_runtime::{ExtractOptions, Extracted, Passage, extract};

use collections::{Collection, Question};

/// Questions of a collection that take part.
const QUESTIONS: usize = 400;

/// A question with its passages.
struct Case<'c> {
    collection: &'c Collection,
    question: &'c Question,
    passages: Vec<Passage>,
    /// Whether it belongs to the half that is fitted on.
    fitted: bool,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Own,
    Foreign,
    Without,
}

fn all_of(passages: &[Passage], question: &str, embedder: Option<&dyn Embed>) -> Extracted {
    let options = ExtractOptions {
        max_sentences: 1000,
        min_confidence: 0.0,
        diversity: 0.0,
        min_share: 0.0,
        calibration: None,
    };
    extract(question, passages, embedder, &options, &Cancel::new()).unwrap()
}

fn is_right(case: &Case, answer: &Extracted, i: usize) -> bool {
    let citation = &answer.citations[i];
    let here = case.question.right.contains(&citation.doc_id);
    if case.question.answers.is_empty() {
        return here;
    }
    here && case.question.answers.iter().any(|a| citation.text.contains(a.as_str()))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let data = Path::new(arguments.first().expect("the folder of the collections"));
    let mode = arguments.get(1).map_or("measure", String::as_str);
    let builtin = Embedder::open("builtin", EmbedderOptions::default()).unwrap();
    let minilm = arguments.get(2).map(|folder| Embedder::open(folder, EmbedderOptions::default()).unwrap());
    let most = if minilm.is_some() { QUESTIONS / 4 } else { QUESTIONS };
    let names = ["xquad_en", "scifact", "pubmedqa", "medquad"];
    let collections: Vec<Collection> =
        names.iter().map(|name| Collection::open(data, name, &builtin, most)).collect();
    if let Some(minilm) = &minilm {
        println!("builtin {} minilm {}", builtin.id(), minilm.id());
    }
    if mode == "speed" {
        return speed(&collections[1], &builtin, minilm.as_ref());
    }
    if mode == "fixture" {
        return fixture::write(&collections, &builtin);
    }
    if mode == "check" {
        checking::run(&collections, &builtin, minilm.as_ref().map_or(&builtin as &dyn Embed, |m| m));
        return;
    }
    let nothing = BTreeSet::new();
    let mut cases = Vec::new();
    for (c, own) in collections.iter().enumerate() {
        for (i, question) in own.questions.iter().enumerate() {
            let fitted = i % 2 == 0;
            let mut put = |from: &Collection, kind, without: &BTreeSet<String>| {
                let passages = from.retrieve(&question.text, &builtin, without);
                cases.push(Case { collection: own, question, passages, fitted, kind });
            };
            put(own, Kind::Own, &nothing);
            if i % 4 < 2 {
                let other = (c + 1 + (i / 4) % (collections.len() - 1)) % collections.len();
                put(&collections[other], Kind::Foreign, &nothing);
                if c < 2 {
                    put(own, Kind::Without, &question.right);
                }
            }
        }
    }
    let mut embedders: Vec<(&str, Option<&dyn Embed>)> = vec![("builtin", Some(&builtin))];
    if let Some(minilm) = &minilm {
        embedders.push(("minilm", Some(minilm)));
    }
    for (name, embedder) in embedders {
        let started = Instant::now();
        let answers: Vec<Extracted> =
            cases.iter().map(|c| all_of(&c.passages, &c.question.text, embedder)).collect();
        println!(
            "\n== {name}: {} cases, {:.1} ms each",
            cases.len(),
            started.elapsed().as_secs_f64() * 1e3 / cases.len() as f64
        );
        if mode == "fit" {
            fit(&cases, &answers);
        }
        if mode == "misses" {
            misses(&cases, &answers);
            continue;
        }
        measure(&cases, &answers, embedder);
    }
}

fn measure(cases: &[Case], answers: &[Extracted], embedder: Option<&dyn Embed>) {
    for name in ["xquad_en", "scifact", "pubmedqa", "medquad", "marked"] {
        let mut n = 0;
        let mut sums = [0.0f64; 9];
        for (case, answer) in cases.iter().zip(answers) {
            let marked = !case.question.answers.is_empty();
            let here = if name == "marked" { marked } else { case.collection.name == name && !marked };
            if case.fitted || case.kind != Kind::Own || !here {
                continue;
            }
            n += 1;
            let hit = |order: &[usize], k: usize| order.iter().take(k).any(|i| is_right(case, answer, *i));
            let natural: Vec<usize> = (0..answer.citations.len()).collect();
            let mut bm25 = natural.clone();
            bm25.sort_by(|a, b| {
                answer.sentences[*b].signals.bm25.total_cmp(&answer.sentences[*a].signals.bm25)
            });
            let set = extract(
                &case.question.text,
                &case.passages,
                embedder,
                &ExtractOptions { min_confidence: 0.0, ..Default::default() },
                &Cancel::new(),
            )
            .unwrap();
            let in_set = (0..set.citations.len()).any(|i| is_right(case, &set, i));
            let found = case.passages.iter().any(|p| case.question.right.contains(&p.doc_id));
            let possible = hit(&natural, 1000);
            let figures = [
                f64::from(u8::from(found)),
                f64::from(u8::from(possible)),
                f64::from(u8::from(hit(&bm25, 1))),
                f64::from(u8::from(hit(&bm25, 3))),
                f64::from(u8::from(hit(&natural, 1))),
                f64::from(u8::from(hit(&natural, 3))),
                f64::from(u8::from(in_set)),
                set.citations.len() as f64,
                set.citations.iter().map(|c| c.text.split_whitespace().count()).sum::<usize>() as f64,
            ];
            sums.iter_mut().zip(figures).for_each(|(s, f)| *s += f);
            for (kept, full) in [(true, &set), (false, answer)] {
                for citation in &full.citations {
                    let text = case.collection.text_of(&citation.doc_id);
                    assert!(!kept || text[citation.start..citation.end] == citation.text, "{citation:?}");
                }
            }
        }
        let s: Vec<String> = sums.iter().map(|s| format!("{:.3}", s / f64::from(n.max(1)))).collect();
        println!(
            "{name:9} n {n:4}  document retrieved {} possible {} | BM25 @1 {} @3 {} | @1 {} @3 {} | set {} of {} sentences, {} words",
            s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
        );
    }
    let confidences = |kind: Kind, fitted: bool, name: &str| -> Vec<f64> {
        let pairs = cases.iter().zip(answers).filter(|(c, _)| c.kind == kind && c.fitted == fitted);
        let found =
            |c: &Case| kind != Kind::Own || c.passages.iter().any(|p| c.question.right.contains(&p.doc_id));
        pairs
            .filter(|(c, _)| found(c) && (name.is_empty() || c.collection.name == name))
            .map(|(_, a)| a.confidence)
            .collect()
    };
    for name in ["", "xquad_en", "scifact", "pubmedqa", "medquad"] {
        let own = confidences(Kind::Own, false, name);
        let foreign = confidences(Kind::Foreign, false, name);
        let without = confidences(Kind::Without, false, name);
        let above =
            |list: &[f64]| list.iter().filter(|c| **c >= 0.5).count() as f64 / list.len().max(1) as f64;
        println!(
            "abstention {:9} AUROC foreign {:.3} without {:.3} | at 0.5: answered own {:.3} foreign {:.3} without {:.3}",
            if name.is_empty() { "all" } else { name },
            auroc(&own, &foreign),
            auroc(&own, &without),
            above(&own),
            above(&foreign),
            above(&without)
        );
    }
    let own = confidences(Kind::Own, false, "");
    let foreign = confidences(Kind::Foreign, false, "");
    for bound in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] {
        let above =
            |list: &[f64]| list.iter().filter(|c| **c >= bound).count() as f64 / list.len().max(1) as f64;
        print!("{bound}: {:.2}/{:.3}  ", above(&own), above(&foreign));
    }
    println!();
}

/// Prints the questions at even places whose first sentence does not answer.
fn misses(cases: &[Case], answers: &[Extracted]) {
    for (case, answer) in cases.iter().zip(answers) {
        let open = case.question.answers.is_empty() || !case.fitted || case.kind != Kind::Own;
        if open || is_right(case, answer, 0) {
            continue;
        }
        println!("\n? {} {:?}", case.question.text, case.question.answers);
        let right = (0..answer.citations.len()).find(|i| is_right(case, answer, *i));
        for i in std::iter::once(0).chain(right) {
            println!(
                "{i} {:?}\n  {:?}",
                answer.citations[i].text,
                answer.sentences[i].signals.values().map(|v| (v * 100.0).round() / 100.0)
            );
        }
    }
}

fn auroc(high: &[f64], low: &[f64]) -> f64 {
    let wins: f64 = high
        .iter()
        .flat_map(|h| {
            low.iter().map(move |l| {
                if h > l {
                    1.0
                } else if h == l {
                    0.5
                } else {
                    0.0
                }
            })
        })
        .sum();
    wins / (high.len() * low.len()).max(1) as f64
}

/// Fits the weights of signals, so that a right sentence is likely under a softmax of the scores, and the calibration.
fn fit(cases: &[Case], answers: &[Extracted]) {
    let mut groups: Vec<(f64, Vec<(Vec<f64>, bool)>)> = Vec::new();
    for (case, answer) in cases.iter().zip(answers) {
        if !case.fitted || case.kind != Kind::Own {
            continue;
        }
        let weight = if case.question.answers.is_empty() { 0.25 } else { 4.0 };
        let rows: Vec<(Vec<f64>, bool)> = (0..answer.citations.len())
            .map(|i| (answer.sentences[i].signals.values().to_vec(), is_right(case, answer, i)))
            .collect();
        if rows.iter().any(|r| r.1) && rows.iter().any(|r| !r.1) {
            groups.push((weight, rows));
        }
    }
    let width = groups[0].1[0].0.len();
    let total: f64 = groups.iter().map(|g| g.0).sum();
    let gradient = |w: &[f64]| {
        let mut out: Vec<f64> = w.iter().map(|w| -0.002 * w).collect();
        for (weight, rows) in &groups {
            let scores: Vec<f64> =
                rows.iter().map(|(x, _)| x.iter().zip(w).map(|(a, b)| a * b).sum()).collect();
            let best = scores.iter().copied().fold(f64::MIN, f64::max);
            let shares: Vec<f64> = scores.iter().map(|s| (s - best).exp()).collect();
            let all: f64 = shares.iter().sum();
            let right: f64 = shares.iter().zip(rows).filter(|(_, r)| r.1).map(|(s, _)| s).sum();
            for (share, (x, is)) in shares.iter().zip(rows) {
                let pull = if *is { share / right } else { 0.0 } - share / all;
                out.iter_mut().zip(x).for_each(|(o, x)| *o += weight * pull * x / total);
            }
        }
        out
    };
    println!("weights {:?}", round(&adam(width, 1500, gradient)));
    let mut rows: Vec<(f64, Vec<f64>, f64)> = cases
        .iter()
        .zip(answers)
        .filter(|(c, _)| c.fitted)
        .filter(|(c, _)| {
            c.kind != Kind::Own || c.passages.iter().any(|p| c.question.right.contains(&p.doc_id))
        })
        .map(|(c, a)| {
            let mut x = vec![1.0];
            x.extend(a.evidence.values());
            let weight = if c.kind == Kind::Without { 0.3 } else { 1.0 };
            (weight, x, f64::from(u8::from(c.kind == Kind::Own)))
        })
        .collect();
    println!("calibration {:?}", round(&adam(rows[0].1.len(), 4000, slope(&rows))));
    // For an embedder whose cosines are not known.
    for row in &mut rows {
        row.1[10] = 0.0;
        row.1[11] = 0.0;
    }
    println!("by words {:?}", round(&adam(rows[0].1.len(), 4000, slope(&rows))));
}

/// The gradient of the likelihood of a logistic regression in which both classes weigh the same.
fn slope(rows: &[(f64, Vec<f64>, f64)]) -> impl Fn(&[f64]) -> Vec<f64> + '_ {
    let mass = |kind: f64| rows.iter().filter(|r| r.2 == kind).map(|r| r.0).sum::<f64>();
    let (own, other) = (mass(1.0), mass(0.0));
    move |w: &[f64]| {
        let mut out: Vec<f64> = w.iter().map(|w| -0.0005 * w).collect();
        for (weight, x, y) in rows {
            let odds: f64 = x.iter().zip(w).map(|(a, b)| a * b).sum();
            let error = (y - 1.0 / (1.0 + (-odds).exp())) * weight / if *y == 1.0 { own } else { other };
            out.iter_mut().zip(x).for_each(|(o, x)| *o += error * x);
        }
        out
    }
}

fn round(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| (v * 100.0).round() / 100.0).collect()
}

/// Ascends a gradient (Kingma & Ba 2015).
fn adam(width: usize, steps: i32, gradient: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let (mut w, mut m, mut v) = (vec![0.0f64; width], vec![0.0f64; width], vec![0.0f64; width]);
    for step in 1..=steps {
        for (i, g) in gradient(&w).into_iter().enumerate() {
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (a, b) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.999f64.powi(step)));
            w[i] += 0.05 * a / (b.sqrt() + 1e-12);
        }
    }
    w
}

fn speed(collection: &Collection, builtin: &Embedder, minilm: Option<&Embedder>) {
    let nothing = BTreeSet::new();
    let questions: Vec<&Question> = collection.questions.iter().take(100).collect();
    let found: Vec<Vec<Passage>> =
        questions.iter().map(|q| collection.retrieve(&q.text, builtin, &nothing)).collect();
    let mut embedders: Vec<(&str, Option<&dyn Embed>, usize)> = vec![("builtin", Some(builtin), 5)];
    if let Some(minilm) = minilm {
        embedders.push(("minilm", Some(minilm), 1));
    }
    for (name, embedder, repeat) in embedders {
        let mut times = Vec::new();
        for _ in 0..repeat {
            for (question, passages) in questions.iter().zip(&found) {
                let started = Instant::now();
                extract(&question.text, passages, embedder, &ExtractOptions::default(), &Cancel::new())
                    .unwrap();
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        times.sort_by(f64::total_cmp);
        println!("{name}: p50 {:.2} ms, p95 {:.2} ms", times[times.len() / 2], times[times.len() * 95 / 100]);
    }
}
