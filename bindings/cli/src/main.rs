//! How does a process become the command line of quorate?

use std::process::ExitCode;

use quorate::Cancel;
use quorate_cli::{Streams, run, stop_on_signals};

fn main() -> ExitCode {
    let cancel = Cancel::new();
    stop_on_signals(&cancel);
    ExitCode::from(run(std::env::args_os().skip(1), Streams::of_process(cancel)))
}
