//! How is an expert asked?

use quorate::Error;
use quorate::agents::{AgentRegistry, MatchOptions};
use quorate::runtime::{ConversationOptions, Question};
use serde_json::Value;

use super::events::{Show, follow};
use crate::args::Ask;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::{exit, input, text};

/// Below this probability that a question is anybody's, no expert is asked.
const IN_SCOPE: f64 = 0.5;

pub(crate) fn run(given: Ask, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let words = input::words(console, &given.query)?;
    super::filter(given.filter.as_deref())?;
    let output = match &given.output {
        Some(path) => {
            let read = serde_json::from_str(&input::file(path)?);
            Some(read.map_err(|e| Error::invalid(format!("{}: no JSON: {e}", path.display())))?)
        }
        None => None,
    };
    let kb = place.read(console)?;
    let registry = experts(&given, &words, place, console)?;
    let runtime = place.runtime(console, &kb, &given.answering, registry)?;
    let talk = match &given.conversation {
        Some(id) => Some(runtime.conversation(Some(id), ConversationOptions::default())?),
        None => None,
    };
    let question = Question {
        agent: given.agent.clone(),
        autonomous: given.autonomous,
        talk,
        output,
        filter: given.filter.clone().map(Value::from),
        seed: given.seed,
        cancel: console.cancel(),
        ..Question::new(words)
    };
    let show = Show::of(console, given.stream);
    let outcome = follow(console, &runtime, runtime.stream(question)?, show)?;
    tell(console, &outcome.answer, Some(&outcome.shown), show)
}

/// Whom a question can go to. Documents are about anything, and the experts of a catalogue about its field: where it is nobody's
/// question, the documents answer it without an expert.
fn experts(
    given: &Ask,
    question: &str,
    place: &Place,
    console: &mut Console,
) -> Result<Option<AgentRegistry>, Failure> {
    let registry = place.agents()?;
    if given.agent.is_some() {
        return Ok(Some(registry));
    }
    let options = MatchOptions { k: 1, tenant: place.tenant.clone(), ..MatchOptions::default() };
    let found = registry.cancelled_by(&console.cancel()).match_agents(question, &options)?;
    Ok(found.first().is_some_and(|best| best.explain().in_scope >= IN_SCOPE).then_some(registry))
}

/// Shows an answer to who has seen `shown` of it, and its sources.
pub(super) fn tell(
    console: &mut Console,
    answer: &Value,
    shown: Option<&str>,
    show: Show,
) -> Result<u8, Failure> {
    let code = code(answer);
    if console.is_json() {
        if show != Show::Lines {
            console.document(answer)?;
        }
        return Ok(code);
    }
    let said = |name: &str| answer[name].as_str().unwrap_or_default();
    let shown = shown.unwrap_or_default().trim_end();
    if !shown.is_empty() && shown.ends_with(said("text").trim_end()) {
        console.say("")?;
    } else {
        if !shown.is_empty() {
            console.say("\n")?;
        }
        let text = text::lines(said("text").trim_end()).into_owned();
        console.say(&text)?;
    }
    citations(console, answer)?;
    for pending in answer["pending"].as_array().into_iter().flatten() {
        let call = pending["id"].as_str().or(pending["call_id"].as_str()).unwrap_or_default();
        console.note(&format!(
            "waits for a decision: quorate runs resume {} --approve {}",
            text::line(said("run_id")),
            text::line(call)
        ));
    }
    console.note(&footer(answer));
    Ok(code)
}

/// The sources that a text names.
pub(super) fn citations(console: &mut Console, answer: &Value) -> Result<(), Failure> {
    let Some(all) = answer["citations"].as_array().filter(|all| !all.is_empty()) else { return Ok(()) };
    console.say("")?;
    for citation in all {
        let of = |name: &str| text::line(citation[name].as_str().unwrap_or_default());
        let (title, id) = (of("title"), of("doc_id"));
        let from = if title.is_empty() || title == id { id } else { format!("{title} ({id})") };
        console.say_cut(&format!("{} {from}: {}", of("marker"), of("text")))?;
    }
    Ok(())
}

/// Who answered, and how sure.
fn footer(answer: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(agent) = answer["agent"].as_str() {
        parts.push(format!("expert {}", text::line(agent)));
    }
    if let Some(confidence) = answer["confidence"].as_f64() {
        parts.push(format!("confidence {confidence:.2}"));
    }
    if let Some(grounded) = answer["grounded"].as_f64() {
        parts.push(format!("{:.0} % grounded", 100.0 * grounded));
    }
    if let Some(cost) = answer["cost"].as_f64().filter(|cost| *cost > 0.0) {
        parts.push(format!("{cost:.4} USD"));
    }
    let status = answer["status"].as_str().unwrap_or_default();
    if status != "done" {
        let why = answer["stopped_by"].as_str().map(|why| format!(" ({})", text::line(why)));
        parts.push(format!("{status}{}", why.unwrap_or_default()));
    }
    parts.push(format!("run {}", text::line(answer["run_id"].as_str().unwrap_or_default())));
    parts.join(", ")
}

/// The exit code of an answer. To say that the sources have no answer is an answer.
pub(super) fn code(answer: &Value) -> u8 {
    match answer["status"].as_str().unwrap_or_default() {
        "cancelled" => exit::CANCELLED,
        "refused" | "partial" | "no_consensus" => exit::REFUSED,
        "failed" => exit::FAILED,
        _ => exit::DONE,
    }
}
