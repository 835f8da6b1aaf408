//! How is a question answered from a snapshot?

use std::sync::Arc;

use quorate_core::filter::RowSet;
use quorate_core::vector::{Scan, TopK, dot, dot_rows, dot_subset};
use quorate_core::{Code, Error, Result};

use super::index::{Entry, SCREEN_FROM, Segment, Snapshot};
use super::lexical::{Term, each_term, idf, saturation};
use super::{Arm, Calibration, Evidence, Explanation, Match, MatchOptions, Part, Policy, Tuning};
use crate::Agent;

/// Agents whose examples are compared with the question, at least; the others are out of reach by their prototypes.
const MIN_CANDIDATES: usize = 24;

/// One more nearest example is averaged for each of this many: of few examples only one can be near.
const EXAMPLES_PER_NEAREST: usize = 8;

/// How many of the best agents are a question's company.
const COMPANY: usize = 10;

/// Prototypes that are compared exactly after screening by signs.
const SCREENED: usize = 768;

/// Agents whose mean length is taken, at least, where there are so many.
const LENGTHS: usize = 4096;

/// Agents for which common words are looked up.
const LOOKED_UP: usize = 256;

/// What was learnt from outcomes, for one question.
pub(crate) struct Learnt<'a> {
    pub(crate) context: Vec<f64>,
    pub(crate) policy: Policy,
    pub(crate) arm: &'a dyn Fn(&Agent) -> Option<Arc<Arm>>,
}

/// An agent under consideration.
struct Candidate<'a> {
    entry: &'a Arc<Entry>,
    prototype: f32,
    coverage: f32,
    lexical: f32,
    nearest: f32,
    weight: f64,
    learning: f64,
    outcomes: u64,
    score: f64,
}

impl Candidate<'_> {
    /// Weighted similarity to description, centroid and nearest examples.
    fn dense(&self) -> f32 {
        self.prototype + self.entry.mix.nearest * self.nearest
    }
}

/// The best agents for a question, best first; ties go to the lower id. Errors: `filter_type`, `not_finite`,
/// `invalid_shape`, `unknown_capability`.
pub(crate) fn search(
    snapshot: &Snapshot,
    text: &str,
    vector: &[f32],
    options: &MatchOptions,
    tuning: &Tuning,
    calibration: &Calibration,
    learnt: Option<&Learnt<'_>>,
) -> Result<Vec<Match>> {
    options.validate()?;
    if vector.iter().any(|x| !x.is_finite()) {
        return Err(Error::new(Code::NotFinite, "the question's vector is not finite"));
    }
    for required in &options.require {
        snapshot.taxonomy.check(required)?;
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
        admitted.push(slot.segment.admitted(&slot.live, options.tenant.as_deref(), options)?);
    }
    let ids: Vec<Vec<u32>> = admitted.iter().map(|rows| rows.iter().collect()).collect();
    let total: usize = ids.iter().map(Vec::len).sum();
    if total == 0 {
        return Ok(Vec::new());
    }

    let words = Words::new(snapshot, &admitted, &ids, text);
    let mut candidates = gather(snapshot, ids, vector, &words, options.k)?;
    let mut similar = Vec::new();
    for candidate in &mut candidates {
        finish(candidate, vector, tuning, learnt, &mut similar);
    }
    candidates
        .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.entry.agent.id.cmp(&b.entry.agent.id)));

    let scores: Vec<f64> = candidates.iter().map(|c| c.score).collect();
    let best = &candidates[0];
    let evidence = Evidence {
        dense: f64::from(best.dense()),
        lexical: f64::from(best.coverage),
        company: candidates.iter().take(COMPANY).map(|c| f64::from(c.dense())).sum::<f64>()
            / candidates.len().min(COMPANY) as f64,
        few: f64::from(best.entry.mix.few),
        description: f64::from(best.entry.mix.description),
        outside: snapshot.outside.nearest(options.tenant.as_deref(), vector).map(f64::from),
    };
    let in_scope = calibration.in_scope(&evidence);
    let shares = calibration.shares(&scores, evidence.description);
    if options.abstain && in_scope < options.min_confidence {
        return Ok(Vec::new());
    }
    let found = candidates.iter().zip(&shares).take(options.k);
    Ok(found
        .map(|(candidate, &share)| Match {
            agent: candidate.entry.agent.clone(),
            score: candidate.score,
            confidence: in_scope * share,
            explanation: explain(candidate, vector, &words, evidence, in_scope, share, total),
        })
        .collect())
}

/// The agents worth a closer look: the best by prototype and coverage.
fn gather<'a>(
    snapshot: &'a Snapshot,
    admitted: Vec<Vec<u32>>,
    vector: &[f32],
    words: &Words<'_>,
    k: usize,
) -> Result<Vec<Candidate<'a>>> {
    let limit = MIN_CANDIDATES.max(4 * k);
    let mut pool: Vec<(usize, u32, f32)> = Vec::new();
    // Common words weigh little: they are looked up only for the best by everything else.
    let mut first = TopK::new(limit.max(LOOKED_UP));
    for (s, (slot, ids)) in snapshot.slots.iter().zip(admitted).enumerate() {
        let segment = &*slot.segment;
        let ids = screened(segment, ids, vector, &words.coverage[s])?;
        let mut scores = vec![0.0; ids.len()];
        if ids.len() == segment.entries.len() {
            dot_rows(vector, &segment.prototypes, &mut scores);
        } else {
            dot_subset(vector, &segment.prototypes, &ids, &mut scores);
        }
        for (&row, &prototype) in ids.iter().zip(&scores) {
            let rare = segment.lexical[row as usize] * words.rare(s, row);
            first.push(pool.len() as u32, prototype + rare);
            pool.push((s, row, prototype));
        }
    }
    let mut top = TopK::new(limit);
    let mut coverage = Vec::new();
    let first = first.into_sorted();
    for scored in &first {
        let (s, row, prototype) = pool[scored.index as usize];
        let segment = &*snapshot.slots[s].segment;
        let share = words.of(s, row, &segment.entries[row as usize]);
        top.push(coverage.len() as u32, prototype + segment.lexical[row as usize] * share);
        coverage.push(share);
    }
    Ok(top
        .into_sorted()
        .iter()
        .map(|scored| {
            let (s, row, prototype) = pool[first[scored.index as usize].index as usize];
            Candidate {
                entry: &snapshot.slots[s].segment.entries[row as usize],
                prototype,
                coverage: coverage[scored.index as usize],
                lexical: 0.0,
                nearest: 0.0,
                weight: 0.0,
                learning: 0.0,
                outcomes: 0,
                score: 0.0,
            }
        })
        .collect())
}

/// The admitted rows; where there are many, those with the most similar signs and those with the best coverage.
fn screened(segment: &Segment, ids: Vec<u32>, vector: &[f32], coverage: &Covered) -> Result<Vec<u32>> {
    if ids.len() <= SCREEN_FROM || segment.entries.len() < SCREEN_FROM {
        return Ok(ids);
    }
    let query = segment.signs.prepare(vector)?;
    let mut similar = vec![0.0; ids.len()];
    segment.signs.score_subset(&query, &ids, &mut similar);
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
    let mut covering = TopK::new(SCREENED / 8);
    for &row in &coverage.touched {
        covering.push(row, coverage.shares[row as usize]);
    }
    out.extend(covering.into_sorted().iter().map(|scored| scored.index));
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// Adds the nearest examples, the weight and what was learnt. `similar` is room for similarities.
fn finish(
    candidate: &mut Candidate<'_>,
    vector: &[f32],
    tuning: &Tuning,
    learnt: Option<&Learnt<'_>>,
    similar: &mut Vec<f32>,
) {
    let vectors = &*candidate.entry.vectors;
    let agent = &*candidate.entry.agent;
    let mix = candidate.entry.mix;
    if mix.nearest > 0.0 {
        similar.resize(vectors.count(), 0.0);
        dot_rows(vector, &vectors.examples, similar);
        let nearest = tuning.nearest.min(vectors.count().div_ceil(EXAMPLES_PER_NEAREST));
        candidate.nearest = mean_of_largest(similar, nearest);
    }
    candidate.lexical = mix.lexical * candidate.coverage;
    candidate.weight = f64::from(tuning.weight_step) * agent.weight.log2();
    if let Some(learnt) = learnt
        && let Some(arm) = (learnt.arm)(agent)
    {
        let n = arm.outcomes as f64;
        let trust = n / (n + f64::from(tuning.learning_pace));
        let expected = arm.expectation(&learnt.context, learnt.policy, &agent.id);
        // A reward of one half says neither good nor bad.
        candidate.learning = f64::from(tuning.learning) * trust * (2.0 * expected - 1.0).clamp(-1.0, 1.0);
        candidate.outcomes = arm.outcomes;
    }
    let dense = f64::from(candidate.dense());
    candidate.score = dense + f64::from(candidate.lexical) + candidate.weight + candidate.learning;
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

/// The question's terms and how much of their weight each agent covers.
///
/// Frequencies are counted among the admitted agents alone, so that nothing outside the caller's scope shows.
struct Words<'q> {
    terms: Vec<(Term, &'q str)>,
    /// idf by term.
    idf: Vec<f32>,
    total: f32,
    mean_length: f32,
    /// By slot.
    coverage: Vec<Covered>,
}

/// What the agents of one segment cover, not yet divided by the total.
#[derive(Default)]
struct Covered {
    /// By row; empty where nothing is covered.
    shares: Vec<f32>,
    /// The rows that are covered at all.
    touched: Vec<u32>,
    /// Common terms, by number: they are looked up for those agents alone that are compared in the end.
    later: Vec<usize>,
}

impl<'q> Words<'q> {
    fn new(snapshot: &Snapshot, admitted: &[RowSet], ids: &[Vec<u32>], text: &'q str) -> Self {
        let mut known: Vec<(Term, &str)> = Vec::new();
        each_term(text, |term, word| {
            if !known.iter().any(|(t, _)| *t == term) {
                known.push((term, word));
            }
        });
        let total: usize = ids.iter().map(Vec::len).sum();
        let step = (total / LENGTHS).max(1);
        let (mut length, mut counted) = (0.0, 0.0);
        for (slot, rows) in snapshot.slots.iter().zip(ids) {
            for &row in rows.iter().step_by(step) {
                length += f64::from(slot.segment.lengths[row as usize]);
                counted += 1.0;
            }
        }
        let mean_length = (length / f64::max(counted, 1.0)) as f32;
        let mut words = Words {
            idf: Vec::with_capacity(known.len()),
            terms: known,
            total: 0.0,
            mean_length,
            coverage: snapshot.slots.iter().map(|_| Covered::default()).collect(),
        };
        for i in 0..words.terms.len() {
            let term = words.terms[i].0;
            let mut df = 0;
            for (slot, rows) in snapshot.slots.iter().zip(admitted) {
                df += match slot.segment.common_term(term) {
                    Some(common) => {
                        let mut both = common.clone();
                        both.intersect(rows);
                        both.count()
                    }
                    None => slot.segment.postings(term).iter().filter(|(row, _)| rows.contains(*row)).count(),
                };
            }
            let idf = idf(total, df);
            words.idf.push(idf);
            words.total += idf;
            if df == 0 {
                continue;
            }
            for ((slot, rows), covered) in snapshot.slots.iter().zip(admitted).zip(&mut words.coverage) {
                let segment = &*slot.segment;
                if segment.common_term(term).is_some() {
                    covered.later.push(i);
                    continue;
                }
                let postings = segment.postings(term);
                if covered.shares.is_empty() && !postings.is_empty() {
                    covered.shares.resize(segment.entries.len(), 0.0);
                }
                for &(row, tf) in postings {
                    if rows.contains(row) {
                        let share = &mut covered.shares[row as usize];
                        if *share == 0.0 {
                            covered.touched.push(row);
                        }
                        *share += idf * saturation(tf, segment.lengths[row as usize], mean_length);
                    }
                }
            }
        }
        words
    }

    /// The share of the question's weight that an agent covers by words that are not common.
    fn rare(&self, slot: usize, row: u32) -> f32 {
        let share = self.coverage[slot].shares.get(row as usize).copied().unwrap_or(0.0);
        if self.total > 0.0 { share / self.total } else { 0.0 }
    }

    /// The share of the question's weight that an agent covers.
    fn of(&self, slot: usize, row: u32, entry: &Entry) -> f32 {
        let covered = &self.coverage[slot];
        let mut share = covered.shares.get(row as usize).copied().unwrap_or(0.0);
        for &i in &covered.later {
            let tf = entry.frequency(self.terms[i].0);
            if tf > 0.0 {
                share += self.idf[i] * saturation(tf, entry.length(), self.mean_length);
            }
        }
        if self.total > 0.0 { share / self.total } else { 0.0 }
    }

    /// The words of the question that an agent uses, each with its part of the coverage.
    fn parts(&self, entry: &Entry) -> Vec<(String, f64)> {
        let mut out = Vec::new();
        for ((term, word), idf) in self.terms.iter().zip(&self.idf) {
            let tf = entry.frequency(*term);
            if tf > 0.0 {
                let share = idf * saturation(tf, entry.length(), self.mean_length) / self.total;
                out.push(((*word).to_owned(), f64::from(share)));
            }
        }
        out
    }
}

fn explain(
    candidate: &Candidate<'_>,
    vector: &[f32],
    words: &Words<'_>,
    evidence: Evidence,
    in_scope: f64,
    share: f64,
    admitted: usize,
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
        weight: candidate.weight,
        learning: candidate.learning,
        outcomes: candidate.outcomes,
        evidence,
        in_scope,
        share,
        admitted,
    }
}
