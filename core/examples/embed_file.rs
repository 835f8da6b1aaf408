//! How does one embed a file of texts from the command line?
//!
//! `embed_file IN.jsonl OUT.f32` embeds each line's `title` and `text` with the built-in model and writes the
//! vectors as raw little-endian f32, row after row; it prints how many texts and tokens it took how long to embed.

use std::io::Write;
use std::time::Instant;

use quorate_core::embed::{Embed, StaticModel};
use quorate_core::{Cancel, Code, Error, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, input, output] = arguments.as_slice() else {
        return Err(Error::invalid("usage: embed_file IN.jsonl OUT.f32"));
    };
    let file = std::fs::read_to_string(input).map_err(|e| Error::io(input, e))?;
    let texts = file
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line)
                .map_err(|e| Error::with_source(Code::LoadFailed, format!("{input}: {e}"), e))?;
            let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            Ok(format!("{} {}", field("title"), field("text")).trim().to_owned())
        })
        .collect::<Result<Vec<String>>>()?;

    let begin = Instant::now();
    let model = StaticModel::builtin()?;
    let loaded = begin.elapsed();
    let slices: Vec<&str> = texts.iter().map(String::as_str).collect();
    let begin = Instant::now();
    let vectors = model.embed(&slices, &Cancel::new())?;
    let embedded = begin.elapsed();
    let tokens: usize = slices.iter().map(|t| model.tokenize(t).map(|t| t.len())).sum::<Result<usize>>()?;

    let bytes: Vec<u8> = vectors.as_slice().iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(output, bytes).map_err(|e| Error::io(output, e))?;
    let report = serde_json::json!({
        "texts": texts.len(), "dim": model.dim(), "tokens": tokens,
        "load_ms": loaded.as_secs_f64() * 1e3, "embed_ms": embedded.as_secs_f64() * 1e3,
    });
    writeln!(std::io::stdout(), "{report}").map_err(|e| Error::io("standard output", e))
}
