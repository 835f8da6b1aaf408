//! What happens in floating point: products with panels that are not quantised, norms, activations, softmax, codes?
//!
//! Each function is written once over arrays of 16 and compiled for each unit.

use super::{BLOCK, CodeLine, Isa, STEPS, WIDTH};

/// How the numbers of a panel are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    F16,
    Bf16,
}

impl Kind {
    /// Bytes of a number.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Kind::F32 => 4,
            Kind::F16 | Kind::Bf16 => 2,
        }
    }
}

/// A product of rows with panels: each has `inner` rows of 16 numbers, `ldb` numbers apart.
#[derive(Clone, Copy)]
pub(crate) struct FloatJob {
    pub(crate) panel: *const u8,
    pub(crate) panels: usize,
    /// Bytes from one panel to the next, whose results stand beside those of the one before.
    pub(crate) next: usize,
    pub(crate) ldb: usize,
    pub(crate) inner: usize,
    /// `rows x inner`, rows `lda` apart.
    pub(crate) a: *const f32,
    pub(crate) lda: usize,
    /// `rows x (16 * panels)`, rows `ldc` apart.
    pub(crate) out: *mut f32,
    pub(crate) ldc: usize,
    pub(crate) rows: usize,
}

/// Compiles a generic function `fn generic<const FMA: bool, const WIDE: bool>(arguments)` for every unit and makes one
/// that picks: `FMA` where it has a product and sum in one, `WIDE` where it has 32 registers of 16 numbers.
///
/// The function is `unsafe`: `isa` must come from [`Isa::available`], and what the generic one demands holds here too.
macro_rules! compiled {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? = $generic:ident;) => {
        $(#[$doc])*
        pub(crate) unsafe fn $name(isa: Isa, $($arg: $ty),*) $(-> $out)? {
            // SAFETY (each): compiled for the unit and called on a processor that has it, as `isa` says; the rest is
            // the caller's word.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
            unsafe fn avx512($($arg: $ty),*) $(-> $out)? {
                unsafe { $generic::<true, true>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($arg: $ty),*) $(-> $out)? {
                unsafe { $generic::<true, false>($($arg),*) }
            }
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2($($arg),*),
                    Isa::Plain => $generic::<{ cfg!(target_arch = "aarch64") }, false>($($arg),*),
                }
            }
        }
    };
}

compiled! {
    /// One [`FloatJob`]. # Safety: the pointers cover what it says.
    fn product(kind: Kind, job: FloatJob) = product_of;
}

compiled! {
    /// `out = x / rms(x) * gain`, of `n` numbers each (Zhang and Sennrich, 2019). # Safety: they are there; `out` may be `x`.
    fn rms_norm(x: *const f32, gain: *const f32, out: *mut f32, n: usize, eps: f32) = rms_norm_of;
}

compiled! {
    /// `x += y`, of `n` numbers each. # Safety: they are there.
    fn add(x: *mut f32, y: *const f32, n: usize) = add_of;
}

compiled! {
    /// `out = silu(gate) * up`, of `n` numbers each; with `tanh` the approximation of GELU instead of SiLU.
    /// # Safety: they are there; `out` may be `gate`.
    fn gated(gate: *const f32, up: *const f32, out: *mut f32, n: usize, tanh: bool) = gated_of;
}

compiled! {
    /// Replaces `n` scores by `exp(score * scale - largest)` and gives one over their sum. # Safety: they are there.
    fn softmax(x: *mut f32, n: usize, scale: f32) -> f32 = softmax_of;
}

compiled! {
    /// Turns `n` numbers, a multiple of 32, into codes: `x = step * code`, to half a step; `sums` has the sums of the
    /// codes of each half of a block. With `split` a line has high bytes and then low bytes. Where a number is not
    /// finite, the step is not. # Safety: `codes`, `step` and `sums` hold `n / 32` elements.
    fn encode(x: *const f32, n: usize, split: bool, codes: *mut CodeLine, step: *mut f32, sums: *mut [i32; 2]) = encode_of;
}

/// `a * b + c`, in one rounding where the unit has it.
#[inline(always)]
fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
unsafe fn product_of<const FMA: bool, const WIDE: bool>(kind: Kind, mut job: FloatJob) {
    // SAFETY: as the caller vouches; `job` moves on within its rows.
    unsafe {
        while job.rows > 0 {
            let rows = match job.rows {
                8.. if WIDE => rows_of::<FMA, 8, 2>(kind, job),
                4.. if WIDE => rows_of::<FMA, 4, 4>(kind, job),
                4.. => rows_of::<FMA, 4, 1>(kind, job),
                3 => rows_of::<FMA, 3, 2>(kind, job),
                2 => rows_of::<FMA, 2, 2>(kind, job),
                _ => rows_of::<FMA, 1, 4>(kind, job),
            };
            job.a = job.a.add(rows * job.lda);
            job.out = job.out.add(rows * job.ldc);
            job.rows -= rows;
        }
    }
}

/// `ROWS` rows with all panels, `PANELS` at once.
#[inline(always)]
unsafe fn rows_of<const FMA: bool, const ROWS: usize, const PANELS: usize>(
    kind: Kind,
    mut job: FloatJob,
) -> usize {
    // SAFETY: as the caller vouches; `job` moves on within its panels.
    unsafe {
        while job.panels > 0 {
            let panels = if job.panels >= PANELS {
                kind_of::<FMA, ROWS, PANELS>(kind, &job);
                PANELS
            } else {
                kind_of::<FMA, ROWS, 1>(kind, &job);
                1
            };
            job.panel = job.panel.add(panels * job.next);
            job.out = job.out.add(panels * WIDTH);
            job.panels -= panels;
        }
    }
    ROWS
}

#[inline(always)]
unsafe fn kind_of<const FMA: bool, const ROWS: usize, const PANELS: usize>(kind: Kind, job: &FloatJob) {
    // SAFETY: as the caller vouches.
    unsafe {
        match kind {
            Kind::F32 => {
                tile::<FMA, ROWS, PANELS, 4>(job, |b| std::array::from_fn(|c| *b.cast::<f32>().add(c)));
            }
            Kind::Bf16 => tile::<FMA, ROWS, PANELS, 2>(job, |b| {
                std::array::from_fn(|c| f32::from_bits(u32::from(*b.cast::<u16>().add(c)) << 16))
            }),
            Kind::F16 => {
                tile::<FMA, ROWS, PANELS, 2>(job, |b| std::array::from_fn(|c| widen(*b.cast::<u16>().add(c))))
            }
        }
    }
}

/// A finite half as a float: its bits moved, and the exponent put right by a product.
#[inline(always)]
fn widen(half: u16) -> f32 {
    let bits = u32::from(half);
    let size = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(size.to_bits() | (bits & 0x8000) << 16)
}

#[inline(always)]
unsafe fn tile<const FMA: bool, const ROWS: usize, const PANELS: usize, const BYTES: usize>(
    job: &FloatJob,
    load: impl Fn(*const u8) -> [f32; WIDTH],
) {
    // SAFETY: as the caller vouches; `i` stays below `inner`, `r` below the rows, `p` below the panels.
    unsafe {
        let mut sums = [[[0f32; WIDTH]; PANELS]; ROWS];
        for i in 0..job.inner {
            let b: [_; PANELS] =
                std::array::from_fn(|p| load(job.panel.add(p * job.next + i * job.ldb * BYTES)));
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = *job.a.add(r * job.lda + i);
                for (sum, b) in sums.iter_mut().zip(b) {
                    for (sum, b) in sum.iter_mut().zip(b) {
                        *sum = fma::<FMA>(x, b, *sum);
                    }
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (p, sum) in sums.into_iter().enumerate() {
                job.out.add(r * job.ldc + p * WIDTH).cast::<[f32; WIDTH]>().write_unaligned(sum);
            }
        }
    }
}

#[inline(always)]
unsafe fn rms_norm_of<const FMA: bool, const WIDE: bool>(
    x: *const f32,
    gain: *const f32,
    out: *mut f32,
    n: usize,
    eps: f32,
) {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        let mut lanes = [0f32; WIDTH];
        let whole = n - n % WIDTH;
        for i in (0..whole).step_by(WIDTH) {
            for (c, lane) in lanes.iter_mut().enumerate() {
                let x = *x.add(i + c);
                *lane = fma::<FMA>(x, x, *lane);
            }
        }
        let mut squares: f32 = lanes.iter().sum();
        for i in whole..n {
            squares += *x.add(i) * *x.add(i);
        }
        let factor = 1.0 / (squares / n as f32 + eps).sqrt();
        for i in 0..n {
            *out.add(i) = *x.add(i) * factor * *gain.add(i);
        }
    }
}

#[inline(always)]
unsafe fn add_of<const FMA: bool, const WIDE: bool>(x: *mut f32, y: *const f32, n: usize) {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        for i in 0..n {
            *x.add(i) += *y.add(i);
        }
    }
}

#[inline(always)]
unsafe fn gated_of<const FMA: bool, const WIDE: bool>(
    gate: *const f32,
    up: *const f32,
    out: *mut f32,
    n: usize,
    tanh: bool,
) {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        if tanh {
            for i in 0..n {
                // x * (1 + tanh(u)) / 2 is x / (1 + exp(-2 u)); Hendrycks and Gimpel, 2016.
                let x = *gate.add(i);
                let u = 0.797_884_6 * (x + 0.044_715 * x * x * x);
                *out.add(i) = x / (1.0 + exp::<FMA>(-2.0 * u)) * *up.add(i);
            }
        } else {
            for i in 0..n {
                let x = *gate.add(i);
                *out.add(i) = x / (1.0 + exp::<FMA>(-x)) * *up.add(i);
            }
        }
    }
}

#[inline(always)]
unsafe fn softmax_of<const FMA: bool, const WIDE: bool>(x: *mut f32, n: usize, scale: f32) -> f32 {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        let mut largest = f32::NEG_INFINITY;
        let mut lanes = [f32::NEG_INFINITY; WIDTH];
        let whole = n - n % WIDTH;
        for i in (0..whole).step_by(WIDTH) {
            for (c, lane) in lanes.iter_mut().enumerate() {
                let x = *x.add(i + c);
                *lane = if x > *lane { x } else { *lane };
            }
        }
        for lane in lanes {
            largest = largest.max(lane);
        }
        for i in whole..n {
            largest = largest.max(*x.add(i));
        }
        let mut lanes = [0f32; WIDTH];
        for i in (0..whole).step_by(WIDTH) {
            for (c, lane) in lanes.iter_mut().enumerate() {
                let e = exp::<FMA>((*x.add(i + c) - largest) * scale);
                *x.add(i + c) = e;
                *lane += e;
            }
        }
        let mut sum: f32 = lanes.iter().sum();
        for i in whole..n {
            let e = exp::<FMA>((*x.add(i) - largest) * scale);
            *x.add(i) = e;
            sum += e;
        }
        1.0 / sum
    }
}

/// The exponential, to about 2 units in the last place: a power of two times a polynomial (Cody and Waite, 1980).
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    // 1.5 * 2^23: what is added to it is rounded to a whole number, which stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = fma::<FMA>(p, r, c);
    }
    let y = fma::<FMA>(p * r, r, r) + 1.0;
    y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

#[inline(always)]
unsafe fn encode_of<const FMA: bool, const WIDE: bool>(
    x: *const f32,
    n: usize,
    split: bool,
    codes: *mut CodeLine,
    step: *mut f32,
    sums: *mut [i32; 2],
) {
    // SAFETY: as the caller vouches; `b` stays below `n / 32`.
    unsafe {
        for b in 0..n / BLOCK {
            let x = x.add(b * BLOCK).cast::<[f32; BLOCK]>().read_unaligned();
            let mut lanes = [0f32; WIDTH];
            for (i, x) in x.into_iter().enumerate() {
                let (size, lane) = (x.abs(), &mut lanes[i % WIDTH]);
                *lane = if size > *lane || size.is_nan() { size } else { *lane };
            }
            let mut largest = 0f32;
            for lane in lanes {
                largest = if lane > largest || lane.is_nan() { lane } else { largest };
            }
            let inverse = if largest > 0.0 { STEPS / largest } else { 0.0 };
            let rounded: [i32; BLOCK] = std::array::from_fn(|i| {
                // As in `exp`; a number that is not finite gives any code, and a step that is not finite.
                const ROUND: f32 = 12_582_912.0;
                let code = (x[i] * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
                code.clamp(-32_639, 32_639)
            });
            *step.add(b) = largest / STEPS;
            let (first, second) = rounded.split_at(BLOCK / 2);
            *sums.add(b) = [first.iter().sum(), second.iter().sum()];
            let line = codes.add(b);
            if split {
                let high: [i8; BLOCK] = std::array::from_fn(|i| ((rounded[i] + 128) >> 8) as i8);
                let low: [i8; BLOCK] = std::array::from_fn(|i| rounded[i] as i8);
                line.cast::<[[i8; BLOCK]; 2]>().write([high, low]);
            } else {
                let whole: [i16; BLOCK] = std::array::from_fn(|i| rounded[i] as i16);
                line.cast::<[i16; BLOCK]>().write_unaligned(whole);
            }
        }
    }
}
