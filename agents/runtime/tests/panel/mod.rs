//! Scripted members for the tests of panels.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::Arc;

use quorate_agents::{AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embed, Embedder, EmbedderOptions};
use quorate_core::{Cancel, Result};
use quorate_models::{Model, ModelOptions, Price, Request, ScriptedModel};
use quorate_runtime::{
    Member, PanelAnswer, PanelKind, PanelOptions, Passage, Retrieve, Runtime, RuntimeOptions, Wanted,
};
use serde_json::{Value, json};

/// A model that says what `say` makes of a request; an object without `text` is the answer as data.
pub fn model(id: &str, say: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script = ScriptedModel::of_function(move |request, _| {
        let said = say(request);
        let plain = said.is_string() || said.get("refusal").is_some();
        ScriptedModel::reply_from_json(&if plain { said } else { json!(said.to_string()) })
    });
    let options = ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() };
    Model::new(script.named(id), options).unwrap()
}

/// A member with a model of its own.
pub fn member(id: &str, say: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Member {
    Member::with(id, model(&format!("scripted:model-of-{id}"), say))
}

/// What a request asks for: `ballot`, `statement`, `verdict`, `question`, `answer`, `synthesis` or `seeds`.
pub fn asked(request: &Request) -> String {
    // Scripted models read the form in the prompt.
    let text = prompt(request).replace(' ', "");
    const FORMS: [&str; 7] = ["ballot", "statement", "verdict", "question", "answer", "synthesis", "seeds"];
    let named = |form: &&&str| text.contains(&format!("\"title\":\"{form}\""));
    FORMS.iter().find(named).unwrap_or_else(|| panic!("{text}")).to_string()
}

/// Whether there is a proposal to object to.
pub fn can_object(request: &Request) -> bool {
    prompt(request).contains("\"objection\"")
}

/// Whether nobody has spoken yet.
pub fn is_blind(request: &Request) -> bool {
    prompt(request).contains("Nobody has spoken yet")
}

pub fn prompt(request: &Request) -> String {
    request.messages.iter().map(|message| message.text()).collect::<Vec<_>>().join("\n")
}

/// How many statements speak for a position.
pub fn speak_for(request: &Request, position: &str) -> usize {
    prompt(request).matches(&format!("for=\"{position}\"")).count()
}

pub fn ballot(choice: &str, confidence: f64, reason: &str) -> Value {
    json!({"choice": choice, "confidence": confidence, "reasons": [{"text": reason}]})
}

/// Always the same ballot, and something to say to all else.
pub fn stubborn(id: &'static str, choice: &'static str) -> Member {
    member(id, move |request| {
        answer(request, ballot(choice, 0.8, &format!("the reason of number {}", number(id))))
    })
}

/// A number for an id, since what a member says must not tell its name.
pub fn number(id: &str) -> u64 {
    id.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) % 100_000
}

/// The ballot where one is asked for; else something of the form asked for.
pub fn answer(request: &Request, ballot: Value) -> Value {
    match asked(request).as_str() {
        "ballot" => ballot,
        "verdict" => json!({"reason": "it is clearer", "winner": "first"}),
        "synthesis" => json!({"text": "All is said."}),
        "answer" => json!({"text": "So it is.", "claims": [{"claim": 1, "status": "open"}]}),
        _ => json!({"text": "This is a statement."}),
    }
}

pub fn yes_no() -> Vec<String> {
    vec!["yes".to_owned(), "no".to_owned()]
}

pub fn runtime() -> Runtime {
    let model = model("scripted:runtime", |request| answer(request, ballot("yes", 0.6, "by default")));
    Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() }).unwrap()
}

pub fn options(kind: PanelKind, members: Vec<Member>) -> PanelOptions {
    PanelOptions { members: Some(members), options: yes_no(), ..PanelOptions::of(kind) }
}

/// Sources that are always found.
pub struct Sources(pub Vec<&'static str>);

impl Retrieve for Sources {
    fn passages(&self, _question: &str, _wanted: &Wanted, _cancel: &Cancel) -> Result<Vec<Passage>> {
        let passage = |(i, text): (usize, &&str)| Passage {
            doc_id: format!("d{}", i + 1),
            text: (*text).to_owned(),
            end: text.len(),
            ..Passage::default()
        };
        Ok(self.0.iter().enumerate().map(passage).collect())
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

/// A runtime with these sources.
pub fn with_sources(texts: &[&'static str]) -> Runtime {
    let options = RuntimeOptions {
        model: Some(model("scripted:runtime", |request| answer(request, ballot("yes", 0.6, "by default")))),
        sources: Some(Arc::new(Sources(texts.to_vec()))),
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
}

/// A registry without a catalogue.
pub fn empty_registry() -> AgentRegistry {
    let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
    AgentRegistry::open(None, RegistryOptions::empty(embedder)).unwrap()
}

/// The option that a panel has decided for.
pub fn decision(answer: &PanelAnswer) -> Option<String> {
    answer.score.as_ref().and_then(|score| score.decision.option().map(str::to_owned))
}
