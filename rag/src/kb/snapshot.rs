//! What does a reader see?

use quorate_core::Result;

use super::Progress;
use crate::RowSet;
use crate::filter::{Columns, Filter};
use crate::index::lexical::Analyzer;
use crate::index::{Segment, View};
use quorate_store::{Entry, Numbered};

/// The knowledge base of one tenant at one version. Never changed once made.
pub(crate) struct Snapshot {
    views: Vec<View>,
    dim: usize,
    /// The commit of the truth that it reflects.
    pub(crate) version: u64,
    /// The number of the first entry that it does not reflect.
    pub(crate) next_seq: u64,
}

impl Snapshot {
    pub(crate) fn empty(dim: usize) -> Self {
        Snapshot { views: Vec::new(), dim, version: 0, next_seq: 0 }
    }

    pub(crate) fn new(views: Vec<View>, dim: usize, version: u64, next_seq: u64) -> Self {
        let views = views.into_iter().filter(|view| view.live.row_count > 0).collect();
        Snapshot { views, dim, version, next_seq }
    }

    /// The same; further entries have at least this number.
    pub(crate) fn not_before(mut self, seq: u64) -> Self {
        self.next_seq = self.next_seq.max(seq);
        self
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn views(&self) -> &[View] {
        &self.views
    }

    pub(crate) fn segment(&self, at: u32) -> &Segment {
        &self.views[at as usize].segment
    }

    /// Live documents.
    pub(crate) fn docs(&self) -> usize {
        self.views.iter().map(|view| view.live.doc_count as usize).sum()
    }

    /// Live chunks.
    pub(crate) fn chunks(&self) -> usize {
        self.views.iter().map(|view| view.live.row_count as usize).sum()
    }

    /// The segment and number of a live document.
    pub(crate) fn find(&self, id: &str) -> Option<(usize, u32)> {
        self.views.iter().enumerate().rev().find_map(|(i, view)| view.find(id).map(|doc| (i, doc)))
    }

    /// The live documents of each segment that match. Errors: `filter_type`, `filter_field`.
    pub(crate) fn select(&self, filter: &Filter, strict: bool) -> Result<Vec<RowSet>> {
        let parts: Vec<(&Columns, &RowSet)> =
            self.views.iter().map(|view| (view.segment.columns(), &view.live.docs)).collect();
        Columns::select_parts(&parts, filter, strict)
    }

    /// The rows of each segment that may be found; none for all rows.
    pub(crate) fn admit(&self, filter: Option<&Filter>, strict: bool) -> Result<Vec<Option<RowSet>>> {
        let Some(filter) = filter else {
            return Ok(self
                .views
                .iter()
                .map(|view| view.has_dead().then(|| view.live.rows.clone()))
                .collect());
        };
        let docs = self.select(filter, strict)?;
        Ok(self.views.iter().zip(&docs).map(|(view, docs)| Some(view.segment.rows_of_docs(docs))).collect())
    }

    /// This snapshot after further entries, which follow the ones that it reflects; `progress` is told how many of
    /// their chunks are indexed.
    pub(crate) fn after(
        &self,
        entries: Vec<Numbered>,
        version: u64,
        analyzer: &Analyzer,
        progress: Option<&Progress>,
    ) -> Result<Snapshot> {
        let next_seq = entries.last().map_or(self.next_seq, |last| last.seq + last.entry.rows());
        // The last word on each id counts.
        let mut last_word = std::collections::HashMap::new();
        for (i, numbered) in entries.iter().enumerate() {
            match &numbered.entry {
                Entry::Put(record) => {
                    last_word.insert(record.id.clone(), i);
                }
                Entry::Delete(ids) => ids.iter().for_each(|id| {
                    last_word.insert(id.clone(), i);
                }),
            }
        }
        let mut views = self.without_ids(last_word.keys().map(String::as_str), analyzer);
        let records: Vec<_> = entries
            .into_iter()
            .enumerate()
            .filter_map(|(i, numbered)| match numbered.entry {
                Entry::Put(record) if last_word.get(&record.id) == Some(&i) => Some(record),
                _ => None,
            })
            .collect();
        if !records.is_empty() {
            views.push(View::whole(Segment::build(&records, self.dim, next_seq, analyzer, progress)?));
        }
        Ok(Snapshot::new(views, self.dim, version, next_seq))
    }

    /// The segments without some documents.
    pub(crate) fn without_ids<'a>(
        &self,
        ids: impl Iterator<Item = &'a str>,
        analyzer: &Analyzer,
    ) -> Vec<View> {
        let mut gone: Vec<Vec<u32>> = vec![Vec::new(); self.views.len()];
        for id in ids {
            if let Some((segment, doc)) = self.find(id) {
                gone[segment].push(doc);
            }
        }
        self.views
            .iter()
            .zip(gone)
            .map(|(view, docs)| if docs.is_empty() { view.clone() } else { view.without(&docs, analyzer) })
            .collect()
    }
}
