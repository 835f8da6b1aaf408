//! What does the compiler make of a product with a quantised panel, on any processor?

use half::f16;

use super::{BLOCK, Form, QuantJob, WIDTH};

/// The twin of the vector kernels. # Safety: the job's pointers cover what it says.
#[inline(always)]
pub(super) unsafe fn tile<const FOUR: bool, const SUBS: usize, const MINS: bool, const ROWS: usize>(
    job: &QuantJob,
    zero: i32,
) {
    let form = Form { four: FOUR, subs: SUBS, mins: MINS, zero };
    // SAFETY: as the caller vouches; `b` stays below the job's blocks and `r` below its rows.
    unsafe {
        let mut out = [[0f32; WIDTH]; ROWS];
        for b in 0..job.blocks {
            let base = job.panel.add(b * form.bytes());
            let halves = base.add(form.code_bytes()).cast::<[u8; 2]>();
            let half = |i: usize| f16::from_le_bytes(*halves.add(i)).to_f32();
            let mut codes = [0u8; BLOCK * WIDTH];
            if FOUR {
                for i in 0..BLOCK * WIDTH / 2 {
                    codes[i] = *base.add(i) & 0x0f;
                    codes[i + BLOCK * WIDTH / 2] = *base.add(i) >> 4;
                }
            } else {
                codes.copy_from_slice(std::slice::from_raw_parts(base, BLOCK * WIDTH));
            }
            for (r, out) in out.iter_mut().enumerate() {
                let at = r * job.blocks + b;
                let x = job.codes.add(at).cast::<[u8; 2]>();
                let sums = *job.sums.add(at);
                for s in 0..SUBS {
                    let mut whole = [0i32; WIDTH];
                    for j in s * 8 / SUBS..(s + 1) * 8 / SUBS {
                        for k in 0..4 {
                            let x = i32::from(i16::from_ne_bytes(*x.add(4 * j + k)));
                            for (c, whole) in whole.iter_mut().enumerate() {
                                *whole += i32::from(codes[4 * WIDTH * j + 4 * c + k]) * x;
                            }
                        }
                    }
                    let sum = if SUBS == 1 { sums[0] + sums[1] } else { sums[s] };
                    for (c, (out, whole)) in out.iter_mut().zip(whole).enumerate() {
                        let scale = half(WIDTH * s + c);
                        let part = if MINS {
                            whole as f32 * scale + half(WIDTH * (SUBS + s) + c) * sum as f32
                        } else {
                            (whole - zero * sum) as f32 * scale
                        };
                        *out += part * *job.step.add(at);
                    }
                }
            }
        }
        for (r, out) in out.into_iter().enumerate() {
            for (c, out) in out.into_iter().enumerate() {
                *job.out.add(r * job.ldc + c) = out * *job.factor.add(c);
            }
        }
    }
}
