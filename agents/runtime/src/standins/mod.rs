//! What stands in for the tools that the experts of the catalogues name, where nothing is connected?
//!
//! A tool has a schema and one of three stand-ins: a table to look something up in ([`lookup`]), a formula
//! ([`calculator`]), or the documents of the caller ([`search`]). They are data, in `worked/tools.yaml` and `worked/service-tools.yaml`. Nothing is sent
//! anywhere: a tool that would change something says that it has not.

mod calculator;
mod clinical;
mod dates;
mod distribution;
mod given;
mod laboratory;
mod lookup;
mod money;
mod numbers;
mod plan;
mod read;
mod search;
mod statistics;
mod text;
mod trade;
mod trials;

use std::sync::Arc;

use quorate_agents::Agent;
use quorate_core::{Code, Error, Result, shorten};
use serde_json::{Map, Value};

use crate::evidence::Retrieve;
use crate::tool::{Effect, Tool, ToolCard, ToolContext};
use read::{Described, StandIn, described};

/// The stand-ins of the tools that an expert names, in its order. Those that look something up in documents ask
/// `sources`; without them they say that no documents are connected.
///
/// What a stand-in gives is an object. A table gives its row, or says which rows there are. A formula gives its numbers,
/// rounded to ten digits, with its `source`. A tool whose effect is to write still waits for approval, changes nothing,
/// and says so.
///
/// Errors: `tool_unknown` for a name that no stand-in has, with those that are near; `internal` should the tools that
/// ship be broken. Those of a call: `tool_arguments` where a formula has no answer, those of the search.
///
/// ```
/// use quorate_agents::Agent;
/// use quorate_runtime::offline_tools;
/// let agent = Agent { tools: vec!["ecg-viewer".into()], ..Agent::new("a", "Cardiologist", "Reads an ECG.") };
/// let tools = offline_tools(&agent, None)?;
/// assert_eq!(tools[0].card().name, "ecg-viewer");
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn offline_tools(agent: &Agent, sources: Option<Arc<dyn Retrieve>>) -> Result<Vec<Arc<dyn Tool>>> {
    let known = described()?;
    let mut tools: Vec<Arc<dyn Tool>> = Vec::with_capacity(agent.tools.len());
    for (i, name) in agent.tools.iter().enumerate() {
        if agent.tools[..i].contains(name) {
            continue;
        }
        let Some(what) = known.iter().find(|what| what.name == *name) else {
            return Err(Error::new(Code::ToolUnknown, unknown(&agent.id, name, known)));
        };
        let card = ToolCard {
            effect: what.effect,
            ..ToolCard::new(&what.name, &what.description, what.schema.clone())
        };
        card.validate()?;
        tools.push(Arc::new(Offline { card, what, sources: sources.clone() }));
    }
    Ok(tools)
}

/// The names of the tools that have a stand-in, in order. Errors: `internal` should the tools that ship be broken.
///
/// ```
/// assert!(quorate_runtime::offline_tool_names()?.contains(&"egfr-calculator"));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn offline_tool_names() -> Result<Vec<&'static str>> {
    let mut names: Vec<&str> = described()?.iter().map(|what| what.name.as_str()).collect();
    names.sort_unstable();
    Ok(names)
}

/// A tool that asks nobody.
struct Offline {
    card: ToolCard,
    what: &'static Described,
    sources: Option<Arc<dyn Retrieve>>,
}

impl Tool for Offline {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> Result<Value> {
        let mut found = match &self.what.stand_in {
            StandIn::Lookup { by, table } => lookup::look_up(by, table, &arguments)?,
            StandIn::Calculator { formula, source } => calculator::calculate(formula, source, &arguments)?,
            StandIn::Search { by } => {
                search::search(by, &arguments, self.sources.as_deref(), &context.cancel)?
            }
        };
        if self.card.effect == Effect::Write {
            found.insert("says".to_owned(), NOTHING_SENT.into());
        }
        Ok(Value::Object(found))
    }
}

/// What a tool that writes says.
const NOTHING_SENT: &str = "This is a stand-in without a connection: nothing was sent, filed or kept.";

/// How many names are offered for one that is unknown.
const MOST_NEAR: usize = 5;

/// From which likeness on a name is near.
const NEAR: f64 = 0.4;

fn unknown(agent: &str, name: &str, known: &[Described]) -> String {
    let asked = pairs(name);
    let mut near: Vec<(f64, &str)> =
        known.iter().map(|what| (alike(&asked, &pairs(&what.name)), what.name.as_str())).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let near: Vec<&str> =
        near.into_iter().take(MOST_NEAR).filter(|(share, _)| *share >= NEAR).map(|(_, name)| name).collect();
    let said = match near.as_slice() {
        [] => {
            format!("none of the {} names is like it; offline_tool_names() has them all", known.len())
        }
        near => format!("near are: {}", near.join(", ")),
    };
    format!("agent '{}': no stand-in is called '{}'; {said}", shorten(agent), shorten(name))
}

/// The pairs of letters of a name; of a long one those of its beginning.
fn pairs(name: &str) -> Vec<(char, char)> {
    let letters: Vec<char> = name.chars().filter(|c| c.is_alphanumeric()).take(64).collect();
    let mut pairs: Vec<(char, char)> = letters
        .windows(2)
        .filter_map(|two| Some((two.first()?.to_ascii_lowercase(), two.get(1)?.to_ascii_lowercase())))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The coefficient of Dice (1945) of two sets of pairs.
fn alike(a: &[(char, char)], b: &[(char, char)]) -> f64 {
    let both = a.iter().filter(|pair| b.binary_search(pair).is_ok()).count();
    if both == 0 { 0.0 } else { 2.0 * both as f64 / (a.len() + b.len()) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(names: &[&str]) -> Agent {
        Agent {
            tools: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Agent::new("a", "A", "Answers.")
        }
    }

    #[test]
    fn names_that_nobody_has_are_told_with_those_that_are_near() {
        let error = |name: &str| offline_tools(&naming(&[name]), None).err().unwrap();
        assert_eq!(error("egfr-calculater").code(), Code::ToolUnknown);
        assert!(
            error("egfr-calculater").message().contains("near are: egfr-calculator"),
            "{}",
            error("egfr-calculater")
        );
        assert!(error("zzzz").message().contains("offline_tool_names()"));
        assert!(error(&"x".repeat(100_000)).message().len() < 1000);
    }

    #[test]
    fn each_tool_is_made_once() {
        let names = offline_tool_names().unwrap();
        let tools = offline_tools(&naming(&names), None).unwrap();
        assert_eq!(tools.iter().map(|tool| tool.card().name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(offline_tools(&naming(&["encoder", "encoder"]), None).unwrap().len(), 1);
    }
}
