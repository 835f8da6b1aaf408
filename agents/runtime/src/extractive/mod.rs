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
pub struct ExtractiveModel; impl ExtractiveModel { pub fn new(_s: std::sync::Arc<dyn Retrieve>)->Self{Self} }
impl quorate_models::Provider for ExtractiveModel { fn id(&self)->&str{ID} fn complete(&self,_r:&quorate_models::Request,_l:quorate_models::AttemptLimits,_c:&Cancel)->std::result::Result<quorate_models::Reply,quorate_models::Failure>{Err(quorate_core::Error::invalid("x").into())} fn stream(&self,_r:&quorate_models::Request,_l:quorate_models::AttemptLimits,_c:&Cancel)->std::result::Result<Box<dyn quorate_models::Source>,quorate_models::Failure>{Err(quorate_core::Error::invalid("x").into())}}
