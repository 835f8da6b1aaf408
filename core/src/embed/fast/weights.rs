//! In what form does the forward want the weights of an encoder?

use super::gemm::Linear;
use super::int8::{Bytes, LinearInt8};
use super::isa::Isa;
use crate::Result;
use crate::embed::architecture::{EncoderConfig, relative_bucket};
use crate::embed::options::Precision;
use crate::embed::weights::Weights;

/// All weights of an encoder.
pub(super) struct EncoderWeights {
    /// `vocab_size x hidden_size`.
    pub(super) words: Vec<f32>,
    /// `positions x hidden_size`.
    pub(super) positions: Vec<f32>,
    /// `segments x hidden_size`.
    pub(super) segments: Vec<f32>,
    pub(super) norm: Norm,
    pub(super) layers: Vec<Layer>,
    /// MPNet's bias: per head `2 * max_tokens - 1` floats, that of key j and query i at `max_tokens - 1 + j - i`.
    pub(super) relative: Vec<Vec<f32>>,
}

/// One encoder layer.
pub(super) struct Layer {
    /// Queries, keys and values side by side; queries scaled by `1 / sqrt(head size)`.
    pub(super) qkv: Product,
    pub(super) output: Product,
    pub(super) attention_norm: Norm,
    pub(super) up: Product,
    pub(super) down: Product,
    pub(super) norm: Norm,
}

/// A product with a weight matrix in either precision.
pub(super) enum Product {
    F32(Linear),
    Int8(LinearInt8),
}

impl Product {
    fn pack(
        isa: Isa,
        precision: Precision,
        weight: &[f32],
        bias: &[f32],
        inputs: usize,
        outputs: usize,
    ) -> Self {
        match precision {
            Precision::F32 => Product::F32(Linear::pack(isa, weight, bias, inputs, outputs)),
            Precision::Int8 => Product::Int8(LinearInt8::pack(isa, weight, bias, inputs, outputs)),
        }
    }

    /// `c = bias + a * weight`, both row-major without gaps.
    pub(super) fn apply(&self, a: &[f32], rows: usize, c: &mut [f32], scratch: &mut Bytes) {
        match self {
            Product::F32(w) => w.apply(a, w.inputs, rows, c, w.outputs),
            Product::Int8(w) => w.apply(a, w.inputs, rows, c, w.outputs, scratch),
        }
    }
}

/// Gain and shift of a layer normalisation.
pub(super) struct Norm {
    pub(super) gain: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl EncoderWeights {
    /// Reads and packs all weights. Errors: `model_invalid` for a missing tensor or one of the wrong shape.
    pub(super) fn load(
        config: &EncoderConfig,
        weights: &Weights,
        precision: Precision,
        isa: Isa,
    ) -> Result<EncoderWeights> {
        let h = config.hidden_size;
        let get = |name: &str, shape: &[usize]| config.tensor(weights, name, shape);
        let norm = |stem: &str| -> Result<Norm> {
            Ok(Norm {
                gain: get(&format!("{stem}.weight"), &[h])?,
                shift: get(&format!("{stem}.bias"), &[h])?,
            })
        };
        let dense = |stem: &str, outputs: usize, inputs: usize| -> Result<(Vec<f32>, Vec<f32>)> {
            Ok((
                get(&format!("{stem}.weight"), &[outputs, inputs])?,
                get(&format!("{stem}.bias"), &[outputs])?,
            ))
        };
        let product = |stem: &str, outputs: usize, inputs: usize| -> Result<Product> {
            let (weight, bias) = dense(stem, outputs, inputs)?;
            Ok(Product::pack(isa, precision, &weight, &bias, inputs, outputs))
        };
        let layer = |index: usize| -> Result<Layer> {
            let at = format!("encoder.layer.{index}");
            let (mut weight, mut bias) = dense(&format!("{at}.attention.self.query"), h, h)?;
            let scale = 1.0 / ((h / config.heads) as f32).sqrt();
            weight.iter_mut().chain(&mut bias).for_each(|x| *x *= scale);
            for part in ["key", "value"] {
                let (w, b) = dense(&format!("{at}.attention.self.{part}"), h, h)?;
                weight.extend(w);
                bias.extend(b);
            }
            Ok(Layer {
                qkv: Product::pack(isa, precision, &weight, &bias, h, 3 * h),
                output: product(&format!("{at}.attention.output.dense"), h, h)?,
                attention_norm: norm(&format!("{at}.attention.output.LayerNorm"))?,
                up: product(&format!("{at}.intermediate.dense"), config.intermediate_size, h)?,
                down: product(&format!("{at}.output.dense"), h, config.intermediate_size)?,
                norm: norm(&format!("{at}.output.LayerNorm"))?,
            })
        };
        Ok(EncoderWeights {
            words: get("embeddings.word_embeddings.weight", &[config.vocab_size, h])?,
            positions: get("embeddings.position_embeddings.weight", &[config.positions, h])?,
            segments: match config.segments {
                0 => Vec::new(),
                n => get("embeddings.token_type_embeddings.weight", &[n, h])?,
            },
            norm: norm("embeddings.LayerNorm")?,
            layers: (0..config.layers).map(layer).collect::<Result<_>>()?,
            relative: match config.relative_buckets {
                None => Vec::new(),
                Some(buckets) => {
                    let table = get("encoder.relative_attention_bias.weight", &[buckets, config.heads])?;
                    let reach = config.max_tokens() as i64;
                    let bias = |head: usize| {
                        let bucket = |distance| relative_bucket(distance, buckets) as usize;
                        (1 - reach..reach).map(|d| table[bucket(d) * config.heads + head]).collect()
                    };
                    (0..config.heads).map(bias).collect()
                }
            },
        })
    }
}
