//! How do the kernels run on x86-64 with AVX2, FMA and F16C?
//!
//! Without VNNI, bytes are widened to 16 bits before they are multiplied: the shorter `maddubs` saturates.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::scalar;

const F32: usize = 8;
const BYTES: usize = 16;

/// The 8 floats of `a` from `i` on.
///
/// # Safety
/// `i + 8 <= a.len()`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(a: &[f32], i: usize) -> __m256 {
    debug_assert!(i + F32 <= a.len());
    // SAFETY: by the caller's promise the 8 floats lie inside `a`.
    unsafe { _mm256_loadu_ps(a.as_ptr().add(i)) }
}

/// The 16 bytes of `a` from `i` on, as 16-bit integers.
///
/// # Safety
/// `i + 16 <= a.len()`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_i8(a: &[i8], i: usize) -> __m256i {
    debug_assert!(i + BYTES <= a.len());
    // SAFETY: by the caller's promise the 16 bytes lie inside `a`.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(a.as_ptr().add(i).cast()) })
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [_mm256_setzero_ps(); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 8 <= n, the shorter length.
            let (x, y) = unsafe { (load(a, i + lane * F32), load(b, i + lane * F32)) };
            *s = _mm256_fmadd_ps(x, y, *s);
        }
        i += 4 * F32;
    }
    while i + F32 <= n {
        // SAFETY: i + 8 <= n.
        sum[0] = unsafe { _mm256_fmadd_ps(load(a, i), load(b, i), sum[0]) };
        i += F32;
    }
    total(sum) + scalar::dot(&a[i..n], &b[i..n])
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [_mm256_setzero_ps(); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 8 <= n, the shorter length.
            let d = unsafe { _mm256_sub_ps(load(a, i + lane * F32), load(b, i + lane * F32)) };
            *s = _mm256_fmadd_ps(d, d, *s);
        }
        i += 4 * F32;
    }
    while i + F32 <= n {
        // SAFETY: i + 8 <= n.
        let d = unsafe { _mm256_sub_ps(load(a, i), load(b, i)) };
        sum[0] = _mm256_fmadd_ps(d, d, sum[0]);
        i += F32;
    }
    total(sum) + scalar::squared_l2(&a[i..n], &b[i..n])
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn cosine_parts(a: &[f32], b: &[f32]) -> [f32; 3] {
    let n = a.len().min(b.len());
    let (mut ab, mut aa, mut bb) = (_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps());
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 8 <= n.
        let (x, y) = unsafe { (load(a, i), load(b, i)) };
        ab = _mm256_fmadd_ps(x, y, ab);
        aa = _mm256_fmadd_ps(x, x, aa);
        bb = _mm256_fmadd_ps(y, y, bb);
        i += F32;
    }
    let rest = scalar::cosine_parts(&a[i..n], &b[i..n]);
    [sum8(ab) + rest[0], sum8(aa) + rest[1], sum8(bb) + rest[2]]
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = _mm256_setzero_ps();
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 8 <= n, and f16 is two plain bytes.
        let (x, y) = unsafe { (load(a, i), _mm_loadu_si128(b.as_ptr().add(i).cast())) };
        sum = _mm256_fmadd_ps(x, _mm256_cvtph_ps(y), sum);
        i += F32;
    }
    sum8(sum) + scalar::dot_f16(&a[i..n], &b[i..n])
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot_bf16(a: &[f32], b: &[bf16]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = _mm256_setzero_ps();
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 8 <= n, and bf16 is two plain bytes.
        let (x, y) = unsafe { (load(a, i), _mm_loadu_si128(b.as_ptr().add(i).cast())) };
        let y = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(y)));
        sum = _mm256_fmadd_ps(x, y, sum);
        i += F32;
    }
    sum8(sum) + scalar::dot_bf16(&a[i..n], &b[i..n])
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot_x4(a: &[f32], b: [&[f32]; 4]) -> [f32; 4] {
    let n = b.iter().fold(a.len(), |n, row| n.min(row.len()));
    let mut sum = [_mm256_setzero_ps(); 4];
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 8 <= n, the shortest length.
        let x = unsafe { load(a, i) };
        for (s, row) in sum.iter_mut().zip(&b) {
            // SAFETY: as above.
            *s = _mm256_fmadd_ps(x, unsafe { load(row, i) }, *s);
        }
        i += F32;
    }
    let rest = scalar::dot_x4(&a[i..n], b.map(|row| &row[i..n]));
    [sum8(sum[0]) + rest[0], sum8(sum[1]) + rest[1], sum8(sum[2]) + rest[2], sum8(sum[3]) + rest[3]]
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot_4x4(a: [&[f32]; 4], b: [&[f32]; 4]) -> [[f32; 4]; 4] {
    // Sixteen registers hold four sums and what they are made of, not sixteen sums: one query at a time.
    a.map(|query| dot_x4(query, b))
}

#[target_feature(enable = "avx2")]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let n = a.len().min(b.len());
    let mut sum = _mm256_setzero_si256();
    let mut i = 0;
    while i + BYTES <= n {
        // SAFETY: i + 16 <= n.
        let (x, y) = unsafe { (load_i8(a, i), load_i8(b, i)) };
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, y));
        i += BYTES;
    }
    sum_i32(sum).wrapping_add(scalar::dot_i8(&a[i..n], &b[i..n]))
}

#[target_feature(enable = "avx2")]
pub(super) fn dot_i8_x4(a: &[i8], b: [&[i8]; 4]) -> [i32; 4] {
    let n = b.iter().fold(a.len(), |n, row| n.min(row.len()));
    let mut sum = [_mm256_setzero_si256(); 4];
    let mut i = 0;
    while i + BYTES <= n {
        // SAFETY: i + 16 <= n, the shortest length.
        let x = unsafe { load_i8(a, i) };
        for (s, row) in sum.iter_mut().zip(&b) {
            // SAFETY: as above.
            *s = _mm256_add_epi32(*s, _mm256_madd_epi16(x, unsafe { load_i8(row, i) }));
        }
        i += BYTES;
    }
    let rest = scalar::dot_i8_x4(&a[i..n], b.map(|row| &row[i..n]));
    let mut out = [0; 4];
    for (lane, o) in out.iter_mut().enumerate() {
        *o = sum_i32(sum[lane]).wrapping_add(rest[lane]);
    }
    out
}

/// Bits by a table of nibbles (Mula, Kurz, Lemire 2018).
#[target_feature(enable = "avx2")]
pub(super) fn hamming(a: &[u64], b: &[u64]) -> u32 {
    let n = a.len().min(b.len());
    let table = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let low = _mm256_set1_epi8(15);
    let mut sum = _mm256_setzero_si256();
    let mut i = 0;
    while i + 4 <= n {
        // SAFETY: i + 4 words <= n.
        let (x, y) = unsafe {
            (_mm256_loadu_si256(a.as_ptr().add(i).cast()), _mm256_loadu_si256(b.as_ptr().add(i).cast()))
        };
        let bits = _mm256_xor_si256(x, y);
        let counts = _mm256_add_epi8(
            _mm256_shuffle_epi8(table, _mm256_and_si256(bits, low)),
            _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(bits), low)),
        );
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
        i += 4;
    }
    let sums = [
        _mm256_extract_epi64::<0>(sum),
        _mm256_extract_epi64::<1>(sum),
        _mm256_extract_epi64::<2>(sum),
        _mm256_extract_epi64::<3>(sum),
    ];
    sums.iter().sum::<i64>() as u32 + scalar::hamming(&a[i..n], &b[i..n])
}

#[inline]
#[target_feature(enable = "avx2")]
fn total(sum: [__m256; 4]) -> f32 {
    sum8(_mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])))
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum8(v: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_i32(v: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
}
