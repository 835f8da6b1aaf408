//! How is a weight matrix kept, so that its products are fast?
//!
//! In panels of 16 outputs, with the integers that the file has. The layout is that of `kernel`.

use half::f16;
use quorate_core::Result;

use super::kernel::float::{self, FloatJob, Kind};
use super::kernel::{BLOCK, CodeLine, Form, Isa, QuantJob, WIDTH, quant};
use super::pages::Pages;
use super::tensor::{Format, Tensor, number};

/// A matrix of `outputs x inputs`.
pub(super) struct Matrix {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    store: Store,
    panels: Pages,
    /// Bytes of a panel.
    stride: usize,
    /// What each output is multiplied by in the end, a whole number of panels.
    factors: Vec<f32>,
    isa: Isa,
}

#[derive(Clone, Copy)]
enum Store {
    Quant(Form),
    Float(Kind),
}

/// Rows of activations, in the forms that matrices want: `rows x inputs` floats, and their codes.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) rows: usize,
    pub(super) floats: *const f32,
    pub(super) codes: *const CodeLine,
    pub(super) step: *const f32,
    pub(super) sums: *const [i32; 2],
}

impl Matrix {
    /// Packs a tensor for `isa`. Errors: `model_invalid`.
    pub(super) fn pack(isa: Isa, tensor: &Tensor<'_>) -> Result<Matrix> {
        let (outputs, inputs) = (tensor.rows, tensor.columns);
        let count = outputs.div_ceil(WIDTH);
        let mut factors = vec![1f32; count * WIDTH];
        let (store, stride) = match tensor.format {
            Format::F32 => (Store::Float(Kind::F32), inputs * WIDTH * 4),
            Format::F16 => (Store::Float(Kind::F16), inputs * WIDTH * 2),
            Format::Bf16 => (Store::Float(Kind::Bf16), inputs * WIDTH * 2),
            Format::Blocks(ref blocks) => {
                (Store::Quant(blocks.form()), inputs / BLOCK * blocks.form().bytes())
            }
        };
        let mut panels = Pages::zeroed(count * stride);
        let bytes = panels.bytes();
        for o in 0..outputs {
            let row = tensor.row(o);
            let panel = &mut bytes[o / WIDTH * stride..][..stride];
            let c = o % WIDTH;
            match (&tensor.format, store) {
                (Format::Blocks(blocks), Store::Quant(form)) => {
                    factors[o] = blocks.factor(row)?;
                    for (b, block) in panel.chunks_exact_mut(form.bytes()).enumerate() {
                        let read = blocks.block(row, b);
                        place(form, block, c, &read.codes);
                        let (_, halves) = block.split_at_mut(form.code_bytes());
                        let mut put = |i: usize, value: f32| {
                            let at = 2 * (WIDTH * i + c);
                            halves[at..at + 2]
                                .copy_from_slice(&f16::from_f32(value / factors[o]).to_le_bytes());
                        };
                        for s in 0..form.subs {
                            put(s, read.scales[s]);
                            if form.mins {
                                put(form.subs + s, read.mins[s]);
                            }
                        }
                    }
                }
                (_, Store::Float(kind)) => {
                    let size = kind.bytes();
                    for (i, number) in row.chunks_exact(size).enumerate() {
                        panel[(i * WIDTH + c) * size..][..size].copy_from_slice(number);
                    }
                }
                _ => {}
            }
        }
        Ok(Matrix { outputs, inputs, store, panels, stride, factors, isa })
    }

    /// Panels.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(WIDTH)
    }

    /// Whether products take codes; else floats.
    pub(super) fn wants_codes(&self) -> bool {
        matches!(self.store, Store::Quant(_))
    }

    /// Bytes of a panel, for messages about size.
    pub(super) fn bytes(&self) -> usize {
        self.panels() * self.stride
    }

    /// The products of all `rows` with one panel, 16 results for each, rows `ldc` apart.
    ///
    /// # Safety
    /// `out` has room for them, and `rows` holds this matrix's inputs in the form that it wants.
    pub(super) unsafe fn product(&self, panel: usize, rows: Rows, out: *mut f32, ldc: usize) {
        debug_assert!(panel < self.panels());
        let start = self.panels.at(panel * self.stride);
        // SAFETY: the panel lies within the matrix, whose form and unit are its own; the rest is the caller's word.
        unsafe {
            match self.store {
                Store::Quant(form) => quant(
                    self.isa,
                    form,
                    QuantJob {
                        panel: start,
                        blocks: self.inputs / BLOCK,
                        factor: self.factors.as_ptr().add(panel * WIDTH),
                        codes: rows.codes,
                        step: rows.step,
                        sums: rows.sums,
                        out,
                        ldc,
                        rows: rows.rows,
                    },
                ),
                Store::Float(kind) => float::product(
                    self.isa,
                    kind,
                    FloatJob {
                        panel: start,
                        panels: 1,
                        next: 0,
                        ldb: WIDTH,
                        inner: self.inputs,
                        a: rows.floats,
                        lda: self.inputs,
                        out,
                        ldc,
                        rows: rows.rows,
                    },
                ),
            }
        }
    }

    /// The weights of one output.
    pub(super) fn row(&self, output: usize, out: &mut [f32]) {
        let panel = &self.panels.as_slice()[output / WIDTH * self.stride..][..self.stride];
        let c = output % WIDTH;
        match self.store {
            Store::Float(kind) => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = number(kind, &panel[(i * WIDTH + c) * kind.bytes()..]);
                }
            }
            Store::Quant(form) => {
                for (block, out) in panel.chunks_exact(form.bytes()).zip(out.chunks_exact_mut(BLOCK)) {
                    let halves = &block[form.code_bytes()..];
                    let half = |i: usize| {
                        let at = 2 * (WIDTH * i + c);
                        f16::from_le_bytes([halves[at], halves[at + 1]]).to_f32() * self.factors[output]
                    };
                    for (i, out) in out.iter_mut().enumerate() {
                        let s = i * form.subs / BLOCK;
                        let code = i32::from(code(form, block, c, i));
                        *out = if form.mins {
                            half(s) * code as f32 + half(form.subs + s)
                        } else {
                            half(s) * (code - form.zero) as f32
                        };
                    }
                }
            }
        }
    }
}

/// Where the code of input `i` of output `c` stands in a block, and whether it is in the upper half of its byte.
fn spot(form: Form, c: usize, i: usize) -> (usize, bool) {
    let (i, upper) = if form.four && i >= BLOCK / 2 { (i - BLOCK / 2, true) } else { (i, false) };
    (i / 4 * 4 * WIDTH + 4 * c + i % 4, upper)
}

fn place(form: Form, block: &mut [u8], c: usize, codes: &[u8; BLOCK]) {
    for (i, &code) in codes.iter().enumerate() {
        let (at, upper) = spot(form, c, i);
        block[at] |= if upper { code << 4 } else { code };
    }
}

fn code(form: Form, block: &[u8], c: usize, i: usize) -> u8 {
    let (at, upper) = spot(form, c, i);
    match (form.four, upper) {
        (false, _) => block[at],
        (true, false) => block[at] & 0x0f,
        (true, true) => block[at] >> 4,
    }
}
