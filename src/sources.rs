//! How are the passages of a knowledge base what experts answer from?

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Result};
use quorate_rag::{ContextOptions, KnowledgeBase};
use quorate_runtime::{Before, Passage, Retrieve, Wanted};

/// A knowledge base, or a tenant's part of it, as experts see it.
///
/// ```
/// use quorate::runtime::{Question, Runtime, RuntimeOptions};
/// use quorate::{Document, Sources};
/// use quorate::rag::{KnowledgeBase, OpenOptions};
/// let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
/// kb.add(vec![Document::new("a", "Metformin lowers blood glucose. It is taken with meals.")])?;
/// let runtime = Runtime::new(RuntimeOptions { sources: Some(Sources::of(kb)), ..RuntimeOptions::default() })?;
/// let answer = runtime.ask(Question::new("What does metformin do?"))?;
/// assert!(answer.text.contains("lowers blood glucose"));
/// # Ok::<(), quorate::Error>(())
/// ```
pub struct Sources {
    kb: KnowledgeBase,
    options: ContextOptions,
}

impl Sources {
    /// With the default context.
    pub fn of(kb: KnowledgeBase) -> Arc<dyn Retrieve> {
        Sources::with(kb, ContextOptions::default())
    }

    /// With a context of these options; its budget and filter are those of what is wanted.
    pub fn with(kb: KnowledgeBase, options: ContextOptions) -> Arc<dyn Retrieve> {
        Arc::new(Sources { kb, options })
    }
}

impl Retrieve for Sources {
    fn passages(&self, question: &str, wanted: &Wanted, cancel: &Cancel) -> Result<Vec<Passage>> {
        let mut options = self.options.clone();
        options.max_tokens = wanted.max_tokens;
        options.search.filter.clone_from(&wanted.filter);
        options.search.cancel = cancel.clone();
        let (context, hits) = self.kb.context_with_hits(question, &options)?;
        let texts: HashMap<&str, &str> = hits.iter().map(|hit| (hit.doc_id(), hit.document_text())).collect();
        let passage = |citation: quorate_rag::Citation| {
            let text = texts.get(citation.doc_id.as_str())?;
            Some(Passage {
                text: text.get(citation.start..citation.end)?.to_owned(),
                before: Before::of(text.get(..citation.start)?),
                doc_id: citation.doc_id,
                chunk_id: citation.chunk_id,
                title: citation.title,
                start: citation.start,
                end: citation.end,
                score: citation.score,
            })
        };
        Ok(context.citations.into_iter().filter_map(passage).collect())
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        self.kb.embedder().ok().filter(|embedder| embedder.is_local()).cloned()
    }
}
