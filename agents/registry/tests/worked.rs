//! Do the worked questions of the flagships find their expert, and do their recorded answers say what they have to?

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::{BTreeMap, BTreeSet};

use quorate_agents::{AgentRegistry, MatchOptions, RegistryOptions};
use quorate_core::embed::StaticModel;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Worked {
    questions: Vec<Question>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    agent: String,
    question: String,
    passages: Vec<Passage>,
    contains: Vec<String>,
    answer: String,
    #[serde(default)]
    tool: Option<Call>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Passage {
    title: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    arguments: serde_json::Map<String, serde_json::Value>,
    result: serde_json::Value,
}

fn file<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/../runtime/worked/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn registry() -> AgentRegistry {
    AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin().unwrap())).unwrap()
}

/// An answer in parts that end in a marker: their words, and the sources that they name.
fn statements(answer: &str) -> Vec<(String, Vec<usize>)> {
    let (mut found, mut text): (Vec<(String, Vec<usize>)>, String) = (Vec::new(), String::new());
    let mut rest = answer;
    while let Some(start) = rest.find('[') {
        let end = start + rest[start..].find(']').unwrap();
        text.push_str(&rest[..start]);
        let number = rest[start + 1..end].parse().unwrap();
        // What stands before the last end of a sentence is another's: it has no marker and states nothing of a source.
        let sentence = text.trim_start_matches('.').rsplit(['?', '!']).next().unwrap();
        let sentence = sentence.rsplit(". ").next().unwrap().trim().to_owned();
        match found.last_mut() {
            Some((_, numbers)) if sentence.is_empty() => numbers.push(number),
            _ => found.push((sentence, vec![number])),
        }
        text.clear();
        rest = &rest[end + 1..];
    }
    found
}

/// Figures of a text, without the points and commas at their ends.
fn figures(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_alphanumeric() || ".,".contains(c)))
        .map(|w| w.trim_matches(['.', ',']))
        .filter(|w| w.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_flagship_has_five_and_is_found_for_them() {
    let worked: Worked = file("questions.yaml");
    let registry = registry();
    let flagships: Vec<String> = (registry.list(None).unwrap().iter())
        .filter(|agent| agent.tags.iter().any(|tag| tag == "flagship"))
        .map(|agent| agent.id.clone())
        .collect();
    let mut counts: BTreeMap<&str, usize> = flagships.iter().map(|id| (id.as_str(), 0)).collect();
    let mut lost = Vec::new();
    for question in &worked.questions {
        *counts.get_mut(question.agent.as_str()).unwrap_or_else(|| panic!("{}", question.agent)) += 1;
        let options = MatchOptions { abstain: true, ..Default::default() };
        let found = registry.match_agents(&question.question, &options).unwrap();
        let ids: Vec<&str> = found.iter().map(|m| m.agent.id.as_str()).collect();
        if ids.first() != Some(&question.agent.as_str()) {
            lost.push(format!("{}: {ids:?}", question.question));
        }
        let asked = registry.get(&question.agent).unwrap();
        assert!(asked.examples().all(|example| example != question.question), "{}", question.question);
    }
    assert!(counts.values().all(|&count| count == 5), "{counts:?}");
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn recorded_answers_say_what_their_sources_bear_out() {
    let worked: Worked = file("questions.yaml");
    for question in &worked.questions {
        let (asked, answer) = (&question.question, &question.answer);
        assert!((2..=4).contains(&question.passages.len()), "{asked}");
        for passage in &question.passages {
            let words = passage.text.split_whitespace().count();
            assert!(!passage.title.is_empty() && (60..=150).contains(&words), "{}: {words}", passage.title);
        }
        assert!(!question.contains.is_empty(), "{asked}");
        for part in &question.contains {
            assert!(answer.to_lowercase().contains(&part.to_lowercase()), "{asked}: '{part}' is not said");
        }
        let statements = statements(answer);
        let named: BTreeSet<usize> = statements.iter().flat_map(|(_, numbers)| numbers.clone()).collect();
        assert_eq!(named, (1..=question.passages.len()).collect(), "{asked}: sources that are named");
        for (statement, numbers) in &statements {
            let sources: String =
                numbers.iter().map(|n| question.passages[n - 1].text.to_lowercase() + " ").collect();
            let content: Vec<String> = statement
                .to_lowercase()
                .split(|c: char| !c.is_alphanumeric())
                .filter(|w| w.len() > 3)
                .map(str::to_owned)
                .collect();
            let borne = content.iter().filter(|w| sources.contains(w.as_str())).count();
            assert!(3 * borne >= 2 * content.len(), "{borne} of {} words: {statement}", content.len());
            let known = figures(&sources);
            let odd: Vec<String> = figures(&statement.to_lowercase()).difference(&known).cloned().collect();
            assert!(odd.is_empty(), "{odd:?} are not in the source of: {statement}");
        }
    }
}

#[test]
fn recorded_calls_are_of_tools_that_the_agent_has() {
    let worked: Worked = file("questions.yaml");
    let tools: serde_json::Value = file("tools.yaml");
    let registry = registry();
    let mut calls = 0;
    for question in &worked.questions {
        let Some(call) = &question.tool else { continue };
        calls += 1;
        let agent = registry.get(&question.agent).unwrap();
        assert!(agent.tools.contains(&call.name), "{} has no {}", agent.id, call.name);
        let described =
            tools["tools"].as_array().unwrap().iter().find(|t| t["name"] == call.name.as_str()).unwrap();
        let schema = &described["schema"];
        for argument in call.arguments.keys() {
            assert!(schema["properties"][argument].is_object(), "{}: {argument}", call.name);
        }
        for argument in schema["required"].as_array().unwrap() {
            assert!(call.arguments.contains_key(argument.as_str().unwrap()), "{}: {argument}", call.name);
        }
        // What a table gives offline is what was recorded.
        if described["stand_in"]["kind"] == "lookup" {
            let by = described["stand_in"]["by"].as_str().unwrap();
            let mut rows = described["stand_in"]["table"].as_array().unwrap().iter();
            assert!(
                rows.any(|row| row[by] == call.arguments[by] && *row == call.result),
                "{}",
                question.question
            );
        } else {
            // A search of the sources gives them.
            let found = call.result["passages"].as_array().unwrap();
            let texts: Vec<&str> = found.iter().map(|one| one["text"].as_str().unwrap()).collect();
            assert_eq!(texts, question.passages.iter().map(|p| p.text.as_str()).collect::<Vec<_>>());
        }
    }
    assert!(calls >= 5, "{calls} calls");
}
