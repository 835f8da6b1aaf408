//! How do experts and panels answer over the protocol?

use std::fmt::Write as _;

use quorate::agents::{MatchOptions, PanelOptions as Selection};
use quorate::runtime::{Citation, Event, Member, PanelKind, PanelOptions, Question};
use quorate::{Cancel, Code, Error, Result};
use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::find::{CitationOut, bounded};
use super::{arguments, result};
use crate::caller::Caller;
use crate::resources::uri_of;
use crate::rooms::Room;

/// The most members of a panel.
const MAX_SIZE: usize = 12;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskArgs {
    /// The question.
    question: String,
    /// The id of the expert; without it the one that fits best answers.
    #[serde(default)]
    agent: Option<String>,
    /// Whether the expert plans, acts and checks by itself.
    #[serde(default)]
    autonomous: bool,
    /// Which documents it may use: an expression such as `year >= 2020`, or an object.
    #[serde(default, rename = "where")]
    filter: Option<Value>,
    /// Asking the same again with the same key gives the answer that there is.
    #[serde(default)]
    idempotency_key: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AskResult {
    /// The run that the answer comes from.
    run_id: String,
    /// How it ended: done, partial, waiting, cancelled, refused or abstained.
    status: String,
    /// Why it ended before it was done; null where it did not.
    stopped_by: Option<String>,
    /// The answer.
    text: String,
    /// The expert that answered; null where nobody in particular did.
    agent: Option<String>,
    /// The probability that the right expert answered, or that the sources answer, 0 to 1; null where it is not known.
    confidence: Option<f64>,
    /// The share of the statements that the sources bear out, 0 to 1; null where nothing was looked up.
    grounded: Option<f64>,
    /// The sources that the text names.
    citations: Vec<CitationOut>,
    /// US dollars; null where a price is not known.
    cost: Option<f64>,
}

/// `ask`.
pub(crate) fn ask(
    room: &Room,
    caller: &Caller,
    given: JsonObject,
    cancel: &Cancel,
    shown: impl Fn(Event) + Send + Sync + 'static,
) -> Result<CallToolResult> {
    let args: AskArgs = arguments(given)?;
    let agent = match args.agent {
        Some(id) => Some(room.expert(caller, &id)?.id.clone()),
        None if caller.permissions.is_some() && room.registry.is_some() => {
            Some(best(room, caller, &args.question, cancel)?)
        }
        None => None,
    };
    let question = Question {
        text: args.question,
        agent,
        autonomous: args.autonomous,
        filter: args.filter.filter(|given| !given.is_null()),
        idempotency_key: args.idempotency_key,
        cancel: cancel.clone(),
        ..Question::default()
    };
    let answer = room.runtime.ask_shown(question, shown)?;
    if let (Some(id), Some(_)) = (&answer.agent, &room.registry) {
        // Who has handed the question on may not have known what the caller holds.
        room.expert(caller, id)?;
    }
    let mut text = answer.text.clone();
    sources(&mut text, &answer.citations);
    let out = AskResult {
        run_id: answer.run_id,
        status: answer.status.as_str().to_owned(),
        stopped_by: answer.stopped_by,
        text: answer.text,
        agent: answer.agent,
        confidence: answer.confidence,
        grounded: answer.grounded,
        citations: answer.citations.into_iter().map(cited).collect(),
        cost: answer.cost,
    };
    result(text, &out)
}

/// The expert that fits best of those that exist for a caller with few permissions.
fn best(room: &Room, caller: &Caller, question: &str, cancel: &Cancel) -> Result<String> {
    let options = MatchOptions { k: 1, permissions: caller.permissions.clone(), ..MatchOptions::default() };
    let found = room.experts()?.cancelled_by(cancel).match_agents(question, &options)?;
    let first = found.first().map(|found| found.agent.id.clone());
    first.ok_or_else(|| Error::new(Code::UnknownId, "there is no expert that this caller may ask"))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PanelArgs {
    /// The question.
    question: String,
    /// How the members are asked.
    #[serde(default, rename = "type")]
    kind: KindArg,
    /// The ids of the experts; without them those are chosen that together know most about the question.
    #[serde(default)]
    members: Option<Vec<String>>,
    /// How many are chosen where none are named, 1 to 12.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 12))]
    size: usize,
    /// The answers to choose from.
    #[serde(default)]
    choices: Vec<String>,
    /// The ends of the scale of numbers.
    #[serde(default)]
    scale: Option<(f64, f64)>,
    /// The most rounds.
    #[serde(default)]
    rounds: Option<u32>,
    /// Which documents they may use: an expression such as `year >= 2020`, or an object.
    #[serde(default, rename = "where")]
    filter: Option<Value>,
    /// Asking the same again with the same key gives the panel that there is.
    #[serde(default)]
    idempotency_key: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum KindArg {
    #[default]
    Parallel,
    Sequential,
    Consensus,
    Debate,
    Socratic,
    Delphi,
}

fn three() -> usize {
    3
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PanelResult {
    /// The run that the outcome comes from.
    run_id: String,
    /// How it ended: done, partial, no_consensus, cancelled or failed.
    status: String,
    /// Which rule ended it; null where the number of rounds is fixed.
    stopped_by: Option<String>,
    /// The outcome in words, cited.
    synthesis: String,
    /// What the panel decides; null where it does not.
    decision: Option<Value>,
    /// The level of consensus: unanimous, strong, moderate, weak or no_consensus; null without ballots.
    level: Option<String>,
    /// The share of the weight that holds the leading position, 0 to 1; null without ballots.
    support: Option<f64>,
    /// How sure the panel is of its decision, 0 to 1; null without ballots.
    confidence: Option<f64>,
    /// The ids of those who were asked.
    members: Vec<String>,
    /// Those who hold something else.
    minority: Vec<MinorityOut>,
    /// How many rounds there were.
    rounds: usize,
    /// Whose ballot is missing, and why.
    dropped: Vec<DroppedOut>,
    /// The sources that ballots and synthesis name.
    citations: Vec<CitationOut>,
    /// US dollars; null where a price is not known.
    cost: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct MinorityOut {
    /// What they hold.
    position: String,
    /// Their share of the weight, 0 to 1.
    share: f64,
}

#[derive(Serialize, JsonSchema)]
struct DroppedOut {
    /// The round.
    round: u32,
    /// Whose.
    member: String,
    /// Why.
    reason: String,
}

/// `panel`.
pub(crate) fn panel(
    room: &Room,
    caller: &Caller,
    given: JsonObject,
    cancel: &Cancel,
    shown: impl Fn(Event) + Send + Sync + 'static,
) -> Result<CallToolResult> {
    let args: PanelArgs = arguments(given)?;
    let size = bounded("size", args.size, MAX_SIZE)?;
    let members = match &args.members {
        Some(ids) => {
            bounded("the number of members", ids.len(), MAX_SIZE)?;
            let found = ids.iter().map(|id| room.expert(caller, id).map(|agent| agent.id.clone()));
            Some(found.collect::<Result<Vec<String>>>()?)
        }
        None if caller.permissions.is_some() => Some(chosen(room, caller, &args.question, size, cancel)?),
        None => {
            room.experts()?;
            None
        }
    };
    let options = PanelOptions {
        kind: match args.kind {
            KindArg::Parallel => PanelKind::Parallel,
            KindArg::Sequential => PanelKind::Sequential,
            KindArg::Consensus => PanelKind::Consensus,
            KindArg::Debate => PanelKind::Debate,
            KindArg::Socratic => PanelKind::Socratic,
            KindArg::Delphi => PanelKind::Delphi,
        },
        members: members.map(|ids| ids.into_iter().map(Member::new).collect()),
        size,
        rounds: args.rounds,
        options: args.choices,
        scale: args.scale,
        filter: args.filter.filter(|given| !given.is_null()),
        idempotency_key: args.idempotency_key,
        cancel: cancel.clone(),
        ..PanelOptions::default()
    };
    let answer = room.runtime.panel_shown(args.question, options, shown)?;
    // As the library writes it, with null for a tie.
    let score = answer.score.as_ref().map(serde_json::to_value).transpose();
    let score =
        score.map_err(|error| Error::new(Code::Internal, format!("a score cannot be written: {error}")))?;
    let of_score =
        |name: &str| score.as_ref().and_then(|score| score.get(name)).filter(|value| !value.is_null());
    let out = PanelResult {
        run_id: answer.run_id,
        status: answer.status.as_str().to_owned(),
        stopped_by: answer.stopped_by,
        decision: of_score("decision").cloned(),
        level: of_score("level").and_then(Value::as_str).map(str::to_owned),
        support: of_score("support").and_then(Value::as_f64),
        confidence: of_score("confidence").and_then(Value::as_f64),
        members: answer.members.into_iter().map(|member| member.id).collect(),
        minority: answer
            .minority
            .into_iter()
            .map(|one| MinorityOut { position: one.position, share: one.share })
            .collect(),
        rounds: answer.rounds.len(),
        dropped: answer
            .dropped
            .into_iter()
            .map(|one| DroppedOut { round: one.round, member: one.member, reason: one.reason })
            .collect(),
        synthesis: answer.synthesis,
        citations: answer.citations.iter().cloned().map(cited).collect(),
        cost: answer.cost,
    };
    let mut text = out.synthesis.clone();
    if let (Some(level), Some(support)) = (&out.level, out.support) {
        let _ = write!(text, "\n\nConsensus: {level} ({:.0}% of the weight).", support * 100.0);
    }
    for one in &out.minority {
        let _ = write!(text, "\nMinority ({:.0}%): {}", one.share * 100.0, one.position);
    }
    sources(&mut text, &answer.citations);
    result(text.trim().to_owned(), &out)
}

/// The experts that together know most about a question, of those that exist for a caller with few permissions.
fn chosen(room: &Room, caller: &Caller, question: &str, size: usize, cancel: &Cancel) -> Result<Vec<String>> {
    let constraints = MatchOptions { permissions: caller.permissions.clone(), ..MatchOptions::default() };
    let options = Selection { size, constraints, ..Selection::default() };
    let panel = room.experts()?.cancelled_by(cancel).select_panel(question, &options)?;
    let members: Vec<String> = panel.members.iter().map(|member| member.matched.agent.id.clone()).collect();
    if members.is_empty() {
        return Err(Error::new(Code::UnknownId, "there is no expert that this caller may ask"));
    }
    Ok(members)
}

fn cited(citation: Citation) -> CitationOut {
    CitationOut {
        uri: uri_of(&citation.doc_id),
        marker: citation.marker,
        doc_id: citation.doc_id,
        title: citation.title,
        start: citation.start,
        end: citation.end,
    }
}

/// The sources behind a text, so that a model can name them.
fn sources(text: &mut String, citations: &[Citation]) {
    for (n, citation) in citations.iter().enumerate() {
        let title = if citation.title.is_empty() { &citation.doc_id } else { &citation.title };
        let lead = if n == 0 { "\n\nSources:" } else { "" };
        let _ = write!(text, "{lead}\n{} {title} ({})", citation.marker, uri_of(&citation.doc_id));
    }
}
