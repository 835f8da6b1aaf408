//! Which words must be found, and which of them does a text have?

use super::cues::{self, Wants};
use super::terms::{Term, each_term, terms};
use super::words::{FRAME, has};

/// What a word that shares only its beginning counts.
pub(super) const HALF: f64 = 0.6;

/// Most words of a question or a claim that are looked at.
pub(super) const MAX_TERMS: usize = 64;

/// The words of a question that an answer should have.
pub(super) struct Asked {
    pub(super) terms: Vec<Term>,
    pub(super) words: Vec<String>,
    pub(super) names: Vec<bool>,
    pub(super) wants: Wants,
}

/// Which of the question's words were found, as bits: as they are, or by their beginning alone.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Found {
    pub(super) exact: u64,
    pub(super) half: u64,
}

impl Found {
    pub(super) fn or(self, other: Found) -> Found {
        Found { exact: self.exact | other.exact, half: self.half | other.half }
    }

    /// What is here and not in `other`.
    pub(super) fn without(self, other: Found) -> Found {
        let theirs = other.exact | other.half;
        Found { exact: self.exact & !theirs, half: self.half & !theirs }
    }

    /// Whether a word was found.
    pub(super) fn has(self, i: usize) -> bool {
        (self.exact | self.half) >> i & 1 == 1
    }

    /// The weight of what was found, and of what comes near in meaning where a word was not.
    pub(super) fn weight_with(self, weights: &[f64], nearest: &[f64]) -> f64 {
        let one = |(i, w): (usize, &f64)| match (self.exact >> i & 1, self.half >> i & 1) {
            (1, _) => *w,
            (_, half) => w * (HALF * half as f64).max(nearest[i]),
        };
        weights.iter().enumerate().map(one).sum()
    }

    /// The weight of what was found.
    pub(super) fn weight(self, weights: &[f64]) -> f64 {
        let one = |(i, w): (usize, &f64)| match (self.exact >> i & 1, self.half >> i & 1) {
            (1, _) => *w,
            (_, 1) => HALF * w,
            _ => 0.0,
        };
        weights.iter().enumerate().map(one).sum()
    }
}

impl Asked {
    /// The words of a question; `frames` tells that words such as `year` in `what year` need not be in the answer.
    pub(super) fn new(text: &str, frames: bool) -> Self {
        let all = terms(text);
        let mut kept: Vec<(Term, bool)> = Vec::new();
        let framed = |t: &Term| frames && has(FRAME, &text[t.start..t.end].to_lowercase());
        let subject = all.iter().any(|t| !t.function && !framed(t));
        let telling = all.iter().any(|t| !t.function);
        for (i, term) in all.iter().enumerate() {
            let known = kept.iter().any(|(k, _)| k.stem == term.stem);
            let frame = subject && framed(term);
            if (term.function && telling) || frame || known || kept.len() == MAX_TERMS {
                continue;
            }
            let word = &text[term.start..term.end];
            let capital = word.starts_with(char::is_uppercase);
            let acronym = word.chars().filter(|c| c.is_uppercase()).count() > 1;
            kept.push((*term, term.number || acronym || (capital && i > 0)));
        }
        let (terms, names): (Vec<Term>, Vec<bool>) = kept.into_iter().unzip();
        let words = terms.iter().map(|t| text[t.start..t.end].to_owned()).collect();
        Asked { terms, words, names, wants: cues::wants(&text.to_lowercase()) }
    }

    /// The bit of a word, and whether only its beginning fits.
    pub(super) fn place(&self, term: &Term) -> Option<(usize, bool)> {
        let exact = self.terms.iter().position(|q| q.stem == term.stem).map(|i| (i, false));
        exact.or_else(|| {
            let begins = |q: &Term| q.beginning != 0 && q.beginning == term.beginning;
            self.terms.iter().position(begins).map(|i| (i, true))
        })
    }

    pub(super) fn find(&self, text: &str) -> Found {
        let mut found = Found::default();
        each_term(text, |term| {
            if let Some((i, half)) = self.place(&term) {
                *(if half { &mut found.half } else { &mut found.exact }) |= 1 << i;
            }
        });
        found
    }
}
