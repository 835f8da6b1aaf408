//! How is a BERT-family encoder run fast on a CPU?
//!
//! [`FastEncoder`] packs the weights of a BERT, RoBERTa, DistilBERT or MPNet encoder once, in f32 or int8, and runs batches of
//! sequences of any lengths without padding. Kernels are written once over [`lanes::Lanes`] and compiled for AVX-512,
//! AVX2, NEON and the compiler's baseline; the unit is chosen at run time.

mod aligned;
mod attention;
mod forward;
mod gemm;
mod int8;
mod isa;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod lanes_neon;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod math;
mod rows;
mod weights;

pub(crate) use forward::FastEncoder;

#[cfg(test)]
mod tests;
