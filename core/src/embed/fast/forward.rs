//! How do token ids become hidden states?

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::aligned::Aligned;
use super::attention::{self, Head, attend};
use super::config::{FastConfig, FastPrecision};
use super::int8::Bytes;
use super::isa::Isa;
use super::rows::{activate_row, add_norm_row};
use super::weights::{Norm, Tensors, Weights};
use crate::{Code, Error, Result};

/// Tokens that one thread takes through all layers together: enough to make the reading of the weights cheap, few
/// enough that the activations stay in the cache.
const TOKENS_AT_ONCE: usize = 256;
/// Rows of a feed-forward block at once, so that its wide middle stays in the second-level cache.
const ROWS_AT_ONCE: usize = 96;

/// An encoder with packed weights.
///
/// Sequences are not padded, and the result of a sequence is the same to the last bit whichever sequences are beside
/// it, in whatever order, on however many threads.
pub(crate) struct FastBert {
    config: FastConfig,
    weights: Weights,
    isa: Isa,
    /// Buffers that no thread uses just now.
    idle: Mutex<Vec<Buffers>>,
}

impl FastBert {
    /// Reads and packs the weights. `tensors` gives shape and values of a tensor by its name in the bare model
    /// (`embeddings.word_embeddings.weight`, without a leading `bert.`).
    ///
    /// Errors: `model_invalid` naming the field or the tensor with its shape, and what `tensors` raises.
    pub(crate) fn new(
        config: FastConfig,
        tensors: &Tensors<'_>,
        precision: FastPrecision,
    ) -> Result<FastBert> {
        Self::with_isa(config, tensors, precision, Isa::detect())
    }

    /// As [`new`](FastBert::new), for a vector unit that [`Isa::available`] names.
    pub(super) fn with_isa(
        config: FastConfig,
        tensors: &Tensors<'_>,
        precision: FastPrecision,
        isa: Isa,
    ) -> Result<FastBert> {
        config.validate()?;
        let weights = Weights::load(&config, tensors, precision, isa)?;
        Ok(FastBert { config, weights, isa, idle: Mutex::new(Vec::new()) })
    }

    /// The sizes given to [`new`](FastBert::new).
    pub(crate) fn config(&self) -> &FastConfig {
        &self.config
    }

    /// Hidden states of the last layer: for each sequence of token ids a row-major block of `tokens x hidden`.
    ///
    /// Errors: as [`forward_each`](FastBert::forward_each).
    pub(crate) fn forward(&self, sequences: &[&[u32]], types: Option<&[&[u32]]>) -> Result<Vec<Vec<f32>>> {
        let blocks: Vec<Mutex<Vec<f32>>> = sequences.iter().map(|_| Mutex::default()).collect();
        self.forward_each(sequences, types, |i, hidden| {
            *blocks[i].lock().unwrap_or_else(PoisonError::into_inner) = hidden.to_vec();
        })?;
        Ok(blocks.into_iter().map(|b| b.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
    }

    /// Calls `each` with the index of a sequence and its hidden states (`tokens x hidden`, row-major), from the
    /// threads of the current rayon pool and in no particular order, so that pooling needs no room for all tokens.
    /// `types` gives the token types of each sequence; without it all are 0. Values may be NaN where weights are.
    ///
    /// Errors: `invalid_shape` when `types` do not fit the sequences; `too_large` for a sequence over
    /// [`FastConfig::max_tokens`]; `model_invalid` for a token id or type outside the model's tables.
    pub(crate) fn forward_each<F>(
        &self,
        sequences: &[&[u32]],
        types: Option<&[&[u32]]>,
        each: F,
    ) -> Result<()>
    where
        F: Fn(usize, &[f32]) + Sync,
    {
        self.check(sequences, types)?;
        let total: usize = sequences.iter().map(|s| s.len()).sum();
        let share = total.div_ceil(rayon::current_num_threads().max(1)).min(TOKENS_AT_ONCE);
        let groups = group(sequences, share);
        let run = |group: &std::ops::Range<usize>| {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut buffers = idle.unwrap_or_else(Buffers::new);
            self.run(&sequences[group.clone()], types.map(|t| &t[group.clone()]), &mut buffers);
            let mut start = 0;
            for (i, sequence) in group.clone().zip(&sequences[group.clone()]) {
                let end = start + sequence.len() * self.config.hidden;
                each(i, &buffers.states[start..end]);
                start = end;
            }
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
        };
        match groups.as_slice() {
            [one] => run(one),
            many => many.par_iter().with_max_len(1).for_each(run),
        }
        Ok(())
    }

    fn check(&self, sequences: &[&[u32]], types: Option<&[&[u32]]>) -> Result<()> {
        let longest = self.config.max_tokens();
        for (i, sequence) in sequences.iter().enumerate() {
            if sequence.len() > longest {
                return Err(Error::new(
                    Code::TooLarge,
                    format!("sequence {i} has {} tokens; the model takes {longest}", sequence.len()),
                ));
            }
            if let Some(id) = sequence.iter().find(|&&id| id as usize >= self.config.vocab) {
                return Err(Error::new(
                    Code::ModelInvalid,
                    format!("token id {id} is outside the model's vocabulary of {}", self.config.vocab),
                ));
            }
        }
        let Some(types) = types else { return Ok(()) };
        if types.len() != sequences.len() || types.iter().zip(sequences).any(|(t, s)| t.len() != s.len()) {
            return Err(Error::new(Code::InvalidShape, "token types and sequences differ in length"));
        }
        let known = self.config.type_vocab.max(1);
        if let Some(id) = types.iter().flat_map(|t| t.iter()).find(|&&id| id as usize >= known) {
            return Err(Error::new(
                Code::ModelInvalid,
                format!("token type {id} is outside the model's table of {known}"),
            ));
        }
        Ok(())
    }

    /// Leaves the hidden states of the sequences, one after the other, in `buffers.states`.
    fn run(&self, sequences: &[&[u32]], types: Option<&[&[u32]]>, buffers: &mut Buffers) {
        let c = &self.config;
        let (h, tokens) = (c.hidden, sequences.iter().map(|s| s.len()).sum::<usize>());
        let longest = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
        buffers.reserve(self.isa, c, tokens, longest);
        self.embed(sequences, types, buffers);
        for layer in &self.weights.layers {
            layer.qkv.apply(&buffers.states[..tokens * h], tokens, &mut buffers.qkv, &mut buffers.bytes);
            self.attend(sequences, buffers);
            for first in (0..tokens).step_by(ROWS_AT_ONCE) {
                let rows = ROWS_AT_ONCE.min(tokens - first);
                let states = &mut buffers.states[first * h..(first + rows) * h];
                let context = &buffers.context[first * h..(first + rows) * h];
                layer.output.apply(context, rows, &mut buffers.side, &mut buffers.bytes);
                self.add_norm(states, &buffers.side, &layer.attention_norm);
                layer.up.apply(states, rows, &mut buffers.middle, &mut buffers.bytes);
                self.activate(&mut buffers.middle[..rows * c.intermediate]);
                layer.down.apply(&buffers.middle, rows, &mut buffers.side, &mut buffers.bytes);
                self.add_norm(states, &buffers.side, &layer.norm);
            }
        }
    }

    /// Word, type and position vectors, added and normalised.
    fn embed(&self, sequences: &[&[u32]], types: Option<&[&[u32]]>, buffers: &mut Buffers) {
        let (h, w) = (self.config.hidden, &self.weights);
        let row = |table: &'_ [f32], i: usize| -> std::ops::Range<usize> {
            debug_assert!((i + 1) * h <= table.len());
            i * h..(i + 1) * h
        };
        let mut states = buffers.states.chunks_exact_mut(h);
        for (s, sequence) in sequences.iter().enumerate() {
            for (t, (&id, state)) in sequence.iter().zip(&mut states).enumerate() {
                let position = self.config.first_position + t;
                let kind = types.map_or(0, |types| types[s][t]) as usize;
                let word = &w.words[row(&w.words, id as usize)];
                let place = &w.positions[row(&w.positions, position)];
                state.copy_from_slice(word);
                if !w.types.is_empty() {
                    let kind = &w.types[row(&w.types, kind)];
                    state.iter_mut().zip(kind).for_each(|(x, y)| *x += y);
                }
                self.add_norm(state, place, &w.norm);
            }
        }
    }

    /// Every head of every sequence, from `buffers.qkv` to `buffers.context`.
    fn attend(&self, sequences: &[&[u32]], buffers: &mut Buffers) {
        let (h, heads) = (self.config.hidden, self.config.heads);
        let dim = h / heads;
        let mut first = 0;
        for sequence in sequences {
            let tokens = sequence.len();
            if tokens == 0 {
                continue;
            }
            let qkv = &buffers.qkv[first * 3 * h..(first + tokens) * 3 * h];
            let out = &mut buffers.context[first * h..(first + tokens) * h];
            assert!(buffers.scratch.len() >= attention::scratch_len(self.isa, tokens, dim));
            for head in 0..heads {
                // SAFETY: `isa` was detected; the slices hold `tokens` rows of `3 * h` and `h`, of which the head
                // reads and writes `dim` columns; the bias reaches `tokens - 1 <= max_tokens - 1` entries to both
                // sides of its middle; the scratch was just asserted.
                unsafe {
                    let start = qkv.as_ptr().add(head * dim);
                    let bias = match self.weights.relative.get(head) {
                        Some(bias) => bias.as_ptr().add(self.config.max_tokens() - 1),
                        None => std::ptr::null(),
                    };
                    attend(
                        self.isa,
                        Head {
                            query: start,
                            key: start.add(h),
                            value: start.add(2 * h),
                            stride: 3 * h,
                            out: out.as_mut_ptr().add(head * dim),
                            out_stride: h,
                            tokens,
                            dim,
                            bias,
                            scratch: buffers.scratch.as_mut_ptr(),
                        },
                    );
                }
            }
            first += tokens;
        }
    }

    /// `states = norm(states + side)`, row by row.
    fn add_norm(&self, states: &mut [f32], side: &[f32], norm: &Norm) {
        let (h, eps) = (self.config.hidden, self.config.layer_norm_eps);
        for (x, y) in states.chunks_exact_mut(h).zip(side.chunks_exact(h)) {
            // SAFETY: `isa` was detected; all four hold `h` floats (the weights were checked at load).
            unsafe {
                add_norm_row(
                    self.isa,
                    x.as_mut_ptr(),
                    y.as_ptr(),
                    norm.gain.as_ptr(),
                    norm.shift.as_ptr(),
                    h,
                    eps,
                )
            }
        }
    }

    fn activate(&self, x: &mut [f32]) {
        // SAFETY: `isa` was detected; the slice holds its length.
        unsafe { activate_row(self.isa, self.config.activation, x.as_mut_ptr(), x.len()) }
    }
}

/// Cuts the sequences, in their order, into runs of at most `share` tokens, but at least one sequence.
fn group(sequences: &[&[u32]], share: usize) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (i, sequence) in sequences.iter().enumerate() {
        if i > start && tokens + sequence.len() > share {
            groups.push(start..i);
            (start, tokens) = (i, 0);
        }
        tokens += sequence.len();
    }
    if start < sequences.len() {
        groups.push(start..sequences.len());
    }
    groups
}

/// The activations of one thread; they grow to the largest need and stay.
struct Buffers {
    /// `tokens x hidden`.
    states: Aligned<f32>,
    /// `tokens x (3 * hidden)`.
    qkv: Aligned<f32>,
    /// `tokens x hidden`.
    context: Aligned<f32>,
    /// `ROWS_AT_ONCE x hidden`.
    side: Aligned<f32>,
    /// `ROWS_AT_ONCE x intermediate`.
    middle: Aligned<f32>,
    /// Of one head.
    scratch: Aligned<f32>,
    bytes: Bytes,
}

impl Buffers {
    fn new() -> Self {
        Buffers {
            states: Aligned::zeroed(0),
            qkv: Aligned::zeroed(0),
            context: Aligned::zeroed(0),
            side: Aligned::zeroed(0),
            middle: Aligned::zeroed(0),
            scratch: Aligned::zeroed(0),
            bytes: Bytes::new(),
        }
    }

    fn reserve(&mut self, isa: Isa, c: &FastConfig, tokens: usize, longest: usize) {
        let rows = tokens.min(ROWS_AT_ONCE);
        self.states.reserve(tokens * c.hidden);
        self.qkv.reserve(tokens * 3 * c.hidden);
        self.context.reserve(tokens * c.hidden);
        self.side.reserve(rows * c.hidden);
        self.middle.reserve(rows * c.intermediate);
        self.scratch.reserve(attention::scratch_len(isa, longest, c.hidden / c.heads));
    }
}
