//! Where do the weights of an encoder lie in a checkpoint, and in what form does the forward want them?

use super::config::{Architecture, FastConfig, FastPrecision};
use super::gemm::Linear;
use super::int8::{Bytes, LinearInt8};
use super::isa::Isa;
use crate::{Code, Error, Result};

/// Gives shape and values (row-major) of a tensor by its name in a bare Hugging Face model.
pub(crate) type Tensors<'a> = dyn Fn(&str) -> Result<(Vec<usize>, Vec<f32>)> + 'a;

/// All weights of an encoder.
pub(super) struct Weights {
    /// `vocab x hidden`.
    pub(super) words: Vec<f32>,
    /// `max_positions x hidden`.
    pub(super) positions: Vec<f32>,
    /// `type_vocab x hidden`.
    pub(super) types: Vec<f32>,
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
        precision: FastPrecision,
        weight: &[f32],
        bias: &[f32],
        inputs: usize,
        outputs: usize,
    ) -> Self {
        match precision {
            FastPrecision::F32 => Product::F32(Linear::pack(isa, weight, bias, inputs, outputs)),
            FastPrecision::Int8 => Product::Int8(LinearInt8::pack(isa, weight, bias, inputs, outputs)),
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

/// Names of the tensors of a layer, without `.weight` and `.bias`.
struct Names {
    query: String,
    key: String,
    value: String,
    output: String,
    attention_norm: String,
    up: String,
    down: String,
    norm: String,
}

impl Names {
    fn of(architecture: Architecture, layer: usize) -> Names {
        let (stem, parts) = match architecture {
            Architecture::Bert => (
                "encoder.layer",
                [
                    "attention.self.query",
                    "attention.self.key",
                    "attention.self.value",
                    "attention.output.dense",
                    "attention.output.LayerNorm",
                    "intermediate.dense",
                    "output.dense",
                    "output.LayerNorm",
                ],
            ),
            Architecture::DistilBert => (
                "transformer.layer",
                [
                    "attention.q_lin",
                    "attention.k_lin",
                    "attention.v_lin",
                    "attention.out_lin",
                    "sa_layer_norm",
                    "ffn.lin1",
                    "ffn.lin2",
                    "output_layer_norm",
                ],
            ),
            Architecture::Mpnet => (
                "encoder.layer",
                [
                    "attention.attn.q",
                    "attention.attn.k",
                    "attention.attn.v",
                    "attention.attn.o",
                    "attention.LayerNorm",
                    "intermediate.dense",
                    "output.dense",
                    "output.LayerNorm",
                ],
            ),
        };
        let [query, key, value, output, attention_norm, up, down, norm] =
            parts.map(|part| format!("{stem}.{layer}.{part}"));
        Names { query, key, value, output, attention_norm, up, down, norm }
    }
}

impl Weights {
    /// Reads and packs all weights. Errors: `model_invalid` naming the tensor of a wrong shape, and what `tensors`
    /// raises.
    pub(super) fn load(
        config: &FastConfig,
        tensors: &Tensors<'_>,
        precision: FastPrecision,
        isa: Isa,
    ) -> Result<Weights> {
        let h = config.hidden;
        let get = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let (found, values) = tensors(name)?;
            if found != shape || values.len() != shape.iter().product::<usize>() {
                return Err(Error::new(
                    Code::ModelInvalid,
                    format!("tensor '{name}' has shape {found:?}; config.json asks for {shape:?}"),
                ));
            }
            Ok(values)
        };
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
            let names = Names::of(config.architecture, index);
            let (mut weight, mut bias) = dense(&names.query, h, h)?;
            let scale = 1.0 / ((h / config.heads) as f32).sqrt();
            weight.iter_mut().chain(&mut bias).for_each(|x| *x *= scale);
            for name in [&names.key, &names.value] {
                let (w, b) = dense(name, h, h)?;
                weight.extend(w);
                bias.extend(b);
            }
            Ok(Layer {
                qkv: Product::pack(isa, precision, &weight, &bias, h, 3 * h),
                output: product(&names.output, h, h)?,
                attention_norm: norm(&names.attention_norm)?,
                up: product(&names.up, config.intermediate, h)?,
                down: product(&names.down, h, config.intermediate)?,
                norm: norm(&names.norm)?,
            })
        };
        let has_types = config.architecture == Architecture::Bert && config.type_vocab > 0;
        Ok(Weights {
            words: get("embeddings.word_embeddings.weight", &[config.vocab, h])?,
            positions: get("embeddings.position_embeddings.weight", &[config.max_positions, h])?,
            types: match has_types {
                true => get("embeddings.token_type_embeddings.weight", &[config.type_vocab, h])?,
                false => Vec::new(),
            },
            norm: norm("embeddings.LayerNorm")?,
            layers: (0..config.layers).map(layer).collect::<Result<_>>()?,
            relative: match config.architecture {
                Architecture::Mpnet => relative_bias(
                    config,
                    &get("encoder.relative_attention_bias.weight", &[config.relative_buckets, config.heads])?,
                ),
                _ => Vec::new(),
            },
        })
    }
}

/// Spreads MPNet's table (`buckets x heads`) over all relative positions. The buckets are those of T5 (Raffel et al.,
/// 2020): half for each direction; near positions one each, far ones logarithmically up to 128.
fn relative_bias(config: &FastConfig, table: &[f32]) -> Vec<Vec<f32>> {
    const FAR: f32 = 128.0;
    let longest = config.max_tokens() as isize;
    let half = config.relative_buckets / 2;
    let near = half / 2;
    let bucket = |offset: isize| {
        let side = if offset > 0 { half } else { 0 };
        let distance = offset.unsigned_abs();
        if distance < near {
            return side + distance;
        }
        let far = (distance as f32 / near as f32).ln() / (FAR / near as f32).ln() * (half - near) as f32;
        side + (near + far as usize).min(half - 1)
    };
    (0..config.heads)
        .map(|head| (1 - longest..longest).map(|o| table[bucket(o) * config.heads + head]).collect())
        .collect()
}
