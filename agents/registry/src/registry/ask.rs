//! Who answers a question, and how does the registry learn from what came of it?

use std::sync::Arc;

use quorate_core::{Cancel, Error, Result};

use super::store::key;
use super::{AgentRegistry, CONTEXT, EventKind, LAMBDA, violation};
use crate::matching::index::{Snapshot, Vectors};
use crate::matching::{Arm, Learnt, search};
use crate::panel::{Panel, PanelOptions, select};
use crate::{Agent, Match, MatchOptions};

impl AgentRegistry {
    /// The best agents for a question, best first. With [`abstain`](MatchOptions::abstain) the answer is empty when
    /// nothing is confident.
    ///
    /// Errors: `invalid_argument`, `unknown_capability`, `filter_type`, `tenant_violation`, those of the embedder.
    pub fn match_agents(&self, question: &str, options: &MatchOptions) -> Result<Vec<Match>> {
        let vector = self.inner.options.embedder.embed_query(question)?;
        self.match_vector(question, &vector, options)
    }

    /// The same for a question that has been embedded already, by the registry's embedder.
    /// Errors: `invalid_shape`, `not_finite`, otherwise as [`match_agents`](AgentRegistry::match_agents).
    pub fn match_vector(&self, question: &str, vector: &[f32], options: &MatchOptions) -> Result<Vec<Match>> {
        self.match_on(&self.inner.snapshot(), question, vector, options)
    }

    fn match_on(
        &self,
        snapshot: &Snapshot,
        question: &str,
        vector: &[f32],
        options: &MatchOptions,
    ) -> Result<Vec<Match>> {
        let scoped;
        let options = match &self.scope {
            Some(own) => {
                if options.tenant.as_ref().is_some_and(|t| t != own) {
                    return Err(violation(format!("this handle matches for tenant '{own}' only")));
                }
                scoped = MatchOptions { tenant: Some(own.clone()), ..options.clone() };
                &scoped
            }
            None => options,
        };
        let settings = &self.inner.options;
        let calibration = self.calibration();
        let arms = self.inner.arms();
        if !options.learn || arms.is_empty() || vector.len() != settings.embedder.dim() {
            return search(snapshot, question, vector, options, &settings.tuning, &calibration, None);
        }
        let tenant = options.tenant.clone().unwrap_or_default();
        let arm =
            |agent: &Agent| arms.get(&(tenant.clone(), key(agent.tenant.as_deref(), &agent.id))).cloned();
        let learnt =
            Learnt { context: self.inner.projection.context(vector), policy: settings.policy, arm: &arm };
        search(snapshot, question, vector, options, &settings.tuning, &calibration, Some(&learnt))
    }

    /// Agents that complement each other on a question, chosen one by one: see [`Panel`].
    /// Errors: as [`match_agents`](AgentRegistry::match_agents).
    pub fn select_panel(&self, question: &str, options: &PanelOptions) -> Result<Panel> {
        options.validate()?;
        let embedder = &self.inner.options.embedder;
        let facets = crate::panel::facets(question);
        let texts: Vec<&str> = facets.iter().map(String::as_str).collect();
        let vectors = embedder.embed_queries(&texts, &Cancel::new())?;
        let pool = MatchOptions { k: options.pool, abstain: false, ..options.constraints.clone() };
        // The first facet is the question as a whole.
        let whole = vectors.row(0);
        let snapshot = self.inner.snapshot();
        let mut candidates = Vec::new();
        if pool.require.is_empty() {
            candidates = self.match_on(&snapshot, question, whole, &pool)?;
        }
        // Members need one of the required capabilities, not all: each has its own pool.
        for required in &pool.require {
            let one = MatchOptions { require: vec![required.clone()], ..pool.clone() };
            for found in self.match_on(&snapshot, question, whole, &one)? {
                if !candidates.iter().any(|c: &Match| Arc::ptr_eq(&c.agent, &found.agent)) {
                    candidates.push(found);
                }
            }
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.agent.id.cmp(&b.agent.id)));
        let of = |agent: &Agent| snapshot.find(agent.tenant.as_deref(), &agent.id);
        let known: Vec<Arc<Vectors>> =
            candidates.iter().filter_map(|c| of(&c.agent)).map(|entry| entry.vectors.clone()).collect();
        select(candidates, &known, &facets, &vectors, options)
    }

    /// Records how well an agent did on a question: `reward` from 0 (useless) to 1. Matches of this tenant learn from
    /// it, also after a restart. Errors: `unknown_id`, `invalid_argument`, those of the embedder.
    pub fn record_outcome(&self, id: &str, question: &str, reward: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&reward) {
            return Err(Error::invalid(format!("reward is {reward}, expected 0 to 1")));
        }
        let vector = self.inner.options.embedder.embed_query(question)?;
        let context = self.inner.projection.context(&vector);
        // The writer's lock makes updates of one arm follow each other.
        let meta = self.inner.lock();
        let snapshot = self.inner.snapshot();
        let agent = self.resolve(&snapshot, id)?.agent.clone();
        let slot = (self.scope.clone().unwrap_or_default(), key(agent.tenant.as_deref(), &agent.id));
        let known = self.inner.arms().get(&slot).cloned();
        let mut arm = known.map_or_else(|| Arm::new(CONTEXT, LAMBDA), |arm| (*arm).clone());
        arm.update(&context, reward);
        self.inner.store.commit_arm(&slot.0, &slot.1, &arm)?;
        self.inner.arms_mut().insert(slot, Arc::new(arm));
        self.inner.announce(&agent, meta.revision, EventKind::Outcome);
        Ok(())
    }
}
