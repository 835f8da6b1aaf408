//! What does a model look like, as its file describes it?
//!
//! One description covers the families that are run: Llama (SmolLM and Mistral too), Qwen 2 and 3, Gemma 3, Phi 3. They
//! differ in norms, biases, rotary embeddings and windows, which are told by the file or by the tensors that it has.

use quorate_core::{Code, Error, Result};
use serde_json::Value;

use super::gguf::{Gguf, Meta};

/// The families, by the names of GGUF files.
const FAMILIES: [&str; 5] = ["llama", "qwen2", "qwen3", "gemma3", "phi3"];

/// Sizes and constants of a decoder.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) family: &'static str,
    pub(super) layers: usize,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head: usize,
    pub(super) feed: usize,
    /// The most tokens of prompt and answer together.
    pub(super) context: usize,
    pub(super) eps: f32,
    /// What scores of attention are multiplied by.
    pub(super) scale: f32,
    /// What embeddings are multiplied by.
    pub(super) embed_scale: f32,
    /// GELU by tanh instead of SiLU.
    pub(super) tanh: bool,
    /// Rotary embeddings of layers without and with a window.
    pub(super) rope: Rope,
    pub(super) local_rope: Rope,
    /// Of each layer: how many positions back it looks, itself included.
    pub(super) windows: Vec<Option<usize>>,
    /// Gains of norms are stored less 1.
    pub(super) gains_less_one: bool,
}

/// A rotary embedding (Su et al., 2021).
#[derive(Clone, Debug, Default)]
pub(super) struct Rope {
    /// Radians by position, for each pair that is turned.
    pub(super) inverse: Vec<f32>,
    /// Pairs stand side by side; else half of the turned numbers apart.
    pub(super) side_by_side: bool,
    /// What sines and cosines are multiplied by.
    pub(super) scale: f32,
}

impl Rope {
    fn new(base: f64, turned: usize, side_by_side: bool) -> Rope {
        let inverse = (0..turned / 2).map(|i| base.powf(-2.0 * i as f64 / turned as f64) as f32).collect();
        Rope { inverse, side_by_side, scale: 1.0 }
    }

    /// Divides each frequency by its factor. Errors: `model_invalid`.
    pub(super) fn divide(&mut self, factors: &[f32]) -> Result<()> {
        if factors.len() != self.inverse.len() || factors.iter().any(|f| !f.is_finite() || *f <= 0.0) {
            let message = format!(
                "there are {} factors of rotary frequencies, expected {} numbers above 0",
                factors.len(),
                self.inverse.len()
            );
            return Err(Error::new(Code::ModelInvalid, message));
        }
        for (x, f) in self.inverse.iter_mut().zip(factors) {
            *x /= f;
        }
        Ok(())
    }

    fn slow(&mut self, factor: f64) {
        for x in &mut self.inverse {
            *x = (f64::from(*x) / factor) as f32;
        }
    }
}

impl Shape {
    /// Reads the metadata of a GGUF file. Errors: `model_invalid`, `model_unsupported`.
    pub(super) fn of_gguf(file: &Gguf) -> Result<Shape> {
        let name = file.meta("general.architecture").and_then(Meta::as_text).unwrap_or_default();
        let family = family(name)?;
        let key = |what: &str| format!("{name}.{what}");
        let missing = |what: &str| {
            Error::new(Code::ModelInvalid, format!("{}: lacks '{}'", file.path().display(), key(what)))
        };
        let count = |what: &str| file.meta(&key(what)).and_then(Meta::as_count);
        let real = |what: &str| file.meta(&key(what)).and_then(Meta::as_real);
        let need = |what: &str| count(what).ok_or_else(|| missing(what));
        if count("expert_count").is_some_and(|n| n > 0) {
            return Err(unsupported("mixtures of experts"));
        }
        let (layers, hidden, heads) =
            (need("block_count")?, need("embedding_length")?, need("attention.head_count")?);
        let head = count("attention.key_length").unwrap_or(hidden / heads.max(1));
        if count("attention.value_length").is_some_and(|n| n != head) {
            return Err(unsupported("values of another length than keys"));
        }
        let turned = count("rope.dimension_count").unwrap_or(head);
        limited(layers, hidden, heads, head, turned)?;
        let base = real("rope.freq_base").unwrap_or(if family == "gemma3" { 1e6 } else { 1e4 });
        let mut rope = Rope::new(base, turned, family == "llama");
        let mut context = need("context_length")?;
        match file.meta(&key("rope.scaling.type")).and_then(Meta::as_text) {
            None | Some("none") => {}
            Some("linear") => {
                let factor = real("rope.scaling.factor").ok_or_else(|| missing("rope.scaling.factor"))?;
                rope.slow(factor);
            }
            // Factors that stand in tensors are read with the weights.
            Some("longrope") => {}
            Some(other) => return Err(unsupported(&format!("rotary embeddings scaled by '{other}'"))),
        }
        if family == "phi3" {
            rope.scale = real("rope.scaling.attn_factor").unwrap_or(1.0) as f32;
            context = context.min(count("rope.scaling.original_context_length").unwrap_or(context));
        }
        let window = count("attention.sliding_window").filter(|n| *n > 0);
        let windows = match family {
            "gemma3" => (0..layers).map(|i| if i % 6 == 5 { None } else { window.or(Some(1024)) }).collect(),
            "phi3" | "llama" => vec![window; layers],
            _ => vec![None; layers],
        };
        let scored = if family == "gemma3" && layers == 62 { hidden / heads.max(1) } else { head };
        let shape = Shape {
            family,
            layers,
            hidden,
            heads,
            kv_heads: count("attention.head_count_kv").unwrap_or(heads),
            head,
            feed: need("feed_forward_length")?,
            context,
            eps: real("attention.layer_norm_rms_epsilon")
                .ok_or_else(|| missing("attention.layer_norm_rms_epsilon"))? as f32,
            scale: 1.0 / (scored as f32).sqrt(),
            embed_scale: if family == "gemma3" { (hidden as f32).sqrt() } else { 1.0 },
            tanh: family == "gemma3",
            local_rope: if family == "gemma3" { Rope::new(1e4, turned, false) } else { rope.clone() },
            rope,
            windows,
            gains_less_one: false,
        };
        shape.checked()
    }

    /// Reads a `config.json`. Errors: `model_invalid`, `model_unsupported`.
    pub(super) fn of_config(config: &Value) -> Result<Shape> {
        let kind = config["model_type"].as_str().unwrap_or_default();
        let family = family(match kind {
            "mistral" | "smollm" => "llama",
            "gemma3_text" => "gemma3",
            other => other,
        })?;
        let count = |what: &str| config[what].as_u64().and_then(|n| usize::try_from(n).ok());
        let need = |what: &str| {
            count(what).ok_or_else(|| {
                Error::new(Code::ModelInvalid, format!("config.json: '{what}' is no whole number"))
            })
        };
        let (layers, hidden, heads) =
            (need("num_hidden_layers")?, need("hidden_size")?, need("num_attention_heads")?);
        let head = count("head_dim").unwrap_or(hidden / heads.max(1));
        let mut context = need("max_position_embeddings")?;
        let part = config["partial_rotary_factor"]
            .as_f64()
            .or(config["rope_parameters"]["partial_rotary_factor"].as_f64())
            .unwrap_or(1.0);
        let turned = (head as f64 * part) as usize;
        limited(layers, hidden, heads, head, turned)?;
        // Newer files put all about rotary embeddings into one place, for each kind of layer where there are two.
        let parameters = &config["rope_parameters"];
        let (global, local) = match parameters.get("full_attention") {
            Some(global) => (global, &parameters["sliding_attention"]),
            None if parameters.is_object() => (parameters, parameters),
            None => (&config["rope_scaling"], &Value::Null),
        };
        let original = config["original_max_position_embeddings"].as_u64();
        let mut read = |scaling: &Value, base: f64| {
            rope(scaling, scaling["rope_theta"].as_f64().unwrap_or(base), turned, original, &mut context)
        };
        let global = read(global, config["rope_theta"].as_f64().unwrap_or(1e4))?;
        let local = if family == "gemma3" {
            read(local, config["rope_local_base_freq"].as_f64().unwrap_or(1e4))?
        } else {
            global.clone()
        };
        let window = count("sliding_window").filter(|n| *n > 0);
        let windows = match (family, config["layer_types"].as_array()) {
            (_, Some(types)) if types.len() == layers => types
                .iter()
                .map(|t| match t.as_str() {
                    Some("full_attention") => Ok(None),
                    Some("sliding_attention") => Ok(window),
                    other => Err(unsupported(&format!("layers of the type {other:?}"))),
                })
                .collect::<Result<_>>()?,
            ("gemma3", _) => {
                let every = count("sliding_window_pattern").unwrap_or(6).max(1);
                (0..layers).map(|i| if (i + 1) % every == 0 { None } else { window }).collect()
            }
            ("llama" | "phi3", _) => vec![window; layers],
            _ if config["use_sliding_window"] == true => return Err(unsupported("windows of some layers")),
            _ => vec![None; layers],
        };
        let activation =
            config["hidden_act"].as_str().or(config["hidden_activation"].as_str()).unwrap_or("silu");
        let tanh = match activation {
            "silu" => false,
            "gelu_pytorch_tanh" => true,
            other => return Err(unsupported(&format!("the activation '{other}'"))),
        };
        let scored = config["query_pre_attn_scalar"].as_f64().filter(|_| family == "gemma3");
        let shape = Shape {
            family,
            layers,
            hidden,
            heads,
            kv_heads: count("num_key_value_heads").unwrap_or(heads),
            head,
            feed: need("intermediate_size")?,
            context,
            eps: config["rms_norm_eps"].as_f64().unwrap_or(1e-6) as f32,
            scale: 1.0 / scored.unwrap_or(head as f64).sqrt() as f32,
            embed_scale: if family == "gemma3" { (hidden as f32).sqrt() } else { 1.0 },
            tanh,
            rope: global,
            local_rope: local,
            windows,
            gains_less_one: family == "gemma3",
        };
        shape.checked()
    }

    fn checked(self) -> Result<Shape> {
        limited(self.layers, self.hidden, self.heads, self.head, 2 * self.rope.inverse.len())?;
        within(&[
            ("heads of keys", self.kv_heads, self.heads),
            ("inner numbers", self.feed, 1 << 19),
            ("positions", self.context, 1 << 30),
        ])?;
        if !self.heads.is_multiple_of(self.kv_heads) {
            let message =
                format!("{} heads on {} heads of keys do not fit together", self.heads, self.kv_heads);
            return Err(Error::new(Code::ModelInvalid, message));
        }
        if !(self.eps.is_finite() && self.scale.is_finite() && self.rope.scale.is_finite()) {
            return Err(Error::new(Code::ModelInvalid, "a constant of the model is not finite"));
        }
        Ok(self)
    }
}

/// Looks at sizes that memory is taken by. The limits are several times those of the largest models that are published.
/// Errors: `model_invalid`.
fn limited(layers: usize, hidden: usize, heads: usize, head: usize, turned: usize) -> Result<()> {
    within(&[
        ("layers", layers, 1_000),
        ("hidden numbers", hidden, 1 << 17),
        ("heads", heads, 1 << 12),
        ("numbers of a head", head, 1 << 12),
        ("numbers of all heads", heads.saturating_mul(head), 1 << 17),
        ("turned numbers of a head", turned, head),
    ])
}

fn within(sizes: &[(&str, usize, usize)]) -> Result<()> {
    for (what, n, most) in sizes {
        if *n == 0 || n > most {
            let message = format!("the model has {n} {what}, expected 1 to {most}");
            return Err(Error::new(Code::ModelInvalid, message));
        }
    }
    Ok(())
}

fn family(name: &str) -> Result<&'static str> {
    FAMILIES.into_iter().find(|family| *family == name).ok_or_else(|| {
        unsupported(&format!(
            "the architecture '{}'; there are {}",
            quorate_core::shorten(name),
            FAMILIES.join(", ")
        ))
    })
}

fn unsupported(what: &str) -> Error {
    Error::new(Code::ModelUnsupported, format!("local models do not run {what}"))
}

/// A rotary embedding as `config.json` describes it. One that is stretched by two sets of factors is run within the
/// length that the first is for.
fn rope(
    scaling: &Value,
    base: f64,
    turned: usize,
    original: Option<u64>,
    context: &mut usize,
) -> Result<Rope> {
    let mut rope = Rope::new(base, turned, false);
    let number = |what: &str| {
        scaling[what].as_f64().filter(|x| *x > 0.0).ok_or_else(|| {
            Error::new(
                Code::ModelInvalid,
                format!("config.json: '{what}' of the rotary embedding is no number above 0"),
            )
        })
    };
    match scaling["rope_type"].as_str().or(scaling["type"].as_str()).unwrap_or("default") {
        "default" => {}
        "linear" => rope.slow(number("factor")?),
        "llama3" => {
            // As Llama 3.1 (2024) stretches its context: slow turns are slowed, quick ones kept, those between mixed.
            let (factor, low, high) =
                (number("factor")?, number("low_freq_factor")?, number("high_freq_factor")?);
            let old = number("original_max_position_embeddings")?;
            for x in &mut rope.inverse {
                let turns = old * f64::from(*x) / std::f64::consts::TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                *x = (f64::from(*x) * (kept + (1.0 - kept) / factor)) as f32;
            }
        }
        "longrope" | "su" => {
            let factors = scaling["short_factor"].as_array().map(Vec::as_slice).unwrap_or_default();
            let factors: Vec<f32> = factors.iter().filter_map(|x| x.as_f64().map(|x| x as f32)).collect();
            rope.divide(&factors)?;
            let old = scaling["original_max_position_embeddings"].as_u64().or(original);
            let old = old.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| {
                Error::new(Code::ModelInvalid, "config.json: lacks original_max_position_embeddings")
            })?;
            let stretch = *context as f64 / old as f64;
            if stretch > 1.0 {
                rope.scale = (1.0 + stretch.ln() / (old as f64).ln()).sqrt() as f32;
            }
            *context = (*context).min(old);
        }
        other => return Err(unsupported(&format!("rotary embeddings of the type '{other}'"))),
    }
    Ok(rope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_taken_up_to_each_limit() {
        for [layers, hidden, heads, head, turned] in
            [[1_000, 1 << 17, 1 << 12, 32, 32], [1, 1, 32, 1 << 12, 1 << 12], [1, 1, 1, 1, 1]]
        {
            assert!(limited(layers, hidden, heads, head, turned).is_ok());
        }
        for [layers, hidden, heads, head, turned] in [
            [1_001, 64, 4, 16, 16],
            [2, (1 << 17) + 1, 4, 16, 16],
            [2, 64, (1 << 12) + 1, 16, 16],
            [2, 64, 4, (1 << 12) + 1, 16],
            [2, 64, 33, 1 << 12, 16],
            [2, 64, 4, 16, 17],
            [0, 64, 4, 16, 16],
            [2, 0, 4, 16, 16],
            [2, 64, 0, 16, 16],
            [2, 64, 4, 0, 0],
            [2, 64, 4, 16, 0],
        ] {
            assert!(
                limited(layers, hidden, heads, head, turned).is_err(),
                "{layers} {hidden} {heads} {head}"
            );
        }
    }
}
