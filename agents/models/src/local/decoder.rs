//! What are the weights of a decoder, and are they all there?

use quorate_core::{Code, Error, Result};

use super::files::Files;
use super::kernel::Isa;
use super::matrix::Matrix;
use super::shape::{Rope, Shape};
use super::tensor::Tensor;

/// A decoder, packed for this processor.
pub(super) struct Decoder {
    pub(super) shape: Shape,
    pub(super) vocabulary: usize,
    pub(super) embed: Matrix,
    /// `None`: the embeddings are the output's weights too.
    head: Option<Matrix>,
    pub(super) norm: Vec<f32>,
    pub(super) layers: Vec<Layer>,
    pub(super) isa: Isa,
}

/// One layer.
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    /// Queries, keys, values.
    pub(super) qkv: [Matrix; 3],
    pub(super) qkv_bias: [Option<Vec<f32>>; 3],
    /// Norms of each head of the queries and of the keys.
    pub(super) qk_norm: [Option<Vec<f32>>; 2],
    pub(super) output: Matrix,
    pub(super) post_attention_norm: Option<Vec<f32>>,
    pub(super) feed_norm: Vec<f32>,
    pub(super) gate: Matrix,
    pub(super) up: Matrix,
    pub(super) down: Matrix,
    pub(super) post_feed_norm: Option<Vec<f32>>,
}

impl Decoder {
    /// Reads and packs all weights. Errors: `model_invalid`, `model_unsupported`.
    pub(super) fn open(files: &Files, mut shape: Shape, isa: Isa) -> Result<Decoder> {
        let embed = files.need(&shape, "token_embd.weight")?;
        let vocabulary = embed.rows;
        let mut reader = Reader { files, shape: &shape, isa };
        let embed = reader.packed(embed, vocabulary, shape.hidden, "token_embd.weight")?;
        let head = match files.tensor(&shape, "output.weight")? {
            Some(head) => Some(reader.packed(head, vocabulary, shape.hidden, "output.weight")?),
            None => None,
        };
        let norm = reader.gains("output_norm.weight", shape.hidden)?;
        let layers = (0..shape.layers).map(|i| reader.layer(i)).collect::<Result<_>>()?;
        let factors = |name: &str| Ok::<_, Error>(files.tensor(&shape, name)?.map(|t| t.floats()));
        let divide = match factors("rope_freqs.weight")? {
            Some(factors) => Some(factors),
            None => factors("rope_factors_short.weight")?,
        };
        if let Some(factors) = divide {
            shape.rope.divide(&factors)?;
            shape.local_rope = shape.rope.clone();
        }
        Ok(Decoder { shape, vocabulary, embed, head, norm, layers, isa })
    }

    /// The weights of the output.
    pub(super) fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embed)
    }

    /// Rotary embedding and window of a layer.
    pub(super) fn sight(&self, layer: usize) -> (&Rope, Option<usize>) {
        match self.shape.windows.get(layer).copied().flatten() {
            Some(window) => (&self.shape.local_rope, Some(window)),
            None => (&self.shape.rope, None),
        }
    }

    /// Bytes of the weights in memory.
    pub(super) fn bytes(&self) -> usize {
        let layer = |layer: &Layer| {
            let all = layer.qkv.iter().chain([&layer.output, &layer.gate, &layer.up, &layer.down]);
            all.map(Matrix::bytes).sum::<usize>()
        };
        self.layers.iter().map(layer).sum::<usize>()
            + self.embed.bytes()
            + self.head.as_ref().map_or(0, Matrix::bytes)
    }
}

struct Reader<'a> {
    files: &'a Files,
    shape: &'a Shape,
    isa: Isa,
}

impl Reader<'_> {
    fn layer(&mut self, i: usize) -> Result<Layer> {
        let Shape { hidden, heads, kv_heads, head, feed, .. } = *self.shape;
        let at = |name: &str| format!("blk.{i}.{name}");
        let (q, kv) = (heads * head, kv_heads * head);
        for name in ["ffn_up.bias", "ffn_down.bias", "attn_output.bias", "attn_qkv.bias", "attn_norm.bias"] {
            if self.files.tensor(self.shape, &at(name))?.is_some() {
                let message = format!("local models do not run layers with '{name}'");
                return Err(Error::new(Code::ModelUnsupported, message));
            }
        }
        let qkv = match self.files.tensor(self.shape, &at("attn_qkv.weight"))? {
            Some(all) => {
                self.fits(&all, q + 2 * kv, hidden, &at("attn_qkv.weight"))?;
                [
                    Matrix::pack(self.isa, &all.part(0..q))?,
                    Matrix::pack(self.isa, &all.part(q..q + kv))?,
                    Matrix::pack(self.isa, &all.part(q + kv..q + 2 * kv))?,
                ]
            }
            None => [
                self.matrix(&at("attn_q.weight"), q, hidden)?,
                self.matrix(&at("attn_k.weight"), kv, hidden)?,
                self.matrix(&at("attn_v.weight"), kv, hidden)?,
            ],
        };
        let (gate, up) = match self.files.tensor(self.shape, &at("ffn_gate.weight"))? {
            Some(gate) => (
                self.packed(gate, feed, hidden, &at("ffn_gate.weight"))?,
                self.matrix(&at("ffn_up.weight"), feed, hidden)?,
            ),
            None => {
                let both = self.files.need(self.shape, &at("ffn_up.weight"))?;
                self.fits(&both, 2 * feed, hidden, &at("ffn_up.weight"))?;
                (
                    Matrix::pack(self.isa, &both.part(0..feed))?,
                    Matrix::pack(self.isa, &both.part(feed..2 * feed))?,
                )
            }
        };
        Ok(Layer {
            attention_norm: self.gains(&at("attn_norm.weight"), hidden)?,
            qkv,
            qkv_bias: [
                self.vector(&at("attn_q.bias"), q)?,
                self.vector(&at("attn_k.bias"), kv)?,
                self.vector(&at("attn_v.bias"), kv)?,
            ],
            qk_norm: [
                self.optional_gains(&at("attn_q_norm.weight"), head)?,
                self.optional_gains(&at("attn_k_norm.weight"), head)?,
            ],
            output: self.matrix(&at("attn_output.weight"), hidden, q)?,
            post_attention_norm: self.optional_gains(&at("post_attention_norm.weight"), hidden)?,
            feed_norm: self.gains(&at("ffn_norm.weight"), hidden)?,
            gate,
            up,
            down: self.matrix(&at("ffn_down.weight"), hidden, feed)?,
            post_feed_norm: self.optional_gains(&at("post_ffw_norm.weight"), hidden)?,
        })
    }

    fn fits(&self, tensor: &Tensor<'_>, rows: usize, columns: usize, name: &str) -> Result<()> {
        if (tensor.rows, tensor.columns) != (rows, columns) {
            let message = format!(
                "the tensor '{name}' has {} x {} numbers, expected {rows} x {columns}",
                tensor.rows, tensor.columns
            );
            return Err(Error::new(Code::ModelInvalid, message));
        }
        Ok(())
    }

    fn packed(&self, tensor: Tensor<'_>, rows: usize, columns: usize, name: &str) -> Result<Matrix> {
        self.fits(&tensor, rows, columns, name)?;
        Matrix::pack(self.isa, &tensor).map_err(|e| e.context(name))
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix> {
        self.packed(self.files.need(self.shape, name)?, rows, columns, name)
    }

    fn vector(&self, name: &str, n: usize) -> Result<Option<Vec<f32>>> {
        let Some(tensor) = self.files.tensor(self.shape, name)? else { return Ok(None) };
        self.fits(&tensor, 1, n, name)?;
        Ok(Some(tensor.floats()))
    }

    fn optional_gains(&self, name: &str, n: usize) -> Result<Option<Vec<f32>>> {
        let mut gains = self.vector(name, n)?;
        if self.shape.gains_less_one {
            gains.iter_mut().flatten().for_each(|gain| *gain += 1.0);
        }
        Ok(gains)
    }

    fn gains(&self, name: &str, n: usize) -> Result<Vec<f32>> {
        self.files.need(self.shape, name)?;
        Ok(self.optional_gains(name, n)?.unwrap_or_default())
    }
}
