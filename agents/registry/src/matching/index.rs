//! How are agents held so that they are found quickly?
//!
//! A [`Segment`] is an immutable batch of agents with everything that a search needs: one prototype vector and the
//! example vectors of each, postings of their words, and rows by tenant, capability, language and status.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use quorate_core::filter::Columns;
use quorate_core::filter::RowSet;
use quorate_core::vector::dot_rows;
use quorate_core::{Code, Error, Result};
use serde_json::json;

use super::MatchOptions;
use super::bounds::Codes;
use super::entry::{Entry, Mix};
use super::lexical::{ByTerm, Term};
use crate::language::serves;
use crate::taxonomies::Taxonomies;
use crate::{Status, Taxonomy};

/// An immutable batch of agents.
pub(crate) struct Segment {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) dim: usize,
    /// Weighted sum of description and centroid of each agent, row-major.
    pub(crate) prototypes: Vec<f32>,
    postings: ByTerm<Vec<(u32, f32)>>,
    /// The rows whose topics have a term.
    topics: ByTerm<Vec<u32>>,
    /// The same for terms that the topics of many agents of a large segment have.
    common_topics: ByTerm<RowSet>,
    /// The rows of terms that many agents of a large segment use.
    common_terms: ByTerm<RowSet>,
    pub(crate) lengths: Vec<f32>,
    /// Weight of the lexical part of each agent.
    pub(crate) lexical: Vec<f32>,
    keys: HashMap<(Option<String>, String), u32>,
    /// Seen by every tenant.
    common: RowSet,
    /// Private rows by tenant.
    owned: HashMap<String, Vec<u32>>,
    /// Active, available and of weight above 0.
    callable: RowSet,
    /// Rows that need permissions.
    guarded: Vec<u32>,
    /// Rows by capability, ancestors included.
    capabilities: HashMap<String, Vec<u32>>,
    /// Rows by language tag in lower case.
    languages: HashMap<String, Vec<u32>>,
    costs: Vec<f64>,
    columns: OnceLock<Columns>,
    codes: OnceLock<Codes>,
}

/// From this many agents on a segment is large: the rows of common terms are counted as sets.
const LARGE: usize = 2048;

/// A term is common in a large segment when at least one agent in so many uses it.
const COMMON_TERM: usize = 32;

impl Segment {
    pub(crate) fn build(entries: Vec<Arc<Entry>>, dim: usize) -> Result<Self> {
        let n = entries.len();
        let mut segment = Segment {
            dim,
            prototypes: Vec::with_capacity(n * dim),
            postings: ByTerm::default(),
            topics: ByTerm::default(),
            common_topics: ByTerm::default(),
            common_terms: ByTerm::default(),
            lengths: Vec::with_capacity(n),
            lexical: Vec::with_capacity(n),
            keys: HashMap::with_capacity(n),
            common: RowSet::empty(n as u32),
            owned: HashMap::new(),
            callable: RowSet::empty(n as u32),
            guarded: Vec::new(),
            capabilities: HashMap::new(),
            languages: HashMap::new(),
            costs: Vec::with_capacity(n),
            columns: OnceLock::new(),
            codes: OnceLock::new(),
            entries: Vec::new(),
        };
        for (row, entry) in (0u32..).zip(&entries) {
            segment.push(row, entry)?;
        }
        if n >= LARGE {
            for (&term, postings) in segment.postings.iter().filter(|(_, p)| p.len() >= n / COMMON_TERM) {
                let mut rows = RowSet::empty(n as u32);
                postings.iter().for_each(|&(row, _)| rows.insert(row));
                segment.common_terms.insert(term, rows);
            }
            for (&term, having) in segment.topics.iter().filter(|(_, rows)| rows.len() >= n / COMMON_TERM) {
                let mut rows = RowSet::empty(n as u32);
                having.iter().for_each(|&row| rows.insert(row));
                segment.common_topics.insert(term, rows);
            }
        }
        segment.entries = entries;
        Ok(segment)
    }

    fn push(&mut self, row: u32, entry: &Entry) -> Result<()> {
        let agent = &*entry.agent;
        let vectors = &*entry.vectors;
        if vectors.dim != self.dim {
            return Err(Error::new(
                Code::Internal,
                format!("agent '{}': vectors of {}, not {}", agent.id, vectors.dim, self.dim),
            ));
        }
        let Mix { description, centroid, .. } = entry.mix;
        let mean = vectors.centroid();
        self.prototypes
            .extend(vectors.description.iter().zip(&mean).map(|(d, c)| description * d + centroid * c));
        for &(term, frequency) in &entry.terms {
            self.postings.entry(term).or_default().push((row, frequency));
        }
        for term in entry.topics.vocabulary() {
            self.topics.entry(term).or_default().push(row);
        }
        self.lengths.push(entry.length);
        self.lexical.push(entry.mix.lexical);
        self.keys.insert((agent.tenant.clone(), agent.id.clone()), row);
        match &agent.tenant {
            Some(tenant) if agent.visibility == crate::Visibility::Private => {
                self.owned.entry(tenant.clone()).or_default().push(row);
            }
            _ => self.common.insert(row),
        }
        if agent.status == Status::Active && agent.available && agent.weight > 0.0 {
            self.callable.insert(row);
        }
        if !agent.permissions.is_empty() {
            self.guarded.push(row);
        }
        for capability in &agent.capabilities {
            for name in Taxonomy::ancestors(&capability.name) {
                push_once(&mut self.capabilities, name, row);
            }
        }
        for language in &agent.languages {
            push_once(&mut self.languages, &language.to_ascii_lowercase(), row);
        }
        self.costs.push(agent.cost_per_call);
        Ok(())
    }

    /// The vectors of the agents in bytes, made when first needed: where there are more agents than are compared in full.
    /// Errors: `not_finite`.
    pub(super) fn codes(&self) -> Result<&Codes> {
        if let Some(codes) = self.codes.get() {
            return Ok(codes);
        }
        let made = Codes::new(&self.entries, &self.prototypes, self.dim)?;
        Ok(self.codes.get_or_init(|| made))
    }

    /// The row of an agent.
    pub(crate) fn row(&self, tenant: Option<&str>, id: &str) -> Option<u32> {
        self.keys.get(&(tenant.map(str::to_owned), id.to_owned())).copied()
    }

    /// The rows of a term that many agents of a large segment use; none for other terms.
    pub(crate) fn common_term(&self, term: Term) -> Option<&RowSet> {
        self.common_terms.get(&term)
    }

    /// The postings of a term: rows and frequencies.
    pub(crate) fn postings(&self, term: Term) -> &[(u32, f32)] {
        self.postings.get(&term).map_or(&[], Vec::as_slice)
    }

    /// Whether any agent has topics.
    pub(crate) fn has_topics(&self) -> bool {
        !self.topics.is_empty()
    }

    /// The rows whose topics have a term.
    pub(crate) fn topics(&self, term: Term) -> &[u32] {
        self.topics.get(&term).map_or(&[], Vec::as_slice)
    }

    /// The same where these are many in a large segment; none for other terms.
    pub(crate) fn common_topic(&self, term: Term) -> Option<&RowSet> {
        self.common_topics.get(&term)
    }

    /// The live rows that a tenant can see; `all` for an administrator who sees every tenant's.
    pub(crate) fn visible(&self, live: &RowSet, tenant: Option<&str>, all: bool) -> RowSet {
        if all {
            return live.clone();
        }
        let mut rows = self.common.clone();
        if let Some(own) = tenant.and_then(|t| self.owned.get(t)) {
            own.iter().for_each(|&row| rows.insert(row));
        }
        rows.intersect(live);
        rows
    }

    /// Whether an agent among `rows` has a capability, itself or by a descendant.
    pub(crate) fn has_capability(&self, rows: &RowSet, name: &str) -> bool {
        self.capabilities.get(name).is_some_and(|having| having.iter().any(|&row| rows.contains(row)))
    }

    /// The rows that meet every hard constraint and, where `any` names capabilities, have one of them.
    /// Errors: `filter_type`.
    pub(crate) fn admitted(
        &self,
        live: &RowSet,
        tenant: Option<&str>,
        options: &MatchOptions,
        any: &[String],
    ) -> Result<RowSet> {
        let scope = self.visible(live, tenant, false);
        let mut rows = scope.clone();
        rows.intersect(&self.callable);
        for required in &options.require {
            rows.intersect(&self.set(self.capabilities.get(required)));
        }
        if !any.is_empty() {
            let having = any.iter().filter_map(|name| self.capabilities.get(name));
            rows.intersect(&self.set(having));
        }
        if let Some(range) = &options.language {
            let range = range.to_ascii_lowercase();
            let serving = self.languages.iter().filter(|(tag, _)| serves(tag, &range)).map(|(_, rows)| rows);
            rows.intersect(&self.set(serving));
        }
        if let Some(held) = &options.permissions {
            let held: HashSet<&String> = held.iter().collect();
            for &row in &self.guarded {
                if !self.entries[row as usize].agent.permissions.iter().all(|p| held.contains(p)) {
                    rows.remove(row);
                }
            }
        }
        if let Some(limit) = options.max_cost {
            for (row, &cost) in (0u32..).zip(&self.costs) {
                if cost > limit {
                    rows.remove(row);
                }
            }
        }
        if let Some(filter) = &options.filter {
            rows.intersect(&self.columns().select(filter, &scope, false)?);
        }
        Ok(rows)
    }

    /// The fields of the agents for filters, made when first needed.
    pub(crate) fn columns(&self) -> &Columns {
        self.columns.get_or_init(|| {
            let mut columns = Columns::default();
            for (row, entry) in (0u32..).zip(&self.entries) {
                let agent = &*entry.agent;
                let mut capabilities: Vec<&str> =
                    agent.capabilities.iter().flat_map(|c| Taxonomy::ancestors(&c.name)).collect();
                capabilities.sort_unstable();
                capabilities.dedup();
                let fields = json!({
                    "name": agent.name,
                    "summary": agent.summary,
                    "domain": agent.domain,
                    "capabilities": capabilities,
                    "topics": agent.topics,
                    "tools": agent.tools,
                    "languages": agent.languages,
                    "model_tier": agent.model_tier,
                    "cost_per_call": agent.cost_per_call,
                    "latency": agent.latency,
                    "tenant": agent.tenant,
                    "visibility": agent.visibility,
                    "permissions": agent.permissions,
                    "tags": agent.tags,
                    "version": agent.version,
                    "status": agent.status,
                    "available": agent.available,
                    "weight": agent.weight,
                    "url": agent.url,
                });
                if let Some(fields) = fields.as_object() {
                    columns.push(row, [("id", agent.id.as_str()), ("title", agent.name.as_str())], fields);
                }
            }
            columns
        })
    }

    fn set<'a>(&self, rows: impl IntoIterator<Item = &'a Vec<u32>>) -> RowSet {
        let mut set = RowSet::empty(self.entries.len() as u32);
        rows.into_iter().flatten().for_each(|&row| set.insert(row));
        set
    }
}

fn push_once(map: &mut HashMap<String, Vec<u32>>, key: &str, row: u32) {
    match map.get_mut(key) {
        Some(rows) if rows.last() == Some(&row) => {}
        Some(rows) => rows.push(row),
        None => {
            map.insert(key.to_owned(), vec![row]);
        }
    }
}

/// A segment, and which of its rows are current.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) segment: Arc<Segment>,
    pub(crate) live: Arc<RowSet>,
}

/// Questions that are stated to be nobody's, by who states them: a tenant, or nobody in particular ("").
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    pub(crate) scopes: BTreeMap<String, Stated>,
}

/// Questions with their vectors, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stated {
    pub(crate) texts: Vec<String>,
    pub(crate) vectors: Vec<f32>,
}

impl Outside {
    /// The cosine with the nearest question that is stated for all or by this tenant.
    pub(crate) fn nearest(&self, tenant: Option<&str>, vector: &[f32]) -> Option<f32> {
        let own = tenant.filter(|t| !t.is_empty()).and_then(|t| self.scopes.get(t));
        let mut best: Option<f32> = None;
        for stated in self.scopes.get("").into_iter().chain(own) {
            let mut similar = vec![0.0; stated.texts.len()];
            dot_rows(vector, &stated.vectors, &mut similar);
            best = similar.into_iter().fold(best, |best, s| Some(best.map_or(s, |b| b.max(s))));
        }
        best
    }
}

/// All agents at one moment. Readers hold it as long as they like.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) slots: Vec<Slot>,
    pub(crate) taxonomies: Arc<Taxonomies>,
    pub(crate) outside: Arc<Outside>,
    pub(crate) revision: u64,
}

impl Snapshot {
    /// The current agent under a key.
    pub(crate) fn find(&self, tenant: Option<&str>, id: &str) -> Option<&Arc<Entry>> {
        self.slots.iter().rev().find_map(|slot| {
            let row = slot.segment.row(tenant, id)?;
            slot.live.contains(row).then(|| &slot.segment.entries[row as usize])
        })
    }

    /// An error unless a tenant may require the capability: it is in its taxonomy, or an agent that it sees has it.
    /// Errors: `unknown_capability`.
    pub(crate) fn check_capability(&self, tenant: Option<&str>, name: &str) -> Result<()> {
        self.taxonomies.of(tenant).check(name).or_else(|error| {
            let had = |slot: &Slot| {
                slot.segment.has_capability(&slot.segment.visible(&slot.live, tenant, false), name)
            };
            if self.slots.iter().any(had) { Ok(()) } else { Err(error) }
        })
    }

    /// Every current entry.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.slots.iter().flat_map(|s| s.live.iter().map(|row| &s.segment.entries[row as usize]))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.iter().map(|s| s.live.count()).sum()
    }

    /// The snapshot after some keys are gone and some entries are there. Segments of similar size are merged, so
    /// that there are never more than about log2 of the number of agents.
    pub(crate) fn changed(
        &self,
        gone: &[(Option<String>, String)],
        entries: Vec<Arc<Entry>>,
        dim: usize,
    ) -> Result<Snapshot> {
        let mut slots = self.slots.clone();
        for (tenant, id) in gone {
            for slot in &mut slots {
                if let Some(row) = slot.segment.row(tenant.as_deref(), id) {
                    Arc::make_mut(&mut slot.live).remove(row);
                }
            }
        }
        slots.retain(|s| !s.live.is_empty());
        let mut tail = entries;
        while let Some(last) = slots.last() {
            let size = last.live.count();
            let sparse = size * 2 < last.segment.entries.len();
            if !(sparse || (!tail.is_empty() && size <= 2 * tail.len())) {
                break;
            }
            let mut merged: Vec<Arc<Entry>> =
                last.live.iter().map(|row| last.segment.entries[row as usize].clone()).collect();
            merged.append(&mut tail);
            tail = merged;
            slots.pop();
        }
        if !tail.is_empty() {
            let segment = Segment::build(tail, dim)?;
            let live = RowSet::full(segment.entries.len() as u32);
            slots.push(Slot { segment: Arc::new(segment), live: Arc::new(live) });
        }
        Ok(Snapshot { slots, ..self.clone() })
    }
}
