//! Who takes a seat at a panel, who leads and who judges?

use std::sync::Arc;

use quorate_agents::{Agent, MAX_MATCHES, MatchOptions, Tuning};
use quorate_core::{Code, Error, Result};
use quorate_models::Model;

use super::member::{Member, Role};
use super::options::{PanelKind, PanelOptions};
use super::seat::{Seat, key};
use crate::extractive::EXTRACTIVE;
use crate::prompt;
use crate::runtime::Runtime;

/// What outcomes make of a weight at least.
const LEAST_CALIBRATION: f64 = 0.1;
/// Parts of names of capabilities that moderators have.
const MODERATES: [&str; 2] = ["moderat", "facilitat"];

/// The members as they are seated.
#[derive(Default)]
pub(super) struct Table {
    pub(super) seats: Vec<Seat>,
    pub(super) models: Vec<Option<Model>>,
}

impl Table {
    /// Seats a member. Errors: `unknown_id`, `invalid_argument`.
    pub(super) fn push(&mut self, runtime: &Runtime, member: &Member, why: String) -> Result<()> {
        let registry = runtime.0.registry.as_ref().filter(|registry| !registry.is_empty());
        let agent = match registry.map(|registry| registry.get(&member.id)) {
            None => None,
            Some(Ok(agent)) => Some((*agent).clone()),
            // Whoever brings a model of its own needs no definition.
            Some(Err(error)) if error.code() == Code::UnknownId && member.model.is_some() => None,
            Some(Err(error)) => return Err(error),
        };
        agent.as_ref().map(prompt::instructions).transpose()?;
        self.seat(runtime, member, agent, why);
        Ok(())
    }

    fn seat(&mut self, runtime: &Runtime, member: &Member, agent: Option<Agent>, why: String) {
        // The extractive model answers by the runtime's sources, as members without a model do.
        let own = member.model.as_ref().filter(|model| model.id() != EXTRACTIVE);
        let extractive = member.model.is_some() && own.is_none();
        let model = own.or(runtime.0.model.as_ref()).filter(|_| !extractive).cloned();
        let name = model.as_ref().map_or(EXTRACTIVE, |model| model.id()).to_owned();
        let twin = |(seat, other): (&Seat, &Option<Model>)| {
            let alike = match (other, &model) {
                (Some(a), Some(b)) => is_one(a, b),
                (None, None) => true,
                _ => false,
            };
            alike && seat.agent.as_deref().map(definition) == agent.as_ref().map(definition)
        };
        let twins = self.seats.iter().zip(&self.models).filter(|one| twin(*one)).count();
        self.seats.push(Seat {
            id: member.id.clone(),
            role: member.role,
            weight: member.weight,
            calibration: 1.0,
            own: own.is_some(),
            group: String::new(),
            key: key(agent.as_ref(), &name, twins),
            model: name,
            agent: agent.map(Box::new),
            why,
        });
        self.models.push(model);
    }

    /// Members that share a model form a group.
    pub(super) fn group(&mut self) {
        let mut firsts: Vec<usize> = Vec::new();
        for i in 0..self.seats.len() {
            let same = |first: &&usize| match (&self.models[i], &self.models[**first]) {
                (Some(a), Some(b)) => is_one(a, b),
                (None, None) => true,
                _ => false,
            };
            let first = firsts.iter().find(same).copied();
            let first = first.unwrap_or_else(|| {
                firsts.push(i);
                i
            });
            let name = self.seats[i].model.clone();
            // Models that only share a name are told apart by their number.
            let namesakes: Vec<usize> =
                firsts.iter().copied().filter(|at| self.seats[*at].model == name).collect();
            let number = namesakes.iter().position(|at| *at == first).unwrap_or(0);
            self.seats[i].group = if number == 0 { name } else { format!("{name}#{}", number + 1) };
        }
    }
}

/// What tells two definitions apart beside id and name.
fn definition(agent: &Agent) -> (&str, &str, Option<&str>) {
    (&agent.summary, &agent.domain, agent.instructions.as_deref())
}

/// Whether two are one model: the same name, and of scripted ones, whose names say nothing, the same script.
fn is_one(a: &Model, b: &Model) -> bool {
    a.id() == b.id() && (!is_scripted(a.id()) || a.is_same(b))
}

fn is_scripted(id: &str) -> bool {
    id.starts_with("scripted:")
}

/// The family of a model: the first word of its name, without who serves it.
fn family(id: &str) -> String {
    let name = id.split_once(':').map_or(id, |(_, name)| name);
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let word: String = name.chars().take_while(|c| c.is_alphabetic()).collect();
    if word.is_empty() { name.to_lowercase() } else { word.to_lowercase() }
}

impl Runtime {
    /// Those whom the registry finds; without one, the runtime's model several times.
    pub(super) fn find_members(
        &self,
        question: &str,
        options: &PanelOptions,
        table: &mut Table,
    ) -> Result<()> {
        let Some(registry) = self.0.registry.as_ref().filter(|registry| !registry.is_empty()) else {
            for number in 1..=options.size {
                table.push(
                    self,
                    &Member::new(format!("member-{number}")),
                    "there is no registry".to_owned(),
                )?;
            }
            return Ok(());
        };
        let wanted = quorate_agents::PanelOptions {
            size: options.size,
            constraints: MatchOptions { tenant: self.0.tenant.clone(), ..MatchOptions::default() },
            ..quorate_agents::PanelOptions::default()
        };
        let found = registry.cancelled_by(&options.cancel).select_panel(question, &wanted)?;
        if found.members.is_empty() {
            return Err(Error::new(Code::NotFound, "panel: no expert fits this question; name the members"));
        }
        for one in &found.members {
            let mut why = format!("score {:.3}, adds {:.3}", one.matched.score, one.gain);
            if let Some((facet, _)) = one.facets.first() {
                why.push_str(&format!("; best on \"{facet}\""));
            }
            if !one.capabilities.is_empty() {
                why.push_str(&format!("; brings {}", one.capabilities.join(", ")));
            }
            let agent = (*one.matched.agent).clone();
            prompt::instructions(&agent)?;
            let member = Member::new(agent.id.clone());
            table.seat(self, &member, Some(agent), why);
        }
        let led = matches!(options.kind, PanelKind::Consensus | PanelKind::Socratic);
        if options.chair.is_none() && led && self.0.model.is_some() {
            let moderates = |agent: &Agent| {
                let named = |name: &str| MODERATES.iter().any(|part| name.to_lowercase().contains(part));
                agent.capabilities.iter().any(|capability| named(&capability.name))
            };
            let all = registry.list(None)?;
            let free = |agent: &&Arc<Agent>| table.seats.iter().all(|seat| seat.id != agent.id);
            let active =
                |agent: &&Arc<Agent>| agent.available && agent.status == quorate_agents::Status::Active;
            if let Some(agent) =
                all.iter().filter(active).filter(free).find(|agent| moderates(agent)).cloned()
            {
                prompt::instructions(&agent)?;
                let member = Member { role: Role::Moderator, ..Member::new(agent.id.clone()) };
                table.seat(self, &member, Some((*agent).clone()), "is able to moderate".to_owned());
            }
        }
        Ok(())
    }

    /// The seat of the chair, who is seated where it is not yet.
    pub(super) fn find_chair(&self, options: &PanelOptions, table: &mut Table) -> Result<Option<usize>> {
        let Some(chair) = &options.chair else {
            return Ok(table.seats.iter().position(|seat| seat.role == Role::Moderator));
        };
        if let Some(at) = table.seats.iter().position(|seat| seat.id == chair.id) {
            return Ok(Some(at));
        }
        let member = Member { role: Role::Moderator, ..chair.clone() };
        table.push(self, &member, "named as chair".to_owned())?;
        Ok(Some(table.seats.len() - 1))
    }

    /// What recorded outcomes say about each member and questions like this one: 1 where nothing is known, 0 to 2.
    pub(super) fn calibrate(&self, question: &str, options: &PanelOptions, table: &mut Table) -> Result<()> {
        let Some(registry) = self.0.registry.as_ref().filter(|registry| !registry.is_empty()) else {
            return Err(Error::invalid(
                "panel: calibrated weights need a registry, whose outcomes calibrate them",
            ));
        };
        let wanted =
            MatchOptions { k: MAX_MATCHES, tenant: self.0.tenant.clone(), ..MatchOptions::default() };
        let matches = registry.cancelled_by(&options.cancel).match_agents(question, &wanted)?;
        let most = f64::from(Tuning::default().learning);
        for seat in &mut table.seats {
            if let Some(found) = matches.iter().find(|found| found.agent.id == seat.id) {
                seat.calibration = (1.0 + found.explain().learning / most).max(LEAST_CALIBRATION);
                seat.why.push_str(&format!("; {} outcomes recorded", found.explain().outcomes));
            }
        }
        Ok(())
    }

    /// Who judges a debate, and whether it is of another family than everybody else.
    pub(super) fn find_judge(
        &self,
        options: &PanelOptions,
        table: &Table,
        warnings: &mut Vec<String>,
    ) -> Option<(Model, bool)> {
        if options.kind != PanelKind::Debate {
            return None;
        }
        let Some(judge) = options.judge.clone().or_else(|| self.0.model.clone()) else {
            warnings.push("there is no model to judge the debate; the ballots decide alone".to_owned());
            return None;
        };
        let seats = table.seats.iter().zip(&table.models).filter(|(seat, _)| seat.votes());
        let same = |model: &Model| {
            model.is_same(&judge) || (!is_scripted(model.id()) && family(model.id()) == family(judge.id()))
        };
        let independent = !seats.filter_map(|(_, model)| model.as_ref()).any(same);
        if !independent {
            warnings.push(format!(
                "the judge ({}) is of the family of a member's model: models lean to what their own family says; give a judge of \
                 another one",
                judge.id()
            ));
        }
        Some((judge, independent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_go_by_the_name_and_not_by_who_serves_it() {
        assert_eq!(family("openai:gpt-4o-mini"), family("other:org/GPT-5"));
        assert_eq!(family("openai:meta/Llama-3.1-8B"), family("local:/models/llama-2.gguf"));
        assert_ne!(family("openai:gpt-4o"), family("openai:qwen2"));
    }
}
