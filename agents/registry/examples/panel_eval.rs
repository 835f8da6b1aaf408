//! How many members of a panel would a reader of the healthcare catalogue accept?
//!
//! Asks the questions of `tests/fixtures/panels.json`, or of another file of its form, and prints one JSON object: for
//! each half the share of acceptable agents among the five best matches, among panels of five, and among panels that
//! may be smaller, with their mean size. With the name of a half also who sits in each of its panels, and why.
//!
//! ```text
//! cargo run --release -p quorate-agents --example panel_eval -- MODEL [MIN_FIT [FILE [HALF]]]
//! ```
//!
//! `MODEL` is `builtin` or the folder of a model; `MIN_FIT` is .75 where it is not given.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use quorate_agents::{AgentRegistry, MatchOptions, Panel, PanelOptions, RegistryOptions};
use quorate_core::embed::{Embed, Embedder, EmbedderOptions, StaticModel};
use quorate_core::{Code, Error, Result};
use serde_json::json;

/// A question, who would be accepted, and whether settings may be chosen by it.
#[derive(serde::Deserialize)]
struct Question {
    half: String,
    question: String,
    experts: Vec<String>,
}

/// What was found in one half.
#[derive(Default)]
struct Half {
    questions: f64,
    matched: f64,
    five: f64,
    smaller: f64,
    members: f64,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize| arguments.get(i).map(String::as_str);
    let model: Arc<dyn Embed> = match argument(0).ok_or("name the model")? {
        "builtin" => StaticModel::builtin()?,
        path => Arc::new(Embedder::open(path, EmbedderOptions::default())?),
    };
    let min_fit: f64 = argument(1).unwrap_or("0.75").parse()?;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/panels.json");
    let questions = questions(argument(2).map_or(fixture.as_path(), Path::new))?;
    let shown = argument(3);
    let registry = AgentRegistry::open(None, RegistryOptions::new(model.clone()))?;
    let mut out = std::io::stdout().lock();
    let mut halves: BTreeMap<&str, Half> = BTreeMap::new();
    for asked in &questions {
        let good = |id: &str| asked.experts.iter().any(|expert| expert == id);
        let share = |ids: &[&str]| ids.iter().filter(|id| good(id)).count() as f64 / ids.len().max(1) as f64;
        let found = registry.match_agents(&asked.question, &MatchOptions::default())?;
        let five = registry.select_panel(&asked.question, &PanelOptions::default())?;
        let options = PanelOptions { min_fit, ..PanelOptions::default() };
        let smaller = registry.select_panel(&asked.question, &options)?;
        if shown == Some(asked.half.as_str()) {
            writeln!(out, "{} [{:.2}]", asked.question, share(&ids(&five)))?;
            for member in &five.members {
                let id = member.matched.agent.id.as_str();
                let mark = if good(id) { "+" } else { "-" };
                writeln!(out, "  {mark} {id} (fit {:.2}): {}", member.fit, member.seat.why)?;
            }
        }
        let half = halves.entry(asked.half.as_str()).or_default();
        half.questions += 1.0;
        half.matched += share(&found.iter().map(|m| m.agent.id.as_str()).collect::<Vec<_>>());
        half.five += share(&ids(&five));
        half.smaller += share(&ids(&smaller));
        half.members += smaller.members.len() as f64;
    }
    let halves: BTreeMap<&str, serde_json::Value> = halves
        .into_iter()
        .map(|(name, half)| {
            let mean = |sum: f64| (1e3 * sum / half.questions).round() / 1e3;
            let value = json!({
                "questions": half.questions, "match_at_five": mean(half.matched), "panel_of_five": mean(half.five),
                "smaller_panel": mean(half.smaller), "members_of_smaller": mean(half.members),
            });
            (name, value)
        })
        .collect();
    writeln!(out, "{:#}", json!({"embedder": model.id(), "min_fit": min_fit, "halves": halves}))?;
    Ok(())
}

fn ids(panel: &Panel) -> Vec<&str> {
    panel.members.iter().map(|m| m.matched.agent.id.as_str()).collect()
}

fn questions(path: &Path) -> Result<Vec<Question>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::new(Code::LoadFailed, format!("{}: {e}", path.display())))
}
