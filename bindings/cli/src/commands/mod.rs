//! What does each command do?

mod add;
mod agents;
mod ask;
mod context;
mod doctor;
mod eval;
mod events;
mod init;
mod matching;
mod mcp;
mod panel;
mod runs;
mod search;
mod workflows;

use clap::CommandFactory;
use quorate::Error;

use crate::args::{By, Cli, Command};
use crate::console::Console;
use crate::exit;
use crate::failure::Failure;
use crate::place::Place;
use quorate::rag::{Filter, Mode};

/// Runs the command that was given; the exit code.
pub(crate) fn run(cli: Cli, console: &mut Console) -> Result<u8, Failure> {
    let place = Place::of(&cli.common, console.cancel())?;
    let done = |()| exit::DONE;
    match cli.command {
        Command::Init(given) => init::run(given, &place, console).map(done),
        Command::Add(given) => add::run(given, &place, console),
        Command::Search(given) => search::run(given, &place, console).map(done),
        Command::Context(given) => context::run(given, &place, console).map(done),
        Command::Ask(given) => ask::run(given, &place, console),
        Command::Panel(given) => panel::run(given, &place, console),
        Command::Match(given) => matching::run(given, &place, console).map(done),
        Command::Agents(given) => agents::run(given, &place, console),
        Command::Eval(given) => eval::run(given, &place, console),
        Command::Workflows(given) => workflows::run(given, &place, console),
        Command::Runs(given) => runs::run(given, &place, console),
        Command::Serve(given) => mcp::serve(given, &place, console),
        Command::Mcp(given) => mcp::run(given, &place, console),
        Command::Doctor(given) => doctor::run(given, &place, console),
        Command::Completions(given) => {
            let mut script = Vec::new();
            clap_complete::generate(given.shell, &mut Cli::command(), "quorate", &mut script);
            console.plain(&String::from_utf8_lossy(&script))?;
            Ok(exit::DONE)
        }
    }
}

/// A filter that was given. Errors: `filter_syntax`.
fn filter(given: Option<&str>) -> Result<Option<Filter>, Error> {
    given.map(Filter::parse).transpose()
}

fn mode(by: By) -> Mode {
    match by {
        By::Hybrid => Mode::Hybrid,
        By::Dense => Mode::Dense,
        By::Lexical => Mode::Lexical,
    }
}

/// A number of bytes for people.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// A count with its noun.
fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
