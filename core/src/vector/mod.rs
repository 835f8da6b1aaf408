//! How are vectors held, compared and ranked?

mod kernel;
mod matrix;
mod pages;
mod quant;
mod scan;
mod topk;

pub use kernel::{
    cosine, dot, dot_bf16, dot_f16, dot_i8, dot_matrix, dot_rows, dot_rows_i8, dot_rows_scaled, dot_subset,
    dot_subset_i8, dot_subset_scaled, hamming, instruction_set, prefetch, squared_l2,
};
pub use matrix::Matrix;
pub use quant::{
    BinaryMatrix, Half, HalfMatrix, Int8Matrix, Int8Query, int8_error, quantize_int8, sign_bits,
};
pub use scan::{Metric, MetricRows, Rows, Scan, check_query, nearest, nearest_batch, nearest_rescored};
pub use topk::{Scored, TopK};
