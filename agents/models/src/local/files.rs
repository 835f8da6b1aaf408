//! Where do the tensors of a model lie: in a GGUF file, or in a folder of safetensors?

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use quorate_core::{Code, Error, Result};
use safetensors::tensor::{Dtype, Metadata, SafeTensors};
use serde_json::Value;

use super::gguf::Gguf;
use super::shape::Shape;
use super::tensor::{Format, Tensor};

/// The longest text file of a folder that is read.
const MOST_TEXT: u64 = 256 << 20;

/// The files of one model.
pub(super) enum Files {
    Gguf(Gguf),
    Folder(Folder),
}

/// A folder with `config.json`, `tokenizer.json` and weights in safetensors.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) config: Value,
    files: Vec<(PathBuf, Mmap, Metadata, usize)>,
    place: HashMap<String, usize>,
}

impl Files {
    /// Opens a file or a folder. Errors: `model_not_found`, `model_invalid`, `model_unsupported`, those of reading.
    pub(super) fn open(path: &Path) -> Result<Files> {
        if path.is_dir() {
            if path.join("config.json").is_file() {
                return Folder::open(path).map(Files::Folder);
            }
            let list = std::fs::read_dir(path).map_err(|e| Error::io(path, e))?;
            let mut found: Vec<PathBuf> = list
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")))
                .collect();
            found.sort();
            return match found.as_slice() {
                [one] => Gguf::open(one).map(Files::Gguf),
                [] => Err(Error::new(
                    Code::ModelNotFound,
                    format!("{} has neither a config.json nor a GGUF file", path.display()),
                )),
                [one, ..] => Err(Error::invalid(format!(
                    "{} has {} GGUF files; name one, such as {}",
                    path.display(),
                    found.len(),
                    one.display()
                ))),
            };
        }
        if !path.exists() {
            let message = format!(
                "{} does not exist; expected a GGUF file, or a folder with config.json, tokenizer.json and safetensors",
                path.display()
            );
            return Err(Error::new(Code::ModelNotFound, message));
        }
        Gguf::open(path).map(Files::Gguf)
    }

    /// What the model looks like.
    pub(super) fn shape(&self) -> Result<Shape> {
        match self {
            Files::Gguf(file) => Shape::of_gguf(file),
            Files::Folder(folder) => {
                Shape::of_config(&folder.config).map_err(|e| e.context(folder.path.display()))
            }
        }
    }

    /// A tensor by its name in GGUF files, such as `blk.0.attn_q.weight`.
    pub(super) fn tensor(&self, shape: &Shape, name: &str) -> Result<Option<Tensor<'_>>> {
        match self {
            Files::Gguf(file) => file.tensor(name),
            Files::Folder(folder) => folder.tensor(&published(shape, name)),
        }
    }

    /// The same, which must be there. Errors: `model_invalid`.
    pub(super) fn need(&self, shape: &Shape, name: &str) -> Result<Tensor<'_>> {
        self.tensor(shape, name)?.ok_or_else(|| {
            let (path, name) = match self {
                Files::Gguf(file) => (file.path(), name.to_owned()),
                Files::Folder(folder) => (folder.path.as_path(), published(shape, name)),
            };
            Error::new(Code::ModelInvalid, format!("{}: lacks the tensor '{name}'", path.display()))
        })
    }
}

/// The name in published safetensors of what GGUF files call `name`.
fn published(shape: &Shape, name: &str) -> String {
    let gemma = shape.family == "gemma3";
    let Some((layer, what)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        return match name {
            "token_embd.weight" => "model.embed_tokens.weight",
            "output.weight" => "lm_head.weight",
            "output_norm.weight" => "model.norm.weight",
            other => other,
        }
        .to_owned();
    };
    let (what, end) = what.rsplit_once('.').unwrap_or((what, "weight"));
    let what = match what {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_qkv" => "self_attn.qkv_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "attn_output" => "self_attn.o_proj",
        "post_attention_norm" if gemma => "post_attention_layernorm",
        "ffn_norm" if gemma => "pre_feedforward_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "post_ffw_norm" => "post_feedforward_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" if shape.family == "phi3" => "mlp.gate_up_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        other => other,
    };
    format!("model.layers.{layer}.{what}.{end}")
}

impl Folder {
    fn open(path: &Path) -> Result<Folder> {
        let config = json(&path.join("config.json"))?;
        let (single, index) = (path.join("model.safetensors"), path.join("model.safetensors.index.json"));
        let names: Vec<PathBuf> = if single.is_file() {
            vec![single]
        } else if index.is_file() {
            let index = json(&index)?;
            let files = index["weight_map"].as_object().into_iter().flat_map(|map| map.values());
            let mut files: Vec<&str> = files.filter_map(Value::as_str).collect();
            files.sort_unstable();
            files.dedup();
            if files.iter().any(|name| name.contains(['/', '\\'])) {
                let message = format!("{}: a file of the index lies elsewhere", path.display());
                return Err(Error::new(Code::ModelInvalid, message));
            }
            files.into_iter().map(|name| path.join(name)).collect()
        } else {
            let message = format!("{} has no model.safetensors", path.display());
            return Err(Error::new(Code::ModelInvalid, message));
        };
        let mut folder = Folder { path: path.to_owned(), config, files: Vec::new(), place: HashMap::new() };
        for name in names {
            let file = regular(&name)?;
            // SAFETY: the map is read only, and only while the model is opened; who changes the file meanwhile gets
            // another model or an error, as with any file that is being read.
            let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(&name, e))?;
            let (size, metadata) = SafeTensors::read_metadata(&map).map_err(|e| {
                Error::with_source(Code::ModelInvalid, format!("{}: no safetensors: {e}", name.display()), e)
            })?;
            for tensor in metadata.tensors().keys() {
                folder.place.insert(tensor.clone(), folder.files.len());
            }
            folder.files.push((name, map, metadata, size + 8));
        }
        Ok(folder)
    }

    fn tensor(&self, name: &str) -> Result<Option<Tensor<'_>>> {
        let Some((path, map, metadata, start)) = self.place.get(name).and_then(|i| self.files.get(*i)) else {
            return Ok(None);
        };
        let Some(info) = metadata.info(name) else { return Ok(None) };
        let invalid = |what: &str| {
            Error::new(Code::ModelInvalid, format!("{}: the tensor '{name}' {what}", path.display()))
        };
        let format = match info.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::Bf16,
            other => {
                let message = format!(
                    "{}: the tensor '{name}' is of {other:?}; there are F32, F16 and BF16",
                    path.display()
                );
                return Err(Error::new(Code::ModelUnsupported, message));
            }
        };
        let (rows, columns) = match info.shape.as_slice() {
            [n] => (1, *n),
            [rows, columns] => (*rows, *columns),
            _ => return Err(invalid("is no matrix")),
        };
        let (from, to) = info.data_offsets;
        let bytes =
            map.get(start + from..start + to).ok_or_else(|| invalid("reaches beyond the end of the file"))?;
        Tensor::new(format, rows, columns, bytes).map(Some).map_err(|e| invalid(e.message()))
    }

    /// A JSON file of the folder, if it is there.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>> {
        let path = self.path.join(name);
        if path.is_file() { json(&path).map(Some) } else { Ok(None) }
    }
}

fn json(path: &Path) -> Result<Value> {
    let text = text(path)?;
    serde_json::from_str(&text)
        .map_err(|e| Error::with_source(Code::ModelInvalid, format!("{}: not JSON: {e}", path.display()), e))
}

/// Opens a file. What is none, such as a pipe, would let the opener wait for ever.
pub(super) fn regular(path: &Path) -> Result<File> {
    let found = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if !found.is_file() {
        return Err(Error::new(Code::ModelInvalid, format!("{} is no regular file", path.display())));
    }
    File::open(path).map_err(|e| Error::io(path, e))
}

/// A text file of bounded size.
pub(super) fn text(path: &Path) -> Result<String> {
    let mut file = regular(path)?;
    let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
    if size > MOST_TEXT {
        return Err(Error::new(
            Code::TooLarge,
            format!("{} has {size} bytes, more than {MOST_TEXT}", path.display()),
        ));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|e| Error::io(path, e))?;
    Ok(text)
}
