//! What does a decoder remember of the tokens that it has read?
//!
//! Keys and values of each layer and head, as panels that the kernels multiply by: keys in blocks of 16 positions with
//! the positions side by side, values position by position.

use super::kernel::WIDTH;
use super::shape::Shape;

/// Positions by which the memory grows.
const GROWTH: usize = 256;

/// Keys and values of the positions read so far.
pub(super) struct Memory {
    /// Of each layer and head of keys.
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    heads: usize,
    head: usize,
    /// Positions that are filled, and that there is room for.
    pub(super) len: usize,
    room: usize,
}

impl Memory {
    pub(super) fn new(shape: &Shape) -> Self {
        let lists = shape.layers * shape.kv_heads;
        Memory {
            keys: vec![Vec::new(); lists],
            values: vec![Vec::new(); lists],
            heads: shape.kv_heads,
            head: shape.head,
            len: 0,
            room: 0,
        }
    }

    /// Makes room for `n` positions.
    pub(super) fn reserve(&mut self, n: usize) {
        if n <= self.room {
            return;
        }
        self.room = n.next_multiple_of(GROWTH).max(self.room + self.room / 2).next_multiple_of(WIDTH);
        for keys in &mut self.keys {
            keys.resize(self.room * self.head, 0.0);
        }
        for values in &mut self.values {
            values.resize(self.room * value_stride(self.head), 0.0);
        }
    }

    /// Forgets all positions from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Where keys and values are.
    pub(super) fn view(&mut self) -> View {
        View {
            keys: self.keys.iter_mut().map(|list| list.as_mut_ptr()).collect(),
            values: self.values.iter_mut().map(|list| list.as_mut_ptr()).collect(),
            heads: self.heads,
        }
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        4 * self.room * self.keys.len() * (self.head + value_stride(self.head))
    }
}

/// Numbers from one position's values to the next.
pub(super) fn value_stride(head: usize) -> usize {
    head.next_multiple_of(WIDTH)
}

/// The same for threads of a pass.
pub(super) struct View {
    keys: Vec<*mut f32>,
    values: Vec<*mut f32>,
    heads: usize,
}

impl View {
    /// The keys of a layer and head: blocks of `head x 16`.
    pub(super) fn keys(&self, layer: usize, head: usize) -> *mut f32 {
        self.keys[layer * self.heads + head]
    }

    /// The values: rows of [`value_stride`] numbers.
    pub(super) fn values(&self, layer: usize, head: usize) -> *mut f32 {
        self.values[layer * self.heads + head]
    }
}

// SAFETY: threads of a pass write to places of their own and read after its step.
unsafe impl Sync for View {}
