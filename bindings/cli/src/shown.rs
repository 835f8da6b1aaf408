//! How do results look to programs? The names are those of the Python API, and places in documents are in code points.

use quorate::rag::load::is_supported;
use quorate::rag::{Context, Hit, Hits, Skipped, SyncReport, WriteReport};
use quorate::{Result, agents::Match};
use serde_json::{Value, json};

/// A hit, as its `to_dict` in Python.
pub(crate) fn hit(hit: &Hit) -> Result<Value> {
    let whole = hit.document_text();
    let start = whole.get(..hit.start()).map_or(0, |before| before.chars().count());
    Ok(json!({
        "score": hit.score(), "doc_id": hit.doc_id(), "chunk_id": hit.chunk_id(), "title": hit.title(), "text": hit.text(),
        "source": hit.source(), "start": start, "end": start + hit.text().chars().count(), "headings": hit.headings(),
        "metadata": hit.metadata(), "relevance": hit.relevance()?, "similarity": hit.similarity(),
    }))
}

/// A context with its citations.
pub(crate) fn context(context: &Context, hits: &Hits) -> Value {
    let mut out = json!(context);
    for (citation, shown) in
        context.citations.iter().zip(out["citations"].as_array_mut().into_iter().flatten())
    {
        let whole = hits.iter().find(|hit| hit.doc_id() == citation.doc_id).map(Hit::document_text);
        let chars = |end: usize| whole.and_then(|whole| whole.get(..end)).map(|text| text.chars().count());
        shown["start"] = json!(chars(citation.start));
        shown["end"] = json!(chars(citation.end));
    }
    out
}

/// A match, as its `to_dict` in Python.
pub(crate) fn matched(found: &Match) -> Value {
    json!(found)
}

/// What a write did.
pub(crate) struct Written {
    pub(crate) added: usize,
    pub(crate) replaced: usize,
    pub(crate) unchanged: usize,
    pub(crate) deleted: usize,
    pub(crate) chunks: usize,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) version: u64,
    /// Whether files were compared, which has a name of its own for what was replaced.
    pub(crate) synced: bool,
}

impl From<WriteReport> for Written {
    fn from(report: WriteReport) -> Self {
        let WriteReport { added, replaced, unchanged, deleted, chunks, skipped, version } = report;
        Written { added, replaced, unchanged, deleted, chunks, skipped, version, synced: false }
    }
}

impl From<SyncReport> for Written {
    fn from(report: SyncReport) -> Self {
        let SyncReport { added, updated, unchanged, deleted, chunks, skipped, version } = report;
        Written { added, replaced: updated, unchanged, deleted, chunks, skipped, version, synced: true }
    }
}

impl Written {
    /// This and what another write did after it.
    pub(crate) fn and(mut self, after: Written) -> Written {
        self.added += after.added;
        self.replaced += after.replaced;
        self.unchanged += after.unchanged;
        self.deleted += after.deleted;
        self.chunks += after.chunks;
        self.skipped.extend(after.skipped);
        self.version = after.version;
        self
    }

    /// Whether anything is stored as it was given.
    pub(crate) fn has_any(&self) -> bool {
        self.added + self.replaced + self.unchanged > 0
    }

    /// What was skipped because it is no document, and not because it is a bad one.
    pub(crate) fn is_no_document(one: &Skipped) -> bool {
        !is_supported(&one.id)
    }

    pub(crate) fn json(&self) -> Value {
        let skipped = self.skipped.iter().map(|one| {
            let (code, message) = (one.error.code().as_str(), one.error.message());
            json!({"index": one.index, "id": one.id, "code": code, "message": message})
        });
        let replaced = if self.synced { "updated" } else { "replaced" };
        json!({
            "added": self.added, replaced: self.replaced, "unchanged": self.unchanged, "deleted": self.deleted,
            "chunks": self.chunks, "skipped": skipped.collect::<Value>(), "version": self.version,
        })
    }
}
