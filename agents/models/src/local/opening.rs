//! Is a file that nobody should believe an error, soon and in little memory, and is a GGUF file read as it is?

use serde_json::{Value, json};

use super::tests::{fixture, json as read_json, logits, tiny};
use super::*;
use crate::message::Message;

const NONE: AttemptLimits = AttemptLimits { total: None, first_byte: None, stall: None };

/// How a test makes a GGUF file of a folder's model.
struct Made<'a> {
    /// Tensors whose numbers are rounded to the 8 bits of Q8_0, and of those the ones that are also stored so; all others
    /// are in single precision.
    rounded: &'a dyn Fn(&str) -> bool,
    stored: &'a dyn Fn(&str) -> bool,
    /// Metadata in place of the model's own, by the end of the key.
    meta: &'a [(&'a str, Value)],
    /// All tensors of one shape lie in the same place.
    heaped: bool,
    /// What is done to a list of the tokenizer, by the end of its key.
    tokens: &'a dyn Fn(&str, &mut Vec<Value>),
}

const WHOLE: Made<'static> =
    Made { rounded: &|_| false, stored: &|_| false, meta: &[], heaped: false, tokens: &|_, _| {} };

/// A GGUF file of a folder's model, in single precision.
fn gguf(family: &str) -> Vec<u8> {
    made(family, &WHOLE)
}

fn made(family: &str, how: &Made<'_>) -> Vec<u8> {
    let folder = fixture(&format!("tiny-{family}"));
    let config = read_json(&format!("tiny-{family}/config.json"));
    let tokenizer = read_json(&format!("tiny-{family}/tokenizer.json"));
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    };
    let mut meta: Vec<(String, Value)> = vec![
        ("general.architecture".into(), json!(family)),
        ("tokenizer.ggml.model".into(), json!("gpt2")),
        ("tokenizer.ggml.pre".into(), json!("default")),
        ("tokenizer.ggml.eos_token_id".into(), json!(2)),
    ];
    for (key, name) in [
        ("block_count", "num_hidden_layers"),
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("attention.value_length", "head_dim"),
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    ] {
        meta.push((format!("{family}.{key}"), config[name].clone()));
    }
    let base = config["rope_parameters"]["rope_theta"].as_f64().unwrap();
    meta.push((format!("{family}.rope.freq_base"), json!(base)));
    let mut tokens: Vec<(u64, &str)> = tokenizer["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap(), token.as_str()))
        .collect();
    tokens.sort_unstable();
    meta.push(("tokenizer.ggml.tokens".into(), tokens.iter().map(|(_, token)| json!(token)).collect()));
    meta.push((
        "tokenizer.ggml.token_type".into(),
        tokens.iter().map(|(id, _)| json!(if *id < 3 { 3 } else { 1 })).collect(),
    ));
    let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
    let merge = |m: &Value| json!(format!("{} {}", m[0].as_str().unwrap(), m[1].as_str().unwrap()));
    meta.push(("tokenizer.ggml.merges".into(), merges.map(merge).collect()));

    for (key, value) in &mut meta {
        if let (Some(end), Value::Array(list)) = (key.strip_prefix("tokenizer.ggml."), value) {
            (how.tokens)(end, list);
        }
    }
    for (end, value) in how.meta {
        let key = format!("{family}.{end}");
        meta.retain(|(other, _)| *other != key);
        meta.push((key, value.clone()));
    }
    let files = Files::open(&folder).unwrap();
    let shape = files.shape().unwrap();
    let mut names = vec!["token_embd.weight".to_owned(), "output_norm.weight".into(), "output.weight".into()];
    for i in 0..shape.layers {
        for name in [
            "attn_norm",
            "attn_q",
            "attn_k",
            "attn_v",
            "attn_q_norm",
            "attn_k_norm",
            "attn_output",
            "ffn_norm",
            "ffn_gate",
            "ffn_up",
            "ffn_down",
        ] {
            names.push(format!("blk.{i}.{name}.weight"));
        }
    }
    let mut tensors = Vec::new();
    for name in names {
        if let Some(tensor) = files.tensor(&shape, &name).unwrap() {
            let mut floats = tensor.floats();
            let mut bytes = Vec::new();
            if (how.rounded)(&name) {
                for block in floats.chunks_exact_mut(32) {
                    let most = block.iter().fold(0f32, |most, x| most.max(x.abs()));
                    let scale = half::f16::from_f32(most / 127.0);
                    bytes.extend(scale.to_le_bytes());
                    for x in block {
                        let code = (*x / scale.to_f32()).round().clamp(-127.0, 127.0) as i8;
                        bytes.push(code.cast_unsigned());
                        *x = scale.to_f32() * f32::from(code);
                    }
                }
            }
            let format = if (how.stored)(&name) { 8u32 } else { 0 };
            if format == 0 {
                bytes = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
            }
            tensors.push((name, tensor.rows, tensor.columns, format, bytes));
        }
    }
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((meta.len() as u64).to_le_bytes());
    fn value(out: &mut Vec<u8>, v: &Value, with_kind: bool) {
        let kind = |out: &mut Vec<u8>, n: u32| out.extend(n.to_le_bytes());
        match v {
            Value::String(s) => {
                if with_kind {
                    kind(out, 8);
                }
                out.extend((s.len() as u64).to_le_bytes());
                out.extend(s.as_bytes());
            }
            Value::Array(list) => {
                kind(out, 9);
                kind(out, if list[0].is_string() { 8 } else { 4 });
                out.extend((list.len() as u64).to_le_bytes());
                list.iter().for_each(|item| value(out, item, false));
            }
            other => match other.as_u64() {
                Some(n) => {
                    if with_kind {
                        kind(out, 4);
                    }
                    out.extend((n as u32).to_le_bytes());
                }
                None => {
                    kind(out, 6);
                    out.extend((other.as_f64().unwrap() as f32).to_le_bytes());
                }
            },
        }
    }
    for (key, v) in &meta {
        text(&mut out, key);
        value(&mut out, v, true);
    }
    let (mut from, mut places) = (0u64, std::collections::HashMap::new());
    for (name, rows, columns, format, bytes) in &tensors {
        text(&mut out, name);
        out.extend(2u32.to_le_bytes());
        out.extend((*columns as u64).to_le_bytes());
        out.extend((*rows as u64).to_le_bytes());
        out.extend(format.to_le_bytes());
        let place = *places.entry((*rows, *columns)).or_insert(from);
        if how.heaped && place < from {
            out.extend(place.to_le_bytes());
        } else {
            out.extend(from.to_le_bytes());
            from += (bytes.len() as u64).next_multiple_of(32);
        }
    }
    for (_, _, _, _, bytes) in &tensors {
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(bytes);
    }
    out
}

fn open_bytes(bytes: &[u8]) -> Result<LocalModel> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    LocalModel::open(&path, LocalOptions { threads: Some(1), context: None })
}

#[test]
fn a_gguf_file_gives_what_the_folder_gives() {
    let (folder, file) = (tiny("qwen3", 1), open_bytes(&gguf("qwen3")).unwrap());
    let text = "The dose of 5 mg <|im_end|>is 😀 the\n\n usual";
    assert_eq!(folder.tokenize(text).unwrap(), file.tokenize(text).unwrap());
    let tokens = folder.tokenize(text).unwrap();
    let (a, b) = (logits(&folder, &tokens, usize::MAX), logits(&file, &tokens, usize::MAX));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn damaged_files_are_errors() {
    let whole = gguf("qwen3");
    let header = whole.len() - 4 * 288 * 32;
    for cut in (0..whole.len()).step_by(whole.len() / 200).chain([3, 4, 8, 23, 24, 31]) {
        assert!(open_bytes(&whole[..cut]).is_err(), "{cut} bytes");
    }
    // Any byte of the header may be wrong: then the file is refused, or the model is another one.
    for at in (0..header.min(6_000)).step_by(13) {
        for with in [0x00, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = with;
            let _ = open_bytes(&bytes);
        }
    }
    let mut bytes = whole.clone();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    if let Ok(model) = open_bytes(&bytes) {
        let request = Request { max_tokens: Some(5), ..Request::new(vec![Message::user("a")]) };
        let failed = model.complete(&request, NONE, &Cancel::new());
        assert_eq!(failed.unwrap_err().error.code(), Code::ModelInvalid);
    }
}

#[test]
fn layers_whose_matrices_are_stored_in_several_ways_compute_the_same() {
    let tokens: Vec<u32> = (3..40).collect();
    let every = |name: &str| name.starts_with("blk.") && !name.contains("norm");
    let rounded = open_bytes(&made("qwen3", &Made { rounded: &every, ..WHOLE })).unwrap();
    let want = logits(&rounded, &tokens, usize::MAX);
    let vocabulary = rounded.0.decoder.vocabulary;
    let matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
    for mask in 1..1u32 << matrices.len() {
        let stored = |name: &str| {
            let place = matrices.iter().position(|m| name.split('.').nth(2) == Some(*m));
            place.is_some_and(|place| mask >> place & 1 == 1)
        };
        let how = Made { rounded: &every, stored: &stored, ..WHOLE };
        let model = open_bytes(&made("qwen3", &how)).unwrap();
        for at_once in [1, usize::MAX] {
            let got = logits(&model, &tokens, at_once);
            for (got, want) in got.chunks(vocabulary).zip(want.chunks(vocabulary)) {
                let near = super::tests::cosine(got, want);
                assert!(near > 0.999, "{mask:b}: {near}");
            }
        }
    }
}

#[test]
fn sizes_that_no_model_has_are_refused_before_memory_is_taken() {
    let refused = |opened: Result<LocalModel>, what: &str| {
        assert_eq!(opened.map(|_| ()).unwrap_err().code(), Code::ModelInvalid, "{what}");
    };
    let huge = [0u64, 5_000_000, 4_000_000_000];
    for end in [
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "rope.dimension_count",
    ] {
        for n in huge {
            if (end, n) != ("context_length", 5_000_000) {
                let how = Made { meta: &[(end, json!(n))], ..WHOLE };
                refused(open_bytes(&made("qwen3", &how)), end);
            }
        }
    }
    for n in huge {
        let meta = [("attention.key_length", json!(n)), ("attention.value_length", json!(n))];
        refused(open_bytes(&made("qwen3", &Made { meta: &meta, ..WHOLE })), "key_length");
    }
    let config = read_json("tiny-qwen3/config.json");
    let numbers = [json!(0), json!(5_000_000), json!(1u64 << 40), json!(1e300), json!(-1)];
    for key in [
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "intermediate_size",
        "partial_rotary_factor",
    ] {
        for n in &numbers {
            if matches!(key, "num_key_value_heads" | "head_dim") && n.as_u64().is_none() {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(fixture("tiny-qwen3")).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
            let mut config = config.clone();
            config[key] = n.clone();
            std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
            refused(LocalModel::open(folder.path(), LocalOptions::default()), &format!("{key} {n}"));
        }
    }
}

#[test]
fn tensors_that_lie_upon_each_other_are_refused() {
    let failed = open_bytes(&made("qwen3", &Made { heaped: true, ..WHOLE })).map(|_| ()).unwrap_err();
    assert_eq!(failed.code(), Code::ModelInvalid);
    assert!(failed.message().contains("lies upon another"), "{failed}");
}

/// A GGUF file of these values, of which each is its kind and its bytes.
fn values(values: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend(0u64.to_le_bytes());
    out.extend((values.len() as u64).to_le_bytes());
    for (key, kind, bytes) in values {
        out.extend((key.len() as u64).to_le_bytes());
        out.extend(key.as_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(bytes);
    }
    out
}

fn list(kind: u32, n: u64, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &n.to_le_bytes(), bytes].concat()
}

#[test]
fn lists_of_numbers_take_the_room_that_they_take_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let texts = [&1u64.to_le_bytes()[..], b"a", &0u64.to_le_bytes()].concat();
    let file = values(&[
        ("bytes", 9, list(0, 3, &[0, 127, 255])),
        ("flags", 9, list(7, 2, &[0, 1])),
        ("shorts", 9, list(3, 2, &[0xff, 0xff, 1, 0])),
        ("reals", 9, list(6, 1, &1.5f32.to_le_bytes())),
        ("longs", 9, list(10, 1, &7u64.to_le_bytes())),
        ("texts", 9, list(8, 2, &texts)),
    ]);
    std::fs::write(&path, file).unwrap();
    let file = gguf::Gguf::open(&path).unwrap();
    let read = |key: &str| -> Vec<Meta> {
        file.meta(key).and_then(Meta::as_list).unwrap().iter().map(|item| item.into_owned()).collect()
    };
    assert_eq!(read("bytes"), [Meta::Whole(0), Meta::Whole(127), Meta::Whole(255)]);
    assert_eq!(read("flags"), [Meta::Flag(false), Meta::Flag(true)]);
    assert_eq!(read("shorts"), [Meta::Whole(-1), Meta::Whole(1)]);
    assert_eq!((read("reals"), read("longs")), (vec![Meta::Real(1.5)], vec![Meta::Whole(7)]));
    assert_eq!(file.meta("texts").and_then(Meta::as_list).unwrap().texts(), ["a", ""]);
    assert_eq!(file.meta("flags").and_then(Meta::as_list).unwrap().texts(), ["", ""]);
    // What is in memory is no list of values.
    assert!(
        matches!(file.meta("bytes"), Some(Meta::List(gguf::List::Plain { bytes, .. })) if bytes.len() == 3)
    );
    for (kind, n, bytes) in
        [(0, u64::MAX, &[0; 9][..]), (10, 1, &[255; 8]), (12, 1 << 61, &[0; 16]), (5, 3, &[0; 8])]
    {
        std::fs::write(&path, values(&[("a", 9, list(kind, n, bytes))])).unwrap();
        assert_eq!(gguf::Gguf::open(&path).map(|_| ()).unwrap_err().code(), Code::ModelInvalid);
    }
}

/// The GGUF file of the tiny Qwen 3 with other tokens or merges.
fn with_tokens(key: &str, change: impl Fn(&mut Vec<Value>)) -> Vec<u8> {
    made(
        "qwen3",
        &Made {
            tokens: &|found, list| {
                if found == key {
                    change(list)
                }
            },
            ..WHOLE
        },
    )
}

#[test]
fn tokens_and_merges_longer_than_any_are_refused_at_once() {
    let since = std::time::Instant::now();
    for file in [
        with_tokens("tokens", |tokens| tokens[200] = json!("a".repeat(2_000_000))),
        with_tokens("merges", |merges| merges[0] = json!(format!("a{}b", " ".repeat(2_000_000)))),
        with_tokens("merges", |merges| merges[0] = json!("a b".repeat(100_000))),
    ] {
        assert_eq!(open_bytes(&file).map(|_| ()).unwrap_err().code(), Code::ModelInvalid);
    }
    assert!(since.elapsed().as_secs() < 5);
}

#[test]
fn tokens_and_merges_are_read_up_to_each_limit() {
    let long = |n: usize| with_tokens("tokens", |tokens| tokens[200] = json!("a".repeat(n)));
    assert!(open_bytes(&long(1024)).is_ok());
    assert_eq!(open_bytes(&long(1025)).map(|_| ()).unwrap_err().code(), Code::ModelInvalid);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("model.gguf");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let refused =
        |path: &Path| LocalModel::open(path, LocalOptions::default()).map(|_| ()).unwrap_err().code();
    assert_eq!(refused(&pipe), Code::ModelInvalid);
    // A folder with that one file, and a device.
    assert_eq!(refused(folder.path()), Code::ModelInvalid);
    assert_eq!(refused(Path::new("/dev/zero")), Code::ModelInvalid);
    for entry in std::fs::read_dir(fixture("tiny-qwen3")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    for name in ["tokenizer.json", "model.safetensors", "config.json"] {
        let path = folder.path().join(name);
        std::fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let failed = LocalModel::open(folder.path(), LocalOptions::default());
        assert!(failed.is_err(), "{name}");
    }
}
