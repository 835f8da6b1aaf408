//! How does one head of one sequence attend, inside the cache?
//!
//! Scaled dot-product attention (Vaswani et al., 2017). Keys and values of the head are packed once; then a few
//! queries at a time meet all keys, so that the scores of a step never leave the first-level cache.

use super::gemm::{Product, panel_of};
use super::isa::{Isa, for_each_isa};
use super::lanes::Lanes;
use super::rows::softmax;

/// One head of one sequence.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// `tokens x dim` each, rows `stride` apart; queries are scaled already.
    pub(super) query: *const f32,
    pub(super) key: *const f32,
    pub(super) value: *const f32,
    pub(super) stride: usize,
    /// `tokens x dim`, rows `out_stride` apart.
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    pub(super) tokens: usize,
    pub(super) dim: usize,
    /// What is added to the score of query i and key j lies at `j - i` from here; null for nothing.
    pub(super) bias: *const f32,
    /// [`scratch_len`] floats.
    pub(super) scratch: *mut f32,
}

/// Floats of scratch that a head needs.
pub(super) fn scratch_len(isa: Isa, tokens: usize, dim: usize) -> usize {
    let width = isa.panel();
    let (keys, dims) = (tokens.next_multiple_of(width), dim.next_multiple_of(width));
    dim * keys + tokens * dims + MOST_ROWS * keys
}

/// No unit has more rows in a tile.
const MOST_ROWS: usize = 12;

for_each_isa! {
    /// Attention of one [`Head`]. # Safety: the pointers cover what [`Head`] says.
    fn attend(head: Head) = attend_with;
}

#[inline(always)]
unsafe fn attend_with<L: Lanes>(h: Head) {
    const { assert!(L::ROWS <= MOST_ROWS) };
    let width = L::PANEL;
    let (n, d) = (h.tokens, h.dim);
    let keys = n.next_multiple_of(width);
    // SAFETY: as the caller vouches; the three parts of the scratch follow one another as `scratch_len` counts them.
    unsafe {
        let packed_keys = h.scratch;
        let packed_values = packed_keys.add(d * keys);
        let scores = packed_values.add(n * d.next_multiple_of(width));
        pack_keys::<L>(&h, packed_keys);
        pack_values::<L>(&h, packed_values);
        for first in (0..n).step_by(L::ROWS) {
            let rows = L::ROWS.min(n - first);
            for key in (0..n).step_by(width) {
                panel_of::<L>(Product {
                    a: h.query.add(first * h.stride),
                    lda: h.stride,
                    b: packed_keys.add(key * d),
                    ldb: width,
                    start: std::ptr::null(),
                    c: scores.add(key),
                    ldc: keys,
                    rows,
                    columns: width,
                    inner: d,
                });
            }
            let mut factors = [0f32; MOST_ROWS];
            for (r, factor) in factors.iter_mut().enumerate().take(rows) {
                let bias = if h.bias.is_null() { h.bias } else { h.bias.sub(first + r) };
                *factor = softmax::<L>(scores.add(r * keys), bias, n);
            }
            for column in (0..d).step_by(width) {
                let columns = width.min(d - column);
                let out = h.out.add(first * h.out_stride + column);
                panel_of::<L>(Product {
                    a: scores,
                    lda: keys,
                    b: packed_values.add(column * n),
                    ldb: width,
                    start: std::ptr::null(),
                    c: out,
                    ldc: h.out_stride,
                    rows,
                    columns,
                    inner: n,
                });
                for (r, &factor) in factors.iter().enumerate().take(rows) {
                    for c in 0..columns {
                        *out.add(r * h.out_stride + c) *= factor;
                    }
                }
            }
        }
    }
}

/// Panels of `dim x width`: a panel's row holds one component of `width` keys; missing keys are zero.
#[inline(always)]
unsafe fn pack_keys<L: Lanes>(h: &Head, to: *mut f32) {
    let width = L::PANEL;
    // SAFETY: as the caller vouches: keys `0..tokens` of `dim` components, panels for all of them.
    unsafe {
        for first in (0..h.tokens).step_by(width) {
            let panel = to.add(first * h.dim);
            let count = width.min(h.tokens - first);
            for i in 0..h.dim {
                for c in 0..count {
                    *panel.add(i * width + c) = *h.key.add((first + c) * h.stride + i);
                }
                for c in count..width {
                    *panel.add(i * width + c) = 0.0;
                }
            }
        }
    }
}

/// Panels of `tokens x width`: a panel's row holds `width` components of one value; missing components are zero.
#[inline(always)]
unsafe fn pack_values<L: Lanes>(h: &Head, to: *mut f32) {
    let width = L::PANEL;
    // SAFETY: as the caller vouches: values `0..tokens` of `dim` components, panels for all of them.
    unsafe {
        for first in (0..h.dim).step_by(width) {
            let panel = to.add(first * h.tokens);
            let count = width.min(h.dim - first);
            for t in 0..h.tokens {
                let value = h.value.add(t * h.stride + first);
                let row = panel.add(t * width);
                std::ptr::copy_nonoverlapping(value, row, count);
                std::ptr::write_bytes(row.add(count), 0, width - count);
            }
        }
    }
}
