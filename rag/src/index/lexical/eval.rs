//! Which rows of a segment match a structured query, and with which scores?

use quorate_core::Result;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, TERMINATED};

use super::LexicalSegment;
use super::query::{Node, Phrase};
use super::score::{Clause, Norms, TermScore, field_name};
use crate::index::Catalog;

impl Node {
    /// The matching rows with their scores, ascending.
    pub(super) fn rows(
        &self,
        segment: &LexicalSegment,
        catalog: &Catalog,
        norms: &Norms,
    ) -> Result<Vec<(u32, f32)>> {
        match self {
            Node::Sum(clauses) => {
                let mut out = Vec::new();
                for clause in clauses {
                    out = union(out, clause_rows(clause, segment, norms)?);
                }
                Ok(out)
            }
            Node::Best(best) => {
                // A prefix can stand for very many words: one list of all rows, instead of one that grows with each word.
                let mut scores = vec![f32::NEG_INFINITY; segment.rows as usize];
                for clause in &best.clauses {
                    for (row, score) in clause_rows(clause, segment, norms)? {
                        if let Some(slot) = scores.get_mut(row as usize) {
                            *slot = slot.max(score);
                        }
                    }
                }
                for clause in &best.doubtful {
                    for (row, score) in clause_rows(clause, segment, norms)? {
                        if let Some(slot) = scores.get_mut(row as usize)
                            && (*slot > f32::NEG_INFINITY || best.shows(catalog, row))
                        {
                            *slot = slot.max(score);
                        }
                    }
                }
                Ok((0..).zip(scores).filter(|&(_, score)| score > f32::NEG_INFINITY).collect())
            }
            Node::Phrase(phrase) => phrase.rows(segment, norms),
            Node::Any(parts) => {
                let mut out = Vec::new();
                for part in parts {
                    out = union(out, part.rows(segment, catalog, norms)?);
                }
                Ok(out)
            }
            Node::All { parts, optional, without } => {
                let mut lists = parts.iter().map(|part| part.rows(segment, catalog, norms));
                let Some(first) = lists.next() else { return Ok(Vec::new()) };
                let mut out = first?;
                for list in lists {
                    let list = list?;
                    out.retain_mut(|(row, score)| match list.binary_search_by_key(row, |&(r, _)| r) {
                        Ok(at) => {
                            *score += list[at].1;
                            true
                        }
                        Err(_) => false,
                    });
                }
                for part in optional {
                    let list = part.rows(segment, catalog, norms)?;
                    for (row, score) in &mut out {
                        if let Ok(at) = list.binary_search_by_key(row, |&(r, _)| r) {
                            *score += list[at].1;
                        }
                    }
                }
                for part in without {
                    let list = part.rows(segment, catalog, norms)?;
                    out.retain(|(row, _)| list.binary_search_by_key(row, |&(r, _)| r).is_err());
                }
                Ok(out)
            }
        }
    }

    /// Lists what each term and phrase that counts adds to the score of a row; the score of the part.
    pub(super) fn explain(
        &self,
        segment: &LexicalSegment,
        catalog: &Catalog,
        norms: &Norms,
        row: u32,
        out: &mut Vec<TermScore>,
    ) -> Result<f32> {
        let before = out.len();
        match self {
            Node::Sum(clauses) => {
                for clause in clauses {
                    out.extend(segment.term_score(clause, norms, row)?);
                }
            }
            Node::Best(best) => {
                let mut highest: Option<TermScore> = None;
                let doubtful = if best.shows(catalog, row) { best.doubtful.as_slice() } else { &[] };
                for clause in best.clauses.iter().chain(doubtful) {
                    if let Some(found) = segment.term_score(clause, norms, row)?
                        && highest.as_ref().is_none_or(|highest| found.score > highest.score)
                    {
                        highest = Some(found);
                    }
                }
                out.extend(highest);
            }
            Node::Phrase(phrase) => {
                if let Some((frequency, score)) = phrase.at(segment, norms, row)? {
                    out.push(TermScore {
                        term: format!("\"{}\"", phrase.text),
                        field: field_name(phrase.field),
                        frequency,
                        nearby: 0,
                        rows_with_term: 0,
                        idf: phrase.idf,
                        score,
                    });
                }
            }
            Node::Any(parts) => {
                for part in parts {
                    part.explain(segment, catalog, norms, row, out)?;
                }
            }
            Node::All { parts, optional, .. } => {
                for part in parts.iter().chain(optional) {
                    part.explain(segment, catalog, norms, row, out)?;
                }
            }
        }
        Ok(out[before..].iter().map(|t| t.score).sum())
    }
}

fn clause_rows(clause: &Clause, segment: &LexicalSegment, norms: &Norms) -> Result<Vec<(u32, f32)>> {
    let mut out = Vec::new();
    let Some(mut postings) = segment.postings(clause.field, &clause.text, IndexRecordOption::WithFreqs)?
    else {
        return Ok(out);
    };
    let reader = &segment.fields[clause.field];
    while postings.doc() != TERMINATED {
        let (row, tf) = (postings.doc(), postings.term_freq() as f32);
        let norm = norms[clause.field][reader.norms.fieldnorm_id(row) as usize];
        out.push((row, clause.weight * tf / (tf + norm)));
        postings.advance();
    }
    Ok(out)
}

/// The rows of either; the scores of those in both add up.
fn union(a: Vec<(u32, f32)>, b: Vec<(u32, f32)>) -> Vec<(u32, f32)> {
    if a.is_empty() {
        return b;
    }
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (Some(&(x, s)), Some(&(y, t))) if x == y => {
                out.push((x, s + t));
                a.next();
                b.next();
            }
            (Some(&(x, _)), Some(&(y, _))) if x > y => out.extend(b.next()),
            (Some(_), _) => out.extend(a.next()),
            (None, Some(_)) => out.extend(b.next()),
            (None, None) => return out,
        }
    }
}

/// A word of a phrase: the rows that have any of the terms that it is found by.
struct Slot {
    terms: Vec<SegmentPostings>,
}

impl Slot {
    fn doc(&self) -> u32 {
        self.terms.iter().map(SegmentPostings::doc).min().unwrap_or(TERMINATED)
    }

    fn advance(&mut self) -> u32 {
        let row = self.doc();
        for postings in &mut self.terms {
            if postings.doc() == row && row != TERMINATED {
                postings.advance();
            }
        }
        self.doc()
    }

    /// To the first row from `row` on.
    fn seek(&mut self, row: u32) -> u32 {
        for postings in &mut self.terms {
            if postings.doc() < row {
                postings.seek(row);
            }
        }
        self.doc()
    }

    /// Where the word stands in the row at hand, ascending.
    fn places(&mut self) -> Vec<u32> {
        let row = self.doc();
        let mut places = Vec::new();
        for postings in self.terms.iter_mut().filter(|postings| postings.doc() == row) {
            let mut list = Vec::new();
            postings.positions(&mut list);
            places.extend(list);
        }
        if self.terms.len() > 1 {
            places.sort_unstable();
            places.dedup();
        }
        places
    }
}

impl Phrase {
    /// None where the segment lacks a word.
    fn slots(&self, segment: &LexicalSegment) -> Result<Option<Vec<Slot>>> {
        let mut all = Vec::with_capacity(self.terms.len());
        for (_, terms) in &self.terms {
            let mut slot = Slot { terms: Vec::with_capacity(terms.len()) };
            for term in terms {
                let found = segment.postings(self.field, term, IndexRecordOption::WithFreqsAndPositions)?;
                slot.terms.extend(found);
            }
            if slot.terms.is_empty() {
                return Ok(None);
            }
            all.push(slot);
        }
        Ok(Some(all))
    }

    fn rows(&self, segment: &LexicalSegment, norms: &Norms) -> Result<Vec<(u32, f32)>> {
        let mut out = Vec::new();
        let Some(mut all) = self.slots(segment)? else { return Ok(out) };
        let mut row = all[0].doc();
        'rows: while row != TERMINATED {
            for slot in &mut all {
                let at = slot.seek(row);
                if at != row {
                    row = at;
                    continue 'rows;
                }
            }
            let times = self.times(&mut all);
            if times > 0 {
                out.push((row, self.score(segment, norms, row, times)));
            }
            row = all[0].advance();
        }
        Ok(out)
    }

    fn at(&self, segment: &LexicalSegment, norms: &Norms, row: u32) -> Result<Option<(u32, f32)>> {
        let Some(mut all) = self.slots(segment)? else { return Ok(None) };
        for slot in &mut all {
            if slot.seek(row) != row {
                return Ok(None);
            }
        }
        let times = self.times(&mut all);
        Ok((times > 0).then(|| (times, self.score(segment, norms, row, times))))
    }

    fn score(&self, segment: &LexicalSegment, norms: &Norms, row: u32, times: u32) -> f32 {
        let norm = norms[self.field][segment.fields[self.field].norms.fieldnorm_id(row) as usize];
        self.weight * times as f32 / (times as f32 + norm)
    }

    /// How often the phrase occurs in the row that all words stand at: for each occurrence of the first word, the
    /// others in order, with at most `slop` words more between them than in the phrase.
    fn times(&self, all: &mut [Slot]) -> u32 {
        let places: Vec<Vec<u32>> = all.iter_mut().map(Slot::places).collect();
        let span = self.terms.last().map_or(0, |&(at, _)| at).saturating_add(self.slop);
        let mut times = 0;
        'starts: for &start in &places[0] {
            let mut last = start;
            for (list, window) in places[1..].iter().zip(self.terms.windows(2)) {
                let least = last + (window[1].0 - window[0].0);
                match list.get(list.partition_point(|&place| place < least)) {
                    Some(&place) if place - start <= span => last = place,
                    _ => continue 'starts,
                }
            }
            times += 1;
        }
        times
    }
}
