//! How much of what a query asks for, by its words, does a row speak about?

use quorate_core::Result;
use tantivy::DocSet;
use tantivy::schema::IndexRecordOption;

use super::score::Weigher;
use super::{Analyzer, CONTENT, LexicalSegment, LexicalView};
use crate::retrieve::Bm25;

/// The words of a query, each with what it weighs: its inverse document frequency, also where no row has it.
pub(crate) struct Asked {
    words: Vec<(Vec<String>, f32)>,
    total: f32,
}

impl Asked {
    /// Weighs the words of `text` by the statistics of `views`. Errors: `corrupt`.
    pub(crate) fn new(text: &str, analyzer: &Analyzer, views: &[LexicalView<'_>]) -> Result<Self> {
        let bm25 = Bm25::default();
        let weigher = Weigher::new(views, &bm25);
        let mut words: Vec<(Vec<String>, f32)> = Vec::new();
        for (_, terms) in analyzer.query_terms(text) {
            if words.len() == MAX_WORDS {
                break;
            }
            if words.iter().any(|(known, _)| *known == terms) {
                continue;
            }
            let mut rows_with = 0;
            for term in &terms {
                rows_with = weigher.rows_with(CONTENT, term)?.max(rows_with);
            }
            words.push((terms, weigher.idf(rows_with)));
        }
        let total = words.iter().map(|(_, idf)| idf).sum();
        Ok(Asked { words, total })
    }

    /// The share of the query's words, by weight, that a row has in its title or text; none of a query without words.
    /// Errors: `corrupt`.
    pub(crate) fn coverage(&self, segment: &LexicalSegment, row: u32) -> Result<Option<f32>> {
        if !(self.total > 0.0) {
            return Ok(None);
        }
        let mut there = 0.0;
        for (terms, idf) in &self.words {
            for term in terms {
                if let Some(mut postings) = segment.postings(CONTENT, term, IndexRecordOption::Basic)?
                    && (postings.doc() == row || (postings.doc() < row && postings.seek(row) == row))
                {
                    there += idf;
                    break;
                }
            }
        }
        Ok(Some((there / self.total).min(1.0)))
    }
}

/// So many different words of a query are looked at; a text of more is no question.
const MAX_WORDS: usize = 256;
