//! What speaks for a sentence as an answer, and how much does it count?

use std::collections::HashMap;

use quorate_core::embed::Embed;
use quorate_core::vector::{Matrix, dot};
use quorate_core::{Cancel, Result};
use serde::{Deserialize, Serialize};

use crate::Passage;

use super::asked::{Asked, Found, HALF, MAX_TERMS};
use super::cues::{self, Wants};
use super::meaning::{Related, related};
use super::sentences::{Sentence, SentenceKind, sentences};
use super::terms::{Term, idf, terms};

/// Saturation of term frequency in BM25 (Robertson & Zaragoza 2009).
const K1: f64 = 1.2;

/// Length normalisation of BM25.
const B: f64 = 0.75;

/// Most sentences that are embedded: those that the words speak for.
const MAX_EMBEDDED: usize = 256;

/// New words from which on a sentence says enough that is not in the question.
const ENOUGH_NEW: f64 = 5.0;

/// What speaks for one sentence. Shares are of the idf of the question's words over the sentences given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// The share of the question's words that it has.
    pub coverage: f64,
    /// The same with frequency and length as BM25 weighs them.
    pub bm25: f64,
    /// The share of the words that only the sentences beside it, or the heading above, have.
    pub context: f64,
    /// The share of the words that only the rest of the passage or the title have.
    pub passage: f64,
    /// How near in meaning its words come to those that it lacks, as a share of the words.
    pub meaning: f64,
    /// The share of the question's pairs of words that stand together in it.
    pub pairs: f64,
    /// Its cosine with the question, in standard deviations above the mean of the sentences; 0 without an embedder.
    pub cosine: f64,
    /// The same for it together with the sentences beside it.
    pub nearby: f64,
    /// 1 in the first passage, 1/2 in the second, and so on.
    pub rank: f64,
    /// 1 where it has what the question asks for: a number, a date, a name, a reason. 1/2 where that is not told.
    pub holds: f64,
    /// How much it says that the question does not, up to 1.
    pub fresh: f64,
    /// The logarithm of the number of its words, over that of 40.
    pub length: f64,
    /// 1 unless the passage cuts it off.
    pub whole: f64,
    /// 1 for a list with the words that lead to it.
    pub list: f64,
    /// 1 where it tells what shall be found out, or that nobody knows. Not among the [`values`](Signals::values), for no
    /// collection tells how much it should count.
    pub aim: f64,
}

/// How many signals there are.
pub(super) const SIGNALS: usize = 14;

impl Signals {
    /// The signals that are fitted, in the order of the fields.
    pub fn values(&self) -> [f64; SIGNALS] {
        [
            self.coverage,
            self.bm25,
            self.context,
            self.passage,
            self.meaning,
            self.pairs,
            self.cosine,
            self.nearby,
            self.rank,
            self.holds,
            self.fresh,
            self.length,
            self.whole,
            self.list,
        ]
    }
}

/// What is known of how well the passages answer a question as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The share of the question's words in the best sentence.
    pub coverage: f64,
    /// The share in the best sentence and those beside it.
    pub around: f64,
    /// The share in the passage that has most of them, its title included.
    pub passage: f64,
    /// The share that no passage has.
    pub absent: f64,
    /// The share of the question's names and numbers that no passage has; 0 where it has none.
    pub names: f64,
    /// How near in meaning the best sentence's words come to those that it lacks.
    pub meaning: f64,
    /// The greatest share of words, with what comes near in meaning, of any sentence.
    pub likeness: f64,
    /// The share of the question's pairs of words that stand together in the best sentence.
    pub pairs: f64,
    /// How far the passage that has most of the words stands out: its share less the mean of all.
    pub apart: f64,
    /// The best cosine of a sentence; 0 without an embedder.
    pub cosine: f64,
    /// The mean of the five best cosines.
    pub company: f64,
    /// How many words the question has, as a logarithm.
    pub words: f64,
}

/// How many numbers the evidence has.
pub(super) const EVIDENCE: usize = 12;

impl Evidence {
    /// The numbers in the order of the fields.
    pub fn values(&self) -> [f64; EVIDENCE] {
        [
            self.coverage,
            self.around,
            self.passage,
            self.absent,
            self.names,
            self.meaning,
            self.likeness,
            self.pairs,
            self.apart,
            self.cosine,
            self.company,
            self.words,
        ]
    }
}

/// A sentence that may answer.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) passage: usize,
    pub(super) sentence: Sentence,
    pub(super) signals: Signals,
    /// Stems, sorted, each once.
    pub(super) stems: Vec<u64>,
    /// Its vector's row, where it was embedded.
    pub(super) row: Option<usize>,
}

/// All that was found out about a question and its passages.
pub(super) struct Pool {
    pub(super) candidates: Vec<Candidate>,
    pub(super) vectors: Option<Matrix>,
    /// The cosines of the rows with the question.
    cosines: Vec<f64>,
    question: Asked,
    passages: Vec<Found>,
    weights: Vec<f64>,
}

/// A sentence as it was read, answer or not.
struct Read {
    passage: usize,
    sentence: Sentence,
    found: Found,
    counts: Vec<(usize, f64)>,
    pairs: u64,
    words: usize,
    fresh: usize,
    holds: bool,
    stems: Vec<u64>,
}

impl Pool {
    /// Reads the passages and measures each sentence. Errors: `cancelled` and those of the embedder.
    pub(super) fn new(
        question: &str,
        passages: &[Passage],
        embedder: &dyn Embed,
        cancel: &Cancel,
    ) -> Result<Pool> {
        let asked = Asked::new(question, true);
        let mut all: Vec<Read> = Vec::new();
        let mut whole: Vec<Found> = Vec::with_capacity(passages.len());
        let mut words: HashMap<u64, &str> = HashMap::new();
        for (i, passage) in passages.iter().enumerate() {
            cancel.check()?;
            let from = all.len();
            for sentence in sentences(&passage.text) {
                all.push(read(&asked, i, sentence, &passage.text, &mut words));
            }
            let titled = asked.find(&passage.title);
            whole.push(all[from..].iter().fold(titled, |sum, r| sum.or(r.found)));
        }
        let weights: Vec<f64> = (0..asked.terms.len())
            .map(|i| {
                idf(all.len(), all.iter().filter(|r| (r.found.exact | r.found.half) >> i & 1 == 1).count())
            })
            .collect();
        let total: f64 = weights.iter().sum::<f64>().max(1e-9);
        let mine: Vec<(Term, &str)> =
            asked.terms.iter().copied().zip(asked.words.iter().map(String::as_str)).collect();
        let related = related(&mine, &words, cancel)?;
        let mean_words = all.iter().map(|r| r.words).sum::<usize>() as f64 / all.len().max(1) as f64;
        let pairs = asked.terms.len().saturating_sub(1).max(1) as f64;
        let around = beside(&all);
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (at, r) in all.iter().enumerate() {
            if matches!(r.sentence.kind, SentenceKind::Heading | SentenceKind::Question)
                || !seen.insert(&r.stems)
            {
                continue;
            }
            let text = &passages[r.passage].text;
            let beside = around[at];
            let bm25: f64 = r
                .counts
                .iter()
                .map(|(i, tf)| {
                    let norm = 1.0 - B + B * r.words as f64 / mean_words.max(1.0);
                    weights[*i] * tf * (K1 + 1.0) / (tf + K1 * norm)
                })
                .sum();
            let signals = Signals {
                coverage: r.found.weight(&weights) / total,
                bm25: bm25 / total,
                context: beside.without(r.found).weight(&weights) / total,
                passage: whole[r.passage].without(r.found.or(beside)).weight(&weights) / total,
                meaning: meaning(r, &related, &weights) / total,
                pairs: f64::from(r.pairs.count_ones()) / pairs,
                rank: 1.0 / (1.0 + r.passage as f64),
                holds: match asked.wants {
                    Wants::Anything => 0.5,
                    _ => f64::from(u8::from(r.holds)),
                },
                fresh: (r.fresh as f64 / ENOUGH_NEW).min(1.0),
                length: (r.words.max(1) as f64).ln() / 40f64.ln(),
                whole: f64::from(u8::from(is_whole(text, &r.sentence, &passages[r.passage]))),
                list: f64::from(u8::from(r.sentence.kind == SentenceKind::List)),
                aim: f64::from(u8::from(cues::sets_out(&text[r.sentence.start..r.sentence.end]))),
                ..Signals::default()
            };
            candidates.push(Candidate {
                passage: r.passage,
                sentence: r.sentence,
                signals,
                stems: r.stems.clone(),
                row: None,
            });
        }
        let mut pool = Pool {
            candidates,
            vectors: None,
            cosines: Vec::new(),
            question: asked,
            passages: whole,
            weights,
        };
        pool.embed(question, passages, embedder, cancel)?;
        Ok(pool)
    }

    fn embed(
        &mut self,
        question: &str,
        passages: &[Passage],
        embedder: &dyn Embed,
        cancel: &Cancel,
    ) -> Result<()> {
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        if order.len() > MAX_EMBEDDED {
            let by_words =
                |i: &usize| self.candidates[*i].signals.bm25 + 0.5 * self.candidates[*i].signals.context;
            order.sort_by(|a, b| by_words(b).total_cmp(&by_words(a)).then(a.cmp(b)));
            order.truncate(MAX_EMBEDDED);
            order.sort_unstable();
        }
        if order.is_empty() {
            return Ok(());
        }
        cancel.check()?;
        let query = embedder.embed_query(question)?;
        let texts: Vec<&str> = order.iter().map(|i| words_of(&self.candidates[*i], passages)).collect();
        let vectors = embedder.embed(&texts, cancel)?;
        let cosine = |row: &[f32]| f64::from(dot(&query, row));
        self.cosines = vectors.iter().map(cosine).collect();
        // A sentence with those beside it: the direction of the sum of their vectors.
        let nearby: Vec<f64> = (0..order.len())
            .map(|row| {
                let near = |other: usize| {
                    let (a, b) = (&self.candidates[order[row]], &self.candidates[order[other]]);
                    a.passage == b.passage && order[row].abs_diff(order[other]) <= 1
                };
                let rows = row.saturating_sub(1)..=(row + 1).min(order.len() - 1);
                let rows: Vec<usize> = rows.filter(|other| near(*other)).collect();
                let sum: f64 = rows.iter().map(|other| self.cosines[*other]).sum();
                let square: f64 = rows
                    .iter()
                    .flat_map(|a| rows.iter().map(move |b| (*a, *b)))
                    .map(|(a, b)| f64::from(dot(vectors.row(a), vectors.row(b))))
                    .sum();
                sum / square.max(1e-9).sqrt()
            })
            .collect();
        let (own, near) = (standard(&self.cosines), standard(&nearby));
        for (row, i) in order.iter().enumerate() {
            let candidate = &mut self.candidates[*i];
            candidate.row = Some(row);
            candidate.signals.cosine = own[row];
            candidate.signals.nearby = near[row];
        }
        self.vectors = Some(vectors);
        Ok(())
    }

    /// What speaks for the passages as a whole when `best` is the best sentence.
    pub(super) fn evidence(&self, best: &Candidate) -> Evidence {
        let total: f64 = self.weights.iter().sum::<f64>().max(1e-9);
        let share = |found: Found| found.weight(&self.weights) / total;
        let all = self.passages.iter().fold(Found::default(), |sum, p| sum.or(*p));
        let here = all.exact | all.half;
        let names = self.question.names.iter().enumerate().filter(|(_, name)| **name);
        let (mut known, mut unknown) = (0.0, 0.0);
        for (i, _) in names {
            *(if here >> i & 1 == 1 { &mut known } else { &mut unknown }) += self.weights[i];
        }
        let mut cosines = self.cosines.clone();
        cosines.sort_by(|a, b| b.total_cmp(a));
        let top = &cosines[..cosines.len().min(5)];
        Evidence {
            coverage: best.signals.coverage,
            around: best.signals.coverage + best.signals.context,
            passage: self.passages.iter().map(|p| share(*p)).fold(0.0, f64::max),
            absent: 1.0 - share(Found { exact: here, half: 0 }),
            meaning: best.signals.meaning,
            likeness: self
                .candidates
                .iter()
                .map(|c| c.signals.coverage + c.signals.meaning)
                .fold(0.0, f64::max),
            pairs: best.signals.pairs,
            apart: {
                let shares: Vec<f64> = self.passages.iter().map(|p| share(*p)).collect();
                let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
                shares.iter().copied().fold(0.0, f64::max) - mean
            },
            names: if unknown > 0.0 { unknown / (known + unknown) } else { 0.0 },
            cosine: top.first().copied().unwrap_or(0.0),
            company: top.iter().sum::<f64>() / top.len().max(1) as f64,
            words: (self.question.terms.len().max(1) as f64).ln(),
        }
    }

    /// How alike two sentences are, from 0 to 1: by their vectors, or else by the words that they share (Dice 1945).
    pub(super) fn likeness(&self, a: &Candidate, b: &Candidate) -> f64 {
        if let (Some(vectors), Some(i), Some(j)) = (&self.vectors, a.row, b.row) {
            return f64::from(dot(vectors.row(i), vectors.row(j))).clamp(0.0, 1.0);
        }
        let shared = a.stems.iter().filter(|s| b.stems.binary_search(s).is_ok()).count();
        2.0 * shared as f64 / (a.stems.len() + b.stems.len()).max(1) as f64
    }
}

/// The words of a candidate.
pub(super) fn words_of<'p>(candidate: &Candidate, passages: &'p [Passage]) -> &'p str {
    &passages[candidate.passage].text[candidate.sentence.start..candidate.sentence.end]
}

/// What the related words of a sentence are worth: for each word of the question that it lacks the nearest of its own.
fn meaning(read: &Read, related: &Related, weights: &[f64]) -> f64 {
    let mut nearest = [0.0f64; MAX_TERMS];
    for (i, much) in read.stems.iter().filter_map(|stem| related.get(stem)).flatten() {
        nearest[*i] = nearest[*i].max(*much);
    }
    let half = |i: usize| if read.found.half >> i & 1 == 1 { HALF } else { 0.0 };
    let worth = |(i, w): (usize, &f64)| match read.found.exact >> i & 1 {
        1 => 0.0,
        _ => (nearest[i] - half(i)).max(0.0) * w,
    };
    weights.iter().enumerate().map(worth).sum()
}

fn read<'p>(
    asked: &Asked,
    passage: usize,
    sentence: Sentence,
    text: &'p str,
    distinct: &mut HashMap<u64, &'p str>,
) -> Read {
    let words = &text[sentence.start..sentence.end];
    let all = terms(words);
    let mut found = Found::default();
    let mut counts: Vec<(usize, f64)> = Vec::new();
    let mut pairs = 0u64;
    let mut last: Option<(usize, usize)> = None;
    let mut new: Vec<Term> = Vec::new();
    for (at, term) in all.iter().enumerate() {
        if !term.function && !term.number {
            distinct.entry(term.stem).or_insert(&words[term.start..term.end]);
        }
        let Some((i, half)) = asked.place(term) else {
            if !term.function {
                new.push(*term);
            }
            continue;
        };
        *(if half { &mut found.half } else { &mut found.exact }) |= 1 << i;
        let weight = if half { HALF } else { 1.0 };
        match counts.iter_mut().find(|(known, _)| *known == i) {
            Some((_, count)) => *count += weight,
            None => counts.push((i, weight)),
        }
        if let Some((before, place)) = last
            && before + 1 == i
            && at - place <= 2
        {
            pairs |= 1 << before;
        }
        last = Some((i, at));
    }
    let mut stems: Vec<u64> = all.iter().map(|t| t.stem).collect();
    stems.sort_unstable();
    stems.dedup();
    let subject = |t: &Term| asked.place(t).is_some();
    let holds = match asked.wants {
        Wants::Definition => cues::defines(words, &all, subject),
        wants => cues::holds(wants, words, &new),
    };
    Read { passage, sentence, found, counts, pairs, words: all.len(), fresh: new.len(), holds, stems }
}

/// For each sentence what those beside it have, and the heading above it.
fn beside(all: &[Read]) -> Vec<Found> {
    let mut heading: Option<usize> = None;
    let mut out = Vec::with_capacity(all.len());
    for (at, r) in all.iter().enumerate() {
        let same = |i: &usize| all.get(*i).is_some_and(|other| other.passage == r.passage);
        let is_heading = |i: usize| all[i].sentence.kind == SentenceKind::Heading;
        let before = at.checked_sub(1).filter(same);
        let after = Some(at + 1).filter(same).filter(|i| !is_heading(*i));
        let above = heading.filter(same);
        let near = [before, after, above].into_iter().flatten();
        out.push(near.fold(Found::default(), |sum, i| sum.or(all[i].found)));
        if is_heading(at) {
            heading = Some(at);
        }
    }
    out
}

/// Whether the passage has the sentence from its beginning to its end.
fn is_whole(text: &str, sentence: &Sentence, passage: &Passage) -> bool {
    let words = &text[sentence.start..sentence.end];
    let begun = sentence.start > 0 || passage.start == 0 || !words.starts_with(char::is_lowercase);
    let prose = sentence.kind == SentenceKind::Prose;
    let done = !prose
        || sentence.end < text.trim_end().len()
        || !words.ends_with(|c: char| c.is_alphanumeric() || c == ',');
    begun && done
}

/// Numbers in standard deviations from their mean.
fn standard(values: &[f64]) -> Vec<f64> {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    values
        .iter()
        .map(|v| if deviation > 1e-6 { ((v - mean) / deviation).clamp(-4.0, 4.0) } else { 0.0 })
        .collect()
}
