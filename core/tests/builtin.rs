//! Is the built-in model what its scripts made, on ordinary and on hostile text?
#![cfg(feature = "embed")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use quorate_core::embed::{Embed, StaticModel};
use quorate_core::{Cancel, Code};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

const ASSET: &[u8] = include_bytes!("../assets/builtin.bin");
const TEXTS: &str = include_str!("fixtures/builtin.json");
const VECTORS: &[u8] = include_bytes!("fixtures/builtin.f32");

fn texts() -> Vec<String> {
    serde_json::from_str(TEXTS).unwrap()
}

/// The reference: the `tokenizers` crate over the vocabulary of the asset.
fn reference() -> Tokenizer {
    let length = u32::from_le_bytes(ASSET[20..24].try_into().unwrap()) as usize;
    let vocab = WordPiece::read_bytes(&ASSET[40..40 + length]).unwrap();
    let model = WordPiece::builder().vocab(vocab).unk_token("[UNK]".into()).build().unwrap();
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(NormalizerWrapper::BertNormalizer(BertNormalizer::new(true, true, None, true))))
        .unwrap();
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::BertPreTokenizer(BertPreTokenizer)));
    tokenizer
}

fn same_tokens(reference: &Tokenizer, text: &str) {
    let model = StaticModel::builtin().unwrap();
    let expected = reference.encode(text, false).unwrap();
    assert_eq!(model.token_ids(text), expected.get_ids(), "{text:?}");
    let ranges = model.tokenize(text).unwrap();
    for (range, &(start, end)) in ranges.iter().zip(expected.get_offsets()) {
        assert!(text.get(range.clone()).is_some(), "{range:?} cuts a character of {text:?}");
        if text.is_ascii() {
            assert_eq!((range.start, range.end), (start, end), "{text:?}");
        }
    }
}

#[test]
fn vectors_are_those_of_the_script() {
    let model = StaticModel::builtin().unwrap();
    let texts = texts();
    let slices: Vec<&str> = texts.iter().map(String::as_str).collect();
    let got = model.embed(&slices, &Cancel::new()).unwrap();
    assert_eq!(VECTORS.len(), texts.len() * model.dim() * 4);
    let expected: Vec<f32> =
        VECTORS.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    for (i, (g, e)) in got.as_slice().iter().zip(&expected).enumerate() {
        assert!((g - e).abs() < 1e-5, "text {:?}: {g} is not {e}", texts[i / model.dim()]);
    }
}

#[test]
fn tokens_are_those_of_the_tokenizers_crate() {
    let reference = reference();
    for text in texts() {
        same_tokens(&reference, &text);
    }
    // Each character alone, between letters, and behind a combining mark of another class.
    for c in (0..=0x10FFFF).filter_map(char::from_u32) {
        if !(c as u32).is_multiple_of(7) && c as u32 >= 0x3100 {
            continue;
        }
        same_tokens(&reference, &format!("{c} a{c}b q\u{0323}{c}\u{0307}{c}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_has_the_tokens_of_the_tokenizers_crate(text in "\\PC{0,40}|(?s).{0,40}|[a-zA-Z0-9 .,-]{0,60}") {
        thread_local!(static REFERENCE: Tokenizer = reference());
        REFERENCE.with(|r| same_tokens(r, &text));
    }

    #[test]
    fn any_text_has_a_unit_vector_or_zero(text in "(?s).{0,60}") {
        let v = StaticModel::builtin().unwrap().embed_query(&text).unwrap();
        let square: f32 = v.iter().map(|x| x * x).sum();
        prop_assert!(square == 0.0 || (square - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_same_text_has_the_same_vector_in_every_batch() {
    let model = StaticModel::builtin().unwrap();
    let mut texts = texts();
    let alone: Vec<Vec<f32>> = texts.iter().map(|t| model.embed_query(t).unwrap()).collect();
    for _ in 0..3 {
        texts.rotate_left(7);
        let slices: Vec<&str> = texts.iter().map(String::as_str).collect();
        let together = model.embed(&slices, &Cancel::new()).unwrap();
        for (row, text) in together.iter().zip(&texts) {
            let at = self::texts().iter().position(|t| t == text).unwrap();
            assert_eq!(row, alone[at].as_slice());
        }
    }
}

#[test]
fn nothing_gives_nothing() {
    let model = StaticModel::builtin().unwrap();
    let none = model.embed(&[], &Cancel::new()).unwrap();
    assert_eq!((none.rows(), none.cols()), (0, model.dim()));
    assert!(model.embed_query("").unwrap().iter().all(|&x| x == 0.0));
    assert!(model.embed_query("\0 \u{200b}\n").unwrap().iter().all(|&x| x == 0.0));
    assert!(model.tokenize("").unwrap().is_empty());
    assert_eq!(model.embed_tokens("").unwrap().vectors.rows(), 0);
}

#[test]
fn a_megabyte_is_embedded_whole() {
    let model = StaticModel::builtin().unwrap();
    let long = "renal failure ".repeat(75_000);
    let got = model.embed_query(&long).unwrap();
    let short = model.embed_query("renal failure").unwrap();
    let cosine: f32 = got.iter().zip(&short).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.999, "{cosine}");
    let word = "x".repeat(1 << 20);
    assert_eq!(model.tokenize(&word).unwrap(), vec![0..1 << 20]);
    assert!(model.embed_query(&word).unwrap().iter().all(|&x| x == 0.0));
}

#[test]
fn token_vectors_have_unit_length_and_point_at_their_text() {
    let model = StaticModel::builtin().unwrap();
    let text = "Métformin: 500 mg 日本";
    let tokens = model.embed_tokens(text).unwrap();
    assert_eq!(tokens.vectors.rows(), tokens.offsets.len());
    let words: Vec<&str> = tokens.offsets.iter().map(|r| &text[r.clone()]).collect();
    assert_eq!(words.concat(), text.replace(' ', ""));
    for v in tokens.vectors.iter() {
        assert!((v.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn token_vectors_of_a_long_text_end_at_the_limit() {
    let model = StaticModel::builtin().unwrap();
    let tokens = model.embed_tokens(&"renal failure ".repeat(400_000)).unwrap();
    assert_eq!(tokens.vectors.rows(), model.max_tokens());
    assert_eq!(tokens.offsets.len(), model.max_tokens());
}

#[test]
fn cancelled_work_stops() {
    let cancel = Cancel::new();
    cancel.cancel();
    let error = StaticModel::builtin().unwrap().embed(&["a", "b"], &cancel).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
}

#[test]
fn near_texts_are_near() {
    let model = StaticModel::builtin().unwrap();
    let near = |a: &str, b: &str| -> f32 {
        let (a, b) = (model.embed_query(a).unwrap(), model.embed_query(b).unwrap());
        a.iter().zip(&b).map(|(x, y)| x * y).sum()
    };
    for (a, b, c) in [
        ("heart attack", "myocardial infarction", "credit card"),
        ("kidney failure", "renal insufficiency", "football match"),
        ("I lost my card", "my bank card is missing", "what is the weather today"),
        ("reimbursement of a claim", "insurance payment", "gene expression"),
    ] {
        assert!(near(a, b) > near(a, c) + 0.05, "{a} / {b} {} / {c} {}", near(a, b), near(a, c));
    }
}

#[test]
fn a_model_file_is_read_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bin");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        StaticModel::open(&path)
    };
    let whole = open(ASSET).unwrap();
    let builtin = StaticModel::builtin().unwrap();
    assert_eq!(whole.embed_query("renal failure").unwrap(), builtin.embed_query("renal failure").unwrap());
    assert_eq!(whole.id().split(':').nth(1), builtin.id().split(':').nth(1));

    let fails = |bytes: &[u8], code: Code, field: &str| {
        let error = open(bytes).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains("model.bin") && error.message().contains(field), "{error}");
    };
    fails(b"", Code::ModelInvalid, "magic");
    fails(&ASSET[..1000], Code::ModelInvalid, "length");
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = ASSET.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    fails(&changed(0, b"X"), Code::ModelInvalid, "magic");
    fails(&changed(8, &[9]), Code::FormatVersion, "version 9");
    fails(&changed(12, &[0xff; 12]), Code::ModelInvalid, "length");
    fails(&changed(41, &[0xff]), Code::ModelInvalid, "UTF-8");
    fails(&changed(41, b"\n\n"), Code::ModelInvalid, "vocabulary");
    assert_eq!(StaticModel::open(folder.path().join("none")).map(|_| ()).unwrap_err().code(), Code::NotFound);
}
