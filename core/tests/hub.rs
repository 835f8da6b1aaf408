//! Is a model downloaded whole, once, and only when asked? A local server plays the hub.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use quorate_core::embed::{Embed, Embedder, EmbedderOptions};
use serde_json::json;
use support::{Answer, serve};

/// Environment variables belong to the whole process.
static ENVIRONMENT: Mutex<()> = Mutex::new(());

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/bert-mean")
}

fn set(name: &str, value: &str) {
    // SAFETY: the tests of this file hold ENVIRONMENT while they run, and no other thread reads it meanwhile.
    unsafe { std::env::set_var(name, value) }
}

fn listing(sha256: &str) -> String {
    let weights = std::fs::metadata(fixture().join("model.safetensors")).unwrap().len();
    json!({"sha": "abc123", "siblings": [
        {"rfilename": "config.json"}, {"rfilename": "modules.json"}, {"rfilename": "tokenizer.json"},
        {"rfilename": "sentence_bert_config.json"}, {"rfilename": "config_sentence_transformers.json"}, {"rfilename": "1_Pooling/config.json"},
        {"rfilename": "model.safetensors", "size": weights, "lfs": {"sha256": sha256}},
        {"rfilename": "pytorch_model.bin"}, {"rfilename": "../../evil.json"}, {"rfilename": "README.md"},
    ]})
    .to_string()
}

/// The SHA-256 of the fixture's weights, as `sha256sum` prints it.
fn weights_sha256() -> String {
    let out =
        std::process::Command::new("sha256sum").arg(fixture().join("model.safetensors")).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_model_comes_whole_and_once() {
    let _guard = ENVIRONMENT.lock().unwrap_or_else(|e| e.into_inner());
    let cache = tempfile::tempdir().unwrap();
    let sha256 = weights_sha256();
    let server = serve(move |_, seen| match seen.path.as_str() {
        path if path.starts_with("/api/models/org/tiny/") => {
            Answer::Full(200, "", listing(&sha256).into_bytes())
        }
        path => {
            let Some(name) = path.strip_prefix("/org/tiny/resolve/abc123/") else {
                return Answer::Full(404, "", Vec::new());
            };
            let bytes = std::fs::read(fixture().join(name)).unwrap();
            let from = seen.headers.lines().find_map(|line| line.strip_prefix("range: bytes="));
            match from.map(|range| range.trim().trim_end_matches('-').parse::<usize>().unwrap()) {
                // The first try breaks off in the middle.
                None if name == "model.safetensors" => Answer::CutOff(bytes[..bytes.len() / 2].to_vec()),
                None => Answer::Full(200, "", bytes),
                Some(from) => Answer::Full(206, "", bytes[from..].to_vec()),
            }
        }
    });
    set("HF_HUB_CACHE", cache.path().to_str().unwrap());
    set("HF_ENDPOINT", &server.base);
    let options = EmbedderOptions { download: false, ..Default::default() };
    assert_eq!(Embedder::open("org/tiny", options).unwrap_err().code().as_str(), "model_not_found");
    assert!(server.seen.lock().unwrap().is_empty());

    let embedder = Embedder::open("org/tiny", EmbedderOptions::default()).unwrap();
    let local = Embedder::open(fixture().to_str().unwrap(), EmbedderOptions::default()).unwrap();
    assert_eq!(embedder.embed_query("text").unwrap(), local.embed_query("text").unwrap());
    let asked: Vec<String> = server.seen.lock().unwrap().iter().map(|s| s.path.clone()).collect();
    assert!(
        asked.iter().all(|path| !path.contains("evil") && !path.contains(".bin") && !path.contains("README")),
        "{asked:?}"
    );
    assert_eq!(asked.iter().filter(|path| path.ends_with("model.safetensors")).count(), 2);

    // Now it is in the cache, and nobody is asked.
    Embedder::open("org/tiny", EmbedderOptions::default()).unwrap();
    assert_eq!(server.seen.lock().unwrap().len(), asked.len());
}

#[test]
fn several_that_want_one_model_at_once_all_get_it() {
    let _guard = ENVIRONMENT.lock().unwrap_or_else(|e| e.into_inner());
    let cache = tempfile::tempdir().unwrap();
    let sha256 = weights_sha256();
    let server = serve(move |_, seen| match seen.path.as_str() {
        path if path.starts_with("/api/models/org/tiny/") => {
            Answer::Full(200, "", listing(&sha256).into_bytes())
        }
        path => {
            std::thread::sleep(std::time::Duration::from_millis(30));
            let name = path.strip_prefix("/org/tiny/resolve/abc123/").unwrap();
            Answer::Full(200, "", std::fs::read(fixture().join(name)).unwrap())
        }
    });
    set("HF_HUB_CACHE", cache.path().to_str().unwrap());
    set("HF_ENDPOINT", &server.base);
    let opened = std::thread::scope(|scope| {
        let open = |_| {
            scope.spawn(|| Embedder::open("org/tiny", EmbedderOptions::default()).map(|e| e.id().to_owned()))
        };
        let threads: Vec<_> = (0..6).map(open).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let ids: std::collections::BTreeSet<String> = opened.into_iter().map(|id| id.unwrap()).collect();
    assert_eq!(ids.len(), 1);
    let asked = server.seen.lock().unwrap();
    assert_eq!(asked.iter().filter(|seen| seen.path.ends_with("model.safetensors")).count(), 1);
}

#[test]
fn what_another_tool_has_begun_is_completed() {
    let _guard = ENVIRONMENT.lock().unwrap_or_else(|e| e.into_inner());
    let sha256 = weights_sha256();
    for there in ["config.json", "tokenizer.json"] {
        let cache = tempfile::tempdir().unwrap();
        let snapshot = cache.path().join("models--org--tiny/snapshots/abc123");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::copy(fixture().join(there), snapshot.join(there)).unwrap();
        std::fs::create_dir_all(cache.path().join("models--org--tiny/refs")).unwrap();
        std::fs::write(cache.path().join("models--org--tiny/refs/main"), "abc123").unwrap();
        let listing = listing(&sha256);
        let server = serve(move |_, seen| match seen.path.strip_prefix("/org/tiny/resolve/abc123/") {
            None => Answer::Full(200, "", listing.clone().into_bytes()),
            Some(name) => Answer::Full(200, "", std::fs::read(fixture().join(name)).unwrap()),
        });
        set("HF_HUB_CACHE", cache.path().to_str().unwrap());
        set("HF_ENDPOINT", &server.base);
        Embedder::open("org/tiny", EmbedderOptions::default()).unwrap();
        let asked: Vec<String> = server.seen.lock().unwrap().iter().map(|seen| seen.path.clone()).collect();
        assert!(asked.iter().any(|path| path.ends_with("model.safetensors")), "{asked:?}");
        assert!(asked.iter().all(|path| !path.ends_with(&format!("/abc123/{there}"))), "{asked:?}");
        // Now it is whole.
        Embedder::open("org/tiny", EmbedderOptions::default()).unwrap();
        assert_eq!(server.seen.lock().unwrap().len(), asked.len());
    }
}

#[test]
fn damage_and_absence_are_clear() {
    let _guard = ENVIRONMENT.lock().unwrap_or_else(|e| e.into_inner());
    let cache = tempfile::tempdir().unwrap();
    set("HF_HUB_CACHE", cache.path().to_str().unwrap());
    let code = || Embedder::open("org/tiny", EmbedderOptions::default()).unwrap_err();
    let server = serve(|_, seen| match seen.path.as_str() {
        path if path.starts_with("/api/") => Answer::Full(200, "", listing(&"0".repeat(64)).into_bytes()),
        path => {
            let name = path.strip_prefix("/org/tiny/resolve/abc123/").unwrap();
            Answer::Full(200, "", std::fs::read(fixture().join(name)).unwrap())
        }
    });
    set("HF_ENDPOINT", &server.base);
    let error = code();
    assert_eq!(error.code().as_str(), "corrupt");
    assert!(error.message().contains("model.safetensors"), "{error}");
    let server = serve(|_, _| Answer::Full(404, "", Vec::new()));
    set("HF_ENDPOINT", &server.base);
    assert_eq!(code().code().as_str(), "not_found");
    set("HF_ENDPOINT", "http://127.0.0.1:1");
    let error = code();
    assert_eq!(error.code().as_str(), "offline");
    assert!(error.message().contains("folder"), "{error}");
}
