//! What is in a GGUF file?
//!
//! Versions 2 and 3, little-endian. Nothing of the file is believed: counts and places are checked against its length.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use quorate_core::{Code, Error, Result};

use super::files::regular;
use super::tensor::{Format, Tensor};

/// The most nested lists.
const DEPTH: usize = 4;

/// An opened file.
pub(super) struct Gguf {
    path: PathBuf,
    map: Mmap,
    meta: HashMap<String, Meta>,
    tensors: HashMap<String, Place>,
}

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meta {
    Whole(i64),
    Real(f64),
    Flag(bool),
    Text(String),
    List(List),
}

/// A list of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum List {
    Any(Vec<Meta>),
    /// Numbers and flags as they lie in the file, so that no list takes many times its room there.
    Plain {
        kind: u32,
        bytes: Vec<u8>,
    },
}

impl List {
    /// What is in it.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = Cow<'_, Meta>> + '_> {
        match self {
            List::Any(list) => Box::new(list.iter().map(Cow::Borrowed)),
            List::Plain { kind, bytes } => {
                // What was read once is read again.
                let read = |bytes| Reader { bytes, at: 0 }.value(*kind, DEPTH).ok();
                Box::new(bytes.chunks_exact(width(*kind).unwrap_or(1)).filter_map(read).map(Cow::Owned))
            }
        }
    }

    /// The texts in it; what is none is an empty one.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            List::Any(list) => list.iter().map(|item| item.as_text().unwrap_or_default()).collect(),
            List::Plain { kind, bytes } => vec![""; bytes.len() / width(*kind).unwrap_or(1)],
        }
    }
}

/// The bytes of a number or a flag.
fn width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

struct Place {
    /// The number of a format that is not read.
    format: Result<Format, u32>,
    rows: usize,
    columns: usize,
    /// Its bytes; none of a format that is not read.
    bytes: Range<usize>,
}

impl Gguf {
    /// Opens a file. Errors: `model_not_found`, `model_invalid`, and those of reading files.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = regular(path)?;
        // SAFETY: the map is read only, and only while the model is opened; who changes the file meanwhile gets another
        // model or an error, as with any file that is being read.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        let (meta, tensors) = read(&map)
            .map_err(|what| Error::new(Code::ModelInvalid, format!("{}: {what}", path.display())))?;
        Ok(Gguf { path: path.to_owned(), map, meta, tensors })
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A value of the metadata.
    pub(super) fn meta(&self, key: &str) -> Option<&Meta> {
        self.meta.get(key)
    }

    /// A tensor. Errors: `model_invalid`, `model_unsupported` for a format that is not read.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor<'_>>> {
        let Some(place) = self.tensors.get(name) else { return Ok(None) };
        let format = place.format.map_err(|number| {
            Error::new(
                Code::ModelUnsupported,
                format!(
                    "{}: the tensor '{name}' has the format number {number}; there are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K",
                    self.path.display()
                ),
            )
        })?;
        let invalid = |what: String| {
            Error::new(Code::ModelInvalid, format!("{}: the tensor '{name}' {what}", self.path.display()))
        };
        let bytes = self.map.get(place.bytes.clone()).unwrap_or_default();
        Tensor::new(format, place.rows, place.columns, bytes)
            .map(Some)
            .map_err(|e| invalid(e.message().to_owned()))
    }
}

impl Meta {
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Meta::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_count(&self) -> Option<usize> {
        match self {
            Meta::Whole(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    pub(super) fn as_real(&self) -> Option<f64> {
        match self {
            Meta::Whole(n) => Some(*n as f64),
            Meta::Real(x) => Some(*x),
            _ => None,
        }
    }

    pub(super) fn as_flag(&self) -> Option<bool> {
        match self {
            Meta::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&List> {
        match self {
            Meta::List(list) => Some(list),
            _ => None,
        }
    }
}

type Contents = (HashMap<String, Meta>, HashMap<String, Place>);

fn read(bytes: &[u8]) -> Result<Contents, String> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(4)? != b"GGUF" {
        return Err("is no GGUF file".into());
    }
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("is a GGUF file of version {version}; versions 2 and 3 are read"));
    }
    let (tensors, values) = (reader.u64()?, reader.u64()?);
    let mut meta = HashMap::new();
    for _ in 0..values {
        let key = reader.text()?;
        let kind = reader.u32()?;
        let value = reader.value(kind, 0)?;
        if meta.insert(key.clone(), value).is_some() {
            return Err(format!("has '{}' twice", quorate_core::shorten(&key)));
        }
    }
    let mut places = HashMap::new();
    for _ in 0..tensors {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > 4 {
            return Err(format!("the tensor '{}' has {dimensions} dimensions", quorate_core::shorten(&name)));
        }
        // Fastest first.
        let shape = (0..dimensions).map(|_| reader.count()).collect::<Result<Vec<usize>, _>>()?;
        let number = reader.u32()?;
        let from = reader.count()?;
        let format = Format::of_gguf(number).ok_or(number);
        let columns = shape.first().copied().unwrap_or(1);
        let rows = shape.iter().skip(1).try_fold(1usize, |all, &n| all.checked_mul(n));
        let (weights, size) = format.map_or((1, 0), Format::piece);
        let end = rows
            .and_then(|rows| rows.checked_mul(columns))
            .and_then(|all| (all / weights).checked_mul(size))
            .and_then(|length| from.checked_add(length));
        let (Some(rows), Some(end)) = (rows, end) else {
            return Err(format!(
                "the tensor '{}' reaches beyond the end of the file",
                quorate_core::shorten(&name)
            ));
        };
        let place = Place { format, rows, columns, bytes: from..end };
        if places.insert(name.clone(), place).is_some() {
            return Err(format!("has the tensor '{}' twice", quorate_core::shorten(&name)));
        }
    }
    let align = match meta.get("general.alignment") {
        None => 32,
        Some(value) => value
            .as_count()
            .filter(|n| n.is_power_of_two() && *n <= 1 << 20)
            .ok_or("general.alignment is no power of two")?,
    };
    let start = reader.at.next_multiple_of(align);
    let mut sorted: Vec<(&String, &mut Place)> = places.iter_mut().collect();
    sorted.sort_unstable_by_key(|(_, place)| (place.bytes.start, place.bytes.end));
    let mut free = start;
    for (name, place) in sorted {
        let range = &mut place.bytes;
        let moved = range.start.checked_add(start).zip(range.end.checked_add(start));
        let (from, end) = moved.filter(|(_, end)| *end <= bytes.len()).ok_or_else(|| {
            format!("the tensor '{}' reaches beyond the end of the file", quorate_core::shorten(name))
        })?;
        // Small files whose tensors lie upon each other would ask for any memory.
        if from < free {
            return Err(format!("the tensor '{}' lies upon another", quorate_core::shorten(name)));
        }
        free = end;
        *range = from..end;
    }
    Ok((meta, places))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("ends in the middle of its header; it is not whole")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self) -> Result<usize, String> {
        usize::try_from(self.u64()?).map_err(|_| "has a number that is too large".to_owned())
    }

    fn text(&mut self) -> Result<String, String> {
        let n = self.count()?;
        let bytes = self.take(n)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| "has a text that is not UTF-8".to_owned())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Meta, String> {
        Ok(match kind {
            0 => Meta::Whole(i64::from(self.array::<1>()?[0])),
            1 => Meta::Whole(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Meta::Whole(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Meta::Whole(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Meta::Whole(i64::from(self.u32()?)),
            5 => Meta::Whole(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Meta::Real(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Meta::Flag(self.array::<1>()?[0] != 0),
            8 => Meta::Text(self.text()?),
            9 if depth < DEPTH => {
                let (kind, n) = (self.u32()?, self.count()?);
                let Some(width) = width(kind) else {
                    let mut list = Vec::new();
                    for _ in 0..n {
                        list.push(self.value(kind, depth + 1)?);
                    }
                    return Ok(Meta::List(List::Any(list)));
                };
                let start = self.at;
                self.take(n.checked_mul(width).ok_or("has a number that is too large")?)?;
                let bytes = self.bytes[start..self.at].to_vec();
                // Numbers that are too large are told now.
                if kind == 10 {
                    let mut reader = Reader { bytes: &bytes, at: 0 };
                    for _ in 0..n {
                        reader.value(kind, DEPTH)?;
                    }
                }
                Meta::List(List::Plain { kind, bytes })
            }
            10 => Meta::Whole(i64::try_from(self.u64()?).map_err(|_| "has a number that is too large")?),
            11 => Meta::Whole(i64::from_le_bytes(self.array()?)),
            12 => Meta::Real(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("has a value of the unknown kind {other}")),
        })
    }
}
