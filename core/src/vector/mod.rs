//! How are vectors held, compared and ranked?

mod matrix;

pub use matrix::Matrix;
