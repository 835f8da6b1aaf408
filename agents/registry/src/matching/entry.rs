//! What is known of an agent so that it can be matched?

use std::sync::Arc;

use quorate_core::vector::dot;

use super::Tuning;
use super::lexical::{self, Term};
use super::topics::Topics;
use crate::{Agent, Taxonomy};

/// An agent with what is derived from it. Never changed once made.
pub(crate) struct Entry {
    pub(crate) agent: Arc<Agent>,
    pub(crate) vectors: Arc<Vectors>,
    pub(crate) mix: Mix,
    pub(crate) topics: Topics,
    /// Weighted frequency of each term, by term.
    pub(super) terms: Vec<(Term, f32)>,
    /// Sum of the weighted frequencies.
    pub(super) length: f32,
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
