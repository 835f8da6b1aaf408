//! How does a chunk's vector take the rest of its document into account?

use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result};

use crate::Chunk;

/// Late chunking (Günther et al. 2024): the document passes the model once, and the vectors of each chunk's tokens
/// are averaged. A document beyond the model's limit passes in windows of whole chunks. The chunks may come in any order.
/// One row of unit length per chunk, and of zeros where no token begins in the chunk. Errors: `unsupported` for an embedder
/// without token vectors, `invalid_document` for a range that is none of the text, `cancelled`.
pub fn embed_late(text: &str, chunks: &[Chunk], embedder: &dyn Embed, cancel: &Cancel) -> Result<Matrix> {
    let limit = embedder.max_tokens().saturating_sub(embedder.special_tokens());
    let mut out = Matrix::zeros(chunks.len(), embedder.dim());
    let mut order: Vec<usize> = (0..chunks.len()).collect();
    order.sort_by_key(|&i| (chunks[i].range.start, chunks[i].range.end));
    let mut first = 0;
    while first < order.len() {
        cancel.check()?;
        let start = chunks[order[first]].range.start;
        let mut end = chunks[order[first]].range.end;
        let mut next = first + 1;
        while next < order.len() {
            let further = end.max(chunks[order[next]].range.end);
            if embedder.tokenize(part(text, start, further)?)?.len() > limit {
                break;
            }
            (end, next) = (further, next + 1);
        }
        let tokens = embedder.embed_tokens(part(text, start, end)?)?;
        for &i in &order[first..next] {
            let inside = |at: usize| chunks[i].range.contains(&(start + at));
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

fn part(text: &str, start: usize, end: usize) -> Result<&str> {
    text.get(start..end).ok_or_else(|| {
        Error::new(
            Code::InvalidDocument,
            format!("a chunk spans bytes {start}..{end}, which is not a range of characters of the text"),
        )
    })
}
