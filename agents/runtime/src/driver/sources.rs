//! How are experts and passages found, and answers made of passages and checked against them?

use std::fmt::Write;
use std::time::Instant;

use quorate_agents::MatchOptions;
use quorate_core::filter::Filter;
use quorate_core::{Error, Result};
use quorate_models::Reply;
use serde_json::Value;

use super::Drive;
use crate::evidence::{Passage, Wanted};
use crate::extractive;
use crate::fact::{Answered, Candidate, Fact, Handover};
use crate::prompt;

/// Among how many matches the expert that was named is looked for.
const LOOKED_AT: usize = 20;
/// How many matches a journal keeps.
const KEPT: usize = 5;
/// Below this probability that it is anybody's question nobody is asked.
const IN_SCOPE: f64 = 0.5;
/// So many times as probable must the expert be that a question is handed over to.
const HANDOVER: f64 = 2.0;

impl Drive {
    #[inline(never)]
    pub(super) fn find_expert(&self) -> Result<Fact> {
        let Some(registry) = &self.inner.registry else { return Err(Error::invalid("there is no registry")) };
        let spec = &self.machine.spec;
        let options =
            MatchOptions { k: LOOKED_AT, tenant: self.inner.tenant.clone(), ..MatchOptions::default() };
        let matches = registry.cancelled_by(&self.cancel).match_agents(&spec.question, &options)?;
        let candidates: Vec<Candidate> = matches
            .iter()
            .map(|found| Candidate {
                id: found.agent.id.clone(),
                name: found.agent.name.clone(),
                score: found.score,
                confidence: found.confidence,
            })
            .collect();
        let in_scope = matches.first().map_or(0.0, |best| best.explain().in_scope);
        let named = spec.agent.as_deref();
        let kept = |candidates: Vec<Candidate>| -> Vec<Candidate> {
            let of_named = |candidate: &Candidate| named.is_some_and(|agent| agent.id == candidate.id);
            let all = candidates.into_iter().enumerate();
            all.filter(|(i, candidate)| *i < KEPT || of_named(candidate))
                .map(|(_, candidate)| candidate)
                .collect()
        };
        let Some(agent) = named else {
            let nobody = in_scope < IN_SCOPE;
            let agent = matches.first().filter(|_| !nobody).map(|best| Box::new((*best.agent).clone()));
            agent.as_deref().map(prompt::instructions).transpose()?;
            return Ok(Fact::Matched { candidates: kept(candidates), nobody, agent, handed: None });
        };
        let own = candidates.iter().find(|candidate| candidate.id == agent.id);
        let own = own.map_or(0.0, |candidate| candidate.confidence);
        // The best match gets the question when the one that was named leaves its subject to it.
        let better = matches.first().filter(|best| {
            in_scope >= IN_SCOPE && best.agent.id != agent.id && best.confidence >= HANDOVER * own
        });
        let boundary = better.and_then(|best| {
            agent.boundaries.iter().find(|boundary| boundary.refer_to.as_ref() == Some(&best.agent.id))
        });
        let (agent, handed) = match (better, boundary) {
            (Some(best), Some(boundary)) => {
                prompt::instructions(&best.agent)?;
                let handed = Handover {
                    from: agent.id.clone(),
                    to: best.agent.id.clone(),
                    topic: boundary.topic.clone(),
                };
                ((*best.agent).clone(), Some(handed))
            }
            _ => (agent.clone(), None),
        };
        Ok(Fact::Matched {
            candidates: kept(candidates),
            nobody: false,
            agent: Some(Box::new(agent)),
            handed,
        })
    }

    #[inline(never)]
    pub(super) fn look_up(&self, question: String) -> Result<Fact> {
        let Some(sources) = &self.inner.sources else {
            return Err(Error::invalid("there is no knowledge base"));
        };
        let filter = match &self.machine.spec.filter {
            None => None,
            Some(Value::String(text)) => Some(Filter::parse(text)?),
            Some(value) => Some(Filter::from_json(value)?),
        };
        let wanted = Wanted { filter, ..Wanted::default() };
        let mut passages = sources.passages(&question, &wanted, &self.cancel)?;
        for passage in &mut passages {
            // JSON has no other numbers, and the journal could not be read again.
            passage.score = if passage.score.is_finite() { passage.score } else { 0.0 };
        }
        passages.retain(|passage| {
            let same = |known: &Passage| {
                known.doc_id == passage.doc_id && known.start <= passage.start && known.end >= passage.end
            };
            !self.machine.passages.iter().any(same)
        });
        Ok(Fact::Retrieved { question, passages })
    }

    #[inline(never)]
    pub(super) fn extract(&self, call: u32, question: &str) -> Result<Fact> {
        let begun = Instant::now();
        let embedder = self.inner.sources.as_ref().and_then(|sources| sources.embedder());
        let options = self.machine.spec.extract.clone().unwrap_or_default();
        let mut found = extractive::extract(
            question,
            &self.machine.passages,
            embedder.as_deref(),
            &options,
            &self.cancel,
        )?;
        let mut text = String::new();
        // Markers count the sentences of the whole run.
        for (i, citation) in found.citations.iter_mut().enumerate() {
            citation.marker = format!("[{}]", self.machine.cited.len() + i + 1);
            let space = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{space}{} {}", citation.text.trim(), citation.marker);
        }
        if text.is_empty() {
            text = extractive::NOT_IN_SOURCES.to_owned();
        }
        let reply = Answered {
            confidence: Some(found.confidence),
            citations: found.citations,
            ..Answered::of(
                Reply {
                    model: extractive::EXTRACTIVE.to_owned(),
                    cost: Some(0.0),
                    attempts: 1,
                    ..Reply::text_of(text)
                },
                begun.elapsed().as_secs_f64(),
            )
        };
        Ok(Fact::Replied { call, reply: Box::new(reply) })
    }

    #[inline(never)]
    pub(super) fn check(&self) -> Result<Fact> {
        let embedder = self.inner.sources.as_ref().and_then(|sources| sources.embedder());
        // Markers of quoted sentences count the sentences, those of all else the passages.
        let quoted: Vec<Passage> = self.machine.cited.iter().map(Passage::from).collect();
        let counted = if quoted.is_empty() { &self.machine.passages } else { &quoted };
        let checks = extractive::check(&self.machine.body(), counted, embedder.as_deref(), &self.cancel)?;
        Ok(Fact::Checked { checks })
    }
}
