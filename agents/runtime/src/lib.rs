//! How does an expert answer?

#![warn(missing_docs)]

mod evidence;

pub use evidence::{Citation, Passage, Retrieve, Wanted};
