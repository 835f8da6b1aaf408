//! How are other programs served?
//!
//! By the Model Context Protocol: over standard input and output for the program that starts this one, over HTTP for any number.

use std::path::Path;

use quorate::{Error, Result};
use quorate_mcp_server::{Caller, Server, Tokens};
use serde::Deserialize;

use crate::args::{Answering, Mcp, Serve};
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::{exit, input, model};

/// `quorate mcp`.
pub(crate) fn run(given: Mcp, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    match given.http {
        Some(address) => over_http(&address, given.tokens.as_deref(), &given.answering, place, console),
        None if given.tokens.is_some() => {
            Err(Error::invalid("--tokens is for callers over HTTP; name an address with --http").into())
        }
        None => {
            let server = server(&given.answering, place, console)?;
            let stop = server.stopper();
            let _ended = console.cancel().when_raised(move || stop.stop());
            server.serve_stdio()?;
            Ok(exit::DONE)
        }
    }
}

/// `quorate serve`.
pub(crate) fn serve(given: Serve, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    over_http(&given.address, given.tokens.as_deref(), &given.answering, place, console)
}

fn over_http(
    address: &str,
    tokens: Option<&Path>,
    answering: &Answering,
    place: &Place,
    console: &mut Console,
) -> Result<u8, Failure> {
    if tokens.is_some() && place.tenant.is_some() {
        return Err(Error::invalid(
            "--tenant: the file of tokens says whose each caller is; leave one of the two out",
        )
        .into());
    }
    let mut server = server(answering, place, console)?;
    server = match tokens {
        Some(path) => server.tenants(callers(path)?),
        None => server.without_tokens(),
    };
    let server = server.bind(address)?;
    let stop = server.stopper();
    let _ended = console.cancel().when_raised(move || stop.stop());
    console.note(&format!("serving {} at http://{}/mcp", place.name(), server.address()));
    server.serve()?;
    Ok(exit::DONE)
}

/// What is served: the documents as they are whenever somebody asks, the experts, and who answers.
fn server(answering: &Answering, place: &Place, console: &mut Console) -> Result<Server, Failure> {
    let kb = place.every(console)?;
    let mut runtime = quorate::runtime::RuntimeOptions {
        model: model::open(answering)?,
        store: Some(place.store(console)?),
        ..Default::default()
    };
    if let Some(budget) = model::budget(answering)? {
        runtime.budget = budget;
    }
    let caller = place.tenant.clone().map_or_else(Caller::default, Caller::of);
    Ok(Server::new(kb).follow().registry(place.all_agents()?).runtime(runtime).caller(caller))
}

/// A line of the file of tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    token: String,
    tenant: Option<String>,
    permissions: Option<Vec<String>>,
    tools: Option<Vec<String>>,
}

/// Who may come in. Errors: `invalid_argument`, those of reading. No message shows a token.
fn callers(path: &Path) -> Result<Tokens> {
    let shown = path.display();
    let text = input::file(path)?;
    let lines: Vec<Line> = serde_json::from_str(&text).map_err(|e| {
        Error::invalid(format!(
            "{shown}: line {} is not of a list of {{\"token\", \"tenant\", \"permissions\", \"tools\"}}",
            e.line()
        ))
    })?;
    if lines.is_empty() {
        return Err(Error::invalid(format!("{shown}: nobody has a token")));
    }
    lines.into_iter().enumerate().try_fold(Tokens::new(), |tokens, (at, line)| {
        let caller = Caller { tenant: line.tenant, permissions: line.permissions, tools: line.tools };
        tokens
            .token(&line.token, caller)
            .map_err(|e| Error::invalid(format!("{shown}: entry {}: {}", at + 1, e.message())))
    })
}
