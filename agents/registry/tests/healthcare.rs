//! Is the healthcare catalogue complete, distinct and sound?

use std::collections::{BTreeMap, BTreeSet};

use quorate_agents::{Agent, Catalog, Taxonomy};

fn words(text: &str) -> BTreeSet<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Jaccard similarity of the words.
fn similarity(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let both = a.intersection(b).count() as f64;
    both / ((a.len() + b.len()) as f64 - both).max(1.0)
}

/// The pairs that are more alike than `limit`.
fn alike(texts: &[(String, String)], limit: f64) -> Vec<String> {
    let sets: Vec<_> = texts.iter().map(|(_, text)| words(text)).collect();
    let mut found = Vec::new();
    for i in 0..sets.len() {
        for j in 0..i {
            let s = similarity(&sets[i], &sets[j]);
            if s > limit {
                found
                    .push(format!("{s:.2}: {}: {} | {}: {}", texts[i].0, texts[i].1, texts[j].0, texts[j].1));
            }
        }
    }
    found
}

#[test]
fn every_agent_is_complete() {
    let catalog = Catalog::healthcare().unwrap();
    assert!(catalog.agents.len() >= 136, "{}", catalog.agents.len());
    let ids: BTreeSet<&str> = catalog.agents.iter().map(|a| a.id.as_str()).collect();
    for agent in &catalog.agents {
        let id = &agent.id;
        assert!(agent.examples().count() >= 5, "{id}: {} questions", agent.examples().count());
        assert!(!agent.capabilities.is_empty() && !agent.boundaries.is_empty(), "{id}");
        assert!(agent.capabilities.iter().all(|c| !c.evidence.is_empty()), "{id}: evidence");
        assert!(!agent.domain.is_empty() && !agent.tools.is_empty() && !agent.tags.is_empty(), "{id}");
        assert!(!agent.inputs.is_empty() && !agent.outputs.is_empty() && agent.cost_per_call > 0.0, "{id}");
        for boundary in &agent.boundaries {
            let to = boundary.refer_to.as_deref().unwrap_or_else(|| panic!("{id}: {}", boundary.topic));
            assert!(ids.contains(to) && to != id, "{id} refers to '{to}'");
        }
    }
    let flagships: BTreeSet<&str> = catalog
        .agents
        .iter()
        .filter(|a| a.tags.iter().any(|t| t == "flagship"))
        .map(|a| a.id.as_str())
        .collect();
    let want = [
        "clinical-researcher",
        "medical-specialist",
        "quality-assurance-expert",
        "regulatory-expert",
        "reimbursement-strategist",
    ];
    assert_eq!(flagships, BTreeSet::from(want));
}

#[test]
fn nothing_is_said_twice() {
    let catalog = Catalog::healthcare().unwrap();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut questions = Vec::new();
    for agent in &catalog.agents {
        for question in agent.examples() {
            let plain = words(question).into_iter().collect::<Vec<_>>().join(" ");
            if let Some(other) = seen.insert(plain, &agent.id) {
                panic!("{} and {other} ask the same: {question}", agent.id);
            }
            questions.push((agent.id.clone(), question.to_owned()));
        }
    }
    assert_eq!(alike(&questions, 0.55), Vec::<String>::new());
    let of = |text: fn(&Agent) -> &str| -> Vec<(String, String)> {
        catalog.agents.iter().map(|a| (a.id.clone(), text(a).to_owned())).collect()
    };
    assert_eq!(alike(&of(|a| &a.summary), 0.3), Vec::<String>::new());
    assert_eq!(alike(&of(|a| &a.name), 0.75), Vec::<String>::new());
}

#[test]
fn every_agent_has_topics_and_partners_of_its_own() {
    let catalog = Catalog::healthcare().unwrap();
    let ids: BTreeSet<&str> = catalog.agents.iter().map(|a| a.id.as_str()).collect();
    let mut reasons: BTreeMap<&str, &str> = BTreeMap::new();
    let mut having: BTreeMap<String, usize> = BTreeMap::new();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for agent in &catalog.agents {
        let id = agent.id.as_str();
        assert!(agent.topics.len() >= 12, "{id}: {} topics", agent.topics.len());
        assert!(
            agent.topics.iter().all(|t| t.split_whitespace().count() <= 8),
            "{id}: a topic is a sentence"
        );
        agent.topics.iter().for_each(|t| *having.entry(t.to_lowercase()).or_default() += 1);
        assert!(agent.works_with.len() >= 3, "{id}: {} partners", agent.works_with.len());
        for partner in &agent.works_with {
            assert!(ids.contains(partner.agent.as_str()) && partner.agent != id, "{id}: '{}'", partner.agent);
            assert!(partner.why.split_whitespace().count() >= 2, "{id}: {}", partner.why);
            if let Some(other) = reasons.insert(&partner.why, id) {
                panic!("{id} and {other} give the same reason: {}", partner.why);
            }
            named.insert(&partner.agent);
        }
    }
    // A topic that many have tells nobody apart.
    let common: Vec<_> = having.iter().filter(|(_, count)| **count > 6).collect();
    assert!(common.is_empty(), "{common:?}");
    assert!(named.len() * 10 >= ids.len() * 9, "{} of {} are somebody's partner", named.len(), ids.len());
}

/// What the catalogue writes once for several agents.
#[test]
fn shared_topics_say_whom_a_question_is_put_to() {
    let catalog = Catalog::healthcare().unwrap();
    let mut having: BTreeMap<&str, usize> = BTreeMap::new();
    catalog.agents.iter().flat_map(|a| &a.topics).for_each(|t| *having.entry(t).or_default() += 1);
    let text = include_str!("../catalog/healthcare/shared-topics.yaml");
    let bare = Catalog::problems(text, "shared-topics.yaml");
    // Alone the file names agents that nobody defines: each is told once, all of them are in the catalogue.
    let named: BTreeSet<&str> = catalog.agents.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(bare.len(), named.len(), "everybody shares a topic");
    assert!(bare.iter().all(|p| named.iter().any(|id| p.message.ends_with(&format!("'{id}'")))));
    let shared = having.values().filter(|count| **count >= 3).count();
    assert!(shared > 1000, "{shared}");
    let most = catalog.agents.iter().map(|a| a.topics.len()).max().unwrap();
    assert!(most <= 300, "{most} topics are too many to tell an agent by");
}

#[test]
fn every_capability_is_somebodys() {
    let catalog = Catalog::healthcare().unwrap();
    for (name, title) in catalog.taxonomy.iter() {
        assert!(!title.is_empty());
        assert!(catalog.agents.iter().any(|a| a.has_capability(name)), "nobody has {name}");
    }
    let fda: Vec<&Agent> = catalog.agents.iter().filter(|a| a.has_capability("regulatory.fda")).collect();
    assert!(fda.len() > 20 && fda.iter().any(|a| a.id == "fda-510k"));
    assert!(!fda.iter().any(|a| a.id == "eu-mdr"));
    assert!(catalog.taxonomy.contains("regulatory.fda.510k"));
    assert_eq!(Taxonomy::parent("regulatory.fda.510k"), Some("regulatory.fda"));
}

#[test]
fn the_published_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/agent.schema.json");
    let current = serde_json::to_string_pretty(&Agent::json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap();
    // The order of members is that of the workspace's build; built alone, this crate has JSON in another order.
    let [published, current]: [serde_json::Value; 2] =
        [published, current].map(|text| serde_json::from_str(&text).unwrap());
    assert_eq!(
        published, current,
        "run the tests of the workspace once with UPDATE_SCHEMA=1 and commit {path}"
    );
}
