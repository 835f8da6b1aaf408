//! How does a text become token ids, and where does each token stand in it?

use std::ops::Range;
use std::path::Path;

use tokenizers::normalizers::{Lowercase, Sequence as Normalizers};
use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};
use tokenizers::{Encoding, NormalizerWrapper, PostProcessor, TruncationDirection};

use super::encoder::Sequence;
use super::json::invalid_file;
use crate::{Code, Error, Result};

/// Texts over this many bytes for each token that is kept are cut before they are tokenised, so that a text of a
/// megabyte costs what its first thousands of words cost.
const BYTES_PER_TOKEN: usize = 16;

/// How many times as long the replacements of a tokenizer may make a text. Those of published models make it at most
/// nine times as long; nested ones grow without limit.
const MAX_GROWTH: f64 = 1000.0;

/// The tokenizer of one model, with the longest sequence that the model takes.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_tokens: usize,
}

impl Tokenizer {
    /// Reads `path` (a `tokenizer.json`). Padding and truncation that it asks for are ignored.
    /// Errors: `model_invalid` when it cannot be read, gives ids from `vocab_size` on, lacks the token for unknown words, or makes a
    /// text longer than [`MAX_GROWTH`] allows.
    pub(crate) fn open(path: &Path, vocab_size: usize, max_tokens: usize, lower_case: bool) -> Result<Self> {
        if !path.is_file() {
            let advice = "is missing; save it with AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers";
            return Err(invalid_file(path, advice));
        }
        let mut inner = tokenizers::Tokenizer::from_file(path).map_err(|e| {
            Error::with_source(
                Code::ModelInvalid,
                format!("{}: not a readable tokenizer: {e}", path.display()),
                e,
            )
        })?;
        growth(path)?;
        let largest = inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).max();
        match largest {
            None => return Err(invalid_file(path, "has an empty vocabulary")),
            Some((id, token)) if id as usize >= vocab_size => {
                let what = format!(
                    "gives token '{token}' the id {id}, but 'vocab_size' in config.json is {vocab_size}"
                );
                return Err(invalid_file(path, what));
            }
            Some(_) => {}
        }
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| invalid_file(path, e))?;
        if lower_case {
            let mut steps = vec![NormalizerWrapper::from(Lowercase)];
            steps.extend(inner.get_normalizer().cloned());
            inner.with_normalizer(Some(Normalizers::new(steps))).map_err(|e| invalid_file(path, e))?;
        }
        let tokenizer = Tokenizer { inner, max_tokens };
        // A letter of no alphabet, which no vocabulary holds, and a word longer than any in it.
        for text in ["a", "\u{10FFFD}", &"q".repeat(200)] {
            if let Err(e) = tokenizer.inner.encode_fast(text, true) {
                return Err(invalid_file(path, format!("its vocabulary is incomplete: {e}")));
            }
        }
        if tokenizer.special_tokens(true) >= max_tokens {
            return Err(Error::invalid(format!(
                "max_tokens is {max_tokens}; the special tokens of this model alone are {}",
                tokenizer.special_tokens(true)
            )));
        }
        Ok(tokenizer)
    }

    /// The longest sequence, special tokens included.
    pub(crate) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The special tokens that are added to a text, or to a pair of texts.
    pub(crate) fn special_tokens(&self, pair: bool) -> usize {
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    /// The sequence of one text: special tokens around at most `max_tokens` minus their number of its first tokens.
    pub(crate) fn encode(&self, text: &str) -> Result<Sequence> {
        let encoding = self.head(text, |part| self.inner.encode_fast(part, false))?;
        Ok(sequence(&self.finish(encoding, None)?))
    }

    /// The sequence of a pair, of which the longer text is cut first.
    pub(crate) fn encode_pair(&self, first: &str, second: &str) -> Result<Sequence> {
        let first = self.inner.encode_fast(first, false).map_err(failed)?;
        let second = if first.len() < self.max_tokens {
            self.head(second, |part| self.inner.encode_fast(part, false))?
        } else {
            // Which of two overlong texts keeps the odd token depends on their true lengths.
            self.inner.encode_fast(second, false).map_err(failed)?
        };
        Ok(sequence(&self.finish(first, Some(second))?))
    }

    /// The sequence of one text and where each of its tokens stands in `text`, in bytes; an empty range for a special
    /// token.
    pub(crate) fn encode_with_offsets(&self, text: &str) -> Result<(Sequence, Vec<Range<usize>>)> {
        let encoding = self.head(text, |part| self.inner.encode(part, false))?;
        let encoding = self.finish(encoding, None)?;
        let special = encoding.get_special_tokens_mask();
        let offsets = encoding.get_offsets().iter().zip(special);
        let offsets =
            offsets.map(|(&(from, to), &special)| if special == 1 { 0..0 } else { from..to }).collect();
        Ok((sequence(&encoding), offsets))
    }

    /// Where all tokens of `text` stand, without special tokens and without truncation.
    pub(crate) fn offsets(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let encoding = self.inner.encode(text, false).map_err(failed)?;
        Ok(encoding.get_offsets().iter().map(|&(from, to)| from..to).collect())
    }

    /// Tokenises as much of `text` as surely gives its first `max_tokens` tokens.
    ///
    /// The cut stands before an ASCII blank that follows a word. Every tokenizer of the supported architectures
    /// splits there first, so the tokens before the cut are those of the whole text.
    fn head<F>(&self, text: &str, tokenise: F) -> Result<Encoding>
    where
        F: Fn(&str) -> tokenizers::Result<Encoding>,
    {
        let mut window = self.max_tokens * BYTES_PER_TOKEN;
        while window < text.len() {
            let bytes = text.as_bytes();
            let boundary =
                |&at: &usize| matches!(bytes[at], b' ' | b'\n') && bytes[at - 1].is_ascii_alphanumeric();
            let Some(cut) = (1..=window).rev().find(boundary) else { break };
            let encoding = tokenise(&text[..cut]).map_err(failed)?;
            if encoding.len() >= self.max_tokens {
                return Ok(encoding);
            }
            window *= 8;
        }
        tokenise(text).map_err(failed)
    }

    /// Truncates and adds the special tokens.
    fn finish(&self, first: Encoding, second: Option<Encoding>) -> Result<Encoding> {
        let params = TruncationParams {
            max_length: self.max_tokens - self.special_tokens(second.is_some()),
            direction: TruncationDirection::Right,
            ..TruncationParams::default()
        };
        let (mut first, mut second) = truncate_encodings(first, second, &params).map_err(failed)?;
        first.take_overflowing();
        if let Some(second) = &mut second {
            second.take_overflowing();
        }
        self.inner.post_process(first, second, true).map_err(failed)
    }
}

/// Whether the replacements that the tokenizer file asks for, one after the other, keep a text within bounds.
/// Errors: `model_invalid`.
fn growth(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| invalid_file(path, e))?;
    let mut times = 1.0;
    for part in ["normalizer", "pre_tokenizer"] {
        times *= replaced(&json[part]);
    }
    if times > MAX_GROWTH {
        let what = format!(
            "its replacements can make a text {times:.0} times as long; at most {MAX_GROWTH} are run"
        );
        return Err(invalid_file(path, what));
    }
    Ok(())
}

/// How many times as long the `Replace` steps in `part` can make a text. A pattern by expression may match a single byte.
fn replaced(part: &serde_json::Value) -> f64 {
    match part {
        serde_json::Value::Array(parts) => parts.iter().map(replaced).product(),
        serde_json::Value::Object(fields) => {
            let inner: f64 = fields.values().map(replaced).product();
            if fields.get("type").and_then(|kind| kind.as_str()) != Some("Replace") {
                return inner;
            }
            let pattern = fields.get("pattern").and_then(|p| p.get("String")).and_then(|p| p.as_str());
            let matched = pattern.map_or(1, str::len).max(1);
            let content = fields.get("content").and_then(|c| c.as_str()).map_or(0, str::len);
            inner * (content as f64 / matched as f64).max(1.0)
        }
        _ => 1.0,
    }
}

fn sequence(encoding: &Encoding) -> Sequence {
    Sequence { ids: encoding.get_ids().to_vec(), segments: encoding.get_type_ids().to_vec() }
}

fn failed(e: tokenizers::Error) -> Error {
    Error::with_source(Code::Internal, format!("the tokenizer failed: {e}"), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: [&str; 4] = ["bert-mean", "xlm-roberta-plain", "roberta-last", "mpnet-f16"];

    fn open(name: &str, max_tokens: usize) -> Tokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name);
        Tokenizer::open(&folder.join("tokenizer.json"), 300, max_tokens, false).unwrap()
    }

    /// The same without the cut before tokenising.
    fn whole(tokenizer: &Tokenizer, first: &str, second: Option<&str>) -> Sequence {
        let encode = |text: &str| tokenizer.inner.encode_fast(text, false).unwrap();
        sequence(&tokenizer.finish(encode(first), second.map(encode)).unwrap())
    }

    #[test]
    fn a_long_text_cut_early_gives_the_tokens_of_the_whole() {
        let words = [
            "metformin",
            "dose,",
            "renal  failure",
            "naïve\n",
            "🩺",
            "中文",
            "[SEP]",
            "x.y-z",
            "<pad> </s>",
            "\0\t",
        ];
        for name in MODELS {
            let tokenizer = open(name, 24);
            for shift in (0..40).step_by(9) {
                let text: Vec<&str> =
                    (0..900).map(|i| words[(i * 7 + shift * (i / 11)) % words.len()]).collect();
                let text = text.join(" ");
                assert!(text.len() > 24 * BYTES_PER_TOKEN);
                assert_eq!(
                    tokenizer.encode(&text).unwrap(),
                    whole(&tokenizer, &text, None),
                    "{name} {shift}"
                );
                assert_eq!(tokenizer.encode_with_offsets(&text).unwrap().0, tokenizer.encode(&text).unwrap());
                let short = "dose ".repeat(shift);
                for (first, second) in [(&short, &text), (&text, &short), (&text, &text)] {
                    let wanted = whole(&tokenizer, first, Some(second));
                    assert_eq!(tokenizer.encode_pair(first, second).unwrap(), wanted, "{name} {shift}");
                    assert!(wanted.ids.len() <= 24);
                }
            }
        }
    }

    #[test]
    fn an_empty_text_is_its_special_tokens() {
        for name in MODELS {
            let tokenizer = open(name, 24);
            for text in ["", " ", "\n\n"] {
                let sequence = tokenizer.encode(text).unwrap();
                // A byte-level vocabulary has tokens for blanks.
                if name != "roberta-last" || text.is_empty() {
                    assert_eq!(sequence.ids.len(), tokenizer.special_tokens(false), "{name} {text:?}");
                }
                assert_eq!(sequence.ids.len(), sequence.segments.len());
            }
        }
    }

    #[test]
    fn the_second_text_of_a_bert_pair_is_segment_one() {
        let sequence = open("bert-mean", 24).encode_pair("dose", "dose").unwrap();
        let half = sequence.segments.iter().filter(|&&segment| segment == 0).count();
        assert_eq!(sequence.segments[..half], vec![0; half]);
        assert_eq!(sequence.segments.len() - half, half - 1);
    }

    #[test]
    fn a_limit_without_room_for_text_is_refused() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/bert-mean/tokenizer.json");
        let error = Tokenizer::open(&path, 300, 3, false).err().unwrap();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
}
