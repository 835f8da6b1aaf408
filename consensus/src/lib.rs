//! How well do raters agree, and what is true?
#![warn(missing_docs)]

pub mod agreement;
pub mod data;
mod math;
pub mod truth;

pub use data::{Column, Duplicates, Label, Ratings, RatingsOptions};
