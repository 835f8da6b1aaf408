//! Which statements of an answer do its passages bear out?
//!
//! Each sentence of the answer is laid beside one, two or three sentences of the passages that it leans on. It is
//! supported where these have its words, or words near in meaning, and every number, name and negation of it. Where they
//! have its words but another number, a negation or the opposite, they contradict it. What is said in words that are far
//! from those of the passages is not supported, although it may be true.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::embed::{Embed, StaticModel};
use quorate_core::vector::{Matrix, dot};
use quorate_core::{Cancel, Result};
use serde::{Deserialize, Serialize};

use crate::{Citation, Passage};

use super::asked::{Asked, Found, MAX_TERMS};
use super::facts::{Difference, Facts};
use super::meaning::{Related, related};
use super::sentences::{Sentence, SentenceKind, pieces, up_to};
use super::terms::{Term, idf, terms};

/// From which score on the passages say what a sentence says.
const SUPPORTED: f64 = 0.64;

/// From which score on they speak of the same, so that a difference contradicts.
const SAME_SUBJECT: f64 = 0.6;

/// How far below the best evidence another place is looked at too.
const BESIDE: f64 = 0.2;

/// The share of words in a score; the rest is the cosine.
const WORDS: f64 = 0.7;

/// How much more a word counts that is rare in the passages.
const RARITY: f64 = 0.3;

/// What each further sentence of the evidence takes from its score.
const PER_SENTENCE: f64 = 0.02;

/// The most sentences that bear out one.
const MAX_TOGETHER: usize = 3;

/// Places that are looked at closely for one sentence.
const MAX_PLACES: usize = 6;

/// What the passages say to a sentence of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// They say it.
    Supported,
    /// They do not say it, or it leans on a passage that is not there.
    Unsupported,
    /// They say something else in its place: another number, a negation, the opposite.
    Contradicted,
    /// It states nothing: a heading, a question, a courtesy, that there is no answer.
    NotAClaim,
}

impl Verdict {
    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::Unsupported => "unsupported",
            Verdict::Contradicted => "contradicted",
            Verdict::NotAClaim => "not_a_claim",
        }
    }
}

/// One sentence of an answer, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The sentence, without its markers.
    pub claim: String,
    /// What the passages say to it.
    pub verdict: Verdict,
    /// What supports or contradicts it. Its marker is that of the passage.
    pub evidence: Option<Citation>,
    /// How much of it the nearest place says, up to 1.
    pub score: f64,
}

/// Checks each sentence of an answer against the passages, which its markers count from `[1]`: a sentence with markers
/// leans on these passages alone, one without on any. A list of sources at its end is not looked at.
///
/// Sentences are compared by `embedder` where it is local, and else by the model inside this library.
/// Errors: `cancelled` and those of the embedder.
///
/// ```
/// use quorate_core::Cancel;
/// use quorate_runtime::{Passage, Verdict, check, grounded};
/// let text = "The usual starting dose of metformin is 500 mg twice daily.";
/// let passage = Passage { doc_id: "d1".into(), text: text.into(), end: text.len(), ..Passage::default() };
/// let answer = "Metformin is started at 500 mg twice daily [1]. The starting dose of metformin is 850 mg [1].";
/// let checks = check(answer, &[passage], None, &Cancel::new())?;
/// assert_eq!(checks[0].verdict, Verdict::Supported);
/// assert_eq!(checks[1].verdict, Verdict::Contradicted);
/// assert_eq!(grounded(&checks), Some(0.5));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn check(
    answer: &str,
    passages: &[Passage],
    embedder: Option<&dyn Embed>,
    cancel: &Cancel,
) -> Result<Vec<Check>> {
    let claims = claims(answer);
    if claims.iter().all(|c| !c.states) {
        return Ok(claims.into_iter().map(|c| c.done(Verdict::NotAClaim, None, 0.0)).collect());
    }
    let own: Arc<StaticModel>;
    let embedder: &dyn Embed = match embedder.filter(|e| e.is_local()) {
        Some(embedder) => embedder,
        None => {
            own = StaticModel::builtin()?;
            own.as_ref()
        }
    };
    let sources = Sources::new(passages, embedder, cancel)?;
    let mut out = Vec::with_capacity(claims.len());
    for claim in claims {
        cancel.check()?;
        out.push(if claim.states {
            sources.judge(claim, embedder, cancel)?
        } else {
            claim.done(Verdict::NotAClaim, None, 0.0)
        });
    }
    Ok(out)
}

/// The share of the statements that are supported; `None` where nothing is stated.
pub fn grounded(checks: &[Check]) -> Option<f64> {
    let stated = checks.iter().filter(|c| c.verdict != Verdict::NotAClaim).count();
    let supported = checks.iter().filter(|c| c.verdict == Verdict::Supported).count();
    (stated > 0).then(|| supported as f64 / stated as f64)
}

/// A sentence of an answer.
struct Claim {
    text: String,
    /// The numbers of its markers.
    markers: Vec<usize>,
    states: bool,
}

impl Claim {
    fn done(self, verdict: Verdict, evidence: Option<Citation>, score: f64) -> Check {
        Check { claim: self.text, verdict, evidence, score }
    }
}

/// Lines that begin a list of sources. In lower case.
const SOURCES: &[&str] = &["sources", "references", "citations", "quellen", "literatur"];

/// What courtesies and remarks about the answer begin with. In lower case.
const REMARKS: &[&str] = &[
    "i ",
    "i'm ",
    "i’m ",
    "please ",
    "sorry",
    "let me ",
    "hope ",
    "thank",
    "you're welcome",
    "here is ",
    "here are ",
    "in summary:",
    "answer:",
    "note:",
    "based on the sources:",
    "ich ",
    "bitte ",
    "danke",
    "leider ",
];

/// How answers say that there is none. In lower case.
const NO_ANSWER: &[&str] = &[
    "not in the sources",
    "sources do not",
    "passages do not",
    "context does not",
    "not mentioned in the",
    "no information",
    "steht nicht in den quellen",
    "cannot answer",
    "can't answer",
    "don't know",
    "do not know",
];

/// The sentences of an answer with their markers.
fn claims(answer: &str) -> Vec<Claim> {
    let (clean, markers) = without_markers(without_sources(answer));
    let found = pieces(&clean);
    let mut out: Vec<Claim> = found
        .iter()
        .map(|s| {
            let text = clean[s.start..s.end].to_owned();
            let states = states(&text, s.kind);
            Claim { text, markers: Vec::new(), states }
        })
        .collect();
    for (at, number, leads) in markers {
        // Without a sentence on its side, a marker belongs to the first one.
        let owner = if leads {
            Some(found.partition_point(|s| s.end <= at)).filter(|i| *i < found.len())
        } else {
            found.partition_point(|s| s.start < at).checked_sub(1)
        };
        if let Some(claim) = out.get_mut(owner.unwrap_or(0)) {
            claim.markers.push(number);
        }
    }
    out
}

fn without_sources(answer: &str) -> &str {
    let mut at = 0;
    for line in answer.split_inclusive('\n') {
        let words =
            line.trim().trim_matches(|c: char| matches!(c, '#' | '*' | ':' | ' ' | '_')).to_lowercase();
        if SOURCES.contains(&words.as_str()) {
            return &answer[..at];
        }
        at += line.len();
    }
    answer
}

/// The text without `[1]`, `[1, 2]` and the white space before them; each number with its place in that text and whether
/// it stands at the beginning of a line.
fn without_markers(text: &str) -> (String, Vec<(usize, usize, bool)>) {
    let mut clean = String::with_capacity(text.len());
    let mut markers = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, tail) = rest.split_at(open);
        clean.push_str(before);
        let inner = up_to(&tail[1..], ']');
        let numbers = inner.and_then(|inner| {
            let numbers: Option<Vec<usize>> =
                inner.split([',', ';']).map(|n| n.trim().parse().ok()).collect();
            numbers.map(|numbers| (inner, numbers))
        });
        match numbers {
            Some((inner, numbers)) => {
                clean.truncate(clean.trim_end_matches([' ', '\t']).len());
                let leads = clean.is_empty() || clean.ends_with('\n');
                if !leads {
                    clean.truncate(clean.trim_end().len());
                }
                markers.extend(numbers.into_iter().map(|number| (clean.len(), number, leads)));
                rest = &tail[inner.len() + 2..];
            }
            None => {
                clean.push('[');
                rest = &tail[1..];
            }
        }
    }
    clean.push_str(rest);
    (clean, markers)
}

fn states(text: &str, kind: SentenceKind) -> bool {
    let lower = text.to_lowercase();
    let remark = REMARKS.iter().any(|r| lower.starts_with(r)) || NO_ANSWER.iter().any(|n| lower.contains(n));
    let content = terms(text).iter().filter(|t| !t.function).count();
    let number = terms(text).iter().any(|t| t.number);
    let leads = text.ends_with([':', '：']);
    !(matches!(kind, SentenceKind::Heading | SentenceKind::Question) || remark || leads || content == 0)
        && (content > 1 || number)
}

/// The passages as they are read once for all claims.
struct Sources<'p> {
    passages: &'p [Passage],
    sentences: Vec<(usize, Sentence)>,
    /// The vector of each sentence.
    vectors: Matrix,
    words: HashMap<u64, &'p str>,
}

/// A place that may bear out a claim: sentences `from..=to` of one passage.
struct Place {
    from: usize,
    to: usize,
    score: f64,
    /// Whether its sentences say together what the claim says, and do not only lend it a name.
    sound: bool,
}

impl Place {
    fn is_within(&self, wider: &Place) -> bool {
        wider.from <= self.from && self.to <= wider.to && self.score >= wider.score
    }
}

impl<'p> Sources<'p> {
    fn new(passages: &'p [Passage], embedder: &dyn Embed, cancel: &Cancel) -> Result<Self> {
        let mut sentences = Vec::new();
        let mut words = HashMap::new();
        for (i, passage) in passages.iter().enumerate() {
            cancel.check()?;
            sentences.extend(pieces(&passage.text).into_iter().map(|s| (i, s)));
            for term in terms(&passage.text).iter().filter(|t| !t.function && !t.number) {
                words.entry(term.stem).or_insert(&passage.text[term.start..term.end]);
            }
        }
        let texts: Vec<&str> = sentences.iter().map(|(i, s)| &passages[*i].text[s.start..s.end]).collect();
        let vectors = embedder.embed(&texts, cancel)?;
        Ok(Sources { passages, sentences, vectors, words })
    }

    fn judge(&self, claim: Claim, embedder: &dyn Embed, cancel: &Cancel) -> Result<Check> {
        let there = |number: &usize| (1..=self.passages.len()).contains(number);
        if !claim.markers.iter().all(there) {
            return Ok(claim.done(Verdict::Unsupported, None, 0.0));
        }
        let places = self.places(&claim, embedder, cancel)?;
        let Some(best) = places.first().map(|p| p.score) else {
            return Ok(claim.done(Verdict::Unsupported, None, 0.0));
        };
        let facts = Facts::of(&claim.text)?;
        let contradicts = |d: Difference| {
            matches!(d, Difference::OtherNumber | Difference::Negation | Difference::Opposite)
        };
        let mut against: Option<(usize, Difference)> = None;
        for (i, place) in places.iter().enumerate().take_while(|(_, p)| p.score >= best - BESIDE) {
            let passage = &self.passages[self.sentences[place.from].0];
            let evidence = Facts::of(self.text(place))?;
            let title: Vec<Term> = terms(&passage.title);
            match facts.differ(&evidence, &title) {
                // A wider place may hold by chance what the sentence in it says otherwise.
                None if against.is_some_and(|(i, d)| contradicts(d) && places[i].is_within(place)) => {}
                None if place.sound && place.score >= SUPPORTED => {
                    let score = place.score;
                    return Ok(claim.done(Verdict::Supported, Some(self.cite(place)), score));
                }
                None => {}
                Some(difference) => against = against.or(Some((i, difference))),
            }
        }
        match against.filter(|(i, d)| contradicts(*d) && places[*i].score >= SAME_SUBJECT) {
            Some((i, _)) => {
                let evidence = self.cite(&places[i]);
                Ok(claim.done(Verdict::Contradicted, Some(evidence), places[i].score))
            }
            None => Ok(claim.done(Verdict::Unsupported, None, best)),
        }
    }

    /// The places that say most of a claim, the best first.
    fn places(&self, claim: &Claim, embedder: &dyn Embed, cancel: &Cancel) -> Result<Vec<Place>> {
        let asked = Asked::new(&claim.text, false);
        let found: Vec<Found> =
            self.sentences.iter().map(|(i, s)| asked.find(&self.passages[*i].text[s.start..s.end])).collect();
        let count = |i: usize| found.iter().filter(|f| f.has(i)).count();
        // Numbers are compared as facts; so few passages say little of how rare a word is.
        let numbers_only = asked.terms.iter().all(|t| t.number);
        let weight = |i: usize| match asked.terms[i].number && !numbers_only {
            true => 0.0,
            false => 1.0 + RARITY * idf(found.len(), count(i)),
        };
        let weights: Vec<f64> = (0..asked.terms.len()).map(weight).collect();
        let total = weights.iter().sum::<f64>().max(1e-9);
        let mine: Vec<(Term, &str)> =
            asked.terms.iter().copied().zip(asked.words.iter().map(String::as_str)).collect();
        let related = related(&mine, &self.words, cancel)?;
        let query = embedder.embed(&[claim.text.as_str()], cancel)?;
        let mut places = Vec::new();
        for from in 0..self.sentences.len() {
            let (passage, _) = self.sentences[from];
            if !(claim.markers.is_empty() || claim.markers.contains(&(passage + 1))) {
                continue;
            }
            let titled = asked.find(&self.passages[passage].title);
            let mut sum = titled;
            let mut nearest = [0.0f64; MAX_TERMS];
            let mut vector = vec![0.0f32; self.vectors.cols()];
            for to in from..(from + MAX_TOGETHER).min(self.sentences.len()) {
                let (other, sentence) = self.sentences[to];
                if other != passage {
                    break;
                }
                sum = sum.or(found[to]);
                near(&self.passages[passage].text[sentence.start..sentence.end], &related, &mut nearest);
                vector.iter_mut().zip(self.vectors.row(to)).for_each(|(sum, v)| *sum += v);
                let length = dot(&vector, &vector).sqrt().max(1e-9);
                let cosine = f64::from(dot(&vector, query.row(0)) / length).clamp(0.0, 1.0);
                let words = sum.weight_with(&weights, &nearest) / total;
                let score = WORDS * words + (1.0 - WORDS) * cosine - PER_SENTENCE * (to - from) as f64;
                let sound = joins(&asked, &weights, titled, &found[from..=to]);
                places.push(Place { from, to, score: score.clamp(0.0, 1.0), sound });
            }
        }
        places.sort_by(|a, b| b.score.total_cmp(&a.score).then((a.from, a.to).cmp(&(b.from, b.to))));
        places.truncate(MAX_PLACES);
        Ok(places)
    }

    fn text(&self, place: &Place) -> &'p str {
        let (passage, first) = self.sentences[place.from];
        let (_, last) = self.sentences[place.to];
        &self.passages[passage].text[first.start..last.end]
    }

    fn cite(&self, place: &Place) -> Citation {
        let (i, first) = self.sentences[place.from];
        let passage = &self.passages[i];
        let text = self.text(place);
        let start = passage.start.saturating_add(first.start);
        Citation {
            marker: format!("[{}]", i + 1),
            doc_id: passage.doc_id.clone(),
            chunk_id: passage.chunk_id.clone(),
            title: passage.title.clone(),
            text: text.to_owned(),
            start,
            end: start.saturating_add(text.len()),
            before: passage.before.and(passage.text.get(..first.start).unwrap_or_default()),
        }
    }
}

/// Whether sentences may bear out a claim together: each beside the main one adds two words or more, or else it stands
/// before the main one and adds what the claim begins with, as a pronoun would take it up. A name or number that is lent
/// in another way makes a statement that nobody made.
fn joins(asked: &Asked, weights: &[f64], titled: Found, found: &[Found]) -> bool {
    let mut main = 0;
    for (i, f) in found.iter().enumerate() {
        if f.weight(weights) > found[main].weight(weights) {
            main = i;
        }
    }
    let half = asked.terms.len().div_ceil(2);
    (0..found.len()).filter(|i| *i != main).all(|i| {
        let others = found.iter().enumerate().filter(|(other, _)| *other != i);
        let others = others.fold(titled, |sum, (_, f)| sum.or(*f));
        let own = found[i].without(others);
        let lent = (0..asked.terms.len()).filter(|t| own.has(*t));
        let names = lent.clone().filter(|t| asked.names[*t]);
        lent.count() >= 2 || names.into_iter().all(|t| i < main && t < half)
    })
}

/// Raises, for each word of a claim, how near the words of a text come to it.
fn near(text: &str, related: &Related, nearest: &mut [f64; MAX_TERMS]) {
    for (i, much) in terms(text).iter().filter_map(|t| related.get(&t.stem)).flatten() {
        nearest[*i] = nearest[*i].max(*much);
    }
}
