//! What is asked of whom at once, and what came of it?

use quorate_core::Result;
use quorate_models::Output;
use serde_json::{Value, json};

use super::fact::Outcome;
use super::stance::{self, Reason, Said};

/// Tokens of an answer, what a model thinks included; of a speech in a debate both sides have the same, and are read as far as
/// [`crate::panels::prompt`] shows statements.
const TOKENS: u32 = 2048;
/// Words that a speech is asked to have.
pub(crate) const SPEECH_WORDS: u32 = 200;

/// Asks that may be made at once.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) asks: Vec<Ask>,
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// The ballots among them, read.
    pub(crate) said: Vec<Option<Said>>,
    /// The labels of positions in words, once they are grouped.
    pub(crate) labels: Option<Vec<Option<String>>>,
    /// Whether the budget, or the caller, ended it.
    pub(crate) cut: Option<String>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A member, by its seat.
    Seat(usize),
    Judge,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Ballot,
    Seeds,
    Proposal,
    /// For the first or the second side.
    Speech(usize),
    /// With the first side first, or the second one.
    Verdict(usize),
    /// Of the kind with this number.
    Question(usize),
    Answer(usize),
    Remark,
    Synthesis,
}

/// One ask.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) round: u32,
    pub(crate) who: Who,
    pub(crate) what: What,
    /// The last part of what is shown.
    pub(crate) task: String,
    /// The options in the order in which they are shown.
    pub(crate) options: Vec<String>,
    /// Whether there is a proposal to object to.
    pub(crate) objects: bool,
}

impl Stage {
    pub(crate) fn new(name: &'static str, asks: Vec<Ask>) -> Self {
        let (outcomes, said) = (vec![None; asks.len()], vec![None; asks.len()]);
        Stage { name, asks, outcomes, said, labels: None, cut: None }
    }

    /// The asks that are still to be made.
    pub(crate) fn open(&self) -> Vec<usize> {
        if self.cut.is_some() {
            return Vec::new();
        }
        (0..self.asks.len()).filter(|i| self.outcomes[*i].is_none()).collect()
    }

    pub(crate) fn has_ballots(&self) -> bool {
        self.asks.iter().any(|ask| ask.what == What::Ballot)
    }

    /// The answer to an ask.
    pub(crate) fn value(&self, ask: usize) -> Option<&Value> {
        match self.outcomes.get(ask) {
            Some(Some(Outcome::Answer { value, .. })) => Some(value),
            _ => None,
        }
    }
}

impl What {
    /// Most tokens of the answer.
    pub(crate) fn tokens(self) -> u32 {
        TOKENS
    }

    /// Whether it may use what the budget holds back.
    pub(crate) fn is_last(self) -> bool {
        self == What::Synthesis
    }

    /// What the log calls it.
    pub(crate) fn entry(self, round: u32) -> &'static str {
        match self {
            What::Ballot => "ballot",
            What::Seeds => "response",
            What::Speech(_) if round <= 2 => "opening",
            What::Speech(_) => "rebuttal",
            What::Question(_) => "question",
            What::Answer(_) | What::Remark => "response",
            What::Proposal | What::Verdict(_) | What::Synthesis => "summary",
        }
    }

    /// The form of what is no ballot.
    pub(crate) fn output(self, seeds: usize) -> Result<Output> {
        let text = json!({"type": "string", "minLength": 1});
        let numbers =
            json!({"type": "array", "items": {"type": "integer"}, "description": "Numbers of sources."});
        let object = |title: &str, properties: Value, required: &[&str]| json!({"title": title, "type": "object", "properties": properties, "required": required, "additionalProperties": false});
        Output::new(match self {
            What::Verdict(_) => object(
                "verdict",
                json!({"reason": text, "winner": {"type": "string", "enum": ["first", "second", "tie"]}}),
                &["reason", "winner"],
            ),
            What::Seeds => {
                let number = json!({"type": "number"});
                let one = object(
                    "quantiles",
                    json!({"q05": number, "q50": number, "q95": number}),
                    &["q05", "q50", "q95"],
                );
                let all = json!({"type": "array", "items": one, "minItems": seeds, "maxItems": seeds});
                object("seeds", json!({"answers": all}), &["answers"])
            }
            What::Answer(_) => {
                let status = json!({"type": "string", "enum": ["supported", "conceded", "open"]});
                let claim = object(
                    "claim",
                    json!({"claim": {"type": "integer"}, "status": status, "citations": numbers}),
                    &["claim", "status"],
                );
                object(
                    "answer",
                    json!({"text": text, "claims": {"type": "array", "items": claim}, "new_claims": stance::reasons()}),
                    &["text"],
                )
            }
            What::Question(_) => object("question", json!({"text": text}), &["text"]),
            What::Synthesis => object("synthesis", json!({"text": text}), &["text"]),
            _ => object("statement", json!({"text": text, "citations": numbers}), &["text"]),
        })
    }
}

/// A ballot, and where it was given.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) round: u32,
    pub(crate) seat: usize,
    pub(crate) said: Said,
    /// The position by which it is counted.
    pub(crate) holds: String,
}

impl Given {
    /// Its reasons as one text, with the sources that they name; `None` where there is none.
    pub(crate) fn reasons(&self) -> Option<(String, Vec<String>)> {
        let texts: Vec<&str> = self.said.reasons.iter().map(|reason| reason.text.trim()).collect();
        let mut citations: Vec<String> = Vec::new();
        for marker in self.said.reasons.iter().flat_map(|reason: &Reason| &reason.citations) {
            if !citations.contains(marker) {
                citations.push(marker.clone());
            }
        }
        (!texts.is_empty()).then(|| (texts.join(" "), citations))
    }

    /// Whether a reason names a source.
    pub(crate) fn is_cited(&self) -> bool {
        self.said.reasons.iter().any(|reason| !reason.citations.is_empty())
    }
}
