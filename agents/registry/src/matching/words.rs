//! How much of a question do the words of an agent, and of its topics, cover?

use std::collections::HashSet;

use quorate_core::filter::RowSet;

use super::Tuning;
use super::entry::Entry;
use super::index::Snapshot;
use super::lexical::{Term, each_term, idf, saturation};

/// Different words of a question that are looked at; further ones are ignored.
const MAX_WORDS: usize = 1024;

/// Steps into which a unit of length is divided for adding.
const LENGTH_STEPS: f64 = 1_048_576.0;

/// The question's terms and how much of their weight each agent covers.
///
/// Frequencies are counted among the admitted agents alone, so that nothing outside the caller's scope shows.
pub(super) struct Words<'q> {
    terms: Vec<(Term, &'q str)>,
    /// idf by term.
    idf: Vec<f32>,
    total: f32,
    mean_length: f32,
    /// idf by term among topics, and their sum; empty and 0 where nobody has topics.
    topic_idf: Vec<f32>,
    topic_total: f32,
    /// See [`Tuning`].
    pub(super) topic_words: f32,
    pub(super) topic_nearest: f32,
    /// By slot.
    pub(super) coverage: Vec<Covered>,
}

/// What the agents of one segment cover, not yet divided by the total.
#[derive(Default)]
pub(super) struct Covered {
    /// By row; empty where nothing is covered.
    pub(super) shares: Vec<f32>,
    /// Weight of the words that the topics have, by row; empty where there is none.
    pub(super) topics: Vec<f32>,
}

impl<'q> Words<'q> {
    pub(super) fn new(
        snapshot: &Snapshot,
        admitted: &[RowSet],
        ids: &[Vec<u32>],
        text: &'q str,
        tuning: &Tuning,
    ) -> Self {
        let mut known: Vec<(Term, &str)> = Vec::new();
        let mut seen: HashSet<Term> = HashSet::new();
        each_term(text, |term, word| {
            if known.len() < MAX_WORDS && seen.insert(term) {
                known.push((term, word));
            }
        });
        let total: usize = ids.iter().map(Vec::len).sum();
        // Whole numbers: their sum does not depend on the order of agents.
        let lengths = snapshot
            .slots
            .iter()
            .zip(ids)
            .flat_map(|(slot, rows)| rows.iter().map(|&row| slot.segment.lengths[row as usize]));
        let length: u64 = lengths.map(|length| (f64::from(length) * LENGTH_STEPS) as u64).sum();
        let mean_length = (length as f64 / LENGTH_STEPS / total.max(1) as f64) as f32;
        let mut words = Words {
            idf: Vec::with_capacity(known.len()),
            terms: known,
            total: 0.0,
            mean_length,
            topic_idf: Vec::new(),
            topic_total: 0.0,
            topic_words: tuning.topic_words,
            topic_nearest: tuning.topic_nearest,
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
                let postings = segment.postings(term);
                if covered.shares.is_empty() && !postings.is_empty() {
                    covered.shares.resize(segment.entries.len(), 0.0);
                }
                for &(row, tf) in postings {
                    if rows.contains(row) {
                        let length = segment.lengths[row as usize];
                        covered.shares[row as usize] += idf * saturation(tf, length, mean_length);
                    }
                }
            }
        }
        if snapshot.slots.iter().any(|slot| slot.segment.has_topics()) {
            words.count_topics(snapshot, admitted, total);
        }
        words
    }

    /// Weighs the terms by how many admitted agents have them in their topics, and adds up which rows do.
    fn count_topics(&mut self, snapshot: &Snapshot, admitted: &[RowSet], total: usize) {
        for &(term, _) in &self.terms {
            let mut df = 0;
            for (slot, rows) in snapshot.slots.iter().zip(admitted) {
                df += match slot.segment.common_topic(term) {
                    Some(common) => {
                        let mut both = common.clone();
                        both.intersect(rows);
                        both.count()
                    }
                    None => slot.segment.topics(term).iter().filter(|row| rows.contains(**row)).count(),
                };
            }
            let idf = idf(total, df);
            self.topic_idf.push(idf);
            self.topic_total += idf;
            if df == 0 {
                continue;
            }
            for ((slot, rows), covered) in snapshot.slots.iter().zip(admitted).zip(&mut self.coverage) {
                let having = slot.segment.topics(term);
                if covered.topics.is_empty() && !having.is_empty() {
                    covered.topics.resize(slot.segment.entries.len(), 0.0);
                }
                for &row in having.iter().filter(|row| rows.contains(**row)) {
                    covered.topics[row as usize] += idf;
                }
            }
        }
    }

    /// The share of the question's weight that an agent's topics hold.
    pub(super) fn in_topics(&self, slot: usize, row: u32, entry: &Entry) -> f32 {
        match self.in_topics_at_most(slot, row) > 0.0 {
            true => entry.topics.held(&self.terms, &self.topic_idf) / self.topic_total,
            false => 0.0,
        }
    }

    /// At most how much of it they hold: as much as if the question named each topic whole.
    pub(super) fn in_topics_at_most(&self, slot: usize, row: u32) -> f32 {
        let share = self.coverage[slot].topics.get(row as usize).copied().unwrap_or(0.0);
        if self.topic_total > 0.0 { share / self.topic_total } else { 0.0 }
    }

    /// The share of the question's weight that an agent covers, added up in the order of the question in any segment: equal
    /// agents cover exactly the same.
    pub(super) fn of(&self, slot: usize, row: u32) -> f32 {
        let share = self.coverage[slot].shares.get(row as usize).copied().unwrap_or(0.0);
        if self.total > 0.0 { share / self.total } else { 0.0 }
    }

    /// The words of the question that an agent uses, each with its part of the coverage.
    pub(super) fn parts(&self, entry: &Entry) -> Vec<(String, f64)> {
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
