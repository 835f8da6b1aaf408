//! Are agents found by their topics in small registries and in large ones?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use quorate_agents::{Agent, AgentRegistry, MatchOptions, RegistryOptions};
use quorate_core::embed::StaticModel;

/// So many agents with this summary, of whom one in `every` names the one topic, one in `every` the other, and one, who is
/// described as something else, both.
fn registry(count: usize, every: usize, summary: &str, topics: [&str; 2]) -> AgentRegistry {
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    let [first, second] = topics.map(str::to_owned);
    let mut agents: Vec<Agent> = (0..count)
        .map(|n| {
            let topics = match n % every {
                0 => vec![first.clone()],
                1 => vec![second.clone()],
                _ => Vec::new(),
            };
            Agent {
                topics,
                ..Agent::new(format!("desk-{n}"), format!("Desk {n}"), format!("{summary} {n}."))
            }
        })
        .collect();
    agents[count / 2] = Agent {
        topics: vec![first, second],
        ..Agent::new("both", "Archive", "Keeps paper in boxes of the cellar.")
    };
    // In parts, so that there are several segments.
    for part in agents.chunks(count.div_ceil(3) + 1) {
        registry.add_all(part.to_vec()).unwrap();
    }
    registry
}

/// Asks for few, and holds the answer against that of comparing all, which is what who asks for more than 128 gets. Gives the
/// place of who names both topics.
fn place(count: usize, every: usize, summary: &str, topics: [&str; 2], question: &str) -> Option<usize> {
    let registry = registry(count, every, summary, topics);
    let of = |options: &MatchOptions| {
        let found = registry.match_agents(question, options).unwrap();
        found.into_iter().map(|one| (one.agent.id.clone(), one.score)).collect::<Vec<_>>()
    };
    let mut place = None;
    for max_cost in [None, Some(1.0)] {
        let all = of(&MatchOptions { k: 10_000, max_cost, ..MatchOptions::default() });
        for k in [1, 5, 100] {
            assert_eq!(
                of(&MatchOptions { k, max_cost, ..MatchOptions::default() }),
                all[..k],
                "{question}, {k}"
            );
        }
        place = all.iter().position(|(id, _)| id == "both");
    }
    place
}

const MOTHERS: &str = "Helps mothers choose a medicine when expecting a child, desk";

#[test]
fn who_names_all_topics_of_a_question_is_found_among_many_who_name_one() {
    for count in [2_000, 3_000, 5_000, 20_000] {
        let place = place(count, 20, MOTHERS, ["metformin", "pregnancy"], "metformin in pregnancy");
        assert_eq!(place, Some(0), "{count}");
    }
}

#[test]
fn topics_that_many_have_count_too() {
    // Each is the topic of one in three, of one in twenty and of one in two hundred.
    for every in [3, 20, 200] {
        let place = place(5_000, every, MOTHERS, ["metformin", "pregnancy"], "metformin in pregnancy");
        assert!(place.is_some_and(|place| place < 5), "{every}: {place:?}");
    }
}

#[test]
fn topics_of_common_words_count_as_in_small_registries() {
    // The description of everybody has them.
    let summary = "Answers questions about the care and the cost of patients at home, desk";
    let place = place(5_000, 20, summary, ["patient care", "home cost"], "the cost of patient care at home");
    assert!(place.is_some(), "{place:?}");
}

#[test]
fn topics_in_other_languages_count_as_in_small_registries() {
    for (summary, topics, question) in [
        (
            "Berät Mütter zu Arzneimitteln, Schalter",
            ["Metformin", "Schwangerschaft"],
            "Metformin in der Schwangerschaft",
        ),
        (
            "Conseille les mères sur les médicaments, guichet",
            ["metformine", "grossesse"],
            "metformine pendant la grossesse",
        ),
        ("Помогает матерям выбрать лекарство, окно", ["метформин", "беременность"], "метформин беременность"),
        ("帮助 母亲 选择 药物 窗口", ["二甲双胍", "怀孕"], "二甲双胍 怀孕"),
    ] {
        assert!(place(3_000, 20, summary, topics, question).is_some(), "{question}");
    }
}
