//! How fast does a local model read and write? `local_speed MODEL [PROMPT_TOKENS] [NEW_TOKENS] [THREADS] [ROUNDS]`; prints
//! the best of the rounds, in tokens a second, as `benches/compare/local.py` reads them.

use std::time::Instant;

use quorate_core::Cancel;
use quorate_models::{Event, LocalModel, LocalOptions, Message, Model, ModelOptions, Request, Resilience};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().ok_or("the path of a model is missing")?;
    let number = |i: usize, or: usize| args.get(i).and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let (read, write, threads, rounds) = (number(1, 512), number(2, 128), number(3, 2), number(4, 3));
    let start = Instant::now();
    let local = LocalModel::open(path, LocalOptions { threads: Some(threads), context: None })?;
    println!("open_s {:.2}", start.elapsed().as_secs_f64());
    let resilience = Resilience {
        attempts: 1,
        attempt_timeout: std::time::Duration::from_secs(600),
        ..Resilience::default()
    };
    let (mut best_read, mut best_write) = (0f64, 0f64);
    for round in 0..rounds {
        // Another beginning in each round, so that nothing of the one before is used again.
        let mut text = format!("{round} times:");
        let request = |text: &str| Request {
            max_tokens: Some(write as u32),
            ..Request::new(vec![Message::user(text)])
        };
        let model =
            Model::new(local.clone(), ModelOptions { resilience: resilience.clone(), ..Default::default() })?;
        while model.count_tokens(&request(&text))?.tokens < read as u64 {
            text.push_str(" The committee considered the evidence and asked for more of it.");
        }
        let tokens = model.count_tokens(&request(&text))?.tokens;
        let start = Instant::now();
        let mut first = None;
        for event in model.stream(&request(&text), &Cancel::new())? {
            match event {
                Event::Text { .. } => {
                    first.get_or_insert_with(Instant::now);
                }
                Event::End(reply) => {
                    let Some(first) = first else { continue };
                    let (reading, writing) = (first - start, first.elapsed());
                    best_read = best_read.max(tokens as f64 / reading.as_secs_f64());
                    best_write = best_write.max((reply.usage.output - 1) as f64 / writing.as_secs_f64());
                }
                Event::Error { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
    }
    println!("read_per_s {best_read:.1}");
    println!("write_per_s {best_write:.1}");
    Ok(())
}
