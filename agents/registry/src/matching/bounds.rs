//! Which agents cannot be among the best for a question, however their score is computed in full?
//!
//! Of each agent there is a copy of its vectors in bytes. What a product of bytes is off by at most is known, so that it
//! bounds the true one from both sides; words and weights are known exactly. An agent whose bound lies below the score of
//! the worst of those that are returned is not looked at any further, and no other is left out: screening costs no match.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::Result;
use quorate_core::vector::{Int8Matrix, Scan, dot, quantize_int8};

use super::Tuning;
use super::entry::{Entry, Vectors};
use super::search::{LEAST_WEIGHT, mean_of_largest, nearest_count};
use super::topics::Asked;

/// What sums of products in f32 may be off by, for vectors of length 1.
const ROUNDING: f32 = 1e-4;

/// Vectors in bytes, with what each is off by.
struct Coded {
    rows: Int8Matrix,
    /// The length of each vector, and of its difference from what its bytes say.
    lengths: Vec<(f32, f32)>,
    /// The longest.
    longest: f32,
}

/// What is known of the agents of a segment in few bytes.
pub(super) struct Codes {
    prototypes: Coded,
    examples: Coded,
    /// Where the examples of each row begin, and where the last row's end; the same of topics.
    examples_from: Vec<u32>,
    topics_from: Vec<u32>,
    /// The number of each row's topics among those with different vectors.
    topics: Vec<u32>,
    /// Signs of the different topics, one after the other, and an agent that has each, with its number there.
    signs: Vec<u64>,
    places: Vec<(u32, u16)>,
    longest_topic: f32,
    /// Weight of the nearest examples of each agent.
    nearest: Vec<f32>,
    /// log2 of each agent's weight.
    weights: Vec<f64>,
}

impl Coded {
    fn new(dim: usize) -> Self {
        Coded { rows: Int8Matrix::new(dim), lengths: Vec::new(), longest: 0.0 }
    }

    fn push(&mut self, vector: &[f32]) -> Result<()> {
        let row = self.lengths.len();
        self.rows.push(vector)?;
        let (codes, scale) = (self.rows.codes(row), self.rows.scale(row));
        let length = dot(vector, vector).sqrt();
        self.lengths.push((length, off(vector, codes, scale)));
        self.longest = self.longest.max(length);
        Ok(())
    }
}

/// The length of the difference between a vector and its bytes.
fn off(vector: &[f32], codes: &[i8], scale: f32) -> f32 {
    let sum: f32 = vector.iter().zip(codes).map(|(x, &code)| (x - scale * f32::from(code)).powi(2)).sum();
    sum.sqrt()
}

impl Codes {
    /// Of agents and their prototypes, one after the other. Errors: `not_finite`.
    pub(super) fn new(entries: &[Arc<Entry>], prototypes: &[f32], dim: usize) -> Result<Self> {
        let mut codes = Codes {
            prototypes: Coded::new(dim),
            examples: Coded::new(dim),
            examples_from: vec![0],
            topics_from: vec![0],
            topics: Vec::new(),
            signs: Vec::new(),
            places: Vec::new(),
            longest_topic: 0.0,
            nearest: entries.iter().map(|entry| entry.mix.nearest).collect(),
            weights: entries.iter().map(|entry| entry.agent.weight.max(LEAST_WEIGHT).log2()).collect(),
        };
        let mut known: HashMap<u64, Vec<u32>> = HashMap::new();
        for ((row, entry), prototype) in (0u32..).zip(entries).zip(prototypes.chunks_exact(dim.max(1))) {
            codes.prototypes.push(prototype)?;
            for example in entry.vectors.examples.chunks_exact(dim.max(1)) {
                codes.examples.push(example)?;
            }
            codes.examples_from.push(codes.examples.lengths.len() as u32);
            for number in 0..entry.agent.topics.len() {
                let Some(vector) = topic(&entry.vectors, number) else { continue };
                let alike = known.entry(bits(vector)).or_default();
                let same = |&&place: &&u32| {
                    let (row, number) = codes.places[place as usize];
                    topic(&entries[row as usize].vectors, usize::from(number)) == Some(vector)
                };
                let place = alike.iter().find(same).copied();
                let place = place.unwrap_or_else(|| {
                    let place = codes.places.len() as u32;
                    codes.places.push((row, number as u16));
                    codes.signs.extend_from_slice(entry.topics.signs_of(number, dim));
                    codes.longest_topic = codes.longest_topic.max(dot(vector, vector).sqrt());
                    alike.push(place);
                    place
                });
                codes.topics.push(place);
            }
            codes.topics_from.push(codes.topics.len() as u32);
        }
        Ok(codes)
    }

    /// The products of a question with the prototypes of rows, by bytes. Errors: `not_finite`.
    pub(super) fn similar(&self, question: &[f32], rows: &[u32]) -> Result<Vec<f32>> {
        let query = self.prototypes.rows.prepare(question)?;
        let mut out = vec![0.0; rows.len()];
        if rows.len() == self.weights.len() {
            self.prototypes.rows.score_range(&query, 0, &mut out);
        } else {
            self.prototypes.rows.score_subset(&query, rows, &mut out);
        }
        Ok(out)
    }
}

fn topic(vectors: &Vectors, number: usize) -> Option<&[f32]> {
    vectors.topics.get(number * vectors.dim..(number + 1) * vectors.dim)
}

/// FNV-1a over the bits of a vector: equal vectors have the same.
fn bits(vector: &[f32]) -> u64 {
    vector
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, x| (h ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3))
}

/// A question in the form in which it meets the codes of one segment.
pub(super) struct Bounds<'a> {
    codes: &'a Codes,
    entries: &'a [Arc<Entry>],
    asked: &'a Asked<'a>,
    tuning: &'a Tuning,
    query: <Int8Matrix as Scan>::Query,
    /// The question's length, that of its bytes, and of the difference.
    length: f32,
    coded: f32,
    off: f32,
    /// How many signs of each different topic are other than the question's.
    distances: OnceCell<Vec<u32>>,
    /// The cosine of each different topic; not a number where it has not been needed.
    cosines: RefCell<Vec<f32>>,
    room: RefCell<Vec<f32>>,
}

impl<'a> Bounds<'a> {
    /// Errors: `not_finite`.
    pub(super) fn new(
        codes: &'a Codes,
        entries: &'a [Arc<Entry>],
        asked: &'a Asked<'a>,
        tuning: &'a Tuning,
    ) -> Result<Self> {
        let vector = asked.vector;
        let mut bytes = vec![0; vector.len()];
        let scale = quantize_int8(vector, &mut bytes)?;
        let length = dot(vector, vector).sqrt();
        let off = off(vector, &bytes, scale);
        Ok(Bounds {
            codes,
            entries,
            asked,
            tuning,
            query: codes.prototypes.rows.prepare(vector)?,
            length,
            coded: length + off,
            off,
            distances: OnceCell::new(),
            cosines: RefCell::new(vec![f32::NAN; codes.places.len()]),
            room: RefCell::new(Vec::new()),
        })
    }

    /// What a product of bytes is off by at most.
    fn error(&self, (length, off): (f32, f32)) -> f32 {
        self.off * length + self.coded * off + ROUNDING * (1.0 + self.length * length)
    }

    /// What the score of a row cannot exceed, given its prototype's product by bytes, what its words add at most and what
    /// outcomes add at most; none where that is below `bar`. Cheap bounds are looked at first.
    pub(super) fn most(
        &self,
        row: u32,
        prototype: f32,
        words: f32,
        bar: f64,
        learnt: impl FnOnce() -> f64,
        learnt_at_most: f64,
    ) -> Option<f64> {
        let codes = self.codes;
        let at = row as usize;
        let error = self.error(codes.prototypes.lengths[at]);
        let mut plain =
            f64::from(words) + f64::from(self.tuning.weight_step) * codes.weights[at] + f64::from(ROUNDING);
        let has_topics = codes.topics_from[at] < codes.topics_from[at + 1];
        let all = |low: f32, high: f32, topic: f32, plain: f64| {
            // Convex in what the rest of the definition gives: the largest lies at one of the ends.
            let with = |dense: f32| dense + self.tuning.topic_nearest * (topic - dense).max(0.0);
            f64::from(if has_topics { with(low).max(with(high)) } else { high }) + plain
        };
        let weight = codes.nearest[at];
        let far = weight * self.length * codes.examples.longest * (1.0 + ROUNDING);
        let (mut low, mut high) = (prototype - error - far, prototype + error + far);
        let topic = self.length * codes.longest_topic * (1.0 + ROUNDING);
        if all(low, high, topic, plain + learnt_at_most) < bar {
            return None;
        }
        if learnt_at_most > 0.0 {
            plain += learnt();
            if all(low, high, topic, plain) < bar {
                return None;
            }
        }
        let topic = if has_topics { self.nearest_topic(at) + ROUNDING } else { 0.0 };
        if all(low, high, topic, plain) < bar {
            return None;
        }
        if weight > 0.0 {
            let (least, most) = self.nearest_examples(at);
            (low, high) = (prototype - error + weight * least, prototype + error + weight * most);
        }
        let most = all(low, high, topic, plain);
        (most >= bar).then_some(most)
    }

    /// The cosine with the topic of a row that is nearest by signs, as [`Topics::nearest`](super::topics::Topics::nearest)
    /// finds it.
    fn nearest_topic(&self, row: usize) -> f32 {
        let codes = self.codes;
        let distances = self.distances.get_or_init(|| self.asked.distances(&codes.signs));
        let own = &codes.topics[codes.topics_from[row] as usize..codes.topics_from[row + 1] as usize];
        let Some(&best) = own.iter().min_by_key(|&&place| distances[place as usize]) else { return 0.0 };
        let mut cosines = self.cosines.borrow_mut();
        let cosine = &mut cosines[best as usize];
        if cosine.is_nan() {
            let (row, number) = codes.places[best as usize];
            let vector = topic(&self.entries[row as usize].vectors, usize::from(number)).unwrap_or(&[]);
            *cosine = dot(self.asked.vector, vector);
        }
        *cosine
    }

    /// Between what the mean cosine with the nearest examples of a row lies.
    fn nearest_examples(&self, row: usize) -> (f32, f32) {
        let codes = self.codes;
        let (first, end) = (codes.examples_from[row] as usize, codes.examples_from[row + 1] as usize);
        let count = nearest_count(self.tuning, end - first);
        let mut room = self.room.borrow_mut();
        room.clear();
        room.resize(2 * (end - first), 0.0);
        let (similar, low) = room.split_at_mut(end - first);
        codes.examples.rows.score_range(&self.query, first, similar);
        for ((high, low), &lengths) in
            similar.iter_mut().zip(&mut *low).zip(&codes.examples.lengths[first..end])
        {
            let error = self.error(lengths);
            *low = *high - error;
            *high += error;
        }
        (mean_of_largest(low, count), mean_of_largest(similar, count))
    }
}
