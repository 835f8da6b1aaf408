//! What do `search_vector` and `match` cost without a binding? Read by `benches/compare/overhead.py`.
//!
//! `overhead KB_FOLDER VECTORS_FILE QUESTIONS_FILE ROUNDS`: a file of float32 rows, and one of a question per line. Prints the
//! median time of a call, in microseconds, as JSON.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use quorate::Embedder;
use quorate::agents::{AgentRegistry, MatchOptions, RegistryOptions};
use quorate::rag::{KnowledgeBase, OpenOptions, SearchOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, vectors, questions, rounds] = args.as_slice() else {
        return Err("usage: overhead KB_FOLDER VECTORS_FILE QUESTIONS_FILE ROUNDS".into());
    };
    let rounds: usize = rounds.parse()?;
    let kb = KnowledgeBase::open(folder, OpenOptions { read_only: true, ..OpenOptions::default() })?;
    let bytes = std::fs::read(vectors)?;
    let floats: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let dim = kb.stats()?.dim;
    let queries: Vec<&[f32]> = floats.chunks_exact(dim).collect();
    let options = SearchOptions::default();
    let search = median(rounds, &queries, |vector| Ok(kb.search_vector(vector, &options)?.len()))?;

    let embedder = Arc::new(Embedder::open("builtin", quorate::EmbedderOptions::default())?);
    let registry = AgentRegistry::open(None, RegistryOptions::new(embedder))?;
    let text = std::fs::read_to_string(questions)?;
    let questions: Vec<&str> = text.lines().collect();
    let options = MatchOptions::default();
    let matched =
        median(rounds, &questions, |question| Ok(registry.match_agents(question, &options)?.len()))?;
    println!("{{\"search_vector_us\": {search:.2}, \"match_us\": {matched:.2}}}");
    Ok(())
}

/// The median of the times of single calls, in microseconds, after one round to warm up.
fn median<T: Copy>(
    rounds: usize,
    inputs: &[T],
    call: impl Fn(T) -> Result<usize, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut times = Vec::with_capacity(rounds * inputs.len());
    for round in 0..=rounds {
        for &input in inputs {
            let start = Instant::now();
            let found = call(input)?;
            let time = start.elapsed().as_secs_f64() * 1e6;
            if found == 0 {
                return Err("a call found nothing".into());
            }
            if round > 0 {
                times.push(time);
            }
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
