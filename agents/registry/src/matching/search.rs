//! How is a question answered from a snapshot?

use std::borrow::Cow;
use std::sync::Arc;

use quorate_core::filter::RowSet;
use quorate_core::vector::{Scan, dot, dot_rows, dot_subset};
use quorate_core::{Code, Error, Result};

use super::entry::Entry;
use super::index::{SCREEN_FROM, Segment, Snapshot};
use super::topics::Asked;
use super::words::{Covered, Words};
use super::{Arm, Calibration, Evidence, Explanation, Match, MatchOptions, Part, Policy, Tuning};
use crate::Agent;

/// Agents whose examples are compared with the question: all where there are no more, else the best by prototype and
/// rare words. Confidence and evidence are taken from these, however many are asked for.
const POOL: usize = 512;

/// When more are asked for, the examples of all admitted agents are compared.
const MOST_OF_POOL: usize = 128;

/// One more nearest example is averaged for each of this many: of few examples only one can be near.
const EXAMPLES_PER_NEAREST: usize = 8;

/// How many of the best agents are a question's company.
const COMPANY: usize = 10;

/// Prototypes that are compared exactly after screening by signs.
const SCREENED: usize = 768;

/// Lower weights of agents count as this.
const LEAST_WEIGHT: f64 = 1.0 / 1024.0;

/// What was learnt from outcomes, for one question.
pub(crate) struct Learnt<'a> {
    pub(crate) context: Vec<f64>,
    pub(crate) policy: Policy,
    pub(crate) arm: &'a dyn Fn(&Agent) -> Option<Arc<Arm>>,
}

/// An agent under consideration.
struct Candidate<'a> {
    entry: &'a Arc<Entry>,
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
        let entry = &snapshot.slots[slot].segment.entries[row as usize];
        let (vectors, agent, mix) = (&*entry.vectors, &*entry.agent, entry.mix);
        let mut nearest = 0.0;
        if mix.nearest > 0.0 {
            similar.resize(vectors.count(), 0.0);
            dot_rows(asked.vector, &vectors.examples, similar);
            let count = tuning.nearest.min(vectors.count().div_ceil(EXAMPLES_PER_NEAREST));
            nearest = mean_of_largest(similar, count);
        }
        let coverage = words.of(slot, row, entry);
        let lexical = mix.lexical * coverage;
        let weight = f64::from(tuning.weight_step) * agent.weight.max(LEAST_WEIGHT).log2();
        let (mut learning, mut outcomes) = (0.0, 0);
        if let Some(learnt) = learnt
            && let Some(arm) = (learnt.arm)(agent)
        {
            let n = arm.outcomes as f64;
            let trust = n / (n + f64::from(tuning.learning_pace));
            let expected = arm.expectation(&learnt.context, learnt.policy, &agent.id);
            // A reward of one half says neither good nor bad.
            learning = f64::from(tuning.learning) * trust * (2.0 * expected - 1.0).clamp(-1.0, 1.0);
            outcomes = arm.outcomes;
        }
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
    let (pool, mut rest) = gather(snapshot, &ids, vector, &words)?;
    let mut taken: Vec<RowSet> = Vec::new();
    if options.k > MOST_OF_POOL && pool.len() < total {
        taken = snapshot.slots.iter().map(|s| RowSet::empty(s.segment.entries.len() as u32)).collect();
        pool.iter().chain(&rest).for_each(|found| taken[found.slot].insert(found.row));
    }
    let mut candidates = scored(pool);

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
    let scores: Vec<f64> = candidates.iter().map(|c| c.score).collect();
    let mut shares = calibration.shares(&scores, description);
    let temperature = calibration.temperature_at(description);
    let share_at = |score: f64| ((score - top) / temperature).min(0.0).exp();
    // The rest are not compared in full, but many of them may be as good as the last of the pool: each counts as if
    // the rest of its score were that one's.
    let gap = candidates
        .iter()
        .min_by(|a, b| a.first.total_cmp(&b.first).then_with(|| b.entry.agent.before(&a.entry.agent)))
        .map_or(0.0, |last| last.score - f64::from(last.first));
    let all = 1.0 / shares[0] + rest.iter().map(|found| share_at(f64::from(found.first) + gap)).sum::<f64>();
    if !rest.is_empty() {
        let factor = 1.0 / (shares[0] * all);
        shares.iter_mut().for_each(|share| *share *= factor);
    }
    if !taken.is_empty() {
        for (slot, rows) in ids.into_iter().enumerate() {
            let segment = &*snapshot.slots[slot].segment;
            let rows: Vec<u32> = rows.into_iter().filter(|&row| !taken[slot].contains(row)).collect();
            let mut prototypes = vec![0.0; rows.len()];
            dot_subset(vector, &segment.prototypes, &rows, &mut prototypes);
            let found = rows.into_iter().zip(prototypes);
            // What was screened out has no share.
            let first = f32::NEG_INFINITY;
            rest.extend(found.map(|(row, prototype)| Found { slot, row, prototype, first }));
        }
        let further = scored(rest).into_iter().map(|candidate| {
            let share = share_at(candidate.score.min(f64::from(candidate.first) + gap)) / all;
            (candidate, share)
        });
        let mut both: Vec<(Candidate<'a>, f64)> = candidates.into_iter().zip(shares).chain(further).collect();
        both.sort_unstable_by(|(a, _), (b, _)| {
            b.score.total_cmp(&a.score).then_with(|| a.entry.agent.before(&b.entry.agent))
        });
        (candidates, shares) = both.into_iter().unzip();
    }
    Ok(Some(Ranking { candidates, words, vector, evidence, in_scope, shares, admitted: total }))
}

/// An agent that may be worth a closer look.
struct Found {
    slot: usize,
    row: u32,
    prototype: f32,
    /// Prototype and rare words, those of topics too.
    first: f32,
}

/// The agents worth a closer look, the best by prototype and rare words, and the rest. Common words weigh little.
fn gather(
    snapshot: &Snapshot,
    admitted: &[Vec<u32>],
    vector: &[f32],
    words: &Words<'_>,
) -> Result<(Vec<Found>, Vec<Found>)> {
    let mut all: Vec<Found> = Vec::new();
    for (slot, (at, ids)) in snapshot.slots.iter().zip(admitted).enumerate() {
        let segment = &*at.segment;
        let ids = screened(segment, ids, vector, &words.coverage[slot])?;
        let mut prototypes = vec![0.0; ids.len()];
        if ids.len() == segment.entries.len() {
            dot_rows(vector, &segment.prototypes, &mut prototypes);
        } else {
            dot_subset(vector, &segment.prototypes, &ids, &mut prototypes);
        }
        all.extend(ids.iter().zip(prototypes).map(|(&row, prototype)| {
            let lexical = segment.lexical[row as usize] * words.rare(slot, row);
            let first = prototype + lexical + words.topic_words * words.rare_topics(slot, row);
            Found { slot, row, prototype, first }
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

/// The admitted rows; where there are many, those with the most similar signs and those with the best coverage.
fn screened<'a>(
    segment: &Segment,
    ids: &'a [u32],
    vector: &[f32],
    coverage: &Covered,
) -> Result<Cow<'a, [u32]>> {
    if ids.len() <= SCREEN_FROM || segment.entries.len() < SCREEN_FROM {
        return Ok(Cow::Borrowed(ids));
    }
    let query = segment.signs.prepare(vector)?;
    let mut similar = vec![0.0; ids.len()];
    segment.signs.score_subset(&query, ids, &mut similar);
    // There are few different numbers of differing signs, so counting selects faster than a heap.
    let dim = segment.dim;
    let differing = |score: f32| ((1.0 - score) * dim as f32 * 0.5 + 0.5) as usize;
    let mut counts = vec![0usize; dim + 2];
    similar.iter().for_each(|&score| counts[differing(score).min(dim + 1)] += 1);
    let mut within = 0;
    let last = counts.iter().take_while(|&&count| {
        within += count;
        within < SCREENED
    });
    let last = last.count();
    let mut out: Vec<u32> = ids
        .iter()
        .zip(&similar)
        .filter(|(_, score)| differing(**score) <= last)
        .map(|(&row, _)| row)
        .collect();
    let mut covering = coverage.touched.clone();
    if covering.len() > SCREENED / 8 {
        let agent = |row: u32| &segment.entries[row as usize].agent;
        let of = |shares: &[f32], row: u32| shares.get(row as usize).copied().unwrap_or(0.0);
        let share = |row: u32| of(&coverage.shares, row) + of(&coverage.topics, row);
        covering.select_nth_unstable_by(SCREENED / 8 - 1, |&a, &b| {
            share(b).total_cmp(&share(a)).then_with(|| agent(a).before(agent(b)))
        });
        covering.truncate(SCREENED / 8);
    }
    out.append(&mut covering);
    out.sort_unstable();
    out.dedup();
    Ok(Cow::Owned(out))
}

fn mean_of_largest(values: &mut [f32], m: usize) -> f32 {
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
