//! How are the methods of consensus called from Node? By name, with named arguments.

use std::sync::Arc;

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::Result;
use quorate::consensus::TableForm;
use quorate_bindings::{Given, Host, consensus as shared};

use crate::convert::{Out, answer, arg, from_labels};
use crate::door::{Lane, NativeCancel, Promised, flag, promise, quick};
use crate::errors::Thrown;

/// Who rated what how.
#[napi(js_name = "Ratings")]
pub struct NativeRatings(Arc<quorate::consensus::Ratings>);

/// The arguments, with ratings that were made before as `data`.
fn arguments(env: &Env, given: &Unknown<'_>, ratings: Option<&NativeRatings>) -> Result<Given, Thrown> {
    let given = arg(env, given, "the call", |given, _| Ok(given))?;
    Ok(match (given, ratings) {
        (Given::Object(mut members), Some(ratings)) => {
            members.push(("data".to_owned(), Given::Ratings(Arc::clone(&ratings.0))));
            Given::Object(members)
        }
        (given, _) => given,
    })
}

/// Runs a method on another thread, where it may take minutes; `cancel` stops it.
#[napi(ts_return_type = "Promise<unknown>")]
pub fn consensus(
    env: Env,
    name: String,
    arguments: Unknown<'_>,
    ratings: Option<&NativeRatings>,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let given = self::arguments(&env, &arguments, ratings)?;
    let flag = flag(cancel);
    promise(&env, Lane::Slow, move || flag.cover(|| shared::call(Host::Node, &name, given)).map(answer))
}

/// Runs a method that takes well under a millisecond, at once.
#[napi(ts_return_type = "unknown")]
pub fn consensus_now(env: Env, name: String, arguments: Unknown<'_>) -> Result<Now, Thrown> {
    let given = self::arguments(&env, &arguments, None)?;
    quick(|| shared::call(Host::Node, &name, given)).map(|found| Now(answer(found)))
}

/// Ratings from any of the forms that are taken.
#[napi]
pub fn ratings(env: Env, arguments: Unknown<'_>) -> Result<NativeRatings, Thrown> {
    let given = self::arguments(&env, &arguments, None)?;
    quick(|| shared::make(Host::Node, given)).map(NativeRatings)
}

/// What to tell the user of a table of ratings whose form was not given, where it may be the other way round.
#[napi]
pub fn ratings_doubt(rows: u32, columns: u32) -> Option<String> {
    TableForm::doubt(rows as usize, columns as usize)
}

#[napi]
impl NativeRatings {
    /// The ids of items, raters and categories, each as JSON.
    #[napi]
    pub fn ids(&self) -> Vec<String> {
        [self.0.items(), self.0.raters(), self.0.categories()].map(|ids| from_labels(ids).to_string()).into()
    }

    /// How many ratings there are.
    #[napi(getter)]
    pub fn length(&self) -> f64 {
        self.0.len() as f64
    }
}

/// Dawid and Skene's model, kept up to date vote by vote.
#[napi(js_name = "Online")]
pub struct NativeOnline(Arc<shared::Online>);

#[napi]
impl NativeOnline {
    /// An empty model of classes.
    #[napi(constructor)]
    pub fn new(env: Env, arguments: Unknown<'_>) -> Result<Self, Thrown> {
        let given = self::arguments(&env, &arguments, None)?;
        quick(|| shared::Online::new(Host::Node, given)).map(|model| NativeOnline(Arc::new(model)))
    }

    /// Takes a vote into account.
    #[napi]
    pub fn add(
        &self,
        env: Env,
        item: Unknown<'_>,
        rater: Unknown<'_>,
        value: Unknown<'_>,
    ) -> Result<(), Thrown> {
        let given = |given: &Unknown<'_>, what| arg(&env, given, what, |given, _| Ok(given));
        let (item, rater, value) = (given(&item, "item")?, given(&rater, "rater")?, given(&value, "value")?);
        quick(|| self.0.add(item, rater, value))
    }

    /// The probability of each class for an item; null for one without votes.
    #[napi(ts_return_type = "Float64Array | null")]
    pub fn probabilities(&self, env: Env, item: Unknown<'_>) -> Result<Now, Thrown> {
        let item = arg(&env, &item, "item", |given, _| Ok(given))?;
        quick(|| self.0.probabilities(item)).map(|found| Now(answer(found)))
    }

    /// The matrix true classes x given classes of a rater, row by row; null for one without votes.
    #[napi(ts_return_type = "Float64Array | null")]
    pub fn confusion(&self, env: Env, rater: Unknown<'_>) -> Result<Now, Thrown> {
        let rater = arg(&env, &rater, "rater", |given, _| Ok(given))?;
        quick(|| self.0.confusion(rater)).map(|found| Now(answer(found)))
    }

    /// How many votes there are.
    #[napi(getter)]
    pub fn length(&self) -> f64 {
        self.0.votes() as f64
    }

    /// Fits the model anew to all votes.
    #[napi(ts_return_type = "Promise<unknown>")]
    pub fn refit(&self, env: Env, cancel: Option<&NativeCancel>) -> Result<Promised, Thrown> {
        let (model, flag) = (Arc::clone(&self.0), flag(cancel));
        promise(&env, Lane::Slow, move || flag.cover(|| model.refit()).map(answer))
    }
}

/// A result that is handed over at once.
pub struct Now(Out);

impl napi::bindgen_prelude::TypeName for Now {
    fn type_name() -> &'static str {
        "unknown"
    }

    fn value_type() -> napi::ValueType {
        napi::ValueType::Unknown
    }
}

impl napi::bindgen_prelude::ToNapiValue for Now {
    unsafe fn to_napi_value(env: napi::sys::napi_env, now: Self) -> napi::Result<napi::sys::napi_value> {
        now.0.give(env)
    }
}
