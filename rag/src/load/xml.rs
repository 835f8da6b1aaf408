//! What stands in an XML part, as trees of elements without their namespace prefixes?

use std::collections::HashSet;
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use quorate_core::{Code, Error, Result};

use super::failed;

/// The most elements and texts of one tree; about 200 bytes each.
const MAX_NODES: usize = 4_000_000;
/// The deepest nesting; readers of trees recurse.
const MAX_DEPTH: usize = 1000;

/// An element.
#[derive(Debug)]
pub(super) struct Node {
    /// Its name without a prefix.
    pub(super) name: Rc<str>,
    attributes: Vec<(Rc<str>, Box<str>)>,
    pub(super) content: Vec<Content>,
}

/// What an element holds.
#[derive(Debug)]
pub(super) enum Content {
    Node(Node),
    Text(String),
}

impl Node {
    /// The value of the first attribute with this name, whatever its prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| &**other == name).map(|(_, value)| &**value)
    }

    /// The values of all attributes with this name, for one that has it under several prefixes.
    pub(super) fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter(move |(other, _)| &**other == name).map(|(_, value)| &**value)
    }

    /// The `val` of a child, as in `<w:pStyle w:val="..."/>`.
    pub(super) fn value_of(&self, child: &str) -> Option<&str> {
        self.child(child)?.attribute("val")
    }

    /// The child elements.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Node> {
        self.content.iter().filter_map(|content| match content {
            Content::Node(node) => Some(node),
            Content::Text(_) => None,
        })
    }

    /// The child elements with this name.
    pub(super) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.elements().filter(move |node| &*node.name == name)
    }

    /// The first child element with this name.
    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.elements().find(|node| &*node.name == name)
    }

    /// The first element with this name below this one.
    pub(super) fn find(&self, name: &str) -> Option<&Node> {
        self.elements().find_map(|node| if &*node.name == name { Some(node) } else { node.find(name) })
    }

    /// Gives every element with this name below this one, in order, none within another.
    pub(super) fn each<'a>(&'a self, name: &str, visit: &mut impl FnMut(&'a Node)) {
        for node in self.elements() {
            if &*node.name == name {
                visit(node);
            } else {
                node.each(name, visit);
            }
        }
    }

    /// All text below it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.push_text(&mut text);
        text
    }

    fn push_text(&self, out: &mut String) {
        for content in &self.content {
            match content {
                Content::Text(text) => out.push_str(text),
                Content::Node(node) => node.push_text(out),
            }
        }
    }
}

/// The root element. Errors: `load_failed`, `too_large`.
pub(super) fn tree(source: &str) -> Result<Node> {
    let mut root = None;
    each_in(source, &[], |node| {
        root.get_or_insert(node);
        Ok(())
    })?;
    root.ok_or_else(|| failed("no element"))
}

/// Gives the elements that stand outside of any, or in one of the `containers` alone, one after the other, so that only
/// one of them is in memory. Errors: `load_failed`, `too_large`, and those of `visit`.
pub(super) fn each_in(
    source: &str,
    containers: &[&str],
    mut visit: impl FnMut(Node) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::from_str(source);
    let mut names = HashSet::new();
    let mut open: Vec<Node> = Vec::new();
    let (mut containing, mut nodes) = (0_usize, 0_usize);
    loop {
        let event = reader.read_event().map_err(|e| failed(format!("XML: {e}")))?;
        match event {
            Event::Start(tag) => {
                if open.is_empty() && containers.contains(&tag.local_name().as_ref()) {
                    containing += 1;
                } else {
                    open.push(element(&tag, &mut names)?);
                    nodes += 1;
                }
            }
            Event::Empty(tag) => {
                let node = element(&tag, &mut names)?;
                nodes += 1;
                match open.last_mut() {
                    Some(parent) => parent.content.push(Content::Node(node)),
                    None => {
                        nodes = 0;
                        visit(node)?;
                    }
                }
            }
            Event::End(_) => match (open.pop(), open.last_mut()) {
                (Some(node), Some(parent)) => parent.content.push(Content::Node(node)),
                (Some(node), None) => {
                    nodes = 0;
                    visit(node)?;
                }
                (None, _) => containing = containing.saturating_sub(1),
            },
            Event::Text(text) => push_text(&mut open, &text.xml10_content()),
            Event::CData(text) => push_text(&mut open, &text.xml10_content()),
            Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                Ok(Some(c)) => push_text(&mut open, c.encode_utf8(&mut [0; 4])),
                _ => {
                    let known = quick_xml::escape::resolve_predefined_entity(&entity.xml10_content());
                    push_text(&mut open, known.unwrap_or_default());
                }
            },
            Event::Eof => break,
            _ => {}
        }
        if nodes > MAX_NODES {
            let message = format!("XML: more than {MAX_NODES} elements in one block");
            return Err(Error::new(Code::TooLarge, message));
        }
        if open.len() + containing > MAX_DEPTH {
            return Err(failed(format!("XML: elements are nested deeper than {MAX_DEPTH}")));
        }
    }
    if !open.is_empty() || containing > 0 {
        return Err(failed("XML: it ends within an element"));
    }
    Ok(())
}

fn element(tag: &BytesStart<'_>, names: &mut HashSet<Rc<str>>) -> Result<Node> {
    let mut named = |name: &str| -> Rc<str> {
        if let Some(known) = names.get(name) {
            return Rc::clone(known);
        }
        let name: Rc<str> = name.into();
        names.insert(Rc::clone(&name));
        name
    };
    let name = named(tag.local_name().as_ref());
    let mut attributes = Vec::new();
    for attribute in tag.attributes().with_checks(false).flatten() {
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
        if let Ok(value) = value {
            attributes.push((named(attribute.key.local_name().as_ref()), value.into()));
        }
    }
    Ok(Node { name, attributes, content: Vec::new() })
}

fn push_text(open: &mut [Node], text: &str) {
    let Some(node) = open.last_mut() else { return };
    match node.content.last_mut() {
        Some(Content::Text(before)) => before.push_str(text),
        _ => node.content.push(Content::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_have_their_text_and_values() {
        let root = tree("<?xml version='1.0'?><a x:b='1 &amp; 2'>t&lt;&#65;<c/><d>e</d><![CDATA[<f>]]></a>")
            .unwrap();
        assert_eq!((root.attribute("b"), root.text().as_str()), (Some("1 & 2"), "t<Ae<f>"));
        assert_eq!(root.find("d").unwrap().text(), "e");
    }

    #[test]
    fn blocks_come_one_by_one_and_bad_ones_are_errors() {
        let mut seen = Vec::new();
        let source = "<doc><body><p>1</p><p/><t><body>2</body></t></body></doc>";
        each_in(source, &["doc", "body"], |node| {
            seen.push((node.name.to_string(), node.text()));
            Ok(())
        })
        .unwrap();
        let wanted = [("p", "1"), ("p", ""), ("t", "2")];
        assert_eq!(seen, wanted.map(|(name, text)| (name.to_owned(), text.to_owned())));
        for bad in ["<a>", "<a></b>", "", "<a", &"<a>".repeat(MAX_DEPTH + 1)] {
            assert_eq!(tree(bad).unwrap_err().code(), Code::LoadFailed, "{bad:.20}");
        }
    }
}
