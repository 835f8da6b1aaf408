//! What do the slides of a presentation say?
//!
//! One document a slide, in the order of the show: what its shapes, tables, charts and diagrams say, then the speaker's
//! notes (ECMA-376, part 1, section 19). Hidden slides are left out.

use quorate_core::Result;

use crate::Document;

use super::package::{Package, Relations};
use super::room::Room;
use super::xml::Node;
use super::{LoadOptions, failed, metadata, stem};

pub(super) fn load(name: &str, bytes: Vec<u8>, options: &LoadOptions) -> Result<Vec<Document>> {
    let mut package = Package::open("PPTX", bytes, options.max_bytes)?;
    let root = package.relations("")?;
    let main = root.by_kind("officeDocument").unwrap_or("ppt/presentation.xml").to_owned();
    let show = package.tree(&main)?.ok_or_else(|| failed(format!("PPTX: the part {main} is missing")))?;
    let relations = package.relations(&main)?;
    let core = root.by_kind("core-properties").unwrap_or("docProps/core.xml").to_owned();
    let core = package.tree(&core).ok().flatten();
    let property = |tag: &str| core.as_ref().and_then(|core| Some(core.find(tag)?.text().trim().to_owned()));
    let whole = property("title").filter(|title| !title.is_empty() && title != "PowerPoint Presentation");
    let whole = whole.unwrap_or_else(|| stem(name));
    let mut parts: Vec<String> = Vec::new();
    if let Some(list) = show.child("sldIdLst") {
        // `r:id` beside `id`: the relationship is the one that a relation knows.
        let known =
            |slide: &Node| slide.values_of("id").find_map(|id| relations.by_id(id)).map(str::to_owned);
        parts.extend(list.children("sldId").filter_map(known));
    }
    let count = parts.len();
    let mut room = Room::new(options.max_bytes);
    let mut documents = Vec::new();
    for (number, part) in (1_usize..).zip(&parts) {
        let Some(slide) = package.tree(part)? else { continue };
        if slide.attribute("show").is_some_and(|show| matches!(show, "0" | "false")) {
            continue;
        }
        let relations = package.relations(part)?;
        let mut words =
            Words { package: &mut package, relations: &relations, title: None, lines: Vec::new() };
        words.shapes(&slide)?;
        let (title, mut lines) = (words.title, words.lines);
        if let Some(notes) = relations.by_kind("notesSlide").map(str::to_owned) {
            lines.extend(notes_of(&mut package, &notes)?);
        }
        let heading = title.as_ref().map(|title| format!("# {title}"));
        let text = heading.into_iter().chain(lines).collect::<Vec<_>>().join("\n\n");
        if text.trim().is_empty() {
            continue;
        }
        let known = metadata([("author", property("creator")), ("created", property("created"))]);
        let document = Document::new(format!("{name}#slide={number}"), text)
            .title(title.unwrap_or_else(|| whole.clone()))
            .metadata(known)
            .metadata_field("presentation", whole.as_str())
            .metadata_field("slide", number)
            .metadata_field("slides", count);
        room.document(&document).map_err(|e| e.context("PPTX"))?;
        documents.push(document);
    }
    if documents.is_empty() {
        return Err(failed("PPTX: no slide has text"));
    }
    Ok(documents)
}

struct Words<'a> {
    package: &'a mut Package,
    relations: &'a Relations,
    title: Option<String>,
    lines: Vec<String>,
}

impl Words<'_> {
    fn shapes(&mut self, node: &Node) -> Result<()> {
        for child in node.elements() {
            match &*child.name {
                "sp" => self.shape(child),
                "tbl" => self.table(child),
                "relIds" | "chart" => {
                    let id = child.attribute("dm").or_else(|| child.attribute("id"));
                    let part = id.and_then(|id| self.relations.by_id(id)).map(str::to_owned);
                    if let Some(tree) = part.and_then(|part| self.package.tree(&part).ok().flatten()) {
                        self.lines.extend(Some(words_of_graphic(&tree)).filter(|words| !words.is_empty()));
                    }
                }
                "pic" => {
                    let words = child.find("cNvPr").and_then(|properties| properties.attribute("descr"));
                    if let Some(words) = words.filter(|words| !words.trim().is_empty()) {
                        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                        self.lines.push(format!("![{words}]()"));
                    }
                }
                "AlternateContent" => {
                    let chosen = child.child("Choice").or_else(|| child.child("Fallback"));
                    chosen.map_or(Ok(()), |chosen| self.shapes(chosen))?;
                }
                _ => self.shapes(child)?,
            }
        }
        Ok(())
    }

    fn shape(&mut self, shape: &Node) {
        let kind = shape.find("ph").map(|place| place.attribute("type").unwrap_or("body"));
        // The date, the number and the footer stand on every slide.
        if matches!(kind, Some("dt" | "sldNum" | "ftr" | "hdr")) {
            return;
        }
        let Some(body) = shape.child("txBody") else { return };
        let mut lines = Vec::new();
        for paragraph in body.children("p") {
            let text = paragraph_text(paragraph);
            if text.is_empty() {
                continue;
            }
            let properties = paragraph.child("pPr");
            let level =
                properties.and_then(|properties| properties.attribute("lvl")?.parse().ok()).unwrap_or(0);
            lines.push(format!("{}{text}", "  ".repeat(usize::min(level, 8))));
        }
        let text = lines.join("\n");
        match kind {
            Some("title" | "ctrTitle") if self.title.is_none() && !text.is_empty() => {
                self.title = Some(text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            _ if text.is_empty() => {}
            _ => self.lines.push(text),
        }
    }

    fn table(&mut self, table: &Node) {
        let mut lines = Vec::new();
        for row in table.children("tr") {
            let cells = row.children("tc").map(|cell| {
                let mut texts = Vec::new();
                cell.each("p", &mut |paragraph| texts.push(paragraph_text(paragraph)));
                texts.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
            });
            lines.push(format!("| {} |", cells.collect::<Vec<_>>().join(" | ")));
        }
        self.lines.push(lines.join("\n"));
    }
}

fn notes_of(package: &mut Package, part: &str) -> Result<Option<String>> {
    let Some(notes) = package.tree(part)? else { return Ok(None) };
    let mut texts = Vec::new();
    notes.each("sp", &mut |shape| {
        if shape.find("ph").and_then(|place| place.attribute("type")) == Some("body") {
            shape.each("p", &mut |paragraph| texts.push(paragraph_text(paragraph)));
        }
    });
    let text = texts.join("\n").trim().to_owned();
    Ok((!text.is_empty()).then(|| format!("Notes: {text}")))
}

/// The text of an `a:p`.
fn paragraph_text(paragraph: &Node) -> String {
    let mut text = String::new();
    for child in paragraph.elements() {
        match &*child.name {
            "r" | "fld" => text.extend(child.children("t").map(Node::text)),
            "br" => text.push('\n'),
            "m" | "AlternateContent" => {
                let mut equation = None;
                child.each("oMath", &mut |node| _ = equation.get_or_insert(super::docx::equation(node)));
                text.push_str(&equation.unwrap_or_default());
            }
            _ => {}
        }
    }
    text.trim().to_owned()
}

/// The words of a chart or diagram: titles, labels, names of series and categories, each once.
pub(super) fn words_of_graphic(tree: &Node) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |text: String| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().any(char::is_alphabetic) && lines.len() < 1000 && !lines.contains(&text) {
            lines.push(text);
        }
    };
    tree.each("p", &mut |paragraph| add(paragraph.text()));
    tree.each("strCache", &mut |cache| cache.each("v", &mut |value| add(value.text())));
    lines.join("\n")
}
