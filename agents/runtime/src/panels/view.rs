//! Which parts of a panel's answer do its page and its table show?
//!
//! Read out of the answer as JSON, so that one that was kept, or has gone through another language, shows as it did.

use quorate_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use super::member::Role;

/// Errors: `invalid_argument` for what is no answer of a panel.
pub(super) fn read(answer: &Value) -> Result<Answer> {
    Answer::deserialize(answer).map_err(|e| Error::invalid(format!("this is no answer of a panel: {e}")))
}

/// A position in words, as [`super::Stance::words`] has it.
pub(super) fn words(position: &Value) -> String {
    match position {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" > "),
        Value::Object(members) => {
            let pairs = members.iter().map(|(name, value)| format!("{name} {}", words(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |x| x.to_string()),
        other => other.to_string(),
    }
}

#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) run_id: String,
    pub(super) question: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) stopped_by: Option<String>,
    pub(super) score: Option<Score>,
    pub(super) baseline: Option<Score>,
    pub(super) members: Vec<Member>,
    pub(super) weights: String,
    pub(super) rounds: Vec<Round>,
    pub(super) log: Vec<Entry>,
    pub(super) ballots: Vec<Ballot>,
    pub(super) minority: Vec<Minority>,
    pub(super) synthesis: String,
    pub(super) synthesis_by: String,
    pub(super) citations: Vec<Citation>,
    pub(super) dropped: Vec<Dropped>,
    pub(super) conformity: Conformity,
    pub(super) order: Option<Order>,
    pub(super) verdict: Option<Verdict>,
    pub(super) claims: Vec<Claim>,
    pub(super) coverage: Vec<Coverage>,
    pub(super) objections: Vec<Objection>,
    pub(super) alternative: Option<Alternative>,
    pub(super) warnings: Vec<String>,
    pub(super) usage: Usage,
    pub(super) cost: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Score {
    pub(super) decision: Value,
    pub(super) tied: Vec<String>,
    pub(super) level: String,
    pub(super) support: f64,
    pub(super) confidence: f64,
    pub(super) voters: usize,
    pub(super) effective_voters: f64,
    pub(super) agreement: Agreement,
    pub(super) intervals: Vec<Interval>,
    pub(super) groups: Option<Groups>,
}

#[derive(Deserialize)]
pub(super) struct Agreement {
    pub(super) value: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Interval {
    pub(super) of: String,
    pub(super) low: f64,
    pub(super) high: f64,
}

#[derive(Deserialize)]
pub(super) struct Groups {
    pub(super) rho: f64,
    pub(super) rho_is: String,
    pub(super) groups: Vec<Group>,
}

#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) voters: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) chair: bool,
    pub(super) weight: f64,
    pub(super) counts: f64,
    pub(super) model: String,
    pub(super) why: String,
}

#[derive(Deserialize)]
pub(super) struct Round {
    pub(super) round: u32,
    pub(super) stage: String,
    pub(super) ballots: usize,
    pub(super) asked: usize,
    pub(super) score: Option<Score>,
    pub(super) spread: Option<Spread>,
    pub(super) delphi: Option<Delphi>,
    pub(super) proposal: Option<String>,
    pub(super) question: Option<Question>,
}

#[derive(Deserialize)]
pub(super) struct Spread {
    pub(super) says: String,
}

#[derive(Deserialize)]
pub(super) struct Delphi {
    pub(super) items: Vec<Item>,
    pub(super) why: String,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) median: f64,
    pub(super) q1: f64,
    pub(super) q3: f64,
    pub(super) ipr: f64,
    pub(super) ipras: f64,
    pub(super) appropriateness: String,
    pub(super) consensus: bool,
    pub(super) stability: Option<Stability>,
}

#[derive(Deserialize)]
pub(super) struct Stability {
    pub(super) change: f64,
}

#[derive(Deserialize)]
pub(super) struct Question {
    pub(super) kind: String,
    pub(super) text: String,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) round: u32,
    pub(super) kind: String,
    pub(super) member: Option<String>,
    pub(super) text: String,
    pub(super) citations: Vec<String>,
    pub(super) prompt: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Ballot {
    pub(super) round: u32,
    pub(super) member: String,
    pub(super) position: Value,
    pub(super) holds: String,
    pub(super) confidence: f64,
    pub(super) reasons: Vec<Reason>,
    pub(super) objection: Option<String>,
    pub(super) weight: f64,
    pub(super) changed: bool,
    pub(super) counted: bool,
}

#[derive(Deserialize)]
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) citations: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Minority {
    pub(super) position: String,
    pub(super) share: f64,
    pub(super) ballots: Vec<Ballot>,
}

#[derive(Deserialize)]
pub(super) struct Citation {
    pub(super) marker: String,
    pub(super) doc_id: String,
    pub(super) title: String,
    pub(super) text: String,
}

#[derive(Deserialize)]
pub(super) struct Dropped {
    pub(super) round: u32,
    pub(super) member: String,
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Deserialize)]
pub(super) struct Conformity {
    pub(super) flips: usize,
    pub(super) to_majority: usize,
    pub(super) right_to_wrong: Option<usize>,
    pub(super) wrong_to_right: Option<usize>,
    pub(super) collapse: Option<f64>,
    pub(super) chances: usize,
    pub(super) adoption: Option<Rate>,
}

#[derive(Deserialize)]
pub(super) struct Rate {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) pairs: usize,
    pub(super) differ: usize,
    pub(super) p_value: f64,
    pub(super) assignments: u64,
    pub(super) exact: bool,
}

#[derive(Deserialize)]
pub(super) struct Verdict {
    pub(super) sides: [String; 2],
    pub(super) winner: Option<String>,
    pub(super) flipped: bool,
    pub(super) reasons: Vec<String>,
    pub(super) model: String,
    pub(super) independent: bool,
}

#[derive(Deserialize)]
pub(super) struct Claim {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) member: String,
    pub(super) status: String,
    pub(super) citations: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Coverage {
    pub(super) kind: String,
    pub(super) asked: usize,
    pub(super) answered: usize,
}

#[derive(Deserialize)]
pub(super) struct Objection {
    pub(super) member: String,
    pub(super) round: u32,
    pub(super) text: String,
}

#[derive(Deserialize)]
pub(super) struct Alternative {
    pub(super) method: String,
    pub(super) decision: Option<String>,
    pub(super) converged: bool,
}

#[derive(Deserialize)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
}
