//! How does an expert answer?

#![warn(missing_docs)]

mod evidence;
mod extractive;

pub use evidence::{Citation, Passage, Retrieve, Wanted};
pub use extractive::{
    AnswerCalibration, Check, Chosen, Evidence, ExtractOptions, Extracted, Sentence, SentenceKind, Signals,
    Verdict, check, extract, grounded, sentences,
};
