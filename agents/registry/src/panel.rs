//! Which few agents answer a question best together?

use std::collections::BTreeSet;

use quorate_core::vector::Matrix;
use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::consulted::{Consulted, Seat};
use crate::cover::{Cover, MAX_SUBSETS_OF};
pub use crate::objective::Coverage;
use crate::objective::{Candidate, Goal, Objective, greedy};
use crate::text::shown;
use crate::{Agent, Match, MatchOptions};

/// Largest [`PanelOptions::size`].
pub const MAX_PANEL: usize = 64;

/// Most parts that a question is split into, the question itself not counted.
const MAX_FACETS: usize = 8;

/// What a panel must be like.
#[derive(Clone, Debug)]
pub struct PanelOptions {
    /// How many members, 1 to 64; fewer when fewer agents meet the constraints, or fit well enough: see
    /// [`Panel::smaller`].
    pub size: usize,
    /// The least [`fit`](Member::fit) of a member, 0 to 1: rather a smaller panel than one with strangers. 0 fills it up.
    /// Who is needed for a required capability may fit less.
    pub min_fit: f64,
    /// What counts beside relevance, 0 to 1: 0 gives the most relevant agents, however alike; 1 only looks at what
    /// they cover together beside the best match. It counts by its square: a little of it would seat strangers.
    pub diversity: f64,
    /// How much a low cost of calls counts, 0 to 1.
    pub thrift: f64,
    /// How many of the agents that fit best are considered, at least `size`; with required capabilities, so many of
    /// those that have each, and the best of each combination.
    pub pool: usize,
    /// Hard constraints on members. With [`require`](MatchOptions::require) each member has at least one of the
    /// capabilities, and together they have all of them, wherever `size` agents can; of more than `size` capabilities
    /// at most 16 can be required. Their order plays no part, nor do `k` and `abstain`.
    pub constraints: MatchOptions,
}

impl Default for PanelOptions {
    fn default() -> Self {
        PanelOptions {
            size: 5,
            min_fit: 0.0,
            diversity: 0.3,
            thrift: 0.05,
            pool: 32,
            constraints: MatchOptions::default(),
        }
    }
}

impl PanelOptions {
    /// Checks the values. Errors: `invalid_argument`, `too_large`.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MAX_PANEL).contains(&self.size) || self.pool < self.size || self.pool > 1000 {
            return Err(Error::invalid(format!(
                "panel: size {} must be 1 to {MAX_PANEL}, and pool {} from there to 1000",
                self.size, self.pool
            )));
        }
        let shares = [self.diversity, self.thrift, self.min_fit];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return Err(Error::invalid(format!(
                "panel: diversity {}, thrift {} and min_fit {} must lie in 0 to 1",
                self.diversity, self.thrift, self.min_fit
            )));
        }
        self.constraints.validate()
    }
}

/// Agents that complement each other, in the order in which they were chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// The members.
    pub members: Vec<Member>,
    /// What they cover together.
    pub coverage: Coverage,
    /// Why there are fewer members than were asked for, in words; none where there are as many.
    #[serde(default)]
    pub smaller: Option<String>,
}

/// A member of a panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The agent, and how it fits the question as a whole.
    pub matched: Match,
    /// How well it fits the question together with those that it is consulted with, 0 to 1: 1 for the best match.
    pub fit: f64,
    /// Why it sits there: it matched, or it works with another who did.
    pub seat: Seat,
    /// What the member added to the panel's value.
    pub gain: f64,
    /// The facets that this member covers best, with its fit to each.
    pub facets: Vec<(String, f64)>,
    /// Capabilities that no earlier member had.
    pub capabilities: Vec<String>,
}

impl Panel {
    /// Why these members: what each added.
    pub fn explain(&self) -> String {
        let c = &self.coverage;
        let mut out = format!(
            "value {:.3}: relevance {:.3}, facets {:.3}, capabilities {:.3}, diversity {:.3}, thrift {:.3}\n",
            c.value, c.relevance, c.facets, c.capabilities, c.diversity, c.thrift
        );
        for (i, member) in self.members.iter().enumerate() {
            out.push_str(&format!(
                "{}. {} (+{:.3}, score {:.3}, fit {:.2}); {}",
                i + 1,
                member.matched.agent.id,
                member.gain,
                member.matched.score,
                member.fit,
                member.seat.why
            ));
            if !member.facets.is_empty() {
                let names: Vec<String> =
                    member.facets.iter().map(|(f, fit)| format!("\"{f}\" {fit:.2}")).collect();
                out.push_str(&format!("; best on {}", names.join(", ")));
            }
            if !member.capabilities.is_empty() {
                out.push_str(&format!("; brings {}", member.capabilities.join(", ")));
            }
            out.push('\n');
        }
        if let Some(why) = &self.smaller {
            out.push_str(&format!("{why}\n"));
        }
        out
    }
}

/// The parts of a question that may need different experts: the question itself, then its clauses.
pub(crate) fn facets(question: &str) -> Vec<String> {
    let mut out = vec![question.trim().to_owned()];
    let sentences = question.split(['?', '.', '!', ';', ',', '\n', ':']);
    for part in sentences.flat_map(|s| s.split(" and ")).flat_map(|s| s.split(" or ")) {
        let part = part.trim();
        let long = part.split_whitespace().filter(|w| w.chars().count() > 2).count() >= 2;
        if long && part != out[0].trim_end_matches('?') && !out.iter().any(|f| f == part) {
            out.push(part.to_owned());
        }
        if out.len() > MAX_FACETS {
            break;
        }
    }
    out
}

/// The required capabilities that an agent has, as bits.
pub(crate) fn held(agent: &Agent, required: &[String]) -> u64 {
    let has = |(i, name): (usize, &String)| u64::from(agent.has_capability(name)) << i;
    required.iter().enumerate().map(has).fold(0, |all, bit| all | bit)
}

/// Those from whom a panel is chosen, best fit first, the best match before all others.
pub(crate) struct Pool<'a> {
    pub(crate) candidates: Vec<Candidate<'a>>,
    /// The fit of all, and the places of the candidates in it.
    pub(crate) consulted: &'a Consulted<'a>,
    pub(crate) places: &'a [usize],
}

/// Chooses a panel. `facet_vectors` has a row for each facet, and `matched` gives the match of a candidate. `required` has at most 64 names. Errors: `not_found` when a required capability
/// cannot be had, `invalid_argument` when `size` members cannot have them all, `too_large` when they are too many.
pub(crate) fn select(
    pool: &Pool<'_>,
    facets: &[String],
    facet_vectors: &Matrix,
    required: &[String],
    options: &PanelOptions,
    matched: impl Fn(usize) -> Option<Match>,
) -> Result<Panel> {
    let Pool { candidates, consulted, places } = pool;
    let goal =
        Goal { size: options.size, diversity: options.diversity * options.diversity, thrift: options.thrift };
    let objective = Objective::new(candidates, facet_vectors, goal);
    let mut chosen: Vec<(usize, f64)> = Vec::new();
    let mut state = objective.start();
    let sets: Vec<u64> = candidates.iter().map(|c| held(c.agent, required)).collect();
    let mut wanted = (0..required.len()).fold(0u64, |all, i| all | 1 << i);
    let had = sets.iter().fold(0, |all, set| all | set);
    if let Some(missing) = (0..required.len()).find(|i| had >> i & 1 == 0) {
        return Err(Error::new(
            Code::NotFound,
            format!(
                "panel: no agent that meets the constraints has the capability '{}'",
                shown(&required[missing])
            ),
        ));
    }
    let cover = Cover::new(&sets, required.len(), options.size).ok_or_else(|| too_many(required.len()))?;
    match cover.fewest(wanted) {
        Some(fewest) if fewest <= options.size => {}
        fewest => {
            return Err(Error::invalid(format!(
                "panel: {} members cannot have the {} required capabilities together; {}",
                options.size,
                required.len(),
                fewest.map_or_else(|| "no number can".to_owned(), |fewest| format!("{fewest} can"))
            )));
        }
    }
    while wanted != 0 {
        let left = options.size - chosen.len() - 1;
        let fits = |i: &usize| {
            sets[*i] & wanted != 0 && cover.fewest(wanted & !sets[*i]).is_some_and(|fewest| fewest <= left)
        };
        let best = (0..candidates.len())
            .filter(fits)
            .map(|i| (objective.gain(&state, i), i))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((gain, i)) = best else {
            return Err(Error::new(Code::Internal, "panel: a cover that was found is gone"));
        };
        objective.take(&mut state, i);
        chosen.push((i, gain));
        wanted &= !sets[i];
    }
    let fit = |i: usize| consulted.fit[places[i]];
    if chosen.is_empty() && !candidates.is_empty() {
        let gain = objective.gain(&state, 0);
        objective.take(&mut state, 0);
        chosen.push((0, gain));
    }
    let among = (0..candidates.len()).filter(|&i| fit(i) >= options.min_fit);
    greedy(&objective, &mut state, &mut chosen, among, options.size);
    let left_out = (0..candidates.len()).find(|&i| chosen.iter().all(|&(j, _)| j != i));
    let smaller = (chosen.len() < options.size).then(|| {
        let so_many = format!("{} of {} members", chosen.len(), options.size);
        match left_out {
            Some(next) => format!(
                "{so_many}: the next, {}, fits {:.2} as well as the best, and min_fit is {}",
                candidates[next].agent.id,
                fit(next),
                options.min_fit
            ),
            None => format!("{so_many}: no more agents meet the constraints"),
        }
    });

    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut members = Vec::with_capacity(chosen.len());
    let seated: Vec<usize> = chosen.iter().map(|&(i, _)| places[i]).collect();
    for &(i, gain) in &chosen {
        let capabilities = candidates[i]
            .agent
            .capabilities
            .iter()
            .map(|c| c.name.clone())
            .filter(|name| known.insert(name.clone()))
            .collect();
        let best_on = (0..facets.len())
            .filter(|&f| {
                let fit = objective.fit[i][f];
                fit > 0.0 && chosen.iter().all(|&(j, _)| j == i || objective.fit[j][f] < fit)
            })
            .map(|f| (facets[f].clone(), objective.fit[i][f]))
            .collect();
        let Some(matched) = matched(i) else { continue };
        let mut seat = consulted.seat(places[i], &seated);
        let known = matched.explain();
        let nearest = known.best_topic.as_ref().or(known.best_example.as_ref());
        let nearest = consulted.said(places[i]).or(nearest.map(|(what, _)| what.as_str()));
        if seat.agent.is_none()
            && let Some(what) = nearest
        {
            seat.why = format!("matched, nearest by \"{what}\"");
        }
        members.push(Member { matched, fit: fit(i), seat, gain, facets: best_on, capabilities });
    }
    let by_facet = facets
        .iter()
        .enumerate()
        .map(|(f, name)| {
            let best = chosen.iter().map(|&(i, _)| objective.fit[i][f]).fold(0.0, f64::max);
            (name.clone(), best)
        })
        .collect();
    Ok(Panel { members, coverage: objective.coverage(&state, chosen.len(), by_facet), smaller })
}

/// That so many capabilities cannot be required.
pub(crate) fn too_many(required: usize) -> Error {
    Error::new(
        Code::TooLarge,
        format!(
            "panel: {required} capabilities are required; as many as there are members (at most {MAX_PANEL}), or \
             {MAX_SUBSETS_OF}, are possible"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn questions_fall_into_clauses() {
        let question = "Is a 510(k) needed, and how will Medicare pay for it? Who audits suppliers?";
        let parts = facets(question);
        assert_eq!(parts[0], question);
        assert!(parts.contains(&"Who audits suppliers".to_owned()), "{parts:?}");
        assert!(parts.iter().any(|p| p.contains("how will Medicare pay")), "{parts:?}");
        assert_eq!(facets("What is ICH E6?"), ["What is ICH E6?"]);
    }

    #[test]
    fn options_are_checked() {
        for options in [
            PanelOptions { size: 0, ..Default::default() },
            PanelOptions { size: 40, ..Default::default() },
            PanelOptions { diversity: 1.5, ..Default::default() },
            PanelOptions { thrift: f64::NAN, ..Default::default() },
            PanelOptions { min_fit: 1.1, ..Default::default() },
            PanelOptions { min_fit: f64::NAN, ..Default::default() },
        ] {
            assert_eq!(options.validate().unwrap_err().code(), Code::InvalidArgument);
        }
    }
}
