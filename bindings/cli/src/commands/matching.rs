//! Which experts fit a question?

use quorate::agents::{Match as Found, MatchOptions};
use serde_json::{Value, json};

use crate::args::Match;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::table::Table;
use crate::{input, shown};

pub(crate) fn run(given: Match, place: &Place, console: &mut Console) -> Result<(), Failure> {
    let question = input::words(console, &given.query)?;
    let options = MatchOptions {
        k: given.k,
        filter: super::filter(given.filter.as_deref())?,
        require: given.require,
        max_cost: given.max_cost,
        language: given.language,
        abstain: given.abstain,
        tenant: place.tenant.clone(),
        ..MatchOptions::default()
    };
    let registry = place.agents()?.cancelled_by(&console.cancel());
    let found = registry.match_agents(&question, &options)?;
    tell(console, &question, &found)
}

/// Shows who fits.
pub(super) fn tell(console: &mut Console, question: &str, found: &[Found]) -> Result<(), Failure> {
    if console.is_json() {
        let matches: Value = found.iter().map(shown::matched).collect();
        return console.document(&json!({"question": question, "matches": matches}));
    }
    if found.is_empty() {
        console.note("no expert fits");
        return Ok(());
    }
    let mut table = Table::new(["ID", "CONFIDENCE", "SCORE", "DOMAIN", "NAME"]).right([1, 2]);
    for one in found {
        let agent = &one.agent;
        table.row([
            agent.id.clone(),
            format!("{:.2}", one.confidence),
            format!("{:.3}", one.score),
            agent.domain.clone(),
            agent.name.clone(),
        ]);
    }
    console.table(&table)
}
