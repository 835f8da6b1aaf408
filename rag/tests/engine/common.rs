//! What do the integration tests share?

use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Result};
use quorate_rag::{KnowledgeBase, OpenOptions};

/// Embeds a text as the hashed bag of its words: the same words give the same vector, shared words a similar one.
pub struct Words {
    pub id: String,
    pub dim: usize,
}

impl Words {
    pub fn new(dim: usize) -> Arc<dyn Embed> {
        Arc::new(Words { id: format!("words/{dim}"), dim })
    }
}

impl Embed for Words {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        512
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        let mut out = Matrix::zeros(texts.len(), self.dim);
        for (i, text) in texts.iter().enumerate() {
            cancel.check()?;
            out.row_mut(i).copy_from_slice(&self.embed_query(text)?);
        }
        Ok(out)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut vector = vec![0.0f32; self.dim];
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
            let mut hash = 0xcbf29ce484222325u64;
            for byte in word.to_lowercase().bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100000001b3);
            }
            for _ in 0..4 {
                hash ^= hash >> 29;
                hash = hash.wrapping_mul(0xbf58476d1ce4e5b9);
                vector[(hash >> 8) as usize % self.dim] += if hash & 1 == 0 { 1.0 } else { -1.0 };
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x /= length);
        }
        Ok(vector)
    }

    fn tokenize(&self, text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        let mut out = Vec::new();
        let mut start = None;
        for (i, c) in text.char_indices().chain([(text.len(), ' ')]) {
            match (c.is_alphanumeric(), start) {
                (true, None) => start = Some(i),
                (false, Some(from)) => {
                    out.push(from..i);
                    start = None;
                }
                _ => {}
            }
        }
        Ok(out)
    }

    fn special_tokens(&self) -> usize {
        0
    }
}

#[allow(dead_code)] // not every binary of tests opens folders
pub fn open(folder: &std::path::Path) -> KnowledgeBase {
    KnowledgeBase::open(folder.to_str().unwrap(), options()).unwrap()
}

pub fn options() -> OpenOptions {
    OpenOptions::with_embedder(Words::new(32))
}
