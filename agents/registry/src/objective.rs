//! What is a set of agents worth together?
//!
//! The value of a panel is a sum of monotone submodular terms, so choosing greedily the member that adds most reaches
//! at least 1 - 1/e of the best value (Nemhauser, Wolsey & Fisher 1978); gains are evaluated lazily (Minoux 1978).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use quorate_core::vector::{Matrix, dot, dot_rows};
use serde::{Deserialize, Serialize};

use crate::matching::entry::Vectors;
use crate::{Agent, Taxonomy};

/// An agent that may become a member.
pub(crate) struct Candidate<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) vectors: &'a Vectors,
    /// How well it fits the question as a whole, 0 to 1.
    pub(crate) relevance: f64,
}

/// Fills `chosen` up to `size` with the member of `among` that adds most, again and again.
pub(crate) fn greedy(
    objective: &Objective,
    state: &mut State,
    chosen: &mut Vec<(usize, f64)>,
    among: impl Iterator<Item = usize>,
    size: usize,
) {
    /// A gain, and the number of members when it was computed.
    struct Gain(f64, usize, usize);
    impl PartialEq for Gain {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }
    impl Eq for Gain {}
    impl PartialOrd for Gain {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Gain {
        fn cmp(&self, other: &Self) -> Ordering {
            self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
        }
    }

    let taken: BTreeSet<usize> = chosen.iter().map(|&(i, _)| i).collect();
    let mut heap: BinaryHeap<Gain> = among
        .filter(|i| !taken.contains(i))
        .map(|i| Gain(objective.gain(state, i), i, chosen.len()))
        .collect();
    while chosen.len() < size
        && let Some(Gain(gain, i, when)) = heap.pop()
    {
        if when == chosen.len() {
            objective.take(state, i);
            chosen.push((i, gain));
        } else {
            // Submodular: the true gain is no larger, so only the top needs to be computed anew.
            heap.push(Gain(objective.gain(state, i), i, chosen.len()));
        }
    }
}

/// How many are sought, and what counts beside their relevance.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) size: usize,
    pub(crate) diversity: f64,
    pub(crate) thrift: f64,
}

/// What a panel covers: each part lies in 0 to 1, relative to what the whole pool could; 1 where that is nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Best fit of a member to each facet of the question.
    pub facets: f64,
    /// Capabilities of relevant agents, and their ancestors, that a member has.
    pub capabilities: f64,
    /// Spread over fields of work.
    pub diversity: f64,
    /// Mean relevance of the members: the square of each one's [`fit`](crate::Member::fit).
    pub relevance: f64,
    /// Mean saving against the dearest agent of the pool.
    pub thrift: f64,
    /// The value that was maximised, 0 to 1.
    pub value: f64,
    /// Each facet with the best fit (a cosine) of a member.
    pub by_facet: Vec<(String, f64)>,
}

/// The value of a set of candidates.
///
/// ((1 - d) relevance + d (facets + capabilities + diversity) / 3 + t thrift) / (1 + t), where relevance and thrift are
/// sums over members divided by their largest number, facets is facility location, capabilities weighted coverage, and diversity the sum over fields of work of
/// the square root of their members' relevance (Lin & Bilmes 2011). Each is monotone and submodular.
pub(crate) struct Objective {
    relevance: Vec<f64>,
    saving: Vec<f64>,
    /// Fit of each candidate to each facet, 0 to 1.
    pub(crate) fit: Vec<Vec<f64>>,
    /// The best fit that the pool has to each facet.
    best_fit: Vec<f64>,
    /// Capabilities of each candidate with ancestors, as indices.
    capabilities: Vec<Vec<usize>>,
    capability_weights: Vec<f64>,
    /// The field of work of each candidate, as an index.
    field: Vec<usize>,
    fields: usize,
    /// Largest possible diversity.
    most_diverse: f64,
    size: f64,
    diversity: f64,
    thrift: f64,
}

/// What a set has so far.
#[derive(Clone)]
pub(crate) struct State {
    members: usize,
    relevance: f64,
    saving: f64,
    fit: Vec<f64>,
    covered: Vec<bool>,
    by_field: Vec<f64>,
}

impl Objective {
    pub(crate) fn new(candidates: &[Candidate<'_>], facet_vectors: &Matrix, goal: Goal) -> Self {
        let relevance: Vec<f64> = candidates.iter().map(|c| c.relevance).collect();
        let dearest = candidates.iter().map(|c| c.agent.cost_per_call).fold(0.0, f64::max);
        let saving = candidates
            .iter()
            .map(|c| if dearest > 0.0 { 1.0 - c.agent.cost_per_call / dearest } else { 0.0 })
            .collect();
        let fit: Vec<Vec<f64>> = candidates
            .iter()
            .map(|c| facet_vectors.iter().map(|facet| fit(c.vectors, facet)).collect())
            .collect();
        let best_fit =
            (0..facet_vectors.rows()).map(|f| fit.iter().map(|row| row[f]).fold(0.0, f64::max)).collect();
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut capability_weights: Vec<f64> = Vec::new();
        let mut capabilities = Vec::with_capacity(candidates.len());
        let mut field_names: BTreeMap<String, usize> = BTreeMap::new();
        let mut field = Vec::with_capacity(candidates.len());
        for (candidate, &relevance) in candidates.iter().zip(&relevance) {
            let mut own = BTreeSet::new();
            for name in candidate.agent.capabilities.iter().flat_map(|c| Taxonomy::ancestors(&c.name)) {
                let next = names.len();
                let index = *names.entry(name.to_owned()).or_insert(next);
                if index == capability_weights.len() {
                    capability_weights.push(0.0);
                }
                // A capability matters as much as the most relevant agent that has it; squared, so that the tail
                // of the pool does not count for its mass.
                capability_weights[index] = capability_weights[index].max(relevance * relevance);
                own.insert(index);
            }
            capabilities.push(own.into_iter().collect());
            let agent = candidate.agent;
            let place = if agent.domain.is_empty() { &agent.id } else { &agent.domain };
            let next = field_names.len();
            field.push(*field_names.entry(place.clone()).or_insert(next));
        }
        let mut objective = Objective {
            relevance,
            saving,
            fit,
            best_fit,
            capabilities,
            capability_weights,
            field,
            fields: field_names.len(),
            most_diverse: 1.0,
            size: goal.size as f64,
            diversity: goal.diversity,
            thrift: goal.thrift,
        };
        objective.most_diverse = objective.largest_diversity(goal.size);
        objective
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.relevance.len()
    }

    pub(crate) fn start(&self) -> State {
        State {
            members: 0,
            relevance: 0.0,
            saving: 0.0,
            fit: vec![0.0; self.best_fit.len()],
            covered: vec![false; self.capability_weights.len()],
            by_field: vec![0.0; self.fields],
        }
    }

    pub(crate) fn take(&self, state: &mut State, i: usize) {
        state.members += 1;
        state.relevance += self.relevance[i];
        state.saving += self.saving[i];
        for (best, fit) in state.fit.iter_mut().zip(&self.fit[i]) {
            *best = best.max(*fit);
        }
        for &c in &self.capabilities[i] {
            state.covered[c] = true;
        }
        state.by_field[self.field[i]] += self.relevance[i];
    }

    pub(crate) fn gain(&self, state: &State, i: usize) -> f64 {
        let mut with = state.clone();
        self.take(&mut with, i);
        self.value(&with) - self.value(state)
    }

    fn value(&self, state: &State) -> f64 {
        let together = (self.facets(state) + self.covered(state) + self.spread(state)) / 3.0;
        let value = (1.0 - self.diversity) * state.relevance / self.size
            + self.diversity * together
            + self.thrift * state.saving / self.size;
        value / (1.0 + self.thrift)
    }

    /// The share of what could be had. Of nothing, a panel has all.
    fn share(have: f64, all: f64, state: &State) -> f64 {
        match all > 0.0 {
            true => have / all,
            false => f64::from(u8::from(state.members > 0)),
        }
    }

    fn facets(&self, state: &State) -> f64 {
        Self::share(state.fit.iter().sum(), self.best_fit.iter().sum(), state)
    }

    fn covered(&self, state: &State) -> f64 {
        let covered = self.capability_weights.iter().zip(&state.covered).filter(|(_, c)| **c).map(|(w, _)| w);
        Self::share(covered.sum(), self.capability_weights.iter().sum(), state)
    }

    fn spread(&self, state: &State) -> f64 {
        state.by_field.iter().map(|r| r.sqrt()).sum::<f64>() / self.most_diverse
    }

    /// The square roots of the most relevant agent of each field, the `size` largest of them.
    fn largest_diversity(&self, size: usize) -> f64 {
        let mut best = vec![0.0f64; self.fields];
        for (&field, &relevance) in self.field.iter().zip(&self.relevance) {
            best[field] = best[field].max(relevance.sqrt());
        }
        best.sort_by(|a, b| b.total_cmp(a));
        best.iter().take(size).sum::<f64>().max(f64::MIN_POSITIVE)
    }

    pub(crate) fn coverage(&self, state: &State, members: usize, by_facet: Vec<(String, f64)>) -> Coverage {
        let n = (members as f64).max(1.0);
        Coverage {
            facets: self.facets(state),
            capabilities: self.covered(state),
            diversity: self.spread(state).min(1.0),
            relevance: state.relevance / n,
            thrift: state.saving / n,
            value: self.value(state),
            by_facet,
        }
    }
}

/// How well an agent fits a facet: the largest cosine with its description, an example or a topic, not below 0.
fn fit(vectors: &Vectors, facet: &[f32]) -> f64 {
    let mut best = dot(&vectors.description, facet);
    let mut similar = vec![0.0; vectors.count()];
    dot_rows(facet, &vectors.examples, &mut similar);
    for x in similar {
        best = best.max(x);
    }
    let mut similar = vec![0.0; vectors.topics.len() / vectors.dim.max(1)];
    dot_rows(facet, &vectors.topics, &mut similar);
    for x in similar {
        best = best.max(x);
    }
    f64::from(best.max(0.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn objective(
        relevance: Vec<f64>,
        fit: Vec<Vec<f64>>,
        capabilities: Vec<Vec<usize>>,
        field: Vec<usize>,
        size: usize,
    ) -> Objective {
        let facets = fit[0].len();
        let mut objective = Objective {
            saving: relevance.iter().map(|r| 1.0 - r).collect(),
            best_fit: (0..facets).map(|f| fit.iter().map(|row| row[f]).fold(0.0, f64::max)).collect(),
            capability_weights: (0..6).map(|i| 1.0 / f64::from(i + 1)).collect(),
            fields: 4,
            most_diverse: 1.0,
            size: size as f64,
            diversity: 0.6,
            thrift: 0.1,
            relevance,
            fit,
            capabilities,
            field,
        };
        objective.most_diverse = objective.largest_diversity(size);
        objective
    }

    fn value_of(objective: &Objective, set: impl IntoIterator<Item = usize>) -> f64 {
        let mut state = objective.start();
        set.into_iter().for_each(|i| objective.take(&mut state, i));
        objective.value(&state)
    }

    prop_compose! {
        fn instance()(n in 4usize..10, size in 1usize..5)(
            size in Just(size),
            relevance in prop::collection::vec(0.0f64..1.0, n),
            fit in prop::collection::vec(prop::collection::vec(0.0f64..1.0, 3), n),
            capabilities in prop::collection::vec(prop::collection::btree_set(0usize..6, 0..4), n),
            field in prop::collection::vec(0usize..4, n),
        ) -> (Objective, usize) {
            let capabilities = capabilities.into_iter().map(|s| s.into_iter().collect()).collect();
            (objective(relevance, fit, capabilities, field, size), size)
        }
    }

    impl std::fmt::Debug for Objective {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?} {:?} {:?} {:?}", self.relevance, self.fit, self.capabilities, self.field)
        }
    }

    proptest! {
        #[test]
        fn greedy_keeps_its_guarantee((objective, size) in instance()) {
            let mut chosen = Vec::new();
            greedy(&objective, &mut objective.start(), &mut chosen, 0..objective.len(), size);
            let got = value_of(&objective, chosen.iter().map(|&(i, _)| i));
            let mut best = 0.0f64;
            for mask in 0u32..1 << objective.len() {
                if mask.count_ones() as usize <= size {
                    let set = (0..objective.len()).filter(|i| mask >> i & 1 == 1);
                    best = best.max(value_of(&objective, set));
                }
            }
            prop_assert!(got >= (1.0 - (-1.0f64).exp()) * best - 1e-9, "{} of {}", got, best);
            prop_assert!(got <= best + 1e-9);
        }

        #[test]
        fn lazy_and_plain_greedy_agree((objective, size) in instance()) {
            let mut lazy = Vec::new();
            greedy(&objective, &mut objective.start(), &mut lazy, 0..objective.len(), size);
            let (mut plain, mut state) = (Vec::new(), objective.start());
            while plain.len() < size.min(objective.len()) {
                let next = (0..objective.len()).filter(|i| !plain.contains(i))
                    .map(|i| (objective.gain(&state, i), i))
                    .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).unwrap().1;
                objective.take(&mut state, next);
                plain.push(next);
            }
            let values = |set: &[usize]| value_of(&objective, set.iter().copied());
            let lazy: Vec<usize> = lazy.into_iter().map(|(i, _)| i).collect();
            prop_assert!((values(&lazy) - values(&plain)).abs() < 1e-9, "{:?} {:?}", lazy, plain);
        }

        #[test]
        fn the_value_is_monotone_and_submodular((objective, _) in instance(), small in 0u32..512, more in 0u32..512, x in 0usize..9) {
            let n = objective.len();
            let x = x % n;
            let set = |mask: u32| (0..n).filter(move |&i| i != x && mask >> i & 1 == 1);
            let value = |mask: u32, with: bool| value_of(&objective, set(mask).chain(with.then_some(x)));
            let gain_small = value(small, true) - value(small, false);
            let gain_large = value(small | more, true) - value(small | more, false);
            prop_assert!(gain_small >= gain_large - 1e-9);
            prop_assert!(gain_large >= -1e-9);
        }
    }
}
