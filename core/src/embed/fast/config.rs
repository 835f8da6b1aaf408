//! What must be known of an encoder before its weights are read?

use crate::{Code, Error, Result};

/// Families of encoders; they differ in tensor names and in how positions enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// BERT (Devlin et al., 2019), RoBERTa and XLM-RoBERTa: positions and token types are added to the tokens.
    Bert,
    /// DistilBERT (Sanh et al., 2019): no token types.
    DistilBert,
    /// MPNet (Song et al., 2020): no token types, and a bias by relative position in every attention.
    Mpnet,
}

/// The function between the two products of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `gelu`: with the error function.
    Gelu,
    /// `gelu_new`, `gelu_pytorch_tanh`: with tanh.
    GeluTanh,
    /// `relu`.
    Relu,
}

/// How weights and activations of the products are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FastPrecision {
    /// As 32-bit floats.
    F32,
    /// Weights as signed bytes with a scale per output, activations as bytes with a range per token.
    Int8,
}

/// The sizes and flavours of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct FastConfig {
    pub(crate) architecture: Architecture,
    /// Components of a token.
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Components between the two products of a feed-forward block.
    pub(crate) intermediate: usize,
    pub(crate) vocab: usize,
    /// Rows of the position table.
    pub(crate) max_positions: usize,
    /// Rows of the token type table; 0 where there is none.
    pub(crate) type_vocab: usize,
    pub(crate) layer_norm_eps: f32,
    pub(crate) activation: Activation,
    /// The row of the position table for the first token: 0 for BERT, padding id + 1 for RoBERTa and MPNet.
    pub(crate) first_position: usize,
    /// Rows of MPNet's table of relative positions; 0 elsewhere.
    pub(crate) relative_buckets: usize,
}

impl FastConfig {
    /// Errors: `model_invalid` naming the field.
    pub(crate) fn validate(&self) -> Result<()> {
        let sizes = [
            ("hidden_size", self.hidden),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("intermediate_size", self.intermediate),
            ("vocab_size", self.vocab),
            ("max_position_embeddings", self.max_positions),
        ];
        for (field, size) in sizes {
            if size == 0 {
                return Err(invalid(format!("{field} is 0")));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(invalid(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden, self.heads
            )));
        }
        if self.first_position >= self.max_positions {
            return Err(invalid(format!(
                "max_position_embeddings {} leaves no position after the first, {}",
                self.max_positions, self.first_position
            )));
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps >= 0.0) {
            return Err(invalid(format!("layer_norm_eps is {}", self.layer_norm_eps)));
        }
        if self.architecture == Architecture::Mpnet
            && (self.relative_buckets < 4 || !self.relative_buckets.is_multiple_of(4))
        {
            return Err(invalid(format!(
                "relative_attention_num_buckets is {}; a positive multiple of 4 is needed",
                self.relative_buckets
            )));
        }
        Ok(())
    }

    /// The longest sequence, in tokens.
    pub(crate) fn max_tokens(&self) -> usize {
        self.max_positions - self.first_position
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::ModelInvalid, format!("config.json: {message}"))
}
