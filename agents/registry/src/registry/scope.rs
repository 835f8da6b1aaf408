//! Which questions are nobody's, and how is confidence fitted to a registry?

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use quorate_core::{Code, Error, Result};

use super::store::Batch;
use super::{AgentRegistry, Inner};
use crate::matching::entry::{Entry, Vectors};
use crate::matching::index::{Outside, Snapshot, Stated};
use crate::matching::search;
use crate::{Agent, Calibration, Labelled, Match, MatchOptions};

/// Rounds of leaving questions out: in each, every agent lacks one of its example questions.
const ROUNDS: usize = 3;

/// Parts into which the questions out of scope are cut; each part is judged by the others.
const FOLDS: usize = 5;

/// Agents that take part in leaving questions out, at most.
const MAX_AGENTS: usize = 2000;

/// Questions in scope that are kept however few are out of scope.
const LEAST_INSIDE: usize = 100;

/// Questions out of scope that a tenant, or the administrator, can state, and their bytes.
const MAX_STATED: usize = 10_000;
const MAX_STATED_BYTES: usize = 8 << 20;

/// Candidates that are ranked for a question whose answer is known.
const RANKED: usize = 50;

impl AgentRegistry {
    /// The questions that are stated to be nobody's: those for all tenants, then this handle's tenant's own.
    pub fn out_of_scope(&self) -> Vec<String> {
        let snapshot = self.inner.snapshot();
        let own = self.scope.as_ref().and_then(|own| snapshot.outside.scopes.get(own));
        let all = snapshot.outside.scopes.get("");
        all.into_iter().chain(own).flat_map(|stated| stated.texts.iter().cloned()).collect()
    }

    /// States which questions are nobody's, instead of those that this handle stated before: a tenant's for the
    /// tenant, the administrator's for all. A question that is like one of them finds nobody confidently.
    /// Errors: `invalid_argument` for an empty question, `too_large` for more than 10,000 or more than 8 MiB of them,
    /// `locked` in a forked child, and those of the embedder.
    pub fn set_out_of_scope(&self, questions: Vec<String>) -> Result<()> {
        if let Some(i) = questions.iter().position(|q| q.trim().is_empty()) {
            return Err(Error::invalid(format!("out of scope: question {i} is empty")));
        }
        let scope = self.scope.clone().unwrap_or_default();
        let mut meta = self.inner.lock()?;
        let snapshot = self.inner.snapshot();
        let mut outside = (*snapshot.outside).clone();
        outside.scopes.insert(scope.clone(), Stated::default());
        let mut next = meta.clone();
        next.revision += 1;
        next.embedder = self.inner.options.embedder.id().to_owned();
        let outside = Arc::new(self.with_stated(outside, &scope, questions)?);
        next.out_of_scope = texts_of(&outside);
        let batch = Batch { meta: &next, put: Vec::new(), remove: Vec::new(), outside: Some(&outside) };
        self.inner.store.commit(&batch)?;
        let changed = Snapshot { outside, ..(*snapshot).clone() };
        self.inner.publish(&mut meta, next, changed);
        Ok(())
    }

    /// The numbers that turn scores into confidence here.
    pub fn calibration(&self) -> Calibration {
        *self.inner.calibration.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fits confidence to this registry and keeps it, also over a restart: to questions with the id of the agent that
    /// answers them (none: nobody), and to the registry's own: each agent's example questions, asked while it lacks
    /// them, and those that are stated to be [out of scope](AgentRegistry::out_of_scope). The fit starts from the
    /// present numbers, so that a few questions change them a little and many a lot. Confidence is common to all
    /// tenants, so only the administrator's handle fits it.
    ///
    /// Errors: `empty_input` unless there are questions in scope and out of scope, or for an empty one, `unknown_id`,
    /// `tenant_violation`, `locked` in a forked child, `cancelled`, those of the embedder.
    pub fn calibrate(&self, questions: &[(&str, Option<&str>)]) -> Result<Calibration> {
        if self.scope.is_some() {
            return Err(super::violation(
                "confidence is common to all tenants; fit it with the registry's handle".into(),
            ));
        }
        let snapshot = self.inner.snapshot();
        let mut known = self.own_questions(&snapshot)?;
        for (question, answer) in questions {
            self.cancel.check()?;
            let vector = self.vector(question)?;
            let agent = match answer {
                Some(id) => Some(self.resolve(&snapshot, id)?.agent.clone()),
                None => None,
            };
            let tenant = agent.as_ref().and_then(|a| a.tenant.clone());
            known.extend(self.labelled(&snapshot, question, &vector, agent.as_deref(), tenant)?);
        }
        let fitted = Calibration::fit(&known, &self.calibration())?;
        let mut meta = self.inner.lock()?;
        let mut next = meta.clone();
        next.calibration = Some(fitted);
        self.inner.store.commit(&Batch {
            meta: &next,
            put: Vec::new(),
            remove: Vec::new(),
            outside: None,
        })?;
        *meta = next;
        self.inner.set_calibration(fitted);
        Ok(fitted)
    }

    /// Fits confidence for an embedder that nothing ships for, where the registry's own questions allow it.
    pub(super) fn fit_on_catalog(&self) -> Result<()> {
        match self.calibrate(&[]) {
            Err(error) if error.code() == Code::EmptyInput => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The registry's own questions with known answers: examples that their agents lack, and questions out of scope
    /// that are judged by others. Where there are many of the latter, no more of the former: before a question is
    /// read, it is as likely in scope as not.
    fn own_questions(&self, snapshot: &Snapshot) -> Result<Vec<Labelled>> {
        let settings = &self.inner.options;
        let all: Vec<&Arc<Entry>> = snapshot.entries().collect();
        let step = all.len().div_ceil(MAX_AGENTS).max(1);
        let mut known = Vec::new();
        for round in 0..ROUNDS {
            let mut asked = Vec::new();
            let mut reduced = Vec::with_capacity(all.len());
            for (i, entry) in all.iter().enumerate() {
                let count = entry.vectors.count();
                if i % step != 0 || count <= round {
                    reduced.push((*entry).clone());
                    continue;
                }
                let (agent, vectors, question, vector) = without(&entry.agent, &entry.vectors, round);
                let agent = Arc::new(agent);
                reduced.push(Arc::new(Entry::new(
                    agent.clone(),
                    Arc::new(vectors),
                    snapshot.taxonomies.of(agent.tenant.as_deref()),
                    &settings.tuning,
                )));
                asked.push((agent, question, vector));
            }
            let mut lacking = Snapshot::default().changed(&[], reduced, settings.embedder.dim())?;
            lacking.taxonomies = snapshot.taxonomies.clone();
            lacking.outside = snapshot.outside.clone();
            for (agent, question, vector) in asked {
                self.cancel.check()?;
                let tenant = agent.tenant.clone();
                known.extend(self.labelled(&lacking, &question, &vector, Some(&agent), tenant)?);
            }
        }
        for fold in 0..FOLDS {
            for (tenant, stated) in &snapshot.outside.scopes {
                let dim = settings.embedder.dim();
                let mut others = (*snapshot.outside).clone();
                let kept = |i: &usize| i % FOLDS != fold;
                let part = (0..stated.texts.len()).filter(kept);
                others.scopes.insert(
                    tenant.clone(),
                    Stated {
                        texts: part.clone().map(|i| stated.texts[i].clone()).collect(),
                        vectors: part
                            .flat_map(|i| &stated.vectors[i * dim..(i + 1) * dim])
                            .copied()
                            .collect(),
                    },
                );
                let judged = Snapshot { outside: Arc::new(others), ..snapshot.clone() };
                for i in (0..stated.texts.len()).filter(|i| i % FOLDS == fold) {
                    self.cancel.check()?;
                    let vector = &stated.vectors[i * dim..(i + 1) * dim];
                    let asker = (!tenant.is_empty()).then(|| tenant.clone());
                    known.extend(self.labelled(&judged, &stated.texts[i], vector, None, asker)?);
                }
            }
        }
        let outside = known.iter().filter(|q| q.right.is_none()).count();
        Ok(balanced(known, if outside > 0 { outside.max(LEAST_INSIDE) } else { 0 }))
    }

    /// How a question whose answer is known is ranked; none where nobody can be asked.
    fn labelled(
        &self,
        snapshot: &Snapshot,
        question: &str,
        vector: &[f32],
        right: Option<&Agent>,
        tenant: Option<String>,
    ) -> Result<Option<Labelled>> {
        let options = MatchOptions { k: RANKED, tenant, learn: false, ..MatchOptions::default() };
        let found: Vec<Match> = search(
            snapshot,
            question,
            vector,
            &options,
            &self.inner.options.tuning,
            &self.calibration(),
            None,
        )?;
        let Some(best) = found.first() else { return Ok(None) };
        let is = |agent: &Agent, m: &Match| m.agent.id == agent.id && m.agent.tenant == agent.tenant;
        Ok(Some(Labelled {
            evidence: best.explain().evidence,
            right: right.map(|agent| found.iter().position(|m| is(agent, m)).unwrap_or(usize::MAX)),
            scores: found.iter().map(|m| m.score).collect(),
        }))
    }

    /// What is stated after `more` joins the questions of a scope (a tenant; empty: all).
    /// Errors: `too_large`, those of the embedder.
    pub(super) fn with_stated(
        &self,
        mut outside: Outside,
        scope: &str,
        more: Vec<String>,
    ) -> Result<Outside> {
        let known = outside.scopes.get(scope);
        let mut seen: HashSet<&str> =
            known.into_iter().flat_map(|known| known.texts.iter().map(String::as_str)).collect();
        let fresh: Vec<String> = more.iter().filter(|text| seen.insert(text)).cloned().collect();
        let bytes: usize = seen.iter().map(|text| text.len()).sum();
        if seen.len() > MAX_STATED || bytes > MAX_STATED_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!(
                    "out of scope: {} questions of {bytes} bytes, {MAX_STATED} of {MAX_STATED_BYTES} are possible",
                    seen.len()
                ),
            ));
        }
        if fresh.is_empty() {
            return Ok(outside);
        }
        let matrix = self.embed_texts(&fresh)?;
        let stated = outside.scopes.entry(scope.to_owned()).or_default();
        stated.texts.extend(fresh);
        stated.vectors.extend_from_slice(matrix.as_slice());
        Ok(outside)
    }
}

impl Inner {
    fn set_calibration(&self, calibration: Calibration) {
        *self.calibration.write().unwrap_or_else(PoisonError::into_inner) = calibration;
    }
}

pub(super) fn texts_of(outside: &Outside) -> std::collections::BTreeMap<String, Vec<String>> {
    outside.scopes.iter().map(|(scope, stated)| (scope.clone(), stated.texts.clone())).collect()
}

/// At most `limit` of the questions in scope, evenly spread, unless the limit is 0.
fn balanced(known: Vec<Labelled>, limit: usize) -> Vec<Labelled> {
    let inside = known.iter().filter(|q| q.right.is_some()).count();
    if limit == 0 || inside <= limit {
        return known;
    }
    let mut seen = 0;
    let mut keep = |q: &Labelled| {
        if q.right.is_none() {
            return true;
        }
        seen += 1;
        seen * limit / inside != (seen - 1) * limit / inside
    };
    known.into_iter().filter(|q| keep(q)).collect()
}

/// An agent without one of its example questions, and that question, each with its vectors.
fn without(agent: &Agent, vectors: &Vectors, index: usize) -> (Agent, Vectors, String, Vec<f32>) {
    let mut agent = agent.clone();
    let mut question = String::new();
    let mut before = 0;
    for skill in &mut agent.skills {
        if (before..before + skill.examples.len()).contains(&index) {
            question = skill.examples.remove(index - before);
            break;
        }
        before += skill.examples.len();
    }
    let mut vectors = vectors.clone();
    let at = index * vectors.dim;
    let vector = vectors.examples.drain(at..at + vectors.dim).collect();
    (agent, vectors, question, vector)
}
