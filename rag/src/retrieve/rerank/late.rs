//! How well does each token of the query find its like in a chunk?

use quorate_core::embed::{Embed, TokenEmbeddings};
use quorate_core::vector::dot;
use quorate_core::{Cancel, Code, Error, Result};

use super::Hit;
use crate::chunk::with_header;
use quorate_core::parallel;

/// MaxSim of the query with each candidate. Errors: `cancelled`, and those of the embedder.
pub(super) fn scores(
    query: &TokenEmbeddings,
    candidates: &[Hit],
    embedder: &dyn Embed,
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    let score = |hit: &Hit| {
        cancel.check()?;
        let text = with_header(hit.title(), &hit.headings(), super::beginning(hit.text()), embedder)?;
        max_sim(query, &embedder.embed_tokens(&text)?)
    };
    parallel::try_map(candidates, score)
}

/// The mean over the query's tokens of the largest cosine with a token of the chunk (Khattab & Zaharia 2020 take the
/// sum; the mean ranks the same and lies in -1..1). Special tokens do not count. 0 where either has no token.
/// Errors: `invalid_shape` when the embedder gives vectors of different lengths.
fn max_sim(query: &TokenEmbeddings, chunk: &TokenEmbeddings) -> Result<f32> {
    if query.vectors.cols() != chunk.vectors.cols() && chunk.vectors.rows() > 0 && query.vectors.rows() > 0 {
        return Err(Error::new(
            Code::InvalidShape,
            format!(
                "the embedder gave token vectors of {} components for the query, of {} for a chunk",
                query.vectors.cols(),
                chunk.vectors.cols()
            ),
        ));
    }
    fn words(tokens: &TokenEmbeddings) -> Vec<&[f32]> {
        let rows = tokens.vectors.iter().zip(&tokens.offsets);
        rows.filter(|(_, at)| !at.is_empty()).map(|(row, _)| row).collect()
    }
    let (ours, theirs) = (words(query), words(chunk));
    if ours.is_empty() || theirs.is_empty() {
        return Ok(0.0);
    }
    let best = |row: &&[f32]| theirs.iter().map(|other| dot(row, other)).fold(f32::NEG_INFINITY, f32::max);
    Ok(ours.iter().map(best).sum::<f32>() / ours.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::vector::Matrix;

    fn sim(query: &TokenEmbeddings, chunk: &TokenEmbeddings) -> f32 {
        max_sim(query, chunk).unwrap()
    }

    #[test]
    fn each_token_counts_with_its_best_match() {
        let tokens = |rows: &[[f32; 2]], special: usize| {
            let data = rows.iter().flatten().copied().collect();
            let offsets = (0..rows.len()).map(|i| if i < special { 0..0 } else { i..i + 1 }).collect();
            TokenEmbeddings { vectors: Matrix::new(data, rows.len(), 2).unwrap(), offsets }
        };
        let query = tokens(&[[1.0, 0.0], [0.0, 1.0]], 0);
        let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(close(sim(&query, &tokens(&[[0.6, 0.8], [1.0, 0.0]], 0)), 0.9));
        assert!(close(sim(&query, &tokens(&[[0.0, -1.0], [-1.0, 0.0]], 0)), 0.0));
        // A special token is nobody's match, and asks for none.
        assert!(close(sim(&query, &tokens(&[[1.0, 0.0], [0.6, 0.8]], 1)), 0.7));
        assert!(close(sim(&tokens(&[[1.0, 0.0], [0.0, 1.0]], 1), &tokens(&[[0.6, 0.8]], 0)), 0.8));
        assert_eq!(sim(&query, &tokens(&[], 0)), 0.0);
        let longer = TokenEmbeddings { vectors: Matrix::zeros(1, 3), offsets: vec![0..1] };
        assert_eq!(max_sim(&query, &longer).unwrap_err().code(), Code::InvalidShape);
    }
}
