//! Which sentences of the passages answer the question?
//!
//! Each sentence is weighed by a linear sum of its signals; the set is chosen by maximal marginal relevance
//! (Carbonell & Goldstein 1998), so that no sentence says again what another says. Whether the passages answer at all
//! is a logistic function of the evidence (Platt 1999).

use std::sync::Arc;

use quorate_core::embed::{Embed, StaticModel};
use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::{Citation, Passage};

use super::calibration::{AnswerCalibration, Weights};
use super::sentences::SentenceKind;
use super::signals::{Evidence, Pool, Signals, words_of};

/// How sentences are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExtractOptions {
    /// The most sentences of an answer, 1 to 1,000.
    pub max_sentences: usize,
    /// Below this probability that the passages answer, nothing is given: 0 to 1. Default 0.5.
    ///
    /// The probability was fitted on questions of fact, in whose words the answer stands. Questions that ask for advice
    /// share few words with their sources and get little of it: who has a shelf that fits its questions may lower the
    /// bound, at the price of answers to questions that the sources do not answer. Measured with the built-in model, shares
    /// that were answered: 140 questions of XQuAD and SciFact (`tests/fixtures/extract_quality.json`) of their own documents
    /// and of the other collection's; 25 questions for advice (`worked/questions.yaml`) of their own sources and of other
    /// experts'.
    ///
    /// | bound | fact, own | fact, foreign | advice, own | advice, foreign |
    /// |---|---|---|---|---|
    /// | 0.5 | .87 | .01 | .08 | 0 |
    /// | 0.3 | .91 | .03 | .12 | .002 |
    /// | 0.1 | .98 | .05 | .32 | .01 |
    /// | 0.05 | .98 | .11 | .68 | .02 |
    /// | 0.03 | .99 | .24 | .88 | .05 |
    /// | 0.01 | 1 | .65 | 1 | .27 |
    pub min_confidence: f64,
    /// How much a sentence must differ from those before it: 0, not at all, to 1, nothing else counts.
    pub diversity: f64,
    /// How likely a sentence must be to answer, against the best one, to stand beside it: 0 to 1.
    pub min_share: f64,
    /// What turns evidence into confidence; `None`: what ships for the embedder.
    pub calibration: Option<AnswerCalibration>,
}

impl Default for ExtractOptions {
    fn default() -> Self {
        ExtractOptions {
            max_sentences: 3,
            min_confidence: 0.5,
            diversity: 0.3,
            min_share: 0.03,
            calibration: None,
        }
    }
}

impl ExtractOptions {
    /// What a journal notes of them: nothing where they are the defaults, or nobody goes by them.
    pub(crate) fn noted(&self, extractive: bool) -> Option<ExtractOptions> {
        (extractive && *self != ExtractOptions::default()).then(|| self.clone())
    }

    /// Checks the values. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if !(1..=1000).contains(&self.max_sentences) {
            return Err(Error::invalid(format!(
                "max_sentences is {}, expected 1 to 1000",
                self.max_sentences
            )));
        }
        for (name, value) in [
            ("min_confidence", self.min_confidence),
            ("diversity", self.diversity),
            ("min_share", self.min_share),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::invalid(format!("{name} is {value}, expected 0 to 1")));
            }
        }
        self.calibration.as_ref().map_or(Ok(()), AnswerCalibration::validate)
    }
}

/// The sentences that answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// The sentences, the best first, each followed by its marker: `First. [1] Second. [2]`. Empty when the answer is
    /// not in the passages.
    pub text: String,
    /// Where each sentence stands; the first is `[1]`.
    pub citations: Vec<Citation>,
    /// The probability that the passages answer the question.
    pub confidence: f64,
    /// What spoke for each sentence, in the order of the citations.
    pub sentences: Vec<Chosen>,
    /// What the confidence was computed from.
    pub evidence: Evidence,
}

impl Extracted {
    /// The citations as passages, which [`check`](crate::check) counts as the markers of the text do.
    pub fn passages(&self) -> Vec<Passage> {
        self.citations.iter().map(Passage::from).collect()
    }
}

/// One sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The place of its passage among those given, from 0.
    pub passage: usize,
    /// How likely it is to answer, against the best sentence: above 0, up to 1 for that one.
    pub share: f64,
    /// Its weighted signals, added up.
    pub score: f64,
    /// What spoke for it.
    pub signals: Signals,
}

/// Answers a question with sentences of passages, which are given best first. Nothing is written anew: each sentence is
/// cited with its place, so that `document_text[start..end]` is what the answer says.
///
/// Sentences are compared by `embedder` where it is local, and else by the model inside this library. The same input gives the same answer.
///
/// Errors: `empty_input` for a question without a word, `invalid_argument`, `cancelled`, and those of the embedder.
///
/// ```
/// use quorate_core::Cancel;
/// use quorate_runtime::{ExtractOptions, Passage, extract};
/// let text = "Metformin is taken with meals. The usual starting dose is 500 mg twice daily. Store it dry.";
/// let passage = Passage { doc_id: "d1".into(), text: text.into(), end: text.len(), ..Passage::default() };
/// let question = "What is the starting dose of metformin?";
/// let answer = extract(question, &[passage], None, &ExtractOptions::default(), &Cancel::new())?;
/// assert!(answer.text.starts_with("The usual starting dose is 500 mg twice daily. [1]"));
/// assert_eq!(&text[answer.citations[0].start..answer.citations[0].end], answer.citations[0].text);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn extract(
    question: &str,
    passages: &[Passage],
    embedder: Option<&dyn Embed>,
    options: &ExtractOptions,
    cancel: &Cancel,
) -> Result<Extracted> {
    options.validate()?;
    if !question.contains(char::is_alphanumeric) {
        return Err(Error::new(Code::EmptyInput, "the question has no word"));
    }
    let own: Arc<StaticModel>;
    let embedder: &dyn Embed = match embedder.filter(|e| e.is_local()) {
        Some(embedder) => embedder,
        None => {
            own = StaticModel::builtin()?;
            own.as_ref()
        }
    };
    let pool = Pool::new(question, passages, embedder, cancel)?;
    let weights = Weights::of(embedder.id());
    let scores: Vec<f64> = pool.candidates.iter().map(|c| weights.score(&c.signals)).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let Some(&best) = order.first() else { return Ok(Extracted::default()) };
    let evidence = pool.evidence(&pool.candidates[best]);
    let calibration = options.calibration.unwrap_or_else(|| AnswerCalibration::of(embedder.id()));
    let confidence = calibration.confidence(&evidence);
    let mut out = Extracted { confidence, evidence, ..Extracted::default() };
    if confidence < options.min_confidence {
        return Ok(out);
    }
    let shares: Vec<f64> = scores.iter().map(|s| (s - scores[best]).exp()).collect();
    for i in marginal(&pool, &order, &shares, options, cancel)? {
        let candidate = &pool.candidates[i];
        let passage = &passages[candidate.passage];
        let words = words_of(candidate, passages);
        let marker = format!("[{}]", out.citations.len() + 1);
        if !out.text.is_empty() {
            out.text.push(if candidate.sentence.kind == SentenceKind::Row { '\n' } else { ' ' });
        }
        out.text.push_str(words);
        out.text.push(' ');
        out.text.push_str(&marker);
        let start = passage.start.saturating_add(candidate.sentence.start);
        out.citations.push(Citation {
            marker,
            doc_id: passage.doc_id.clone(),
            chunk_id: passage.chunk_id.clone(),
            title: passage.title.clone(),
            text: words.to_owned(),
            start,
            end: start.saturating_add(words.len()),
            before: passage.before.and(passage.text.get(..candidate.sentence.start).unwrap_or_default()),
        });
        out.sentences.push(Chosen {
            passage: candidate.passage,
            share: shares[i],
            score: scores[i],
            signals: candidate.signals,
        });
    }
    Ok(out)
}

/// The set with the greatest marginal relevance, in the order in which it grew.
fn marginal(
    pool: &Pool,
    order: &[usize],
    shares: &[f64],
    options: &ExtractOptions,
    cancel: &Cancel,
) -> Result<Vec<usize>> {
    let mut left: Vec<usize> = order.iter().copied().filter(|i| shares[*i] >= options.min_share).collect();
    if options.diversity == 0.0 {
        left.truncate(options.max_sentences);
        return Ok(left);
    }
    let mut nearest = vec![0.0f64; shares.len()];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < options.max_sentences && !left.is_empty() {
        cancel.check()?;
        let worth = |i: usize| (1.0 - options.diversity) * shares[i] - options.diversity * nearest[i];
        let mut at = 0;
        for (place, i) in left.iter().enumerate() {
            if worth(*i) > worth(left[at]) {
                at = place;
            }
        }
        let next = left.remove(at);
        for i in &left {
            let likeness = pool.likeness(&pool.candidates[*i], &pool.candidates[next]);
            nearest[*i] = nearest[*i].max(likeness);
        }
        chosen.push(next);
    }
    Ok(chosen)
}
