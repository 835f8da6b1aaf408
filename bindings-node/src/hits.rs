//! What does a search hand to Node? The pieces stay in Rust, and what is asked of one is handed over then.

use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;
use quorate::rag::Hit;

use crate::convert::{self, Out};
use crate::door::quick;
use crate::errors::{OrThrow, Thrown, engine};

/// The pieces that a search has found, by place from 0.
#[napi(js_name = "Hits")]
pub struct NativeHits {
    hits: Vec<Hit>,
    /// Where each stands in its document's text, in UTF-16 units, as JavaScript counts.
    spans: Vec<(usize, usize)>,
}

/// Hits on their way to JavaScript.
pub fn hits(hits: quorate::rag::Hits) -> Out {
    let hits = hits.into_vec();
    let spans = hits.iter().map(span).collect();
    Out::object(NativeHits { hits, spans })
}

/// The number of UTF-16 units of a text.
pub fn units(text: &[u8]) -> usize {
    // Each character counts by its first byte; those of four bytes are surrogate pairs.
    text.iter().map(|byte| usize::from(byte & 0xC0 != 0x80) + usize::from(*byte >= 0xF0)).sum()
}

fn span(hit: &Hit) -> (usize, usize) {
    let text = hit.document_text().as_bytes();
    let start = units(text.get(..hit.start()).unwrap_or_default());
    (start, start + units(hit.text().as_bytes()))
}

impl NativeHits {
    /// The hits themselves.
    pub fn found(&self) -> Vec<Hit> {
        self.hits.clone()
    }

    fn hit(&self, i: u32) -> Result<&Hit, Thrown> {
        self.hits.get(i as usize).ok_or_else(|| engine(format!("there is no hit {i}"))).or_throw()
    }
}

#[napi]
impl NativeHits {
    /// None yet; [`NativeHits::push`] adds hits of other searches.
    #[napi(constructor)]
    #[allow(clippy::new_without_default)] // it is a constructor of JavaScript
    pub fn new() -> Self {
        NativeHits { hits: Vec::new(), spans: Vec::new() }
    }

    /// Adds a hit of another search.
    #[napi]
    pub fn push(&mut self, from: &NativeHits, i: u32) -> Result<(), Thrown> {
        self.hits.push(from.hit(i)?.clone());
        self.spans.push(from.spans[i as usize]);
        Ok(())
    }

    /// How many there are.
    #[napi(getter)]
    pub fn length(&self) -> u32 {
        self.hits.len() as u32
    }

    /// How good it is; larger is better.
    #[napi]
    pub fn score(&self, i: u32) -> Result<f64, Thrown> {
        Ok(self.hit(i)?.score().into())
    }

    /// How likely it is about the question at all, 0 to 1; null where nothing can be said.
    #[napi]
    pub fn relevance(&self, i: u32) -> Result<Option<f64>, Thrown> {
        let hit = self.hit(i)?;
        quick(|| Ok(hit.relevance()?.map(f64::from)))
    }

    /// The cosine of the query and the piece; null in a lexical search.
    #[napi]
    pub fn similarity(&self, i: u32) -> Result<Option<f64>, Thrown> {
        Ok(self.hit(i)?.similarity().map(f64::from))
    }

    /// The text of the piece.
    #[napi]
    pub fn text(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.text())
    }

    /// The id of its document.
    #[napi]
    pub fn doc_id(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.doc_id())
    }

    /// The id of the piece.
    #[napi]
    pub fn chunk_id(&self, i: u32) -> Result<String, Thrown> {
        Ok(self.hit(i)?.chunk_id())
    }

    /// The title of its document.
    #[napi]
    pub fn title(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.title())
    }

    /// The source of its document.
    #[napi]
    pub fn source(&self, i: u32) -> Result<&str, Thrown> {
        Ok(self.hit(i)?.source())
    }

    /// The metadata of its document, as JSON.
    #[napi]
    pub fn metadata(&self, i: u32) -> Result<String, Thrown> {
        Ok(convert::marked_text(self.hit(i)?.metadata_json()))
    }

    /// The headings above it, outermost first.
    #[napi]
    pub fn headings(&self, i: u32) -> Result<Vec<String>, Thrown> {
        Ok(self.hit(i)?.headings())
    }

    /// Where it starts in the document's text, in UTF-16 units.
    #[napi]
    pub fn start(&self, i: u32) -> Result<f64, Thrown> {
        self.hit(i)?;
        Ok(self.spans[i as usize].0 as f64)
    }

    /// Where it ends in the document's text, in UTF-16 units.
    #[napi]
    pub fn end(&self, i: u32) -> Result<f64, Thrown> {
        self.hit(i)?;
        Ok(self.spans[i as usize].1 as f64)
    }

    /// The vector of the piece.
    #[napi]
    pub fn vector(&self, i: u32) -> Result<Float32Array, Thrown> {
        Ok(Float32Array::new(self.hit(i)?.vector().to_vec()))
    }

    /// How the score came about: as JSON, and for people.
    #[napi(ts_return_type = "[json: string, text: string]")]
    pub fn explain(&self, i: u32) -> Result<Vec<String>, Thrown> {
        let hit = self.hit(i)?;
        quick(|| {
            let explanation = hit.explain()?;
            let value = serde_json::to_value(&explanation)
                .map_err(|e| engine(format!("an explanation could not be converted: {e}")))?;
            Ok(vec![convert::camel(value).to_string(), explanation.to_string()])
        })
    }
}
