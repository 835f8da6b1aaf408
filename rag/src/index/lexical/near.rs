//! What do the chunks before and after a chunk add to its score?
//!
//! Where a text is cut says little about where its matter begins and ends, so a chunk is scored as one document of two
//! fields (BM25F: Robertson, Zaragoza & Taylor 2004): itself, and with a smaller weight the chunks next to it in the
//! same document. Its term frequency is its own plus `weight` times theirs, its length likewise. A chunk without any
//! word of the query has no score.

use quorate_core::Result;
use tantivy::Term;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::schema::IndexRecordOption;

use super::score::{Clause, unreadable};
use super::{CONTENT, LexicalSegment};
use crate::RowSet;
use crate::index::Catalog;

/// How a row's score depends on the rows beside it, in one segment.
pub(super) struct Near<'a> {
    catalog: &'a Catalog,
    norms: &'a FieldNormReader,
    lengths: &'a Lengths,
}

/// How the length of a row, with those beside it, discounts its term frequencies: `base + length * slope`.
pub(super) struct Lengths {
    weight: f32,
    base: f32,
    slope: f32,
}

impl Lengths {
    /// `average` is the mean length of `rows` chunks of `docs` documents. Two of the `n` chunks of a document have one
    /// neighbour, the others two: 2 (n - 1) in all.
    pub(super) fn new(weight: f32, k1: f32, b: f32, average: f32, rows: u64, docs: u64) -> Self {
        let neighbours = 2.0 * rows.saturating_sub(docs) as f32 / rows.max(1) as f32;
        let average = average * (1.0 + weight * neighbours);
        let slope = if average > 0.0 { k1 * b / average } else { 0.0 };
        Lengths { weight, base: k1 * (1.0 - b), slope }
    }
}

impl<'a> Near<'a> {
    /// None where each document is one chunk.
    pub(super) fn new(
        segment: &'a LexicalSegment,
        catalog: &'a Catalog,
        lengths: &'a Lengths,
    ) -> Option<Self> {
        let norms = &segment.fields[CONTENT].norms;
        (!catalog.one_to_one()).then_some(Near { catalog, norms, lengths })
    }

    /// Whether two rows are chunks of one document.
    fn joined(&self, a: u32, b: u32) -> bool {
        a.max(b) < self.catalog.chunks() && self.catalog.doc_of(a) == self.catalog.doc_of(b)
    }

    /// The rows beside one.
    fn beside(&self, row: u32) -> impl Iterator<Item = u32> + '_ {
        [row.checked_sub(1), row.checked_add(1)].into_iter().flatten().filter(move |&at| self.joined(row, at))
    }

    /// What a term gives a row that has it `own` times, and whose neighbours have it `nearby` times.
    fn score(&self, clause: &Clause, row: u32, own: u32, nearby: u32) -> f32 {
        let length = |row: u32| FieldNormReader::id_to_fieldnorm(self.norms.fieldnorm_id(row)) as f32;
        let around: f32 = self.beside(row).map(length).sum();
        let Lengths { weight, base, slope } = *self.lengths;
        let tf = own as f32 + weight * nearby as f32;
        clause.weight * tf / (tf + base + slope * (length(row) + weight * around))
    }

    /// Adds to each row's score what a term gives it. Rows that have the term are put into `own`, those whose
    /// neighbours alone have it into `gaps`.
    pub(super) fn accumulate(
        &self,
        segment: &LexicalSegment,
        clause: &Clause,
        scores: &mut [f32],
        own: &mut RowSet,
        gaps: &mut Vec<u32>,
    ) -> Result<()> {
        let reader = &segment.fields[clause.field];
        let term = Term::from_field_text(reader.field, &clause.text);
        let Some(mut block) =
            reader.inverted.read_block_postings(&term, IndexRecordOption::WithFreqs).map_err(unreadable)?
        else {
            return Ok(());
        };
        let mut posted: Vec<(u32, u32)> = Vec::new();
        while !block.docs().is_empty() {
            posted.extend(block.docs().iter().copied().zip(block.freqs().iter().copied()));
            block.advance();
        }
        let mut scored = None;
        for (i, &(row, tf)) in posted.iter().enumerate() {
            let around = &posted[i.saturating_sub(1)..posted.len().min(i + 2)];
            let times = |row: u32| around.iter().find(|&&(at, _)| at == row).map_or(0, |&(_, tf)| tf);
            own.insert(row);
            for at in [row.checked_sub(1), Some(row), row.checked_add(1)].into_iter().flatten() {
                // Rows that have the term come in their own turn; a gap between two comes with the first.
                let later = at > row && times(at) > 0;
                if later || scored.is_some_and(|last| at <= last) || (at != row && !self.joined(row, at)) {
                    continue;
                }
                let nearby = self.beside(at).map(times).sum();
                if let Some(score) = scores.get_mut(at as usize) {
                    *score += self.score(clause, at, if at == row { tf } else { 0 }, nearby);
                }
                if at != row {
                    gaps.push(at);
                }
                scored = Some(at);
            }
        }
        Ok(())
    }

    /// How often a row and its neighbours have a term, and what that gives; none where neither has it.
    pub(super) fn term(
        &self,
        segment: &LexicalSegment,
        clause: &Clause,
        row: u32,
    ) -> Result<Option<(u32, u32, f32)>> {
        let own = segment.frequency(clause, row)?;
        let mut nearby = 0;
        for at in self.beside(row) {
            nearby += segment.frequency(clause, at)?;
        }
        Ok((own + nearby > 0).then(|| (own, nearby, self.score(clause, row, own, nearby))))
    }
}
