//! Which encoder does a `config.json` describe, and where do its weights stand?
//!
//! BERT (Devlin et al. 2018), RoBERTa and XLM-RoBERTa (Liu et al. 2019, Conneau et al. 2020), DistilBERT (Sanh et
//! al. 2019) and MPNet (Song et al. 2020) are one post-norm encoder that differs in the numbering of positions, the
//! presence of segment embeddings and of a relative attention bias, and the names of the tensors. So there is one
//! [`EncoderConfig`], and tensors are asked for by their names in BERT.

use super::json::JsonFile;
use super::weights::Weights;
use crate::{Code, Error, Result};

/// Distances from which relative position buckets grow logarithmically end here (MPNet's constant).
const MAX_DISTANCE: f32 = 128.0;

/// The family of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    Bert,
    /// RoBERTa, XLM-RoBERTa and CamemBERT.
    Roberta,
    DistilBert,
    Mpnet,
}

/// The non-linearity between the two products of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x * Phi(x), by the error function (Hendrycks & Gimpel 2016).
    Gelu,
    /// The tanh approximation of the same paper.
    GeluTanh,
    Relu,
}

/// Sizes and variants of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EncoderConfig {
    pub(crate) architecture: Architecture,
    /// Rows of the token embedding.
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) intermediate_size: usize,
    /// Rows of the position embedding.
    pub(crate) positions: usize,
    /// Rows of the segment embedding; 0 where the architecture has none.
    pub(crate) segments: usize,
    pub(crate) layer_norm_eps: f64,
    pub(crate) activation: Activation,
    /// The padding token, which RoBERTa and MPNet do not count when they number positions from here + 1;
    /// `None` where positions are 0, 1, 2, ...
    pub(crate) pad_position: Option<u32>,
    /// Buckets of the relative attention bias of MPNet.
    pub(crate) relative_buckets: Option<usize>,
}

impl EncoderConfig {
    /// Reads `config.json`.
    /// Errors: `model_unsupported` for an architecture or a variant that is not run here, `model_invalid` for a
    /// missing or contradictory field.
    pub(crate) fn from_json(json: &JsonFile) -> Result<Self> {
        let architecture = match json.text("model_type")? {
            Some("bert") => Architecture::Bert,
            Some("roberta" | "xlm-roberta" | "camembert") => Architecture::Roberta,
            Some("distilbert") => Architecture::DistilBert,
            Some("mpnet") => Architecture::Mpnet,
            Some(other) => {
                return Err(json.unsupported(
                    "model_type",
                    format!("is '{other}'; quorate runs bert, roberta, xlm-roberta, camembert, distilbert and mpnet"),
                ));
            }
            None => return Err(json.invalid("model_type", "is missing")),
        };
        if let Some(class) = json.value("architectures").and_then(|list| list.get(0)?.as_str())
            && let Some(other) = Architecture::of_class(class)
            && other != architecture
        {
            let what = format!("names the class {class}, but 'model_type' is {}", architecture.as_str());
            return Err(json.invalid("architectures", what));
        }
        if let Some(kind) = json.text("position_embedding_type")?
            && kind != "absolute"
        {
            return Err(
                json.unsupported("position_embedding_type", format!("is '{kind}'; only 'absolute' is run"))
            );
        }
        for flag in ["is_decoder", "add_cross_attention"] {
            if json.flag(flag, false)? {
                return Err(json.unsupported(flag, "is true; only encoders are run"));
            }
        }
        let distil = architecture == Architecture::DistilBert;
        let field = |bert: &'static str, other: &'static str| if distil { other } else { bert };
        let config = EncoderConfig {
            architecture,
            vocab_size: json.size("vocab_size")?,
            hidden_size: json.size(field("hidden_size", "dim"))?,
            layers: json.size(field("num_hidden_layers", "n_layers"))?,
            heads: json.size(field("num_attention_heads", "n_heads"))?,
            intermediate_size: json.size(field("intermediate_size", "hidden_dim"))?,
            positions: json.size("max_position_embeddings")?,
            segments: match architecture {
                Architecture::Bert => json.count("type_vocab_size")?.unwrap_or(2),
                Architecture::Roberta => json.count("type_vocab_size")?.unwrap_or(1),
                Architecture::DistilBert | Architecture::Mpnet => 0,
            },
            layer_norm_eps: match json.number("layer_norm_eps")? {
                None => 1e-12,
                Some(eps) if eps > 0.0 && eps < 1.0 => eps,
                Some(eps) => {
                    return Err(
                        json.invalid("layer_norm_eps", format!("is {eps}, not a small positive number"))
                    );
                }
            },
            activation: {
                let name = field("hidden_act", "activation");
                match json.text(name)? {
                    None | Some("gelu" | "gelu_python") => Activation::Gelu,
                    Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Activation::GeluTanh,
                    Some("relu") => Activation::Relu,
                    Some(other) => {
                        return Err(
                            json.unsupported(name, format!("is '{other}'; gelu, gelu_new and relu are run"))
                        );
                    }
                }
            },
            pad_position: match architecture {
                Architecture::Roberta | Architecture::Mpnet => {
                    Some(json.count("pad_token_id")?.unwrap_or(1) as u32)
                }
                Architecture::Bert | Architecture::DistilBert => None,
            },
            relative_buckets: match architecture {
                Architecture::Mpnet => Some(json.count("relative_attention_num_buckets")?.unwrap_or(32)),
                _ => None,
            },
        };
        if !config.hidden_size.is_multiple_of(config.heads) {
            return Err(json.invalid(
                field("num_attention_heads", "n_heads"),
                format!("is {}, which does not divide the hidden size {}", config.heads, config.hidden_size),
            ));
        }
        if config.relative_buckets.is_some_and(|buckets| buckets < 4) {
            return Err(json.invalid("relative_attention_num_buckets", "is under 4"));
        }
        if config.max_tokens() == 0 {
            return Err(json.invalid("max_position_embeddings", "leaves no position for a token"));
        }
        Ok(config)
    }

    /// The longest sequence that has positions, in tokens.
    pub(crate) fn max_tokens(&self) -> usize {
        self.positions.saturating_sub(self.pad_position.map_or(0, |pad| pad as usize + 1))
    }

    /// The position of each token of a sequence without padding.
    /// RoBERTa and MPNet give a padding token that stands in the text itself the padding position.
    pub(crate) fn position_ids(&self, ids: &[u32]) -> Vec<u32> {
        let Some(pad) = self.pad_position else { return (0..ids.len() as u32).collect() };
        let mut next = pad;
        ids.iter()
            .map(|&id| {
                if id == pad {
                    return pad;
                }
                next += 1;
                next
            })
            .collect()
    }

    /// Whether `weights` hold more layers than the configuration says, of which the last would silently be left out.
    /// Errors: `model_invalid`.
    pub(crate) fn fits(&self, weights: &Weights) -> Result<()> {
        let more = format!("encoder.layer.{}.", self.layers);
        let more = self.locate(weights, &more);
        match weights.names().find(|name| name.starts_with(&more)) {
            None => Ok(()),
            Some(name) => Err(Error::new(
                Code::ModelInvalid,
                format!("config.json says {} layers, but the weights hold '{name}'", self.layers),
            )),
        }
    }

    /// The tensor that BERT calls `name` (such as `encoder.layer.0.attention.self.query.weight`), of the given shape.
    /// Errors: `model_invalid` when it is missing or has another shape.
    pub(crate) fn tensor(&self, weights: &Weights, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let name = self.locate(weights, name);
        weights.get(&name, shape)
    }

    /// The name under which `weights` hold what BERT calls `name`.
    pub(crate) fn locate(&self, weights: &Weights, name: &str) -> String {
        let mut own = name.to_string();
        for (bert, here) in self.architecture.renames() {
            own = own.replacen(bert, here, 1);
        }
        let own = format!("{}{own}", self.architecture.prefix(weights));
        // BERT checkpoints converted from TensorFlow call the gain and shift of LayerNorm gamma and beta.
        if !weights.contains(&own) && own.contains("LayerNorm") {
            let old = own
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
            if weights.contains(&old) {
                return old;
            }
        }
        own
    }
}

impl Architecture {
    /// The name in errors and fingerprints.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Architecture::Bert => "bert",
            Architecture::Roberta => "roberta",
            Architecture::DistilBert => "distilbert",
            Architecture::Mpnet => "mpnet",
        }
    }

    /// The architecture of a class of transformers, by the beginning of its name.
    fn of_class(class: &str) -> Option<Self> {
        let known = [
            ("DistilBert", Architecture::DistilBert),
            ("XLMRoberta", Architecture::Roberta),
            ("Camembert", Architecture::Roberta),
            ("Roberta", Architecture::Roberta),
            ("MPNet", Architecture::Mpnet),
            ("Bert", Architecture::Bert),
        ];
        known.iter().find(|(name, _)| class.starts_with(name)).map(|&(_, architecture)| architecture)
    }

    /// What stands before the names of the encoder's tensors in a checkpoint with a head.
    fn prefix(self, weights: &Weights) -> &'static str {
        let prefixes: &[&str] = match self {
            Architecture::Bert => &["", "bert.", "model."],
            Architecture::Roberta => &["", "roberta.", "xlm_roberta.", "model."],
            Architecture::DistilBert => &["", "distilbert.", "model."],
            Architecture::Mpnet => &["", "mpnet.", "model."],
        };
        let holds = |prefix: &&&str| weights.contains(&format!("{prefix}embeddings.word_embeddings.weight"));
        prefixes.iter().find(holds).copied().unwrap_or("")
    }

    /// BERT's parts of names against this architecture's, replaced one after the other.
    fn renames(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Architecture::Bert | Architecture::Roberta => &[],
            Architecture::DistilBert => &[
                ("encoder.layer.", "transformer.layer."),
                ("attention.self.query", "attention.q_lin"),
                ("attention.self.key", "attention.k_lin"),
                ("attention.self.value", "attention.v_lin"),
                ("attention.output.dense", "attention.out_lin"),
                ("attention.output.LayerNorm", "sa_layer_norm"),
                ("intermediate.dense", "ffn.lin1"),
                ("output.dense", "ffn.lin2"),
                ("output.LayerNorm", "output_layer_norm"),
            ],
            Architecture::Mpnet => &[
                ("attention.self.query", "attention.attn.q"),
                ("attention.self.key", "attention.attn.k"),
                ("attention.self.value", "attention.attn.v"),
                ("attention.output.dense", "attention.attn.o"),
                ("attention.output.LayerNorm", "attention.LayerNorm"),
            ],
        }
    }
}

/// The bucket of a relative position, key minus query: half of the buckets for each direction, the first half of
/// those exact, the others logarithmic up to [`MAX_DISTANCE`] (Raffel et al. 2020, section 2.1).
pub(crate) fn relative_bucket(distance: i64, buckets: usize) -> u32 {
    let half = buckets / 2;
    let exact = half / 2;
    let ahead = if distance > 0 { half } else { 0 };
    let far = distance.unsigned_abs() as usize;
    let bucket = if far < exact {
        far
    } else {
        let log = (far as f32 / exact as f32).ln() / (MAX_DISTANCE / exact as f32).ln();
        (exact + (log * (half - exact) as f32) as usize).min(half - 1)
    };
    (ahead + bucket) as u32
}
