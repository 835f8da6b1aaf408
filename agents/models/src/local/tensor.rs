//! What do the numbers of a tensor look like in a file?

use std::ops::Range;

use half::f16;
use quorate_core::{Code, Error, Result};

use super::kernel::float::Kind;
use super::kernel::{BLOCK, Form};

/// A matrix as it lies in a file, row by row; a vector is one row.
#[derive(Clone)]
pub(super) struct Tensor<'a> {
    pub(super) format: Format,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) bytes: &'a [u8],
}

/// How its numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    F32,
    F16,
    Bf16,
    Blocks(Blocks),
}

/// The block formats of GGUF files, by the names that they have there.
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocks {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// 32 weights: `scale * code + min` with minima, else `scale * (code - zero)`; a scale and a minimum for each half,
/// where the form has two.
pub(super) struct Block {
    pub(super) codes: [u8; BLOCK],
    pub(super) scales: [f32; 2],
    pub(super) mins: [f32; 2],
}

impl<'a> Tensor<'a> {
    /// A tensor whose bytes are as many as its shape says. Errors: `model_invalid`.
    pub(super) fn new(format: Format, rows: usize, columns: usize, bytes: &'a [u8]) -> Result<Self> {
        let invalid =
            |what: &str| Error::new(Code::ModelInvalid, format!("{rows} x {columns} numbers {what}"));
        if columns == 0 || rows == 0 {
            return Err(invalid("are none"));
        }
        let row = match format {
            Format::F32 => columns.checked_mul(4),
            Format::F16 | Format::Bf16 => columns.checked_mul(2),
            Format::Blocks(blocks) if !columns.is_multiple_of(blocks.weights()) => {
                return Err(invalid("do not fill whole blocks"));
            }
            Format::Blocks(blocks) => (columns / blocks.weights()).checked_mul(blocks.bytes()),
        };
        if row.and_then(|row| row.checked_mul(rows)) != Some(bytes.len()) {
            return Err(invalid(&format!("do not take the {} bytes that are there", bytes.len())));
        }
        Ok(Tensor { format, rows, columns, bytes })
    }

    /// The bytes of a row.
    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        let size = self.bytes.len() / self.rows;
        &self.bytes[row * size..(row + 1) * size]
    }

    /// Some of its rows.
    pub(super) fn part(&self, rows: Range<usize>) -> Tensor<'a> {
        let size = self.bytes.len() / self.rows;
        Tensor { rows: rows.len(), bytes: &self.bytes[rows.start * size..rows.end * size], ..*self }
    }

    /// All its numbers.
    pub(super) fn floats(&self) -> Vec<f32> {
        let of = |kind: Kind| self.bytes.chunks_exact(kind.bytes()).map(|b| number(kind, b)).collect();
        match self.format {
            Format::F32 => of(Kind::F32),
            Format::F16 => of(Kind::F16),
            Format::Bf16 => of(Kind::Bf16),
            Format::Blocks(blocks) => {
                let form = blocks.form();
                let mut out = Vec::with_capacity(self.rows * self.columns);
                for row in 0..self.rows {
                    for b in 0..self.columns / BLOCK {
                        let block = blocks.block(self.row(row), b);
                        out.extend(block.codes.iter().enumerate().map(|(i, &code)| {
                            let s = i * form.subs / BLOCK;
                            let code = f32::from(code) - if form.mins { 0.0 } else { form.zero as f32 };
                            block.scales[s] * code + if form.mins { block.mins[s] } else { 0.0 }
                        }));
                    }
                }
                out
            }
        }
    }
}

impl Format {
    /// The format that a GGUF file names by this number.
    pub(super) fn of_gguf(number: u32) -> Option<Format> {
        Some(match number {
            0 => Format::F32,
            1 => Format::F16,
            2 => Format::Blocks(Blocks::Q4_0),
            3 => Format::Blocks(Blocks::Q4_1),
            6 => Format::Blocks(Blocks::Q5_0),
            7 => Format::Blocks(Blocks::Q5_1),
            8 => Format::Blocks(Blocks::Q8_0),
            10 => Format::Blocks(Blocks::Q2_K),
            11 => Format::Blocks(Blocks::Q3_K),
            12 => Format::Blocks(Blocks::Q4_K),
            13 => Format::Blocks(Blocks::Q5_K),
            14 => Format::Blocks(Blocks::Q6_K),
            30 => Format::Bf16,
            _ => return None,
        })
    }

    /// Weights and bytes of the smallest piece.
    pub(super) fn piece(self) -> (usize, usize) {
        match self {
            Format::F32 => (1, 4),
            Format::F16 | Format::Bf16 => (1, 2),
            Format::Blocks(blocks) => (blocks.weights(), blocks.bytes()),
        }
    }
}

impl Blocks {
    /// Weights of a block in the file.
    fn weights(self) -> usize {
        match self {
            Blocks::Q4_0 | Blocks::Q4_1 | Blocks::Q5_0 | Blocks::Q5_1 | Blocks::Q8_0 => 32,
            _ => 256,
        }
    }

    /// Bytes of a block in the file.
    fn bytes(self) -> usize {
        match self {
            Blocks::Q4_0 => 18,
            Blocks::Q4_1 => 20,
            Blocks::Q5_0 => 22,
            Blocks::Q5_1 => 24,
            Blocks::Q8_0 => 34,
            Blocks::Q2_K => 84,
            Blocks::Q3_K => 110,
            Blocks::Q4_K => 144,
            Blocks::Q5_K => 176,
            Blocks::Q6_K => 210,
        }
    }

    /// How it is packed.
    pub(super) fn form(self) -> Form {
        let (four, subs, mins, zero) = match self {
            Blocks::Q4_0 => (true, 1, false, 8),
            Blocks::Q4_1 | Blocks::Q4_K => (true, 1, true, 0),
            Blocks::Q5_0 => (false, 1, false, 16),
            Blocks::Q5_1 | Blocks::Q5_K => (false, 1, true, 0),
            Blocks::Q8_0 => (false, 1, false, 128),
            Blocks::Q2_K => (true, 2, true, 0),
            Blocks::Q3_K => (true, 2, false, 4),
            Blocks::Q6_K => (false, 2, false, 32),
        };
        Form { four, subs, mins, zero }
    }

    /// A power of two by which the scales of a row are divided, so that they keep their precision in 16 bits: 1 where
    /// the file has them in 16 bits. Errors: `model_invalid` for scales that are not finite.
    pub(super) fn factor(self, row: &[u8]) -> Result<f32> {
        let mut largest = 0f32;
        for b in 0..row.len() / self.bytes() * self.weights() / BLOCK {
            let block = self.block(row, b);
            for x in block.scales.into_iter().chain(block.mins) {
                if !x.is_finite() {
                    return Err(Error::new(Code::ModelInvalid, "a scale of the weights is not finite"));
                }
                largest = largest.max(x.abs());
            }
        }
        if self.weights() == 32 || largest == 0.0 {
            return Ok(1.0);
        }
        Ok((largest.log2().floor() - 10.0).exp2())
    }

    /// The 32 weights number `b` of a row.
    #[allow(clippy::needless_range_loop)]
    pub(super) fn block(self, row: &[u8], b: usize) -> Block {
        let per = self.weights() / BLOCK;
        let bytes = &row[b / per * self.bytes()..][..self.bytes()];
        let j = b % per;
        let half = |at: usize| f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32();
        let mut codes = [0u8; BLOCK];
        let mut set = |code: &dyn Fn(usize) -> u8| {
            for (i, to) in codes.iter_mut().enumerate() {
                *to = code(i);
            }
        };
        let (mut scales, mut mins) = ([0f32; 2], [0f32; 2]);
        // Four bits: inputs 0 to 15 below, 16 to 31 above.
        let nibble = |from: usize, i: usize| {
            if i < 16 { bytes[from + i] & 0x0f } else { bytes[from + i - 16] >> 4 }
        };
        match self {
            Blocks::Q4_0 => {
                set(&|i| nibble(2, i));
                scales[0] = half(0);
            }
            Blocks::Q4_1 => {
                set(&|i| nibble(4, i));
                (scales[0], mins[0]) = (half(0), half(2));
            }
            Blocks::Q5_0 => {
                set(&|i| nibble(6, i) | (bytes[2 + i / 8] >> (i % 8) & 1) << 4);
                scales[0] = half(0);
            }
            Blocks::Q5_1 => {
                set(&|i| nibble(8, i) | (bytes[4 + i / 8] >> (i % 8) & 1) << 4);
                (scales[0], mins[0]) = (half(0), half(2));
            }
            Blocks::Q8_0 => {
                set(&|i| bytes[2 + i].wrapping_add(128));
                scales[0] = half(0);
            }
            Blocks::Q2_K => {
                set(&|i| bytes[16 + j / 4 * 32 + i] >> (2 * (j % 4)) & 3);
                for s in 0..2 {
                    let both = bytes[2 * j + s];
                    scales[s] = half(80) * f32::from(both & 0x0f);
                    mins[s] = -half(82) * f32::from(both >> 4);
                }
            }
            Blocks::Q3_K => {
                set(&|i| (bytes[32 + j / 4 * 32 + i] >> (2 * (j % 4)) & 3) + 4 * (bytes[i] >> j & 1));
                for s in 0..2 {
                    let (at, six) = (2 * j + s, &bytes[96..108]);
                    let low = if at < 8 { six[at] & 0x0f } else { six[at - 8] >> 4 };
                    let high = six[8 + at % 4] >> (2 * (at / 4)) & 3;
                    scales[s] = half(108) * (f32::from(low | high << 4) - 32.0);
                }
            }
            Blocks::Q4_K => {
                set(&|i| bytes[16 + j / 2 * 32 + i] >> (4 * (j % 2)) & 0x0f);
                let (scale, min) = six_bits(&bytes[4..16], j);
                (scales[0], mins[0]) = (half(0) * scale, -half(2) * min);
            }
            Blocks::Q5_K => {
                set(&|i| {
                    (bytes[48 + j / 2 * 32 + i] >> (4 * (j % 2)) & 0x0f) | (bytes[16 + i] >> j & 1) << 4
                });
                let (scale, min) = six_bits(&bytes[4..16], j);
                (scales[0], mins[0]) = (half(0) * scale, -half(2) * min);
            }
            Blocks::Q6_K => {
                let (n, k) = (j / 4, j % 4);
                set(&|i| {
                    let low = bytes[n * 64 + k % 2 * 32 + i] >> (4 * (k / 2)) & 0x0f;
                    low | (bytes[128 + n * 32 + i] >> (2 * k) & 3) << 4
                });
                for s in 0..2 {
                    scales[s] = half(208) * f32::from(bytes[192 + 2 * j + s] as i8);
                }
            }
        }
        Block { codes, scales, mins }
    }
}

/// One number as stored.
pub(super) fn number(kind: Kind, bytes: &[u8]) -> f32 {
    match kind {
        Kind::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        Kind::F16 => f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        Kind::Bf16 => half::bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
    }
}

/// Scale and minimum number `j` of the eight that are packed into 12 bytes, 6 bits each.
fn six_bits(bytes: &[u8], j: usize) -> (f32, f32) {
    let (scale, min) = if j < 4 {
        (bytes[j] & 63, bytes[j + 4] & 63)
    } else {
        let high = |byte: u8| byte >> 6 << 4;
        (bytes[j + 4] & 0x0f | high(bytes[j - 4]), bytes[j + 4] >> 4 | high(bytes[j]))
    };
    (f32::from(scale), f32::from(min))
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::k_quants::*;

    use super::*;

    /// What candle reads from the same bytes is read here.
    fn same_as_candle<B: GgmlType + Clone>(blocks: Blocks) {
        let count = 6;
        let n = count * blocks.weights();
        let xs: Vec<f32> = (0..n).map(|i| ((i * i * 31 + i * 7) % 1009) as f32 / 300.0 - 1.3).collect();
        let mut packed = vec![B::zeros(); count];
        B::from_float(&xs, &mut packed);
        let mut want = vec![0f32; n];
        B::to_float(&packed, &mut want);
        assert_eq!(size_of::<B>(), blocks.bytes());
        // SAFETY: the blocks are plain values without padding.
        let bytes =
            unsafe { std::slice::from_raw_parts(packed.as_ptr().cast::<u8>(), count * size_of::<B>()) };
        let got = Tensor::new(Format::Blocks(blocks), 2, n / 2, bytes).unwrap().floats();
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() <= 1e-6 * want.abs().max(0.1), "{blocks:?}: {got} is not {want}");
        }
    }

    #[test]
    fn blocks_are_read_as_candle_reads_them() {
        same_as_candle::<BlockQ4_0>(Blocks::Q4_0);
        same_as_candle::<BlockQ4_1>(Blocks::Q4_1);
        same_as_candle::<BlockQ5_0>(Blocks::Q5_0);
        same_as_candle::<BlockQ5_1>(Blocks::Q5_1);
        same_as_candle::<BlockQ8_0>(Blocks::Q8_0);
        same_as_candle::<BlockQ2K>(Blocks::Q2_K);
        same_as_candle::<BlockQ3K>(Blocks::Q3_K);
        same_as_candle::<BlockQ4K>(Blocks::Q4_K);
        same_as_candle::<BlockQ5K>(Blocks::Q5_K);
        same_as_candle::<BlockQ6K>(Blocks::Q6_K);
    }

    #[test]
    fn shapes_that_do_not_fit_their_bytes_are_refused() {
        let bytes = [0u8; 36];
        for (format, rows, columns) in [
            (Format::F32, 3, 2),
            (Format::F32, 0, 9),
            (Format::F32, usize::MAX, 8),
            (Format::Blocks(Blocks::Q4_0), 2, 16),
            (Format::Blocks(Blocks::Q4_0), 3, 32),
        ] {
            assert!(Tensor::new(format, rows, columns, &bytes).is_err());
        }
        assert!(Tensor::new(Format::Blocks(Blocks::Q4_0), 2, 32, &bytes).is_ok());
    }
}
