//! Which of an agent's topics does a question touch?
//!
//! By words: a topic that the question names whole says more than one of which it names a part. By meaning: the topic
//! whose vector is nearest to the question; it is found by signs, so that thousands of topics cost little.

use quorate_core::vector::{dot, hamming, sign_bits};

use super::lexical::{Term, hash, terms};

/// The topics of one agent, in the form in which they meet a question.
#[derive(Default)]
pub(crate) struct Topics {
    /// Each term of a topic with the topic's number, by term.
    terms: Vec<(Term, u16)>,
    /// Different terms of each topic.
    sizes: Vec<u16>,
    /// Signs of the vectors, one after the other.
    signs: Vec<u64>,
    /// A hash of each topic in lower case: equal topics of several agents have the same.
    keys: Vec<Term>,
}

/// A question's vector and its signs.
pub(crate) struct Asked<'a> {
    pub(crate) vector: &'a [f32],
    signs: Vec<u64>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(vector: &'a [f32]) -> Self {
        let mut signs = vec![0; vector.len().div_ceil(64)];
        sign_bits(vector, &mut signs);
        Asked { vector, signs }
    }

    /// How many signs of each vector are other than the question's, of signs one after the other.
    pub(super) fn distances(&self, signs: &[u64]) -> Vec<u32> {
        signs.chunks_exact(self.signs.len().max(1)).map(|signs| hamming(&self.signs, signs)).collect()
    }
}

impl Topics {
    /// Of topics and their vectors, one after the other.
    pub(crate) fn new(topics: &[String], vectors: &[f32], dim: usize) -> Self {
        let mut made = Topics::default();
        let width = dim.div_ceil(64);
        made.signs.resize(topics.len() * width, 0);
        for (signs, vector) in made.signs.chunks_exact_mut(width.max(1)).zip(vectors.chunks_exact(dim.max(1)))
        {
            sign_bits(vector, signs);
        }
        for (number, topic) in (0u16..).zip(topics) {
            let mut own = terms(topic);
            own.sort_unstable();
            own.dedup();
            made.sizes.push(own.len().try_into().unwrap_or(u16::MAX));
            made.keys.push(hash(&topic.to_lowercase()));
            made.terms.extend(own.into_iter().map(|term| (term, number)));
        }
        made.terms.sort_unstable();
        made
    }

    /// Each different term once, in order.
    pub(crate) fn vocabulary(&self) -> impl Iterator<Item = Term> + '_ {
        self.terms.chunk_by(|a, b| a.0 == b.0).map(|same| same[0].0)
    }

    /// How much of the weight of the question's terms (`weights`, in their order) the topics hold. A term counts with
    /// the square root of the share that the question names of the topic where that share is largest.
    pub(crate) fn held(&self, question: &[(Term, &str)], weights: &[f32]) -> f32 {
        if self.terms.is_empty() {
            return 0.0;
        }
        let found: Vec<(&[(Term, u16)], f32)> = question
            .iter()
            .zip(weights)
            .map(|((term, _), &weight)| (self.with(*term), weight))
            .filter(|(with, _)| !with.is_empty())
            .collect();
        let named =
            |topic: u16| found.iter().filter(|(with, _)| with.iter().any(|(_, t)| *t == topic)).count();
        let share = |&(_, topic): &(Term, u16)| {
            (named(topic) as f32 / f32::from(self.sizes[usize::from(topic)].max(1))).sqrt()
        };
        found
            .iter()
            .fold(0.0, |sum, (with, weight)| sum + weight * with.iter().map(share).fold(0.0, f32::max))
    }

    /// The topic that is nearest to the question by signs, and its cosine; none without topics. `vectors` are those
    /// that the topics were made with.
    pub(crate) fn nearest(&self, asked: &Asked<'_>, vectors: &[f32]) -> Option<(usize, f32)> {
        let width = asked.signs.len().max(1);
        let distance = |signs: &[u64]| hamming(&asked.signs, signs);
        let best = self.signs.chunks_exact(width).map(distance).enumerate().min_by_key(|&(_, d)| d)?.0;
        let dim = asked.vector.len();
        Some((best, dot(asked.vector, vectors.get(best * dim..(best + 1) * dim)?)))
    }

    /// Calls `each` with the number of each topic and how many signs of its vector are other than the question's.
    pub(crate) fn each_distance(&self, asked: &Asked<'_>, mut each: impl FnMut(u16, u32)) {
        let width = asked.signs.len().max(1);
        for (number, signs) in (0u16..).zip(self.signs.chunks_exact(width)) {
            each(number, hamming(&asked.signs, signs));
        }
    }

    /// The signs of a topic's vector of so many components.
    pub(super) fn signs_of(&self, number: usize, dim: usize) -> &[u64] {
        let width = dim.div_ceil(64);
        &self.signs[number * width..(number + 1) * width]
    }

    /// What equal topics of several agents have in common, in the order of the topics.
    pub(crate) fn keys(&self) -> &[Term] {
        &self.keys
    }

    /// The number of different terms of a topic.
    pub(crate) fn size(&self, topic: u16) -> u16 {
        self.sizes.get(usize::from(topic)).copied().unwrap_or(0)
    }

    /// A term with the number of each topic that has it.
    pub(crate) fn with(&self, term: Term) -> &[(Term, u16)] {
        let first = self.terms.partition_point(|(t, _)| *t < term);
        let count = self.terms[first..].iter().take_while(|(t, _)| *t == term).count();
        &self.terms[first..first + count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::lexical::each_term;

    fn made(topics: &[&str]) -> Topics {
        let topics: Vec<String> = topics.iter().map(|t| (*t).to_owned()).collect();
        Topics::new(&topics, &vec![0.0; 2 * topics.len()], 2)
    }

    fn held(topics: &Topics, question: &str) -> f32 {
        let mut known: Vec<(Term, &str)> = Vec::new();
        each_term(question, |term, word| known.push((term, word)));
        topics.held(&known, &vec![1.0; known.len()])
    }

    #[test]
    fn a_topic_that_is_named_whole_counts_most() {
        let topics = made(&["kidney disease", "disease", "drug eluting stent"]);
        assert_eq!(held(&topics, "metformin in kidney disease"), 2.0);
        assert_eq!(held(&made(&["kidney disease"]), "kidney"), 0.5f32.sqrt());
        assert_eq!(held(&topics, "a stent"), (1.0f32 / 3.0).sqrt());
        assert_eq!(held(&topics, "wheelchair"), 0.0);
        assert_eq!(held(&made(&[]), "kidney"), 0.0);
        assert_eq!(topics.vocabulary().count(), 5);
    }

    #[test]
    fn the_nearest_topic_is_found_by_signs() {
        let names: Vec<String> = vec!["a".into(), "b".into(), "c".into()];
        let vectors = [0.6, -0.8, 0.6, 0.8, -1.0, 0.0];
        let topics = Topics::new(&names, &vectors, 2);
        let question = [0.8, 0.6];
        let (best, cosine) = topics.nearest(&Asked::new(&question), &vectors).unwrap();
        assert!(best == 1 && (cosine - 0.96).abs() < 1e-6);
        assert_eq!(Topics::default().nearest(&Asked::new(&question), &[]), None);
    }
}
