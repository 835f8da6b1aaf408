//! How well do raters agree, and what is true?
#![warn(missing_docs)]

pub mod agreement;
mod check;
pub mod data;
pub mod delphi;
pub mod density;
mod math;
pub mod minority;
pub mod panel;
pub mod pooling;
pub mod ranking;
pub mod swarm;
pub mod text;
pub mod truth;

pub use data::{Column, Duplicates, Label, Ratings, RatingsOptions};
