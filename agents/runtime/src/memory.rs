//! What is known about a user, from where and since when, until it is to be forgotten?

use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::driver::now;
use crate::names::fresh_id;
use crate::recall::recall;
use crate::runtime::Runtime;

/// Longest fact, in bytes.
const MAX_FACT_BYTES: usize = 64 << 10;
/// Longest name of a user, in bytes.
pub(crate) const MAX_USER_BYTES: usize = 200;

/// Something that is known about a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Names it, to be forgotten.
    pub id: String,
    /// What is known.
    pub text: String,
    /// From where.
    pub source: Option<String>,
    /// Since when, in seconds since 1970.
    pub time: f64,
}

/// Facts about users, of one tenant. They are kept in the runtime's store.
pub struct Memory<'a>(&'a Runtime);

impl Runtime {
    /// What is known about users.
    ///
    /// ```
    /// use quorate_models::{Model, ScriptedModel};
    /// use quorate_runtime::{Runtime, RuntimeOptions};
    /// let model = Model::new(ScriptedModel::of_texts(["ok"]), Default::default())?;
    /// let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
    /// runtime.memory().remember("ann", "allergic to penicillin", Some("intake form"))?;
    /// assert_eq!(runtime.memory().recall("ann", "which antibiotics? any allergic reaction?", 5)?.len(), 1);
    /// runtime.memory().forget("ann", None)?;
    /// assert!(runtime.memory().facts("ann")?.is_empty());
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn memory(&self) -> Memory<'_> {
        Memory(self)
    }
}

impl Memory<'_> {
    /// Keeps a fact about `user`. Errors: `empty_input`, `too_large`, those of the store.
    pub fn remember(&self, user: &str, text: &str, source: Option<&str>) -> Result<Fact> {
        let space = space(user)?;
        if text.trim().is_empty() {
            return Err(Error::new(Code::EmptyInput, "the fact is empty"));
        }
        if text.len() > MAX_FACT_BYTES {
            let message = format!("the fact has {} bytes, {MAX_FACT_BYTES} are possible", text.len());
            return Err(Error::new(Code::TooLarge, message));
        }
        let fact =
            Fact { id: fresh_id(), text: text.to_owned(), source: source.map(str::to_owned), time: now() };
        let value = serde_json::to_value(&fact)
            .map_err(|e| Error::new(Code::Internal, format!("a fact cannot be written: {e}")))?;
        let inner = &self.0.0;
        inner.store.put(inner.tenant.as_deref(), &space, &fact.id, &value)?;
        Ok(fact)
    }

    /// All that is known about `user`, the oldest first. Errors: those of the store.
    pub fn facts(&self, user: &str) -> Result<Vec<Fact>> {
        let inner = &self.0.0;
        let kept = inner.store.list(inner.tenant.as_deref(), &space(user)?)?;
        kept.into_iter()
            .map(|(key, value)| {
                serde_json::from_value(value)
                    .map_err(|e| Error::new(Code::Corrupt, format!("the fact '{key}' cannot be read: {e}")))
            })
            .collect()
    }

    /// The `k` facts about `user` that a question is about, the best first. Errors: those of the store and the embedder.
    pub fn recall(&self, user: &str, question: &str, k: usize) -> Result<Vec<Fact>> {
        let facts = self.facts(user)?;
        let texts: Vec<String> = facts.iter().map(|fact| fact.text.clone()).collect();
        let embedder = self.0.embedder();
        let found = recall(question, &texts, k, embedder.as_deref(), &Cancel::current())?;
        Ok(found.into_iter().map(|i| facts[i].clone()).collect())
    }

    /// Forgets one fact about `user`, or all; they are gone from the disk too. Returns how many there were.
    /// Errors: `unknown_id` for a fact that is not there, those of the store.
    pub fn forget(&self, user: &str, id: Option<&str>) -> Result<usize> {
        let (inner, space) = (&self.0.0, space(user)?);
        let tenant = inner.tenant.as_deref();
        if let Some(id) = id {
            if !inner.store.remove(tenant, &space, id)? {
                return Err(Error::new(
                    Code::UnknownId,
                    format!("'{}' is no fact about this user", quorate_core::shorten(id)),
                ));
            }
            return Ok(1);
        }
        let kept = inner.store.list(tenant, &space)?;
        for (key, _) in &kept {
            inner.store.remove(tenant, &space, key)?;
        }
        Ok(kept.len())
    }
}

fn space(user: &str) -> Result<String> {
    if user.trim().is_empty() || user.len() > MAX_USER_BYTES {
        return Err(Error::invalid(format!(
            "the user is '{}', expected a name of 1 to {MAX_USER_BYTES} bytes",
            quorate_core::shorten(user)
        )));
    }
    Ok(format!("memory:{user}"))
}
