//! How does a knowledge base move to another embedder?

use quorate_core::{Error, Result};

use super::KnowledgeBase;
use super::beside;
use super::copies::{CopyOptions, CopyReport, Fresh};
use super::options::{OpenOptions, WriteOptions};
use crate::document::{Chunk, Document};

/// How to embed anew. Fields have the defaults named.
#[derive(Clone, Debug, Default)]
pub struct ReembedOptions {
    /// Whether the chunks stay as they are, those that callers have cut above all. Default no: texts are cut anew, as the new
    /// embedder's length and the settings say.
    pub keep_chunks: bool,
    /// Whom to tell, and what stops it.
    pub copy: CopyOptions,
}

impl KnowledgeBase {
    /// Makes a knowledge base at `to`, where nothing may be, with the documents of this one, of all tenants, embedded by the
    /// embedder that `open` names. Language is that of this one, and so is chunking unless `open` says otherwise. This one
    /// stays as it is and can be used meanwhile; what is written to it after the call began may be missing in the other.
    /// In a folder the new one comes to its place when it is whole. The memory that is needed is that of the new indexes
    /// and of 256 documents.
    ///
    /// Errors: `invalid_argument` (no embedder is named, something is at `to`, or it is inside of this one),
    /// `tenant_violation` on a tenant's handle, `closed`, `cancelled`, those of the embedder, and those of writing.
    pub fn reembed(&self, to: &str, open: OpenOptions, options: &ReembedOptions) -> Result<CopyReport> {
        self.base.check_open()?;
        self.check_all_tenants("what is embedded anew")?;
        if open.embedder.is_none() && open.model.is_none() {
            return Err(Error::invalid("reembed needs the embedder of the new knowledge base"));
        }
        let fresh = Fresh::new(to, self)?;
        let open = OpenOptions {
            tenant: None,
            read_only: false,
            language: Some(self.base.settings.language),
            chunking: Some(open.chunking.clone().unwrap_or_else(|| self.base.settings.chunking.clone())),
            ..open
        };
        let target = KnowledgeBase::open(fresh.place(), open)?;
        let write = WriteOptions { cancel: options.copy.cancel.clone(), ..WriteOptions::default() };
        let report = self.pour(&target, &options.copy, |tenant, records| {
            let documents = records
                .into_iter()
                .map(|record| Document {
                    chunks: options.keep_chunks.then(|| {
                        let span = |span: &quorate_store::Span| Chunk {
                            range: span.start as usize..span.end as usize,
                            headings: beside::headings(&span.headings),
                            vector: None,
                        };
                        record.chunks.iter().map(span).collect()
                    }),
                    id: record.id,
                    text: record.text,
                    title: record.title,
                    source: record.source,
                    metadata: serde_json::from_str(&record.metadata).unwrap_or_default(),
                })
                .collect();
            tenant.add_with(documents, &write).map(drop)
        })?;
        target.close()?;
        drop(target);
        options.copy.cancel.check()?;
        fresh.finish()?;
        Ok(report)
    }
}
