//! How long is a duration that stands in a workflow?

use quorate_state::{bounded_seconds, seconds};
use serde::{Deserialize, Serialize};

/// A span of time as it is written in a workflow: ISO 8601 (`P10D`, `PT1H30M`, `P2W`), short (`30m`, `1h30m`, `250ms`), or a
/// number of seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Span {
    /// Seconds.
    Number(f64),
    /// Written out.
    Text(String),
}

impl Span {
    /// Its seconds, or what is wrong with it.
    ///
    /// ```
    /// use quorate_workflows::flow::Span;
    /// assert_eq!(Span::Text("1h30m".into()).seconds(), Ok(5_400.0));
    /// assert!(Span::Number(-1.0).seconds().is_err());
    /// ```
    pub fn seconds(&self) -> Result<f64, String> {
        match self {
            Span::Number(number) => bounded_seconds(*number),
            Span::Text(text) => seconds(text),
        }
    }

    /// Its seconds; 0 for one that was not checked.
    pub(crate) fn checked(&self) -> f64 {
        self.seconds().unwrap_or(0.0)
    }
}
