//! Is the catalogue of customer service complete, distinct and found, and does it leave the default alone?

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::{BTreeMap, BTreeSet};

use quorate_agents::{AgentRegistry, Catalog, MatchOptions, RegistryOptions};
use quorate_core::embed::StaticModel;

fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

fn registry(catalog: &str) -> AgentRegistry {
    let options = RegistryOptions {
        catalog: Some(catalog.into()),
        ..RegistryOptions::new(StaticModel::builtin().unwrap())
    };
    AgentRegistry::open(None, options).unwrap()
}

#[test]
fn every_agent_is_complete() {
    let catalog = Catalog::service().unwrap();
    assert_eq!(Catalog::named("service").unwrap(), catalog);
    let ids: BTreeSet<&str> = catalog.agents.iter().map(|a| a.id.as_str()).collect();
    for id in ["customer-support", "faq", "orders", "leads"] {
        assert!(ids.contains(id), "{id} has golden tasks");
    }
    for agent in &catalog.agents {
        let id = agent.id.as_str();
        assert!(agent.examples().count() >= 5 && !agent.capabilities.is_empty(), "{id}");
        assert!(agent.capabilities.iter().all(|c| !c.evidence.is_empty()), "{id}: evidence");
        assert!(!agent.domain.is_empty() && !agent.tools.is_empty() && !agent.tags.is_empty(), "{id}");
        assert!(!agent.inputs.is_empty() && !agent.outputs.is_empty() && agent.cost_per_call > 0.0, "{id}");
        assert!(agent.topics.len() >= 12 && agent.works_with.len() >= 3, "{id}");
        let text = agent.instructions.as_deref().unwrap();
        let count = text.split_whitespace().count();
        assert!((40..=120).contains(&count), "{id}: {count} words");
        let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
        assert!(named.iter().all(|other| ids.contains(other) && *other != id), "{id}: {named:?}");
        assert!(!agent.boundaries.is_empty(), "{id}");
        for boundary in &agent.boundaries {
            let to = boundary.refer_to.as_deref().unwrap();
            assert!(ids.contains(to) && to != id && named.contains(to), "{id} refers to '{to}'");
        }
    }
    for (name, _) in catalog.taxonomy.iter() {
        assert!(catalog.agents.iter().any(|a| a.has_capability(name)), "nobody has {name}");
    }
}

#[test]
fn nothing_is_said_twice() {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for catalog in [Catalog::service().unwrap(), Catalog::healthcare().unwrap()] {
        for agent in catalog.agents {
            let instructions = agent.instructions.clone().unwrap_or_default();
            let sentences = instructions.split(['.', '!', '?', '\n']).map(str::to_owned);
            let reasons = agent.works_with.iter().map(|p| p.why.clone());
            let questions = agent.examples().map(str::to_owned).collect::<Vec<_>>();
            for said in sentences.chain(reasons).chain(questions).chain([agent.summary.clone()]) {
                let plain = words(&said);
                if plain.len() < 4 {
                    continue;
                }
                if let Some(other) = seen.insert(plain.join(" "), agent.id.clone()) {
                    panic!("{other} and {}: {said}", agent.id);
                }
            }
        }
    }
}

#[test]
fn both_catalogues_can_stand_in_one_registry() {
    let [service, healthcare] = [Catalog::service().unwrap(), Catalog::healthcare().unwrap()];
    let ids: BTreeSet<&str> = healthcare.agents.iter().map(|a| a.id.as_str()).collect();
    assert!(service.agents.iter().all(|a| !ids.contains(a.id.as_str())), "an id stands in both");
    let both = registry("healthcare");
    both.add_all(
        service.agents.iter().map(|a| quorate_agents::Agent { capabilities: vec![], ..a.clone() }).collect(),
    )
    .unwrap();
    assert_eq!(both.len(), healthcare.agents.len() + service.agents.len());
    let found = both.match_agents("Where is my parcel?", &MatchOptions::default()).unwrap();
    assert!(["delivery", "orders"].contains(&found[0].agent.id.as_str()), "{}", found[0].agent.id);
}

#[test]
fn the_default_stays_healthcare() {
    let options = RegistryOptions::new(StaticModel::builtin().unwrap());
    assert_eq!(options.catalog.as_deref(), Some("healthcare"));
    let registry = AgentRegistry::open(None, options).unwrap();
    assert_eq!(registry.len(), Catalog::healthcare().unwrap().agents.len());
    assert!(registry.get("orders").is_err());
}

/// Questions that are no examples of the catalogue.
#[test]
fn customers_find_who_helps() {
    let registry = registry("service");
    let ask = |question: &str, k| -> Vec<String> {
        let options = MatchOptions { k, ..Default::default() };
        let found = registry.match_agents(question, &options).unwrap();
        found.iter().map(|m| m.agent.id.clone()).collect()
    };
    let expected = [
        ("I ordered ten minutes ago and want to cancel", "orders"),
        ("My package should have been here on Monday", "delivery"),
        ("How long can I return the shoes?", "returns"),
        ("My bank shows the amount twice", "billing"),
        ("I cannot log in any more", "account-access"),
        ("We are a clinic with 40 nurses and would like a demo", "leads"),
        ("The screen stays black after the update", "technical-support"),
        ("I want to complain about your employee", "customer-complaints"),
        ("Do you accept gift cards?", "faq"),
        ("I would like to order three of these", "order-entry"),
        ("Let me speak to a person", "customer-support"),
    ];
    let mut first = 0;
    for (question, id) in expected {
        let found = ask(question, 3);
        assert!(found.iter().any(|f| f == id), "{question}: {found:?}");
        first += usize::from(found[0] == id);
    }
    assert!(first >= 9, "{first} of {} come first", expected.len());
    for question in ["What will the weather be tomorrow?", "Write a poem about winter", "asdf qwer"] {
        let options = MatchOptions { abstain: true, ..Default::default() };
        let found = registry.match_agents(question, &options).unwrap();
        assert!(found.is_empty(), "{question}: {}", found[0].agent.id);
    }
}
