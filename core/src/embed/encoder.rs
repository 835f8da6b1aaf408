//! What does a transformer encoder take and give, whichever implementation runs it?

use std::sync::OnceLock;

use crate::{Code, Error, Result};

/// One tokenised input: token ids with the special tokens, truncated to what the model takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sequence {
    /// Token ids, each below the rows of the token embedding.
    pub(crate) ids: Vec<u32>,
    /// Segment ids, as many as `ids`: 0 for a single text, 1 for the second text of a pair.
    pub(crate) segments: Vec<u32>,
}

/// The layers of a transformer between token ids and the hidden states of the last layer.
pub(crate) trait Encoder: Send + Sync {
    /// Calls `each` once for each sequence, with its index and the hidden states of the last layer (tokens x hidden
    /// size, row-major), in any order and from any thread. The states of a sequence do not
    /// depend on its neighbours in `batch`. No sequence is empty.
    fn encode(&self, batch: &[Sequence], each: &(dyn Fn(usize, &[f32]) + Sync)) -> Result<()>;
}

/// What `result` makes of the hidden states of each sequence, in the order of `batch`.
pub(crate) fn encode_map<T: Send + Sync>(
    encoder: &dyn Encoder,
    batch: &[Sequence],
    result: impl Fn(&[f32]) -> T + Sync,
) -> Result<Vec<T>> {
    let slots: Vec<OnceLock<T>> = batch.iter().map(|_| OnceLock::new()).collect();
    encoder.encode(batch, &|i, states| {
        let _ = slots[i].set(result(states));
    })?;
    let missing = || Error::new(Code::Internal, "the encoder left a sequence out");
    slots.into_iter().map(|slot| slot.into_inner().ok_or_else(missing)).collect()
}
