//! What do the rows that are no longer there contribute to the statistics?
//!
//! The postings of a segment still count its dead rows. Their terms are counted here and subtracted, so that BM25
//! is exact at every moment. Counts come in batches that are merged as they grow, so that a deletion costs what it
//! deletes and snapshots share what they have in common.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Analyzer, CONTENT, FIELDS, TITLE};

/// Counts of the dead rows of one segment.
#[derive(Clone, Default)]
pub(crate) struct DeadTerms {
    batches: Vec<Arc<Batch>>,
}

#[derive(Default)]
struct Batch {
    tokens: [u64; FIELDS],
    /// How many dead rows contain a term, by field.
    rows_with: [HashMap<String, u32>; FIELDS],
}

impl Batch {
    fn weight(&self) -> usize {
        self.rows_with.iter().map(HashMap::len).sum()
    }
}

impl DeadTerms {
    /// These and the rows of (title, text) as well.
    pub(crate) fn with<'a>(
        &self,
        analyzer: &Analyzer,
        rows: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> DeadTerms {
        let mut fresh = Batch::default();
        for (title, text) in rows {
            let heading = analyzer.terms(title);
            let body = analyzer.terms(text);
            let mut content: Vec<&str> = heading.iter().chain(&body).map(|(_, term)| term.as_str()).collect();
            let mut title: Vec<&str> = heading.iter().map(|(_, term)| term.as_str()).collect();
            fresh.tokens[CONTENT] += content.len() as u64;
            fresh.tokens[TITLE] += title.len() as u64;
            for (field, terms) in [(CONTENT, &mut content), (TITLE, &mut title)] {
                terms.sort_unstable();
                terms.dedup();
                for term in terms.iter() {
                    match fresh.rows_with[field].get_mut(*term) {
                        Some(count) => *count += 1,
                        None => {
                            fresh.rows_with[field].insert((*term).to_owned(), 1);
                        }
                    }
                }
            }
        }
        let mut batches = self.batches.clone();
        // Each batch weighs more than twice as much as the next, so there are few.
        while let Some(last) = batches.last()
            && last.weight() <= 2 * fresh.weight()
        {
            for field in 0..FIELDS {
                fresh.tokens[field] += last.tokens[field];
                for (term, count) in &last.rows_with[field] {
                    *fresh.rows_with[field].entry(term.clone()).or_default() += count;
                }
            }
            batches.pop();
        }
        batches.push(Arc::new(fresh));
        DeadTerms { batches }
    }

    pub(crate) fn tokens(&self, field: usize) -> u64 {
        self.batches.iter().map(|b| b.tokens[field]).sum()
    }

    /// How many dead rows contain a term.
    pub(crate) fn rows_with(&self, field: usize, term: &str) -> u32 {
        self.batches.iter().filter_map(|b| b.rows_with[field].get(term)).sum()
    }
}
