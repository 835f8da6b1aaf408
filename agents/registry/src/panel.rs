//! Which few agents answer a question best together?

use std::collections::BTreeSet;

use quorate_core::vector::Matrix;
use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

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
    /// How many members, 1 to 64; fewer when fewer agents meet the constraints.
    pub size: usize,
    /// What counts beside relevance, 0 to 1: 0 gives the most relevant agents, however alike; 1 only looks at what
    /// they cover together.
    pub diversity: f64,
    /// How much a low cost of calls counts, 0 to 1.
    pub thrift: f64,
    /// How many of the most relevant agents are considered, at least `size`; with required capabilities, so many of
    /// those that have each, and the best of each combination.
    pub pool: usize,
    /// Hard constraints on members. With [`require`](MatchOptions::require) each member has at least one of the
    /// capabilities, and together they have all of them, wherever `size` agents can; of more than `size` capabilities
    /// at most 16 can be required. Their order plays no part, nor do `k` and `abstain`.
    pub constraints: MatchOptions,
}

impl Default for PanelOptions {
    fn default() -> Self {
        PanelOptions { size: 5, diversity: 0.3, thrift: 0.05, pool: 32, constraints: MatchOptions::default() }
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
        if !(0.0..=1.0).contains(&self.diversity) || !(0.0..=1.0).contains(&self.thrift) {
            return Err(Error::invalid(format!(
                "panel: diversity {} and thrift {} must lie in 0 to 1",
                self.diversity, self.thrift
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
}

/// A member of a panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The agent, and how it fits the question as a whole.
    pub matched: Match,
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
                "{}. {} (+{:.3}, score {:.3})",
                i + 1,
                member.matched.agent.id,
                member.gain,
                member.matched.score
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

/// Chooses a panel from candidates, which come best first; `facet_vectors` has a row for each facet, and `matched`
/// gives the match of a candidate. `required` has at most 64 names. Errors: `not_found` when a required capability
/// cannot be had, `invalid_argument` when `size` members cannot have them all, `too_large` when they are too many.
pub(crate) fn select(
    candidates: &[Candidate<'_>],
    facets: &[String],
    facet_vectors: &Matrix,
    required: &[String],
    options: &PanelOptions,
    matched: impl Fn(usize) -> Option<Match>,
) -> Result<Panel> {
    let goal = Goal { size: options.size, diversity: options.diversity, thrift: options.thrift };
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
    greedy(&objective, &mut state, &mut chosen, options.size);

    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut members = Vec::with_capacity(chosen.len());
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
        members.push(Member { matched, gain, facets: best_on, capabilities });
    }
    let by_facet = facets
        .iter()
        .enumerate()
        .map(|(f, name)| {
            let best = chosen.iter().map(|&(i, _)| objective.fit[i][f]).fold(0.0, f64::max);
            (name.clone(), best)
        })
        .collect();
    Ok(Panel { members, coverage: objective.coverage(&state, chosen.len(), by_facet) })
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
        ] {
            assert_eq!(options.validate().unwrap_err().code(), Code::InvalidArgument);
        }
    }
}
