//! Who should answer a question? Agents that are described by what they can do, and found by it.

use std::error::Error;
use std::io::Write;

use quorate::agents::{Agent, AgentRegistry, MatchOptions, RegistryOptions, Skill};
use quorate::core::embed::StaticModel;
use quorate::rag::Filter;

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // The healthcare catalogue ships with the library; `RegistryOptions::empty` begins with nobody, and a path keeps a registry in
    // a file.
    let registry = AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin()?))?;
    let question = "Is a 510(k) needed for our ECG app?";
    let one = MatchOptions { k: 1, ..MatchOptions::default() };
    for found in registry.match_agents(question, &one)? {
        writeln!(out, "best: {} ({})", found.agent.name, found.agent.domain)?;
    }

    // Conditions: a capability that the agent must have, a filter on its fields, the most that a call may cost.
    let options = MatchOptions {
        k: 3,
        require: vec!["reimbursement".into()],
        filter: Some(Filter::parse("latency = 'interactive'")?),
        max_cost: Some(0.1),
        ..MatchOptions::default()
    };
    let matches = registry.match_agents(question, &options)?;
    let field = matches.first().and_then(|best| best.agent.domain.split('/').next()).unwrap_or_default();
    writeln!(out, "{} within reimbursement; the best of them: {field}", matches.len())?;

    // With `abstain` nobody is named when nobody is likely to be right.
    let abstain = MatchOptions { abstain: true, ..MatchOptions::default() };
    let nobody = registry.match_agents("What is the weather tomorrow?", &abstain)?;
    writeln!(out, "for the weather: {}", nobody.len())?;

    // One's own agents stand beside the others.
    let summary = "Knows honeybees: swarms, hives, queens, honey and the diseases of bees.";
    let hives = Skill::new("hives", ["Why has my hive lost its queen?", "When do bees swarm?"]);
    registry.add(Agent { skills: vec![hives], ..Agent::new("bees", "Beekeeper", summary) })?;
    for found in registry.match_agents("Our bees leave the hive with their queen; what now?", &one)? {
        let sure = if found.confidence > 0.5 { "surely" } else { "perhaps" };
        writeln!(out, "for bees: {}, {sure}", found.agent.name)?;
    }

    // A registry learns: 1 for a good answer, 0 for a useless one. Questions like this one profit.
    registry.record_outcome("bees", "When do bees swarm?", 1.0)?;
    for found in registry.match_agents("When do bees swarm?", &one)? {
        writeln!(out, "outcomes: {}", found.explain().outcomes)?;
    }
    Ok(())
}
