//! Which entries of a BERT vocabulary does a text consist of, found fast enough for a model without layers?
//!
//! The result is that of the `tokenizers` crate with `BertNormalizer` (clean text, spaces around ideographs,
//! accents stripped, lower case), `BertPreTokenizer` and `WordPiece` (Wu et al. 2016; Devlin et al. 2019), which
//! tests compare it with; the way is one pass over the bytes, without a normalised copy of the text, and one
//! hash per prefix. A static model is bound by its tokeniser, hence this second one.

use std::ops::Range;

use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::char::{canonical_combining_class, decompose_canonical};

use crate::{Code, Error, Result};

/// The entry of words that cannot be spelled with the vocabulary.
pub(crate) const UNKNOWN: u32 = 0;

/// Longer words are unknown, as in BERT.
const MAX_WORD_CHARS: usize = 100;

/// What marks an entry that continues a word.
const CONTINUATION: &[u8] = b"##";

/// A vocabulary made ready for cutting.
pub(crate) struct WordPiece {
    /// All entries, one after the other.
    text: Vec<u8>,
    /// Where entry `i` stands in `text`: from `ends[i - 1]` to `ends[i]`.
    ends: Vec<u32>,
    /// Open addressing, linear probing: upper half of the hash, and the entry plus one (0: free).
    slots: Vec<(u32, u32)>,
    /// Bytes of the longest entry.
    longest: usize,
}

impl WordPiece {
    /// Entries separated by line feeds; the first is the unknown one. Errors: `model_invalid`.
    pub(crate) fn new(list: &str) -> Result<Self> {
        let count = list.bytes().filter(|&b| b == b'\n').count() + 1;
        let mut out = WordPiece {
            text: Vec::with_capacity(list.len()),
            ends: Vec::with_capacity(count),
            slots: vec![(0, 0); (count * 2).next_power_of_two()],
            longest: 0,
        };
        for (i, entry) in list.split('\n').enumerate() {
            if entry.is_empty() {
                return Err(Error::new(Code::ModelInvalid, format!("vocabulary: entry {i} is empty")));
            }
            out.longest = out.longest.max(entry.len());
            out.text.extend_from_slice(entry.as_bytes());
            out.ends.push(out.text.len() as u32);
            out.insert(i as u32)?;
        }
        Ok(out)
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Calls `emit` with each entry of `text` in order, [`UNKNOWN`] included, and where it stands in bytes.
    pub(crate) fn cut(&self, text: &str, mut emit: impl FnMut(u32, Range<usize>)) {
        let mut cutter = Cutter { pieces: self, word: Word::default(), pending: Vec::new(), emit: &mut emit };
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let b = bytes[at];
            if b < 0x80 {
                cutter.flush_marks();
                match ASCII[b as usize] {
                    Class::Word => cutter.word.push_ascii(b.to_ascii_lowercase(), at),
                    Class::Space => cutter.end_word(),
                    Class::Punctuation => cutter.alone(b as char, at..at + 1),
                    Class::Removed => {}
                }
                at += 1;
            } else if let Some(c) = text[at..].chars().next() {
                cutter.wide(c, at..at + c.len_utf8());
                at += c.len_utf8();
            }
        }
        cutter.flush_marks();
        cutter.end_word();
    }

    fn entry(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        &self.text[start..self.ends[id] as usize]
    }

    fn insert(&mut self, id: u32) -> Result<()> {
        let hash = self.entry(id).iter().fold(FNV_BASIS, |h, &b| step(h, b));
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot].1 != 0 {
            if self.entry(self.slots[slot].1 - 1) == self.entry(id) {
                let twice = String::from_utf8_lossy(self.entry(id)).into_owned();
                return Err(Error::new(
                    Code::ModelInvalid,
                    format!("vocabulary: '{twice}' stands there twice"),
                ));
            }
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = ((hash >> 32) as u32, id + 1);
        Ok(())
    }

    /// The entry with this hash that is `piece`, behind the continuation mark if `inside`.
    fn find(&self, hash: u64, piece: &[u8], inside: bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (tag, id) = self.slots[slot];
            if id == 0 {
                return None;
            }
            if tag == (hash >> 32) as u32 {
                let entry = self.entry(id - 1);
                let same =
                    if inside { entry.strip_prefix(CONTINUATION) == Some(piece) } else { entry == piece };
                if same {
                    return Some(id - 1);
                }
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// The hash of Fowler, Noll and Vo, 64 bits, variant 1a: one multiplication a byte, and each prefix has its hash.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

const fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(FNV_PRIME)
}

const INSIDE_BASIS: u64 = step(step(FNV_BASIS, b'#'), b'#');

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Word,
    Space,
    Punctuation,
    Removed,
}

/// What BERT makes of each ASCII character: control characters go, but tab, line feed and carriage return separate.
const ASCII: [Class; 128] = {
    let mut table = [Class::Word; 128];
    let mut i = 0;
    while i < 128 {
        let b = i as u8;
        if b == b' ' || b == b'\t' || b == b'\n' || b == b'\r' {
            table[i] = Class::Space;
        } else if b.is_ascii_control() {
            table[i] = Class::Removed;
        } else if b.is_ascii_punctuation() {
            table[i] = Class::Punctuation;
        }
        i += 1;
    }
    table
};

/// The word being read: its normalised bytes, and where each byte came from.
#[derive(Default)]
struct Word {
    bytes: Vec<u8>,
    origins: Vec<(usize, usize)>,
    chars: usize,
    hashes: Vec<u64>,
    found: Vec<(u32, usize, usize)>,
}

impl Word {
    fn push_ascii(&mut self, b: u8, at: usize) {
        self.bytes.push(b);
        self.origins.push((at, at + 1));
        self.chars += 1;
    }

    fn push(&mut self, c: char, origin: &Range<usize>) {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        self.bytes.extend_from_slice(bytes);
        self.origins.resize(self.bytes.len(), (origin.start, origin.end));
        self.chars += 1;
    }
}

struct Cutter<'a, F> {
    pieces: &'a WordPiece,
    word: Word,
    /// Combining marks in the order of the text, kept until their canonical order is known.
    pending: Vec<(u8, char, Range<usize>)>,
    emit: &'a mut F,
}

impl<F: FnMut(u32, Range<usize>)> Cutter<'_, F> {
    /// One character beyond ASCII.
    fn wide(&mut self, c: char, origin: Range<usize>) {
        if c == char::REPLACEMENT_CHARACTER || c.is_other() {
            return;
        }
        if c.is_whitespace() {
            self.flush_marks();
            self.end_word();
            return;
        }
        let ideograph = is_ideograph(c);
        if ideograph {
            self.flush_marks();
            self.end_word();
        }
        decompose_canonical(c, |d| {
            let class = canonical_combining_class(d);
            if class == 0 {
                self.flush_marks();
            }
            if d.is_mark_nonspacing() {
                return;
            }
            if class == 0 {
                self.lower(d, &origin);
            } else {
                self.pending.push((class, d, origin.clone()));
            }
        });
        if ideograph {
            self.flush_marks();
            self.end_word();
        }
    }

    /// Hands on the combining marks that were held back, in canonical order.
    fn flush_marks(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut marks = std::mem::take(&mut self.pending);
        marks.sort_by_key(|m| m.0);
        for (_, c, origin) in marks {
            self.lower(c, &origin);
        }
    }

    fn lower(&mut self, c: char, origin: &Range<usize>) {
        for l in c.to_lowercase() {
            if l.is_whitespace() {
                self.end_word();
            } else if l.is_ascii_punctuation() || l.is_punctuation() {
                self.alone(l, origin.clone());
            } else {
                self.word.push(l, origin);
            }
        }
    }

    /// A character that is a word of its own.
    fn alone(&mut self, c: char, origin: Range<usize>) {
        self.end_word();
        self.word.push(c, &origin);
        self.end_word();
    }

    /// Cuts the word that is complete: at each place the longest entry.
    fn end_word(&mut self) {
        let Word { bytes, origins, chars, hashes, found } = &mut self.word;
        if bytes.is_empty() {
            return;
        }
        found.clear();
        let mut start = 0;
        while start < bytes.len() {
            let limit = bytes.len().min(start + self.pieces.longest);
            hashes.clear();
            let mut hash = if start == 0 { FNV_BASIS } else { INSIDE_BASIS };
            hashes.extend(bytes[start..limit].iter().map(|&b| {
                hash = step(hash, b);
                hash
            }));
            let hit = (start + 1..=limit).rev().find_map(|end| {
                let boundary = bytes.get(end).is_none_or(|b| b & 0xC0 != 0x80);
                let id = if boundary {
                    self.pieces.find(hashes[end - start - 1], &bytes[start..end], start > 0)?
                } else {
                    return None;
                };
                Some((id, end))
            });
            match hit {
                Some((id, end)) if *chars <= MAX_WORD_CHARS => {
                    found.push((id, start, end));
                    start = end;
                }
                _ => {
                    found.clear();
                    found.push((UNKNOWN, 0, bytes.len()));
                    break;
                }
            }
        }
        for &(id, start, end) in found.iter() {
            let from = origins[start].0;
            (self.emit)(id, from..origins[end - 1].1.max(from));
        }
        bytes.clear();
        origins.clear();
        *chars = 0;
    }
}

/// The blocks that BERT calls CJK: ideographs, which stand alone; not kana, not hangul.
fn is_ideograph(c: char) -> bool {
    matches!(
        c as u32,
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}
