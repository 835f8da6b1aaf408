//! How is a question answered without a language model?
//!
//! [`extract`] gives the sentences of passages that answer, word for word and cited, or nothing when none does;
//! [`check`] tells which statements of an answer, whoever wrote it, its passages bear out.

mod amounts;
mod asked;
mod calibration;
mod check;
mod cues;
mod extract;
mod facts;
mod meaning;
mod model;
mod polarity;
mod sentences;
mod signals;
mod terms;
mod units;
mod words;

pub use calibration::AnswerCalibration;
pub use check::{Check, Verdict, check, grounded};
pub use extract::{Chosen, ExtractOptions, Extracted, extract};
pub(crate) use model::options_of;
pub use model::{EXTRACTIVE, ExtractiveModel, NOT_IN_SOURCES};
pub use sentences::{Sentence, SentenceKind, sentences};
pub use signals::{Evidence, Signals};
