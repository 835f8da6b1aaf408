//! Do models of every supported kind give what sentence-transformers and transformers give, and do broken ones say why?
//!
//! The models are tiny and random; `fixtures/models/make.py` made them and the expected results.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use quorate_core::embed::{CrossEncoder, CrossEncoderOptions, Embed, Embedder, EmbedderOptions, Precision};
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error};
use serde_json::{Value, json};

const EMBEDDERS: [&str; 6] =
    ["bert-mean", "bert-cls-dense", "distilbert-max", "xlm-roberta-plain", "roberta-last", "mpnet-f16"];
/// The id that 0.1.0 gave the fixture `bert-mean`, which stands in knowledge bases.
const OLD_ID: &str = "bert-16-f32-49e4306f14283fb761bdd7ee71623e20";
const CROSS_ENCODERS: [&str; 4] = ["cross-bert", "cross-distilbert", "cross-xlm-roberta", "cross-mpnet"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

fn open(folder: &Path, options: EmbedderOptions) -> Result<Embedder, Error> {
    Embedder::open(folder.to_str().unwrap(), options)
}

fn embedder(name: &str) -> Embedder {
    open(&fixture(name), EmbedderOptions::default()).unwrap()
}

fn no_prefix() -> EmbedderOptions {
    EmbedderOptions { document_prefix: Some(String::new()), ..Default::default() }
}

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[track_caller]
fn assert_same(name: &str, what: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{name}: {what}");
    let near = found.iter().zip(wanted).all(|(x, y)| (x - y).abs() < 1e-4);
    assert!(near && cosine(found, wanted) >= 0.99999, "{name}: {what}: cosine {}", cosine(found, wanted));
}

#[test]
fn vectors_are_those_of_sentence_transformers_in_every_batch_size_and_order() {
    for name in EMBEDDERS {
        let expected = expected(name);
        let texts = strings(&expected["texts"]);
        let wanted: Vec<Vec<f32>> = expected["documents"].as_array().unwrap().iter().map(numbers).collect();
        for batch_size in [1, 2, 3, 32] {
            let model = open(&fixture(name), EmbedderOptions { batch_size, ..Default::default() }).unwrap();
            assert_eq!(model.dim(), wanted[0].len());
            let forward = model.embed(&texts, &Cancel::new()).unwrap();
            let reversed: Vec<&str> = texts.iter().rev().copied().collect();
            let backward = model.embed(&reversed, &Cancel::new()).unwrap();
            for (i, wanted) in wanted.iter().enumerate() {
                assert_same(name, &format!("document {i} of {batch_size}"), forward.row(i), wanted);
                assert_same(name, &format!("reversed {i}"), backward.row(texts.len() - 1 - i), wanted);
            }
        }
    }
}

#[test]
fn queries_take_the_query_prompt() {
    for name in EMBEDDERS {
        let (expected, model) = (expected(name), embedder(name));
        let texts = strings(&expected["texts"]);
        let batch = model.embed_queries(&texts, &Cancel::new()).unwrap();
        for (i, text) in texts.iter().enumerate() {
            let wanted = numbers(&expected["queries"][i]);
            assert_same(name, &format!("query {i}"), &model.embed_query(text).unwrap(), &wanted);
            assert_same(name, &format!("batched query {i}"), batch.row(i), &wanted);
        }
    }
    assert_ne!(expected("bert-mean")["documents"], expected("bert-mean")["queries"]);
}

#[test]
fn token_vectors_are_those_of_transformers_and_know_where_they_stand() {
    for name in EMBEDDERS {
        let expected = expected(name);
        let model = open(&fixture(name), no_prefix()).unwrap();
        for (i, text) in strings(&expected["texts"]).iter().enumerate() {
            let tokens = model.embed_tokens(text).unwrap();
            let wanted = expected["tokens"][i].as_array().unwrap();
            assert_eq!(tokens.vectors.rows(), wanted.len(), "{name}: tokens of text {i}");
            assert_eq!(tokens.offsets.len(), wanted.len());
            for (t, wanted) in wanted.iter().enumerate() {
                // The folder with a Dense layer gives each token through that layer, which transformers does not have.
                if name != "bert-cls-dense" {
                    assert_same(
                        name,
                        &format!("token {t} of text {i}"),
                        tokens.vectors.row(t),
                        &numbers(wanted),
                    );
                }
                assert!(
                    text.get(tokens.offsets[t].clone()).is_some(),
                    "{name}: {:?} in text {i}",
                    tokens.offsets[t]
                );
            }
            assert!(tokens.offsets[0].is_empty() && tokens.offsets.last().unwrap().is_empty());
        }
    }
    let tokens = open(&fixture("bert-mean"), no_prefix()).unwrap().embed_tokens("The dose, halved").unwrap();
    assert!(tokens.offsets.contains(&(8..9)), "{:?}", tokens.offsets);
    // A prefix moves no offset.
    let prefixed = embedder("bert-mean").embed_tokens("The dose, halved").unwrap();
    assert_eq!(prefixed.offsets.last().unwrap(), &(0..0));
    assert!(prefixed.offsets.len() > tokens.offsets.len() && prefixed.offsets.contains(&(8..9)));
}

#[test]
fn tokenize_covers_the_whole_text_without_special_tokens() {
    for name in EMBEDDERS {
        let model = embedder(name);
        let long = "metformin lowers glucose, naïve 🩺 ".repeat(300);
        let ranges = model.tokenize(&long).unwrap();
        assert!(ranges.len() > 1500 && ranges.len() > model.max_tokens(), "{name}: {}", ranges.len());
        assert!(ranges.iter().all(|range| long.get(range.clone()).is_some()), "{name}");
        assert!(ranges.windows(2).all(|pair| pair[0].start <= pair[1].start), "{name}");
        assert!(ranges.last().unwrap().end > long.len() - 10, "{name}");
        assert!(model.tokenize("").unwrap().is_empty());
        assert_eq!(open(&fixture(name), no_prefix()).unwrap().special_tokens(), 2, "{name}");
    }
}

#[test]
fn a_prefix_takes_room_of_each_document() {
    let bare = open(&fixture("bert-mean"), no_prefix()).unwrap();
    let folder = fixture("bert-mean");
    for source in [folder.to_str().unwrap(), "builtin"] {
        let prefix = "what follows is a dose: ";
        let options = EmbedderOptions {
            document_prefix: Some(prefix.to_owned()),
            query_prefix: Some(String::new()),
            ..EmbedderOptions::default()
        };
        let model = Embedder::open(source, options).unwrap();
        let own = if source == "builtin" { 0 } else { bare.special_tokens() };
        assert_eq!(model.special_tokens(), own + model.tokenize(prefix).unwrap().len(), "{source}");
        assert!(model.special_tokens() > own);
    }
}

#[test]
fn a_text_of_a_megabyte_is_embedded_by_its_beginning() {
    for name in EMBEDDERS {
        let model = embedder(name);
        let start = "metformin lowers glucose in patients with renal failure, naïve 🩺 \0 ".repeat(40);
        let words = start.repeat(400);
        let solid = "x".repeat(1 << 20);
        let hieroglyphs = "中🩺".repeat(150_000);
        assert!(words.len() > 1 << 20 && hieroglyphs.len() > 1 << 20);
        let long = model.embed(&[&words, &solid, &hieroglyphs], &Cancel::new()).unwrap();
        assert_eq!(long.row(0), model.embed(&[&start], &Cancel::new()).unwrap().row(0), "{name}");
        assert!(long.as_slice().iter().all(|x| x.is_finite()));
    }
}

#[test]
fn ten_thousand_texts_come_back_in_their_order() {
    let model = embedder("bert-mean");
    let texts: Vec<String> = (0..10_000).map(|i| "dose ".repeat(i % 7) + &format!("{}", i % 100)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = model.embed(&texts, &Cancel::new()).unwrap();
    for i in [0, 1, 699, 2047, 2048, 5_000, 9_999] {
        let alone = model.embed(&texts[i..=i], &Cancel::new()).unwrap();
        assert!(cosine(all.row(i), alone.row(0)) >= 0.99999, "text {i}");
    }
    for (a, b) in [(3, 703), (0, 9_100)] {
        assert!(cosine(all.row(a), all.row(b)) >= 0.99999, "equal texts {a} and {b}");
    }
}

#[test]
fn pickles_and_shards_hold_the_same_model() {
    let texts =
        strings(&expected("bert-mean")["texts"]).iter().map(|text| text.to_string()).collect::<Vec<_>>();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let wanted = embedder("bert-mean").embed(&texts, &Cancel::new()).unwrap();
    for name in ["bert-pickle", "bert-sharded"] {
        assert_eq!(embedder(name).embed(&texts, &Cancel::new()).unwrap(), wanted, "{name}");
    }
}

#[test]
fn no_text_gives_no_row() {
    let none: Matrix = embedder("bert-mean").embed(&[], &Cancel::new()).unwrap();
    assert_eq!((none.rows(), none.cols()), (0, 16));
}

#[test]
fn options_do_what_they_say() {
    let text = "metformin lowers glucose in patients with renal failure";
    let embed = |options: EmbedderOptions| {
        open(&fixture("bert-mean"), options).unwrap().embed(&[text], &Cancel::new()).unwrap()
    };
    let whole = embed(EmbedderOptions::default());
    let short = embed(EmbedderOptions { dimensions: Some(4), ..Default::default() });
    assert_eq!(short.cols(), 4);
    assert!(cosine(short.row(0), &whole.row(0)[..4]) > 0.999999);
    assert!((short.row(0).iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);

    let threaded = embed(EmbedderOptions { threads: Some(1), ..Default::default() });
    assert!(cosine(threaded.row(0), whole.row(0)) > 0.999999);

    let own = EmbedderOptions { document_prefix: Some("search ".to_string()), ..Default::default() };
    let spelled = EmbedderOptions { document_prefix: Some(String::new()), ..Default::default() };
    let spelled = open(&fixture("bert-mean"), spelled)
        .unwrap()
        .embed(&[&format!("search {text}")], &Cancel::new())
        .unwrap();
    assert_eq!(embed(own), spelled);

    let cut = EmbedderOptions { max_tokens: Some(6), ..Default::default() };
    let model = open(&fixture("bert-mean"), cut).unwrap();
    assert_eq!(model.max_tokens(), 6);
    assert_eq!(model.embed_tokens(text).unwrap().vectors.rows(), 6);

    for options in [
        EmbedderOptions { max_tokens: Some(41), ..Default::default() },
        EmbedderOptions { max_tokens: Some(3), ..Default::default() },
        EmbedderOptions { dimensions: Some(17), ..Default::default() },
        EmbedderOptions { dimensions: Some(0), ..Default::default() },
        EmbedderOptions { threads: Some(0), ..Default::default() },
        EmbedderOptions { batch_size: 0, ..Default::default() },
    ] {
        let error = open(&fixture("bert-mean"), options.clone()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{options:?}");
    }
    assert_eq!("int8".parse::<Precision>().unwrap(), Precision::Int8);
    assert_eq!("int4".parse::<Precision>().unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn the_id_follows_what_changes_vectors_and_nothing_else() {
    let id = |name: &str, options: EmbedderOptions| open(&fixture(name), options).unwrap().id().to_string();
    let base = id("bert-mean", EmbedderOptions::default());
    assert_eq!(
        base,
        id("bert-mean", EmbedderOptions { threads: Some(1), batch_size: 5, ..Default::default() })
    );
    let mut ids = vec![base];
    ids.extend(EMBEDDERS[1..].iter().map(|name| id(name, EmbedderOptions::default())));
    ids.push(id("bert-mean", EmbedderOptions { query_prefix: Some("q".to_string()), ..Default::default() }));
    ids.push(id(
        "bert-mean",
        EmbedderOptions { document_prefix: Some("q".to_string()), ..Default::default() },
    ));
    ids.push(id("bert-mean", EmbedderOptions { max_tokens: Some(9), ..Default::default() }));
    ids.push(id("bert-mean", EmbedderOptions { precision: Precision::Int8, ..Default::default() }));
    ids.push(id("bert-mean", EmbedderOptions { dimensions: Some(9), ..Default::default() }));
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_raised_flag_stops_the_work() {
    let cancel = Cancel::new();
    cancel.cancel();
    let error = embedder("bert-mean").embed(&["x"], &cancel).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    let model = CrossEncoder::open(fixture("cross-bert").to_str().unwrap(), Default::default()).unwrap();
    assert_eq!(model.score("x", &["y"], &cancel).unwrap_err().code(), Code::Cancelled);
}

#[test]
fn cross_encoders_score_as_transformers_does() {
    for name in CROSS_ENCODERS {
        let expected = expected(name);
        let passages = strings(&expected["passages"]);
        for batch_size in [1, 2, 32] {
            let options = CrossEncoderOptions { batch_size, ..Default::default() };
            let model = CrossEncoder::open(fixture(name).to_str().unwrap(), options).unwrap();
            for (query, wanted) in
                strings(&expected["queries"]).iter().zip(expected["scores"].as_array().unwrap())
            {
                let found = model.score(query, &passages, &Cancel::new()).unwrap();
                for (found, wanted) in found.iter().zip(numbers(wanted)) {
                    assert!((found - wanted).abs() < 1e-4, "{name}: '{query}': {found} against {wanted}");
                }
                assert_eq!(found.len(), passages.len());
            }
            assert_eq!(model.score("x", &[], &Cancel::new()).unwrap(), Vec::<f32>::new());
        }
    }
    // The configuration of the first asks for raw logits.
    let raw = expected("cross-bert");
    assert!(raw["scores"].as_array().unwrap().iter().flat_map(numbers).any(|x| !(0.0..=1.0).contains(&x)));
}

/// A copy of a fixture to be broken.
fn copy(name: &str) -> tempfile::TempDir {
    fn into(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            match entry.path().is_dir() {
                true => into(&entry.path(), &target),
                false => assert!(fs::copy(entry.path(), target).is_ok()),
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    into(&fixture(name), folder.path());
    folder
}

/// Changes one JSON file of a model.
fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Breaks a copy of a fixture and checks that opening it gives `code` and a message with each of `words`.
#[track_caller]
fn check_broken(name: &str, code: Code, words: &[&str], change: impl FnOnce(&Path)) {
    let folder = copy(name);
    change(folder.path());
    let error = open(folder.path(), EmbedderOptions::default()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(words.iter().all(|word| error.message().contains(word)), "{error} does not say {words:?}");
}

#[test]
fn missing_and_truncated_files_are_named() {
    use Code::ModelInvalid;
    let weights = "model.safetensors";
    check_broken("bert-mean", ModelInvalid, &[weights, "no weights"], |f| {
        fs::remove_file(f.join(weights)).unwrap()
    });
    let length = fs::read(fixture("bert-mean").join(weights)).unwrap().len();
    for keep in [0, 7, 8, 100, length / 2, length - 1] {
        check_broken("bert-mean", ModelInvalid, &[weights, "truncated"], |f| {
            let bytes = fs::read(f.join(weights)).unwrap();
            fs::write(f.join(weights), &bytes[..keep]).unwrap();
        });
    }
    check_broken("bert-mean", ModelInvalid, &[weights, "truncated or damaged"], |f| {
        let mut bytes = fs::read(f.join(weights)).unwrap();
        bytes.push(0);
        fs::write(f.join(weights), bytes).unwrap();
    });
    for file in ["tokenizer.json", "1_Pooling/config.json", "config.json"] {
        check_broken("bert-mean", ModelInvalid, &[file, "missing"], |f| {
            fs::remove_file(f.join(file)).unwrap()
        });
        check_broken("bert-mean", ModelInvalid, &[file], |f| fs::write(f.join(file), "{\"a\": ").unwrap());
        check_broken("bert-mean", ModelInvalid, &[file], |f| fs::write(f.join(file), "[1]").unwrap());
    }
    let dense = "2_Dense";
    check_broken("bert-cls-dense", ModelInvalid, &[dense], |f| {
        fs::remove_file(f.join(dense).join(weights)).unwrap()
    });
    let shard = "model-00002-of-00002.safetensors";
    check_broken("bert-sharded", ModelInvalid, &[shard, "missing"], |f| {
        fs::remove_file(f.join(shard)).unwrap()
    });
    let pickle = "pytorch_model.bin";
    check_broken("bert-pickle", ModelInvalid, &[pickle], |f| {
        fs::write(f.join(pickle), b"not a checkpoint").unwrap()
    });
    check_broken("bert-pickle", ModelInvalid, &[pickle], |f| {
        let bytes = fs::read(f.join(pickle)).unwrap();
        fs::write(f.join(pickle), &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn a_damaged_checkpoint_never_panics() {
    let folder = copy("bert-pickle");
    let path = folder.path().join("pytorch_model.bin");
    let whole = fs::read(&path).unwrap();
    for i in 0..100 {
        let mut bytes = whole.clone();
        let at = i * 7919 % 6000;
        bytes[at] = bytes[at].wrapping_add((i % 254) as u8 + 1);
        fs::write(&path, bytes).unwrap();
        if let Err(error) = open(folder.path(), EmbedderOptions::default()) {
            assert_eq!(error.code(), Code::ModelInvalid, "byte {at}: {error}");
        }
    }
}

#[test]
fn contradictions_name_the_file_and_the_field() {
    use Code::{ModelInvalid, ModelUnsupported};
    let config = "config.json";
    let set = |file: &'static str, field: &'static str, value: Value| {
        move |f: &Path| edit(f, file, |json| json[field] = value)
    };
    let word = "embeddings.word_embeddings.weight";
    check_broken(
        "bert-mean",
        ModelInvalid,
        &["model.safetensors", word, "shape"],
        set(config, "vocab_size", json!(111)),
    );
    let up = "encoder.layer.0.intermediate.dense.weight";
    check_broken(
        "bert-mean",
        ModelInvalid,
        &[up, "[32, 16]", "[33, 16]"],
        set(config, "intermediate_size", json!(33)),
    );
    let third = "encoder.layer.2.attention.self.query.weight";
    check_broken("bert-mean", ModelInvalid, &[third, "missing"], set(config, "num_hidden_layers", json!(3)));
    check_broken(
        "distilbert-max",
        ModelInvalid,
        &["transformer.layer.2.attention.q_lin"],
        set(config, "n_layers", json!(3)),
    );
    check_broken(
        "mpnet-f16",
        ModelInvalid,
        &["relative_attention_bias"],
        set(config, "relative_attention_num_buckets", json!(16)),
    );
    check_broken(
        "bert-mean",
        ModelInvalid,
        &[config, "num_attention_heads"],
        set(config, "num_attention_heads", json!(3)),
    );
    check_broken(
        "bert-mean",
        ModelInvalid,
        &[config, "hidden_size", "missing"],
        set(config, "hidden_size", Value::Null),
    );
    check_broken(
        "bert-mean",
        ModelInvalid,
        &[config, "hidden_size", "-4"],
        set(config, "hidden_size", json!(-4)),
    );
    check_broken(
        "bert-mean",
        ModelInvalid,
        &[config, "layer_norm_eps"],
        set(config, "layer_norm_eps", json!("x")),
    );
    check_broken("bert-mean", ModelInvalid, &["tokenizer.json", "'vocab_size'", "999"], |f| {
        edit(f, "tokenizer.json", |json| json["model"]["vocab"]["strange"] = json!(999));
    });
    check_broken(
        "bert-mean",
        ModelUnsupported,
        &[config, "model_type", "gpt2"],
        set(config, "model_type", json!("gpt2")),
    );
    check_broken("bert-mean", ModelInvalid, &[config, "model_type"], set(config, "model_type", Value::Null));
    check_broken(
        "bert-mean",
        ModelUnsupported,
        &[config, "hidden_act", "silu"],
        set(config, "hidden_act", json!("silu")),
    );
    check_broken(
        "bert-mean",
        ModelUnsupported,
        &["relative_key"],
        set(config, "position_embedding_type", json!("relative_key")),
    );
    check_broken("bert-mean", ModelUnsupported, &["is_decoder"], set(config, "is_decoder", json!(true)));
    let pooling = "1_Pooling/config.json";
    check_broken(
        "bert-mean",
        ModelUnsupported,
        &[pooling, "cls + mean"],
        set(pooling, "pooling_mode_cls_token", json!(true)),
    );
    check_broken(
        "bert-mean",
        ModelUnsupported,
        &[pooling, "weightedmean"],
        set(pooling, "pooling_mode", json!("weightedmean")),
    );
    check_broken(
        "bert-mean",
        ModelInvalid,
        &[pooling, "word_embedding_dimension"],
        set(pooling, "word_embedding_dimension", json!(15)),
    );
    check_broken(
        "bert-mean",
        ModelUnsupported,
        &["include_prompt"],
        set(pooling, "include_prompt", json!(false)),
    );
    let modules = "modules.json";
    check_broken("bert-mean", ModelUnsupported, &[modules, "LSTM"], |f| {
        edit(f, modules, |json| json[2]["type"] = json!("a.LSTM"))
    });
    check_broken("bert-mean", ModelUnsupported, &[modules, "BoW"], |f| {
        edit(f, modules, |json| json[0]["type"] = json!("a.BoW"))
    });
    check_broken("bert-mean", ModelInvalid, &[modules, "../x"], |f| {
        edit(f, modules, |json| json[1]["path"] = json!("../x"))
    });
    check_broken("bert-mean", ModelInvalid, &[modules], |f| fs::write(f.join(modules), "[]").unwrap());
    let dense = "2_Dense/config.json";
    check_broken(
        "bert-cls-dense",
        ModelInvalid,
        &[dense, "in_features"],
        set(dense, "in_features", json!(17)),
    );
    check_broken("bert-cls-dense", ModelInvalid, &["linear.weight"], set(dense, "out_features", json!(9)));
    check_broken(
        "bert-cls-dense",
        ModelUnsupported,
        &[dense, "SiLU"],
        set(dense, "activation_function", json!("torch.nn.SiLU")),
    );
    let index = "model.safetensors.index.json";
    check_broken(
        "bert-sharded",
        ModelInvalid,
        &[index, "weight_map"],
        set(index, "weight_map", json!({"a": "../../b"})),
    );
    let prompts = "config_sentence_transformers.json";
    check_broken(
        "bert-mean",
        ModelInvalid,
        &[prompts, "prompts"],
        set(prompts, "prompts", json!({"query": 3})),
    );
}

#[test]
fn a_tensor_of_whole_numbers_is_refused() {
    check_broken("bert-mean", Code::ModelInvalid, &["model.safetensors", "I32"], |f| {
        let path = f.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(5).position(|part| part == b"\"F32\"").unwrap();
        bytes[at + 1] = b'I';
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn damaged_numbers_are_an_error_and_never_a_vector() {
    let folder = copy("bert-mean");
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let tail = bytes.len() - 64;
    bytes[tail..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let error = open(folder.path(), EmbedderOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::ModelInvalid, "{error}");
    assert!(error.message().contains(folder.path().to_str().unwrap()), "{error}");
}

#[test]
fn weights_of_zeros_are_no_model() {
    check_broken("bert-mean", Code::ModelInvalid, &["zeros"], |f| {
        let path = f.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].fill(0);
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn a_config_that_contradicts_the_weights_is_refused() {
    let set = |field: &'static str, value: Value| {
        move |f: &Path| edit(f, "config.json", |json| json[field] = value.clone())
    };
    let layers = |name: &str| {
        let config: Value =
            serde_json::from_slice(&fs::read(fixture(name).join("config.json")).unwrap()).unwrap();
        config["num_hidden_layers"].as_u64().or(config["n_layers"].as_u64()).unwrap()
    };
    for name in ["bert-mean", "roberta-last", "mpnet-f16"] {
        assert!(layers(name) > 1, "{name}");
        check_broken(
            name,
            Code::ModelInvalid,
            &["layers"],
            set("num_hidden_layers", json!(layers(name) - 1)),
        );
    }
    check_broken("distilbert-max", Code::ModelInvalid, &["layers"], set("n_layers", json!(1)));
    check_broken(
        "bert-mean",
        Code::ModelInvalid,
        &["architectures", "RobertaModel"],
        set("architectures", json!(["RobertaModel"])),
    );
    check_broken("bert-mean", Code::ModelInvalid, &["architectures"], set("model_type", json!("roberta")));
}

#[test]
fn a_tokenizer_that_cannot_read_every_text_is_refused() {
    check_broken("bert-mean", Code::ModelInvalid, &["tokenizer.json", "vocabulary"], |f| {
        edit(f, "tokenizer.json", |json| {
            json["model"]["vocab"].as_object_mut().unwrap().remove("[UNK]").unwrap();
            json["added_tokens"].as_array_mut().unwrap().retain(|token| token["content"] != "[UNK]");
        });
    });
    check_broken("bert-mean", Code::ModelInvalid, &["tokenizer.json", "times as long"], |f| {
        edit(f, "tokenizer.json", |json| {
            let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
            json["normalizer"] = json!({"type": "Sequence", "normalizers": vec![double; 60]});
        });
    });
}

#[test]
fn what_follows_pooling_is_part_of_the_id() {
    let id = |change: &dyn Fn(&Path)| {
        let folder = copy("bert-cls-dense");
        change(folder.path());
        open(folder.path(), EmbedderOptions::default()).unwrap().id().to_owned()
    };
    let act = |name: &'static str| {
        move |f: &Path| {
            edit(f, "2_Dense/config.json", |json| {
                json["activation_function"] = json!(format!("torch.nn.modules.{name}"))
            })
        }
    };
    let ids = [
        id(&act("activation.Tanh")),
        id(&act("activation.ReLU")),
        id(&act("linear.Identity")),
        id(&|f| {
            act("linear.Identity")(f);
            edit(f, "modules.json", |json| {
                let dense = json[2].clone();
                let normalize = json!({"idx": 2, "name": "2", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"});
                *json = json!([json[0], json[1], normalize, dense]);
            });
        }),
    ];
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    // The ids of models without such layers are those of 0.1.0.
    assert_eq!(embedder("bert-mean").id(), OLD_ID);
}

#[test]
fn counts_have_limits() {
    for options in [
        EmbedderOptions { threads: Some(1 << 31), ..Default::default() },
        EmbedderOptions { batch_size: usize::MAX, ..Default::default() },
    ] {
        assert_eq!(open(&fixture("bert-mean"), options.clone()).unwrap_err().code(), Code::TooLarge);
        assert_eq!(Embedder::open("builtin", options).unwrap_err().code(), Code::TooLarge);
    }
    let options = CrossEncoderOptions { threads: Some(100_000), ..Default::default() };
    let error = CrossEncoder::open(fixture("cross-bert").to_str().unwrap(), options).unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
}

#[test]
fn what_is_no_cross_encoder_is_refused() {
    let check = |folder: &Path, code: Code, word: &str| {
        let error = CrossEncoder::open(folder.to_str().unwrap(), CrossEncoderOptions::default()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(word), "{error}");
    };
    check(&fixture("bert-mean"), Code::ModelUnsupported, "classifier.weight");
    check(&fixture("nowhere"), Code::ModelNotFound, "nowhere");
    let folder = copy("cross-bert");
    let strange = json!("torch.nn.modules.activation.GELU");
    edit(folder.path(), "config.json", |json| json["sbert_ce_default_activation_function"] = strange);
    check(folder.path(), Code::ModelUnsupported, "GELU");
    let options = CrossEncoderOptions { batch_size: 0, ..Default::default() };
    let error = CrossEncoder::open(fixture("cross-bert").to_str().unwrap(), options).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}
