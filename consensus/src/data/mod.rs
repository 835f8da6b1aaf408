//! Who said what about which item, and in what form do all methods read it?
//!
//! [`Ratings`] is the one input of the agreement and truth-inference methods: a sparse list of
//! (item, rater, value) entries, coded as `u32` and stored twice, by item and by rater. Building it costs one pass
//! and a counting sort; memory is linear in the number of entries (16 bytes each).

mod column;
mod label;
mod ratings;

pub use column::Column;
pub use label::Label;
pub use ratings::{Duplicates, Ratings, RatingsOptions, TableForm};
