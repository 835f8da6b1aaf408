//! How do texts become tokens and tokens texts, as the model's own file says?
//!
//! A folder has a `tokenizer.json`. A GGUF file has the vocabulary, its merges or scores, and the name of the rule by which
//! texts are cut into words; a tokenizer of the same kind is put together from these.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use quorate_core::{Code, Error, Result};
use serde_json::{Value, json};
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::gguf::{Gguf, Meta};
use super::marks::{Marks, is_stand_in};
use super::words::words;

/// The tokenizer of one model.
pub(super) struct Tokenizer {
    inner: Inner,
    /// What each token adds to a text; empty for marks.
    bytes: Vec<Vec<u8>>,
    marks: HashSet<u32>,
    /// Tokens that end an answer.
    ends: HashSet<u32>,
    /// The token that every text begins with, where the model wants one.
    begin: Option<u32>,
    /// The texts of the begin and end marks, for templates.
    begin_text: String,
    end_text: String,
    /// The first space of an answer stands for the start of a word.
    strips_space: bool,
    /// The marks that only the template writes.
    guarded: HashMap<u32, AddedToken>,
    guard: Marks,
    /// The same tokenizer, to which those marks are text.
    plain: OnceLock<Inner>,
}

/// Marks by which published models end a turn, also where their files name another.
const TURN_ENDS: [&str; 6] =
    ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>"];

/// The longest token, in bytes. Those of published models have 256 at most; what is done for a token grows with the
/// square of its length.
const MAX_TOKEN: usize = 1024;

/// The most spaces in a merge.
const MAX_SPACES: usize = 64;

/// Kinds of tokens in GGUF files.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const BYTE: i64 = 6;

impl Tokenizer {
    /// Puts together the tokenizer of a GGUF file. Errors: `model_invalid`, `model_unsupported`.
    pub(super) fn of_gguf(file: &Gguf, vocabulary: usize) -> Result<Self> {
        let invalid =
            |what: String| Error::new(Code::ModelInvalid, format!("{}: {what}", file.path().display()));
        let key = |name: &str| file.meta(&format!("tokenizer.ggml.{name}"));
        let list = |name: &str| key(name).and_then(Meta::as_list);
        let tokens = list("tokens").ok_or_else(|| invalid("has no list of tokens".into()))?;
        let tokens = tokens.texts();
        if tokens.is_empty() || tokens.len() > vocabulary {
            return Err(invalid(format!("has {} tokens, but {vocabulary} embeddings", tokens.len())));
        }
        if let Some(long) = tokens.iter().find(|token| token.len() > MAX_TOKEN) {
            return Err(invalid(format!("has a token of {} bytes, more than {MAX_TOKEN}", long.len())));
        }
        let kinds: Vec<i64> = match list("token_type") {
            Some(kinds) => kinds.iter().map(|kind| if let Meta::Whole(n) = *kind { n } else { 1 }).collect(),
            None => vec![1; tokens.len()],
        };
        let kind = |id: usize| kinds.get(id).copied().unwrap_or(1);
        let id = |name: &str| {
            key(name)
                .and_then(Meta::as_count)
                .and_then(|id| u32::try_from(id).ok())
                .filter(|id| (*id as usize) < tokens.len())
        };
        let flag = |name: &str| key(name).and_then(Meta::as_flag);
        let added: Vec<Value> = (0..tokens.len())
            .filter(|&id| matches!(kind(id), CONTROL | USER_DEFINED))
            .map(|id| {
                json!({"id": id, "content": tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": kind(id) == CONTROL})
            })
            .collect();
        let vocab: serde_json::Map<String, Value> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
        if vocab.len() != tokens.len() {
            return Err(invalid("has a token twice".into()));
        }
        let model = key("model").and_then(Meta::as_text).unwrap_or_default();
        let byte_level = match model {
            "gpt2" => true,
            "llama" => false,
            other => {
                let message = format!(
                    "{}: its tokenizer is of the kind '{other}'; there are gpt2 and llama",
                    file.path().display()
                );
                return Err(Error::new(Code::ModelUnsupported, message));
            }
        };
        let merges = match list("merges") {
            Some(merges) => merges
                .texts()
                .into_iter()
                .map(|merge| split_merge(merge, &vocab).map(|(a, b)| json!([a, b])))
                .collect::<Option<Vec<Value>>>()
                .ok_or_else(|| invalid("has a merge of tokens that are not there".into()))?,
            None if byte_level => return Err(invalid("has no merges".into())),
            None => {
                let scores = list("scores").ok_or_else(|| invalid("has neither merges nor scores".into()))?;
                let scores: Vec<f64> = scores.iter().map(|s| s.as_real().unwrap_or_default()).collect();
                if scores.len() != tokens.len() {
                    return Err(invalid(format!("has {} scores for {} tokens", scores.len(), tokens.len())));
                }
                // Marks and bytes are never made of letters.
                merges_of(&tokens, &scores, |id| !matches!(kind(id), UNKNOWN | CONTROL | BYTE))
            }
        };
        let spaced = !byte_level && flag("add_space_prefix").unwrap_or(true);
        let published = if byte_level {
            let rule = key("pre").and_then(Meta::as_text).unwrap_or("default");
            let rule = rule.replace('-', "");
            let rules = words(&rule).ok_or_else(|| {
                let message = format!(
                    "{}: texts are cut into words by the unknown rule '{rule}'",
                    file.path().display()
                );
                Error::new(Code::ModelUnsupported, message)
            })?;
            let mut steps: Vec<Value> = rules
                .iter()
                .map(|rule| {
                    // Digits stand alone; of the other rules every match is a word, and so is what lies between.
                    json!({"type": "Split", "pattern": {"Regex": rule}, "behavior": "Isolated", "invert": false})
                })
                .collect();
            steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}));
            json!({
                "normalizer": null,
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
                "model": {"type": "BPE", "vocab": vocab, "merges": merges, "dropout": null, "unk_token": null,
                    "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
                    "byte_fallback": false, "ignore_merges": matches!(rule.as_str(), "llamabpe" | "llama3" | "llamav3" | "tekken")},
            })
        } else {
            let unknown = id("unknown_token_id").map(|id| tokens[id as usize]);
            let mut steps =
                vec![json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"})];
            if spaced {
                steps.insert(0, json!({"type": "Prepend", "prepend": "\u{2581}"}));
            }
            json!({
                "normalizer": {"type": "Sequence", "normalizers": steps},
                "pre_tokenizer": null,
                "model": {"type": "BPE", "vocab": vocab, "merges": merges, "dropout": null, "unk_token": unknown,
                    "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
                    "byte_fallback": true, "ignore_merges": false},
            })
        };
        let mut whole = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "post_processor": null, "decoder": null});
        if let (Value::Object(whole), Value::Object(parts)) = (&mut whole, published) {
            whole.extend(parts);
        }
        let inner = read(whole.to_string().as_bytes()).map_err(invalid)?;
        let bytes = (0..tokens.len())
            .map(|id| match kind(id) {
                CONTROL => Vec::new(),
                USER_DEFINED => tokens[id].as_bytes().to_vec(),
                BYTE => piece(tokens[id]),
                _ if byte_level => byte_level_bytes(tokens[id]),
                _ => piece(tokens[id]),
            })
            .collect();
        let marks: HashSet<u32> =
            (0..tokens.len()).filter(|&id| kind(id) == CONTROL).map(|id| id as u32).collect();
        let named = ["eos_token_id", "eot_token_id", "eom_token_id"].into_iter().filter_map(id);
        let turns = TURN_ENDS.iter().filter_map(|end| inner.token_to_id(end)).filter(|id| marks.contains(id));
        let ends = named.chain(turns).collect();
        let text = |id: Option<u32>| id.map(|id| tokens[id as usize].to_owned()).unwrap_or_default();
        let (begin, end) = (id("bos_token_id"), id("eos_token_id"));
        Ok(Tokenizer {
            begin_text: text(begin),
            end_text: text(end),
            begin: begin.filter(|_| flag("add_bos_token").unwrap_or(!byte_level)),
            inner,
            bytes,
            marks,
            ends,
            strips_space: spaced,
            guarded: HashMap::new(),
            guard: Marks::default(),
            plain: OnceLock::new(),
        })
    }

    /// Reads a `tokenizer.json`; `config` is `tokenizer_config.json`, `ends` are the ids by which answers end.
    /// Errors: `model_invalid`, `model_unsupported`.
    pub(super) fn of_json(text: &str, config: &Value, ends: &[u32], vocabulary: usize) -> Result<Self> {
        let invalid = |what: String| Error::new(Code::ModelInvalid, format!("tokenizer.json: {what}"));
        let inner = read(text.as_bytes()).map_err(invalid)?;
        let parsed: Value = serde_json::from_str(text).map_err(|e| invalid(format!("not JSON: {e}")))?;
        let all = inner.get_vocab(true);
        let largest = all.values().max().map_or(0, |id| *id as usize + 1);
        if largest == 0 || largest > vocabulary {
            return Err(invalid(format!("has ids up to {largest}, but there are {vocabulary} embeddings")));
        }
        let decoder = parsed["decoder"].to_string();
        let byte_level = decoder.contains("\"ByteLevel\"");
        if !byte_level && !decoder.contains("\"ByteFallback\"") && !decoder.contains("\"Metaspace\"") {
            let message = "tokenizer.json: its tokens are neither bytes nor pieces of words with \u{2581}";
            return Err(Error::new(Code::ModelUnsupported, message));
        }
        let added: HashMap<u32, bool> =
            inner.get_added_tokens_decoder().into_iter().map(|(id, token)| (id, token.special)).collect();
        let mut bytes = vec![Vec::new(); largest];
        for (token, id) in &all {
            bytes[*id as usize] = match added.get(id) {
                Some(true) => Vec::new(),
                Some(false) => token.as_bytes().to_vec(),
                None if byte_level => byte_level_bytes(token),
                None => piece(token),
            };
        }
        let marks: HashSet<u32> =
            added.into_iter().filter(|(_, special)| *special).map(|(id, _)| id).collect();
        let name = |key: &str| {
            config[key].as_str().or(config[key]["content"].as_str()).unwrap_or_default().to_owned()
        };
        let (begin_text, end_text) = (name("bos_token"), name("eos_token"));
        let turns = TURN_ENDS.iter().filter_map(|end| inner.token_to_id(end)).filter(|id| marks.contains(id));
        let ends = ends.iter().copied().chain(turns).chain(inner.token_to_id(&end_text)).collect();
        // Whether texts get a mark in front is what the tokenizer's own post-processor says.
        let first = inner.encode_fast("", true).ok().and_then(|e| e.get_ids().first().copied());
        Ok(Tokenizer {
            begin: first.filter(|id| inner.token_to_id(&begin_text) == Some(*id)),
            begin_text,
            end_text,
            inner,
            bytes,
            marks,
            ends,
            strips_space: decoder.contains("\"Strip\""),
            guarded: HashMap::new(),
            guard: Marks::default(),
            plain: OnceLock::new(),
        })
    }

    /// Tells which marks only the template writes: those that are no text, and of the others those that it writes itself.
    pub(super) fn guard(&mut self, template: &str) {
        let mark = |token: &AddedToken| {
            let text = token.content.as_str();
            // Of runs of spaces and tags of HTML, which some models have as tokens, texts are full.
            token.special || text.len() > 2 && text.starts_with(['<', '[']) && template.contains(text)
        };
        self.guarded = self.inner.get_added_tokens_decoder().into_iter().filter(|(_, t)| mark(t)).collect();
        self.guard = Marks::new(self.guarded.values(), template);
    }

    /// The marks that only the template writes.
    pub(super) fn marks(&self) -> &Marks {
        &self.guard
    }

    /// The tokens of what a template wrote, in which marks of the messages are hidden. Errors: `internal`, `unsupported`.
    pub(super) fn encode_prompt(&self, written: &str) -> Result<Vec<u32>> {
        if !written.contains(is_stand_in) {
            return self.encode(written);
        }
        let (mut out, mut marked, mut from) = (Vec::new(), String::new(), 0);
        for part in self.guard.between(written) {
            marked.push_str(&written[from..part.start]);
            from = part.end;
            let text = self.guard.show(&written[part]);
            if !self.guard.any(&text) {
                marked.push_str(&text);
                continue;
            }
            out.extend(ids(&self.inner, &std::mem::take(&mut marked))?);
            let text = ids(self.plain()?, &text)?;
            if text.iter().any(|id| self.guarded.contains_key(id)) {
                let message =
                    "the tokenizer of this local model cannot tell a text of the messages from its marks";
                return Err(Error::new(Code::Unsupported, message));
            }
            out.extend(text);
        }
        marked.push_str(&written[from..]);
        out.extend(ids(&self.inner, &marked)?);
        Ok(self.begun(out))
    }

    fn plain(&self) -> Result<&Inner> {
        if let Some(plain) = self.plain.get() {
            return Ok(plain);
        }
        let mut plain = self.inner.clone();
        plain.set_encode_special_tokens(true);
        plain
            .add_special_tokens(self.guarded.values().cloned().map(|token| token.special(true)))
            .map_err(failed)?;
        Ok(self.plain.get_or_init(|| plain))
    }

    /// The tokens of a text in which marks stand as they are written. A text that begins with the model's begin mark gets
    /// no second one. Errors: `internal` when the tokenizer fails.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.begun(ids(&self.inner, text)?))
    }

    fn begun(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(begin) = self.begin.filter(|begin| ids.first() != Some(begin)) {
            ids.insert(0, begin);
        }
        ids
    }

    /// What a token adds to a text; nothing for a mark.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a token ends the answer.
    pub(super) fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// Whether a token is a mark that adds nothing to a text.
    #[cfg_attr(not(feature = "constrained"), allow(dead_code))]
    pub(super) fn is_mark(&self, token: u32) -> bool {
        self.marks.contains(&token)
    }

    /// Tokens that end an answer, the lowest first.
    #[cfg_attr(not(feature = "constrained"), allow(dead_code))]
    pub(super) fn ends(&self) -> Vec<u32> {
        let mut ends: Vec<u32> = self.ends.iter().copied().collect();
        ends.sort_unstable();
        ends
    }

    /// How many tokens there are.
    #[cfg_attr(not(feature = "constrained"), allow(dead_code))]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The texts of the marks of begin and end.
    pub(super) fn mark_texts(&self) -> (&str, &str) {
        (&self.begin_text, &self.end_text)
    }

    /// Whether the first space of an answer is left out.
    pub(super) fn strips_space(&self) -> bool {
        self.strips_space
    }
}

fn ids(inner: &Inner, text: &str) -> Result<Vec<u32>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(inner.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
}

fn failed(e: tokenizers::Error) -> Error {
    Error::with_source(Code::Internal, format!("the tokenizer failed: {e}"), e)
}

fn read(bytes: &[u8]) -> Result<Inner, String> {
    let mut inner = Inner::from_bytes(bytes).map_err(|e| format!("not a readable tokenizer: {e}"))?;
    inner.with_padding(None);
    inner.with_truncation(None).map_err(|e| e.to_string())?;
    Ok(inner)
}

/// The two tokens of a merge, `A B`; a token may hold spaces itself.
fn split_merge<'a>(text: &'a str, vocab: &serde_json::Map<String, Value>) -> Option<(&'a str, &'a str)> {
    if text.len() > 2 * MAX_TOKEN + 1 || text.matches(' ').count() > MAX_SPACES {
        return None;
    }
    let mut cuts = text.match_indices(' ').map(|(at, _)| (&text[..at], &text[at + 1..]));
    cuts.find(|(a, b)| {
        vocab.contains_key(*a) && vocab.contains_key(*b) && vocab.contains_key(&format!("{a}{b}"))
    })
}

/// Merges in the order of the scores of what they make, as a vocabulary of pieces with scores means them.
fn merges_of(tokens: &[&str], scores: &[f64], plain: impl Fn(usize) -> bool) -> Vec<Value> {
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
    let mut merges = Vec::new();
    for (whole, token) in tokens.iter().enumerate().filter(|(id, _)| plain(*id)) {
        let mut cuts: Vec<(usize, usize)> = token
            .char_indices()
            .skip(1)
            .filter_map(|(at, _)| Some((*ids.get(&token[..at])?, *ids.get(&token[at..])?)))
            .collect();
        cuts.sort_unstable();
        merges.extend(cuts.into_iter().map(|(a, b)| (whole, a, b)));
    }
    merges.sort_by(|x, y| scores[y.0].total_cmp(&scores[x.0]));
    merges.into_iter().map(|(_, a, b)| json!([tokens[a], tokens[b]])).collect()
}

/// The bytes of a piece of words: `▁` is a space, `<0x0A>` a byte.
fn piece(token: &str) -> Vec<u8> {
    let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    match byte.filter(|hex| hex.len() == 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => vec![byte],
        None => token.replace('\u{2581}', " ").into_bytes(),
    }
}

/// The bytes of a token in the letters that stand for bytes (Radford et al., 2019): printable ones for themselves, the
/// others, in order, from U+0100 on.
fn byte_level_bytes(token: &str) -> Vec<u8> {
    let plain = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut out = Vec::with_capacity(token.len());
    for c in token.chars() {
        let c = u32::from(c);
        let byte = if c < 0x100 && plain(c) {
            Some(c)
        } else {
            c.checked_sub(0x100).and_then(|n| (0..0x100).filter(|byte| !plain(*byte)).nth(n as usize))
        };
        match byte {
            Some(byte) => out.push(byte as u8),
            None => out.extend(char::from_u32(c).map(String::from).unwrap_or_default().bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fixture, ids as numbers, json, smollm2};
    use super::{MAX_SPACES, Tokenizer, merges_of, split_merge};

    /// Knuth's generator, as in `tokens.py`.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % n
        }
    }

    const RANGES: [(u32, u32); 12] = [
        (0x20, 0x2FF),
        (0x370, 0x5FF),
        (0x900, 0x97F),
        (0xE00, 0xE7F),
        (0x2000, 0x206F),
        (0x2150, 0x218F),
        (0x2460, 0x24FF),
        (0x3040, 0x30FF),
        (0x4E00, 0x9FFF),
        (0xAC00, 0xD7A3),
        (0x1F300, 0x1F6FF),
        (0x1D7CE, 0x1D7FF),
    ];
    const SPACES: [&str; 10] = [" ", "  ", "    ", "\n", "\n\n", "\t", "\r\n", " \n ", "\u{a0}", "\u{3000}"];

    fn string(chance: &mut Chance, pieces: &[String]) -> String {
        let mut out = String::new();
        for _ in 0..1 + chance.below(12) {
            match chance.below(8) {
                0..4 => out.push_str(&pieces[chance.below(pieces.len())]),
                4 => {
                    let digits = 1 + chance.below(9) as u32;
                    out.push_str(&chance.below(10usize.pow(digits)).to_string());
                }
                5 => out.push_str(SPACES[chance.below(10)]),
                _ => {
                    for _ in 0..1 + chance.below(4) {
                        let (low, high) = RANGES[chance.below(RANGES.len())];
                        out.extend(char::from_u32(low + chance.below((high - low + 1) as usize) as u32));
                    }
                }
            }
            if chance.below(2) == 1 {
                out.push(' ');
            }
        }
        out
    }

    #[test]
    fn ten_thousand_strings_give_the_tokens_of_the_reference() {
        let found = json("tokens.json");
        let pieces: Vec<String> =
            serde_json::from_str(&std::fs::read_to_string(fixture("pieces.json")).unwrap()).unwrap();
        let mut chance = Chance(found["seed"].as_u64().unwrap());
        let model = smollm2();
        let samples = found["samples"].as_array().unwrap();
        let mut seen = 0;
        for (i, hash) in found["hashes"].as_array().unwrap().iter().enumerate() {
            let mut value = 0xCBF2_9CE4_8422_2325u64;
            for _ in 0..100 {
                let text = string(&mut chance, &pieces);
                let got = model.tokenize(&text).unwrap();
                if let Some(sample) = samples.get(seen) {
                    assert_eq!(text, sample[0].as_str().unwrap());
                    assert_eq!(got, numbers(&sample[1]), "{text:?}");
                }
                seen += 1;
                for byte in got.iter().chain([&u32::MAX]).flat_map(|number| number.to_le_bytes()) {
                    value = (value ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
                }
                // What the tokens say is the text again, marks aside.
                let bytes: Vec<u8> = got.iter().flat_map(|t| model.0.tokenizer.bytes(*t).to_vec()).collect();
                if !text.contains("<|") && !text.contains("<repo") && !text.contains("<file") {
                    assert_eq!(String::from_utf8(bytes).unwrap(), text);
                }
            }
            assert_eq!(
                format!("{value:016x}"),
                hash.as_str().unwrap(),
                "strings {} to {}",
                100 * i,
                100 * i + 99
            );
        }
        assert_eq!(seen, 10_000);
    }

    #[test]
    fn marks_that_the_template_writes_are_told_from_texts() {
        let mut file = json("tiny-qwen3/tokenizer.json");
        let tokens = file["added_tokens"].as_array_mut().unwrap();
        for (text, special) in [("</think>", false), ("<tool>", false), ("<b>", false), ("<|end|>", true)] {
            tokens.push(serde_json::json!({"id": 900 + tokens.len(), "content": text, "single_word": false,
                "lstrip": false, "rstrip": special, "normalized": false, "special": special}));
        }
        let mut tokenizer = Tokenizer::of_json(&file.to_string(), &serde_json::json!({}), &[], 1000).unwrap();
        tokenizer.guard("{{ '</think>' }}<tool><|end|>");
        let added = tokenizer.inner.get_added_tokens_decoder();
        let marks = |written: &str| -> Vec<String> {
            let ids = tokenizer.encode_prompt(written).unwrap();
            ids.iter().filter_map(|id| added.get(id)).map(|token| token.content.clone()).collect()
        };
        let said = "a<tool> </think><b><|end|>\n<|end|> ";
        let hidden = tokenizer.marks().hide(said, false);
        assert_eq!(
            marks(&format!("<|end|>  \n{hidden}<tool>{hidden}<|end|> <b>")),
            ["<|end|>", "<b>", "<tool>", "<b>", "<|end|>", "<b>"]
        );
        let own = tokenizer.marks().hide(said, true);
        assert_eq!(marks(&own), ["<tool>", "</think>", "<b>"]);
        // White space after a mark is the mark's, as it is where nothing is hidden.
        let plain = tokenizer.encode("<|end|> \n b").unwrap();
        let hidden =
            tokenizer.encode_prompt(&format!("<|end|> \n b{}", tokenizer.marks().hide("<|end|>", false)));
        assert_eq!(hidden.unwrap()[..plain.len()], plain);
    }

    #[test]
    fn marks_and_bytes_are_not_made_of_letters() {
        let tokens = ["<", "s", ">", "<s", "<s>", "a", "sa"];
        let scores = [0.0, 0.0, 0.0, -1.0, -2.0, 0.0, -3.0];
        let merges = merges_of(&tokens, &scores, |id| id != 4);
        assert_eq!(merges, [serde_json::json!(["<", "s"]), serde_json::json!(["s", "a"])]);
    }

    #[test]
    fn merges_are_split_at_one_of_few_spaces() {
        let vocab = serde_json::json!({"a": 0, " ": 1, "a ": 2, "a  ": 3}).as_object().unwrap().clone();
        assert_eq!(split_merge("a  ", &vocab), Some(("a", " ")));
        assert_eq!(split_merge(&" ".repeat(MAX_SPACES + 1), &vocab), None);
    }
}
