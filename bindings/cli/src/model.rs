//! Which model answers, and within which budget?

use quorate::models::{Model, ModelOptions};
use quorate::runtime::{Budget, EXTRACTIVE};
use quorate::{Error, Result};

use crate::args::Answering;

/// The model that was named; none where sentences of the documents answer. Errors: those of [`Model::open`].
pub(crate) fn open(answering: &Answering) -> Result<Option<Model>> {
    if answering.model == EXTRACTIVE {
        return match &answering.base_url {
            Some(_) => Err(Error::invalid("--base-url is where a model is asked; name the model by --model")),
            None => Ok(None),
        };
    }
    let options = ModelOptions { base_url: answering.base_url.clone(), ..ModelOptions::default() };
    Model::open(&answering.model, options).map(Some)
}

/// What a run may spend. Errors: `invalid_argument`, `not_finite`.
pub(crate) fn budget(answering: &Answering) -> Result<Option<Budget>> {
    let Answering { max_cost, max_tokens, max_seconds, max_steps, .. } = answering;
    if max_cost.is_none() && max_tokens.is_none() && max_seconds.is_none() && max_steps.is_none() {
        return Ok(None);
    }
    let plain = Budget::default();
    let given = serde_json::json!({
        "max_cost": max_cost, "max_tokens": max_tokens, "max_seconds": max_seconds,
    });
    let mut given = given;
    if let Some(max_steps) = max_steps {
        given["max_steps"] = (*max_steps).into();
    } else if let Some(steps) = plain.max_steps {
        given["max_steps"] = serde_json::json!(steps);
    }
    quorate_bindings::runtime::budget(quorate_bindings::Host::Python, given).map(Some)
}
