//! One topic after another: `cargo run --release --example topics -- NAME`, without a name their list.

use std::error::Error;
use std::io::Write;

#[path = "all.rs"]
mod topics;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let Some(wanted) = std::env::args().nth(1) else {
        for (name, _) in topics::ALL {
            writeln!(out, "{name}")?;
        }
        return Ok(());
    };
    match topics::ALL.iter().find(|(name, _)| *name == wanted) {
        Some((_, run)) => run(&mut out),
        None => Err(format!("there is no topic '{wanted}'; without a name the topics are listed").into()),
    }
}
