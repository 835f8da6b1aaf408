//! How well do raters agree, and what is true?
#![warn(missing_docs)]

mod check;
pub mod density;
pub mod minority;
pub mod pooling;
pub mod ranking;
pub mod swarm;
