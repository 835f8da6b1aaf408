//! How do token ids become hidden states?

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::aligned::Aligned;
use super::attention::{self, Head, attend};
use super::int8::Bytes;
use super::isa::Isa;
use super::rows::{activate_row, add_norm_row};
use super::weights::{EncoderWeights, Norm};
use crate::embed::architecture::EncoderConfig;
use crate::embed::encoder::{Encoder, Sequence};
use crate::embed::options::Precision;
use crate::embed::weights::Weights;
use crate::parallel;
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
pub(crate) struct FastEncoder {
    config: EncoderConfig,
    weights: EncoderWeights,
    isa: Isa,
    /// Buffers that no thread uses just now.
    idle: Mutex<Vec<Buffers>>,
}

impl FastEncoder {
    /// Reads and packs the weights for the best vector unit of this processor.
    /// Errors: `model_invalid` for a missing tensor or one of the wrong shape.
    pub(crate) fn load(config: &EncoderConfig, weights: &Weights, precision: Precision) -> Result<Self> {
        Self::load_for(config, weights, precision, Isa::detect())
    }

    /// As [`load`](FastEncoder::load), for a vector unit that [`Isa::available`] names.
    pub(super) fn load_for(
        config: &EncoderConfig,
        weights: &Weights,
        precision: Precision,
        isa: Isa,
    ) -> Result<Self> {
        let weights = EncoderWeights::load(config, weights, precision, isa)?;
        Ok(FastEncoder { config: config.clone(), weights, isa, idle: Mutex::new(Vec::new()) })
    }

    /// Errors: `too_large` for a sequence over the model's positions; `model_invalid` for an id outside its tables.
    fn check(&self, batch: &[Sequence]) -> Result<()> {
        let c = &self.config;
        let outside = |what: &str, id: u32, rows: usize| {
            Error::new(Code::ModelInvalid, format!("{what} {id} is outside the model's table of {rows}"))
        };
        for (i, Sequence { ids, segments }) in batch.iter().enumerate() {
            if ids.len() > c.max_tokens() {
                let message =
                    format!("sequence {i} has {} tokens; the model takes {}", ids.len(), c.max_tokens());
                return Err(Error::new(Code::TooLarge, message));
            }
            if let Some(&id) = ids.iter().find(|&&id| id as usize >= c.vocab_size) {
                return Err(outside("token id", id, c.vocab_size));
            }
            if c.segments > 1 {
                if segments.len() != ids.len() {
                    let message =
                        format!("sequence {i} has {} tokens but {} segments", ids.len(), segments.len());
                    return Err(Error::new(Code::InvalidShape, message));
                }
                if let Some(&id) = segments.iter().find(|&&id| id as usize >= c.segments) {
                    return Err(outside("segment", id, c.segments));
                }
            }
        }
        Ok(())
    }

    /// Leaves the hidden states of the sequences, one after the other, in `buffers.states`.
    fn run(&self, sequences: &[Sequence], buffers: &mut Buffers) {
        let c = &self.config;
        let (h, tokens) = (c.hidden_size, sequences.iter().map(|s| s.ids.len()).sum::<usize>());
        let longest = sequences.iter().map(|s| s.ids.len()).max().unwrap_or(0);
        buffers.reserve(self.isa, c, tokens, longest);
        self.embed(sequences, buffers);
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
                self.activate(&mut buffers.middle[..rows * c.intermediate_size]);
                layer.down.apply(&buffers.middle, rows, &mut buffers.side, &mut buffers.bytes);
                self.add_norm(states, &buffers.side, &layer.norm);
            }
        }
    }

    /// Word, segment and position vectors, added and normalised.
    fn embed(&self, sequences: &[Sequence], buffers: &mut Buffers) {
        let (h, w) = (self.config.hidden_size, &self.weights);
        let row = |table: &'_ [f32], i: u32| -> Range<usize> {
            debug_assert!((i as usize + 1) * h <= table.len());
            i as usize * h..(i as usize + 1) * h
        };
        let mut states = buffers.states.chunks_exact_mut(h);
        for Sequence { ids, segments } in sequences {
            let positions = self.config.position_ids(ids);
            for ((t, &id), state) in ids.iter().enumerate().zip(&mut states) {
                state.copy_from_slice(&w.words[row(&w.words, id)]);
                if self.config.segments > 0 {
                    let segment = if self.config.segments == 1 { 0 } else { segments[t] };
                    let segment = &w.segments[row(&w.segments, segment)];
                    state.iter_mut().zip(segment).for_each(|(x, y)| *x += y);
                }
                self.add_norm(state, &w.positions[row(&w.positions, positions[t])], &w.norm);
            }
        }
    }

    /// Every head of every sequence, from `buffers.qkv` to `buffers.context`.
    fn attend(&self, sequences: &[Sequence], buffers: &mut Buffers) {
        let (h, heads) = (self.config.hidden_size, self.config.heads);
        let dim = h / heads;
        let mut first = 0;
        for sequence in sequences {
            let tokens = sequence.ids.len();
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
        let (h, eps) = (self.config.hidden_size, self.config.layer_norm_eps as f32);
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

impl Encoder for FastEncoder {
    fn encode(&self, batch: &[Sequence], each: &(dyn Fn(usize, &[f32]) + Sync)) -> Result<()> {
        self.check(batch)?;
        let total: usize = batch.iter().map(|s| s.ids.len()).sum();
        let share = total.div_ceil(parallel::threads()).min(TOKENS_AT_ONCE);
        let groups = group(batch, share);
        let run = |group: &Range<usize>| {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut buffers = idle.unwrap_or_else(Buffers::new);
            let sequences = &batch[group.clone()];
            self.run(sequences, &mut buffers);
            let mut start = 0;
            for (i, sequence) in group.clone().zip(sequences) {
                let end = start + sequence.ids.len() * self.config.hidden_size;
                each(i, &buffers.states[start..end]);
                start = end;
            }
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
        };
        match groups.as_slice() {
            [one] => run(one),
            many => parallel::for_each_task(many, run),
        }
        Ok(())
    }
}

/// Cuts the sequences, in their order, into runs of at most `share` tokens, but at least one sequence.
fn group(sequences: &[Sequence], share: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (i, sequence) in sequences.iter().enumerate() {
        if i > start && tokens + sequence.ids.len() > share {
            groups.push(start..i);
            (start, tokens) = (i, 0);
        }
        tokens += sequence.ids.len();
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

    fn reserve(&mut self, isa: Isa, c: &EncoderConfig, tokens: usize, longest: usize) {
        let rows = tokens.min(ROWS_AT_ONCE);
        self.states.reserve(tokens * c.hidden_size);
        self.qkv.reserve(tokens * 3 * c.hidden_size);
        self.context.reserve(tokens * c.hidden_size);
        self.side.reserve(rows * c.hidden_size);
        self.middle.reserve(rows * c.intermediate_size);
        self.scratch.reserve(attention::scratch_len(isa, longest, c.hidden_size / c.heads));
    }
}
