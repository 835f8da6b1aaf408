//! How does candle run an encoder?
//!
//! The plain form of the computation, a batch padded to its longest sequence and a mask: what the tests hold the fast
//! forward equal to. The equations are those of Vaswani et al. 2017 (section 3.2) with
//! the post-norm blocks of Devlin et al. 2018, and for MPNet the relative position buckets of Raffel et al. 2020.

use candle_core::{D, Device, IndexOp, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{LayerNorm, Linear, Module};

use super::architecture::{Activation, EncoderConfig, relative_bucket};
use super::encoder::{Encoder, Sequence};
use super::weights::Weights;
use crate::{Code, Error, Result};

/// An encoder on candle's CPU tensors, in f32.
pub(crate) struct CandleEncoder {
    config: EncoderConfig,
    words: Tensor,
    positions: Tensor,
    segments: Option<Tensor>,
    norm: LayerNorm,
    layers: Vec<Layer>,
    /// Buckets x heads.
    relative: Option<Tensor>,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

impl CandleEncoder {
    /// Copies the tensors out of `weights`. Errors: `model_invalid` for a missing tensor or one of the wrong shape.
    pub(crate) fn load(config: &EncoderConfig, weights: &Weights) -> Result<Self> {
        let hidden = config.hidden_size;
        let tensor = |name: &str, shape: &[usize]| -> Result<Tensor> {
            Tensor::from_vec(config.tensor(weights, name, shape)?, shape, &Device::Cpu).map_err(failed)
        };
        let linear = |name: &str, outputs: usize, inputs: usize| -> Result<Linear> {
            let weight = tensor(&format!("{name}.weight"), &[outputs, inputs])?;
            Ok(Linear::new(weight, Some(tensor(&format!("{name}.bias"), &[outputs])?)))
        };
        let norm = |name: &str| -> Result<LayerNorm> {
            let gain = tensor(&format!("{name}.weight"), &[hidden])?;
            Ok(LayerNorm::new(gain, tensor(&format!("{name}.bias"), &[hidden])?, config.layer_norm_eps))
        };
        let layer = |i: usize| -> Result<Layer> {
            let at = format!("encoder.layer.{i}");
            Ok(Layer {
                query: linear(&format!("{at}.attention.self.query"), hidden, hidden)?,
                key: linear(&format!("{at}.attention.self.key"), hidden, hidden)?,
                value: linear(&format!("{at}.attention.self.value"), hidden, hidden)?,
                output: linear(&format!("{at}.attention.output.dense"), hidden, hidden)?,
                attention_norm: norm(&format!("{at}.attention.output.LayerNorm"))?,
                up: linear(&format!("{at}.intermediate.dense"), config.intermediate_size, hidden)?,
                down: linear(&format!("{at}.output.dense"), hidden, config.intermediate_size)?,
                norm: norm(&format!("{at}.output.LayerNorm"))?,
            })
        };
        Ok(CandleEncoder {
            words: tensor("embeddings.word_embeddings.weight", &[config.vocab_size, hidden])?,
            positions: tensor("embeddings.position_embeddings.weight", &[config.positions, hidden])?,
            segments: match config.segments {
                0 => None,
                n => Some(tensor("embeddings.token_type_embeddings.weight", &[n, hidden])?),
            },
            norm: norm("embeddings.LayerNorm")?,
            layers: (0..config.layers).map(layer).collect::<Result<_>>()?,
            relative: match config.relative_buckets {
                None => None,
                Some(n) => Some(tensor("encoder.relative_attention_bias.weight", &[n, config.heads])?),
            },
            config: config.clone(),
        })
    }

    /// The hidden states of each sequence.
    fn forward(&self, batch: &[Sequence]) -> candle_core::Result<Vec<Vec<f32>>> {
        let (rows, hidden) = (batch.len(), self.config.hidden_size);
        let width = batch.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
        let shape = (rows, width, hidden);
        let mut x = (lookup(&self.words, batch, width, |s| s.ids.clone())?.reshape(shape)?
            + lookup(&self.positions, batch, width, |s| self.config.position_ids(&s.ids))?
                .reshape(shape)?)?;
        if let Some(segments) = &self.segments {
            let segment = |s: &Sequence| match self.config.segments {
                1 => vec![0; s.ids.len()],
                _ => s.segments.clone(),
            };
            x = (x + lookup(segments, batch, width, segment)?.reshape(shape)?)?;
        }
        x = self.norm.forward(&x)?;

        let mut mask = vec![f32::MIN; rows * width];
        for (row, sequence) in mask.chunks_exact_mut(width).zip(batch) {
            row[..sequence.ids.len()].fill(0.0);
        }
        let mut bias = Tensor::from_vec(mask, (rows, 1, 1, width), &Device::Cpu)?;
        if let Some(table) = &self.relative {
            bias = bias.broadcast_add(&self.relative_bias(table, width)?)?;
        }
        for layer in &self.layers {
            x = layer.forward(&x, &bias, &self.config)?;
        }
        let cut =
            |(i, sequence): (usize, &Sequence)| x.i((i, ..sequence.ids.len(), ..))?.flatten_all()?.to_vec1();
        batch.iter().enumerate().map(cut).collect()
    }

    /// The bias of each head between two positions: 1 x heads x width x width.
    fn relative_bias(&self, table: &Tensor, width: usize) -> candle_core::Result<Tensor> {
        let buckets = self.config.relative_buckets.unwrap_or(0);
        let pairs =
            (0..width).flat_map(|i| (0..width).map(move |j| relative_bucket(j as i64 - i as i64, buckets)));
        let ids = Tensor::from_iter(pairs, &Device::Cpu)?;
        table
            .index_select(&ids, 0)?
            .reshape((width, width, self.config.heads))?
            .permute((2, 0, 1))?
            .unsqueeze(0)
    }
}

impl Encoder for CandleEncoder {
    fn encode(&self, batch: &[Sequence], each: &(dyn Fn(usize, &[f32]) + Sync)) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let states = self.forward(batch).map_err(failed)?;
        states.iter().enumerate().for_each(|(i, states)| each(i, states));
        Ok(())
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, bias: &Tensor, config: &EncoderConfig) -> candle_core::Result<Tensor> {
        let (rows, width, hidden) = x.dims3()?;
        let size = hidden / config.heads;
        let heads = |x: Tensor| x.reshape((rows, width, config.heads, size))?.transpose(1, 2)?.contiguous();
        let query = (heads(self.query.forward(x)?)? * (1.0 / (size as f64).sqrt()))?;
        let key = heads(self.key.forward(x)?)?;
        let value = heads(self.value.forward(x)?)?;
        let scores = query.matmul(&key.transpose(D::Minus2, D::Minus1)?)?.broadcast_add(bias)?;
        let context = softmax_last_dim(&scores)?.matmul(&value)?;
        let context = context.transpose(1, 2)?.contiguous()?.reshape((rows, width, hidden))?;
        let x = self.attention_norm.forward(&(self.output.forward(&context)? + x)?)?;
        let up = self.up.forward(&x)?;
        let up = match config.activation {
            Activation::Gelu => up.gelu_erf()?,
            Activation::GeluTanh => up.gelu()?,
            Activation::Relu => up.relu()?,
        };
        self.norm.forward(&(self.down.forward(&up)? + x)?)
    }
}

/// Rows of `table` for the ids of each sequence, padded with row 0 to `width`.
fn lookup(
    table: &Tensor,
    batch: &[Sequence],
    width: usize,
    ids: impl Fn(&Sequence) -> Vec<u32>,
) -> candle_core::Result<Tensor> {
    let mut all = Vec::with_capacity(batch.len() * width);
    for (i, sequence) in batch.iter().enumerate() {
        all.extend(ids(sequence));
        all.resize((i + 1) * width, 0);
    }
    let count = all.len();
    table.index_select(&Tensor::from_vec(all, count, &Device::Cpu)?, 0)
}

fn failed(e: candle_core::Error) -> Error {
    Error::with_source(Code::Internal, format!("the encoder failed: {e}"), e)
}
