//! What does each kernel compute, in plain Rust?
//!
//! These are the definitions: every vectorised kernel is tested against its twin here, and machines without a
//! vector unit that we know run them.

use half::{bf16, f16};

/// How many partial sums a loop keeps, so that the compiler may use whatever vector unit the target has.
const LANES: usize = 8;

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| x * y)
}

pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| (x - y) * (x - y))
}

/// `a . b`, `a . a` and `b . b`.
pub(super) fn cosine_parts(a: &[f32], b: &[f32]) -> [f32; 3] {
    [dot(a, b), dot(a, a), dot(b, b)]
}

pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    fold(a, b, |x, y| x * y.to_f32())
}

pub(super) fn dot_bf16(a: &[f32], b: &[bf16]) -> f32 {
    fold(a, b, |x, y| x * y.to_f32())
}

pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).fold(0i32, |sum, (&x, &y)| sum.wrapping_add(i32::from(x) * i32::from(y)))
}

pub(super) fn hamming(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

pub(super) fn dot_x4(a: &[f32], b: [&[f32]; 4]) -> [f32; 4] {
    b.map(|row| dot(a, row))
}

pub(super) fn dot_i8_x4(a: &[i8], b: [&[i8]; 4]) -> [i32; 4] {
    b.map(|row| dot_i8(a, row))
}

pub(super) fn dot_4x4(a: [&[f32]; 4], b: [&[f32]; 4]) -> [[f32; 4]; 4] {
    a.map(|query| dot_x4(query, b))
}

/// The sum of `f` over pairs, in [`LANES`] partial sums.
fn fold<B: Copy>(a: &[f32], b: &[B], f: impl Fn(f32, B) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_head, a_tail) = a.as_chunks::<LANES>();
    let (b_head, b_tail) = b.as_chunks::<LANES>();
    for (x, y) in a_head.iter().zip(b_head) {
        for lane in 0..LANES {
            sums[lane] += f(x[lane], y[lane]);
        }
    }
    let head = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    a_tail.iter().zip(b_tail).fold(head, |sum, (&x, &y)| sum + f(x, y))
}
