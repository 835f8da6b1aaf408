//! How does AVX-512 with VNNI multiply rows by a quantised panel?

use std::arch::x86_64::*;

use super::{BLOCK, Form, QuantJob, WIDTH, tiles};

/// One job. # Safety: the processor has the features, and the job's pointers cover what it says.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn quant(form: Form, job: QuantJob) {
    // SAFETY: as the caller vouches.
    unsafe { tiles!(tile, form, job) }
}

/// High and low bytes of the activations are multiplied apart (`high * 256 + low`), four inputs of 16 outputs at once.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn tile<const FOUR: bool, const SUBS: usize, const MINS: bool, const ROWS: usize>(
    job: &QuantJob,
    zero: i32,
) {
    let form = Form { four: FOUR, subs: SUBS, mins: MINS, zero };
    // SAFETY: as the caller vouches; `b` stays below the job's blocks and `r` below its rows.
    #[allow(clippy::needless_range_loop)]
    unsafe {
        let mut out = [_mm512_setzero_ps(); ROWS];
        let nibble = _mm512_set1_epi8(0x0f);
        let mut base = job.panel;
        for b in 0..job.blocks {
            let mut weights = [_mm512_setzero_si512(); 8];
            if FOUR {
                for j in 0..4 {
                    let both = _mm512_loadu_si512(base.add(64 * j).cast());
                    weights[j] = _mm512_and_si512(both, nibble);
                    weights[j + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(both), nibble);
                }
            } else {
                for (j, weight) in weights.iter_mut().enumerate() {
                    *weight = _mm512_loadu_si512(base.add(64 * j).cast());
                }
            }
            let halves = base.add(form.code_bytes());
            let half = |i: usize| _mm512_cvtph_ps(_mm256_loadu_si256(halves.add(2 * WIDTH * i).cast()));
            let mut scales = [_mm512_setzero_ps(); SUBS];
            let mut mins = [_mm512_setzero_ps(); SUBS];
            for s in 0..SUBS {
                scales[s] = half(s);
                if MINS {
                    mins[s] = half(SUBS + s);
                }
            }
            for (r, out) in out.iter_mut().enumerate() {
                let at = r * job.blocks + b;
                let codes = job.codes.add(at).cast::<i32>();
                let step = _mm512_set1_ps(*job.step.add(at));
                let sums = job.sums.add(at).cast::<i32>();
                for s in 0..SUBS {
                    let mut high = _mm512_setzero_si512();
                    let mut low = _mm512_setzero_si512();
                    for j in s * 8 / SUBS..(s + 1) * 8 / SUBS {
                        let (h, l) = (codes.add(j), codes.add(j + BLOCK / 4));
                        high = _mm512_dpbusd_epi32(high, weights[j], _mm512_set1_epi32(h.read_unaligned()));
                        low = _mm512_dpbusd_epi32(low, weights[j], _mm512_set1_epi32(l.read_unaligned()));
                    }
                    let sum = if SUBS == 1 { *sums + *sums.add(1) } else { *sums.add(s) };
                    let mut whole = _mm512_add_epi32(_mm512_slli_epi32::<8>(high), low);
                    if !MINS {
                        whole = _mm512_sub_epi32(whole, _mm512_set1_epi32(zero.wrapping_mul(sum)));
                    }
                    let mut part = _mm512_mul_ps(_mm512_cvtepi32_ps(whole), scales[s]);
                    if MINS {
                        part = _mm512_fmadd_ps(mins[s], _mm512_set1_ps(sum as f32), part);
                    }
                    *out = _mm512_fmadd_ps(part, step, *out);
                }
            }
            base = base.add(form.bytes());
        }
        let factor = _mm512_loadu_ps(job.factor);
        for (r, out) in out.into_iter().enumerate() {
            _mm512_storeu_ps(job.out.add(r * job.ldc), _mm512_mul_ps(out, factor));
        }
    }
}
