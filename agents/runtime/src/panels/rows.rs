//! How does a panel become a table?

use quorate_core::Result;
use serde::Serialize;
use serde_json::Value;

use super::answer::PanelAnswer;
use super::member::Role;
use super::view;

/// A row for a data frame: one ballot, or one that is missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelRow {
    /// The round.
    pub round: u32,
    /// Whose.
    pub member: String,
    /// What the member is there for.
    pub role: Role,
    /// The model that answers for it.
    pub model: String,
    /// The position in words; `None` where the ballot is missing.
    pub position: Option<String>,
    /// The position by which it is counted.
    pub holds: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// How much it counts.
    pub weight: f64,
    /// Whether it says something else than the ballot before.
    pub changed: Option<bool>,
    /// Whether it counts in the end.
    pub counted: bool,
    /// The reasons, one below the other.
    pub reasons: Option<String>,
    /// The sources that they name.
    pub citations: Option<String>,
    /// What it says against a proposal.
    pub objection: Option<String>,
    /// Why it is missing.
    pub dropped: Option<String>,
}

impl PanelAnswer {
    /// A row for each ballot and each missing one, by round and in the order of the members. Errors: `internal`.
    pub fn rows(&self) -> Result<Vec<PanelRow>> {
        panel_rows(&self.to_json()?)
    }
}

/// The same of a panel's answer as JSON. Errors: `invalid_argument` for what is no such answer.
pub fn panel_rows(answer: &Value) -> Result<Vec<PanelRow>> {
    let answer = view::read(answer)?;
    let place = |id: &str| answer.members.iter().position(|member| member.id == id);
    let of = |id: &str| place(id).map(|at| &answer.members[at]);
    let blank = |round: u32, id: &str| PanelRow {
        round,
        member: id.to_owned(),
        role: of(id).map_or(Role::Moderator, |member| member.role),
        model: of(id).map(|member| member.model.clone()).unwrap_or_default(),
        position: None,
        holds: None,
        confidence: None,
        weight: of(id).map_or(0.0, |member| member.counts),
        changed: None,
        counted: false,
        reasons: None,
        citations: None,
        objection: None,
        dropped: None,
    };
    let given = answer.ballots.iter().map(|ballot| {
        let texts: Vec<&str> = ballot.reasons.iter().map(|reason| reason.text.as_str()).collect();
        let mut citations: Vec<&str> =
            ballot.reasons.iter().flat_map(|reason| &reason.citations).map(String::as_str).collect();
        citations.dedup();
        PanelRow {
            position: Some(view::words(&ballot.position)),
            holds: Some(ballot.holds.clone()),
            confidence: Some(ballot.confidence),
            weight: ballot.weight,
            changed: Some(ballot.changed),
            counted: ballot.counted,
            reasons: Some(texts.join("\n")),
            citations: Some(citations.concat()),
            objection: ballot.objection.clone(),
            ..blank(ballot.round, &ballot.member)
        }
    });
    let missing = answer
        .dropped
        .iter()
        .map(|one| PanelRow { dropped: Some(one.reason.clone()), ..blank(one.round, &one.member) });
    let mut rows: Vec<PanelRow> = given.chain(missing).collect();
    rows.sort_by_key(|row| (row.round, place(&row.member).unwrap_or(usize::MAX)));
    Ok(rows)
}
