//! What does a web page say?
//!
//! The page becomes Markdown. With `main_text` only its article is read, as the reader view of a browser finds it
//! (Mozilla's Readability, by dom_smoothie), without menus, banners and footers.

use htmd::element_handler::Handlers;
use htmd::{Element, HtmlToMarkdown};
use quorate_core::Result;
use scraper::{Html, Selector};

use crate::Document;

use super::markdown::first_heading;
use super::text::without_data_uris;
use super::{LoadOptions, encoding, failed, metadata, stem};

/// Elements deeper than this are no page that a person wrote; converting them would recurse too far.
const MAX_DEPTH: usize = 2000;
/// Elements that hold no words of the page.
const NO_WORDS: [&str; 8] = ["script", "style", "noscript", "template", "svg", "iframe", "head", "object"];
/// Elements around the main text, where no article is found.
const AROUND: [&str; 6] = ["nav", "header", "footer", "aside", "form", "dialog"];
/// An article of fewer characters is none.
const MIN_ARTICLE: usize = 140;

pub(super) fn load(name: &str, bytes: Vec<u8>, options: &LoadOptions) -> Result<Document> {
    let decoded = encoding::decode_html(bytes, options.encoding.as_deref())?;
    let document = page(name, &decoded.text, options.main_text)?;
    Ok(document.metadata_field("encoding", decoded.encoding))
}

/// A page that is text already.
pub(super) fn page(name: &str, source: &str, main_text: bool) -> Result<Document> {
    let source = without_data_uris(source);
    let page = Html::parse_document(&source);
    if depth(&page) > MAX_DEPTH {
        return Err(failed(format!("elements are nested deeper than {MAX_DEPTH}")));
    }
    let article = if main_text { article(&source) } else { None };
    let text = match &article {
        Some(article) => markdown(article, &[])?,
        None if main_text => markdown(&source, &AROUND)?,
        None => markdown(&source, &[])?,
    };
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

/// The HTML of the article, when the page has one.
fn article(source: &str) -> Option<String> {
    let mut reader = dom_smoothie::Readability::new(source, None, None).ok()?;
    let article = reader.parse().ok()?;
    let long = article.text_content.trim().chars().nth(MIN_ARTICLE - 1).is_some();
    long.then(|| article.content.to_string())
}

/// HTML as Markdown, without the elements in `skipped`. Soft hyphens only say where a line may end.
fn markdown(source: &str, skipped: &[&str]) -> Result<String> {
    let skip = NO_WORDS.iter().chain(skipped).copied().collect();
    let image = |handlers: &dyn Handlers, element: Element<'_>| {
        let of =
            |name: &str| element.attrs.iter().find(|a| &*a.name.local == name).map(|a| a.value.to_string());
        match of("src") {
            Some(source) if !source.trim().is_empty() && !is_data(&source) => handlers.fallback(element),
            // What it shows is said even where the image itself is not to be had.
            _ => {
                let alt = of("alt").filter(|alt| !alt.trim().is_empty())?;
                Some(format!("![{}]()", alt.split_whitespace().collect::<Vec<_>>().join(" ")).into())
            }
        }
    };
    let link = |handlers: &dyn Handlers, element: Element<'_>| {
        let target = element.attrs.iter().find(|a| &*a.name.local == "href").map(|a| a.value.to_string());
        match target {
            Some(target) if !target.is_empty() && !is_data(&target) => handlers.fallback(element),
            _ => Some(handlers.walk_children(element.node)),
        }
    };
    let converter = HtmlToMarkdown::builder()
        .skip_tags(skip)
        .add_handler(vec!["img"], image)
        .add_handler(vec!["a"], link)
        .build();
    let text = converter.convert(source).map_err(|e| failed(format!("HTML: {e}")))?;
    Ok(if text.contains('\u{AD}') { text.replace('\u{AD}', "") } else { text })
}

fn is_data(target: &str) -> bool {
    target.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
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
    let text = text.replace('\u{AD}', "").split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

fn attribute(page: &Html, selector: &str, name: &str) -> Option<String> {
    let selector = Selector::parse(selector).ok()?;
    page.select(&selector).next()?.value().attr(name).map(str::to_owned)
}
