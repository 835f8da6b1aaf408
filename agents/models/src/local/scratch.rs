//! Where are the numbers between the layers of a pass?

use super::decoder::Decoder;
use super::kernel::{BLOCK, CodeLine, Isa, WIDTH, float};
use super::matrix::Rows;

/// Rows that go through the layers together.
pub(super) const BATCH: usize = 128;

/// Memory for the numbers between the layers, for one request.
pub(super) struct Scratch {
    /// Residual rows, normed rows, results of products, queries with keys and values, results of attention, inner rows.
    pub(super) x: Buffer<f32>,
    pub(super) normed: Buffer<f32>,
    pub(super) y: Buffer<f32>,
    pub(super) q: Buffer<f32>,
    pub(super) k: Buffer<f32>,
    pub(super) v: Buffer<f32>,
    pub(super) attended: Buffer<f32>,
    pub(super) inner: Buffer<f32>,
    /// Of each thread: scores, and two tiles of the gated layer.
    pub(super) scores: Buffer<f32>,
    pub(super) tiles: Buffer<f32>,
    pub(super) normed_codes: Codes,
    pub(super) attended_codes: Codes,
    pub(super) inner_codes: Codes,
    /// Of the batch, for layers without and with a window: cosines and sines, `rows x 2 x turned / 2`.
    pub(super) turns: [Buffer<f32>; 2],
    pub(super) logits: Buffer<f32>,
}

/// Rows as codes.
pub(super) struct Codes {
    blocks: usize,
    lines: Buffer<CodeLine>,
    step: Buffer<f32>,
    sums: Buffer<[i32; 2]>,
}

/// Numbers that the threads of a pass share.
pub(super) struct Buffer<T> {
    numbers: Vec<T>,
    start: *mut T,
}

// SAFETY: threads of a pass write to places of their own, and read what others wrote after its step; outside a pass the
// owner alone has it.
unsafe impl<T: Send> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Buffer<T> {}

impl<T: Copy> Buffer<T> {
    fn new(n: usize, zero: T) -> Self {
        let mut numbers = vec![zero; n];
        Buffer { start: numbers.as_mut_ptr(), numbers }
    }

    /// Makes room for `n` numbers.
    pub(super) fn reserve(&mut self, n: usize, zero: T) {
        if n > self.numbers.len() {
            *self = Buffer::new(n, zero);
        }
    }

    /// The place of a number.
    pub(super) fn at(&self, i: usize) -> *mut T {
        debug_assert!(i <= self.numbers.len());
        self.start.wrapping_add(i)
    }

    /// `n` numbers from `i` on. # Safety: no thread writes to them meanwhile.
    pub(super) unsafe fn read(&self, i: usize, n: usize) -> &[T] {
        assert!(i + n <= self.numbers.len());
        // SAFETY: they lie within the buffer; the rest is the caller's word.
        unsafe { std::slice::from_raw_parts(self.at(i), n) }
    }

    /// The same, to be written. # Safety: no other thread touches them meanwhile.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn write(&self, i: usize, n: usize) -> &mut [T] {
        assert!(i + n <= self.numbers.len());
        // SAFETY: they lie within the buffer; the rest is the caller's word.
        unsafe { std::slice::from_raw_parts_mut(self.at(i), n) }
    }
}

impl Codes {
    fn new(rows: usize, inputs: usize) -> Self {
        let blocks = inputs / BLOCK;
        let n = rows * blocks;
        Codes {
            blocks,
            lines: Buffer::new(n, [0; 2 * BLOCK]),
            step: Buffer::new(n, 0.0),
            sums: Buffer::new(n, [0; 2]),
        }
    }

    /// Encodes `n` numbers of a row from input `first` on, a multiple of 32 both.
    /// # Safety: they are there, and no other thread touches their codes.
    pub(super) unsafe fn encode(&self, isa: Isa, row: usize, first: usize, x: *const f32, n: usize) {
        let at = row * self.blocks + first / BLOCK;
        // SAFETY: as the caller vouches.
        unsafe {
            float::encode(isa, x, n, isa.splits(), self.lines.at(at), self.step.at(at), self.sums.at(at));
        }
    }

    pub(super) fn rows(&self, first: usize, rows: usize, floats: *const f32) -> Rows {
        let at = first * self.blocks;
        Rows { rows, floats, codes: self.lines.at(at), step: self.step.at(at), sums: self.sums.at(at) }
    }
}

impl Scratch {
    pub(super) fn new(decoder: &Decoder, threads: usize) -> Self {
        let shape = &decoder.shape;
        let rows = BATCH;
        let wide = |n: usize| n.next_multiple_of(WIDTH);
        let (q, kv) = (shape.heads * shape.head, shape.kv_heads * shape.head);
        let f = |n: usize| Buffer::new(n, 0f32);
        Scratch {
            x: f(rows * shape.hidden),
            normed: f(rows * shape.hidden),
            y: f(rows * wide(shape.hidden)),
            q: f(rows * wide(q)),
            k: f(rows * wide(kv)),
            v: f(rows * wide(kv)),
            attended: f(rows * q),
            inner: f(rows * shape.feed),
            scores: f(0),
            tiles: f(threads * BATCH * 2 * BLOCK),
            normed_codes: Codes::new(rows, shape.hidden),
            attended_codes: Codes::new(rows, q),
            inner_codes: Codes::new(rows, shape.feed),
            turns: [f(2 * BATCH * shape.rope.inverse.len()), f(2 * BATCH * shape.local_rope.inverse.len())],
            logits: f(0),
        }
    }
}
