//! How do several experts decide together, and who differs?

use std::error::Error;
use std::io::Write;

use quorate::consensus::panel::Decision;
use quorate::models::{Message, Model, ModelOptions, Reply, ScriptedModel};
use quorate::runtime::{Member, PanelKind, PanelOptions, Role, Runtime, RuntimeOptions, Stance};
use serde_json::json;

/// A model that rates so, first alone and then with the others' ratings before it.
fn rater(first: u32, then: u32, reason: &'static str) -> quorate::Result<Model> {
    let rate = ScriptedModel::of_function(move |request, _| {
        let shown = request.messages.last().map(Message::text).unwrap_or_default();
        let number = if shown.contains("Nobody has spoken yet") { first } else { then };
        let ballot = json!({"number": number, "confidence": 0.8, "reasons": [{"text": reason}]});
        Ok(Reply::text_of(ballot.to_string()))
    });
    // Members that share a model are not independent voters: each has its own.
    Model::new(rate.named(format!("scripted:{reason}")), ModelOptions::default())
}

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let sums_up = ScriptedModel::of_function(|_, _| {
        Ok(Reply::text_of(json!({"text": "[P1] leads; [P2] warns."}).to_string()))
    });
    let sums_up = Model::new(sums_up, ModelOptions::default())?;
    let members = vec![
        Member::with("nephrology", rater(7, 7, "the kidney copes")?),
        Member::with("diabetes", rater(9, 8, "it lowers glucose")?),
        Member::with("pharmacy", rater(5, 7, "the dose can be halved")?),
        Member::with("safety", rater(2, 2, "lactic acidosis")?),
        // It sums up, and does not vote; a summary that leaves out a minority would be written from the ballots.
        Member { role: Role::Moderator, ..Member::with("chair", sums_up) },
    ];

    let model = Model::new(ScriptedModel::of_texts(Vec::<String>::new()), ModelOptions::default())?;
    let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
    let options = PanelOptions { members: Some(members), ..PanelOptions::of(PanelKind::Delphi) };
    let panel = runtime.panel("How appropriate is metformin at an eGFR of 40?", options)?;
    // `stream_panel` gives the same as it happens; here the rounds are told afterwards.
    for round in &panel.rounds {
        if let Some(item) = round.delphi.as_ref().and_then(|delphi| delphi.items.first()) {
            writeln!(
                out,
                "round {}: median {}, quartiles {} to {}",
                round.round, item.median, item.q1, item.q3
            )?;
        }
    }

    if let (Some(score), Some(blind)) = (&panel.score, &panel.baseline)
        && let (Decision::Number(decision), Decision::Number(before)) = (&score.decision, &blind.decision)
    {
        let (level, by) = (score.level.as_str(), panel.stopped_by.as_deref().unwrap_or_default());
        writeln!(out, "decision: {decision} ({level}), blind: {before}, ended by {by}")?;
    }
    let followed = &panel.conformity;
    writeln!(out, "changed: {}, to what led: {}", followed.flips, followed.to_majority)?;
    for ballot in panel.minority.iter().flat_map(|one| &one.ballots) {
        if let Stance::Number(number) = ballot.position {
            writeln!(out, "minority: {} rates {number}: {}", ballot.member, ballot.reasons[0].text)?;
        }
    }

    // A page of who said what, which needs nothing from elsewhere.
    writeln!(out, "page: {}", panel.report_html()?.lines().next().unwrap_or_default())?;
    Ok(())
}
