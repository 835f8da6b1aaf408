//! How are agents held so that they are found quickly?
//!
//! A [`Segment`] is an immutable batch of agents with everything that a search needs: one prototype vector and the
//! example vectors of each, postings of their words, and rows by tenant, capability, language and status.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use quorate_core::filter::Columns;
use quorate_core::filter::RowSet;
use quorate_core::vector::{BinaryMatrix, dot, dot_rows};
use quorate_core::{Code, Error, Result};
use serde_json::json;

use super::lexical::{self, ByTerm, Term};
use super::topics::Topics;
use super::{MatchOptions, Tuning};
use crate::language::serves;
use crate::taxonomies::Taxonomies;
use crate::{Agent, Status, Taxonomy};

/// An agent with what is derived from it. Never changed once made.
pub(crate) struct Entry {
    pub(crate) agent: Arc<Agent>,
    pub(crate) vectors: Arc<Vectors>,
    pub(crate) mix: Mix,
    pub(crate) topics: Topics,
    /// Weighted frequency of each term, by term.
    terms: Vec<(Term, f32)>,
    /// Sum of the weighted frequencies.
    length: f32,
}

/// The vectors of one agent, all of unit length (or zero).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vectors {
    pub(crate) dim: usize,
    /// Of name and summary: see [`description`].
    pub(crate) description: Vec<f32>,
    /// Of each example question, one after the other.
    pub(crate) examples: Vec<f32>,
    /// Of each topic, one after the other.
    pub(crate) topics: Vec<f32>,
}

impl Vectors {
    pub(crate) fn count(&self) -> usize {
        self.examples.len() / self.dim.max(1)
    }

    /// The mean of the examples, of unit length; zero without examples.
    pub(crate) fn centroid(&self) -> Vec<f32> {
        let mut mean = vec![0.0; self.dim];
        for example in self.examples.chunks_exact(self.dim.max(1)) {
            for (m, x) in mean.iter_mut().zip(example) {
                *m += x;
            }
        }
        normalize(&mut mean);
        mean
    }
}

fn normalize(vector: &mut [f32]) {
    let norm = dot(vector, vector).sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}

impl Entry {
    pub(crate) fn new(
        agent: Arc<Agent>,
        vectors: Arc<Vectors>,
        taxonomy: &Taxonomy,
        tuning: &Tuning,
    ) -> Self {
        let mix = Mix::new(tuning, vectors.count(), &format!("{}. {}", agent.name, agent.summary));
        let count = vectors.count() as f32;
        let weight = count / (count + EXAMPLES_FOR_HALF);
        let mut terms: Vec<(Term, f32)> =
            lexical::terms(&own_words(&agent, taxonomy)).into_iter().map(|t| (t, 1.0)).collect();
        for example in agent.examples() {
            terms.extend(lexical::terms(example).into_iter().map(|t| (t, weight)));
        }
        let length = terms.iter().map(|(_, w)| w).sum();
        let topics = Topics::new(&agent.topics, &vectors.topics, vectors.dim);
        Entry { agent, vectors, mix, topics, terms: lexical::summed(terms), length }
    }

    /// How often the agent uses a term.
    pub(crate) fn frequency(&self, term: Term) -> f32 {
        self.terms.binary_search_by_key(&term, |(t, _)| *t).map_or(0.0, |i| self.terms[i].1)
    }

    /// The length of its text.
    pub(crate) fn length(&self) -> f32 {
        self.length
    }
}

/// The texts that are embedded for an agent's description: summary, and name as words.
pub(crate) fn description_of(agent: &Agent) -> [String; 2] {
    [agent.summary.clone(), in_words(&agent.name)]
}

/// How much the name counts beside the summary.
const NAME: f32 = 0.5;

/// The vector of a description, of unit length: that of the summary plus half that of the name. Inside the embedded
/// text a short name would count for as much as the rest, or for nothing, as the model likes.
pub(crate) fn description(summary: &[f32], name: &[f32]) -> Vec<f32> {
    let mut sum: Vec<f32> = summary.iter().zip(name).map(|(s, n)| s + NAME * n).collect();
    normalize(&mut sum);
    sum
}

/// A name such as `SearchFlights` or `search_flights` as words. In a name of several words capitals stand as they are:
/// an `eCTD specialist` is one.
fn in_words(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let camel = !name.contains(char::is_whitespace);
    let mut before = ' ';
    for c in name.chars() {
        if c == '_' {
            out.push(' ');
        } else {
            if camel && c.is_uppercase() && (before.is_lowercase() || before.is_numeric()) {
                out.push(' ');
            }
            out.push(c);
        }
        before = c;
    }
    if out.trim().is_empty() { name.to_owned() } else { out }
}

/// A word of an example counts half as much as one of the description when there are this many examples, and more
/// when there are more: the words of few examples are accidental. (BM25F, Robertson, Zaragoza & Taylor 2004.)
const EXAMPLES_FOR_HALF: f32 = 15.0;

/// The words with which an agent describes itself.
fn own_words(agent: &Agent, taxonomy: &Taxonomy) -> String {
    let mut parts: Vec<&str> = vec![&agent.name, &agent.summary];
    for skill in &agent.skills {
        parts.extend([skill.name.as_str(), &skill.description]);
        parts.extend(skill.tags.iter().map(String::as_str));
    }
    parts.extend(agent.tags.iter().map(String::as_str));
    for capability in &agent.capabilities {
        let leaf = capability.name.rsplit('.').next().unwrap_or(&capability.name);
        parts.extend([taxonomy.title(&capability.name).unwrap_or(&capability.name), leaf]);
        parts.extend(capability.evidence.iter().map(String::as_str));
    }
    parts.join("\n")
}

/// How the parts of one agent's score are weighted: `description`, `centroid` and `nearest` sum to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) description: f32,
    pub(crate) centroid: f32,
    pub(crate) nearest: f32,
    pub(crate) lexical: f32,
    /// How few examples there are: 1 for none, near 0 for many.
    pub(crate) few: f32,
}

/// An example that is asked word for word must count, however few there are.
const MOST_DESCRIPTION: f32 = 0.5;

/// Different words that make a description a full one: a mere label says less than a sentence.
const FULL_DESCRIPTION: f32 = 16.0;

/// With this many examples an agent has half of what is called few.
const HALF_FEW: f32 = 5.0;

impl Mix {
    /// For an agent with `count` examples and this description.
    fn new(tuning: &Tuning, count: usize, description: &str) -> Self {
        let mut words = lexical::terms(description);
        words.sort_unstable();
        words.dedup();
        let richness = (words.len() as f32 / FULL_DESCRIPTION).min(1.0);
        let pull = tuning.description_pull * richness;
        let description = match count {
            0 => 1.0,
            _ => (pull / (pull + count as f32)).min(MOST_DESCRIPTION),
        };
        let rest = 1.0 - description;
        Mix {
            description,
            centroid: rest * tuning.centroid_share,
            nearest: rest * (1.0 - tuning.centroid_share),
            // An agent that is known by a full description and little else is judged by words more, one that is
            // known by a label alone less: its vector is these words.
            lexical: tuning.lexical
                * (1.0 - description * (1.0 - richness)
                    + tuning.lexical_lift * description * richness * richness),
            few: HALF_FEW / (HALF_FEW + count as f32),
        }
    }
}

/// An immutable batch of agents.
pub(crate) struct Segment {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) dim: usize,
    /// Weighted sum of description and centroid of each agent, row-major.
    pub(crate) prototypes: Vec<f32>,
    /// Signs of the prototypes, for screening; empty in small segments.
    pub(crate) signs: BinaryMatrix,
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
}

/// From this many agents on a segment keeps signs for screening.
pub(crate) const SCREEN_FROM: usize = 2048;

/// A term is common in a segment with screening when at least one agent in so many uses it.
const COMMON_TERM: usize = 32;

impl Segment {
    pub(crate) fn build(entries: Vec<Arc<Entry>>, dim: usize) -> Result<Self> {
        let n = entries.len();
        let mut segment = Segment {
            dim,
            prototypes: Vec::with_capacity(n * dim),
            signs: BinaryMatrix::new(dim),
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
            entries: Vec::new(),
        };
        for (row, entry) in (0u32..).zip(&entries) {
            segment.push(row, entry)?;
        }
        if n >= SCREEN_FROM {
            for prototype in segment.prototypes.chunks_exact(dim.max(1)) {
                segment.signs.push(prototype)?;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        for (name, words) in [
            ("SearchFlights", "Search Flights"),
            ("search_flights", "search flights"),
            ("FDA 510(k) strategist", "FDA 510(k) strategist"),
            ("HTTPServer2Go", "HTTPServer2 Go"),
            ("eCTD publishing_specialist", "eCTD publishing specialist"),
            ("Élan", "Élan"),
            ("_", "_"),
        ] {
            assert_eq!(in_words(name), words);
        }
    }

    #[test]
    fn a_description_is_the_summary_and_half_the_name() {
        let sum = description(&[1.0, 0.0], &[0.0, 1.0]);
        assert!((sum[0] / sum[1] - 2.0).abs() < 1e-6 && (dot(&sum, &sum) - 1.0).abs() < 1e-6);
        assert_eq!(description(&[0.6, 0.8], &[0.6, 0.8]), [0.6, 0.8]);
        assert_eq!(description(&[0.0, 0.0], &[0.0, 0.0]), [0.0, 0.0]);
    }
}
