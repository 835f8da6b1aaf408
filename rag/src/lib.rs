//! How are documents kept, found, ranked and cited?

#![warn(missing_docs)]

pub mod eval;
pub mod filter;
pub mod index;
mod rows;

pub use rows::RowSet;
