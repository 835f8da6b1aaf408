//! What is a question about, and whom is that put to?
//!
//! The topics that come near to a question vote for all agents that have them: a topic that several share says who is
//! asked together. A question often joins a subject with what happens to it, as a denied claim for an implant does, and
//! the one is near to more topics than the other. So the nearest topic is taken out of the question, and what is left
//! is heard again (matching pursuit, Mallat & Zhang 1993).

use std::collections::BTreeMap;
use std::collections::hash_map::Entry as Slot;

use quorate_core::vector::dot;

use crate::matching::entry::Entry;
use crate::matching::{Asked, ByTerm, Term, each_term, idf};

/// Topics that are compared with a question, of those that are nearest to it by signs; further ones that share a word
/// with it join them.
const SCREENED: usize = 2048;

/// How many times a question is heard, and what each time counts of the one before.
const ROUNDS: usize = 3;
const FADING: f64 = 0.8;

/// How many topics vote, and how fast a vote falls with the distance to the nearest topic.
const NEAREST: usize = 30;
const TEMPERATURE: f32 = 0.1;

/// What naming a topic whole adds to its cosine. These four were chosen on the choosing halves of
/// `tests/fixtures/panels.json` and `panels-wide.json` and on topics of the catalogue that several agents share, each
/// asked for while it was left out; they lie on a plateau.
const NAMED: f32 = 0.4;

/// Different words of a question that are looked at.
const MAX_WORDS: usize = 1024;

/// How many of the agents that fit best bring in others with the same topics, and how many topics an agent has more
/// for this comparison than it has: few that are shared by chance say little.
const BRINGING: usize = 8;
const MORE_TOPICS: f64 = 8.0;

/// A topic, once for all that have it.
struct Subject<'a> {
    text: &'a str,
    vector: &'a [f32],
    /// Different terms that it has.
    size: u16,
    /// The first agent that has it, and its number there.
    first: (usize, u16),
    /// Whether that is one whose topics decide what a question is about.
    heard: bool,
    /// Places of those that have it, in order.
    members: Vec<usize>,
    /// Numbers of the question's terms that it has.
    named: Vec<usize>,
}

impl Subject<'_> {
    /// How near it comes to what is left of a question. `weights` of the question's terms have the sum `total`.
    fn near(&self, left: &[f32], weights: &[f32], total: f32) -> f32 {
        let cosine = dot(left, self.vector);
        if self.named.is_empty() || total <= 0.0 {
            return cosine;
        }
        let share = self.named.len() as f32 / f32::from(self.size.max(1));
        let weight: f32 = self.named.iter().map(|&term| weights[term]).sum();
        cosine + NAMED * weight / total * share.sqrt()
    }
}

/// What the topics of some agents say of a question.
pub(crate) struct Subjects<'a> {
    entries: Vec<&'a Entry>,
    /// By place: the sum of votes, 0 to 1 + .8 + .64.
    pub(crate) votes: Vec<f64>,
    /// By place: the topic that voted most for it.
    pub(crate) said: Vec<Option<&'a str>>,
}

impl<'a> Subjects<'a> {
    /// Of the agents under consideration, in an order that does not change, on behalf of a tenant.
    ///
    /// What a question is about is said by the topics of shared agents and the tenant's own. A public agent of a third
    /// party is voted for by the nearest of its topics alone, and takes no vote from others: however many it has, they
    /// change nothing but whether it is asked itself. Where all are of third parties, the topics of all say it.
    pub(crate) fn new(entries: Vec<&'a Entry>, question: &str, vector: &[f32], tenant: Option<&str>) -> Self {
        let mut terms: Vec<Term> = Vec::new();
        each_term(question, |term, _| {
            if terms.len() < MAX_WORDS && !terms.contains(&term) {
                terms.push(term);
            }
        });
        let trusted: Vec<bool> = entries.iter().map(|entry| entry.agent.is_trusted_by(tenant)).collect();
        let any = entries.iter().zip(&trusted).any(|(entry, own)| *own && !entry.topics.keys().is_empty());
        let heard: Vec<bool> = trusted.iter().map(|own| *own || !any).collect();
        let (subjects, topics) = near_ones(&entries, &heard, &terms, vector);
        let mut votes = vec![0.0; entries.len()];
        let mut said: Vec<Option<(f64, &str)>> = vec![None; entries.len()];
        let mut having = vec![0usize; terms.len()];
        subjects.iter().filter(|s| s.heard).flat_map(|s| &s.named).for_each(|&term| having[term] += 1);
        let mut weights: Vec<f32> = having.into_iter().map(|having| idf(topics, having)).collect();
        let total: f32 = weights.iter().sum();
        let mut left = vector.to_vec();
        let mut counts = 1.0;
        for _ in 0..ROUNDS {
            let near = subjects.iter().map(|s| (s.near(&left, &weights, total), s));
            let (mut found, others): (Vec<_>, Vec<_>) = near.partition(|(_, s)| s.heard);
            let order = |a: &(f32, &Subject<'a>), b: &(f32, &Subject<'a>)| {
                b.0.total_cmp(&a.0).then_with(|| a.1.first.cmp(&b.1.first))
            };
            if found.len() > NEAREST {
                found.select_nth_unstable_by(NEAREST, order);
                found.truncate(NEAREST);
            }
            found.sort_unstable_by(order);
            let Some(&(nearest, subject)) = found.first() else { break };
            let least = found.get(NEAREST - 1).map_or(f32::NEG_INFINITY, |(near, _)| *near);
            let vote = |near: f32| f64::from(((near - nearest) / TEMPERATURE).exp());
            let all: f64 = found.iter().map(|(near, _)| vote(*near)).sum();
            let others = others.into_iter().filter(|(near, _)| *near >= least);
            // By place of a third party: the most that one of its topics says.
            let mut most: BTreeMap<usize, f64> = BTreeMap::new();
            for (near, subject) in found.iter().copied().chain(others) {
                let vote = counts * vote(near.min(nearest)) / all;
                for &place in &subject.members {
                    match trusted[place] {
                        true => votes[place] += vote,
                        false => {
                            let most = most.entry(place).or_default();
                            *most = most.max(vote);
                        }
                    }
                    if said[place].is_none_or(|(most, _)| vote > most) {
                        said[place] = Some((vote, subject.text));
                    }
                }
            }
            most.into_iter().for_each(|(place, most)| votes[place] += most);
            let part = dot(&left, subject.vector);
            left.iter_mut().zip(subject.vector).for_each(|(x, s)| *x -= part * s);
            let norm = dot(&left, &left).sqrt();
            if norm <= 1e-6 {
                break;
            }
            left.iter_mut().for_each(|x| *x /= norm);
            subject.named.iter().for_each(|&term| weights[term] = 0.0);
            counts *= FADING;
        }
        let said = said.into_iter().map(|said| said.map(|(_, text)| text)).collect();
        Subjects { entries, votes, said }
    }

    /// What agents that fit bring to each other by topics that they share: the sum, over the best by `fit`, of the
    /// square of their fit times the share of topics. Public agents of third parties bring nobody and are not brought:
    /// whoever publishes many of one kind would bring them all.
    pub(crate) fn brought(&self, fit: &[f64], tenant: Option<&str>) -> Vec<f64> {
        let trusted = |place: &usize| self.entries[*place].agent.is_trusted_by(tenant);
        let mut best: Vec<usize> = (0..fit.len()).filter(trusted).collect();
        best.sort_by(|&a, &b| fit[b].total_cmp(&fit[a]).then_with(|| a.cmp(&b)));
        best.truncate(BRINGING);
        let most = best.first().map_or(f64::MIN_POSITIVE, |&first| fit[first].max(f64::MIN_POSITIVE));
        let mut having: ByTerm<u8> = ByTerm::default();
        for (bit, &place) in best.iter().enumerate() {
            for &key in self.entries[place].topics.keys() {
                *having.entry(key).or_default() |= 1 << bit;
            }
        }
        let topics = |place: usize| self.entries[place].topics.keys().len() as f64 + MORE_TOPICS;
        let brought = |place: usize| {
            if !trusted(&place) {
                return 0.0;
            }
            let mut shared = [0u32; BRINGING];
            for bits in self.entries[place].topics.keys().iter().filter_map(|key| having.get(key)) {
                shared.iter_mut().enumerate().for_each(|(bit, n)| *n += u32::from(bits >> bit & 1));
            }
            let others = best.iter().zip(shared).filter(|&(&other, n)| other != place && n > 0);
            others
                .map(|(&other, n)| {
                    let fit = fit[other] / most;
                    fit * fit * f64::from(n) / (topics(place) * topics(other)).sqrt()
                })
                .sum()
        };
        (0..self.entries.len()).map(brought).collect()
    }
}

/// The topics that are nearest to a question by signs or share a word with it, each once, and the number of all that
/// are `heard`, by place. How near a topic must be is decided by these alone.
fn near_ones<'a>(
    entries: &[&'a Entry],
    heard: &[bool],
    terms: &[Term],
    vector: &[f32],
) -> (Vec<Subject<'a>>, usize) {
    let asked = Asked::new(vector);
    let dim = vector.len();
    // How many topics have so many other signs: there are few different numbers, however many topics.
    let mut counts = vec![0usize; dim + 2];
    for (entry, _) in entries.iter().zip(heard).filter(|(_, heard)| **heard) {
        entry.topics.each_distance(&asked, |_, distance| counts[(distance as usize).min(dim + 1)] += 1);
    }
    let topics = counts.iter().sum();
    let mut within = 0;
    let last = counts.iter().take_while(|&&count| {
        let more = within < SCREENED;
        within += count;
        more
    });
    let last = last.count() as u32;

    let mut subjects: Vec<Subject<'a>> = Vec::new();
    let mut known: ByTerm<usize> = ByTerm::default();
    let mut subject = |subjects: &mut Vec<Subject<'a>>, place: usize, number: u16| -> Option<usize> {
        let entry = entries[place];
        let at = usize::from(number);
        let i = match known.entry(*entry.topics.keys().get(at)?) {
            Slot::Occupied(known) => *known.get(),
            Slot::Vacant(free) => {
                subjects.push(Subject {
                    text: entry.agent.topics.get(at)?,
                    vector: entry.vectors.topics.get(at * dim..(at + 1) * dim)?,
                    size: entry.topics.size(number),
                    first: (place, number),
                    heard: heard[place],
                    members: Vec::new(),
                    named: Vec::new(),
                });
                *free.insert(subjects.len() - 1)
            }
        };
        if subjects[i].members.last() != Some(&place) {
            subjects[i].members.push(place);
        }
        Some(i)
    };
    // Those that are heard come first, so that a topic that others have too is theirs.
    let (first, then): (Vec<usize>, Vec<usize>) = (0..entries.len()).partition(|&place| heard[place]);
    for places in [first, then] {
        for &place in &places {
            entries[place].topics.each_distance(&asked, |number, distance| {
                if distance < last {
                    subject(&mut subjects, place, number);
                }
            });
        }
        for &place in &places {
            for (number, &term) in terms.iter().enumerate() {
                for &(_, topic) in entries[place].topics.with(term) {
                    if let Some(i) = subject(&mut subjects, place, topic)
                        && subjects[i].first == (place, topic)
                    {
                        subjects[i].named.push(number);
                    }
                }
            }
        }
    }
    for subject in &mut subjects {
        subject.members.sort_unstable();
        subject.members.dedup();
    }
    (subjects, topics)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matching::entry::Vectors;
    use crate::{Agent, Taxonomy, Tuning, Visibility};

    /// Directions that have nothing in common.
    const CLAIM: [f32; 4] = [1.0, 0.0, 0.0, 0.0];
    const SPINE: [f32; 4] = [0.0, 1.0, 0.0, 0.0];
    const OTHER: [f32; 4] = [0.0, 0.0, 1.0, 0.0];

    fn entry(id: &str, topics: &[(&str, [f32; 4])], tenant: Option<&str>) -> Entry {
        let mut agent = Agent::new(id, id, "s");
        agent.topics = topics.iter().map(|(topic, _)| (*topic).to_owned()).collect();
        agent.tenant = tenant.map(str::to_owned);
        agent.visibility = Visibility::Public;
        let vectors = Vectors {
            dim: 4,
            description: vec![0.0; 4],
            examples: Vec::new(),
            topics: topics.iter().flat_map(|(_, vector)| *vector).collect(),
        };
        Entry::new(Arc::new(agent), Arc::new(vectors), &Taxonomy::default(), &Tuning::default())
    }

    fn of<'a>(entries: &'a [Entry], question: &str, vector: [f32; 4]) -> Subjects<'a> {
        Subjects::new(entries.iter().collect(), question, &vector, None)
    }

    #[test]
    fn a_topic_votes_for_all_that_share_it() {
        let entries = [
            entry("a", &[("denied claims", CLAIM), ("rates", OTHER)], None),
            entry("b", &[("Denied Claims", CLAIM)], None),
            entry("c", &[("rates", OTHER)], None),
            entry("d", &[], None),
        ];
        let found = of(&entries, "denied claims", CLAIM);
        assert_eq!(found.votes[0], found.votes[1] + found.votes[2]);
        assert!(found.votes[1] > 100.0 * found.votes[2] && found.votes[3] == 0.0);
        assert_eq!(found.said, [Some("denied claims"), Some("denied claims"), Some("rates"), None]);
    }

    #[test]
    fn what_is_left_of_a_question_is_heard_too() {
        let entries = [
            entry("surgeon", &[("spine", SPINE)], None),
            entry("appeals", &[("claims", CLAIM)], None),
            entry("stranger", &[("weather", OTHER)], None),
        ];
        let found = of(&entries, "x", [0.5, 0.75f32.sqrt(), 0.0, 0.0]);
        assert!(found.votes[0] > found.votes[1], "{:?}", found.votes);
        assert!(found.votes[1] > FADING / 2.0 && found.votes[2] < 0.5, "{:?}", found.votes);
    }

    #[test]
    fn words_count_beside_vectors() {
        let entries = [entry("a", &[("spine", OTHER)], None), entry("b", &[("rates", OTHER)], None)];
        let found = of(&entries, "the spine", CLAIM);
        assert!(found.votes[0] > found.votes[1]);
        // With no topics, or no words, nobody is voted for or nobody is told apart.
        assert_eq!(of(&[entry("a", &[], None)], "the spine", CLAIM).votes, [0.0]);
        let same = of(&entries, "?", CLAIM);
        assert_eq!(same.votes[0], same.votes[1]);
        assert!(of(&[], "the spine", CLAIM).votes.is_empty());
    }

    #[test]
    fn those_with_the_same_topics_are_brought_in_but_no_third_party() {
        let shared = [("one", CLAIM), ("two", SPINE)];
        let entries = [
            entry("a", &shared, None),
            entry("b", &shared, None),
            entry("pushy", &shared, Some("t")),
            entry("c", &[("three", OTHER)], None),
        ];
        let found = of(&entries, "x", CLAIM);
        let fit = [1.0, 0.2, 0.2, 0.2];
        let brought = found.brought(&fit, None);
        let share = 2.0 / (2.0 + MORE_TOPICS);
        assert!((brought[1] - share).abs() < 1e-12 && brought[2] == 0.0 && brought[3] == 0.0);
        assert!((brought[0] - 0.04 * share).abs() < 1e-12);
        let own = found.brought(&fit, Some("t"));
        assert!((own[2] - 1.04 * share).abs() < 1e-12);
        assert_eq!(found.brought(&fit, Some("u")), brought);
    }

    #[test]
    fn of_many_topics_the_near_ones_are_compared() {
        let far: Vec<(String, [f32; 4])> =
            (0..3 * SCREENED).map(|i| (format!("far {i}"), [-0.5; 4])).collect();
        let far: Vec<(&str, [f32; 4])> = far.iter().map(|(text, vector)| (text.as_str(), *vector)).collect();
        let entries = [entry("far", &far, None), entry("near", &[("near", [0.5; 4])], None)];
        let asked = entries.iter().collect::<Vec<_>>();
        let (subjects, topics) = near_ones(&asked, &[true; 2], &[], &[0.5; 4]);
        assert_eq!(topics, 3 * SCREENED + 1);
        assert!(subjects.iter().any(|s| s.text == "near"));
        assert!(Subjects::new(asked, "x", &[0.5; 4], None).votes[1] > 0.5);
    }

    #[test]
    fn many_topics_of_a_third_party_take_no_vote_from_others() {
        let near: Vec<(String, [f32; 4])> =
            (0..3 * SCREENED).map(|i| (format!("denied claims {i}"), CLAIM)).collect();
        let near: Vec<(&str, [f32; 4])> =
            near.iter().map(|(text, vector)| (text.as_str(), *vector)).collect();
        let far = 0.5f32.sqrt();
        let honest = || {
            vec![
                entry("appeals", &[("claims", [far, 0.0, far, 0.0]), ("rates", OTHER)], None),
                entry("surgeon", &[("spine", SPINE)], None),
                entry("mine", &[("denied claims 7", CLAIM)], Some("u")),
            ]
        };
        let question = "denied claims for the spine";
        let asked = |entries: &[Entry]| {
            let vector = [0.8, 0.6, 0.0, 0.0];
            let found = Subjects::new(entries.iter().collect(), question, &vector, Some("u"));
            (found.votes, found.said.into_iter().map(|said| said.map(str::to_owned)).collect::<Vec<_>>())
        };
        let (votes, said) = asked(&honest());
        for place in 0..4 {
            let mut entries = honest();
            entries.insert(place, entry("pushy", &near, Some("t")));
            let (mut with, mut said_with) = asked(&entries);
            let pushy = with.remove(place);
            assert!(said_with.remove(place).is_some());
            assert_eq!((&with, &said_with), (&votes, &said), "at {place}");
            let best = votes.iter().copied().fold(0.0, f64::max);
            assert!(pushy > 0.0 && pushy <= best + 1e-9, "{pushy} of {best}");
        }
        // Where nobody else is there, they say what it is about.
        let alone = [entry("pushy", &near, Some("t")), entry("other", &[("spine", SPINE)], Some("v"))];
        let (votes, _) = asked(&alone);
        assert!(votes.iter().all(|vote| *vote > 0.0 && *vote <= 2.44 + 1e-9), "{votes:?}");
    }

    #[test]
    fn clones_of_a_third_party_bring_nobody() {
        let shared = [("one", CLAIM), ("two", SPINE)];
        let entries: Vec<Entry> = (0..12)
            .map(|i| entry(&format!("c{i}"), &shared, Some("t")))
            .chain([entry("a", &shared, None), entry("b", &shared, None)])
            .collect();
        let found = of(&entries, "x", CLAIM);
        let fit: Vec<f64> = (0..14).map(|i| if i < 12 { 9.0 } else { 0.5 }).collect();
        let brought = found.brought(&fit, Some("u"));
        assert_eq!(brought[..12], [0.0; 12]);
        // What the two bring each other is what they would without the clones.
        let share = 2.0 / (2.0 + MORE_TOPICS);
        assert!((brought[12] - share).abs() < 1e-12 && (brought[13] - share).abs() < 1e-12);
    }
}
