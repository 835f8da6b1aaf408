//! Which shadows of the truth make it searchable?

pub mod dense;
