//! How is a key kept out of logs, errors and debug output?

use std::fmt;

use crate::{Error, Result};

/// A key that never shows.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `key` from showing.
    pub fn new(key: String) -> Self {
        Secret(key)
    }

    /// The key itself, to be sent and nothing else. Errors: `invalid_argument` when no HTTP header may hold it.
    pub fn expose(&self) -> Result<&str> {
        if self.0.bytes().all(|b| b == b'\t' || (b' '..0x7f).contains(&b)) {
            return Ok(&self.0);
        }
        Err(Error::invalid("the API key has characters that no HTTP header may hold"))
    }

    /// `text` with the key replaced. Keys of fewer than 6 characters hide nothing and would tear words apart.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.len() < 6 { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}
