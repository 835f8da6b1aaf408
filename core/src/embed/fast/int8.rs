//! How is a block of tokens multiplied by a weight matrix in 8-bit integers?
//!
//! Weights are signed bytes with one scale per output; each row of activations becomes unsigned bytes between its own
//! smallest and largest value when it arrives (the scheme of Jacob et al., 2018, per row). A row's result depends on
//! that row only, and the integer part is exact on every unit.

use super::aligned::Aligned;
use super::gemm::store_pair;
use super::isa::{Isa, for_each_isa};
use super::lanes::Lanes;

/// A weight matrix of `inputs x outputs` in bytes, packed in panels for one vector unit.
pub(super) struct LinearInt8 {
    /// Panels of `inputs / 4` rows; a row holds four successive inputs of each of a panel's columns.
    panels: Aligned<i8>,
    /// Per output: the weight of one step; that times the sum of the steps; the bias. Zero past the last output.
    scale: Aligned<f32>,
    offset: Aligned<f32>,
    bias: Aligned<f32>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    isa: Isa,
}

/// Rows of activations in bytes: value = `low[r] + step[r] * byte`.
pub(super) struct Bytes {
    bytes: Aligned<u8>,
    step: Aligned<f32>,
    low: Aligned<f32>,
}

impl Bytes {
    pub(super) fn new() -> Self {
        Bytes { bytes: Aligned::zeroed(0), step: Aligned::zeroed(0), low: Aligned::zeroed(0) }
    }
}

/// The largest weight in steps.
const STEPS: f32 = 127.0;

impl LinearInt8 {
    /// Quantises and packs `weight` (`outputs x inputs`, row-major, as checkpoints hold it) and `bias` (`outputs`).
    pub(super) fn pack(isa: Isa, weight: &[f32], bias: &[f32], inputs: usize, outputs: usize) -> LinearInt8 {
        let width = isa.panel();
        let count = outputs.div_ceil(width);
        let depth = inputs.next_multiple_of(4);
        let mut packed = LinearInt8 {
            panels: Aligned::zeroed(count * width * depth),
            scale: Aligned::zeroed(count * width),
            offset: Aligned::zeroed(count * width),
            bias: Aligned::zeroed(count * width),
            inputs,
            outputs,
            isa,
        };
        packed.bias[..outputs].copy_from_slice(bias);
        for (o, row) in weight.chunks_exact(inputs).enumerate() {
            // A weight that is not finite makes the scale, and so every result of this output, not finite.
            let largest = row.iter().fold(0f32, |m, w| if w.abs() > m || w.is_nan() { w.abs() } else { m });
            let scale = largest / STEPS;
            let start = o / width * width * depth + o % width * 4;
            let mut sum = 0i32;
            for (i, &w) in row.iter().enumerate() {
                let q = if scale > 0.0 { (w / scale).round_ties_even() as i8 } else { 0 };
                packed.panels[start + i / 4 * width * 4 + i % 4] = q;
                sum += i32::from(q);
            }
            packed.scale[o] = scale;
            packed.offset[o] = scale * sum as f32;
        }
        packed
    }

    /// `c[r][o] = bias[o] + sum over i of a[r][i] * weight[o][i]` for `rows` rows that start `lda` and `ldc` apart.
    pub(super) fn apply(
        &self,
        a: &[f32],
        lda: usize,
        rows: usize,
        c: &mut [f32],
        ldc: usize,
        scratch: &mut Bytes,
    ) {
        if rows == 0 {
            return;
        }
        assert!(lda >= self.inputs && ldc >= self.outputs);
        assert!(a.len() >= (rows - 1) * lda + self.inputs && c.len() >= (rows - 1) * ldc + self.outputs);
        let width = self.isa.panel();
        let depth = self.inputs.next_multiple_of(4);
        scratch.bytes.reserve(rows * depth);
        scratch.step.reserve(rows);
        scratch.low.reserve(rows);
        // SAFETY: `isa` was detected; rows of `a` and `c` lie within their slices by the asserts, those of the scratch
        // were just made; each panel holds `depth * width` weights, and only `outputs` columns are stored. Bytes past
        // `inputs` in a row are whatever they were: their weights are zero.
        unsafe {
            for r in 0..rows {
                quantize_row(
                    self.isa,
                    a.as_ptr().add(r * lda),
                    self.inputs,
                    scratch.bytes.as_mut_ptr().add(r * depth),
                    scratch.step.as_mut_ptr().add(r),
                    scratch.low.as_mut_ptr().add(r),
                );
            }
            for (p, first) in (0..self.outputs).step_by(width).enumerate() {
                panel(
                    self.isa,
                    Product {
                        a: scratch.bytes.as_ptr(),
                        depth,
                        step: scratch.step.as_ptr(),
                        low: scratch.low.as_ptr(),
                        b: self.panels.as_ptr().add(p * width * depth),
                        scale: self.scale.as_ptr().add(first),
                        offset: self.offset.as_ptr().add(first),
                        bias: self.bias.as_ptr().add(first),
                        c: c.as_mut_ptr().add(first),
                        ldc,
                        rows,
                        columns: width.min(self.outputs - first),
                    },
                );
            }
        }
    }
}

/// One panel of columns of a product.
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// `rows x depth` bytes, with `rows` steps and lows; `depth` is a multiple of 4.
    a: *const u8,
    depth: usize,
    step: *const f32,
    low: *const f32,
    /// `depth / 4` rows of a whole panel's width, four bytes for each column.
    b: *const i8,
    /// A panel's width of floats each.
    scale: *const f32,
    offset: *const f32,
    bias: *const f32,
    /// `rows x columns`, rows `ldc` apart.
    c: *mut f32,
    ldc: usize,
    rows: usize,
    columns: usize,
}

for_each_isa! {
    /// One [`Product`]. # Safety: the pointers cover what [`Product`] says.
    fn panel(product: Product) = panel_of;
}

for_each_isa! {
    /// Turns `n` floats at `x` into bytes, signed or not as the unit likes: `x = low + step * byte`, to half a step. A value that is not finite makes
    /// `step` NaN. # Safety: `x` and `bytes` hold `n` elements, `step` and `low` one.
    fn quantize_row(x: *const f32, n: usize, bytes: *mut u8, step: *mut f32, low: *mut f32) = quantize_of;
}

#[inline(always)]
unsafe fn panel_of<L: Lanes>(mut p: Product) {
    // SAFETY: as the caller vouches; the pointers advance within the rows.
    unsafe {
        while p.rows >= L::ROWS {
            match L::ROWS {
                12 => tile::<L, 12>(&p),
                6 => tile::<L, 6>(&p),
                _ => tile::<L, 4>(&p),
            }
            p.a = p.a.add(L::ROWS * p.depth);
            p.step = p.step.add(L::ROWS);
            p.low = p.low.add(L::ROWS);
            p.c = p.c.add(L::ROWS * p.ldc);
            p.rows -= L::ROWS;
        }
        match p.rows {
            0 => {}
            1 => tile::<L, 1>(&p),
            2 => tile::<L, 2>(&p),
            3 => tile::<L, 3>(&p),
            4 => tile::<L, 4>(&p),
            5 => tile::<L, 5>(&p),
            6 => tile::<L, 6>(&p),
            7 => tile::<L, 7>(&p),
            8 => tile::<L, 8>(&p),
            9 => tile::<L, 9>(&p),
            10 => tile::<L, 10>(&p),
            _ => tile::<L, 11>(&p),
        }
    }
}

#[inline(always)]
unsafe fn tile<L: Lanes, const ROWS: usize>(p: &Product) {
    // SAFETY: as the caller vouches; a row's four bytes are read without a demand on alignment.
    unsafe {
        let mut sums = [[L::zero_int(); 2]; ROWS];
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.depth / 4 {
            for (r, sum) in sums.iter_mut().enumerate() {
                let x = u32::from_le(a.add(r * p.depth).cast::<u32>().read_unaligned());
                sum[0] = L::dot4(sum[0], x, b);
                sum[1] = L::dot4(sum[1], x, b.add(4 * L::LANES));
            }
            a = a.add(4);
            b = b.add(8 * L::LANES);
        }
        let half = L::LANES;
        for (r, sum) in sums.into_iter().enumerate() {
            let (step, low) = (L::splat(*p.step.add(r)), L::splat(*p.low.add(r)));
            let mut result = [step; 2];
            for (j, out) in result.iter_mut().enumerate() {
                let scale = L::mul(step, L::load(p.scale.add(j * half)));
                let base = L::fma(low, L::load(p.offset.add(j * half)), L::load(p.bias.add(j * half)));
                *out = L::fma(L::to_float(sum[j]), scale, base);
            }
            store_pair::<L>(p.c.add(r * p.ldc), p.columns, result);
        }
    }
}

#[inline(always)]
unsafe fn quantize_of<L: Lanes>(x: *const f32, n: usize, bytes: *mut u8, step: *mut f32, low: *mut f32) {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        let whole = n - n % L::LANES;
        let rest = n - whole;
        let zero = L::splat(0.0);
        let (mut least, mut largest, mut odd) = (L::splat(f32::INFINITY), L::splat(f32::NEG_INFINITY), zero);
        for i in (0..whole).step_by(L::LANES) {
            let v = L::load(x.add(i));
            least = L::min(least, v);
            largest = L::max(largest, v);
            odd = L::fma(v, zero, odd);
        }
        let (mut least, mut largest, mut odd) = (L::min_lane(least), L::max_lane(largest), L::sum(odd));
        for i in whole..n {
            least = least.min(*x.add(i));
            largest = largest.max(*x.add(i));
            odd += *x.add(i) * 0.0;
        }
        // `odd` is zero, or NaN when a value was NaN or infinite.
        let width = largest - least;
        *step = width / 255.0 + odd;
        *low = least + f32::from(L::ZERO) * *step;
        let factor = L::splat(if width > 0.0 { 255.0 / width } else { 0.0 });
        let lows = L::splat(least);
        for i in (0..whole).step_by(L::LANES) {
            let q = L::mul(L::sub(L::load(x.add(i)), lows), factor);
            L::store_bytes(bytes.add(i), L::LANES, q);
        }
        if rest > 0 {
            let q = L::mul(L::sub(L::load_first(x.add(whole), rest, least), lows), factor);
            L::store_bytes(bytes.add(whole), rest, q);
        }
    }
}
