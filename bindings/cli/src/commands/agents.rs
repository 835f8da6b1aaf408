//! How are the experts seen and changed?

use quorate::agents::{Agent, MatchOptions};
use serde_json::json;

use crate::args::{Agents, AgentsAction};
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::table::Table;
use crate::{exit, input, own_agents, text};

pub(crate) fn run(given: Agents, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    match given.action {
        AgentsAction::List { filter } => list(filter.as_deref(), place, console)?,
        AgentsAction::Search { query, k } => {
            let question = input::words(console, &query)?;
            let options = MatchOptions { k, tenant: place.tenant.clone(), ..MatchOptions::default() };
            let registry = place.agents()?.cancelled_by(&console.cancel());
            let found = registry.match_agents(&question, &options)?;
            super::matching::tell(console, &question, &found)?;
        }
        AgentsAction::Show { id } => show(&*place.agents()?.get(&id)?, console)?,
        AgentsAction::Add { file } => {
            let ids = own_agents::add(place, &file, &console.cancel())?;
            match console.is_json() {
                true => console.document(&json!({"changed": ids}))?,
                false if ids.is_empty() => console.say("Nothing changed.")?,
                false => {
                    let ids: Vec<String> = ids.iter().map(|id| text::line(id)).collect();
                    console.say(&format!(
                        "Added {}: {}",
                        super::count(ids.len(), "expert"),
                        ids.join(", ")
                    ))?;
                }
            }
        }
        AgentsAction::Validate { file } => return validate(&file, place, console),
        AgentsAction::Remove { id } => {
            own_agents::remove(place, &id, &console.cancel())?;
            match console.is_json() {
                true => console.document(&json!({"removed": id}))?,
                false => console.say(&format!("Removed {}.", text::line(&id)))?,
            }
        }
    }
    Ok(exit::DONE)
}

fn list(filter: Option<&str>, place: &Place, console: &mut Console) -> Result<(), Failure> {
    let filter = super::filter(filter)?;
    let agents = place.agents()?.list(filter.as_ref())?;
    if console.is_json() {
        let agents: Vec<&Agent> = agents.iter().map(|agent| &**agent).collect();
        return console.document(&agents);
    }
    if agents.is_empty() {
        console.note("no experts");
        return Ok(());
    }
    let mut table = Table::new(["ID", "DOMAIN", "STATUS", "NAME"]);
    for agent in &agents {
        let status = json!(agent.status).as_str().unwrap_or_default().to_owned();
        table.row([agent.id.clone(), agent.domain.clone(), status, agent.name.clone()]);
    }
    console.table(&table)
}

fn show(agent: &Agent, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        return console.document(agent);
    }
    let head = console.bold(&format!("{} ({})", text::line(&agent.name), text::line(&agent.id)));
    console.say(&head)?;
    let summary = text::line(&agent.summary);
    console.say(&summary)?;
    console.say("")?;
    let joined = |items: &[String]| items.iter().map(|item| text::line(item)).collect::<Vec<_>>().join(", ");
    let capabilities: Vec<String> = agent.capabilities.iter().map(|one| one.name.clone()).collect();
    let lines = [
        ("domain", text::line(&agent.domain)),
        ("capabilities", joined(&capabilities)),
        ("tools", joined(&agent.tools)),
        ("languages", joined(&agent.languages)),
        ("cost", format!("{} USD a call", agent.cost_per_call)),
        ("version", text::line(&agent.version)),
        ("tenant", text::line(agent.tenant.as_deref().unwrap_or_default())),
        ("tags", joined(&agent.tags)),
    ];
    for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
        console.say(&format!("{name:<14}{value}"))?;
    }
    if !agent.boundaries.is_empty() {
        console.say("\nleaves to others")?;
        for boundary in &agent.boundaries {
            let to = boundary.refer_to.as_deref().map(|to| format!(" -> {}", text::line(to)));
            console.say_cut(&format!("  {}{}", text::line(&boundary.topic), to.unwrap_or_default()))?;
        }
    }
    let examples: Vec<&String> = agent.skills.iter().flat_map(|skill| &skill.examples).collect();
    if !examples.is_empty() {
        console.say("\nis asked")?;
        for example in examples {
            console.say_cut(&format!("  {}", text::line(example)))?;
        }
    }
    Ok(())
}

fn validate(file: &std::path::Path, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let registry = place.agents()?;
    match registry.load(file) {
        Ok(count) => {
            match console.is_json() {
                true => console.document(&json!({"ok": true, "agents": count, "problems": []}))?,
                false => console.say(&format!("{} and no problems.", super::count(count, "expert")))?,
            }
            Ok(exit::DONE)
        }
        Err(error) => {
            if !console.is_json() {
                return Err(error.into());
            }
            let problems: Vec<_> = error
                .message()
                .lines()
                .map(|line| json!({"code": error.code().as_str(), "message": line}))
                .collect();
            console.document(&json!({"ok": false, "agents": 0, "problems": problems}))?;
            Ok(exit::code_of(&error))
        }
    }
}
