//! How does an expert answer?

#![warn(missing_docs)]

mod evidence;
mod extractive;

pub use evidence::{Citation, Passage, Retrieve, Wanted};
pub use extractive::{
    AnswerCalibration, Chosen, Evidence, ExtractOptions, Extracted, Sentence, SentenceKind, Signals, extract,
    sentences,
};
