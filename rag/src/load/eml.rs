//! What does an e-mail say?
//!
//! The message is one document: its text, or its HTML as Markdown where it has no text. Attachments that a loader reads
//! become documents of their own (id `PATH#attachment=N`), and messages within the message are attachments.

use mailparse::{DispositionType, MailAddr, MailHeaderMap, ParsedMail};
use quorate_core::Result;
use serde_json::Value as Json;

use crate::Document;

use super::room::Room;
use super::text::without_data_uris;
use super::{LoadOptions, encoding, failed, files, html, load_bytes, metadata, stem};

/// Messages within messages are read down to here.
const MAX_DEPTH: usize = 4;
/// More attachments are not read.
const MAX_ATTACHMENTS: usize = 1000;

pub(super) fn load(name: &str, bytes: &[u8], options: &LoadOptions) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    read(name, bytes, options, 0, &mut Room::new(options.max_bytes), &mut documents)?;
    if documents.is_empty() {
        return Err(failed("EML: the message has no text"));
    }
    Ok(documents)
}

fn read(
    name: &str,
    bytes: &[u8],
    options: &LoadOptions,
    depth: usize,
    room: &mut Room,
    documents: &mut Vec<Document>,
) -> Result<()> {
    let message = mailparse::parse_mail(bytes).map_err(|e| failed(format!("EML: {e}")))?;
    if message.headers.is_empty() {
        return Err(failed("EML: it has no header"));
    }
    let mut parts = Parts::default();
    parts.sort(&message);
    let (mut texts, mut broken) = (Vec::new(), None);
    for part in &parts.texts {
        let text = match body(part) {
            Ok(text) => text.replace("\r\n", "\n"),
            Err(error) => {
                broken.get_or_insert(error);
                continue;
            }
        };
        texts.push(match part.ctype.mimetype.as_str() {
            "text/html" => html::page(name, &text, options.main_text)?.text,
            _ => without_data_uris(&text).trim().to_owned(),
        });
    }
    texts.retain(|text| !text.is_empty());
    // One bad part does not take the others along.
    if let Some(error) = broken.filter(|_| texts.is_empty() && parts.attachments.is_empty()) {
        return Err(error);
    }
    let header = |name: &str| {
        let value = message.headers.get_first_value(name)?;
        Some(value.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|value| !value.is_empty())
    };
    let people = |name: &str| message.headers.get_first_header(name).map(addresses);
    let subject = header("Subject");
    let mut known = metadata([
        ("subject", subject.clone()),
        ("from", people("From")),
        ("to", people("To")),
        ("cc", people("Cc")),
        ("date", header("Date").and_then(|text| date(&text))),
        ("message_id", header("Message-ID")),
    ]);
    let names: Vec<Json> =
        parts.attachments.iter().filter_map(|part| Some(file_name(part)?.into())).collect();
    if !names.is_empty() {
        known.insert("attachments".into(), Json::Array(names));
    }
    let title = subject.clone().unwrap_or_else(|| stem(name));
    let text = if texts.is_empty() { subject } else { Some(texts.join("\n\n")) };
    if let Some(text) = text {
        let document = Document::new(name, text).title(title).metadata(known);
        room.document(&document).map_err(|e| e.context("EML"))?;
        documents.push(document);
    }
    for (number, part) in (1_usize..).zip(&parts.attachments).take(MAX_ATTACHMENTS) {
        let inner = format!("{name}#attachment={number}");
        // What is broken is named in the message's metadata, and no reason to lose the message.
        let Ok(bytes) = part.get_body_raw() else { continue };
        if part.ctype.mimetype == "message/rfc822" {
            if depth < MAX_DEPTH {
                let _ = read(&inner, &bytes, options, depth + 1, room, documents);
            }
        } else if let Some(file) = file_name(part) {
            attachment(&inner, &file, bytes, options, room, documents);
        }
    }
    Ok(())
}

/// The parts of a message that are its text, and the others.
#[derive(Default)]
struct Parts<'m, 'b> {
    texts: Vec<&'m ParsedMail<'b>>,
    attachments: Vec<&'m ParsedMail<'b>>,
}

impl<'m, 'b> Parts<'m, 'b> {
    fn sort(&mut self, part: &'m ParsedMail<'b>) {
        let kind = part.ctype.mimetype.as_str();
        let attached = part.get_content_disposition().disposition == DispositionType::Attachment;
        if kind == "multipart/alternative" {
            // One thing in several forms (RFC 2046, 5.1.4): plain text says it without loss of words, where it says anything.
            let mut forms: Vec<Parts<'m, 'b>> = Vec::new();
            for form in &part.subparts {
                let mut parts = Parts::default();
                parts.sort(form);
                forms.push(parts);
            }
            let plain = forms.iter().position(|form| {
                form.texts.iter().any(|text| text.ctype.mimetype == "text/plain" && says(text))
            });
            let chosen = plain.or_else(|| forms.iter().rposition(|form| !form.texts.is_empty()));
            for (i, form) in forms.into_iter().enumerate() {
                if Some(i) == chosen {
                    self.texts.extend(form.texts);
                }
                self.attachments.extend(form.attachments);
            }
        } else if !part.subparts.is_empty() {
            part.subparts.iter().for_each(|inner| self.sort(inner));
        } else if matches!(kind, "text/plain" | "text/html") && !attached {
            self.texts.push(part);
        } else {
            self.attachments.push(part);
        }
    }
}

/// Whether anything but white space stands in a part.
fn says(part: &ParsedMail<'_>) -> bool {
    part.get_body_raw().is_ok_and(|bytes| bytes.iter().any(|byte| !byte.is_ascii_whitespace()))
}

/// The text of a part, in the encoding that it declares; where that is none or ASCII, in the one that its bytes look like.
/// Errors: `load_failed`.
fn body(part: &ParsedMail<'_>) -> Result<String> {
    let told = |e: mailparse::MailParseError| failed(format!("EML: {e}"));
    let declared = part.ctype.params.get("charset").is_some_and(|label| {
        let label = label.to_ascii_lowercase();
        !matches!(label.as_str(), "us-ascii" | "ascii")
            && (label == "utf-7" || encoding::named(&label).is_ok())
    });
    if declared {
        return part.get_body().map_err(told);
    }
    let bytes = part.get_body_raw().map_err(told)?;
    let decoded = match part.ctype.mimetype.as_str() {
        "text/html" => encoding::decode_html(bytes, None)?,
        _ => encoding::decode(bytes, None)?,
    };
    Ok(decoded.text)
}

fn file_name(part: &ParsedMail<'_>) -> Option<String> {
    let mut disposition = part.get_content_disposition().params;
    disposition.remove("filename").or_else(|| part.ctype.params.get("name").cloned())
}

/// Adds the documents of an attachment: none of one that no loader reads, and of one that is broken, or for which there is
/// no room, those before the fault.
fn attachment(
    id: &str,
    file: &str,
    bytes: Vec<u8>,
    options: &LoadOptions,
    room: &mut Room,
    documents: &mut Vec<Document>,
) {
    let Some(kind) = files::kind(std::path::Path::new(file)).filter(|kind| *kind != files::Kind::Eml) else {
        return;
    };
    let within = LoadOptions { max_bytes: room.left(), ..options.clone() };
    let mut each = |document: Result<Document>| {
        let Ok(mut document) = document else { return Ok(()) };
        // A part of the attachment keeps its own mark: `#attachment=1#page=2`; so does a row that has an id of its own.
        document.id = match document.id.strip_prefix(file) {
            Some(part) if part.is_empty() || part.starts_with('#') => format!("{id}{part}"),
            _ => format!("{id}#id={}", document.id),
        };
        document.metadata.entry("attachment").or_insert_with(|| file.into());
        document.metadata.entry("file_type").or_insert_with(|| kind.name().into());
        room.document(&document)?;
        documents.push(document);
        Ok(())
    };
    let _ = load_bytes(kind, file, bytes, &within, &mut each);
}

/// `Ann <ann@example.org>, ...`
fn addresses(header: &mailparse::MailHeader<'_>) -> String {
    let Ok(list) = mailparse::addrparse_header(header) else { return header.get_value() };
    let mut all = Vec::new();
    for one in list.iter() {
        match one {
            MailAddr::Single(one) => all.push(one),
            MailAddr::Group(group) => all.extend(&group.addrs),
        }
    }
    let shown = all.iter().map(|one| match &one.display_name {
        Some(name) => format!("{name} <{}>", one.addr),
        None => one.addr.clone(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// A date as RFC 3339, with the sender's zone where it is understood.
fn date(text: &str) -> Option<String> {
    match chrono::DateTime::parse_from_rfc2822(text) {
        Ok(date) => Some(date.to_rfc3339()),
        Err(_) => {
            let seconds = mailparse::dateparse(text).ok()?;
            Some(
                chrono::DateTime::from_timestamp(seconds, 0)?
                    .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            )
        }
    }
}
