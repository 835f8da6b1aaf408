//! How is a question answered from a snapshot?

use std::collections::HashSet;
use std::sync::Arc;

use quorate_core::vector::{dot, dot_rows, dot_subset};
use quorate_core::{Code, Error, Result};

use super::bounds::Bounds;
use super::entry::Entry;
use super::index::Snapshot;
use super::topics::Asked;
use super::words::Words;
use super::{Arm, Calibration, Evidence, Explanation, Match, MatchOptions, Part, Policy, Tuning};
use crate::Agent;

/// Agents that are compared with the question in full: all where there are no more, else the best by prototype and words,
/// and whoever else may be among the best. Shares are taken from these, however many are asked for.
const POOL: usize = 512;

/// When more are asked for, the examples of all admitted agents are compared.
const MOST_OF_POOL: usize = 128;

/// One more nearest example is averaged for each of this many: of few examples only one can be near.
const EXAMPLES_PER_NEAREST: usize = 8;

/// How many of the best agents are a question's company.
const COMPANY: usize = 10;

/// Lower weights of agents count as this.
pub(super) const LEAST_WEIGHT: f64 = 1.0 / 1024.0;

/// What was learnt from outcomes, for one question.
pub(crate) struct Learnt<'a> {
    pub(crate) context: Vec<f64>,
    pub(crate) policy: Policy,
    pub(crate) arm: &'a dyn Fn(&Agent) -> Option<Arc<Arm>>,
}

impl Learnt<'_> {
    /// What outcomes add to an agent's score, and how many there are.
    fn of(&self, agent: &Agent, tuning: &Tuning) -> (f64, u64) {
        let Some(arm) = (self.arm)(agent) else { return (0.0, 0) };
        let n = arm.outcomes as f64;
        let trust = n / (n + f64::from(tuning.learning_pace));
        let expected = arm.expectation(&self.context, self.policy, &agent.id);
        // A reward of one half says neither good nor bad.
        let learning = f64::from(tuning.learning) * trust * (2.0 * expected - 1.0).clamp(-1.0, 1.0);
        (learning, arm.outcomes)
    }
}

/// An agent under consideration.
struct Candidate<'a> {
    entry: &'a Arc<Entry>,
    key: Key,
    /// See [`Found`].
    first: f32,
    prototype: f32,
    coverage: f32,
    lexical: f32,
    nearest: f32,
    /// See [`Explanation`].
    topic_words: f32,
    topic_nearest: f32,
    best_topic: Option<(usize, f32)>,
    topics: f32,
    weight: f64,
    learning: f64,
    outcomes: u64,
    score: f64,
}

impl Candidate<'_> {
    /// The agent at a place with its whole score. `similar` is room for similarities.
    fn new<'s>(
        snapshot: &'s Snapshot,
        found: Found,
        asked: &Asked<'_>,
        words: &Words<'_>,
        tuning: &Tuning,
        learnt: Option<&Learnt<'_>>,
        similar: &mut Vec<f32>,
    ) -> Candidate<'s> {
        let Found { slot, row, prototype, first } = found;
        let segment = &*snapshot.slots[slot].segment;
        let entry = &segment.entries[row as usize];
        let prototype = prototype.unwrap_or_else(|| {
            let mut one = [0.0];
            dot_subset(asked.vector, &segment.prototypes, &[row], &mut one);
            one[0]
        });
        let (vectors, agent, mix) = (&*entry.vectors, &*entry.agent, entry.mix);
        let mut nearest = 0.0;
        if mix.nearest > 0.0 {
            similar.resize(vectors.count(), 0.0);
            dot_rows(asked.vector, &vectors.examples, similar);
            nearest = mean_of_largest(similar, nearest_count(tuning, vectors.count()));
        }
        let coverage = words.of(slot, row);
        let lexical = mix.lexical * coverage;
        let weight = f64::from(tuning.weight_step) * agent.weight.max(LEAST_WEIGHT).log2();
        let (learning, outcomes) = learnt.map_or((0.0, 0), |learnt| learnt.of(agent, tuning));
        let dense = prototype + mix.nearest * nearest;
        let topic_words = words.in_topics(slot, row, entry);
        let best_topic = entry.topics.nearest(asked, &vectors.topics);
        // Topics that say no more than the rest of the definition add nothing, so that agents with and without them
        // can be compared.
        let topic_nearest = best_topic.map_or(0.0, |(_, cosine)| (cosine - dense).max(0.0));
        let topics = tuning.topic_words * topic_words + tuning.topic_nearest * topic_nearest;
        let score = f64::from(dense) + f64::from(lexical) + f64::from(topics) + weight + learning;
        Candidate {
            entry,
            key: (slot, row),
            first,
            prototype,
            coverage,
            lexical,
            nearest,
            topic_words,
            topic_nearest,
            best_topic,
            topics,
            weight,
            learning,
            outcomes,
            score,
        }
    }

    /// Weighted similarity to description, centroid and nearest examples.
    fn dense(&self) -> f32 {
        self.prototype + self.entry.mix.nearest * self.nearest
    }
}

/// Agents in the order in which they fit a question, and what is known of them all.
pub(crate) struct Ranking<'a> {
    /// Best first; of equals the lower id, then the lower tenant (none first).
    candidates: Vec<Candidate<'a>>,
    words: Words<'a>,
    vector: &'a [f32],
    evidence: Evidence,
    in_scope: f64,
    /// P(agent | in scope) of each candidate.
    shares: Vec<f64>,
    admitted: usize,
}

impl Ranking<'_> {
    pub(crate) fn len(&self) -> usize {
        self.candidates.len()
    }

    pub(crate) fn entry(&self, i: usize) -> &Arc<Entry> {
        self.candidates[i].entry
    }

    pub(crate) fn score(&self, i: usize) -> f64 {
        self.candidates[i].score
    }

    fn confidence(&self, i: usize) -> f64 {
        self.in_scope * self.shares[i]
    }

    /// The match at a place, with its explanation.
    pub(crate) fn matched(&self, i: usize) -> Match {
        let candidate = &self.candidates[i];
        Match {
            agent: candidate.entry.agent.clone(),
            score: candidate.score,
            confidence: self.confidence(i),
            explanation: explain(candidate, self.vector, &self.words, self, self.shares[i]),
        }
    }
}

/// The best agents for a question, best first; ties go to the lower id, then to the lower tenant. Errors:
/// `filter_type`, `not_finite`, `invalid_shape`, `unknown_capability`.
pub(crate) fn search(
    snapshot: &Snapshot,
    text: &str,
    vector: &[f32],
    options: &MatchOptions,
    tuning: &Tuning,
    calibration: &Calibration,
    learnt: Option<&Learnt<'_>>,
) -> Result<Vec<Match>> {
    let Some(ranking) = rank(snapshot, text, vector, options, &[], tuning, calibration, learnt)? else {
        return Ok(Vec::new());
    };
    let count = options.k.min(ranking.len());
    let among: f64 = (0..count).map(|i| ranking.confidence(i)).sum();
    if options.abstain && among < options.min_confidence {
        return Ok(Vec::new());
    }
    Ok((0..count).map(|i| ranking.matched(i)).collect())
}

/// The ranking of at least the best `k` agents that are admitted and, where `any` names capabilities, have one of them;
/// none where nobody is. Errors: as [`search`].
#[allow(clippy::too_many_arguments)] // they are what an answer depends on
pub(crate) fn rank<'a>(
    snapshot: &'a Snapshot,
    text: &'a str,
    vector: &'a [f32],
    options: &MatchOptions,
    any: &[String],
    tuning: &Tuning,
    calibration: &Calibration,
    learnt: Option<&Learnt<'_>>,
) -> Result<Option<Ranking<'a>>> {
    options.validate()?;
    if vector.iter().any(|x| !x.is_finite()) {
        return Err(Error::new(Code::NotFinite, "the question's vector is not finite"));
    }
    let tenant = options.tenant.as_deref();
    for required in options.require.iter().chain(any) {
        snapshot.check_capability(tenant, required)?;
    }
    let mut admitted = Vec::with_capacity(snapshot.slots.len());
    for slot in &snapshot.slots {
        if slot.segment.dim != vector.len() {
            return Err(Error::new(
                Code::InvalidShape,
                format!(
                    "the question's vector has {} components, expected {}",
                    vector.len(),
                    slot.segment.dim
                ),
            ));
        }
        admitted.push(slot.segment.admitted(&slot.live, tenant, options, any)?);
    }
    let ids: Vec<Vec<u32>> = admitted.iter().map(|rows| rows.iter().collect()).collect();
    let total: usize = ids.iter().map(Vec::len).sum();
    if total == 0 {
        return Ok(None);
    }

    let words = Words::new(snapshot, &admitted, &ids, text, tuning);
    let asked = Asked::new(vector);
    let mut similar = Vec::new();
    let mut scored = |found: Vec<Found>| -> Vec<Candidate<'a>> {
        let mut candidates: Vec<Candidate<'a>> = found
            .into_iter()
            .map(|found| Candidate::new(snapshot, found, &asked, &words, tuning, learnt, &mut similar))
            .collect();
        candidates.sort_unstable_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| a.entry.agent.before(&b.entry.agent))
        });
        candidates
    };
    let (pool, rest) = gather(snapshot, &ids, vector, &words)?;
    let mut candidates = scored(pool);
    // The rest are not compared in full, but many of them may be as good as the last of the pool: each counts as if
    // the rest of its score were that one's.
    let gap = candidates
        .iter()
        .min_by(|a, b| a.first.total_cmp(&b.first).then_with(|| b.entry.agent.before(&a.entry.agent)))
        .map_or(0.0, |last| last.score - f64::from(last.first));
    let mut pooled: HashSet<Key> = HashSet::new();
    if !rest.is_empty() {
        pooled.extend(candidates.iter().map(|candidate| candidate.key));
        let further = match options.k > MOST_OF_POOL {
            true => scored(rest.clone()),
            false => {
                let best = candidates.iter().take(options.k.max(COMPANY)).map(|c| c.score).collect();
                let mut score = |found: Found| scored(vec![found]).pop();
                contenders(snapshot, &rest, best, &asked, tuning, learnt, &words, &mut score)?
            }
        };
        candidates.extend(further);
        candidates.sort_unstable_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| a.entry.agent.before(&b.entry.agent))
        });
    }

    let best = &candidates[0];
    let top = best.score;
    let description = f64::from(best.entry.mix.description);
    let evidence = Evidence {
        dense: f64::from(best.dense()),
        lexical: f64::from(best.coverage),
        company: candidates.iter().take(COMPANY).map(|c| f64::from(c.dense())).sum::<f64>()
            / candidates.len().min(COMPANY) as f64,
        few: f64::from(best.entry.mix.few),
        description,
        outside: snapshot.outside.nearest(tenant, vector).map(f64::from),
    };
    let in_scope = calibration.in_scope(&evidence);
    let shares = if rest.is_empty() {
        let scores: Vec<f64> = candidates.iter().map(|c| c.score).collect();
        calibration.shares(&scores, description)
    } else {
        let temperature = calibration.temperature_at(description);
        let share_at = |score: f64| ((score - top) / temperature).min(0.0).exp();
        // Who is among the best counts in full, by whatever way; whoever else is looked at since more are asked for does not
        // count as more than that, so that confidences do not depend on how many are asked for.
        pooled.extend(candidates.iter().take(COMPANY).map(|candidate| candidate.key));
        let counted = |candidate: &Candidate<'_>| match pooled.contains(&candidate.key) {
            true => candidate.score,
            false => candidate.score.min(f64::from(candidate.first) + gap),
        };
        let full = candidates.iter().filter(|candidate| pooled.contains(&candidate.key));
        let others = rest.iter().filter(|found| !pooled.contains(&(found.slot, found.row)));
        let all: f64 = full.map(|candidate| share_at(candidate.score)).sum::<f64>()
            + others.map(|found| share_at(f64::from(found.first) + gap)).sum::<f64>();
        candidates.iter().map(|candidate| share_at(counted(candidate)) / all).collect()
    };
    Ok(Some(Ranking { candidates, words, vector, evidence, in_scope, shares, admitted: total }))
}

/// The place of an agent: slot and row.
type Key = (usize, u32);

/// An agent that may be worth a closer look.
#[derive(Clone, Copy)]
struct Found {
    slot: usize,
    row: u32,
    /// Its prototype's similarity; none where only that by bytes is known.
    prototype: Option<f32>,
    /// That similarity, words, and those of topics at most.
    first: f32,
}

/// The agents that are compared in full whatever the question, the best by prototype and words, and the rest.
fn gather(
    snapshot: &Snapshot,
    admitted: &[Vec<u32>],
    vector: &[f32],
    words: &Words<'_>,
) -> Result<(Vec<Found>, Vec<Found>)> {
    let total: usize = admitted.iter().map(Vec::len).sum();
    let mut all: Vec<Found> = Vec::with_capacity(total);
    for (slot, (at, ids)) in snapshot.slots.iter().zip(admitted).enumerate() {
        let segment = &*at.segment;
        let mut prototypes = Vec::new();
        if total > POOL {
            prototypes = segment.codes()?.similar(vector, ids)?;
        } else if ids.len() == segment.entries.len() {
            prototypes.resize(ids.len(), 0.0);
            dot_rows(vector, &segment.prototypes, &mut prototypes);
        } else {
            prototypes.resize(ids.len(), 0.0);
            dot_subset(vector, &segment.prototypes, ids, &mut prototypes);
        }
        all.extend(ids.iter().zip(prototypes).map(|(&row, prototype)| {
            let first = prototype + by_words(snapshot, words, slot, row);
            Found { slot, row, prototype: (total <= POOL).then_some(prototype), first }
        }));
    }
    let mut rest = Vec::new();
    if all.len() > POOL {
        let agent = |found: &Found| &snapshot.slots[found.slot].segment.entries[found.row as usize].agent;
        all.select_nth_unstable_by(POOL - 1, |a, b| {
            b.first.total_cmp(&a.first).then_with(|| agent(a).before(agent(b)))
        });
        rest = all.split_off(POOL);
    }
    Ok((all, rest))
}

/// What the words of an agent add to its score, with what those of its topics add at most.
fn by_words(snapshot: &Snapshot, words: &Words<'_>, slot: usize, row: u32) -> f32 {
    let lexical = snapshot.slots[slot].segment.lexical[row as usize] * words.of(slot, row);
    lexical + words.topic_words * words.in_topics_at_most(slot, row)
}

/// Of the rest those that may be among the best, of whom `best` has the scores known so far: all others have lower ones.
/// Errors: `not_finite`.
#[allow(clippy::too_many_arguments)] // they are what a score depends on
fn contenders<'a>(
    snapshot: &Snapshot,
    rest: &[Found],
    mut best: Vec<f64>,
    asked: &Asked<'_>,
    tuning: &Tuning,
    learnt: Option<&Learnt<'_>>,
    words: &Words<'_>,
    score: &mut dyn FnMut(Found) -> Option<Candidate<'a>>,
) -> Result<Vec<Candidate<'a>>> {
    let bounds = snapshot.slots.iter().map(|slot| {
        let segment = &*slot.segment;
        Bounds::new(segment.codes()?, &segment.entries, asked, tuning)
    });
    let bounds: Vec<Bounds<'_>> = bounds.collect::<Result<_>>()?;
    let learnt_at_most = learnt.map_or(0.0, |_| f64::from(tuning.learning));
    let bar = best.last().copied().unwrap_or(f64::NEG_INFINITY);
    let mut may: Vec<(f64, Found)> = Vec::new();
    for &found in rest {
        let Found { slot, row, first, .. } = found;
        let words = by_words(snapshot, words, slot, row);
        let learning = || {
            let agent = &snapshot.slots[slot].segment.entries[row as usize].agent;
            learnt.map_or(0.0, |learnt| learnt.of(agent, tuning).0)
        };
        let most = bounds[slot].most(row, first - words, words, bar, learning, learnt_at_most);
        may.extend(most.map(|most| (most, found)));
    }
    may.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut found = Vec::new();
    for (most, one) in may {
        // The bar rises with each that is among the best.
        if best.last().is_some_and(|bar| most < *bar) {
            break;
        }
        let Some(candidate) = score(one) else { continue };
        let place = best.partition_point(|known| *known >= candidate.score);
        if place < best.len() {
            best.insert(place, candidate.score);
            best.pop();
        }
        found.push(candidate);
    }
    Ok(found)
}

/// How many of an agent's nearest examples are averaged.
pub(super) fn nearest_count(tuning: &Tuning, examples: usize) -> usize {
    tuning.nearest.min(examples.div_ceil(EXAMPLES_PER_NEAREST))
}

/// The mean of so many of the largest; 0 of none.
pub(super) fn mean_of_largest(values: &mut [f32], m: usize) -> f32 {
    let m = m.min(values.len());
    if m == 0 {
        return 0.0;
    }
    if m < values.len() {
        values.select_nth_unstable_by(m - 1, |a, b| b.total_cmp(a));
    }
    values[..m].iter().sum::<f32>() / m as f32
}

fn explain(
    candidate: &Candidate<'_>,
    vector: &[f32],
    words: &Words<'_>,
    ranking: &Ranking<'_>,
    share: f64,
) -> Explanation {
    let vectors = &*candidate.entry.vectors;
    let mix = candidate.entry.mix;
    let description = dot(vector, &vectors.description);
    // The prototype is the weighted sum of both.
    let centroid = match mix.centroid > 0.0 {
        true => (candidate.prototype - mix.description * description) / mix.centroid,
        false => 0.0,
    };
    let part = |value: f32, weight: f32| Part { value: f64::from(value), weight: f64::from(weight) };
    let mut similar = vec![0.0; vectors.count()];
    dot_rows(vector, &vectors.examples, &mut similar);
    let best = (0..similar.len()).max_by(|&a, &b| similar[a].total_cmp(&similar[b]).then(b.cmp(&a)));
    let best_example = best.and_then(|i| {
        let example = candidate.entry.agent.examples().nth(i)?;
        Some((example.to_owned(), f64::from(similar[i])))
    });
    Explanation {
        dense: f64::from(candidate.dense()),
        description: part(description, mix.description),
        centroid: part(centroid, mix.centroid),
        nearest: part(candidate.nearest, mix.nearest),
        best_example,
        lexical: f64::from(candidate.lexical),
        coverage: part(candidate.coverage, mix.lexical),
        words: words.parts(candidate.entry),
        topics: f64::from(candidate.topics),
        topic_words: part(candidate.topic_words, words.topic_words),
        topic_nearest: part(candidate.topic_nearest, words.topic_nearest),
        best_topic: candidate.best_topic.and_then(|(topic, cosine)| {
            Some((candidate.entry.agent.topics.get(topic)?.clone(), f64::from(cosine)))
        }),
        weight: candidate.weight,
        learning: candidate.learning,
        outcomes: candidate.outcomes,
        evidence: ranking.evidence,
        in_scope: ranking.in_scope,
        share,
        admitted: ranking.admitted,
    }
}
