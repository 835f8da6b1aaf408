//! Does every expert of the healthcare catalogue know how to answer, in words of its own, and is every tool described?

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::collections::{BTreeMap, BTreeSet};

use quorate_agents::{Agent, Catalog};
use serde::Deserialize;

/// What the runtime gives to a template of instructions.
const VARIABLES: [&str; 6] = ["name", "summary", "domain", "capabilities", "boundaries", "tools"];

/// Words of the template language, and names that a template gives itself.
const WORDS: [&str; 14] = [
    "if", "elif", "else", "endif", "for", "endfor", "in", "not", "and", "or", "is", "defined", "loop", "one",
];

/// Most that two instructions may share of their runs of five words (Jaccard).
const MOST_ALIKE: f64 = 0.3;

fn agents() -> Vec<(Agent, String)> {
    let agents = Catalog::healthcare().unwrap().agents;
    agents
        .into_iter()
        .map(|agent| {
            let text = agent.instructions.clone().unwrap_or_else(|| panic!("{}: no instructions", agent.id));
            (agent, text)
        })
        .collect()
}

fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A template in three: its text, the insides of its tags, and whether each tag that is opened is closed.
fn taken_apart(template: &str) -> (String, Vec<String>, bool) {
    let (mut text, mut tags, mut rest) = (String::new(), Vec::new(), template);
    while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        let close = match &rest[start..start + 2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        text.push_str(&rest[..start]);
        let Some(length) = rest[start..].find(close) else { return (text, tags, false) };
        tags.push(rest[start + 2..start + length].to_owned());
        rest = &rest[start + length + 2..];
    }
    text.push_str(rest);
    (text, tags, true)
}

/// The names that the inside of a tag reads: neither quoted nor behind a point or a bar.
fn names(tag: &str) -> Vec<String> {
    let unquoted: String = tag.split(['\'', '"']).step_by(2).collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    let mut before = ' ';
    let mut name = String::new();
    for c in unquoted.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            name.push(c);
            continue;
        }
        if !name.is_empty() {
            if !".|".contains(before) && !name.starts_with(|c: char| c.is_ascii_digit()) {
                found.push(std::mem::take(&mut name));
            }
            name.clear();
            before = ' ';
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    found
}

#[test]
fn every_agent_has_instructions_of_a_fitting_length() {
    for (agent, text) in agents() {
        let count = text.split_whitespace().count();
        let flagship = agent.tags.iter().any(|tag| tag == "flagship");
        let fitting = if flagship { 150..=250 } else { 40..=120 };
        assert!(fitting.contains(&count), "{}: {count} words, expected {fitting:?}", agent.id);
        let end = text.trim_end().chars().last();
        assert!(matches!(end, Some('.' | '?' | '!' | '}')), "{}: ends in {end:?}", agent.id);
    }
}

#[test]
fn templates_name_what_there_is() {
    for (agent, text) in agents() {
        let (_, tags, closed) = taken_apart(&text);
        assert!(closed, "{}: a tag is not closed", agent.id);
        for name in tags.iter().flat_map(|tag| names(tag)) {
            let known = VARIABLES.contains(&name.as_str()) || WORDS.contains(&name.as_str());
            assert!(known, "{}: its instructions name '{name}', known are {VARIABLES:?}", agent.id);
        }
        let opened =
            tags.iter().filter(|t| t.trim_start_matches('-').trim_start().starts_with("if ")).count();
        let ended = tags.iter().filter(|t| t.trim_matches(['-', ' ']) == "endif").count();
        assert_eq!(opened, ended, "{}", agent.id);
    }
    assert_eq!(names(" tools | join(' and ') "), ["tools"]);
    assert_eq!(names("for one in capabilities"), ["for", "one", "in", "capabilities"]);
    assert_eq!(names(" one.level ~ nmae "), ["one", "nmae"]);
    assert!(!taken_apart("{{ name }").2);
}

#[test]
fn each_is_told_whom_to_hand_over_to() {
    let agents = agents();
    let ids: BTreeSet<&str> = agents.iter().map(|(agent, _)| agent.id.as_str()).collect();
    for (agent, text) in &agents {
        let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
        for id in &named {
            assert!(ids.contains(id) && id != &agent.id, "{} hands over to '{id}'", agent.id);
        }
        for boundary in &agent.boundaries {
            let to = boundary.refer_to.as_deref().unwrap();
            assert!(named.contains(to), "{}: the instructions do not name {to}", agent.id);
        }
    }
}

#[test]
fn no_two_are_alike() {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut runs: Vec<(String, BTreeSet<String>)> = Vec::new();
    for (agent, text) in agents() {
        let (text, ..) = taken_apart(&text);
        for sentence in text.split(['.', '!', '?', '\n']) {
            let plain = words(sentence);
            // Fewer words are no sentence but what an abbreviation or a section number leaves.
            if plain.len() < 4 {
                continue;
            }
            let plain = plain.join(" ");
            if let Some(other) = seen.insert(plain, agent.id.clone()) {
                panic!("{other} and {} are both told: {sentence}", agent.id);
            }
        }
        let words = words(&text);
        runs.push((agent.id, words.windows(5).map(|run| run.join(" ")).collect()));
    }
    for (i, (id, a)) in runs.iter().enumerate() {
        for (other, b) in &runs[..i] {
            let both = a.intersection(b).count() as f64;
            let alike = both / ((a.len() + b.len()) as f64 - both).max(1.0);
            assert!(alike < MOST_ALIKE, "{alike:.2}: {id} and {other}");
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tools {
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tool {
    name: String,
    description: String,
    schema: serde_json::Value,
    effect: String,
    stand_in: StandIn,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum StandIn {
    /// Rows of a table of which one member is what an argument says.
    Lookup { by: String, table: Vec<serde_json::Map<String, serde_json::Value>> },
    /// A formula.
    Calculator { formula: String, source: String },
    /// The knowledge base, asked what an argument says.
    Search { by: String },
}

fn described(file: &str) -> Tools {
    let path = format!("{}/../runtime/worked/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_tool_that_is_named_is_described() {
    let healthcare = described("tools.yaml");
    check(&healthcare, &Catalog::healthcare().unwrap(), &[]);
    let known: Vec<&str> = healthcare.tools.iter().map(|tool| tool.name.as_str()).collect();
    check(&described("service-tools.yaml"), &Catalog::service().unwrap(), &known);
}

/// Whether a file describes each tool that a catalogue names and no other, but for those that are known elsewhere.
fn check(file: &Tools, catalog: &Catalog, known: &[&str]) {
    let described: Vec<&str> = file.tools.iter().map(|tool| tool.name.as_str()).collect();
    let named: BTreeSet<&str> = (catalog.agents.iter())
        .flat_map(|agent| agent.tools.iter().map(String::as_str))
        .filter(|name| !known.contains(name))
        .collect();
    // In the order of the alphabet, so none stands there twice.
    assert_eq!(described, named.into_iter().collect::<Vec<_>>());
    for tool in &file.tools {
        let name = &tool.name;
        assert!(tool.description.ends_with('.') && !tool.description.contains('\n'), "{name}");
        assert!(["read", "write"].contains(&tool.effect.as_str()), "{name}: {}", tool.effect);
        assert_eq!(tool.schema["type"], "object", "{name}");
        assert_eq!(tool.schema["additionalProperties"], false, "{name}");
        let properties = tool.schema["properties"].as_object().unwrap();
        assert!(!properties.is_empty(), "{name}");
        for (argument, schema) in properties {
            assert!(schema["type"].is_string(), "{name}: {argument} has no type");
            let told = schema["description"].is_string() || schema["enum"].is_array();
            assert!(told, "{name}: what is {argument}?");
        }
        let required = tool.schema["required"].as_array().unwrap();
        assert!(!required.is_empty(), "{name}");
        for argument in required {
            assert!(properties.contains_key(argument.as_str().unwrap()), "{name}: {argument}");
        }
        match &tool.stand_in {
            StandIn::Lookup { by, table } => {
                assert!(properties.contains_key(by) && table.len() >= 3, "{name}: {by}, {}", table.len());
                let keys: BTreeSet<String> =
                    table.iter().map(|row| row[by].as_str().unwrap().to_lowercase()).collect();
                assert_eq!(keys.len(), table.len(), "{name}: a row stands there twice");
                assert!(table.iter().all(|row| row.len() >= 2), "{name}: a row says nothing");
                // Where a schema lists what can be asked, each has its row.
                if let Some(listed) = properties[by]["enum"].as_array() {
                    let listed: BTreeSet<String> =
                        listed.iter().map(|value| value.as_str().unwrap().to_lowercase()).collect();
                    assert_eq!(keys, listed, "{name}");
                }
            }
            StandIn::Calculator { formula, source } => {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(!formula.is_empty() && formula.chars().all(plain), "{name}: {formula}");
                assert!(source.len() > 10, "{name}: {source}");
            }
            StandIn::Search { by } => assert!(properties.contains_key(by), "{name}: {by}"),
        }
    }
}
