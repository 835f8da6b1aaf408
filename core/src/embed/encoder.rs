//! What does a transformer encoder take and give, whichever implementation runs it?

use crate::Result;
use crate::vector::Matrix;

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
    /// Hidden states of the last layer: for each sequence, in the given order, one matrix of tokens x hidden size.
    /// The states of a sequence do not depend on its neighbours in `batch`. No sequence is empty.
    fn hidden_states(&self, batch: &[Sequence]) -> Result<Vec<Matrix>>;
}
