//! What does a web page say?

use htmd::HtmlToMarkdown;
use quorate_core::Result;
use scraper::{Html, Selector};

use crate::Document;

use super::markdown::first_heading;
use super::text::decode;
use super::{failed, metadata, stem};

/// Elements deeper than this are no page that a person wrote; converting them would recurse too far.
const MAX_DEPTH: usize = 2000;

pub(super) fn load(name: &str, bytes: Vec<u8>) -> Result<Document> {
    let (source, _) = decode(bytes);
    let page = Html::parse_document(&source);
    if depth(&page) > MAX_DEPTH {
        return Err(failed(format!("elements are nested deeper than {MAX_DEPTH}")));
    }
    let skip = vec!["script", "style", "noscript", "template", "svg", "iframe", "head"];
    let converter = HtmlToMarkdown::builder().skip_tags(skip).build();
    let text = converter.convert(&source).map_err(|e| failed(format!("HTML: {e}")))?;
    let title = text_of(&page, "title").or_else(|| first_heading(&text)).unwrap_or_else(|| stem(name));
    let date = ["meta[property='article:published_time']", "meta[name='date']", "meta[name='dcterms.date']"];
    let known = metadata([
        ("author", attribute(&page, "meta[name='author']", "content")),
        ("description", attribute(&page, "meta[name='description']", "content")),
        ("date", date.into_iter().find_map(|selector| attribute(&page, selector, "content"))),
        ("html_language", attribute(&page, "html", "lang")),
    ]);
    Ok(Document::new(name, text).title(title).metadata(known))
}

/// The deepest nesting, counted without recursion.
fn depth(page: &Html) -> usize {
    let (mut deepest, mut depth) = (0, 0_usize);
    for edge in page.tree.root().traverse() {
        match edge {
            ego_tree::iter::Edge::Open(_) => depth += 1,
            ego_tree::iter::Edge::Close(_) => depth -= 1,
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn text_of(page: &Html, selector: &str) -> Option<String> {
    let selector = Selector::parse(selector).ok()?;
    let text: String = page.select(&selector).next()?.text().collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

fn attribute(page: &Html, selector: &str, name: &str) -> Option<String> {
    let selector = Selector::parse(selector).ok()?;
    page.select(&selector).next()?.value().attr(name).map(str::to_owned)
}
