//! How do the kernels run on AArch64 with NEON?

use std::arch::aarch64::*;

use half::bf16;

use super::scalar;

const F32: usize = 4;
const BYTES: usize = 16;

/// The 4 floats of `a` from `i` on.
///
/// # Safety
/// `i + 4 <= a.len()`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load(a: &[f32], i: usize) -> float32x4_t {
    debug_assert!(i + F32 <= a.len());
    // SAFETY: by the caller's promise the 4 floats lie inside `a`.
    unsafe { vld1q_f32(a.as_ptr().add(i)) }
}

/// The 16 bytes of `a` from `i` on.
///
/// # Safety
/// `i + 16 <= a.len()`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_i8(a: &[i8], i: usize) -> int8x16_t {
    debug_assert!(i + BYTES <= a.len());
    // SAFETY: by the caller's promise the 16 bytes lie inside `a`.
    unsafe { vld1q_s8(a.as_ptr().add(i)) }
}

/// `sum + x . y`, lane by lane. A product of two bytes fits 16 bits; pairs are added in 32.
#[inline]
#[target_feature(enable = "neon")]
fn multiply_add_i8(sum: int32x4_t, x: int8x16_t, y: int8x16_t) -> int32x4_t {
    let low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
    vpadalq_s16(vpadalq_s16(sum, low), vmull_high_s8(x, y))
}

#[target_feature(enable = "neon")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [vdupq_n_f32(0.0); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 4 <= n, the shorter length.
            let (x, y) = unsafe { (load(a, i + lane * F32), load(b, i + lane * F32)) };
            *s = vfmaq_f32(*s, x, y);
        }
        i += 4 * F32;
    }
    total(sum) + scalar::dot(&a[i..n], &b[i..n])
}

#[target_feature(enable = "neon")]
pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [vdupq_n_f32(0.0); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 4 <= n, the shorter length.
            let d = unsafe { vsubq_f32(load(a, i + lane * F32), load(b, i + lane * F32)) };
            *s = vfmaq_f32(*s, d, d);
        }
        i += 4 * F32;
    }
    total(sum) + scalar::squared_l2(&a[i..n], &b[i..n])
}

#[target_feature(enable = "neon")]
pub(super) fn cosine_parts(a: &[f32], b: &[f32]) -> [f32; 3] {
    [dot(a, b), dot(a, a), dot(b, b)]
}

#[target_feature(enable = "neon")]
pub(super) fn dot_bf16(a: &[f32], b: &[bf16]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = vdupq_n_f32(0.0);
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 4 <= n, and bf16 is two plain bytes.
        let (x, y) = unsafe { (load(a, i), vld1_u16(b.as_ptr().add(i).cast())) };
        sum = vfmaq_f32(sum, x, vreinterpretq_f32_u32(vshll_n_u16::<16>(y)));
        i += F32;
    }
    vaddvq_f32(sum) + scalar::dot_bf16(&a[i..n], &b[i..n])
}

#[target_feature(enable = "neon")]
pub(super) fn dot_x4(a: &[f32], b: [&[f32]; 4]) -> [f32; 4] {
    let n = b.iter().fold(a.len(), |n, row| n.min(row.len()));
    let mut sum = [vdupq_n_f32(0.0); 4];
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 4 <= n, the shortest length.
        let x = unsafe { load(a, i) };
        for (s, row) in sum.iter_mut().zip(&b) {
            // SAFETY: as above.
            *s = vfmaq_f32(*s, x, unsafe { load(row, i) });
        }
        i += F32;
    }
    let mut out = scalar::dot_x4(&a[i..n], b.map(|row| &row[i..n]));
    for (o, s) in out.iter_mut().zip(sum) {
        *o += vaddvq_f32(s);
    }
    out
}

#[target_feature(enable = "neon")]
pub(super) fn dot_4x4(a: [&[f32]; 4], b: [&[f32]; 4]) -> [[f32; 4]; 4] {
    let n = a.iter().chain(&b).fold(usize::MAX, |n, row| n.min(row.len()));
    let mut sum = [[vdupq_n_f32(0.0); 4]; 4];
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 4 <= n, the shortest length.
        let y = b.map(|row| unsafe { load(row, i) });
        for (s, query) in sum.iter_mut().zip(&a) {
            // SAFETY: as above.
            let x = unsafe { load(query, i) };
            for lane in 0..4 {
                s[lane] = vfmaq_f32(s[lane], x, y[lane]);
            }
        }
        i += F32;
    }
    let mut out = scalar::dot_4x4(a.map(|row| &row[i..n]), b.map(|row| &row[i..n]));
    for (o, s) in out.iter_mut().zip(sum) {
        for lane in 0..4 {
            o[lane] += vaddvq_f32(s[lane]);
        }
    }
    out
}

#[target_feature(enable = "neon")]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let n = a.len().min(b.len());
    let mut sum = vdupq_n_s32(0);
    let mut i = 0;
    while i + BYTES <= n {
        // SAFETY: i + 16 <= n.
        let (x, y) = unsafe { (load_i8(a, i), load_i8(b, i)) };
        sum = multiply_add_i8(sum, x, y);
        i += BYTES;
    }
    vaddvq_s32(sum).wrapping_add(scalar::dot_i8(&a[i..n], &b[i..n]))
}

#[target_feature(enable = "neon")]
pub(super) fn dot_i8_x4(a: &[i8], b: [&[i8]; 4]) -> [i32; 4] {
    let n = b.iter().fold(a.len(), |n, row| n.min(row.len()));
    let mut sum = [vdupq_n_s32(0); 4];
    let mut i = 0;
    while i + BYTES <= n {
        // SAFETY: i + 16 <= n, the shortest length.
        let x = unsafe { load_i8(a, i) };
        for (s, row) in sum.iter_mut().zip(&b) {
            // SAFETY: as above.
            *s = multiply_add_i8(*s, x, unsafe { load_i8(row, i) });
        }
        i += BYTES;
    }
    let mut out = scalar::dot_i8_x4(&a[i..n], b.map(|row| &row[i..n]));
    for (o, s) in out.iter_mut().zip(sum) {
        *o = o.wrapping_add(vaddvq_s32(s));
    }
    out
}

#[target_feature(enable = "neon")]
pub(super) fn hamming(a: &[u64], b: &[u64]) -> u32 {
    let n = a.len().min(b.len());
    let mut sum = vdupq_n_u32(0);
    let mut i = 0;
    while i + 2 <= n {
        // SAFETY: i + 2 words <= n.
        let bits = unsafe { veorq_u64(vld1q_u64(a.as_ptr().add(i)), vld1q_u64(b.as_ptr().add(i))) };
        sum = vpadalq_u16(sum, vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u64(bits))));
        i += 2;
    }
    vaddvq_u32(sum) + scalar::hamming(&a[i..n], &b[i..n])
}

#[inline]
#[target_feature(enable = "neon")]
fn total(sum: [float32x4_t; 4]) -> f32 {
    vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])))
}
