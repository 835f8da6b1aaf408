//! How is a panel asked?

use std::path::Path;

use quorate::runtime::{PanelOptions, panel_page};
use quorate::{Error, Result};
use quorate_bindings::Host;
use quorate_bindings::runtime::{PanelModels, panel_options};
use serde_json::{Value, json};

use super::ask::{citations, code};
use super::events::{Show, follow};
use crate::args::Panel;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::table::Table;
use crate::{input, text};

pub(crate) fn run(given: Panel, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let question = input::words(console, &given.query)?;
    super::filter(given.filter.as_deref())?;
    if let Some(path) = &given.html {
        check_file(path)?;
    }
    let members = (!given.member.is_empty()).then_some(&given.member);
    let asked = json!({
        "type": given.kind, "size": given.size, "members": members, "options": given.option, "rounds": given.rounds,
        "quorum": given.quorum, "where": given.filter, "seed": given.seed,
    });
    let options = panel_options(Host::Python, asked, PanelModels::default())?;
    let kb = place.read(console)?;
    let registry = place.agents()?;
    let runtime = place.runtime(console, &kb, &given.answering, Some(registry))?;
    let options = PanelOptions { cancel: console.cancel(), ..options };
    let show = if given.stream { Show::Lines } else { Show::Nothing };
    let outcome = follow(console, &runtime, runtime.stream_panel(question, options)?, show)?;
    if let Some(path) = &given.html {
        write(path, &panel_page(&outcome.answer)?)?;
    }
    let code = tell(console, &outcome.answer, show)?;
    if let Some(path) = &given.html {
        console.note(&format!("report: {}", path.display()));
    }
    Ok(code)
}

/// A file that can be written is worth asking for. Errors: `not_found`, `invalid_argument`.
pub(super) fn check_file(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::invalid(format!("{} is a folder; a file is expected", path.display())));
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            std::fs::read_dir(folder).map(|_| ()).map_err(|e| Error::io(folder, e))
        }
        _ => Ok(()),
    }
}

/// Replaces a file. Errors: those of writing.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    quorate::core::files::replace(path, false, |file| std::io::Write::write_all(file, text.as_bytes()))
}

/// Shows what a panel came to.
pub(super) fn tell(console: &mut Console, answer: &Value, show: Show) -> Result<u8, Failure> {
    let code = code(answer);
    if console.is_json() {
        if show != Show::Lines {
            console.document(answer)?;
        }
        return Ok(code);
    }
    let of = |value: &Value, name: &str| text::line(value[name].as_str().unwrap_or_default());
    let mut table = Table::new(["MEMBER", "ROLE", "WEIGHT", "WHY"]).right([2]);
    for member in answer["members"].as_array().into_iter().flatten() {
        let weight = member["counts"].as_f64().unwrap_or_default();
        table.row([of(member, "id"), of(member, "role"), format!("{weight:.2}"), of(member, "why")]);
    }
    console.table(&table)?;
    console.say("")?;
    let score = &answer["score"];
    if !score.is_null() {
        let head = console.bold(&format!("Decision: {}", decision(&score["decision"])));
        console.say(&head)?;
        let share = |name: &str| score[name].as_f64().map(|value| format!("{:.0} %", 100.0 * value));
        console.say(&format!(
            "{} consensus, support {}, confidence {}, {} voters",
            of(score, "level").replace('_', " "),
            share("support").unwrap_or_default(),
            share("confidence").unwrap_or_default(),
            score["voters"]
        ))?;
        console.say("")?;
    }
    let synthesis = text::lines(answer["synthesis"].as_str().unwrap_or_default().trim_end()).into_owned();
    console.say(&synthesis)?;
    for minority in answer["minority"].as_array().into_iter().flatten() {
        let share = minority["share"].as_f64().unwrap_or_default();
        console.say("")?;
        console.say_cut(&format!("Minority, {:.0} %: {}", 100.0 * share, of(minority, "position")))?;
        for ballot in minority["ballots"].as_array().into_iter().flatten() {
            let reason = of(&ballot["reasons"][0], "text");
            console.say_cut(&format!("  {}: {reason}", of(ballot, "member")))?;
        }
    }
    citations(console, answer)?;
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let warning = text::line(warning);
        console.note(&format!("note: {warning}"));
    }
    let why = answer["stopped_by"].as_str().map(|why| format!(" ({})", text::line(why))).unwrap_or_default();
    console.note(&format!("{}{why}, run {}", of(answer, "status"), of(answer, "run_id")));
    Ok(code)
}

/// A decision in words.
fn decision(decision: &Value) -> String {
    match decision {
        Value::String(said) => text::line(said),
        Value::Null => "none".to_owned(),
        Value::Object(members) => {
            let parts: Vec<String> = members
                .iter()
                .map(|(name, value)| match value {
                    Value::String(value) if name == "option" || name == "value" => text::line(value),
                    Value::String(value) => format!("{}: {}", text::line(name), text::line(value)),
                    value => format!("{}: {}", text::line(name), text::line(&value.to_string())),
                })
                .collect();
            parts.join(", ")
        }
        other => text::line(&other.to_string()),
    }
}
