//! How does a decoder read tokens and say what may come next?
//!
//! Vaswani et al., 2017, with the norms, rotary embeddings and gated layers of Touvron et al., 2023. Each thread of the team
//! goes through all layers and takes pieces of each step: rows, panels of weights, heads.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quorate_core::{Cancel, Code, Error, Result};

use super::decoder::{Decoder, Layer};
use super::kernel::float::{self, FloatJob, Kind};
use super::kernel::{BLOCK, WIDTH};
use super::matrix::{Matrix, Rows};
use super::memory::{Memory, View, value_stride};
use super::scratch::{BATCH, Buffer, Scratch};
use super::shape::Rope;
use super::team::{Steps, Team};

/// Rows of queries that are looked up together.
const TILE: usize = 16;

/// Of which tokens the logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Last,
    #[cfg_attr(not(test), allow(dead_code))]
    All,
}

/// What ends a pass before its end.
pub(super) struct Halt<'a> {
    pub(super) cancel: &'a Cancel,
    pub(super) deadline: Option<Instant>,
}

impl Halt<'_> {
    /// Errors: `cancelled`, `timeout`. What is one of them once stays so.
    pub(super) fn check(&self) -> Result<()> {
        self.cancel.check()?;
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::new(
                Code::Timeout,
                "the local model was not ready within the time of an attempt",
            ));
        }
        Ok(())
    }
}

impl Decoder {
    /// Reads `tokens` after those that `memory` holds, and gives the logits of what comes after the last, or after each.
    /// The memory keeps what was read, also of a pass that was halted.
    ///
    /// Errors: `cancelled`, `timeout`, `internal`, `model_invalid` when the logits are not finite.
    pub(super) fn read(
        &self,
        team: &Team,
        memory: &mut Memory,
        scratch: &mut Scratch,
        tokens: &[u32],
        wanted: Wanted,
        halt: &Halt<'_>,
    ) -> Result<Vec<f32>> {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.vocabulary) {
            let message = format!("token {token} is beyond the {} of the model", self.vocabulary);
            return Err(Error::new(Code::ModelInvalid, message));
        }
        let mut out = Vec::new();
        let mut rest = tokens;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(BATCH));
            let rows = match wanted {
                Wanted::All => 0..batch.len(),
                Wanted::Last if later.is_empty() => batch.len() - 1..batch.len(),
                Wanted::Last => 0..0,
            };
            halt.check()?;
            let wide = self.vocabulary.next_multiple_of(WIDTH);
            self.batch(team, memory, scratch, batch, rows.clone(), halt)?;
            for row in 0..rows.len() {
                // SAFETY: the pass is over, so that no thread writes.
                let logits = unsafe { scratch.logits.read(row * wide, self.vocabulary) };
                if logits.iter().any(|x| !x.is_finite()) {
                    let message = "the model computes numbers that are not finite; its file may be damaged";
                    return Err(Error::new(Code::ModelInvalid, message));
                }
                out.extend_from_slice(logits);
            }
            rest = later;
        }
        Ok(out)
    }

    fn batch(
        &self,
        team: &Team,
        memory: &mut Memory,
        scratch: &mut Scratch,
        tokens: &[u32],
        wanted: Range<usize>,
        halt: &Halt<'_>,
    ) -> Result<()> {
        let before = memory.len;
        memory.reserve(before + tokens.len());
        scratch.logits.reserve(wanted.len() * self.vocabulary.next_multiple_of(WIDTH), 0.0);
        let positions = (before + tokens.len()).next_multiple_of(WIDTH);
        scratch.scores.reserve(team.threads() * TILE * positions, 0.0);
        for (rope, turns) in [&self.shape.rope, &self.shape.local_rope].into_iter().zip(&scratch.turns) {
            // SAFETY: the pass has not begun.
            let turns = unsafe { turns.write(0, 2 * tokens.len() * rope.inverse.len()) };
            turn_table(rope, before, turns);
        }
        let view = memory.view();
        let stop = AtomicBool::new(false);
        let threads = team.threads();
        let pass =
            Pass { decoder: self, s: scratch, memory: &view, tokens, before, wanted, positions, threads };
        let steps = Steps::new(Pass::steps(self.layers.len()));
        team.run(&steps, &|thread| {
            // SAFETY: all threads of the team run this with the same pass and steps, each with its own number.
            unsafe { pass.run(thread, &steps, halt, &stop) }
        })?;
        if stop.load(Ordering::Acquire) {
            halt.check()?;
        }
        memory.len += tokens.len();
        Ok(())
    }
}

/// Cosines, then sines, of each row's position.
fn turn_table(rope: &Rope, first: usize, out: &mut [f32]) {
    let pairs = rope.inverse.len();
    if pairs == 0 {
        return;
    }
    for (row, out) in out.chunks_exact_mut(2 * pairs).enumerate() {
        let (cosines, sines) = out.split_at_mut(pairs);
        for (i, inverse) in rope.inverse.iter().enumerate() {
            let angle = f64::from((first + row) as f32 * inverse);
            cosines[i] = angle.cos() as f32 * rope.scale;
            sines[i] = angle.sin() as f32 * rope.scale;
        }
    }
}

/// Rows that one thread takes at once, where rows are taken one by one.
const ROWS: usize = 8;

/// Into how many pieces for each thread a product of a single row is cut.
const PIECES: usize = 3;

/// Piece `i` of `pieces` of `n` things.
fn share(n: usize, i: usize, pieces: usize) -> Range<usize> {
    n * i / pieces..n * (i + 1) / pieces
}

/// One batch on its way through the layers.
struct Pass<'a> {
    decoder: &'a Decoder,
    s: &'a Scratch,
    memory: &'a View,
    tokens: &'a [u32],
    /// Positions before the batch.
    before: usize,
    wanted: Range<usize>,
    /// Room for scores of a row.
    positions: usize,
    threads: usize,
}

impl Pass<'_> {
    /// How many steps a pass has at most.
    fn steps(layers: usize) -> usize {
        9 * layers + 2
    }

    /// # Safety
    /// Every thread that runs it has the same pass and steps, and a number of its own below `threads`.
    unsafe fn run(&self, thread: usize, steps: &Steps, halt: &Halt<'_>, stop: &AtomicBool) {
        let Decoder { shape, layers, .. } = self.decoder;
        let (s, n) = (self.s, self.tokens.len());
        let mut at = 0;
        let mut step = |pieces: usize, work: &mut dyn FnMut(usize)| {
            steps.step(at, pieces, work);
            at += 1;
        };
        let by_rows = n.div_ceil(ROWS);
        let rows_of = |piece: usize| piece * ROWS..((piece + 1) * ROWS).min(n);
        // SAFETY: each piece of a step is one thread's, and touches rows, panels or heads that no other piece does; what
        // it reads was written in steps before; all buffers have the sizes that `Scratch::new` and `batch` gave them.
        unsafe {
            let mut before: Option<&Layer> = None;
            for (i, layer) in layers.iter().enumerate() {
                if halt.check().is_err() {
                    stop.store(true, Ordering::Release);
                    return;
                }
                step(by_rows, &mut |piece| {
                    for row in rows_of(piece) {
                        match before {
                            None => self.embed(row),
                            Some(before) => self.add(row, before.post_feed_norm.as_deref()),
                        }
                        self.norm(row, &layer.attention_norm, layer.qkv.iter().any(Matrix::wants_codes));
                    }
                });
                let rows = s.normed_codes.rows(0, n, s.normed.at(0));
                let panels = layer.qkv.iter().map(Matrix::panels).sum();
                let pieces = self.pieces(panels);
                step(pieces, &mut |piece| self.qkv(layer, rows, share(panels, piece, pieces)));
                step(by_rows, &mut |piece| {
                    for row in rows_of(piece) {
                        self.remember(i, layer, row);
                    }
                });
                step(self.looks(), &mut |item| self.attend(i, layer, thread, item));
                if !shape.head.is_multiple_of(BLOCK) && layer.output.wants_codes() {
                    // Blocks of codes reach over heads.
                    let q = shape.heads * shape.head;
                    step(by_rows, &mut |piece| {
                        for row in rows_of(piece) {
                            s.attended_codes.encode(self.decoder.isa, row, 0, s.attended.at(row * q), q);
                        }
                    });
                }
                let rows = s.attended_codes.rows(0, n, s.attended.at(0));
                let pieces = self.pieces(layer.output.panels());
                step(pieces, &mut |piece| self.multiply(&layer.output, rows, &s.y, piece, pieces));
                step(by_rows, &mut |piece| {
                    for row in rows_of(piece) {
                        self.add(row, layer.post_attention_norm.as_deref());
                        self.norm(row, &layer.feed_norm, layer.gate.wants_codes() || layer.up.wants_codes());
                    }
                });
                let rows = s.normed_codes.rows(0, n, s.normed.at(0));
                let pairs = layer.gate.panels().div_ceil(2);
                let pieces = self.pieces(pairs);
                step(pieces, &mut |piece| self.feed(layer, rows, thread, share(pairs, piece, pieces)));
                let rows = s.inner_codes.rows(0, n, s.inner.at(0));
                let pieces = self.pieces(layer.down.panels());
                step(pieces, &mut |piece| self.multiply(&layer.down, rows, &s.y, piece, pieces));
                before = Some(layer);
            }
            if self.wanted.is_empty() {
                return;
            }
            let head = self.decoder.head();
            step(self.wanted.len(), &mut |piece| {
                let row = self.wanted.start + piece;
                self.add(row, before.and_then(|layer| layer.post_feed_norm.as_deref()));
                self.norm(row, &self.decoder.norm, head.wants_codes());
            });
            let first = self.wanted.start;
            let rows = s.normed_codes.rows(first, self.wanted.len(), s.normed.at(first * shape.hidden));
            let pieces = 8 * self.threads;
            step(pieces, &mut |piece| self.multiply(head, rows, &s.logits, piece, pieces));
        }
    }

    /// Into how many pieces a product of so many panels is cut.
    fn pieces(&self, panels: usize) -> usize {
        let pieces = if self.tokens.len() == 1 { PIECES } else { 4 * PIECES };
        if self.threads == 1 { 1 } else { panels.min(pieces * self.threads) }
    }

    /// Puts the embedding of a token into its row. # Safety: the row is this thread's.
    unsafe fn embed(&self, row: usize) {
        let shape = &self.decoder.shape;
        // SAFETY: as the caller vouches.
        let x = unsafe { self.s.x.write(row * shape.hidden, shape.hidden) };
        self.decoder.embed.row(self.tokens[row] as usize, x);
        if shape.embed_scale != 1.0 {
            x.iter_mut().for_each(|x| *x *= shape.embed_scale);
        }
    }

    /// Norms a row of the residuals, and encodes it if a matrix that reads it wants codes.
    /// # Safety: the row is this thread's.
    unsafe fn norm(&self, row: usize, gains: &[f32], encoded: bool) {
        let (shape, isa, s) = (&self.decoder.shape, self.decoder.isa, self.s);
        let at = row * shape.hidden;
        // SAFETY: as the caller vouches; gains are as many as hidden numbers.
        unsafe {
            float::rms_norm(isa, s.x.at(at), gains.as_ptr(), s.normed.at(at), shape.hidden, shape.eps);
            if encoded {
                s.normed_codes.encode(isa, row, 0, s.normed.at(at), shape.hidden);
            }
        }
    }

    /// Adds a result to a row of the residuals. # Safety: the row is this thread's, and the result is whole.
    unsafe fn add(&self, row: usize, gains: Option<&[f32]>) {
        let (shape, isa, s) = (&self.decoder.shape, self.decoder.isa, self.s);
        let result = s.y.at(row * shape.hidden.next_multiple_of(WIDTH));
        let at = row * shape.hidden;
        // SAFETY: as the caller vouches; gains are as many as hidden numbers.
        unsafe {
            let mut from: *const f32 = result;
            if let Some(gains) = gains {
                float::rms_norm(isa, result, gains.as_ptr(), s.normed.at(at), shape.hidden, shape.eps);
                from = s.normed.at(at);
            }
            float::add(isa, s.x.at(at), from, shape.hidden);
        }
    }

    /// A piece of a product. # Safety: `rows` are whole, and `out` has room.
    unsafe fn multiply(&self, matrix: &Matrix, rows: Rows, out: &Buffer<f32>, piece: usize, pieces: usize) {
        let wide = matrix.panels() * WIDTH;
        for panel in share(matrix.panels(), piece, pieces) {
            // SAFETY: as the caller vouches.
            unsafe { matrix.product(panel, rows, out.at(panel * WIDTH), wide) };
        }
    }

    /// Some panels of queries, keys and values, counted through all three. # Safety: `rows` are whole.
    unsafe fn qkv(&self, layer: &Layer, rows: Rows, panels: Range<usize>) {
        let counts = layer.qkv.each_ref().map(Matrix::panels);
        let outs = [&self.s.q, &self.s.k, &self.s.v];
        for mut panel in panels {
            for ((matrix, out), count) in layer.qkv.iter().zip(outs).zip(counts) {
                if panel < count {
                    // SAFETY: as the caller vouches.
                    unsafe { matrix.product(panel, rows, out.at(panel * WIDTH), count * WIDTH) };
                    break;
                }
                panel -= count;
            }
        }
    }

    /// Finishes queries and keys of a row, and puts keys and values into the memory.
    /// # Safety: the products are whole, and the row is this thread's.
    unsafe fn remember(&self, index: usize, layer: &Layer, row: usize) {
        let (shape, s) = (&self.decoder.shape, self.s);
        let (rope, window) = self.decoder.sight(index);
        let turns = &s.turns[usize::from(window.is_some())];
        let (head, group) = (shape.head, shape.heads / shape.kv_heads);
        let wide = |heads: usize| (heads * head).next_multiple_of(WIDTH);
        let pairs = rope.inverse.len();
        let position = self.before + row;
        for g in 0..shape.kv_heads {
            // SAFETY: as the caller vouches.
            unsafe {
                let (cosines, sines) = turns.read(row * 2 * pairs, 2 * pairs).split_at(pairs);
                let bias = |which: usize, from: usize| {
                    layer.qkv_bias[which].as_ref().map(|bias| &bias[from..from + head])
                };
                let finish = |x: &mut [f32], bias: Option<&[f32]>, gains: Option<&Vec<f32>>| {
                    for (x, b) in x.iter_mut().zip(bias.unwrap_or_default()) {
                        *x += b;
                    }
                    if let Some(gains) = gains {
                        let x = x.as_mut_ptr();
                        float::rms_norm(self.decoder.isa, x, gains.as_ptr(), x, head, shape.eps);
                    }
                    turn(rope.side_by_side, x, cosines, sines);
                };
                for h in g * group..(g + 1) * group {
                    let q = s.q.write(row * wide(shape.heads) + h * head, head);
                    finish(q, bias(0, h * head), layer.qk_norm[0].as_ref());
                }
                let k = s.k.write(row * wide(shape.kv_heads) + g * head, head);
                finish(k, bias(1, g * head), layer.qk_norm[1].as_ref());
                let block =
                    self.memory.keys(index, g).add(position / WIDTH * WIDTH * head + position % WIDTH);
                for (i, k) in k.iter().enumerate() {
                    *block.add(i * WIDTH) = *k;
                }
                let v = s.v.read(row * wide(shape.kv_heads) + g * head, head);
                let bias = bias(2, g * head);
                let to = self.memory.values(index, g).add(position * value_stride(head));
                for (i, v) in v.iter().enumerate() {
                    *to.add(i) = v + bias.map_or(0.0, |bias| bias[i]);
                }
            }
        }
    }

    /// Whether all heads that share keys look at once: those of a single row do.
    fn alone(&self) -> bool {
        let shape = &self.decoder.shape;
        self.tokens.len() == 1 && shape.heads / shape.kv_heads <= TILE
    }

    /// How many pieces attention has: a head of keys, or a head with a tile of rows.
    fn looks(&self) -> usize {
        let shape = &self.decoder.shape;
        if self.alone() { shape.kv_heads } else { shape.heads * self.tokens.len().div_ceil(TILE) }
    }

    /// A piece of attention. # Safety: the memory is whole up to the last row, and queries are finished.
    unsafe fn attend(&self, index: usize, layer: &Layer, thread: usize, item: usize) {
        let (shape, n) = (&self.decoder.shape, self.tokens.len());
        // SAFETY: as the caller vouches.
        unsafe {
            if self.alone() {
                let group = shape.heads / shape.kv_heads;
                return self.look(index, layer, thread, 0..1, item * group..(item + 1) * group);
            }
            // The last tiles look at most; they come first.
            let (h, tile) = (item % shape.heads, n.div_ceil(TILE) - 1 - item / shape.heads);
            self.look(index, layer, thread, tile * TILE..((tile + 1) * TILE).min(n), h..h + 1);
        }
    }

    /// Attention of some rows with one head, or of one row with some heads that share keys.
    /// # Safety: as for [`Pass::attend`].
    unsafe fn look(
        &self,
        index: usize,
        layer: &Layer,
        thread: usize,
        rows: Range<usize>,
        heads: Range<usize>,
    ) {
        let (shape, isa, s) = (&self.decoder.shape, self.decoder.isa, self.s);
        let (head, q_wide) = (shape.head, (shape.heads * shape.head).next_multiple_of(WIDTH));
        let (count, lda) = if heads.len() > 1 { (heads.len(), head) } else { (rows.len(), q_wide) };
        let g = heads.start / (shape.heads / shape.kv_heads);
        let (_, window) = self.decoder.sight(index);
        let reach = |row: usize| {
            let end = self.before + row + 1;
            (window.map_or(0, |window| end.saturating_sub(window)), end)
        };
        let start = reach(rows.start).0 / WIDTH * WIDTH;
        let end = reach(rows.end - 1).1;
        let scores = s.scores.at(thread * TILE * self.positions);
        let stride = self.positions;
        let values = value_stride(head);
        // SAFETY: as the caller vouches; scores are this thread's, `positions` for each of at most `TILE` rows.
        unsafe {
            float::product(
                isa,
                Kind::F32,
                FloatJob {
                    panel: self.memory.keys(index, g).add(start * head).cast(),
                    panels: end.div_ceil(WIDTH) - start / WIDTH,
                    next: 4 * WIDTH * head,
                    ldb: WIDTH,
                    inner: head,
                    a: s.q.at(rows.start * q_wide + heads.start * head),
                    lda,
                    out: scores,
                    ldc: stride,
                    rows: count,
                },
            );
            let mut sums = [0f32; TILE];
            for (i, sum) in sums.iter_mut().enumerate().take(count) {
                let (from, to) = reach(if heads.len() > 1 { rows.start } else { rows.start + i });
                let row = scores.add(i * stride);
                *sum = float::softmax(isa, row.add(from - start), to - from, shape.scale);
                row.write_bytes(0, from - start);
                row.add(to - start).write_bytes(0, end - to);
            }
            let mut out = [0f32; TILE * WIDTH];
            for panel in 0..values / WIDTH {
                float::product(
                    isa,
                    Kind::F32,
                    FloatJob {
                        panel: self.memory.values(index, g).add(start * values + panel * WIDTH).cast(),
                        panels: 1,
                        next: 0,
                        ldb: values,
                        inner: end - start,
                        a: scores,
                        lda: stride,
                        out: out.as_mut_ptr(),
                        ldc: WIDTH,
                        rows: count,
                    },
                );
                for (i, sum) in sums.iter().enumerate().take(count) {
                    let (row, h) = if heads.len() > 1 {
                        (rows.start, heads.start + i)
                    } else {
                        (rows.start + i, heads.start)
                    };
                    let first = panel * WIDTH;
                    let width = WIDTH.min(head - first);
                    let to = s.attended.write((row * shape.heads + h) * head + first, width);
                    for (to, x) in to.iter_mut().zip(&out[i * WIDTH..]) {
                        *to = x * sum;
                    }
                }
            }
            if head.is_multiple_of(BLOCK) && layer.output.wants_codes() {
                for i in 0..count {
                    let (row, h) = if heads.len() > 1 {
                        (rows.start, heads.start + i)
                    } else {
                        (rows.start + i, heads.start)
                    };
                    let from = s.attended.at((row * shape.heads + h) * head);
                    s.attended_codes.encode(isa, row, h * head, from, head);
                }
            }
        }
    }

    /// Some pairs of panels of the gated layer. # Safety: `rows` are whole.
    unsafe fn feed(&self, layer: &Layer, rows: Rows, thread: usize, pairs: Range<usize>) {
        let (shape, isa, s) = (&self.decoder.shape, self.decoder.isa, self.s);
        let panels = layer.gate.panels();
        let gate = s.tiles.at(thread * BATCH * 2 * BLOCK);
        let up = gate.wrapping_add(BATCH * BLOCK);
        for pair in pairs {
            let first = pair * BLOCK;
            let width = BLOCK.min(shape.feed - first);
            // SAFETY: as the caller vouches; the tiles are this thread's, and so are the columns of the pair.
            unsafe {
                for panel in 2 * pair..(2 * pair + 2).min(panels) {
                    let side = panel % 2 * WIDTH;
                    layer.gate.product(panel, rows, gate.add(side), BLOCK);
                    layer.up.product(panel, rows, up.add(side), BLOCK);
                }
                for row in 0..rows.rows {
                    let to = s.inner.at(row * shape.feed + first);
                    float::gated(isa, gate.add(row * BLOCK), up.add(row * BLOCK), to, width, shape.tanh);
                    if layer.down.wants_codes() {
                        s.inner_codes.encode(isa, row, first, to, BLOCK);
                    }
                }
            }
        }
    }
}

/// Turns pairs of numbers by the angles of a position.
fn turn(side_by_side: bool, x: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let pairs = cosines.len();
    if side_by_side {
        for ((pair, c), s) in x.chunks_exact_mut(2).zip(cosines).zip(sines) {
            (pair[0], pair[1]) = (pair[0] * c - pair[1] * s, pair[0] * s + pair[1] * c);
        }
    } else {
        let (first, rest) = x.split_at_mut(pairs);
        for (((a, b), c), s) in first.iter_mut().zip(rest).zip(cosines).zip(sines) {
            (*a, *b) = (*a * c - *b * s, *a * s + *b * c);
        }
    }
}
