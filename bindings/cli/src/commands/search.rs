//! How are passages found?

use quorate::rag::{GroupBy, SearchOptions};
use serde_json::{Value, json};

use super::{filter, mode};
use crate::args::Search;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::{input, shown, text};

/// So many lines of a passage are shown.
const LINES: usize = 2;

pub(crate) fn run(given: Search, place: &Place, console: &mut Console) -> Result<(), Failure> {
    let query = input::words(console, &given.query)?;
    let options = SearchOptions {
        k: given.k,
        offset: given.offset,
        mode: mode(given.mode),
        filter: filter(given.filter.as_deref())?,
        group_by: given.by_document.then_some(GroupBy::Doc),
        min_relevance: given.min_relevance,
        cancel: console.cancel(),
        ..SearchOptions::default()
    };
    options.validate()?;
    let hits = place.read(console)?.search(&query, &options)?;
    if console.is_json() {
        let mut all = Vec::with_capacity(hits.len());
        for hit in &hits {
            let mut one = shown::hit(hit)?;
            if given.explain {
                one["explanation"] = json!(hit.explain()?);
            }
            all.push(one);
        }
        return console.document(&json!({"query": query, "hits": Value::Array(all)}));
    }
    if hits.is_empty() {
        console.note("nothing found");
        return Ok(());
    }
    for (i, hit) in hits.iter().enumerate() {
        let number = format!("{:>2}. ", given.offset + i + 1);
        let (id, title) = (text::line(hit.doc_id()), text::line(hit.title()));
        let head = match title.is_empty() || title == id {
            true => id,
            false => format!("{title}  ({id})"),
        };
        let score = format!("{:.3}  ", hit.score());
        let room = console.width().map(|width| width.saturating_sub(number.len() + score.len()));
        let head = console.bold(&text::cut(&head, room));
        console.say(&format!("{number}{score}{head}"))?;
        let room = console.width().map_or(200, |width| width.saturating_sub(4).max(10) * LINES);
        let passage = text::line(hit.text());
        for line in folded(&text::cut(&passage, Some(room)), room / LINES) {
            console.say(&format!("    {line}"))?;
        }
        if given.explain {
            for line in text::lines(&hit.explain()?.to_string()).trim_end().lines() {
                let line = console.dim(line);
                console.say(&format!("    {line}"))?;
            }
        }
    }
    Ok(())
}

/// Lines of at most so many columns, broken between words where they can be.
fn folded(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if text::width(line) + 1 + text::width(word) <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| text::cut(line, Some(columns)).into_owned()).collect()
}
