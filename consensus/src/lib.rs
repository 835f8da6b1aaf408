//! How well do raters agree, and what is true?
#![warn(missing_docs)]

mod check;
pub mod ranking;
