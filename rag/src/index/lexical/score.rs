//! What is the BM25 score of each row, and which rows score highest?
//!
//! score(q, d) = sum over the query's terms t of  boost * idf(t) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * |d| / avg))
//! with idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))  (Robertson & Zaragoza 2009, in Lucene's form).
//! |d| is kept in one byte, as in Lucene, exact up to 40 words.

use std::collections::BTreeMap;
use std::sync::Mutex;

use quorate_core::{Code, Error, Result};
use serde::Serialize;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Term};

use super::{Analyzer, CONTENT, DeadTerms, FIELDS, LexicalSegment, TITLE};
use crate::RowSet;
use crate::index::TopRows;
use crate::retrieve::Bm25;

/// A segment, its dead rows' statistics, and the rows that may be found (all, if not given).
pub(crate) struct LexicalView<'a> {
    pub(crate) segment: &'a LexicalSegment,
    pub(crate) dead: &'a DeadTerms,
    pub(crate) live_rows: u32,
}

/// What one term of the query adds to the score of one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermScore {
    /// The term as indexed (stemmed).
    pub term: String,
    /// `content` (title and text) or `title`.
    pub field: &'static str,
    /// How often the row has it.
    pub frequency: u32,
    /// How many rows of the tenant have it.
    pub rows_with_term: u64,
    /// Inverse document frequency.
    pub idf: f32,
    /// What it adds.
    pub score: f32,
}

/// A query that is ready to be scored: its terms with their weights, most weighty first.
pub(crate) struct Plan {
    clauses: Vec<Clause>,
    /// k1 * (1 - b + b * |d| / avg) by length code, per field.
    norms: [Box<[f32; 256]>; FIELDS],
}

struct Clause {
    field: usize,
    text: String,
    /// boost * idf * (k1 + 1) * times in the query
    weight: f32,
    idf: f32,
    rows_with_term: u64,
}

/// The BM25 score of every row of the segments that were searched. Its memory is used again by later searches.
#[derive(Default)]
pub(crate) struct Scores {
    by_segment: Vec<Vec<f32>>,
}

/// Score lists that are not in use, all zero.
static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());
/// How many of them are kept.
const MAX_SPARE: usize = 32;

impl Scores {
    /// The score of a row; 0 where the segment was not searched.
    pub(crate) fn get(&self, segment: u32, row: u32) -> f32 {
        self.by_segment.get(segment as usize).and_then(|s| s.get(row as usize)).copied().unwrap_or(0.0)
    }

    /// A list of zeros for `segment`.
    fn zeros(&mut self, segment: u32, rows: usize) -> &mut [f32] {
        let at = segment as usize;
        if self.by_segment.len() <= at {
            self.by_segment.resize_with(at + 1, Vec::new);
        }
        let mut list = SPARE.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
        list.resize(rows, 0.0);
        self.by_segment[at] = list;
        &mut self.by_segment[at]
    }
}

impl Drop for Scores {
    fn drop(&mut self) {
        for list in &mut self.by_segment {
            list.fill(0.0);
        }
        if let Ok(mut spare) = SPARE.lock() {
            let lists = self.by_segment.drain(..).filter(|list| list.capacity() > 0);
            spare.extend(lists);
            spare.truncate(MAX_SPARE);
        }
    }
}

impl Plan {
    /// Weighs the words of `text` by the statistics of `views`.
    pub(crate) fn new(
        text: &str,
        analyzer: &Analyzer,
        bm25: &Bm25,
        views: &[LexicalView<'_>],
    ) -> Result<Self> {
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for (_, term) in analyzer.terms(text) {
            *times.entry(term).or_default() += 1;
        }
        let rows: u64 = views.iter().map(|v| u64::from(v.live_rows)).sum();
        let mut clauses = Vec::new();
        for (field, boost) in [(CONTENT, 1.0), (TITLE, bm25.title_boost)] {
            if boost <= 0.0 {
                continue;
            }
            for (text, times) in &times {
                let mut with = 0;
                for view in views {
                    let found = view.segment.rows_with(field, text)?;
                    with += u64::from(found.saturating_sub(view.dead.rows_with(field, text)));
                }
                if with == 0 {
                    continue;
                }
                let idf = (1.0 + (rows.saturating_sub(with) as f32 + 0.5) / (with as f32 + 0.5)).ln();
                clauses.push(Clause {
                    field,
                    text: text.clone(),
                    weight: boost * idf * (bm25.k1 + 1.0) * *times as f32,
                    idf,
                    rows_with_term: with,
                });
            }
        }
        clauses.sort_by(|a, b| {
            b.weight.total_cmp(&a.weight).then_with(|| (a.field, &a.text).cmp(&(b.field, &b.text)))
        });
        let norms = std::array::from_fn(|field| {
            let tokens: u64 =
                views.iter().map(|v| v.segment.tokens(field).saturating_sub(v.dead.tokens(field))).sum();
            let average = tokens as f32 / rows.max(1) as f32;
            Box::new(std::array::from_fn(|code| {
                let length = FieldNormReader::id_to_fieldnorm(code as u8) as f32;
                bm25.k1 * (1.0 - bm25.b + bm25.b * if average > 0.0 { length / average } else { 1.0 })
            }))
        });
        Ok(Plan { clauses, norms })
    }

    /// Offers the rows of segment `at` that score above zero to `top`. `admit` restricts them. All scores are left in
    /// `scores`.
    pub(crate) fn search(
        &self,
        segment: &LexicalSegment,
        at: u32,
        admit: Option<&RowSet>,
        scores: &mut Scores,
        top: &mut TopRows,
    ) -> Result<()> {
        if self.clauses.is_empty() {
            return Ok(());
        }
        let scores = scores.zeros(at, segment.rows as usize);
        self.accumulate(segment, scores)?;
        for (row, &score) in scores.iter().enumerate() {
            if score > top.threshold() && admit.is_none_or(|set| set.contains(row as u32)) {
                top.offer(at, row as u32, score);
            }
        }
        Ok(())
    }

    fn accumulate(&self, segment: &LexicalSegment, scores: &mut [f32]) -> Result<()> {
        for clause in &self.clauses {
            let reader = &segment.fields[clause.field];
            let norms = &self.norms[clause.field];
            let term = Term::from_field_text(reader.field, &clause.text);
            let Some(mut block) = reader
                .inverted
                .read_block_postings(&term, IndexRecordOption::WithFreqs)
                .map_err(unreadable)?
            else {
                continue;
            };
            loop {
                let docs = block.docs();
                if docs.is_empty() {
                    break;
                }
                for (&row, &tf) in docs.iter().zip(block.freqs()) {
                    if let Some(score) = scores.get_mut(row as usize) {
                        let tf = tf as f32;
                        *score += clause.weight * tf / (tf + norms[reader.norms.fieldnorm_id(row) as usize]);
                    }
                }
                block.advance();
            }
        }
        Ok(())
    }

    /// What each term adds to the score of a row, in the order of the sum; empty when no term does.
    pub(crate) fn explain(&self, segment: &LexicalSegment, row: u32) -> Result<Vec<TermScore>> {
        let mut out = Vec::new();
        for clause in &self.clauses {
            let Some(mut postings) = segment.postings(clause, IndexRecordOption::WithFreqs)? else {
                continue;
            };
            if postings.doc() > row || postings.seek(row) != row {
                continue;
            }
            let frequency = postings.term_freq();
            let code = segment.fields[clause.field].norms.fieldnorm_id(row) as usize;
            let tf = frequency as f32;
            out.push(TermScore {
                term: clause.text.clone(),
                field: if clause.field == TITLE { "title" } else { "content" },
                frequency,
                rows_with_term: clause.rows_with_term,
                idf: clause.idf,
                score: clause.weight * tf / (tf + self.norms[clause.field][code]),
            });
        }
        Ok(out)
    }
}

impl LexicalSegment {
    /// How many rows contain a term, dead ones too.
    fn rows_with(&self, field: usize, term: &str) -> Result<u32> {
        let reader = &self.fields[field];
        reader.inverted.doc_freq(&Term::from_field_text(reader.field, term)).map_err(unreadable)
    }

    fn postings(&self, clause: &Clause, option: IndexRecordOption) -> Result<Option<SegmentPostings>> {
        let reader = &self.fields[clause.field];
        let term = Term::from_field_text(reader.field, &clause.text);
        reader.inverted.read_postings(&term, option).map_err(unreadable)
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::with_source(Code::Corrupt, format!("the lexical index cannot be read: {error}"), error)
}
