//! What does a reader of a Word document see?
//!
//! Paragraphs, headings, lists and tables become Markdown (ECMA-376, part 1, section 17). What Word shows beside the
//! body is there once: notes after the block that refers to them, text boxes after their paragraph, the words of charts
//! and diagrams, headers and footers marked at the end. Comments, deleted and hidden text are left out.

mod math;
mod numbering;
mod styles;
mod symbols;

use std::collections::{HashMap, HashSet, VecDeque};

use quorate_core::Result;

use crate::Document;

use super::markdown::first_heading;
use super::package::{Package, Relations};
use super::pptx::words_of_graphic;
use super::room::Room;
use super::text::without_data_uris;
use super::xml::{self, Content, Node};
use super::{LoadOptions, failed, html, metadata, stem};
use numbering::Numbering;
use styles::Styles;

/// Documents within documents (`w:altChunk`) are read down to here.
const MAX_CHUNKS: usize = 4;

pub(super) fn load(name: &str, bytes: Vec<u8>, options: &LoadOptions) -> Result<Document> {
    let mut package = Package::open("DOCX", bytes, options.max_bytes)?;
    let text = text_of(&mut package, options, 0, &mut Room::new(options.max_bytes))?;
    let text = without_data_uris(&text).into_owned();
    let root = package.relations("")?;
    let core = root.by_kind("core-properties").unwrap_or("docProps/core.xml").to_owned();
    // A document is read without its properties when they are broken.
    let core = package.tree(&core).ok().flatten();
    let property = |tag: &str| core.as_ref().and_then(|core| Some(core.find(tag)?.text().trim().to_owned()));
    let title = property("title").filter(|title| !title.is_empty());
    let title = title.or_else(|| first_heading(&text)).unwrap_or_else(|| stem(name));
    let known = metadata([
        ("author", property("creator")),
        ("created", property("created")),
        ("last_modified", property("modified")),
        ("subject", property("subject")),
        ("keywords", property("keywords")),
    ]);
    Ok(Document::new(name, text).title(title).metadata(known))
}

/// The Markdown of a package.
fn text_of(package: &mut Package, options: &LoadOptions, depth: usize, room: &mut Room) -> Result<String> {
    let main = main_part(package)?;
    let body = package.text(&main)?.ok_or_else(|| failed(format!("DOCX: the part {main} is missing")))?;
    let relations = package.relations(&main)?;
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut beside = |kind: &str| -> Result<Option<Node>> {
        let usual = format!("{folder}/{kind}.xml");
        package.tree(relations.by_kind(kind).unwrap_or(&usual))
    };
    let styles = Styles::read(beside("styles")?.as_ref());
    let numbering = Numbering::read(beside("numbering")?.as_ref());
    let mut notes = HashMap::new();
    for (kind, tag) in [("footnotes", "footnote"), ("endnotes", "endnote")] {
        let Some(part) = beside(kind)? else { continue };
        for content in part.content {
            if let Content::Node(note) = content
                && *note.name == *tag
                // Separators and the like have a type.
                && note.attribute("type").is_none_or(|kind| kind == "normal")
                && let Some(id) = note.attribute("id")
            {
                notes.insert((tag, id.to_owned()), note);
            }
        }
    }
    let mut writer = Writer {
        package,
        options,
        depth,
        room,
        relations,
        styles,
        numbering,
        notes,
        waiting: VecDeque::new(),
        noted: 0,
        margins: Vec::new(),
        out: Blocks::default(),
    };
    xml::each_in(&body, &["document", "body"], |node| writer.block(&node))
        .map_err(|e| e.context(format_args!("DOCX: {main}")))?;
    writer.finish()
}

/// The part that the package says is the document.
fn main_part(package: &mut Package) -> Result<String> {
    let root = package.relations("")?;
    if let Some(main) = root.by_kind("officeDocument") {
        return Ok(main.to_owned());
    }
    let types = package.tree("[Content_Types].xml").ok().flatten();
    let named = types.as_ref().and_then(|types| {
        let main = |node: &&Node| {
            let kind = node.attribute("ContentType").unwrap_or_default();
            kind.ends_with("wordprocessingml.document.main+xml")
        };
        types.children("Override").find(main)?.attribute("PartName")
    });
    Ok(named.map_or("word/document.xml".into(), |name| name.trim_start_matches('/').to_owned()))
}

/// Blocks of Markdown, an empty line between them; items of a list stand together.
#[derive(Default)]
struct Blocks {
    text: String,
    in_list: bool,
}

impl Blocks {
    fn push(&mut self, block: &str, item: bool) {
        let block = block.trim_end();
        if block.trim().is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(if item && self.in_list { "\n" } else { "\n\n" });
        }
        self.text.push_str(block);
        self.in_list = item;
    }
}

struct Writer<'a> {
    package: &'a mut Package,
    options: &'a LoadOptions,
    depth: usize,
    /// For the words of paragraphs, with what Word writes before them.
    room: &'a mut Room,
    relations: Relations,
    styles: Styles,
    numbering: Numbering,
    /// Notes that nothing has referred to, by kind and id.
    notes: HashMap<(&'static str, String), Node>,
    /// Notes that were referred to and are not yet written, with their numbers.
    waiting: VecDeque<(usize, Node)>,
    noted: usize,
    /// Relationship ids of headers and footers, with what they are.
    margins: Vec<(&'static str, String)>,
    out: Blocks,
}

/// The text of a paragraph on its way, and the blocks that follow it.
#[derive(Default)]
struct Line {
    text: String,
    after: Blocks,
}

impl Writer<'_> {
    /// A child of the body.
    fn block(&mut self, node: &Node) -> Result<()> {
        let mut out = std::mem::take(&mut self.out);
        self.blocks_of(node, &mut out)?;
        // A note can refer to another.
        while let Some((number, note)) = self.waiting.pop_front() {
            let mut text = Blocks::default();
            for child in note.elements() {
                self.blocks_of(child, &mut text)?;
            }
            out.push(&format!("[^{number}]: {}", text.text.trim_start()), false);
        }
        self.out = out;
        Ok(())
    }

    fn blocks_of(&mut self, node: &Node, out: &mut Blocks) -> Result<()> {
        match &*node.name {
            "p" => self.paragraph(node, out),
            "tbl" => self.table(node, out),
            "sectPr" => {
                self.section(node);
                Ok(())
            }
            "altChunk" => self.chunk(node, out),
            "AlternateContent" => match alternative(node) {
                Some(chosen) => chosen.elements().try_for_each(|child| self.blocks_of(child, out)),
                None => Ok(()),
            },
            "del" | "moveFrom" | "sdtPr" | "sdtEndPr" | "tcPr" => Ok(()),
            // Equations, wherever they stand; content controls, insertions, custom XML and what is to come.
            "oMathPara" | "oMath" => {
                out.push(&math::text(node), false);
                Ok(())
            }
            _ => node.elements().try_for_each(|child| self.blocks_of(child, out)),
        }
    }

    fn paragraph(&mut self, node: &Node, out: &mut Blocks) -> Result<()> {
        let properties = node.child("pPr");
        let style = properties.and_then(|properties| properties.value_of("pStyle")).unwrap_or_default();
        let mut line = Line::default();
        for child in node.elements() {
            self.inline(child, &mut line)?;
        }
        let text = line.text.trim();
        let level = properties.and_then(styles::outline_level).or_else(|| self.styles.heading(style));
        let level = level.and_then(|level| (level < 9).then_some(level + 1));
        let number = properties.and_then(|properties| properties.child("numPr"));
        let number = match number {
            Some(number) => Some(numbering::reference(number)),
            None => self.styles.numbering(style),
        };
        // An empty paragraph has no number in Word either, unless it is an item by itself.
        let item = match number {
            Some(number) if !text.is_empty() => self.numbering.next(number),
            None if !text.is_empty() && self.styles.is_list(style) => Some(numbering::Marker::bullet(0)),
            _ => None,
        };
        let marker = item.as_ref().map_or("", |item| item.text.as_str());
        self.room.take(marker.len() + text.len())?;
        match (level, item.as_ref()) {
            _ if text.is_empty() => {}
            (Some(level), _) => {
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let space = if marker.is_empty() || marker == "-" { "" } else { " " };
                let marker = marker.trim_start_matches('-');
                out.push(&format!("{} {marker}{space}{text}", "#".repeat(level.min(6))), false);
            }
            (None, Some(item)) => {
                out.push(&format!("{}{} {text}", "  ".repeat(item.level), item.text), true);
            }
            (None, None) => out.push(text, false),
        }
        out.push(&line.after.text, false);
        if let Some(section) = properties.and_then(|properties| properties.child("sectPr")) {
            self.section(section);
        }
        Ok(())
    }

    fn inline(&mut self, node: &Node, line: &mut Line) -> Result<()> {
        match &*node.name {
            "r" => self.run(node, line),
            "oMath" | "oMathPara" => {
                let spaced = line.text.is_empty() || line.text.ends_with(char::is_whitespace);
                line.text.push_str(if spaced { "" } else { " " });
                line.text.push_str(&math::text(node));
                Ok(())
            }
            "AlternateContent" => match alternative(node) {
                Some(chosen) => chosen.elements().try_for_each(|child| self.inline(child, line)),
                None => Ok(()),
            },
            "pPr" | "del" | "moveFrom" | "sdtPr" | "sdtEndPr" | "rPr" => Ok(()),
            // A paragraph within a content control of the line is none of its own.
            _ => node.elements().try_for_each(|child| self.inline(child, line)),
        }
    }

    fn run(&mut self, run: &Node, line: &mut Line) -> Result<()> {
        let properties = run.child("rPr");
        if properties.is_some_and(|properties| properties.child("vanish").is_some_and(styles::is_on)) {
            return Ok(());
        }
        let font = properties.and_then(|properties| properties.child("rFonts"));
        let font = font.and_then(|font| font.attribute("ascii").or_else(|| font.attribute("hAnsi")));
        for child in run.elements() {
            self.in_run(child, font.unwrap_or_default(), line)?;
        }
        Ok(())
    }

    fn in_run(&mut self, node: &Node, font: &str, line: &mut Line) -> Result<()> {
        match &*node.name {
            "t" => line.text.extend(node.text().chars().map(|c| symbols::readable(font, c))),
            "tab" | "ptab" => line.text.push('\t'),
            "br" | "cr" => line.text.push('\n'),
            "noBreakHyphen" => line.text.push('-'),
            "sym" => {
                let code = node.attribute("char").and_then(|code| u32::from_str_radix(code, 16).ok());
                let font = node.attribute("font").unwrap_or(font);
                line.text.extend(code.and_then(char::from_u32).map(|c| symbols::readable(font, c)));
            }
            "footnoteReference" => self.note("footnote", node, line),
            "endnoteReference" => self.note("endnote", node, line),
            "ruby" => {
                for (part, marks) in [("rubyBase", ["", ""]), ("rt", ["(", ")"])] {
                    let Some(part) = node.child(part) else { continue };
                    line.text.push_str(marks[0]);
                    part.elements().try_for_each(|child| self.inline(child, line))?;
                    line.text.push_str(marks[1]);
                }
            }
            "AlternateContent" => {
                if let Some(chosen) = alternative(node) {
                    chosen.elements().try_for_each(|child| self.in_run(child, font, line))?;
                }
            }
            "drawing" | "pict" | "object" => self.drawing(node, line)?,
            "r" => self.run(node, line)?,
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, kind: &'static str, reference: &Node, line: &mut Line) {
        let id = reference.attribute("id").unwrap_or_default().to_owned();
        if let Some(note) = self.notes.remove(&(kind, id)) {
            self.noted += 1;
            line.text.push_str(&format!("[^{}]", self.noted));
            self.waiting.push_back((self.noted, note));
        }
    }

    /// Text boxes, charts, diagrams, and what a picture shows where its author says so.
    fn drawing(&mut self, node: &Node, line: &mut Line) -> Result<()> {
        let mut boxes = Vec::new();
        text_boxes(node, &mut boxes);
        for text_box in &boxes {
            text_box.elements().try_for_each(|child| self.blocks_of(child, &mut line.after))?;
        }
        let mut parts = Vec::new();
        graphics(node, &mut parts);
        for id in parts {
            let part = self.relations.by_id(id).map(str::to_owned);
            if let Some(tree) = part.and_then(|part| self.package.tree(&part).ok().flatten()) {
                line.after.push(&words_of_graphic(&tree), false);
            }
        }
        if boxes.is_empty() {
            let described = node.find("docPr").and_then(|properties| properties.attribute("descr"));
            let picture = node.find("pic").is_some() || node.find("imagedata").is_some();
            let shape = node.find("shape").and_then(|shape| shape.attribute("alt"));
            if picture && let Some(words) = described.or(shape).filter(|words| !words.trim().is_empty()) {
                let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                line.text.push_str(&format!("![{words}]()"));
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Node, out: &mut Blocks) -> Result<()> {
        let mut lines = String::new();
        self.rows(table, &mut lines)?;
        out.push(&lines, false);
        Ok(())
    }

    fn rows(&mut self, node: &Node, lines: &mut String) -> Result<()> {
        for child in node.elements() {
            match &*child.name {
                "tr" if child.child("trPr").is_some_and(|row| row.child("del").is_some()) => {}
                "tr" => {
                    let mut cells = Vec::new();
                    self.cells(child, &mut cells)?;
                    if cells.iter().any(|cell| !cell.is_empty()) {
                        lines.push_str(&format!("| {} |\n", cells.join(" | ")));
                    }
                }
                "tblPr" | "tblGrid" | "del" | "moveFrom" => {}
                _ => self.rows(child, lines)?,
            }
        }
        Ok(())
    }

    fn cells(&mut self, node: &Node, cells: &mut Vec<String>) -> Result<()> {
        for child in node.elements() {
            match &*child.name {
                "tc" => {
                    let mut inside = Blocks::default();
                    child.elements().try_for_each(|block| self.blocks_of(block, &mut inside))?;
                    cells.push(inside.text.split_whitespace().collect::<Vec<_>>().join(" "));
                }
                "trPr" | "tblPrEx" | "del" => {}
                _ => self.cells(child, cells)?,
            }
        }
        Ok(())
    }

    fn section(&mut self, section: &Node) {
        for (tag, kind) in [("headerReference", "Header"), ("footerReference", "Footer")] {
            for reference in section.children(tag) {
                if let Some(id) = reference.attribute("id") {
                    let margin = (kind, id.to_owned());
                    if !self.margins.contains(&margin) {
                        self.margins.push(margin);
                    }
                }
            }
        }
    }

    /// A document within the document.
    fn chunk(&mut self, node: &Node, out: &mut Blocks) -> Result<()> {
        let part = node.attribute("id").and_then(|id| self.relations.by_id(id)).map(str::to_owned);
        let Some(part) = part.filter(|_| self.depth < MAX_CHUNKS) else { return Ok(()) };
        let Some(bytes) = self.package.part(&part)? else { return Ok(()) };
        let extension = part.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let text = match extension.as_str() {
            "docx" | "docm" => {
                let (options, depth, room) = (self.options, self.depth + 1, &mut *self.room);
                self.package.within(bytes, |inner| text_of(inner, options, depth, room))?
            }
            "htm" | "html" | "xhtml" | "mht" => html::load(&part, bytes, self.options)?.text,
            "rtf" => super::rtf::load(&part, &bytes)?.text,
            "txt" => super::text::load(&part, bytes, None)?.text,
            _ => return Ok(()),
        };
        out.push(&text, false);
        Ok(())
    }

    /// The whole text, headers and footers at the end.
    fn finish(mut self) -> Result<String> {
        let mut seen = HashSet::new();
        for (kind, id) in std::mem::take(&mut self.margins) {
            let Some(part) = self.relations.by_id(&id).map(str::to_owned) else { continue };
            let Some(tree) = self.package.tree(&part)? else { continue };
            let outer = std::mem::replace(&mut self.relations, self.package.relations(&part)?);
            let mut margin = Blocks::default();
            tree.elements().try_for_each(|block| self.blocks_of(block, &mut margin))?;
            self.relations = outer;
            let text = margin.text.split_whitespace().collect::<Vec<_>>().join(" ");
            // A page number alone says nothing.
            if text.chars().any(char::is_alphabetic) && seen.insert(text.clone()) {
                self.out.push(&format!("{kind}: {text}"), false);
            }
        }
        Ok(self.out.text)
    }
}

/// Of several forms of one thing the first that has words (ECMA-376, part 3).
fn alternative(node: &Node) -> Option<&Node> {
    let has_words = |choice: &&Node| {
        !choice.text().trim().is_empty()
            || ["relIds", "chart", "docPr"].iter().any(|name| choice.find(name).is_some())
    };
    let choice = node.children("Choice").find(has_words);
    choice.or_else(|| node.child("Fallback")).or_else(|| node.child("Choice"))
}

/// The text boxes below an element, each once.
fn text_boxes<'n>(node: &'n Node, boxes: &mut Vec<&'n Node>) {
    match &*node.name {
        "txbxContent" => boxes.push(node),
        "AlternateContent" => alternative(node).into_iter().for_each(|chosen| text_boxes(chosen, boxes)),
        _ => node.elements().for_each(|child| text_boxes(child, boxes)),
    }
}

/// The relationship ids of the charts and diagrams below an element, each once; those in text boxes go with these.
fn graphics<'n>(node: &'n Node, ids: &mut Vec<&'n str>) {
    match &*node.name {
        "txbxContent" => {}
        "AlternateContent" => alternative(node).into_iter().for_each(|chosen| graphics(chosen, ids)),
        "relIds" => ids.extend(node.attribute("dm")),
        "chart" => ids.extend(node.attribute("id")),
        _ => node.elements().for_each(|child| graphics(child, ids)),
    }
}

/// The text of an equation, wherever Office has one.
pub(super) fn equation(node: &Node) -> String {
    math::text(node)
}
