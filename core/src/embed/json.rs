//! How is a JSON file of a model folder read, so that each error names the file and the field?

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Code, Error, Result};

/// The largest JSON file that is read, in bytes; the tokenizer file has its own reader.
const MAX_BYTES: u64 = 64 << 20;

/// One JSON object and the file that it came from.
#[derive(Clone, Debug)]
pub(crate) struct JsonFile {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl JsonFile {
    /// Reads the object in `path`; `None` when there is no such file.
    /// Errors: `model_invalid` when it is not a JSON object, and those of reading a file.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        match read_json(path)? {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(JsonFile { path: path.to_path_buf(), fields })),
            Some(_) => Err(invalid_file(path, "does not hold a JSON object")),
        }
    }

    /// The same for a file that must be there.
    pub(crate) fn require(path: &Path) -> Result<Self> {
        JsonFile::open(path)?.ok_or_else(|| invalid_file(path, "is missing"))
    }

    /// An object that stands in `field`; `None` when it is absent or null.
    pub(crate) fn object(&self, field: &str) -> Result<Option<&Map<String, Value>>> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(self.invalid(field, format!("is {other}, not an object"))),
        }
    }

    /// A field; `None` when it is absent or null.
    pub(crate) fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// A string.
    pub(crate) fn text(&self, field: &str) -> Result<Option<&str>> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.invalid(field, format!("is {other}, not a string"))),
        }
    }

    /// A number.
    pub(crate) fn number(&self, field: &str) -> Result<Option<f64>> {
        match self.value(field) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.invalid(field, format!("is {value}, not a number"))),
            },
        }
    }

    /// A whole number from 0 to 2^31 - 1.
    pub(crate) fn count(&self, field: &str) -> Result<Option<usize>> {
        match self.value(field) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if number <= i32::MAX as u64 => Ok(Some(number as usize)),
                _ => Err(self.invalid(field, format!("is {value}, not a whole number from 0 to 2^31 - 1"))),
            },
        }
    }

    /// A whole number from 1 on that must be there.
    pub(crate) fn size(&self, field: &str) -> Result<usize> {
        match self.count(field)? {
            Some(0) => Err(self.invalid(field, "is 0; at least 1 is needed")),
            Some(size) => Ok(size),
            None => Err(self.invalid(field, "is missing")),
        }
    }

    /// A truth value with its default.
    pub(crate) fn flag(&self, field: &str, default: bool) -> Result<bool> {
        match self.value(field) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.invalid(field, format!("is {other}, not true or false"))),
        }
    }

    /// Error `model_invalid` about `field`.
    pub(crate) fn invalid(&self, field: &str, what: impl std::fmt::Display) -> Error {
        Error::new(Code::ModelInvalid, format!("{}: '{field}' {what}", self.path.display()))
    }

    /// Error `model_unsupported` about `field`.
    pub(crate) fn unsupported(&self, field: &str, what: impl std::fmt::Display) -> Error {
        Error::new(Code::ModelUnsupported, format!("{}: '{field}' {what}", self.path.display()))
    }
}

/// The JSON value in `path`; `None` when there is no such file.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>> {
    let length = match std::fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path, e)),
    };
    if length > MAX_BYTES {
        return Err(invalid_file(path, format!("has {length} bytes; at most {MAX_BYTES} are read")));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(e) => {
            Err(Error::with_source(Code::ModelInvalid, format!("{}: not valid JSON: {e}", path.display()), e))
        }
    }
}

/// Error `model_invalid` about a whole file.
pub(crate) fn invalid_file(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(Code::ModelInvalid, format!("{}: {what}", path.display()))
}
