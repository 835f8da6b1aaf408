//! How is quorate used from a shell?
//!
//! [`run`] is the whole command line: the binary `quorate`, `python -m quorate` and `npx quorate` call it and nothing else.
//! What it does is said by its exit code (see [`exit`]); what it says goes to the streams that it is given.

#![warn(missing_docs)]

mod args;
mod commands;
mod console;
pub mod exit;
mod failure;
mod input;
mod model;
mod own_agents;
mod place;
mod shown;
mod signals;
mod streams;
mod table;
mod text;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{CommandFactory, FromArgMatches};
use quorate::{Code, Error};

use crate::console::Console;
use args::Cli;
use failure::Failure;
pub use signals::stop_on_signals;
pub use streams::Streams;

/// Runs one command. `args` are those behind the program's name. The result is the exit code of the process.
///
/// Nothing unwinds out of it, the process is not ended, and nothing but the given streams, the place of the knowledge base and the
/// files that are named is touched. Raising the flag of `streams` ends the work with exit code 130.
pub fn run(args: impl IntoIterator<Item = OsString>, streams: Streams) -> u8 {
    let args: Vec<OsString> = std::iter::once(OsString::from("quorate")).chain(args).collect();
    // Where the arguments cannot be read, a program still wants its errors as JSON.
    let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let cancel = streams.cancel.clone();
    let mut console = Console::new(streams, json);
    let outcome = catch_unwind(AssertUnwindSafe(|| cancel.cover(|| parsed(args, &mut console))));
    let outcome = outcome.unwrap_or_else(|_| {
        let message = "a defect of quorate, please report it: a command has panicked";
        Err(Failure::Error(Error::new(Code::Internal, message)))
    });
    let outcome = outcome.and_then(|code| console.flush().map(|()| code));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            // What was said before the error comes before it.
            let _ = console.flush();
            console.failed(&failure);
            failure.exit_code()
        }
    }
}

fn parsed(args: Vec<OsString>, console: &mut Console) -> Result<u8, Failure> {
    let cli = Cli::command().try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    match cli {
        Ok(cli) => {
            console.decide_color(cli.common.color);
            commands::run(cli, console)
        }
        // Help and version are answers.
        Err(said) if !said.use_stderr() => {
            console.plain(&said.render().to_string())?;
            Ok(exit::DONE)
        }
        Err(said) => Err(Failure::Usage(said.render().to_string())),
    }
}
