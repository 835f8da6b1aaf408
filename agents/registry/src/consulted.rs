//! Who is consulted together with those that fit a question?
//!
//! An agent that few words of a question point to may be just who is asked next: the definitions of others name it as
//! a partner ([`works_with`](crate::Agent::works_with)) or refer to it ([`Boundary::refer_to`](crate::Boundary)). One
//! step of spreading activation over these references (Collins & Loftus 1975) adds to each agent's own fit what its
//! best neighbours have.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::Agent;
use crate::subjects::Subjects;

/// Scores that lie closer than this are told apart by less than the whole scale: where all are about equal, all fit
/// about as well. Of the order of the differences within a pool of 32 of the healthcare catalogue.
const LEAST_SPAN: f64 = 0.25;

/// What a neighbour's fit counts: that another names an agent as partner says more than that it names itself one, and
/// a reference says that subjects touch, not that both are asked.
const NAMED: f64 = 1.0;
const NAMES: f64 = 0.6;
const REFERS: f64 = 0.5;

/// How many neighbours count, and what their fits are multiplied with. Chosen on the choosing half of
/// `tests/fixtures/panels.json`, where they lie on a plateau.
const NEIGHBOURS: usize = 3;
const SPREAD: f64 = 0.35;

/// What votes of topics count, and what agents with the same topics bring.
const VOTES: f64 = 0.6;
const BROUGHT: f64 = 0.4;

/// What a generalist gains where all that fit best work in fields below its own, and how many the best are.
const GENERALIST: f64 = 0.2;
const BEST: usize = 8;

/// Why a member sits in a panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    /// What speaks for it most.
    pub by: SeatBy,
    /// The other agent, where it sits there for that one's sake.
    pub agent: Option<String>,
    /// The same in words.
    pub why: String,
}

/// What speaks for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatBy {
    /// The question fits its definition.
    Match,
    /// It is consulted together with another that fits.
    WorksWith,
    /// Another that fits refers a subject to it, or it to the other.
    ReferTo,
}

/// How one agent is linked with another.
#[derive(Clone, Copy)]
struct Link {
    to: usize,
    weight: f64,
    /// Who says so, and the number of the partner or boundary in its definition.
    by: usize,
    at: usize,
    partner: bool,
}

/// Agents with their fit to a question: own and that of those they are consulted with.
pub(crate) struct Consulted<'a> {
    agents: Vec<&'a Agent>,
    /// By agent, the links that count, best first.
    links: Vec<Vec<Link>>,
    /// Fit of each by its definition alone, 0 to 1.
    own: Vec<f64>,
    /// What the topics near to the question add for each, and the one that says most.
    heard: Vec<f64>,
    said: Vec<Option<&'a str>>,
    /// Fit of each, 0 to 1; 1 for the best match.
    pub(crate) fit: Vec<f64>,
    /// Who is shared or the caller's own: by these fits are measured, unless nobody is.
    trusted: Vec<bool>,
}

impl<'a> Consulted<'a> {
    /// Of agents with their scores, best match first, on behalf of a tenant. What a definition says of others counts
    /// where it is shared or the tenant's own: public agents of a third party can bring in neither themselves nor each
    /// other by naming others. Nor can one take the name of an agent that a shared definition names.
    pub(crate) fn new(found: impl Iterator<Item = (&'a Agent, f64)>, tenant: Option<&str>) -> Self {
        let (agents, scores): (Vec<&Agent>, Vec<f64>) = found.unzip();
        let mut trusted: Vec<bool> = agents.iter().map(|agent| agent.is_trusted_by(tenant)).collect();
        if !trusted.contains(&true) {
            trusted.fill(true);
        }
        let measures =
            || scores.iter().zip(&trusted).filter(|(_, trusted)| **trusted).map(|(score, _)| *score);
        let best = measures().next().unwrap_or_default();
        let worst = measures().fold(best, f64::min);
        let span = (best - worst).max(LEAST_SPAN);
        let own: Vec<f64> =
            scores.iter().map(|score| (1.0 - (best - score) / span).clamp(0.0, 1.0)).collect();
        let mut links = links(&agents, tenant);
        let mut fit = own.clone();
        for (fit, links) in fit.iter_mut().zip(&mut links) {
            let worth = |link: &Link| link.weight * own[link.to];
            links.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then_with(|| a.to.cmp(&b.to)));
            links.truncate(NEIGHBOURS);
            *fit += SPREAD * links.iter().map(worth).sum::<f64>();
        }
        let (heard, said) = (vec![0.0; agents.len()], vec![None; agents.len()]);
        let mut made = Consulted { agents, links, own, heard, said, fit, trusted };
        made.scale();
        made
    }

    /// The same, when it is heard too what the topics say of the question, those of the same agents in their order.
    pub(crate) fn hearing(mut self, subjects: Subjects<'a>, tenant: Option<&str>) -> Self {
        self.heard = subjects.votes.iter().map(|vote| VOTES * vote).collect();
        self.fit.iter_mut().zip(&self.heard).for_each(|(fit, heard)| *fit += heard);
        let brought = subjects.brought(&self.fit, tenant);
        self.fit.iter_mut().zip(brought).for_each(|(fit, brought)| *fit += BROUGHT * brought);
        self.said = subjects.said;
        let most = self.most();
        let general = self.generalists(tenant);
        self.fit.iter_mut().zip(general).for_each(|(fit, share)| *fit += GENERALIST * most * share);
        self.scale();
        self
    }

    /// For each agent the share of the best, by the square of their fit, whose field of work lies below its own: a
    /// strategist for all of `regulatory` is asked beside those for its parts.
    fn generalists(&self, tenant: Option<&str>) -> Vec<f64> {
        let trusted = |i: &usize| self.agents[*i].is_trusted_by(tenant);
        let mut best: Vec<usize> = (0..self.fit.len()).filter(trusted).collect();
        best.sort_by(|&a, &b| self.fit[b].total_cmp(&self.fit[a]).then_with(|| a.cmp(&b)));
        best.truncate(BEST);
        let square = |i: usize| self.fit[i] * self.fit[i];
        let all = best.iter().map(|&i| square(i)).sum::<f64>().max(f64::MIN_POSITIVE);
        let below = |agent: &Agent, other: &Agent| {
            let rest = other.domain.strip_prefix(agent.domain.as_str());
            !agent.domain.is_empty()
                && agent.is_trusted_by(tenant)
                && rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let share = |agent: &&Agent| {
            best.iter().filter(|&&i| below(agent, self.agents[i])).map(|&i| square(i)).sum::<f64>() / all
        };
        self.agents.iter().map(share).collect()
    }

    /// The best fit of those by whom fits are measured.
    fn most(&self) -> f64 {
        let measures = self.fit.iter().zip(&self.trusted).filter(|(_, trusted)| **trusted);
        measures.map(|(fit, _)| *fit).fold(f64::MIN_POSITIVE, f64::max)
    }

    /// Brings the fits to 0 to 1, that of the best match to 1. Nobody's fit is less because a public agent of a third
    /// party fits better than all others.
    fn scale(&mut self) {
        let most = self.most();
        self.fit.iter_mut().for_each(|fit| *fit = (*fit / most).min(1.0));
        if let Some(first) = self.fit.first_mut() {
            *first = 1.0;
        }
    }

    /// The topic that speaks most for an agent.
    pub(crate) fn said(&self, i: usize) -> Option<&'a str> {
        self.said[i]
    }

    /// The places of the agents, best fit first; the best match comes before all others.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.agents.len()).collect();
        order[usize::from(!self.agents.is_empty())..]
            .sort_by(|&a, &b| self.fit[b].total_cmp(&self.fit[a]).then_with(|| a.cmp(&b)));
        order
    }

    /// Why an agent sits in a panel of `members`: for the sake of the neighbour whose fit counts most, if that is more
    /// than its own; rather a member's than that of one who is not there.
    pub(crate) fn seat(&self, i: usize, members: &[usize]) -> Seat {
        let worth = |link: &&Link| link.weight * self.own[link.to];
        let links = || self.links[i].iter();
        let inside = links().filter(|link| members.contains(&link.to));
        let best = inside.max_by(|a, b| worth(a).total_cmp(&worth(b)).then_with(|| b.to.cmp(&a.to)));
        match best.or_else(|| links().next()) {
            Some(link) if worth(&link) > self.own[i] + self.heard[i] && i > 0 => self.consulted(i, link),
            _ => Seat { by: SeatBy::Match, agent: None, why: "matched".into() },
        }
    }

    fn consulted(&self, i: usize, link: &Link) -> Seat {
        let (other, teller) = (&self.agents[link.to].id, self.agents[link.by]);
        let (by, why) = match link.partner {
            true => {
                let why = teller.works_with.get(link.at).map_or("", |partner| &partner.why);
                (SeatBy::WorksWith, format!("works with {other}: {why}"))
            }
            false => {
                let topic = teller.boundaries.get(link.at).map_or("", |boundary| &boundary.topic);
                let (from, to) = if link.by == i { ("it refers", other.as_str()) } else { ("", "it") };
                let from = if from.is_empty() { format!("{other} refers") } else { from.to_owned() };
                (SeatBy::ReferTo, format!("{from} to {to}: {topic}"))
            }
        };
        Seat { by, agent: Some(other.clone()), why }
    }
}

/// The links of each agent, the strongest of two with the same other.
fn links(agents: &[&Agent], tenant: Option<&str>) -> Vec<Vec<Link>> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::with_capacity(agents.len());
    for (i, agent) in agents.iter().enumerate() {
        places.entry(&agent.id).or_default().push(i);
    }
    // Of several with one id: that of the same owner, else the shared one, else the first by tenant.
    let named = |id: &str, by: &Agent| -> Option<usize> {
        let rank = |i: &&usize| {
            let other = agents[**i];
            (other.tenant != by.tenant, other.tenant.is_some(), &other.tenant)
        };
        places.get(id)?.iter().min_by_key(rank).copied()
    };
    let mut links: Vec<HashMap<usize, Link>> = vec![HashMap::new(); agents.len()];
    let mut join = |i: usize, link: Link| {
        let before = links[i].entry(link.to).or_insert(link);
        if link.weight > before.weight {
            *before = link;
        }
    };
    for (by, agent) in agents.iter().enumerate() {
        if !agent.is_trusted_by(tenant) {
            continue;
        }
        // Whoever names a third party's agent in its own definitions means it; in a shared one another was meant.
        let meant = |to: usize| agent.tenant.is_some() || agents[to].is_trusted_by(tenant);
        let partners = agent.works_with.iter().enumerate().map(|(at, p)| (at, p.agent.as_str(), true));
        let referred = agent
            .boundaries
            .iter()
            .enumerate()
            .filter_map(|(at, boundary)| Some((at, boundary.refer_to.as_deref()?, false)));
        for (at, id, partner) in partners.chain(referred) {
            let Some(to) = named(id, agent).filter(|&to| to != by && meant(to)) else { continue };
            let (there, back) = if partner { (NAMED, NAMES) } else { (REFERS, REFERS) };
            join(to, Link { to: by, weight: there, by, at, partner });
            join(by, Link { to, weight: back, by, at, partner });
        }
    }
    links.into_iter().map(|links| links.into_values().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Boundary, Partner, Visibility};

    fn agent(id: &str, partners: &[&str], refers: &[&str]) -> Agent {
        Agent {
            works_with: partners.iter().map(|p| Partner::new(*p, format!("{id} with {p}"))).collect(),
            boundaries: refers
                .iter()
                .map(|r| Boundary { topic: format!("{id} to {r}"), refer_to: Some((*r).to_owned()) })
                .collect(),
            ..Agent::new(id, id, "s")
        }
    }

    fn of<'a>(agents: &'a [(Agent, f64)], tenant: Option<&str>) -> Consulted<'a> {
        Consulted::new(agents.iter().map(|(agent, score)| (agent, *score)), tenant)
    }

    #[test]
    fn partners_of_who_fits_come_before_strangers() {
        let agents = [
            (agent("a", &["d"], &["e"]), 1.0),
            (agent("b", &[], &[]), 0.5),
            (agent("c", &["a"], &[]), 0.4),
            (agent("d", &[], &[]), 0.3),
            (agent("e", &[], &[]), 0.3),
            (agent("f", &[], &[]), 0.0),
        ];
        let found = of(&agents, None);
        let order: Vec<&str> = found.order().into_iter().map(|i| found.agents[i].id.as_str()).collect();
        assert_eq!(order, ["a", "d", "c", "b", "e", "f"]);
        assert!(found.fit[0] == 1.0 && found.fit.iter().all(|fit| (0.0..=1.0).contains(fit)));
        // d: .3 + .35; a has .35 x .6 x .4 of c, whom it does not name, more than its own 1.
        let a = 1.0 + SPREAD * (0.4 + 0.6 * 0.3 + 0.5 * 0.3);
        assert!((found.fit[3] - 0.65 / a).abs() < 1e-9);
        let seat = found.seat(3, &[0, 3]);
        assert_eq!((seat.by, seat.agent.as_deref()), (SeatBy::WorksWith, Some("a")));
        assert_eq!(seat.why, "works with a: a with d");
        assert_eq!(found.seat(4, &[0]).why, "a refers to it: a to e");
        assert_eq!(found.seat(2, &[0]).why, "works with a: c with a");
        assert_eq!(found.seat(1, &[0]).by, SeatBy::Match);
        assert_eq!(found.seat(0, &[0]).by, SeatBy::Match);
    }

    #[test]
    fn a_generalist_is_asked_beside_those_of_its_field() {
        let of_field = |id: &str, domain: &str| Agent { domain: domain.into(), ..agent(id, &[], &[]) };
        let mut pushy = of_field("pushy", "law");
        (pushy.tenant, pushy.visibility) = (Some("t".into()), Visibility::Public);
        let agents = [
            (of_field("a", "law/tax"), 1.0),
            (of_field("b", "law/trade"), 0.5),
            (of_field("all of law", "law"), 0.25),
            (of_field("lawn", "la"), 0.25),
            (pushy, 0.25),
            (of_field("nobody", ""), 0.0),
        ];
        let share = 1.25 / (1.0 + 0.25 + 2.0 * 0.0625);
        assert_eq!(of(&agents, None).generalists(None), [0.0, 0.0, share, 0.0, 0.0, 0.0]);
        let share = 1.25 / (1.0 + 0.25 + 3.0 * 0.0625);
        assert_eq!(of(&agents, Some("t")).generalists(Some("t")), [0.0, 0.0, share, 0.0, share, 0.0]);
        assert!(of(&[], None).generalists(None).is_empty());
    }

    #[test]
    fn what_is_not_there_plays_no_part() {
        let linked = [(agent("a", &["x", "a"], &["y"]), 1.0), (agent("b", &["x"], &[]), 0.2)];
        let plain = [(agent("a", &[], &[]), 1.0), (agent("b", &[], &[]), 0.2)];
        assert_eq!(of(&linked, None).fit, of(&plain, None).fit);
        assert!(of(&[], None).order().is_empty());
    }

    #[test]
    fn a_foreign_public_agent_cannot_bring_itself_in() {
        let mine = |mut agent: Agent, tenant: &str| {
            agent.tenant = Some(tenant.into());
            agent.visibility = Visibility::Public;
            agent
        };
        let agents = [
            (agent("a", &[], &[]), 1.0),
            (mine(agent("pushy", &["a"], &["a"]), "t"), 0.1),
            (agent("last", &[], &[]), 0.0),
        ];
        assert!((of(&agents, None).fit[1] - 0.1).abs() < 1e-9);
        assert!((of(&agents, Some("u")).fit[1] - 0.1).abs() < 1e-9);
        assert!(of(&agents, Some("t")).fit[1] > 0.2);
        // Nor its like, nor one that takes the name of a partner who is not there; but the tenant's own may name it.
        let agents = [
            (agent("a", &["gone"], &["gone"]), 1.0),
            (mine(agent("gone", &[], &[]), "t"), 0.1),
            (mine(agent("pushy", &["other"], &["other"]), "t"), 0.1),
            (mine(agent("other", &["pushy"], &["pushy"]), "t"), 0.9),
            (agent("last", &[], &[]), 0.0),
        ];
        let fit = of(&agents, Some("u")).fit;
        assert!(fit.iter().zip([1.0, 0.1, 0.1, 0.9, 0.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{fit:?}");
        let own = [(mine(agent("a", &["gone"], &[]), "u"), 1.0), agents[1].clone(), agents[4].clone()];
        assert!(of(&own, Some("u")).fit[1] > 0.2);
        // One that matches better than all presses nobody down.
        let mut agents =
            vec![(agent("a", &["b"], &[]), 1.0), (agent("b", &[], &[]), 0.8), (agent("c", &[], &[]), 0.0)];
        let before = of(&agents, Some("u")).fit;
        agents.insert(0, (mine(agent("pushy", &[], &[]), "t"), 9.0));
        agents.push((mine(agent("junk", &[], &[]), "t"), -9.0));
        let after = of(&agents, Some("u")).fit;
        assert_eq!(after[1..4], before);
        assert_eq!((after[0], after[4]), (1.0, 0.0));
        // Of two with the same id the one of the same owner is meant.
        let agents = [
            (agent("a", &["b"], &[]), 1.0),
            (mine(agent("b", &[], &[]), "t"), 0.1),
            (agent("b", &[], &[]), 0.1),
            (agent("c", &[], &[]), 0.0),
        ];
        let found = of(&agents, Some("t"));
        assert!(found.fit[2] > found.fit[1]);
    }
}
