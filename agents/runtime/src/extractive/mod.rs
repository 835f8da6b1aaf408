//! placeholder
use crate::evidence::*;
use quorate_core::embed::Embed;
use quorate_core::{Cancel, Result};
pub(crate) const NOT_IN_SOURCES: &str = "This is not in the sources.";
pub(crate) const ID: &str = "extractive";
#[derive(Default)]
pub struct ExtractOptions;
pub struct Extracted {
    pub text: String,
    pub confidence: f64,
}
pub fn extract(
    _q: &str,
    p: &[Passage],
    _e: Option<&dyn Embed>,
    _o: &ExtractOptions,
    _c: &Cancel,
) -> Result<Extracted> {
    Ok(Extracted { text: p.first().map(|p| format!("{} [1]", p.text)).unwrap_or_default(), confidence: 1.0 })
}
pub fn check(_t: &str, _p: &[Passage], _e: Option<&dyn Embed>, _c: &Cancel) -> Result<Vec<Check>> {
    Ok(vec![])
}
