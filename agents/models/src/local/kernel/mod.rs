//! How are a few rows multiplied by packed weights on the vector unit of this processor?
//!
//! Weights lie in panels of [`WIDTH`] outputs. Those of a quantised file keep their integers (4 or 8 bits for each) and
//! their scales; activations become 16-bit integers with a scale for each [`BLOCK`] inputs, so that a product is exact to
//! about 2^-15 of the largest activation of a block. A row's result does not depend on the rows beside it, nor the
//! integer part on the unit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(super) mod float;
mod plain;

/// Outputs in a panel.
pub(crate) const WIDTH: usize = 16;

/// Inputs that share a scale of the activations.
pub(crate) const BLOCK: usize = 32;

/// The largest activation in steps: what two signed bytes can say, 127 * 256 + 127.
const STEPS: f32 = 32_639.0;

/// The vector unit that the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512 F, BW, DQ, VL and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler's baseline has.
    Plain,
}

impl Isa {
    /// The best unit of this processor.
    pub(crate) fn detect() -> Isa {
        Isa::available()[0]
    }

    /// Every unit of this processor, the best first.
    pub(crate) fn available() -> Vec<Isa> {
        let mut units = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            if avx2 && avx512 {
                units.push(Isa::Avx512);
            }
            if avx2 {
                units.push(Isa::Avx2);
            }
        }
        units.push(Isa::Plain);
        units
    }

    /// Whether codes of activations are split into their high and their low bytes.
    pub(crate) fn splits(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self == Isa::Avx512 {
            return true;
        }
        false
    }
}

/// How the integers of a quantised panel are kept. A block of 32 inputs takes `bytes()`: the integers, then 16 scales
/// for each of `subs` parts, then as many minima if there are any, each in half precision.
///
/// The integers of 4 bits stand in 4 rows of 64 bytes: row `j` has, at `4 c + k`, that of output `c` and input
/// `4 j + k` below, and that of input `16 + 4 j + k` above. Those of 8 bits stand in 8 such rows of one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// 4 bits for each weight; else 8.
    pub(crate) four: bool,
    /// Parts of a block with a scale of their own: 1 or 2.
    pub(crate) subs: usize,
    /// Whether a weight is `scale * code + min`; else it is `scale * (code - zero)`.
    pub(crate) mins: bool,
    /// The code of 0, without minima.
    pub(crate) zero: i32,
}

impl Form {
    /// Bytes of the integers of a block.
    pub(crate) const fn code_bytes(self) -> usize {
        if self.four { BLOCK * WIDTH / 2 } else { BLOCK * WIDTH }
    }

    /// Bytes of a block.
    pub(crate) const fn bytes(self) -> usize {
        self.code_bytes() + 2 * WIDTH * self.subs * if self.mins { 2 } else { 1 }
    }
}

/// The codes of one row and block: 32 times 16 bits, or 32 high bytes and then 32 low bytes.
pub(crate) type CodeLine = [u8; 2 * BLOCK];

/// A product of rows with one quantised panel.
#[derive(Clone, Copy)]
pub(crate) struct QuantJob {
    /// `blocks` blocks of the panel's form.
    pub(crate) panel: *const u8,
    pub(crate) blocks: usize,
    /// What each output is multiplied by in the end; 16.
    pub(crate) factor: *const f32,
    /// `rows x blocks` each.
    pub(crate) codes: *const CodeLine,
    pub(crate) step: *const f32,
    pub(crate) sums: *const [i32; 2],
    /// `rows x 16`, rows `ldc` apart.
    pub(crate) out: *mut f32,
    pub(crate) ldc: usize,
    pub(crate) rows: usize,
}

impl QuantJob {
    /// The same for the rows from `rows` on.
    unsafe fn skip(self, rows: usize) -> Self {
        // SAFETY: as the caller vouches, there are more than `rows` rows.
        unsafe {
            QuantJob {
                codes: self.codes.add(rows * self.blocks),
                step: self.step.add(rows * self.blocks),
                sums: self.sums.add(rows * self.blocks),
                out: self.out.add(rows * self.ldc),
                rows: self.rows - rows,
                ..self
            }
        }
    }
}

/// Calls `$tile::<FOUR, SUBS, MINS, ROWS>(&job, zero)` for the form, as many rows at once as there are.
macro_rules! tiles {
    ($tile:path, $form:expr, $job:expr) => {{
        use $tile as tile;
        let (form, mut job) = ($form, $job);
        macro_rules! rows {
            ($four:literal, $subs:literal, $mins:literal) => {{
                while job.rows >= 8 {
                    tile::<$four, $subs, $mins, 8>(&job, form.zero);
                    job = job.skip(8);
                }
                if job.rows >= 4 {
                    tile::<$four, $subs, $mins, 4>(&job, form.zero);
                    job = job.skip(4);
                }
                if job.rows >= 2 {
                    tile::<$four, $subs, $mins, 2>(&job, form.zero);
                    job = job.skip(2);
                }
                if job.rows >= 1 {
                    tile::<$four, $subs, $mins, 1>(&job, form.zero);
                }
            }};
        }
        match (form.four, form.subs, form.mins) {
            (true, 1, false) => rows!(true, 1, false),
            (true, 1, true) => rows!(true, 1, true),
            (true, _, false) => rows!(true, 2, false),
            (true, _, true) => rows!(true, 2, true),
            (false, 1, false) => rows!(false, 1, false),
            (false, 1, true) => rows!(false, 1, true),
            (false, _, false) => rows!(false, 2, false),
            (false, _, true) => rows!(false, 2, true),
        }
    }};
}

/// One [`QuantJob`].
///
/// # Safety
/// `isa` is one of [`Isa::available`], and the pointers cover what [`QuantJob`] says, the panel in this `form`.
pub(crate) unsafe fn quant(isa: Isa, form: Form, job: QuantJob) {
    // SAFETY: as the caller vouches.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::quant(form, job),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::quant(form, job),
            Isa::Plain => tiles!(plain::tile, form, job),
        }
    }
}

use tiles;

#[cfg(test)]
mod tests;
