//! Does a local model keep the promises of every model: limits, stops, seeds, cancellation, counts, forms, errors?

use serde_json::{Value, json};

use super::tests::{fixture, json as read_json, logits, tiny};
use super::*;
use crate::message::Message;
use crate::reply::Finish;
use crate::{Event, Model, ModelOptions};

const NONE: AttemptLimits = AttemptLimits { total: None, first_byte: None, stall: None };

fn asking(text: &str, most: u32) -> Request {
    Request { max_tokens: Some(most), ..Request::new(vec![Message::user(text)]) }
}

fn answer(model: &LocalModel, request: &Request) -> Reply {
    model.complete(request, NONE, &Cancel::new()).unwrap()
}

#[test]
fn a_stop_that_spans_tokens_ends_the_answer_before_it() {
    let model = tiny("qwen3", 1);
    let request = asking("Which dose?", 24);
    let whole = answer(&model, &request);
    assert_eq!((whole.finish, whole.usage.output), (Some(Finish::Length), 24));
    let text = whole.text();
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    for from in 3..letters.len() - 6 {
        let stop = &text[letters[from].0..letters[from + 6].0];
        let reply = answer(&model, &Request { stop: vec![stop.to_owned()], ..request.clone() });
        assert_eq!(reply.text(), text[..text.find(stop).unwrap()]);
        assert_eq!(reply.finish, Some(Finish::Stop));
    }
}

#[test]
fn the_same_seed_says_the_same_and_another_another() {
    let model = tiny("llama", 2);
    let request = |seed| Request { temperature: Some(1.0), seed: Some(seed), ..asking("Which dose?", 30) };
    assert_eq!(answer(&model, &request(1)).text(), answer(&model, &request(1)).text());
    assert_ne!(answer(&model, &request(1)).text(), answer(&model, &request(2)).text());
    let plain = Request { temperature: Some(1.0), ..asking("Which dose?", 30) };
    assert_eq!(answer(&model, &plain).text(), answer(&model, &request(0)).text());
}

#[test]
fn what_was_read_before_is_not_read_again_and_changes_nothing() {
    let (model, fresh) = (tiny("qwen2", 1), tiny("qwen2", 1));
    let first = answer(&model, &asking("The dose of the drug", 12));
    assert_eq!(first.usage.cached, 0);
    let mut request = asking("The dose of the drug", 12);
    request.messages.push(first.message.clone());
    request.messages.push(Message::user("Why?"));
    let (again, anew) = (answer(&model, &request), answer(&fresh, &request));
    assert!(again.usage.cached > first.usage.input / 2 && again.usage.cached < again.usage.input);
    assert_eq!((again.text(), anew.usage.cached), (anew.text(), 0));
}

#[test]
fn streamed_equals_unstreamed_and_tokens_are_counted_exactly() {
    let local = tiny("phi3", 2);
    let model = Model::new(local, ModelOptions::default()).unwrap();
    let request = asking("A naïve 😀 question: 510(k)?", 40);
    let whole = model.complete(&request, &Cancel::new()).unwrap();
    let count = model.count_tokens(&request).unwrap();
    assert_eq!((count.tokens, count.exact), (whole.usage.input, true));
    let mut text = String::new();
    let mut ends = 0;
    for event in model.stream(&request, &Cancel::new()).unwrap() {
        match event {
            Event::Text { delta } => text.push_str(&delta),
            Event::End(reply) => {
                ends += 1;
                assert_eq!((reply.text(), reply.finish), (whole.text(), whole.finish));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((text, ends), (whole.text(), 1));
}

#[test]
fn a_cancelled_answer_ends_between_tokens_and_keeps_what_came() {
    let model = Model::new(tiny("llama", 1), ModelOptions::default()).unwrap();
    let cancel = Cancel::new();
    let mut stream = model.stream(&asking("Which dose?", 60), &cancel).unwrap();
    let mut text = String::new();
    while text.len() < 5 {
        match stream.next_event() {
            Some(Event::Text { delta }) => text.push_str(&delta),
            other => panic!("{other:?}"),
        }
    }
    cancel.cancel();
    let Some(Event::Cancelled { partial }) = stream.next_event() else { panic!("not cancelled") };
    assert!(partial.text().starts_with(&text) && partial.usage.output < 60);
    assert!(stream.next_event().is_none());
    let cancelled = model.complete(&asking("Which dose?", 60), &cancel);
    assert_eq!(cancelled.unwrap_err().code(), Code::Cancelled);
    // What the cancelled answer has read does not mislead the next.
    let request = asking("Which dose?", 60);
    let next = model.complete(&request, &Cancel::new()).unwrap();
    assert_eq!(next.text(), answer(&tiny("llama", 1), &request).text());
}

#[test]
fn messages_that_leave_no_room_are_an_overflow_and_answers_end_at_the_edge() {
    let options = LocalOptions { threads: Some(1), context: Some(40) };
    let model = LocalModel::open(fixture("tiny-qwen3"), options).unwrap();
    let failed = model.complete(&asking(&"dose ".repeat(20), 5), NONE, &Cancel::new()).unwrap_err();
    assert_eq!((failed.error.code(), failed.elsewhere), (Code::ContextOverflow, true));
    let reply = answer(&model, &asking("a", 1000));
    assert_eq!((reply.finish, reply.usage.input + reply.usage.output), (Some(Finish::Length), 40));
    for context in [0, 1, 129] {
        let options = LocalOptions { threads: Some(1), context: Some(context) };
        assert!(LocalModel::open(fixture("tiny-qwen3"), options).is_err());
    }
}

#[test]
fn attempts_that_take_too_long_fail_and_are_not_tried_again() {
    let limits = AttemptLimits { total: Some(std::time::Duration::ZERO), ..NONE };
    let failed = tiny("qwen3", 1).complete(&asking("a", 5), limits, &Cancel::new()).unwrap_err();
    assert_eq!((failed.error.code(), failed.passing, failed.elsewhere), (Code::Timeout, false, true));
}

#[test]
fn requests_that_cannot_be_met_are_refused() {
    let model = tiny("qwen3", 1);
    let code = |request: &Request| model.complete(request, NONE, &Cancel::new()).unwrap_err().error.code();
    let mut odd = asking("a", 5);
    odd.extra.insert("min_p".into(), json!(0.1));
    assert_eq!(code(&odd), Code::InvalidArgument);
    let mut tools = asking("a", 5);
    tools.tools.push(serde_json::from_value(json!({"name": "dose"})).unwrap());
    assert_eq!(code(&tools), Code::Unsupported);
    let image = json!([{"role": "user", "content": [{"type": "image", "url": "data:image/png;base64,"}]}]);
    assert_eq!(code(&Request::new(Message::list_from_json(&image).unwrap())), Code::Unsupported);
    for threads in [0, 513] {
        assert!(
            LocalModel::open(fixture("tiny-qwen3"), LocalOptions { threads: Some(threads), context: None })
                .is_err()
        );
    }
}

#[test]
fn models_are_opened_by_name_and_cost_nothing() {
    let path = fixture("tiny-qwen3");
    let options = ModelOptions { threads: Some(1), ..Default::default() };
    let model = Model::open(&format!("local:{}", path.display()), options).unwrap();
    assert_eq!(model.id(), "local:tiny-qwen3");
    let reply = model.complete(&asking("a", 3), &Cancel::new()).unwrap();
    assert_eq!((reply.cost, reply.model.as_str()), (Some(0.0), "local:tiny-qwen3"));
    assert_eq!(
        Model::open("local:/no/such/model", Default::default()).unwrap_err().code(),
        Code::ModelNotFound
    );
}

#[cfg(feature = "constrained")]
#[test]
fn answers_of_a_given_form_fit_it_whatever_the_model_would_say() {
    let model = Model::new(tiny("llama", 1), ModelOptions::default()).unwrap();
    let form = json!({
        "type": "object",
        "properties": {"verdict": {"enum": ["yes", "no"]}, "votes": {"type": "integer", "minimum": 0, "maximum": 9},
            "why": {"type": "string", "maxLength": 8}},
        "required": ["verdict", "votes", "why"],
        "additionalProperties": false,
    });
    let output = crate::Output::new(form).unwrap().repairs(0).unwrap();
    for seed in 0..20 {
        let request = Request {
            output: Some(output.clone()),
            temperature: Some(1.5),
            seed: Some(seed),
            ..asking("Is it safe?", 90)
        };
        let reply = model.complete(&request, &Cancel::new()).unwrap();
        let found = reply.output.unwrap();
        assert!(found["verdict"] == "yes" || found["verdict"] == "no", "{found}");
        assert_eq!((reply.attempts, reply.finish), (1, Some(Finish::Stop)));
    }
}

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
}

const WHOLE: Made<'static> = Made { rounded: &|_| false, stored: &|_| false, meta: &[], heaped: false };

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
        let failed = model.complete(&asking("a", 5), NONE, &Cancel::new());
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

#[test]
fn a_long_prompt_is_read_no_longer_than_an_attempt_may_take() {
    let model = super::tests::smollm2();
    let request = asking(&"The dose is five mg a day. ".repeat(900), 5);
    for limits in [
        AttemptLimits { total: Some(std::time::Duration::from_millis(100)), ..NONE },
        AttemptLimits { first_byte: Some(std::time::Duration::from_millis(100)), ..NONE },
    ] {
        let failed = model.complete(&request, limits, &Cancel::new()).unwrap_err();
        assert_eq!((failed.error.code(), failed.elsewhere), (Code::Timeout, true));
        // What was read until then is a part of the prompt, and is not lost.
        let kept = model.0.kept.lock().unwrap().take().unwrap();
        assert!(kept.tokens.len() < 3_000, "{} tokens were read", kept.tokens.len());
        *model.0.kept.lock().unwrap() = Some(kept);
    }
}
