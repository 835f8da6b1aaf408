//! How are vectors stored in fewer bytes than f32?
//!
//! Bytes with one scale a vector (a quarter of f32), f16 and bf16 (a half), or the sign bits alone (1/32).
//! Scores on them are near the true ones; [`nearest_rescored`](super::nearest_rescored) puts the best of them
//! in their exact order.

use half::{bf16, f16};

use super::kernel;
use super::scan::{Rows, Scan};
use crate::{Code, Error, Result};

/// The largest code; -128 is not used, so that a vector and its negative have codes of one size.
const CODE_MAX: f32 = 127.0;
/// Added to a float below 2^22, it leaves the nearest integer in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// Writes `vector` as bytes and returns the scale `s`: component `i` is about `s * codes[i]`, off by at most
/// [`int8_error`]`(s)`. A vector of zeros has scale 0. Panics when the lengths differ.
///
/// Symmetric linear quantisation to the largest absolute component. Errors: `not_finite`.
///
/// ```
/// let mut codes = [0; 3];
/// let scale = quorate_core::vector::quantize_int8(&[0.5, -1.0, 0.0], &mut codes)?;
/// assert_eq!(codes, [64, -127, 0]);
/// assert_eq!(scale, 1.0 / 127.0);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn quantize_int8(vector: &[f32], codes: &mut [i8]) -> Result<f32> {
    assert!(vector.len() == codes.len(), "{} codes for {} components", codes.len(), vector.len());
    // The bits of floats without their sign are ordered as the floats are, NaN behind infinity.
    let bits = vector.iter().fold(0i32, |max, x| max.max((x.to_bits() & 0x7fff_ffff) as i32));
    let max = f32::from_bits(bits as u32);
    if !max.is_finite() {
        return Err(Error::new(Code::NotFinite, "a vector holds a component that is NaN or infinite"));
    }
    let steps = CODE_MAX / max;
    if !steps.is_finite() {
        codes.fill(0);
        return Ok(0.0);
    }
    for (code, &x) in codes.iter_mut().zip(vector) {
        *code = (x * steps + ROUND).to_bits() as i8;
    }
    Ok(max / CODE_MAX)
}

/// The largest difference between a component and its code times `scale`: half a step, and what f32 loses.
pub fn int8_error(scale: f32) -> f32 {
    scale * 0.5001 + 1e-36
}

/// Writes the signs of `vector`, 64 a word, the first in the lowest bit; a set bit means positive.
/// Panics unless `words` holds `vector.len()` bits, rounded up.
pub fn sign_bits(vector: &[f32], words: &mut [u64]) {
    assert!(words.len() == vector.len().div_ceil(64), "{} words for {} bits", words.len(), vector.len());
    for (word, part) in words.iter_mut().zip(vector.chunks(64)) {
        *word = part.iter().rev().fold(0, |bits, &x| bits << 1 | u64::from(x > 0.0));
    }
}

/// Vectors of bytes, each with its scale: 8 bits a component.
///
/// ```
/// use quorate_core::vector::{Int8Matrix, nearest};
/// let mut rows = Int8Matrix::new(2);
/// rows.push(&[1.0, 0.0])?;
/// rows.push(&[0.6, 0.8])?;
/// assert_eq!(nearest(&rows, &[0.0, 1.0], 1, None)?[0].index, 1);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Int8Matrix {
    codes: Vec<i8>,
    scales: Vec<f32>,
    dim: usize,
}

impl Int8Matrix {
    /// No vectors, of `dim` components each.
    pub fn new(dim: usize) -> Self {
        Int8Matrix { codes: Vec::new(), scales: Vec::new(), dim }
    }

    /// Adds a vector. Errors: `invalid_shape`, `not_finite`.
    pub fn push(&mut self, vector: &[f32]) -> Result<()> {
        super::scan::check_query(vector, self.dim)?;
        let start = self.codes.len();
        self.codes.resize(start + self.dim, 0);
        self.scales.push(quantize_int8(vector, &mut self.codes[start..])?);
        Ok(())
    }

    /// The codes of vector `i`. Panics when there is none.
    pub fn codes(&self, i: usize) -> &[i8] {
        &self.codes[i * self.dim..(i + 1) * self.dim]
    }

    /// The scale of vector `i`. Panics when there is none.
    pub fn scale(&self, i: usize) -> f32 {
        self.scales[i]
    }
}

/// A query as bytes with its scale.
#[derive(Clone, Debug)]
pub struct Int8Query {
    codes: Vec<i8>,
    scale: f32,
}

impl Rows for Int8Matrix {
    fn dim(&self) -> usize {
        self.dim
    }

    fn rows(&self) -> usize {
        self.scales.len()
    }
}

impl Scan for Int8Matrix {
    type Query = Int8Query;

    fn prepare(&self, query: &[f32]) -> Result<Int8Query> {
        let mut codes = vec![0; self.dim];
        let scale = quantize_int8(query, &mut codes)?;
        Ok(Int8Query { codes, scale })
    }

    fn score_range(&self, query: &Int8Query, first: usize, out: &mut [f32]) {
        let rows = &self.codes[first * self.dim..(first + out.len()) * self.dim];
        kernel::dot_rows_scaled(&query.codes, query.scale, rows, &self.scales[first..], out);
    }

    fn score_subset(&self, query: &Int8Query, ids: &[u32], out: &mut [f32]) {
        kernel::dot_subset_scaled(&query.codes, query.scale, &self.codes, &self.scales, ids, out);
    }
}

/// A half-precision float: [`struct@f16`] (3 decimal digits, up to 65,504) or [`bf16`] (2 digits, the range of f32).
pub trait Half: Copy + Send + Sync + private::Sealed {
    #[doc(hidden)]
    fn narrow(x: f32) -> Self;
    #[doc(hidden)]
    fn product(query: &[f32], row: &[Self]) -> f32;
}

mod private {
    pub trait Sealed {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

impl Half for f16 {
    fn narrow(x: f32) -> Self {
        f16::from_f32(x)
    }

    fn product(query: &[f32], row: &[Self]) -> f32 {
        kernel::dot_f16(query, row)
    }
}

impl Half for bf16 {
    fn narrow(x: f32) -> Self {
        bf16::from_f32(x)
    }

    fn product(query: &[f32], row: &[Self]) -> f32 {
        kernel::dot_bf16(query, row)
    }
}

/// Vectors of half-precision floats: 16 bits a component.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct HalfMatrix<T: Half> {
    data: Vec<T>,
    rows: usize,
    dim: usize,
}

impl<T: Half> HalfMatrix<T> {
    /// No vectors, of `dim` components each.
    pub fn new(dim: usize) -> Self {
        HalfMatrix { data: Vec::new(), rows: 0, dim }
    }

    /// Adds a vector. Errors: `invalid_shape`, `not_finite`.
    pub fn push(&mut self, vector: &[f32]) -> Result<()> {
        super::scan::check_query(vector, self.dim)?;
        self.data.extend(vector.iter().map(|&x| T::narrow(x)));
        self.rows += 1;
        Ok(())
    }

    /// Vector `i` as stored. Panics when there is none.
    pub fn row(&self, i: usize) -> &[T] {
        &self.data[i * self.dim..(i + 1) * self.dim]
    }
}

impl<T: Half> Rows for HalfMatrix<T> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn rows(&self) -> usize {
        self.rows
    }
}

impl<T: Half> Scan for HalfMatrix<T> {
    type Query = Vec<f32>;

    fn prepare(&self, query: &[f32]) -> Result<Vec<f32>> {
        Ok(query.to_vec())
    }

    fn score_range(&self, query: &Vec<f32>, first: usize, out: &mut [f32]) {
        for (i, score) in out.iter_mut().enumerate() {
            *score = T::product(query, self.row(first + i));
        }
    }

    fn score_subset(&self, query: &Vec<f32>, ids: &[u32], out: &mut [f32]) {
        for (&id, score) in ids.iter().zip(out) {
            *score = T::product(query, self.row(id as usize));
        }
    }
}

/// The signs of vectors: 1 bit a component. The score is `1 - 2 h / dim` for Hamming distance `h`, which runs
/// from 1 (all signs agree) to -1, as a cosine does.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BinaryMatrix {
    words: Vec<u64>,
    rows: usize,
    dim: usize,
}

impl BinaryMatrix {
    /// No vectors, of `dim` components each.
    pub fn new(dim: usize) -> Self {
        BinaryMatrix { words: Vec::new(), rows: 0, dim }
    }

    /// Adds the signs of a vector. Errors: `invalid_shape`, `not_finite`.
    pub fn push(&mut self, vector: &[f32]) -> Result<()> {
        super::scan::check_query(vector, self.dim)?;
        let start = self.words.len();
        self.words.resize(start + self.dim.div_ceil(64), 0);
        sign_bits(vector, &mut self.words[start..]);
        self.rows += 1;
        Ok(())
    }

    /// The bits of vector `i`. Panics when there is none.
    pub fn bits(&self, i: usize) -> &[u64] {
        let width = self.dim.div_ceil(64);
        &self.words[i * width..(i + 1) * width]
    }

    fn score(&self, query: &[u64], i: usize) -> f32 {
        if self.dim == 0 {
            return 0.0;
        }
        1.0 - 2.0 * kernel::hamming(query, self.bits(i)) as f32 / self.dim as f32
    }
}

impl Rows for BinaryMatrix {
    fn dim(&self) -> usize {
        self.dim
    }

    fn rows(&self) -> usize {
        self.rows
    }
}

impl Scan for BinaryMatrix {
    type Query = Vec<u64>;

    fn prepare(&self, query: &[f32]) -> Result<Vec<u64>> {
        let mut words = vec![0; self.dim.div_ceil(64)];
        sign_bits(query, &mut words);
        Ok(words)
    }

    fn score_range(&self, query: &Vec<u64>, first: usize, out: &mut [f32]) {
        for (i, score) in out.iter_mut().enumerate() {
            *score = self.score(query, first + i);
        }
    }

    fn score_subset(&self, query: &Vec<u64>, ids: &[u32], out: &mut [f32]) {
        for (&id, score) in ids.iter().zip(out) {
            *score = self.score(query, id as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_are_within_half_a_step(
            vector in prop::collection::vec(prop_oneof![4 => -3.0f32..3.0, 1 => Just(0.0), 1 => -1e-38f32..1e-38], 0..200),
            size in prop::sample::select(vec![1e-30f32, 1e-3, 1.0, 1e10, 1e36]),
        ) {
            let vector: Vec<f32> = vector.iter().map(|x| x * size).collect();
            let mut codes = vec![99; vector.len()];
            let scale = quantize_int8(&vector, &mut codes).unwrap();
            for (&x, &code) in vector.iter().zip(&codes) {
                prop_assert!(code != i8::MIN);
                prop_assert!((x - scale * f32::from(code)).abs() <= int8_error(scale), "{x} as {code} * {scale}");
            }
        }

        #[test]
        fn signs_are_where_they_belong(vector in prop::collection::vec(-1.0f32..1.0, 0..200)) {
            let mut words = vec![0; vector.len().div_ceil(64)];
            sign_bits(&vector, &mut words);
            for (i, &x) in vector.iter().enumerate() {
                prop_assert_eq!(words[i / 64] >> (i % 64) & 1 == 1, x > 0.0);
            }
        }
    }

    #[test]
    fn nan_and_infinity_are_refused() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut codes = [0; 2];
            assert_eq!(quantize_int8(&[1.0, bad], &mut codes).unwrap_err().code(), Code::NotFinite);
            assert_eq!(Int8Matrix::new(2).push(&[bad, 1.0]).unwrap_err().code(), Code::NotFinite);
            assert_eq!(BinaryMatrix::new(2).push(&[bad, 1.0]).unwrap_err().code(), Code::NotFinite);
            assert_eq!(HalfMatrix::<f16>::new(2).push(&[bad, 1.0]).unwrap_err().code(), Code::NotFinite);
        }
        assert_eq!(Int8Matrix::new(2).push(&[1.0]).unwrap_err().code(), Code::InvalidShape);
    }
}
