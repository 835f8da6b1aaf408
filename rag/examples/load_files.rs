//! What does each file say? A line of JSON for each: path, seconds, text or error. For `benches/compare/files.py`.
//!
//! `cargo run --release -p quorate-rag --example load_files -- [--main-text] [--timeout SECONDS] FILE...`

use std::io::Write;
use std::time::{Duration, Instant};

use quorate_rag::load::{LoadOptions, load_file};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = LoadOptions::default();
    let mut arguments = std::env::args().skip(1);
    let mut out = std::io::stdout().lock();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--main-text" => options.main_text = true,
            "--timeout" => {
                let seconds = arguments.next().ok_or("--timeout takes seconds")?;
                options.timeout = Duration::from_secs_f64(seconds.parse()?);
            }
            path => {
                let start = Instant::now();
                let loaded = load_file(path, &options);
                let seconds = start.elapsed().as_secs_f64();
                let line = match loaded {
                    Ok(documents) => {
                        let texts: Vec<&str> = documents.iter().map(|doc| doc.text.as_str()).collect();
                        serde_json::json!({"path": path, "seconds": seconds, "text": texts.join("\n")})
                    }
                    Err(error) => {
                        let code = error.code().as_str();
                        serde_json::json!({"path": path, "seconds": seconds, "code": code, "error": error.to_string()})
                    }
                };
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}
