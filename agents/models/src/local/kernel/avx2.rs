//! How does AVX2 multiply rows by a quantised panel?

use std::arch::x86_64::*;

use super::{Form, QuantJob, WIDTH, tiles};

/// One job. # Safety: the processor has the features, and the job's pointers cover what it says.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn quant(form: Form, job: QuantJob) {
    // SAFETY: as the caller vouches.
    unsafe { tiles!(tile, form, job) }
}

/// Weights are widened to 16 bits, four inputs of four outputs at once, and multiplied by pairs.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<const FOUR: bool, const SUBS: usize, const MINS: bool, const ROWS: usize>(
    job: &QuantJob,
    zero: i32,
) {
    let form = Form { four: FOUR, subs: SUBS, mins: MINS, zero };
    // SAFETY: as the caller vouches; `b` stays below the job's blocks and `r` below its rows.
    unsafe {
        let mut out = [[_mm256_setzero_ps(); 2]; ROWS];
        let nibble = _mm_set1_epi8(0x0f);
        let mut base = job.panel;
        for b in 0..job.blocks {
            let halves = base.add(form.code_bytes());
            let half = |i: usize| _mm256_cvtph_ps(_mm_loadu_si128(halves.add(WIDTH * i).cast()));
            for s in 0..SUBS {
                for (r, out) in out.iter_mut().enumerate() {
                    let at = r * job.blocks + b;
                    let codes = job.codes.add(at).cast::<i64>();
                    let mut quads = [_mm256_setzero_si256(); 4];
                    for j in s * 8 / SUBS..(s + 1) * 8 / SUBS {
                        let x = _mm256_set1_epi64x(codes.add(j).read_unaligned());
                        for (q, quad) in quads.iter_mut().enumerate() {
                            let bytes = if FOUR {
                                let both = _mm_loadu_si128(base.add(64 * (j % 4) + 16 * q).cast());
                                let shifted = if j < 4 { both } else { _mm_srli_epi16::<4>(both) };
                                _mm_and_si128(shifted, nibble)
                            } else {
                                _mm_loadu_si128(base.add(64 * j + 16 * q).cast())
                            };
                            let product = _mm256_madd_epi16(_mm256_cvtepu8_epi16(bytes), x);
                            *quad = _mm256_add_epi32(*quad, product);
                        }
                    }
                    let sums = *job.sums.add(at);
                    let sum = if SUBS == 1 { sums[0] + sums[1] } else { sums[s] };
                    let step = _mm256_set1_ps(*job.step.add(at));
                    for (side, out) in out.iter_mut().enumerate() {
                        // Sums of neighbours come out as outputs 0 1 4 5 2 3 6 7.
                        let pairs = _mm256_hadd_epi32(quads[2 * side], quads[2 * side + 1]);
                        let mut whole = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
                        if !MINS {
                            whole = _mm256_sub_epi32(whole, _mm256_set1_epi32(zero.wrapping_mul(sum)));
                        }
                        let mut part = _mm256_mul_ps(_mm256_cvtepi32_ps(whole), half(2 * s + side));
                        if MINS {
                            let min = half(2 * (SUBS + s) + side);
                            part = _mm256_fmadd_ps(min, _mm256_set1_ps(sum as f32), part);
                        }
                        *out = _mm256_fmadd_ps(part, step, *out);
                    }
                }
            }
            base = base.add(form.bytes());
        }
        for (r, out) in out.into_iter().enumerate() {
            for (side, out) in out.into_iter().enumerate() {
                let factor = _mm256_loadu_ps(job.factor.add(8 * side));
                _mm256_storeu_ps(job.out.add(r * job.ldc + 8 * side), _mm256_mul_ps(out, factor));
            }
        }
    }
}
