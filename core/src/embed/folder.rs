//! What does a model folder say about its parts?
//!
//! A sentence-transformers folder (`modules.json` and what it lists) or a plain Hugging Face folder (`config.json`
//! beside the weights), which is read as sentence-transformers reads it: with mean pooling.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::architecture::EncoderConfig;
use super::dense::{Dense, Nonlinearity};
use super::json::{JsonFile, invalid_file, read_json};
use super::pooling::{Pooling, Step};
use super::weights::Weights;
use crate::{Code, Error, Result};

const MODULES: &str = "modules.json";

/// The parts of a model, read from its folder.
pub(crate) struct ModelFolder {
    /// Where the encoder's config, weights and tokenizer lie.
    pub(crate) encoder_folder: PathBuf,
    pub(crate) config: EncoderConfig,
    pub(crate) pooling: Pooling,
    /// Whether the tokens of the prompt count in pooling.
    pub(crate) pool_prompt: bool,
    /// The modules after pooling, in their order.
    pub(crate) steps: Vec<Step>,
    /// The weights of the modules after pooling, for the fingerprint.
    pub(crate) step_weights: Vec<Weights>,
    /// Tokens after which a text is cut, special tokens included.
    pub(crate) max_tokens: usize,
    /// Whether texts are lowercased before the tokenizer's own normalisation.
    pub(crate) lower_case: bool,
    pub(crate) query_prompt: String,
    pub(crate) document_prompt: String,
}

impl ModelFolder {
    /// Reads everything in `folder` but the encoder's weights and the tokenizer.
    /// Errors: `model_invalid` and `model_unsupported`, naming the file and the field.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let modules = modules(folder)?;
        let encoder_folder = match modules.first() {
            Some(module) => module.folder.clone(),
            None => folder.to_path_buf(),
        };
        let json = JsonFile::require(&encoder_folder.join("config.json"))?;
        let config = EncoderConfig::from_json(&json)?;
        let sentence = JsonFile::open(&encoder_folder.join("sentence_bert_config.json"))?;
        let lower_case = sentence.as_ref().map_or(Ok(false), |json| json.flag("do_lower_case", false))?;
        let max_tokens = max_tokens(&encoder_folder, sentence.as_ref(), &config)?;

        let mut pooling = (Pooling::Mean, true);
        let mut steps = Vec::new();
        let mut step_weights = Vec::new();
        let mut dim = config.hidden_size;
        if modules.is_empty() && folder.join("1_Pooling/config.json").is_file() {
            pooling = read_pooling(&folder.join("1_Pooling"), dim)?;
        }
        for (i, module) in modules.iter().enumerate().skip(1) {
            match module.kind.as_str() {
                "Pooling" if i == 1 => pooling = read_pooling(&module.folder, dim)?,
                "Normalize" if i > 1 => steps.push(Step::Normalize),
                "Dense" if i > 1 => {
                    let (layer, weights) = read_dense(&module.folder, dim)?;
                    dim = layer.outputs();
                    steps.push(Step::Dense(layer));
                    step_weights.push(weights);
                }
                "Dropout" => {}
                other => {
                    let what = format!(
                        "{}: 'type' of module {i} is {other}; quorate runs Transformer, Pooling and then any number of \
                         Dense, Dropout and Normalize",
                        folder.join(MODULES).display()
                    );
                    return Err(Error::new(Code::ModelUnsupported, what));
                }
            }
        }
        let (query_prompt, document_prompt) = prompts(folder)?;
        Ok(ModelFolder {
            encoder_folder,
            config,
            pooling: pooling.0,
            pool_prompt: pooling.1,
            steps,
            step_weights,
            max_tokens,
            lower_case,
            query_prompt,
            document_prompt,
        })
    }

    /// Components of a vector after the last module.
    pub(crate) fn dim(&self) -> usize {
        let dense = self.steps.iter().rev().find_map(|step| match step {
            Step::Dense(layer) => Some(layer.outputs()),
            Step::Normalize => None,
        });
        dense.unwrap_or(self.config.hidden_size)
    }
}

struct Module {
    folder: PathBuf,
    /// The last part of the Python class name.
    kind: String,
}

/// The list in `modules.json`, of which the first is a Transformer; empty without that file.
fn modules(folder: &Path) -> Result<Vec<Module>> {
    let path = folder.join(MODULES);
    let Some(list) = read_json(&path)? else { return Ok(Vec::new()) };
    let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
        return Err(invalid_file(&path, "does not hold a list of modules"));
    };
    let mut modules = Vec::with_capacity(list.len());
    for (i, module) in list.iter().enumerate() {
        let text = |field: &str| match module.get(field).and_then(Value::as_str) {
            Some(text) => Ok(text),
            None => Err(invalid_file(&path, format!("'{field}' of module {i} is missing or not a string"))),
        };
        let inside = text("path")?;
        // A module cannot lead out of its model.
        if Path::new(inside).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(invalid_file(
                &path,
                format!("'path' of module {i} is '{inside}', which is not inside the folder"),
            ));
        }
        let kind = text("type")?.rsplit('.').next().unwrap_or_default().to_string();
        modules.push(Module {
            folder: if inside.is_empty() { folder.to_path_buf() } else { folder.join(inside) },
            kind,
        });
    }
    if modules[0].kind != "Transformer" {
        let what = format!(
            "{}: 'type' of module 0 is {}; quorate runs Transformer",
            path.display(),
            modules[0].kind
        );
        return Err(Error::new(Code::ModelUnsupported, what));
    }
    Ok(modules)
}

/// The limit that the folder sets: `max_seq_length` of sentence-transformers, else `model_max_length` of the tokenizer,
/// and never more than the model has positions.
pub(crate) fn max_tokens(
    folder: &Path,
    sentence: Option<&JsonFile>,
    config: &EncoderConfig,
) -> Result<usize> {
    let limit = config.max_tokens();
    if let Some(length) = sentence.map_or(Ok(None), |json| json.count("max_seq_length"))? {
        return Ok(length.clamp(1, limit));
    }
    // Tokenizers without a limit of their own carry 1e30 here.
    let tokenizer = JsonFile::open(&folder.join("tokenizer_config.json"))?;
    let length = tokenizer.map_or(Ok(None), |json| json.number("model_max_length"))?;
    Ok(length.map_or(limit, |length| (length as usize).clamp(1, limit)))
}

fn read_pooling(folder: &Path, dim: usize) -> Result<(Pooling, bool)> {
    let json = JsonFile::require(&folder.join("config.json"))?;
    let dim_field = ["word_embedding_dimension", "embedding_dimension"]
        .into_iter()
        .find(|name| json.value(name).is_some());
    if let Some(field) = dim_field {
        let found = json.size(field)?;
        if found != dim {
            return Err(json.invalid(field, format!("is {found}, but the encoder gives {dim} components")));
        }
    }
    let mut modes: Vec<String> = Vec::new();
    match json.value("pooling_mode") {
        Some(Value::String(mode)) => modes.push(mode.clone()),
        Some(Value::Array(list)) => {
            modes.extend(list.iter().map(|mode| mode.as_str().unwrap_or_default().to_string()))
        }
        Some(other) => {
            return Err(
                json.invalid("pooling_mode", format!("is {other}, not a string or a list of strings"))
            );
        }
        None => {
            for (field, mode) in [
                ("pooling_mode_cls_token", "cls"),
                ("pooling_mode_max_tokens", "max"),
                ("pooling_mode_mean_tokens", "mean"),
                ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
                ("pooling_mode_weightedmean_tokens", "weightedmean"),
                ("pooling_mode_lasttoken", "lasttoken"),
            ] {
                if json.flag(field, false)? {
                    modes.push(mode.to_string());
                }
            }
            if modes.is_empty() {
                modes.push("mean".to_string());
            }
        }
    }
    let pooling = match modes.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["mean"] => Pooling::Mean,
        ["cls"] => Pooling::Cls,
        ["max"] => Pooling::Max,
        ["lasttoken"] => Pooling::LastToken,
        _ => {
            let what = format!("is {}; quorate runs one of mean, cls, max and lasttoken", modes.join(" + "));
            return Err(json.unsupported("pooling_mode", what));
        }
    };
    Ok((pooling, json.flag("include_prompt", true)?))
}

fn read_dense(folder: &Path, dim: usize) -> Result<(Dense, Weights)> {
    let json = JsonFile::require(&folder.join("config.json"))?;
    let (inputs, outputs) = (json.size("in_features")?, json.size("out_features")?);
    if inputs != dim {
        return Err(
            json.invalid("in_features", format!("is {inputs}, but the module before gives {dim} components"))
        );
    }
    for field in ["module_input_name", "module_output_name"] {
        if let Some(name) = json.text(field)?
            && name != "sentence_embedding"
        {
            return Err(json.unsupported(field, format!("is '{name}'; only 'sentence_embedding' is run")));
        }
    }
    if json.flag("use_residual", false)? {
        return Err(json.unsupported("use_residual", "is true"));
    }
    let class = json.text("activation_function")?;
    let then = Nonlinearity::from_class(&json, "activation_function", class, Nonlinearity::Tanh)?;
    let weights = Weights::open(folder)?;
    Ok((Dense::load(&weights, "linear", inputs, outputs, then)?, weights))
}

/// The prompts for queries and for documents in `config_sentence_transformers.json`: the first of the usual names that
/// is not empty, else the default prompt, else nothing.
fn prompts(folder: &Path) -> Result<(String, String)> {
    let Some(json) = JsonFile::open(&folder.join("config_sentence_transformers.json"))? else {
        return Ok(Default::default());
    };
    let empty = serde_json::Map::new();
    let all = json.object("prompts")?.unwrap_or(&empty);
    if let Some((name, other)) = all.iter().find(|(_, prompt)| !prompt.is_string() && !prompt.is_null()) {
        return Err(json.invalid("prompts", format!("gives '{name}' the value {other}, not a string")));
    }
    let default = json.text("default_prompt_name")?;
    let choose = |names: &[&str]| {
        let mut candidates = names.iter().copied().chain(default);
        let prompt = candidates
            .find_map(|name| all.get(name).and_then(Value::as_str).filter(|prompt| !prompt.is_empty()));
        prompt.unwrap_or_default().to_string()
    };
    Ok((choose(&["query"]), choose(&["document", "passage", "corpus"])))
}
