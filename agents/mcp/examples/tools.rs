//! Which tools does a server have, and what would a runtime take them for?
//!
//! Run: `cargo run --release -p quorate-mcp --example tools -- python3 server.py`, or with a URL in the place of the command.

#![allow(clippy::print_stdout)] // an example

use quorate_mcp::{McpOptions, McpTools};

fn main() -> quorate_core::Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let options = match given.first() {
        Some(url) if url.starts_with("http") => McpOptions::url(url.as_str()),
        _ => McpOptions::command(given),
    };
    let tools = McpTools::open(options)?;
    for tool in tools.tools() {
        let card = tool.card();
        println!("{} ({:?}): {}\n    {}", card.name, card.effect, card.description, card.schema);
    }
    for (name, reason) in tools.left_out() {
        println!("left out: {name}: {reason}");
    }
    tools.close();
    Ok(())
}
