//! How does an expert answer?

#![warn(missing_docs)]

mod evidence;
mod extractive;

pub use evidence::{Citation, Passage, Retrieve, Wanted};
pub use extractive::{
    AnswerCalibration, Check, Chosen, EXTRACTIVE, Evidence, ExtractOptions, Extracted, ExtractiveModel,
    NOT_IN_SOURCES, Sentence, SentenceKind, Signals, Verdict, check, extract, grounded, sentences,
};
