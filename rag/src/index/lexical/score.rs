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

use super::near::{Lengths, Near};
use super::query::{self, LexicalQuery, Node};
use super::{Analyzer, CONTENT, DeadTerms, FIELDS, LexicalSegment, TITLE};
use crate::RowSet;
use crate::index::{Catalog, TopRows};
use crate::retrieve::Bm25;

/// A segment and the statistics of its dead rows.
pub(crate) struct LexicalView<'a> {
    pub(crate) segment: &'a LexicalSegment,
    pub(crate) dead: &'a DeadTerms,
    pub(crate) live_rows: u32,
    pub(crate) live_docs: u32,
}

/// What one term of the query adds to the score of one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermScore {
    /// The term as indexed (stemmed), or the phrase.
    pub term: String,
    /// `content` (title and text) or `title`.
    pub field: &'static str,
    /// How often the row has it.
    pub frequency: u32,
    /// How often the chunks before and after it have it, where these count.
    pub nearby: u32,
    /// How many rows of the tenant have it; 0 for a phrase.
    pub rows_with_term: u64,
    /// Inverse document frequency.
    pub idf: f32,
    /// What it adds.
    pub score: f32,
}

/// A query that is ready to be scored.
pub(crate) struct Plan {
    root: Node,
    norms: Norms,
    /// Where the chunks beside a chunk count.
    near: Option<Lengths>,
    /// What each row of the search has to match, and what none may.
    conditions: Option<(Vec<Node>, Vec<Node>)>,
}

/// k1 * (1 - b + b * |d| / avg) by length code, per field.
pub(super) type Norms = [Box<[f32; 256]>; FIELDS];

pub(super) struct Clause {
    pub(super) field: usize,
    pub(super) text: String,
    /// boost * idf * (k1 + 1) * times in the query
    pub(super) weight: f32,
    pub(super) idf: f32,
    pub(super) rows_with_term: u64,
}

/// Weighs terms by the statistics of all segments together.
pub(super) struct Weigher<'a> {
    pub(super) views: &'a [LexicalView<'a>],
    bm25: &'a Bm25,
    rows: u64,
}

impl<'a> Weigher<'a> {
    pub(super) fn new(views: &'a [LexicalView<'a>], bm25: &'a Bm25) -> Self {
        Weigher { views, bm25, rows: views.iter().map(|v| u64::from(v.live_rows)).sum() }
    }

    /// k1 + 1: what a term counts at most, in units of its idf.
    pub(super) fn saturation(&self) -> f32 {
        self.bm25.k1 + 1.0
    }

    /// How many live rows contain a term.
    pub(super) fn rows_with(&self, field: usize, term: &str) -> Result<u64> {
        let mut with = 0;
        for view in self.views {
            let found = view.segment.rows_with(field, term)?;
            with += u64::from(found.saturating_sub(view.dead.rows_with(field, term)));
        }
        Ok(with)
    }

    pub(super) fn idf(&self, rows_with: u64) -> f32 {
        let others = self.rows.saturating_sub(rows_with) as f32;
        (1.0 + (others + 0.5) / (rows_with as f32 + 0.5)).ln()
    }

    /// The weighed term; none when no live row has it.
    pub(super) fn clause(&self, field: usize, term: &str, boost: f32) -> Result<Option<Clause>> {
        let rows_with_term = self.rows_with(field, term)?;
        if rows_with_term == 0 {
            return Ok(None);
        }
        let idf = self.idf(rows_with_term);
        let weight = boost * idf * self.saturation();
        Ok(Some(Clause { field, text: term.to_owned(), weight, idf, rows_with_term }))
    }

    /// The weighed words of a question, most weighty first; in the content those of the title count extra.
    pub(super) fn words(
        &self,
        text: &str,
        field: usize,
        boost: f32,
        analyzer: &Analyzer,
    ) -> Result<Vec<Clause>> {
        let mut times: BTreeMap<String, f32> = BTreeMap::new();
        for (_, terms) in analyzer.asked_terms(text) {
            // A word that is found by several terms counts once in all.
            let share = 1.0 / terms.len() as f32;
            terms.into_iter().for_each(|term| *times.entry(term).or_default() += share);
        }
        let mut clauses = Vec::new();
        let mut fields = vec![(field, boost)];
        if field == CONTENT && self.bm25.title_boost > 0.0 {
            fields.push((TITLE, boost * self.bm25.title_boost));
        }
        for (field, boost) in fields {
            for (term, &times) in &times {
                clauses.extend(self.clause(field, term, boost * times)?);
            }
        }
        clauses.sort_by(|a, b| {
            b.weight.total_cmp(&a.weight).then_with(|| (a.field, &a.text).cmp(&(b.field, &b.text)))
        });
        Ok(clauses)
    }

    /// Mean length of the live rows, in words.
    fn average(&self, field: usize) -> f32 {
        let tokens: u64 =
            self.views.iter().map(|v| v.segment.tokens(field).saturating_sub(v.dead.tokens(field))).sum();
        tokens as f32 / self.rows.max(1) as f32
    }

    fn near(&self) -> Option<Lengths> {
        let Bm25 { k1, b, neighbours, .. } = *self.bm25;
        let docs = self.views.iter().map(|v| u64::from(v.live_docs)).sum();
        (neighbours > 0.0).then(|| Lengths::new(neighbours, k1, b, self.average(CONTENT), self.rows, docs))
    }

    fn norms(&self) -> Norms {
        let Bm25 { k1, b, .. } = *self.bm25;
        std::array::from_fn(|field| {
            let average = self.average(field);
            Box::new(std::array::from_fn(|code| {
                let length = FieldNormReader::id_to_fieldnorm(code as u8) as f32;
                k1 * (1.0 - b + b * if average > 0.0 { length / average } else { 1.0 })
            }))
        })
    }
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
        let mut list = SPARE.try_lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
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
        if let Ok(mut spare) = SPARE.try_lock() {
            let lists = self.by_segment.drain(..).filter(|list| list.capacity() > 0);
            spare.extend(lists);
            spare.truncate(MAX_SPARE);
        }
    }
}

impl Plan {
    /// Weighs a query, or the words of `text`, by the statistics of `views`. Errors: `query_syntax`, `too_large`.
    pub(crate) fn new(
        text: &str,
        structured: Option<&LexicalQuery>,
        analyzer: &Analyzer,
        bm25: &Bm25,
        views: &[LexicalView<'_>],
    ) -> Result<Self> {
        let weigher = Weigher::new(views, bm25);
        let compile =
            |query: &LexicalQuery| query::compile(query, text, query::DEFAULT_FIELD, 1.0, analyzer, &weigher);
        let mut conditions = None;
        let (root, near) = match structured {
            None => (Node::Sum(weigher.words(text, CONTENT, 1.0, analyzer)?), weigher.near()),
            Some(structured) => {
                structured.validate()?;
                if let Some((must, must_not)) = structured.conditions() {
                    let all = |list: &[LexicalQuery]| {
                        let asked = list.iter().filter(|part| part.asks(analyzer));
                        asked.map(compile).collect::<Result<Vec<_>>>()
                    };
                    conditions = Some((all(must)?, all(must_not)?));
                }
                (compile(structured)?, None)
            }
        };
        let mut norms = weigher.norms();
        if let Some(near) = &near {
            norms[CONTENT] = near.alone();
        }
        Ok(Plan { root, norms, near, conditions })
    }

    /// Whether the query says what holds for the whole search.
    pub(crate) fn has_conditions(&self) -> bool {
        self.conditions.is_some()
    }

    /// Takes from the rows of a segment that may be found (none for all) those that do not meet the conditions.
    pub(crate) fn restrict(
        &self,
        segment: &LexicalSegment,
        catalog: &Catalog,
        admit: &mut Option<RowSet>,
    ) -> Result<()> {
        let Some((must, must_not)) = &self.conditions else { return Ok(()) };
        let set = admit.get_or_insert_with(|| RowSet::full(segment.rows));
        let matches = |part: &Node| -> Result<RowSet> {
            Ok(part.rows(segment, catalog, &self.norms)?.into_iter().map(|(row, _)| row).collect())
        };
        for part in must {
            set.intersect(&matches(part)?);
        }
        for part in must_not {
            set.subtract(&matches(part)?);
        }
        Ok(())
    }

    /// Offers the rows of segment `at` that score above zero to `top`. `admit` restricts them. All scores are left in
    /// `scores`.
    pub(crate) fn search(
        &self,
        segment: &LexicalSegment,
        catalog: &Catalog,
        at: u32,
        admit: Option<&RowSet>,
        scores: &mut Scores,
        top: &mut TopRows,
    ) -> Result<()> {
        match &self.root {
            Node::Sum(clauses) if clauses.is_empty() => return Ok(()),
            Node::Sum(clauses) => {
                let scores = scores.zeros(at, segment.rows as usize);
                match self.near(segment, catalog) {
                    None => {
                        for clause in clauses {
                            segment.accumulate(clause, &self.norms, scores)?;
                        }
                    }
                    Some(near) => self.accumulate_near(segment, clauses, &near, scores)?,
                }
            }
            node => {
                let scores = scores.zeros(at, segment.rows as usize);
                for (row, score) in node.rows(segment, catalog, &self.norms)? {
                    if let Some(slot) = scores.get_mut(row as usize) {
                        *slot = score;
                    }
                }
            }
        }
        let Some(scores) = scores.by_segment.get(at as usize) else { return Ok(()) };
        for (row, &score) in scores.iter().enumerate() {
            if score > top.threshold() && admit.is_none_or(|set| set.contains(row as u32)) {
                top.offer(at, row as u32, score);
            }
        }
        Ok(())
    }

    /// What each term adds to the score of a row, in the order of the sum; empty when no term does.
    pub(crate) fn explain(
        &self,
        segment: &LexicalSegment,
        catalog: &Catalog,
        row: u32,
    ) -> Result<Vec<TermScore>> {
        let mut out = Vec::new();
        match (&self.root, self.near(segment, catalog)) {
            (Node::Sum(clauses), Some(near)) => {
                for clause in clauses {
                    out.extend(match clause.field {
                        CONTENT => near
                            .term(segment, clause, row)?
                            .map(|(own, nearby, score)| TermScore { nearby, ..clause.explain(own, score) }),
                        _ => segment.term_score(clause, &self.norms, row)?,
                    });
                }
                if out.iter().all(|term| term.frequency == 0) {
                    out.clear();
                }
            }
            (root, _) => {
                root.explain(segment, catalog, &self.norms, row, &mut out)?;
            }
        }
        Ok(out)
    }

    fn near<'a>(&'a self, segment: &'a LexicalSegment, catalog: &'a Catalog) -> Option<Near<'a>> {
        self.near.as_ref().and_then(|lengths| Near::new(segment, catalog, lengths))
    }

    /// The titles of a document's chunks are the same, so that neighbours count in the content alone.
    fn accumulate_near(
        &self,
        segment: &LexicalSegment,
        clauses: &[Clause],
        near: &Near<'_>,
        scores: &mut [f32],
    ) -> Result<()> {
        let (mut own, mut gaps) = (RowSet::empty(segment.rows), Vec::new());
        for clause in clauses {
            match clause.field {
                CONTENT => near.accumulate(segment, clause, scores, &mut own, &mut gaps)?,
                _ => segment.accumulate(clause, &self.norms, scores)?,
            }
        }
        for row in gaps {
            if !own.contains(row)
                && let Some(score) = scores.get_mut(row as usize)
            {
                *score = 0.0;
            }
        }
        Ok(())
    }
}

impl LexicalSegment {
    /// How many rows contain a term, dead ones too.
    fn rows_with(&self, field: usize, term: &str) -> Result<u32> {
        let reader = &self.fields[field];
        reader.inverted.doc_freq(&Term::from_field_text(reader.field, term)).map_err(unreadable)
    }

    pub(super) fn postings(
        &self,
        field: usize,
        term: &str,
        option: IndexRecordOption,
    ) -> Result<Option<SegmentPostings>> {
        let reader = &self.fields[field];
        reader.inverted.read_postings(&Term::from_field_text(reader.field, term), option).map_err(unreadable)
    }

    /// Adds to each row's score what a term gives it.
    pub(super) fn accumulate(&self, clause: &Clause, norms: &Norms, scores: &mut [f32]) -> Result<()> {
        let reader = &self.fields[clause.field];
        let norms = &norms[clause.field];
        let term = Term::from_field_text(reader.field, &clause.text);
        let Some(mut block) =
            reader.inverted.read_block_postings(&term, IndexRecordOption::WithFreqs).map_err(unreadable)?
        else {
            return Ok(());
        };
        loop {
            let docs = block.docs();
            if docs.is_empty() {
                return Ok(());
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

    /// What a term gives a row; none when the row lacks it.
    pub(super) fn term_score(&self, clause: &Clause, norms: &Norms, row: u32) -> Result<Option<TermScore>> {
        let frequency = self.frequency(clause, row)?;
        let tf = frequency as f32;
        let norm = norms[clause.field][self.fields[clause.field].norms.fieldnorm_id(row) as usize];
        Ok((frequency > 0).then(|| clause.explain(frequency, clause.weight * tf / (tf + norm))))
    }

    /// How often a row has a term.
    pub(super) fn frequency(&self, clause: &Clause, row: u32) -> Result<u32> {
        let Some(mut postings) = self.postings(clause.field, &clause.text, IndexRecordOption::WithFreqs)?
        else {
            return Ok(0);
        };
        let has = postings.doc() <= row && postings.seek(row) == row;
        Ok(if has { postings.term_freq() } else { 0 })
    }
}

impl Clause {
    fn explain(&self, frequency: u32, score: f32) -> TermScore {
        TermScore {
            term: self.text.clone(),
            field: field_name(self.field),
            frequency,
            nearby: 0,
            rows_with_term: self.rows_with_term,
            idf: self.idf,
            score,
        }
    }
}

pub(super) fn field_name(field: usize) -> &'static str {
    if field == TITLE { "title" } else { "content" }
}

pub(super) fn unreadable(error: std::io::Error) -> Error {
    Error::with_source(Code::Corrupt, format!("the lexical index cannot be read: {error}"), error)
}
