//! Does a large registry answer as if every agent were compared with the question in full?
//!
//! Who asks for more than 128 agents has all compared in full: that is what the answers to fewer are held against.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use quorate_agents::{Agent, AgentRegistry, MatchOptions, RegistryOptions, Skill};
use quorate_core::embed::StaticModel;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// From this many agents asked for on, all are compared in full.
const ALL: usize = 129;

const WORDS: &str = "kidney heart dose trial device recall label audit claim payer nurse ward scan image model risk drug \
    infant pump valve stent lens fever asthma cancer bone skin blood sugar insulin statin vaccine dialysis sepsis ethics \
    consent privacy breach budget price tariff code appeal denial coverage registry cohort endpoint sample power bias \
    Niere Herz Dosis Studie Gerät Rückruf Kasse Pflege Bildgebung Risiko Arznei Säugling Fieber Krebs Haut Blut Zucker \
    rein cœur essai appareil remboursement infirmière médicament fièvre peau sang почка сердце доза прибор лекарство \
    肾脏 心脏 剂量 试验 设备 护士 药物 发烧 皮肤 血液";

fn words() -> Vec<&'static str> {
    WORDS.split_whitespace().collect()
}

/// So many words, of which the first ones come most often.
fn text(rng: &mut ChaCha8Rng, words: &[&str], count: usize) -> String {
    let mut word = || {
        let x: f64 = rng.random();
        words[((x * x * x) * words.len() as f64) as usize]
    };
    (0..count).map(|_| word()).collect::<Vec<_>>().join(" ")
}

fn agents(rng: &mut ChaCha8Rng, count: usize) -> Vec<Agent> {
    let mut words = words();
    (0..count)
        .map(|n| {
            if n % 97 == 0 {
                // Other words become the common ones.
                let at = rng.random_range(0..words.len());
                words.rotate_left(at);
            }
            let length = rng.random_range(1..14);
            let summary = text(rng, &words, length);
            let examples: Vec<String> = (0..[0, 0, 1, 3, 9, 20][rng.random_range(0..6)])
                .map(|_| {
                    let length = rng.random_range(1..9);
                    text(rng, &words, length)
                })
                .collect();
            let mut topics: Vec<String> = (0..rng.random_range(0..6))
                .map(|_| {
                    let length = rng.random_range(1..4);
                    text(rng, &words, length)
                })
                .collect();
            topics.sort();
            topics.dedup();
            Agent {
                skills: if examples.is_empty() { Vec::new() } else { vec![Skill::new("s", examples)] },
                topics,
                weight: [1.0, 1.0, 1.0, 0.25, 4.0, 10.0][rng.random_range(0..6)],
                cost_per_call: f64::from(rng.random_range(0..3)),
                tenant: (n % 5 == 0).then(|| "clinic".to_owned()),
                ..Agent::new(format!("a{n}"), format!("Desk {}", n % 50), summary)
            }
        })
        .collect()
}

/// A question of random words, or of what an agent is asked about.
fn question(rng: &mut ChaCha8Rng, agents: &[Agent]) -> String {
    let agent = &agents[rng.random_range(0..agents.len())];
    match rng.random_range(0..5) {
        0 => agent.topics.join(" "),
        1 => agent.summary.clone(),
        2 => agent.examples().next().unwrap_or("Who knows?").to_owned(),
        3 => "Where can I buy cheap tickets to the opera?".to_owned(),
        _ => {
            let length = rng.random_range(1..8);
            text(rng, &words(), length)
        }
    }
}

fn check(registry: &AgentRegistry, question: &str, options: &MatchOptions) {
    let all = registry.match_agents(question, &MatchOptions { k: ALL, ..options.clone() }).unwrap();
    for k in [1, 5, 10, 40, 128] {
        let found = registry.match_agents(question, &MatchOptions { k, ..options.clone() }).unwrap();
        assert_eq!(found.len(), k.min(all.len()));
        for (place, (one, want)) in found.iter().zip(&all).enumerate() {
            let at = format!("{k}, {place}, '{question}'");
            assert_eq!((&one.agent.id, one.score), (&want.agent.id, want.score), "{at}\n{}", want.explain());
            assert!((one.confidence - want.confidence).abs() < 1e-9, "{at}");
            assert_eq!(one.explain().evidence, want.explain().evidence, "{at}");
        }
    }
}

fn holds(seed: u64, count: usize, questions: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let agents = agents(&mut rng, count);
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    for part in agents.chunks(count / 3 + 1) {
        registry.add_all(part.to_vec()).unwrap();
    }
    for round in 0..questions {
        if round == questions / 2 {
            // Outcomes take part from here on.
            for agent in agents.iter().step_by(count / 20).filter(|agent| agent.tenant.is_none()) {
                let reward = f64::from(rng.random_range(0..2));
                (0..3).for_each(|_| registry.record_outcome(&agent.id, WORDS, reward).unwrap());
            }
        }
        let mut asked = question(&mut rng, &agents);
        if asked.trim().is_empty() {
            asked = "kidney".to_owned();
        }
        let options = MatchOptions {
            tenant: (round % 2 == 0).then(|| "clinic".to_owned()),
            max_cost: (round % 3 == 0).then_some(1.0),
            ..MatchOptions::default()
        };
        check(&registry, &asked, &options);
    }
}

#[test]
fn screening_loses_none_of_the_best() {
    for (seed, count) in [(1, 600), (2, 1_100), (3, 2_047), (4, 2_500), (5, 4_000), (6, 7_001)] {
        holds(seed, count, 24);
    }
}

#[test]
fn screening_loses_none_of_the_best_of_twenty_thousand() {
    holds(7, 20_000, 16);
}
