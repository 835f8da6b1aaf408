//! How does a chunk's vector take the rest of its document into account?

use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Result};

use crate::Chunk;

/// Late chunking (Günther et al. 2024): the document passes the model once, and the vectors of each chunk's tokens
/// are averaged. A document beyond the model's limit passes in windows of whole chunks. One row of unit length per
/// chunk. Errors: `unsupported` for an embedder without token vectors, `cancelled`.
pub fn embed_late(text: &str, chunks: &[Chunk], embedder: &dyn Embed, cancel: &Cancel) -> Result<Matrix> {
    let limit = embedder.max_tokens().saturating_sub(embedder.special_tokens());
    let mut out = Matrix::zeros(chunks.len(), embedder.dim());
    let mut first = 0;
    while first < chunks.len() {
        cancel.check()?;
        let start = chunks[first].range.start;
        let mut next = first + 1;
        while next < chunks.len() && embedder.tokenize(&text[start..chunks[next].range.end])?.len() <= limit {
            next += 1;
        }
        let end = chunks[first..next].iter().map(|chunk| chunk.range.end).max().unwrap_or(start);
        let tokens = embedder.embed_tokens(&text[start..end])?;
        for (i, chunk) in (first..next).zip(&chunks[first..next]) {
            let inside = |at: usize| chunk.range.contains(&(start + at));
            let row = out.row_mut(i);
            for (vector, offset) in tokens.vectors.iter().zip(&tokens.offsets) {
                if !offset.is_empty() && inside(offset.start) {
                    row.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
                }
            }
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|x| *x /= norm);
            }
        }
        first = next;
    }
    Ok(out)
}
