//! What do the chapters of an electronic book say?
//!
//! One document for each content file, in reading order (EPUB 3.3: the container names the package document, whose spine
//! lists them).

use std::collections::HashMap;

use quorate_core::Result;

use crate::Document;

use super::package::{Package, resolve};
use super::room::Room;
use super::{LoadOptions, encoding, failed, html, metadata, stem};

pub(super) fn load(name: &str, bytes: Vec<u8>, options: &LoadOptions) -> Result<Vec<Document>> {
    let mut package = Package::open("EPUB", bytes, options.max_bytes)?;
    if package.names().iter().any(|part| part.eq_ignore_ascii_case("META-INF/rights.xml")) {
        return Err(failed("EPUB: the book is locked (DRM)"));
    }
    let container = package.tree("META-INF/container.xml")?;
    let container = container.ok_or_else(|| failed("EPUB: META-INF/container.xml is missing"))?;
    let root = container.find("rootfile").and_then(|root| root.attribute("full-path"));
    let root = root.ok_or_else(|| failed("EPUB: the container names no package document"))?.to_owned();
    let book = package.tree(&root)?.ok_or_else(|| failed(format!("EPUB: the part {root} is missing")))?;
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let about = book.child("metadata");
    let field = |tag: &str| {
        let text = about?.find(tag)?.text().split_whitespace().collect::<Vec<_>>().join(" ");
        Some(text).filter(|text| !text.is_empty())
    };
    let title = field("title").unwrap_or_else(|| stem(name));
    let items: HashMap<&str, &str> = book
        .child("manifest")
        .iter()
        .flat_map(|manifest| manifest.children("item"))
        // The table of contents is the book's own and no chapter.
        .filter(|item| !item.attribute("properties").unwrap_or_default().split(' ').any(|word| word == "nav"))
        .filter_map(|item| Some((item.attribute("id")?, item.attribute("href")?)))
        .collect();
    let spine = book.child("spine").ok_or_else(|| failed("EPUB: the package document has no spine"))?;
    let mut room = Room::new(options.max_bytes);
    let mut documents = Vec::new();
    for (number, reference) in (1_usize..).zip(spine.children("itemref")) {
        let Some(target) = reference.attribute("idref").and_then(|id| items.get(id)) else { continue };
        let target = target.split('#').next().unwrap_or_default();
        let target = resolve(folder, &unescaped(target));
        let Some(bytes) = package.part(&target)? else { continue };
        let page =
            html::page(&target, &encoding::decode_html(bytes, options.encoding.as_deref())?.text, false);
        let page = page.map_err(|e| e.context(format_args!("EPUB: {target}")))?;
        if page.text.trim().is_empty() {
            continue;
        }
        let chapter = super::markdown::first_heading(&page.text);
        let known = metadata([
            ("author", field("creator")),
            ("publisher", field("publisher")),
            ("date", field("date")),
            ("html_language", field("language")),
            ("chapter_title", chapter),
        ]);
        let document = Document::new(format!("{name}#chapter={number}"), page.text)
            .title(title.clone())
            .metadata(known)
            .metadata_field("chapter", number);
        room.document(&document).map_err(|e| e.context("EPUB"))?;
        documents.push(document);
    }
    if documents.is_empty() {
        return Err(failed("EPUB: no chapter has text"));
    }
    Ok(documents)
}

/// A relative address with its `%20`s decoded (RFC 3986, 2.1).
fn unescaped(target: &str) -> String {
    let bytes = target.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
