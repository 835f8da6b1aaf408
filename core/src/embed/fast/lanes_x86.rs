//! Which x86-64 instructions do the kernels use?

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// AVX-512 (F, BW, DQ, VL, VNNI): 16 floats; tiles of 12 x 32.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

#[inline(always)]
fn mask16(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

// SAFETY (every block below): the caller runs on a processor with the unit and vouches for the pointers, as the
// trait demands; the instructions have no other precondition.
impl Lanes for Avx512 {
    const LANES: usize = 16;
    const ROWS: usize = 12;
    type V = __m512;
    type I = __m512i;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize, fill: f32) -> __m512 {
        unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask16(n), p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: __m512) {
        unsafe { _mm512_mask_storeu_ps(p, mask16(n), v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn round(a: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    unsafe fn scale2(a: __m512, n: __m512) -> __m512 {
        unsafe { _mm512_scalef_ps(a, n) }
    }
    #[inline(always)]
    unsafe fn sum(a: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(a) }
    }
    #[inline(always)]
    unsafe fn max_lane(a: __m512) -> f32 {
        unsafe { _mm512_reduce_max_ps(a) }
    }
    #[inline(always)]
    unsafe fn min_lane(a: __m512) -> f32 {
        unsafe { _mm512_reduce_min_ps(a) }
    }
    #[inline(always)]
    unsafe fn zero_int() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn dot4(acc: __m512i, a: u32, b: *const i8) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(acc, _mm512_set1_epi32(a as i32), _mm512_loadu_si512(b.cast())) }
    }
    #[inline(always)]
    unsafe fn to_float(a: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, n: usize, v: __m512) {
        unsafe { _mm512_mask_cvtusepi32_storeu_epi8(p.cast(), mask16(n), _mm512_cvtps_epi32(v)) }
    }
}

/// AVX2 and FMA: 8 floats; tiles of 6 x 16. With `VNNI`, AVX-VNNI multiplies the bytes.
#[derive(Clone, Copy)]
pub(super) struct Avx2<const VNNI: bool>;

/// The mask that selects the first `n` of eight lanes.
#[inline(always)]
unsafe fn mask8(n: usize) -> __m256i {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    debug_assert!(n <= 8);
    // SAFETY: 8 - n ..= 15 - n lies within the sixteen entries for n in 0..=8.
    unsafe { _mm256_loadu_si256(ONES.as_ptr().add(8 - n).cast()) }
}

/// Folds the halves and then the lanes of `a` with `f` (four lanes) in a fixed order.
#[inline(always)]
unsafe fn fold8(a: __m256, f: impl Fn(__m128, __m128) -> __m128) -> f32 {
    unsafe {
        let a = f(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let a = f(a, _mm_movehl_ps(a, a));
        _mm_cvtss_f32(f(a, _mm_shuffle_ps::<1>(a, a)))
    }
}

// SAFETY (every block below): as for Avx512.
impl<const VNNI: bool> Lanes for Avx2<VNNI> {
    const LANES: usize = 8;
    const ROWS: usize = 6;
    type V = __m256;
    type I = __m256i;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize, fill: f32) -> __m256 {
        unsafe {
            let mask = mask8(n);
            _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask))
        }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: __m256) {
        unsafe { _mm256_maskstore_ps(p, mask8(n), v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn round(a: __m256) -> __m256 {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    unsafe fn scale2(a: __m256, n: __m256) -> __m256 {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    unsafe fn sum(a: __m256) -> f32 {
        unsafe { fold8(a, |x, y| _mm_add_ps(x, y)) }
    }
    #[inline(always)]
    unsafe fn max_lane(a: __m256) -> f32 {
        unsafe { fold8(a, |x, y| _mm_max_ps(x, y)) }
    }
    #[inline(always)]
    unsafe fn min_lane(a: __m256) -> f32 {
        unsafe { fold8(a, |x, y| _mm_min_ps(x, y)) }
    }
    #[inline(always)]
    unsafe fn zero_int() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn dot4(acc: __m256i, a: u32, b: *const i8) -> __m256i {
        unsafe {
            let a = _mm256_set1_epi32(a as i32);
            let b = _mm256_loadu_si256(b.cast());
            if VNNI {
                return _mm256_dpbusd_avx_epi32(acc, a, b);
            }
            // Bytes 0 and 2, then 1 and 3 of each lane, widened to 16 bits: vpmaddubsw would saturate.
            let bytes = _mm256_set1_epi32(0x00ff_00ff);
            let even = _mm256_madd_epi16(
                _mm256_and_si256(a, bytes),
                _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(b)),
            );
            let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(a), _mm256_srai_epi16::<8>(b));
            _mm256_add_epi32(acc, _mm256_add_epi32(even, odd))
        }
    }
    #[inline(always)]
    unsafe fn to_float(a: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, n: usize, v: __m256) {
        unsafe {
            let v = _mm256_cvtps_epi32(v);
            let v = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            let bytes = _mm_cvtsi128_si64(_mm_packus_epi16(v, v)).to_le_bytes();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), p, n);
        }
    }
}
