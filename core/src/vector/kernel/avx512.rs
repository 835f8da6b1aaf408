//! How do the kernels run on x86-64 with AVX-512 (F, BW, DQ, VL), VNNI and VPOPCNTDQ?
//!
//! Tails are read with masked loads, which do not touch the bytes that the mask leaves out.
//! VNNI multiplies unsigned by signed bytes. One side is moved to unsigned by adding 128 (flipping its top bit),
//! and 128 times the sum of the other side is taken off again; sums wrap, so the difference is exact whenever the
//! true result fits an i32.

use std::arch::x86_64::*;

use half::{bf16, f16};

const F32: usize = 16;
const BYTES: usize = 64;

/// The first `n` (at most 16) floats of `a`, zeros behind them.
#[inline]
#[target_feature(enable = "avx512f")]
fn part(a: &[f32], n: usize) -> __m512 {
    debug_assert!(n <= a.len() && n <= F32);
    // SAFETY: the mask admits n lanes, and `a` holds at least n floats.
    unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, a.as_ptr()) }
}

/// The 16 floats of `a` from `i` on.
///
/// # Safety
/// `i + 16 <= a.len()`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(a: &[f32], i: usize) -> __m512 {
    debug_assert!(i + F32 <= a.len());
    // SAFETY: by the caller's promise the 16 floats lie inside `a`.
    unsafe { _mm512_loadu_ps(a.as_ptr().add(i)) }
}

/// The first `n` (at most 64) bytes of `a`, zeros behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn part_i8(a: &[i8], n: usize) -> __m512i {
    debug_assert!(n <= a.len() && n <= BYTES);
    let mask = if n == BYTES { u64::MAX } else { (1u64 << n) - 1 };
    // SAFETY: the mask admits n lanes, and `a` holds at least n bytes.
    unsafe { _mm512_maskz_loadu_epi8(mask, a.as_ptr()) }
}

/// The 64 bytes of `a` from `i` on.
///
/// # Safety
/// `i + 64 <= a.len()`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_i8(a: &[i8], i: usize) -> __m512i {
    debug_assert!(i + BYTES <= a.len());
    // SAFETY: by the caller's promise the 64 bytes lie inside `a`.
    unsafe { _mm512_loadu_si512(a.as_ptr().add(i).cast()) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [_mm512_setzero_ps(); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 16 <= n, the shorter length.
            let (x, y) = unsafe { (load(a, i + lane * F32), load(b, i + lane * F32)) };
            *s = _mm512_fmadd_ps(x, y, *s);
        }
        i += 4 * F32;
    }
    while i < n {
        let step = (n - i).min(F32);
        sum[0] = _mm512_fmadd_ps(part(&a[i..], step), part(&b[i..], step), sum[0]);
        i += step;
    }
    total(sum)
}

#[target_feature(enable = "avx512f")]
pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [_mm512_setzero_ps(); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 16 <= n, the shorter length.
            let (x, y) = unsafe { (load(a, i + lane * F32), load(b, i + lane * F32)) };
            let d = _mm512_sub_ps(x, y);
            *s = _mm512_fmadd_ps(d, d, *s);
        }
        i += 4 * F32;
    }
    while i < n {
        let step = (n - i).min(F32);
        let d = _mm512_sub_ps(part(&a[i..], step), part(&b[i..], step));
        sum[0] = _mm512_fmadd_ps(d, d, sum[0]);
        i += step;
    }
    total(sum)
}

#[target_feature(enable = "avx512f")]
pub(super) fn cosine_parts(a: &[f32], b: &[f32]) -> [f32; 3] {
    let n = a.len().min(b.len());
    let (mut ab, mut aa, mut bb) = (_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps());
    let mut i = 0;
    while i < n {
        let step = (n - i).min(F32);
        let (x, y) = (part(&a[i..], step), part(&b[i..], step));
        ab = _mm512_fmadd_ps(x, y, ab);
        aa = _mm512_fmadd_ps(x, x, aa);
        bb = _mm512_fmadd_ps(y, y, bb);
        i += step;
    }
    [_mm512_reduce_add_ps(ab), _mm512_reduce_add_ps(aa), _mm512_reduce_add_ps(bb)]
}

/// The 16 halves of `b` from `i` on, or the first `n` of them with zeros behind.
///
/// # Safety
/// `i + n <= b.len()` and `n <= 16`; `T` is two plain bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn halves<T>(b: &[T], i: usize, n: usize) -> __m256i {
    debug_assert!(i + n <= b.len() && n <= F32 && size_of::<T>() == 2);
    // SAFETY: by the caller's promise the n halves lie inside `b`; the mask leaves out the rest.
    unsafe {
        let start = b.as_ptr().add(i);
        if n == F32 {
            _mm256_loadu_si256(start.cast())
        } else {
            _mm256_maskz_loadu_epi16(((1u32 << n) - 1) as u16, start.cast())
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [_mm512_setzero_ps(); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 16 <= n, the shorter length.
            let (x, y) = unsafe { (load(a, i + lane * F32), halves(b, i + lane * F32, F32)) };
            *s = _mm512_fmadd_ps(x, _mm512_cvtph_ps(y), *s);
        }
        i += 4 * F32;
    }
    while i < n {
        let step = (n - i).min(F32);
        // SAFETY: i + step <= n.
        let y = unsafe { halves(b, i, step) };
        sum[0] = _mm512_fmadd_ps(part(&a[i..], step), _mm512_cvtph_ps(y), sum[0]);
        i += step;
    }
    total(sum)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn dot_bf16(a: &[f32], b: &[bf16]) -> f32 {
    let n = a.len().min(b.len());
    let mut sum = [_mm512_setzero_ps(); 4];
    let mut i = 0;
    while i + 4 * F32 <= n {
        for (lane, s) in sum.iter_mut().enumerate() {
            // SAFETY: i + 4 * 16 <= n, the shorter length.
            let (x, y) = unsafe { (load(a, i + lane * F32), halves(b, i + lane * F32, F32)) };
            *s = _mm512_fmadd_ps(x, widen(y), *s);
        }
        i += 4 * F32;
    }
    while i < n {
        let step = (n - i).min(F32);
        // SAFETY: i + step <= n.
        let y = unsafe { halves(b, i, step) };
        sum[0] = _mm512_fmadd_ps(part(&a[i..], step), widen(y), sum[0]);
        i += step;
    }
    total(sum)
}

/// bf16 is the upper half of an f32.
#[inline]
#[target_feature(enable = "avx512f")]
fn widen(y: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(y)))
}

/// One sum a row, as in [`dot_4x4`], so that both give the same bits; one row after the other, because memory is
/// fastest when it is read in order.
#[target_feature(enable = "avx512f")]
pub(super) fn dot_x4(a: &[f32], b: [&[f32]; 4]) -> [f32; 4] {
    let n = b.iter().fold(a.len(), |n, row| n.min(row.len()));
    let mut sum = [_mm512_setzero_ps(); 4];
    for (s, row) in sum.iter_mut().zip(&b) {
        let mut i = 0;
        while i + F32 <= n {
            // SAFETY: i + 16 <= n, the shortest length.
            let (x, y) = unsafe { (load(a, i), load(row, i)) };
            *s = _mm512_fmadd_ps(x, y, *s);
            i += F32;
        }
        if i < n {
            *s = _mm512_fmadd_ps(part(&a[i..], n - i), part(&row[i..], n - i), *s);
        }
    }
    totals(sum)
}

#[target_feature(enable = "avx512f")]
pub(super) fn dot_4x4(a: [&[f32]; 4], b: [&[f32]; 4]) -> [[f32; 4]; 4] {
    let n = a.iter().chain(&b).fold(usize::MAX, |n, row| n.min(row.len()));
    let mut sum = [[_mm512_setzero_ps(); 4]; 4];
    let mut i = 0;
    while i + F32 <= n {
        // SAFETY: i + 16 <= n, the shortest length.
        let y = b.map(|row| unsafe { load(row, i) });
        for (s, query) in sum.iter_mut().zip(&a) {
            // SAFETY: as above.
            let x = unsafe { load(query, i) };
            for lane in 0..4 {
                s[lane] = _mm512_fmadd_ps(x, y[lane], s[lane]);
            }
        }
        i += F32;
    }
    if i < n {
        let y = b.map(|row| part(&row[i..], n - i));
        for (s, query) in sum.iter_mut().zip(&a) {
            let x = part(&query[i..], n - i);
            for lane in 0..4 {
                s[lane] = _mm512_fmadd_ps(x, y[lane], s[lane]);
            }
        }
    }
    sum.map(|s| totals(s))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let n = a.len().min(b.len());
    let flip = _mm512_set1_epi8(i8::MIN);
    let (mut sum, mut excess) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut i = 0;
    while i < n {
        let step = (n - i).min(BYTES);
        let (x, y) = (part_i8(&a[i..], step), part_i8(&b[i..], step));
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x, flip), y);
        excess = _mm512_dpbusd_epi32(excess, flip, y);
        i += step;
    }
    _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excess))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni")]
pub(super) fn dot_i8_x4(a: &[i8], b: [&[i8]; 4]) -> [i32; 4] {
    let n = b.iter().fold(a.len(), |n, row| n.min(row.len()));
    let flip = _mm512_set1_epi8(i8::MIN);
    let mut sum = [_mm512_setzero_si512(); 4];
    let mut excess = _mm512_setzero_si512();
    let mut i = 0;
    while i + BYTES <= n {
        // SAFETY: i + 64 <= n, the shortest length.
        let x = unsafe { load_i8(a, i) };
        excess = _mm512_dpbusd_epi32(excess, flip, x);
        for (s, row) in sum.iter_mut().zip(&b) {
            // SAFETY: as above.
            let y = _mm512_xor_si512(unsafe { load_i8(row, i) }, flip);
            *s = _mm512_dpbusd_epi32(*s, y, x);
        }
        i += BYTES;
    }
    if i < n {
        let x = part_i8(&a[i..], n - i);
        excess = _mm512_dpbusd_epi32(excess, flip, x);
        for (s, row) in sum.iter_mut().zip(&b) {
            *s = _mm512_dpbusd_epi32(*s, _mm512_xor_si512(part_i8(&row[i..], n - i), flip), x);
        }
    }
    totals_i32(sum.map(|s| _mm512_sub_epi32(s, excess)))
}

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
pub(super) fn hamming(a: &[u64], b: &[u64]) -> u32 {
    let n = a.len().min(b.len());
    let mut sum = _mm512_setzero_si512();
    let mut i = 0;
    while i < n {
        let step = (n - i).min(8);
        let mask = ((1u32 << step) - 1) as u8;
        // SAFETY: the mask admits `step` words, and both slices hold at least i + step.
        let (x, y) = unsafe {
            (
                _mm512_maskz_loadu_epi64(mask, a[i..].as_ptr().cast()),
                _mm512_maskz_loadu_epi64(mask, b[i..].as_ptr().cast()),
            )
        };
        sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(x, y)));
        i += step;
    }
    _mm512_reduce_add_epi64(sum) as u32
}

#[inline]
#[target_feature(enable = "avx512f")]
fn total(sum: [__m512; 4]) -> f32 {
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])))
}

/// The sum of each of four vectors, with one transposed reduction.
#[inline]
#[target_feature(enable = "avx512f")]
fn totals(v: [__m512; 4]) -> [f32; 4] {
    // Within each 128-bit lane: sums of v0 and v1 interleaved, of v2 and v3 interleaved, then all four.
    let v01 = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
    let v23 = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
    let all = _mm512_add_ps(
        _mm512_shuffle_ps::<0b01_00_01_00>(v01, v23),
        _mm512_shuffle_ps::<0b11_10_11_10>(v01, v23),
    );
    let two = _mm512_add_ps(all, _mm512_shuffle_f32x4::<0b01_00_11_10>(all, all));
    let one = _mm512_add_ps(two, _mm512_shuffle_f32x4::<0b10_11_00_01>(two, two));
    let mut out = [0f32; 4];
    // SAFETY: `out` holds the four floats that are stored.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), _mm512_castps512_ps128(one)) };
    out
}

#[inline]
#[target_feature(enable = "avx512f")]
fn totals_i32(v: [__m512i; 4]) -> [i32; 4] {
    let v01 = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    let v23 = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(v01, v23), _mm512_unpackhi_epi64(v01, v23));
    let two = _mm512_add_epi32(all, _mm512_shuffle_i32x4::<0b01_00_11_10>(all, all));
    let one = _mm512_add_epi32(two, _mm512_shuffle_i32x4::<0b10_11_00_01>(two, two));
    let mut out = [0i32; 4];
    // SAFETY: `out` holds the four integers that are stored.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_castsi512_si128(one)) };
    out
}
