//! Are agents found by their topics in small registries and in large ones?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use quorate_agents::{Agent, AgentRegistry, MatchOptions, RegistryOptions};
use quorate_core::embed::StaticModel;

/// So many agents that know drugs and mothers, of whom one in 20 names the one topic, one in 20 the other, and one both.
fn registry(count: usize) -> AgentRegistry {
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    let mut agents: Vec<Agent> = (0..count)
        .map(|n| {
            let summary = format!("Helps mothers choose a medicine when expecting a child, desk {n}.");
            let topics = match n % 20 {
                0 => vec!["metformin".to_owned()],
                1 => vec!["pregnancy".to_owned()],
                _ => Vec::new(),
            };
            Agent { topics, ..Agent::new(format!("desk-{n}"), format!("Desk {n}"), summary) }
        })
        .collect();
    agents[count / 2] = Agent {
        topics: vec!["metformin".to_owned(), "pregnancy".to_owned()],
        ..Agent::new("both", "Archive", "Keeps paper in boxes of the cellar.")
    };
    registry.add_all(agents).unwrap();
    registry
}

#[test]
fn who_names_all_topics_of_a_question_is_found_among_many_who_name_one() {
    for count in [2_000, 3_000, 6_000] {
        let registry = registry(count);
        let found = registry.match_agents("metformin in pregnancy", &MatchOptions::default()).unwrap();
        let ids: Vec<&str> = found.iter().map(|one| one.agent.id.as_str()).collect();
        assert_eq!(ids[0], "both", "{count}: {ids:?}\n{}", found[0].explain());
    }
}
