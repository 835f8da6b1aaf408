//! How long does a match take, once the question is embedded?
//!
//! `cargo bench -p quorate-agents` prints the time on the healthcare catalogue and on 100,000 agents of a thousand
//! tenants, with and without constraints. The latter are made of the catalogue's: each has the description of one and
//! example questions of it, with some words replaced by words of others. Vectors are the built-in model's.
//! `benches/compare/routing.py` compares with semantic-router. On Linux the mean processor time of a match is
//! printed too, which other processes do not lengthen.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // criterion's macros have no docs; a bench may panic and print

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use quorate_agents::{Agent, AgentRegistry, Catalog, MatchOptions, RegistryOptions, Skill};
use quorate_core::embed::{Embed, StaticModel};
use quorate_core::filter::Filter;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn questions(catalog: &Catalog) -> Vec<(String, Vec<f32>)> {
    let model = StaticModel::builtin().unwrap();
    let all = catalog.agents.iter().flat_map(Agent::examples);
    all.map(|q| (q.to_owned(), model.embed_query(q).unwrap())).collect()
}

fn catalogue(c: &mut Criterion) {
    let open = || AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin().unwrap())).unwrap();
    let registry = open();
    let questions = questions(&Catalog::healthcare().unwrap());
    let options = MatchOptions::default();
    processor_time("match, healthcare catalogue", &registry, &questions, &options);
    let mut next = questions.iter().cycle();
    c.bench_function("match, healthcare catalogue", |b| {
        b.iter(|| {
            let (question, vector) = next.next().unwrap();
            black_box(registry.match_vector(question, vector, &options).unwrap())
        });
    });
    c.bench_function("open, healthcare catalogue with the built-in model", |b| b.iter(open));
}

/// Nanoseconds that this thread has run, on Linux.
fn ran() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Prints the mean processor time of a match.
fn processor_time(
    name: &str,
    registry: &AgentRegistry,
    questions: &[(String, Vec<f32>)],
    options: &MatchOptions,
) {
    let before = ran();
    for (question, vector) in questions {
        black_box(registry.match_vector(question, vector, options).unwrap());
    }
    if let Some((before, after)) = before.zip(ran()) {
        println!("{name}: processor time {:.1} us", (after - before) as f64 / 1e3 / questions.len() as f64);
    }
}

/// The text with about a fifth of its words replaced by words of others.
fn perturbed(text: &str, words: &[&str], rng: &mut ChaCha8Rng) -> String {
    let other =
        |word| if rng.random_range(0..5) == 0 { words[rng.random_range(0..words.len())] } else { word };
    text.split(' ').map(other).collect::<Vec<_>>().join(" ")
}

fn hundred_thousand(c: &mut Criterion) {
    let catalog = Catalog::healthcare().unwrap();
    let questions = questions(&catalog);
    let words: Vec<&str> = catalog
        .agents
        .iter()
        .flat_map(|a| a.summary.split(' ').chain(a.examples().flat_map(|e| e.split(' '))))
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let agents: Vec<Agent> = (0..100_000)
        .map(|i| {
            let model = &catalog.agents[i % catalog.agents.len()];
            let examples: Vec<&str> = model.examples().collect();
            let examples: Vec<String> =
                (0..2).map(|j| perturbed(examples[(i + j) % examples.len()], &words, &mut rng)).collect();
            Agent {
                id: format!("agent{i}"),
                summary: perturbed(&model.summary, &words, &mut rng),
                skills: vec![Skill::new::<String>("main", examples)],
                boundaries: Vec::new(),
                cost_per_call: (i % 100) as f64 / 100.0,
                tenant: (i % 4 == 1).then(|| format!("tenant{}", i % 1000)),
                ..model.clone()
            }
        })
        .collect();
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    registry.add_all(agents).unwrap();
    let tenant = Some("tenant77".to_owned());
    let cases = [
        ("tenant", MatchOptions { tenant: tenant.clone(), ..Default::default() }),
        (
            "tenant and cost",
            MatchOptions { tenant: tenant.clone(), max_cost: Some(0.5), ..Default::default() },
        ),
        (
            "tenant and capability",
            MatchOptions {
                tenant: tenant.clone(),
                require: vec!["regulatory.fda".into()],
                ..Default::default()
            },
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
        let admitted =
            registry.match_vector(&questions[0].0, &questions[0].1, options).unwrap()[0].explain().admitted;
        processor_time(
            &format!("match, 100,000 agents, {name} ({admitted} admitted)"),
            &registry,
            &questions,
            options,
        );
        let mut next = questions.iter().cycle();
        c.bench_function(&format!("match, 100,000 agents, {name}"), |b| {
            b.iter(|| {
                let (question, vector) = next.next().unwrap();
                black_box(registry.match_vector(question, vector, options).unwrap())
            });
        });
    }
}

/// Agents with examples and topics, of which a question is put to all.
fn twenty_thousand(c: &mut Criterion) {
    let catalog = Catalog::healthcare().unwrap();
    let words: Vec<&str> =
        catalog.agents.iter().flat_map(|a| a.examples().flat_map(|e| e.split(' '))).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let agents: Vec<Agent> = (0..20_000)
        .map(|i| {
            let model = &catalog.agents[i % catalog.agents.len()];
            let examples: Vec<String> = model.examples().map(|e| perturbed(e, &words, &mut rng)).collect();
            Agent {
                id: format!("agent{i}"),
                summary: perturbed(&model.summary, &words, &mut rng),
                skills: vec![Skill::new::<String>("main", examples)],
                boundaries: Vec::new(),
                works_with: Vec::new(),
                ..model.clone()
            }
        })
        .collect();
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    registry.add_all(agents).unwrap();
    let model = StaticModel::builtin().unwrap();
    let asked = |texts: Vec<String>| -> Vec<(String, Vec<f32>)> {
        let with = |text: String| {
            let vector = model.embed_query(&text).unwrap();
            (text, vector)
        };
        texts.into_iter().map(with).collect()
    };
    let foreign = (0..200).map(|i| format!("Where can I buy {} tickets to the opera in town {i}?", i + 1));
    let cases =
        [("their own questions", questions(&catalog)), ("nobody's questions", asked(foreign.collect()))];
    let options = MatchOptions::default();
    for (name, questions) in &cases {
        let name = format!("match, 20,000 agents, {name}");
        processor_time(&name, &registry, questions, &options);
        let mut next = questions.iter().cycle();
        c.bench_function(&name, |b| {
            b.iter(|| {
                let (question, vector) = next.next().unwrap();
                black_box(registry.match_vector(question, vector, &options).unwrap())
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1)).sample_size(50);
    targets = catalogue, twenty_thousand, hundred_thousand
}
criterion_main!(benches);
