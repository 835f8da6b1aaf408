//! Where do the tensors of a model lie, and are they whole?
//!
//! One `model.safetensors`, its shards (`model.safetensors.index.json`), or a `pytorch_model.bin`, of which candle's
//! reader takes tensors only: it knows a few pickle instructions and runs no code.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::DType;
use candle_core::pickle::PthTensors;
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata, SafeTensors};

use super::json::{JsonFile, invalid_file};
use crate::{Code, Error, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";

/// The tensors of one model, opened for reading.
pub(crate) struct Weights {
    files: Vec<WeightFile>,
    /// The file that holds each tensor.
    place: BTreeMap<String, usize>,
}

struct WeightFile {
    path: PathBuf,
    tensors: Tensors,
}

enum Tensors {
    /// A mapped file, its header, and where the header ends.
    Safetensors {
        map: Mmap,
        header: Metadata,
        start: usize,
    },
    Pickle(PthTensors),
}

impl Weights {
    /// Opens the weights in `folder` and checks their headers.
    /// Errors: `model_invalid` when there are none, or a file is truncated or damaged.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let single = folder.join(SINGLE);
        let index = folder.join(INDEX);
        let pickle = folder.join(PICKLE);
        let files = if single.is_file() {
            vec![WeightFile::safetensors(&single)?]
        } else if index.is_file() {
            shards(folder, &index)?.iter().map(|path| WeightFile::safetensors(path)).collect::<Result<_>>()?
        } else if pickle.is_file() {
            vec![WeightFile::pickle(&pickle)?]
        } else {
            return Err(invalid_file(
                folder,
                format!("has no weights: none of {SINGLE}, {INDEX} and {PICKLE} is there"),
            ));
        };
        let mut place = BTreeMap::new();
        for (i, file) in files.iter().enumerate() {
            for name in file.names() {
                place.insert(name, i);
            }
        }
        Ok(Weights { files, place })
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.place.contains_key(name)
    }

    /// The names of all tensors, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.place.keys().map(String::as_str)
    }

    /// The tensor `name` as f32, row-major. Errors: `model_invalid` when it is missing, has another shape than
    /// `shape`, or holds no floating-point numbers.
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (found, values) = self.file_of(name)?.read(name)?;
        if found != shape {
            return Err(self
                .file_of(name)?
                .invalid(name, format!("has shape {found:?}; config.json asks for {shape:?}")));
        }
        Ok(values)
    }

    /// The shape of the tensor `name`. Errors: `model_invalid` when it is missing.
    pub(crate) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let file = self.file_of(name)?;
        let shape = match &file.tensors {
            Tensors::Safetensors { header, .. } => header.info(name).map(|info| info.shape.clone()),
            Tensors::Pickle(tensors) => {
                tensors.tensor_infos().get(name).map(|info| info.layout.dims().to_vec())
            }
        };
        shape.ok_or_else(|| file.invalid(name, "is missing"))
    }

    /// Adds the bytes of every file to `hasher`.
    pub(crate) fn fingerprint(&self, hasher: &mut blake3::Hasher) -> Result<()> {
        for file in &self.files {
            match &file.tensors {
                Tensors::Safetensors { map, .. } => hasher.update(map),
                Tensors::Pickle(_) => {
                    let open = File::open(&file.path).map_err(|e| Error::io(&file.path, e))?;
                    hasher.update_reader(open).map_err(|e| Error::io(&file.path, e))?
                }
            };
        }
        Ok(())
    }

    fn file_of(&self, name: &str) -> Result<&WeightFile> {
        match self.place.get(name) {
            Some(&i) => Ok(&self.files[i]),
            None => Err(self.files[0].invalid(name, "is missing")),
        }
    }
}

impl WeightFile {
    fn safetensors(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        // SAFETY: the map is only read, through slices whose bounds the header check below has compared with the
        // length of the file, and it is dropped when the model has been loaded. As with every memory map, another
        // process that truncates the file meanwhile would raise a bus error.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        let (length, header) = SafeTensors::read_metadata(&map).map_err(|e| {
            Error::with_source(
                Code::ModelInvalid,
                format!("{}: truncated or damaged: {e}", path.display()),
                e,
            )
        })?;
        let start = length + std::mem::size_of::<u64>();
        if map.len() != start + header.data_len() {
            let (found, wanted) = (map.len(), start + header.data_len());
            return Err(invalid_file(
                path,
                format!("truncated or damaged: {found} bytes where its header promises {wanted}"),
            ));
        }
        Ok(WeightFile { path: path.to_path_buf(), tensors: Tensors::Safetensors { map, header, start } })
    }

    fn pickle(path: &Path) -> Result<Self> {
        let tensors = guarded(|| PthTensors::new(path, None)).map_err(|what| {
            invalid_file(path, format!("not a readable PyTorch checkpoint ({what}); convert it to {SINGLE}"))
        })?;
        Ok(WeightFile { path: path.to_path_buf(), tensors: Tensors::Pickle(tensors) })
    }

    fn names(&self) -> Vec<String> {
        match &self.tensors {
            Tensors::Safetensors { header, .. } => header.offset_keys(),
            Tensors::Pickle(tensors) => tensors.tensor_infos().keys().cloned().collect(),
        }
    }

    fn read(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        match &self.tensors {
            Tensors::Safetensors { map, header, start } => {
                let info = header.info(name).ok_or_else(|| self.invalid(name, "is missing"))?;
                let (from, to) = info.data_offsets;
                let bytes = map
                    .get(start + from..start + to)
                    .ok_or_else(|| self.invalid(name, "lies outside the file"))?;
                let values = match info.dtype {
                    Dtype::F32 => decode(bytes, f32::from_le_bytes),
                    Dtype::F16 => decode(bytes, |b| f16::from_le_bytes(b).to_f32()),
                    Dtype::BF16 => decode(bytes, |b| bf16::from_le_bytes(b).to_f32()),
                    Dtype::F64 => decode(bytes, |b| f64::from_le_bytes(b) as f32),
                    other => {
                        return Err(
                            self.invalid(name, format!("holds {other:?}, not floating-point numbers"))
                        );
                    }
                };
                Ok((info.shape.clone(), values))
            }
            Tensors::Pickle(tensors) => {
                let read = || -> candle_core::Result<Option<(Vec<usize>, Vec<f32>)>> {
                    let Some(tensor) = tensors.get(name)? else { return Ok(None) };
                    let values = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
                    Ok(Some((tensor.dims().to_vec(), values)))
                };
                match guarded(read) {
                    Ok(Some(tensor)) => Ok(tensor),
                    Ok(None) => Err(self.invalid(name, "is missing")),
                    Err(e) => Err(self.invalid(name, format!("cannot be read: {e}"))),
                }
            }
        }
    }

    fn invalid(&self, tensor: &str, what: impl std::fmt::Display) -> Error {
        Error::new(Code::ModelInvalid, format!("{}: tensor '{tensor}' {what}", self.path.display()))
    }
}

/// Runs candle's pickle reader, which panics on some damaged files.
fn guarded<T>(read: impl FnOnce() -> candle_core::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the file is damaged".to_string()),
    }
}

/// Little-endian numbers of `N` bytes each.
fn decode<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|chunk| number(*chunk)).collect()
}

/// The files that an index of shards names, each once, in the order of their names.
fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let json = JsonFile::require(index)?;
    let map = json.object("weight_map")?.ok_or_else(|| json.invalid("weight_map", "is missing"))?;
    let mut names: Vec<&str> = Vec::new();
    for (tensor, file) in map {
        match file.as_str() {
            // A plain file name: an index cannot lead out of its folder.
            Some(name) if Path::new(name).components().count() == 1 && !name.starts_with("..") => {
                names.push(name)
            }
            _ => {
                return Err(json.invalid(
                    "weight_map",
                    format!("gives tensor '{tensor}' the file {file}, not a file name"),
                ));
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(json.invalid("weight_map", "is empty"));
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    match paths.iter().find(|path| !path.is_file()) {
        Some(path) => Err(invalid_file(path, format!("is missing; {INDEX} names it"))),
        None => Ok(paths),
    }
}
