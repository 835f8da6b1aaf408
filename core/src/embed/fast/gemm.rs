//! How is a block of tokens multiplied by a weight matrix, in f32?
//!
//! The shape of the loops is that of Goto and van de Geijn (2008), "Anatomy of high-performance matrix
//! multiplication": a tile of the result stays in registers while a panel of weights, packed once at load,
//! streams past it. Rows are not packed. The sum over the inner dimension runs in one fixed order for every row,
//! whichever rows stand beside it, so a row's result does not depend on its neighbours.

use super::aligned::Aligned;
use super::isa::{Isa, for_each_isa};
use super::lanes::Lanes;

/// A weight matrix of `inputs x outputs` with its bias, packed in panels for one vector unit.
pub(super) struct Linear {
    panels: Aligned<f32>,
    /// As many as the panels have columns; zero without a bias.
    bias: Aligned<f32>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    isa: Isa,
}

impl Linear {
    /// Packs `weight` (`outputs x inputs`, row-major, as checkpoints hold it) and `bias` (`outputs`).
    pub(super) fn pack(isa: Isa, weight: &[f32], bias: &[f32], inputs: usize, outputs: usize) -> Linear {
        let width = isa.panel();
        let count = outputs.div_ceil(width);
        let mut panels = Aligned::zeroed(count * width * inputs);
        for (o, row) in weight.chunks_exact(inputs).enumerate() {
            let (panel, column) = (o / width, o % width);
            for (i, &w) in row.iter().enumerate() {
                panels[panel * width * inputs + i * width + column] = w;
            }
        }
        let mut padded = Aligned::zeroed(count * width);
        padded[..outputs].copy_from_slice(bias);
        Linear { panels, bias: padded, inputs, outputs, isa }
    }

    /// `c[r][o] = bias[o] + sum over i of a[r][i] * weight[o][i]` for `rows` rows that start `lda` and `ldc` apart.
    pub(super) fn apply(&self, a: &[f32], lda: usize, rows: usize, c: &mut [f32], ldc: usize) {
        if rows == 0 {
            return;
        }
        assert!(lda >= self.inputs && ldc >= self.outputs);
        assert!(a.len() >= (rows - 1) * lda + self.inputs && c.len() >= (rows - 1) * ldc + self.outputs);
        let width = self.isa.panel();
        // SAFETY: `isa` was detected; rows of `a` and `c` lie within their slices by the asserts; each panel holds
        // `inputs * width` weights and `width` biases, and only `outputs` columns are stored.
        unsafe {
            for (p, first) in (0..self.outputs).step_by(width).enumerate() {
                let columns = width.min(self.outputs - first);
                panel(
                    self.isa,
                    Product {
                        a: a.as_ptr(),
                        lda,
                        b: self.panels.as_ptr().add(p * width * self.inputs),
                        ldb: width,
                        start: self.bias.as_ptr().add(first),
                        c: c.as_mut_ptr().add(first),
                        ldc,
                        rows,
                        columns,
                        inner: self.inputs,
                    },
                );
            }
        }
    }
}

/// `c = start + a * b` for one panel of columns of `b`.
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// `rows x inner`, rows `lda` apart.
    pub(super) a: *const f32,
    pub(super) lda: usize,
    /// `inner` rows of a whole panel's width each, `ldb` apart.
    pub(super) b: *const f32,
    pub(super) ldb: usize,
    /// What is added to each row: a panel's width of floats; null for zeros.
    pub(super) start: *const f32,
    /// `rows x columns`, rows `ldc` apart.
    pub(super) c: *mut f32,
    pub(super) ldc: usize,
    pub(super) rows: usize,
    /// Columns of `c` to store, at most a panel's width.
    pub(super) columns: usize,
    pub(super) inner: usize,
}

for_each_isa! {
    /// One [`Product`]. # Safety: the pointers cover what [`Product`] says.
    fn panel(product: Product) = panel_of;
}

/// See [`panel`].
#[inline(always)]
pub(super) unsafe fn panel_of<L: Lanes>(mut p: Product) {
    // SAFETY: as the caller vouches; `a` and `c` advance within the rows.
    unsafe {
        while p.rows >= L::ROWS {
            match L::ROWS {
                12 => tile::<L, 12>(&p),
                6 => tile::<L, 6>(&p),
                _ => tile::<L, 4>(&p),
            }
            p.a = p.a.add(L::ROWS * p.lda);
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

/// A tile of `ROWS x L::PANEL` that stays in registers.
#[inline(always)]
unsafe fn tile<L: Lanes, const ROWS: usize>(p: &Product) {
    // SAFETY: as the caller vouches.
    unsafe {
        let (left, right) = if p.start.is_null() {
            (L::splat(0.0), L::splat(0.0))
        } else {
            (L::load(p.start), L::load(p.start.add(L::LANES)))
        };
        let mut sums = [[left, right]; ROWS];
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.inner {
            let (left, right) = (L::load(b), L::load(b.add(L::LANES)));
            for (r, sum) in sums.iter_mut().enumerate() {
                let x = L::splat(*a.add(r * p.lda));
                sum[0] = L::fma(x, left, sum[0]);
                sum[1] = L::fma(x, right, sum[1]);
            }
            a = a.add(1);
            b = b.add(p.ldb);
        }
        for (r, sum) in sums.into_iter().enumerate() {
            store_pair::<L>(p.c.add(r * p.ldc), p.columns, sum);
        }
    }
}

/// Stores the first `columns` of two vectors side by side.
#[inline(always)]
pub(super) unsafe fn store_pair<L: Lanes>(c: *mut f32, columns: usize, v: [L::V; 2]) {
    // SAFETY: as the caller vouches.
    unsafe {
        if columns == 2 * L::LANES {
            L::store(c, v[0]);
            L::store(c.add(L::LANES), v[1]);
        } else if columns > L::LANES {
            L::store(c, v[0]);
            L::store_first(c.add(L::LANES), columns - L::LANES, v[1]);
        } else {
            L::store_first(c, columns, v[0]);
        }
    }
}
