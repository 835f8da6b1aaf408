//! Which aarch64 instructions do the kernels use?

use std::arch::aarch64::*;

use super::lanes::Lanes;

/// NEON: 4 floats; tiles of 12 x 8. With `DOT`, the dot product extension multiplies the bytes.
#[derive(Clone, Copy)]
pub(super) struct Neon<const DOT: bool>;

// SAFETY (every block below): the caller runs on a processor with the unit and vouches for the pointers, as the
// trait demands; the instructions have no other precondition.
impl<const DOT: bool> Lanes for Neon<DOT> {
    const LANES: usize = 4;
    const ROWS: usize = 12;
    // The instructions multiply bytes of one kind only: activations are stored as signed bytes.
    const ZERO: u8 = 128;
    type V = float32x4_t;
    type I = int32x4_t;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize, fill: f32) -> float32x4_t {
        unsafe {
            let mut lanes = [fill; 4];
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            vld1q_f32(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: float32x4_t) {
        unsafe {
            let mut lanes = [0.0; 4];
            vst1q_f32(lanes.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn round(a: float32x4_t) -> float32x4_t {
        unsafe { vrndnq_f32(a) }
    }
    #[inline(always)]
    unsafe fn scale2(a: float32x4_t, n: float32x4_t) -> float32x4_t {
        unsafe {
            let exponent = vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)));
            vmulq_f32(a, vreinterpretq_f32_s32(exponent))
        }
    }
    #[inline(always)]
    unsafe fn sum(a: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(a) }
    }
    #[inline(always)]
    unsafe fn max_lane(a: float32x4_t) -> f32 {
        unsafe { vmaxvq_f32(a) }
    }
    #[inline(always)]
    unsafe fn min_lane(a: float32x4_t) -> f32 {
        unsafe { vminvq_f32(a) }
    }
    #[inline(always)]
    unsafe fn zero_int() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }
    #[inline(always)]
    unsafe fn dot4(acc: int32x4_t, a: u32, b: *const i8) -> int32x4_t {
        unsafe {
            let (a, b) = (vreinterpretq_s8_u32(vdupq_n_u32(a)), vld1q_s8(b));
            if DOT {
                let mut acc = acc;
                // The intrinsic is not stable yet.
                std::arch::asm!(
                    "sdot {acc:v}.4s, {a:v}.16b, {b:v}.16b",
                    acc = inout(vreg) acc, a = in(vreg) a, b = in(vreg) b,
                    options(pure, nomem, nostack, preserves_flags)
                );
                return acc;
            }
            // Two products of bytes fit 16 bits only one by one; neighbours are added as 32 bits.
            let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
            let high = vpaddlq_s16(vmull_high_s8(a, b));
            vaddq_s32(acc, vpaddq_s32(low, high))
        }
    }
    #[inline(always)]
    unsafe fn to_float(a: int32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, n: usize, v: float32x4_t) {
        unsafe {
            let v = vmovn_u32(vcvtnq_u32_f32(v));
            let bytes = vmovn_u16(vcombine_u16(v, v));
            let bytes = veor_u8(bytes, vdup_n_u8(Self::ZERO));
            let bytes = vget_lane_u64::<0>(vreinterpret_u64_u8(bytes)).to_le_bytes();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), p, n);
        }
    }
}
