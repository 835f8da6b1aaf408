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

/// What a row is to the rows beside it.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// Words of the row.
    own: u32,
    /// Words of the rows beside it in the same document.
    around: u32,
    /// Whether the row before it is one of these.
    follows: bool,
    /// Whether the row after it is one of these.
    goes_on: bool,
}

impl Place {
    /// Of each row of a segment.
    pub(super) fn all(segment: &LexicalSegment, catalog: &Catalog) -> Box<[Place]> {
        let norms = &segment.fields[CONTENT].norms;
        let rows = segment.rows.min(catalog.chunks());
        let length = |row: u32| FieldNormReader::id_to_fieldnorm(norms.fieldnorm_id(row));
        (0..rows)
            .map(|row| {
                let doc = catalog.doc_of(row);
                let follows = row > 0 && catalog.doc_of(row - 1) == doc;
                let goes_on = row + 1 < rows && catalog.doc_of(row + 1) == doc;
                let before = if follows { length(row - 1) } else { 0 };
                let after = if goes_on { length(row + 1) } else { 0 };
                Place { own: length(row), around: before.saturating_add(after), follows, goes_on }
            })
            .collect()
    }
}

/// How a row's score depends on the rows beside it, in one segment.
pub(super) struct Near<'a> {
    places: &'a [Place],
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

    /// The discount of a row without neighbours, by length code: what it scores must not depend on which rows lie in
    /// its segment.
    pub(super) fn alone(&self) -> Box<[f32; 256]> {
        Box::new(std::array::from_fn(|code| {
            self.base + self.slope * FieldNormReader::id_to_fieldnorm(code as u8) as f32
        }))
    }
}

impl<'a> Near<'a> {
    /// None where each document of the segment is one chunk.
    pub(super) fn new(segment: &'a LexicalSegment, catalog: &Catalog, lengths: &'a Lengths) -> Option<Self> {
        (!catalog.one_to_one()).then(|| Near { places: segment.places(catalog), lengths })
    }

    fn place(&self, row: u32) -> Place {
        self.places.get(row as usize).copied().unwrap_or_default()
    }

    /// What a term gives a row that has it `own` times, and whose neighbours have it `nearby` times.
    fn score(&self, clause: &Clause, place: Place, own: u32, nearby: u32) -> f32 {
        let Lengths { weight, base, slope } = *self.lengths;
        let tf = own as f32 + weight * nearby as f32;
        clause.weight * tf / (tf + (base + slope * (place.own as f32 + weight * place.around as f32)))
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
        let mut add = |row: u32, place: Place, times: u32, nearby: u32| {
            if let Some(score) = scores.get_mut(row as usize) {
                *score += self.score(clause, place, times, nearby);
            }
        };
        let none = (u32::MAX, 0);
        for (i, &(row, tf)) in posted.iter().enumerate() {
            let before = if i == 0 { none } else { posted[i - 1] };
            let after = posted.get(i + 1).copied().unwrap_or(none);
            let place = self.place(row);
            own.insert(row);
            let mut nearby = 0;
            if place.follows {
                let gap = self.place(row - 1);
                if before.0 == row - 1 {
                    nearby += before.1;
                } else if !(gap.follows && before.0 == row.wrapping_sub(2)) {
                    // Otherwise the row before the gap has filled it.
                    add(row - 1, gap, 0, tf);
                    gaps.push(row - 1);
                }
            }
            if place.goes_on {
                let gap = self.place(row + 1);
                if after.0 == row + 1 {
                    nearby += after.1;
                } else {
                    let beyond = if gap.goes_on && after.0 == row + 2 { after.1 } else { 0 };
                    add(row + 1, gap, 0, tf + beyond);
                    gaps.push(row + 1);
                }
            }
            add(row, place, tf, nearby);
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
        let place = self.place(row);
        let own = segment.frequency(clause, row)?;
        let mut nearby = 0;
        if place.follows {
            nearby += segment.frequency(clause, row - 1)?;
        }
        if place.goes_on {
            nearby += segment.frequency(clause, row + 1)?;
        }
        Ok((own + nearby > 0).then(|| (own, nearby, self.score(clause, place, own, nearby))))
    }
}
