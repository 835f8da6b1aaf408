//! How are passages put together for a language model?

use quorate::rag::{ContextOptions, ContextOrder, SearchOptions};

use super::filter;
use crate::args::{Context, Order};
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::{input, shown, text};

pub(crate) fn run(given: Context, place: &Place, console: &mut Console) -> Result<(), Failure> {
    let question = input::words(console, &given.query)?;
    let options = ContextOptions {
        max_tokens: given.max_tokens,
        order: match given.order {
            Order::Score => ContextOrder::Score,
            Order::Document => ContextOrder::Document,
            Order::LostInTheMiddle => ContextOrder::LostInTheMiddle,
        },
        search: SearchOptions {
            k: given.k,
            filter: filter(given.filter.as_deref())?,
            min_relevance: given.min_relevance,
            cancel: console.cancel(),
            ..SearchOptions::default()
        },
        ..ContextOptions::default()
    };
    options.validate()?;
    let (context, hits) = place.read(console)?.context_with_hits(&question, &options)?;
    if console.is_json() {
        return console.document(&shown::context(&context, &hits));
    }
    if let Some(reason) = context.reason {
        console.note(&format!("no context: {}", reason.as_str()));
        return Ok(());
    }
    if !console.is_terminal() {
        // Another program reads it: the passages as they are.
        return console.say(&context.text);
    }
    console.say(&text::lines(&context.text))?;
    console.say("")?;
    for citation in &context.citations {
        let (id, title) = (text::line(&citation.doc_id), text::line(&citation.title));
        let title = if title.is_empty() { String::new() } else { format!("{title}, ") };
        let line = format!("{} {title}{id}, bytes {}..{}", citation.marker, citation.start, citation.end);
        let line = text::cut(&line, console.width()).into_owned();
        let line = console.dim(&line);
        console.say(&line)?;
    }
    let tokens = console.dim(&format!("{} of {} tokens", context.tokens, given.max_tokens));
    console.say(&tokens)
}
