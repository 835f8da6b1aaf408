//! Who answers a question, and how does the registry learn from what came of it?

use std::collections::HashSet;
use std::sync::Arc;

use quorate_core::{Code, Error, Result};

use super::store::key;
use super::{AgentRegistry, CONTEXT, LAMBDA, violation};
use crate::consulted::Consulted;
use crate::cover::MAX_SUBSETS_OF;
use crate::matching::{Arm, Learnt, Ranking, rank, search};
use crate::objective::Candidate;
use crate::panel::{MAX_PANEL, Panel, PanelOptions, Pool, held, select, too_many};
use crate::subjects::Subjects;
use crate::{Agent, MAX_MATCHES, Match, MatchOptions};

impl AgentRegistry {
    /// The best agents for a question, best first; of equals the one with the lower id, then with the lower tenant,
    /// none first. With [`abstain`](MatchOptions::abstain) the answer is empty when nothing is confident.
    ///
    /// However many agents meet the constraints, these are the best of all of them, with the scores, the order and the evidence
    /// that comparing each by all that is known of it would give. Of more than 512, those are compared so that are best by
    /// description, centroid and words, and whoever else cannot be shown to be behind those that are returned (or behind
    /// the ten best, on which the evidence rests). Only the shares of the others, which confidences are divided by, are estimated:
    /// as if the rest of each one's score were that of the last of the 512. They do not depend on `k` either.
    ///
    /// Errors: `empty_input` for an empty question, `invalid_argument`, `unknown_capability`, `filter_type`,
    /// `tenant_violation`, `too_large`, those of the embedder.
    pub fn match_agents(&self, question: &str, options: &MatchOptions) -> Result<Vec<Match>> {
        options.validate()?;
        let vector = self.vector(question)?;
        self.match_vector(question, &vector, options)
    }

    /// The same for a question that has been embedded already, by the registry's embedder.
    /// Errors: `invalid_shape`, `not_finite`, otherwise as [`match_agents`](AgentRegistry::match_agents).
    pub fn match_vector(&self, question: &str, vector: &[f32], options: &MatchOptions) -> Result<Vec<Match>> {
        let options = self.scoped(options)?;
        let snapshot = self.inner.snapshot();
        self.with_learnt(vector, &options, |learnt| {
            let settings = &self.inner.options;
            search(&snapshot, question, vector, &options, &settings.tuning, &self.calibration(), learnt)
        })
    }

    /// The vector of a question. Errors: `empty_input`, `invalid_shape` and `not_finite` for what nothing can be learnt from, those of the embedder.
    pub(super) fn vector(&self, question: &str) -> Result<Vec<f32>> {
        check_question(question)?;
        self.cancel.check()?;
        let embedder = &self.inner.options.embedder;
        let vector = embedder.embed_query(question)?;
        if vector.len() != embedder.dim() {
            return Err(Error::new(
                Code::InvalidShape,
                format!(
                    "the embedder gave a vector of {} components, expected {}",
                    vector.len(),
                    embedder.dim()
                ),
            ));
        }
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(Error::new(Code::NotFinite, "the embedder gave a vector that is not finite"));
        }
        Ok(vector)
    }

    /// The options on behalf of this handle's tenant. Errors: `tenant_violation`.
    fn scoped(&self, options: &MatchOptions) -> Result<MatchOptions> {
        match (&self.scope, &options.tenant) {
            (Some(own), Some(tenant)) if own != tenant => {
                Err(violation(format!("this handle matches for tenant '{own}' only")))
            }
            (Some(own), _) => Ok(MatchOptions { tenant: Some(own.clone()), ..options.clone() }),
            (None, _) => Ok(options.clone()),
        }
    }

    /// Calls `ask` with what was learnt for the tenant of the options, if anything is to take part.
    fn with_learnt<T>(
        &self,
        vector: &[f32],
        options: &MatchOptions,
        ask: impl FnOnce(Option<&Learnt<'_>>) -> T,
    ) -> T {
        let settings = &self.inner.options;
        let arms = self.inner.arms();
        if !options.learn || arms.is_empty() || vector.len() != settings.embedder.dim() {
            return ask(None);
        }
        let tenant = options.tenant.clone().unwrap_or_default();
        let arm =
            |agent: &Agent| arms.get(&(tenant.clone(), key(agent.tenant.as_deref(), &agent.id))).cloned();
        let context = self.inner.projection.context(vector);
        ask(Some(&Learnt { context, policy: settings.policy, arm: &arm }))
    }

    /// Agents that complement each other on a question, chosen one by one: see [`Panel`].
    /// Errors: as [`match_agents`](AgentRegistry::match_agents), `not_found` when a required capability cannot be had.
    pub fn select_panel(&self, question: &str, options: &PanelOptions) -> Result<Panel> {
        options.validate()?;
        check_question(question)?;
        let embedder = &self.inner.options.embedder;
        let facets = crate::panel::facets(question);
        let texts: Vec<&str> = facets.iter().map(String::as_str).collect();
        let vectors = embedder.embed_queries(&texts, &self.cancel)?;
        let mut pool = self.scoped(&MatchOptions { k: options.pool, ..options.constraints.clone() })?;
        // Members need one of the required capabilities, not all.
        let mut required = std::mem::take(&mut pool.require);
        required.sort_unstable();
        required.dedup();
        if required.len() > MAX_PANEL.max(MAX_SUBSETS_OF) {
            return Err(too_many(required.len()));
        }
        if !required.is_empty() {
            // The combination that completes a panel may belong to an agent that fits the question badly.
            pool.k = MAX_MATCHES;
        }
        // The first facet is the question as a whole.
        let whole = vectors.row(0);
        let snapshot = self.inner.snapshot();
        let (tuning, calibration) = (&self.inner.options.tuning, self.calibration());
        let ranking = self.with_learnt(whole, &pool, |learnt| {
            rank(&snapshot, question, whole, &pool, &required, tuning, &calibration, learnt)
        })?;
        let found = ranking.iter().flat_map(|ranking| {
            (0..ranking.len()).map(move |i| (&*ranking.entry(i).agent, ranking.score(i)))
        });
        let mut consulted = Consulted::new(found, pool.tenant.as_deref());
        if let Some(ranking) = &ranking {
            let entries = (0..ranking.len()).map(|i| &**ranking.entry(i)).collect();
            let tenant = pool.tenant.as_deref();
            consulted = consulted.hearing(Subjects::new(entries, question, whole, tenant), tenant);
        }
        let considered = match &ranking {
            Some(ranking) => considered(ranking, consulted.order(), &required, options.pool),
            None => Vec::new(),
        };
        let candidates = ranking
            .iter()
            .flat_map(|ranking| considered.iter().map(move |&i| (ranking, i)))
            .map(|(ranking, i)| Candidate {
                agent: &ranking.entry(i).agent,
                vectors: &ranking.entry(i).vectors,
                relevance: consulted.fit[i] * consulted.fit[i],
            })
            .collect();
        let matched = |i: usize| ranking.as_ref().map(|ranking| ranking.matched(considered[i]));
        let pool = Pool { candidates, consulted: &consulted, places: &considered };
        select(&pool, &facets, &vectors, &required, options, matched)
    }

    /// Records how well an agent did on a question: `reward` from 0 (useless) to 1. Matches of this tenant learn from
    /// it, also after a restart. Errors: `unknown_id`, `invalid_argument`, `empty_input`, those of the embedder.
    pub fn record_outcome(&self, id: &str, question: &str, reward: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&reward) {
            return Err(Error::invalid(format!("reward is {reward}, expected 0 to 1")));
        }
        let vector = self.vector(question)?;
        let context = self.inner.projection.context(&vector);
        // The writer's lock makes updates of one arm follow each other.
        let meta = self.inner.lock()?;
        let snapshot = self.inner.snapshot();
        let agent = self.resolve(&snapshot, id)?.agent.clone();
        let slot = (self.scope.clone().unwrap_or_default(), key(agent.tenant.as_deref(), &agent.id));
        let known = self.inner.arms().get(&slot).cloned();
        let mut arm = known.map_or_else(|| Arm::new(CONTEXT, LAMBDA), |arm| (*arm).clone());
        arm.update(&context, reward);
        self.inner.store.commit_arm(&slot.0, &slot.1, &arm)?;
        self.inner.arms_mut().insert(slot, Arc::new(arm));
        self.inner.announce_outcome(&agent, meta.revision, self.scope.as_deref());
        Ok(())
    }
}

/// The places in a ranking of those who are considered for a panel, in the given order: the first `pool`, or the first
/// `pool` with each required capability and the first with each combination of them.
fn considered(ranking: &Ranking<'_>, order: Vec<usize>, required: &[String], pool: usize) -> Vec<usize> {
    if required.is_empty() {
        return order.into_iter().take(pool).collect();
    }
    let mut counts = vec![0usize; required.len()];
    let mut combinations = HashSet::new();
    let worth = |i: &usize| {
        let set = held(&ranking.entry(*i).agent, required);
        let mut among = combinations.insert(set);
        for (_, count) in counts.iter_mut().enumerate().filter(|(bit, _)| set >> bit & 1 == 1) {
            among |= *count < pool;
            *count += 1;
        }
        among
    };
    order.into_iter().filter(worth).collect()
}

/// An error for a question without a word of any kind.
pub(super) fn check_question(question: &str) -> Result<()> {
    match question.trim().is_empty() {
        true => Err(Error::new(Code::EmptyInput, "the question is empty")),
        false => Ok(()),
    }
}
