//! How is a key kept out of logs, errors and debug output?

use std::fmt;

use reqwest::header::HeaderValue;

use crate::{Error, Result};

/// A key that never shows.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(key: String) -> Self {
        Secret(key)
    }

    pub(crate) fn bearer(&self) -> Result<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .map_err(|_| Error::invalid("the API key has characters that no HTTP header may hold"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// `text` with the key replaced.
    pub(crate) fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}
