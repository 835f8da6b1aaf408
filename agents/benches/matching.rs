//! How long does a match take, once the question is embedded?
//!
//! `cargo bench -p quorate-agents` prints the time on the healthcare catalogue and on 100,000 made-up agents of a
//! thousand tenants, with and without constraints. `benches/compare/routing.py` compares with semantic-router.

#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros have no docs; a bench may panic

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use quorate_agents::{
    Agent, AgentRegistry, Capability, Catalog, Level, MatchOptions, RegistryOptions, Skill,
};
use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Result};
use quorate_rag::filter::Filter;

const DIM: usize = 384;

/// A vector for each text that depends on its words: half of it on the first, so that there are clusters.
struct Words;

impl Words {
    fn add(out: &mut [f32], word: &str, weight: f32) {
        let mut state = word
            .bytes()
            .fold(0x9e37_79b9_7f4a_7c15u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        for x in out {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *x += weight * ((state >> 40) as f32 / 8_388_608.0 - 1.0);
        }
    }
}

impl Embed for Words {
    fn id(&self) -> &str {
        "words"
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn max_tokens(&self) -> usize {
        512
    }

    fn embed(&self, texts: &[&str], _cancel: &Cancel) -> Result<Matrix> {
        let mut data = Vec::with_capacity(texts.len() * DIM);
        for text in texts {
            data.extend(self.embed_query(text)?);
        }
        Matrix::new(data, texts.len(), DIM)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut out = vec![0.0; DIM];
        for (i, word) in text.split_whitespace().enumerate() {
            Words::add(&mut out, word, if i == 0 { 2.0 } else { 1.0 });
        }
        let norm = out.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
        out.iter_mut().for_each(|x| *x /= norm);
        Ok(out)
    }

    fn tokenize(&self, _text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        Ok(Vec::new())
    }

    fn special_tokens(&self) -> usize {
        0
    }
}

fn catalogue(c: &mut Criterion) {
    let registry = AgentRegistry::open(None, RegistryOptions::new(Arc::new(Words))).unwrap();
    let questions: Vec<(String, Vec<f32>)> = Catalog::healthcare()
        .unwrap()
        .agents
        .iter()
        .flat_map(Agent::examples)
        .map(|q| (q.to_owned(), Words.embed_query(q).unwrap()))
        .collect();
    let options = MatchOptions::default();
    let mut next = questions.iter().cycle();
    c.bench_function("match, healthcare catalogue", |b| {
        b.iter(|| {
            let (question, vector) = next.next().unwrap();
            black_box(registry.match_vector(question, vector, &options).unwrap())
        });
    });
    c.bench_function("open, healthcare catalogue", |b| {
        b.iter(|| AgentRegistry::open(None, RegistryOptions::new(Arc::new(Words))).unwrap());
    });
}

fn hundred_thousand(c: &mut Criterion) {
    let registry = AgentRegistry::open(None, RegistryOptions::empty(Arc::new(Words))).unwrap();
    let word = |i: usize| format!("word{}", i % 5003);
    let agents: Vec<Agent> = (0..100_000)
        .map(|i| {
            let examples = [
                format!("field{} {} {}", i % 200, word(i), word(i * 31)),
                format!("field{} {} {}", i % 200, word(i * 7), word(i * 13)),
            ];
            Agent {
                capabilities: vec![Capability::new(
                    format!("area{}.topic{}", i % 10, i % 200),
                    Level::Expert,
                )],
                skills: vec![Skill::new("main", examples)],
                cost_per_call: (i % 100) as f64 / 100.0,
                tenant: (i % 2 == 1).then(|| format!("tenant{}", i % 1000)),
                domain: format!("field{}", i % 200),
                ..Agent::new(
                    format!("agent{i}"),
                    format!("Agent {i}"),
                    format!("field{} {}", i % 200, word(i * 3)),
                )
            }
        })
        .collect();
    registry.add_all(agents).unwrap();
    let questions: Vec<(String, Vec<f32>)> = (0..200)
        .map(|i| format!("field{i} {} {} {}", word(i * 17), word(i * 19), word(i * 23)))
        .map(|q| (q.clone(), Words.embed_query(&q).unwrap()))
        .collect();
    let tenant = Some("tenant77".to_owned());
    let cases = [
        ("tenant", MatchOptions { tenant: tenant.clone(), ..Default::default() }),
        (
            "tenant and cost",
            MatchOptions { tenant: tenant.clone(), max_cost: Some(0.5), ..Default::default() },
        ),
        (
            "tenant and capability",
            MatchOptions { tenant: tenant.clone(), require: vec!["area2".into()], ..Default::default() },
        ),
        (
            "tenant and where",
            MatchOptions {
                tenant,
                filter: Some(Filter::parse("cost_per_call < 0.3").unwrap()),
                ..Default::default()
            },
        ),
    ];
    for (name, options) in &cases {
        let mut next = questions.iter().cycle();
        c.bench_function(&format!("match, 100,000 agents, {name}"), |b| {
            b.iter(|| {
                let (question, vector) = next.next().unwrap();
                black_box(registry.match_vector(question, vector, options).unwrap())
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1)).sample_size(50);
    targets = catalogue, hundred_thousand
}
criterion_main!(benches);
