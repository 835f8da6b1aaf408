//! Does the house keep its own rules? Names, module docs, unsafe code, layers, licences, documented paths.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATES: [&str; 16] = [
    "src",
    "core",
    "rag",
    "rag/store",
    "consensus",
    "agents/registry",
    "agents/models",
    "agents/state",
    "agents/runtime",
    "agents/workflows",
    "agents/mcp",
    "bindings",
    "bindings/cli",
    "bindings/mcp-server",
    "bindings-python",
    "bindings-node",
];

/// Third-party names, and the only places that may speak them.
const NAMES: [(&str, &[&str]); 20] = [
    ("candle_", &["core/src/embed/", "agents/models/src/local/"]),
    ("lancedb", &["rag/store/"]),
    ("lance", &["rag/store/"]),
    ("arrow_", &["rag/store/"]),
    ("rayon", &["core/src/parallel.rs"]),
    ("tantivy", &["rag/src/index/lexical"]),
    ("tokio", &["core/src/runtime.rs", "core/src/http", "rag/store/", "agents/mcp/", "bindings/mcp-server/"]),
    ("rmcp", &["agents/mcp/", "bindings/mcp-server/"]),
    ("hyper", &["bindings/mcp-server/"]),
    ("reqwest", &["core/src/http"]),
    ("rusqlite", &["agents/state/"]),
    ("cel", &["agents/workflows/src/flow/"]),
    ("pyo3", &["bindings-python/"]),
    ("napi", &["bindings-node/"]),
    ("clap", &["bindings/cli/"]),
    ("clap_complete", &["bindings/cli/"]),
    ("comfy_table", &["bindings/cli/"]),
    ("console", &["bindings/cli/"]),
    ("indicatif", &["bindings/cli/"]),
    ("signal_hook", &["bindings/cli/"]),
];

/// Where `unsafe` may stand: kernels, memory maps, FFI.
const UNSAFE: [&str; 14] = [
    "core/src/fork.rs",
    "core/src/parallel.rs",
    "core/src/vector/",
    "core/src/embed/",
    "agents/models/src/local/",
    "core/src/runtime",
    "rag/src/index/dense/",
    "rag/src/index/bytes.rs",
    "rag/store/src/lock.rs",
    "agents/state/src/gate.rs",
    "agents/state/src/disk/holder.rs",
    "agents/mcp/src/process.rs",
    "bindings-python/",
    "bindings-node/",
];

/// Which crates of the house each crate may build on.
const LAYERS: [(&str, &[&str]); 13] = [
    ("core", &[]),
    ("consensus", &["quorate-core"]),
    ("rag", &["quorate-core", "quorate-store"]),
    ("rag/store", &["quorate-core"]),
    ("agents/registry", &["quorate-core", "quorate-consensus"]),
    ("agents/models", &["quorate-core"]),
    ("agents/state", &["quorate-core"]),
    (
        "agents/runtime",
        &["quorate-core", "quorate-consensus", "quorate-agents", "quorate-models", "quorate-state"],
    ),
    // What bounds the calls of tools is what bounds those of models; below, the models are those of tests.
    (
        "agents/workflows",
        &["quorate-core", "quorate-agents", "quorate-runtime", "quorate-state", "quorate-models"],
    ),
    ("agents/mcp", &["quorate-core", "quorate-runtime", "quorate-models"]),
    (
        "bindings",
        &[
            "quorate-core",
            "quorate-consensus",
            "quorate-agents",
            "quorate-mcp",
            "quorate-models",
            "quorate-runtime",
            "quorate-state",
            "quorate-workflows",
        ],
    ),
    // A command's results have the names of the bindings.
    ("bindings/cli", &["quorate-bindings", "quorate-mcp-server"]),
    // It sees the facade alone.
    ("bindings/mcp-server", &[]),
];

/// Files over 600 lines, each with its reason.
const LONG: [(&str, &str); 6] = [
    ("bindings-python/src/kb.rs", "the verbs of a knowledge base, each a few lines of conversion"),
    ("bindings-node/src/kb.rs", "the same for JavaScript"),
    (
        "rag/src/kb/mod.rs",
        "the verbs of a knowledge base, each with its documentation; the work is in the files beside it",
    ),
    ("agents/registry/src/registry/mod.rs", "the verbs of the registry, likewise"),
    ("agents/workflows/src/flow/engine.rs", "the verbs of the engine of workflows, likewise"),
    ("consensus/src/data/ratings.rs", "one type with all its ways in; what it is made of is private to it"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The library sources, as (path from the root, text).
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for dir in CRATES {
        let dir = if dir == "src" { root().join("src") } else { root().join(dir).join("src") };
        walk(&dir, &mut found);
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn walk(dir: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The code of a line: what stands before a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

/// Whether `text` names `word` as a path: `word::`, or `word_...::` for a word that ends in an underscore.
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let rest = &text[at + word.len()..];
        let rest =
            if word.ends_with('_') { rest.trim_start_matches(|c: char| c.is_alphanumeric()) } else { rest };
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') && rest.starts_with("::")
    })
}

#[test]
fn third_party_names_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (word, rooms) in NAMES {
            if rooms.iter().any(|room| path.starts_with(room)) {
                continue;
            }
            let lines = (1..).zip(text.lines()).filter(|(_, line)| names(code(line), word));
            wrong.extend(lines.map(|(n, _)| format!("{path}:{n} names {word}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn modules_say_what_they_answer_and_stay_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{path} does not open with //!"));
        }
        let lines = text.lines().count();
        if lines > 600 && !LONG.iter().any(|(long, _)| *long == path) {
            wrong.push(format!("{path} has {lines} lines; split it, or give the reason in LONG"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_code_is_rare_and_explained() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if path.ends_with("tests.rs") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            // What stands in a text is a word of its language.
            let spoken: String = code(line).split('"').step_by(2).collect::<Vec<_>>().join(" ");
            let words: Vec<&str> = spoken.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if !words.contains(&"unsafe") {
                continue;
            }
            if !UNSAFE.iter().any(|room| path.starts_with(room)) {
                wrong.push(format!("{path}:{} has unsafe code; it belongs into kernels or FFI", i + 1));
            }
            let declares = ["unsafe fn", "unsafe extern"].iter().any(|d| line.contains(d));
            // A comment of its own, or one that says "SAFETY (all below)" for a table of like blocks.
            let explained = lines[i.saturating_sub(8)..=i].iter().any(|l| l.contains("SAFETY"))
                || lines[..i].iter().any(|l| l.contains("SAFETY ("));
            if !declares && !explained {
                wrong.push(format!("{path}:{} lacks its SAFETY line", i + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn layers_point_one_way() {
    for (krate, allowed) in LAYERS {
        let manifest = std::fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
        let house = manifest.lines().filter_map(|line| line.split([' ', '=']).next());
        for name in house.filter(|name| name.starts_with("quorate-")) {
            assert!(allowed.contains(&name), "{krate} must not build on {name}");
        }
    }
}

#[test]
fn light_crates_stay_light() {
    let light: [(&str, &[&str]); 5] = [
        ("quorate-consensus", &["candle", "tokio", "lance", "arrow", "tantivy", "reqwest", "tokenizers"]),
        ("quorate-state", &["candle", "tokio", "lance", "arrow", "tantivy", "reqwest", "tokenizers"]),
        ("quorate-models", &["candle", "tokenizers", "minijinja", "llguidance", "lance", "arrow", "tantivy"]),
        ("quorate-agents", &["lance", "arrow", "datafusion", "tantivy", "prost-build"]),
        (
            "quorate-mcp",
            &["lance", "arrow", "datafusion", "tantivy", "prost-build", "process-wrap", "oauth2"],
        ),
    ];
    for (krate, heavy) in light {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args([
            "tree",
            "--offline",
            "--locked",
            "-e",
            "normal,build",
            "--prefix",
            "none",
        ]);
        let tree = cargo.args(["-p", krate]).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.contains("rayon"));
        for heavy in heavy {
            assert!(!tree.lines().any(|line| line.starts_with(heavy)), "{krate} must not build {heavy}");
        }
    }
}

/// Names of providers in code; comments and tests may speak them.
#[test]
fn providers_are_named_under_the_wires_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !path.starts_with("agents/models/src/") || path.starts_with("agents/models/src/wire/") {
            continue;
        }
        let shown = text.split("#[cfg(test)]").next().unwrap_or("");
        for (n, line) in (1..).zip(shown.lines()) {
            let line = code(line).to_lowercase();
            if ["openai", "anthropic", "deepseek", "claude", "gpt-"].iter().any(|name| line.contains(name)) {
                wrong.push(format!("{path}:{n} names a provider"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn licences_are_known() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let list = deny.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    // What other systems would need was not downloaded.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8_lossy(&rustc.stdout);
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    let metadata = cargo
        .current_dir(root())
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host])
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let Some(licence) = package["license"].as_str() else {
            wrong.push(format!("{} states no licence", package["name"]));
            continue;
        };
        // "A OR B" is met by either, "A AND B" by both; the old form "A/B" means OR.
        let met = licence.split(" AND ").all(|part| {
            part.split(" OR ")
                .flat_map(|p| p.split('/'))
                .any(|one| allowed.contains(one.trim().trim_matches(['(', ')'])))
        });
        if !met {
            wrong.push(format!("{} has the licence {licence}", package["name"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn documented_paths_and_commands_exist() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            if let Some(target) = quoted.strip_prefix("make ") {
                let target = target.split_whitespace().next().unwrap_or("");
                seen += 1;
                if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                    wrong.push(format!("{document}: `make {target}` is no target"));
                }
            }
            let first = quoted.split_whitespace().next().unwrap_or("");
            let path = first.trim_end_matches('/');
            let top = path.split('/').next().unwrap_or("");
            let is_path = path.starts_with(|c: char| c.is_alphanumeric() || c == '.')
                && path.contains('/')
                && !path.contains([':', '<', '*', '$', '(', '{', '@'])
                && root().join(top).exists()
                || path.ends_with(".md")
                || path.ends_with(".toml");
            if is_path {
                seen += 1;
                if !root().join(path).exists() {
                    wrong.push(format!("{document}: `{path}` does not exist"));
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} paths and commands were found in the documents");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The pages of the book, as (path from `docs`, text).
fn pages(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|e| e == "md") {
            let name = path.strip_prefix(root().join("docs")).unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

#[test]
fn the_book_explains_every_code() {
    let text = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut rows = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, code, family, meaning, what_to_do, _] = cells[..] {
            assert!(!what_to_do.is_empty(), "{code} does not say what to do");
            rows.insert((code.trim_matches('`'), family.trim_matches('`').to_owned(), meaning));
        }
    }
    // A defect of the library is in no family.
    let family = |kind: quorate::Kind| match kind {
        quorate::Kind::Internal => "QuorateError".to_owned(),
        kind => format!("{kind:?}"),
    };
    let codes =
        quorate::Code::ALL.iter().map(|code| (code.as_str(), family(code.kind()), code.meaning())).collect();
    assert_eq!(rows, codes);
}

#[test]
fn all_rust_of_the_book_is_tested() {
    let facade = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let all = pages(&root().join("docs"));
    assert!(all.len() > 20, "the book was not found");
    for (name, text) in all {
        let shows = text.contains("```rust");
        let tested = facade.contains(&format!("include_str!(\"../docs/{name}\")"));
        assert_eq!(shows, tested, "docs/{name}: its Rust is tested by a line in src/lib.rs");
    }
}
