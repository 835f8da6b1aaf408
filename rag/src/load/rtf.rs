//! What does a Rich Text file say?
//!
//! Read by the Rich Text Format Specification 1.9.1, words alone. The crates that read RTF were tried and left: rtf-parser
//! 0.4.3 takes every byte for Latin-1 whatever code page the file names, and reserves memory by numbers in the file.

use encoding_rs::Encoding;
use quorate_core::Result;

use crate::Document;

use super::text::without_data_uris;
use super::{failed, metadata, stem};

/// Groups deeper than this are no text that a program wrote.
const MAX_DEPTH: usize = 10_000;

pub(super) fn load(name: &str, bytes: &[u8]) -> Result<Document> {
    if !bytes.trim_ascii_start().starts_with(b"{\\rtf") {
        return Err(failed("RTF: it does not begin with {\\rtf"));
    }
    let mut reader = Reader::new(bytes);
    reader.read()?;
    let Reader { text, title, author, .. } = reader;
    let title = Some(title.trim().to_owned()).filter(|title| !title.is_empty()).unwrap_or_else(|| stem(name));
    let text = tidy(&text);
    let document = Document::new(name, without_data_uris(&text)).title(title);
    Ok(document.metadata(metadata([("author", Some(author.trim().to_owned()))])))
}

/// Lines without white space at their ends, and at most one empty line between two.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines() {
        let line = line.trim_end();
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.trim().to_owned()
}

/// Where words go.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    Text,
    Title,
    Author,
    FontTable,
    Nowhere,
}

#[derive(Clone, Copy)]
struct Group {
    target: Target,
    /// How many characters stand for one that `\u` gives.
    fallback: usize,
    encoding: &'static Encoding,
    hidden: bool,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    group: Group,
    open: Vec<Group>,
    /// The encoding of the whole file, and of fonts by their numbers.
    page: &'static Encoding,
    fonts: std::collections::HashMap<i64, &'static Encoding>,
    font: i64,
    /// Characters yet to be left out after a `\u`.
    skip: usize,
    /// Bytes of the code page that are not yet characters.
    pending: Vec<u8>,
    high: Option<u16>,
    text: String,
    title: String,
    author: String,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let page = encoding_rs::WINDOWS_1252;
        let group = Group { target: Target::Text, fallback: 1, encoding: page, hidden: false };
        Reader {
            bytes,
            at: 0,
            group,
            open: Vec::new(),
            page,
            fonts: Default::default(),
            font: 0,
            skip: 0,
            pending: Vec::new(),
            high: None,
            text: String::new(),
            title: String::new(),
            author: String::new(),
        }
    }

    fn read(&mut self) -> Result<()> {
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'{' => {
                    self.flush();
                    self.skip = 0;
                    self.open.push(self.group);
                    if self.open.len() > MAX_DEPTH {
                        return Err(failed(format!("RTF: groups are nested deeper than {MAX_DEPTH}")));
                    }
                }
                b'}' => {
                    self.flush();
                    self.skip = 0;
                    let Some(group) = self.open.pop() else { break };
                    self.group = group;
                    if self.open.is_empty() {
                        break;
                    }
                }
                b'\\' => self.control(),
                b'\r' | b'\n' | 0 => {}
                byte => self.byte(byte),
            }
        }
        self.flush();
        Ok(())
    }

    fn control(&mut self) {
        let Some(&byte) = self.bytes.get(self.at) else { return };
        if !byte.is_ascii_alphabetic() {
            self.at += 1;
            return self.symbol(byte);
        }
        let rest = &self.bytes[self.at..];
        let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let sign = usize::from(rest.get(letters) == Some(&b'-'));
        let digits = rest[letters + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let sign = if digits == 0 { 0 } else { sign };
        let number = std::str::from_utf8(&rest[letters..letters + sign + digits]).ok();
        let number = number.and_then(|number| number.parse::<i64>().ok());
        let space = usize::from(rest.get(letters + sign + digits) == Some(&b' '));
        let word = &rest[..letters];
        self.at += letters + sign + digits + space;
        self.word(word, number);
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'\'' => {
                let code =
                    self.bytes.get(self.at..self.at + 2).and_then(|code| std::str::from_utf8(code).ok());
                if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
                    self.at += 2;
                    self.byte(byte);
                }
            }
            b'*' => self.group.target = self.optional(),
            b'~' => self.put("\u{A0}"),
            b'_' => self.put("-"),
            // A soft hyphen says where a line may end.
            b'-' => {}
            b'\r' | b'\n' => self.put("\n"),
            b'{' | b'}' | b'\\' => self.byte(symbol),
            _ => {}
        }
    }

    /// What `\*` marks may be left out by a reader that does not know it; some of it is text.
    fn optional(&self) -> Target {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match () {
            () if rest.starts_with(b"\\shpinst") => self.group.target,
            () if rest.starts_with(b"\\ud") => self.around(),
            () => Target::Nowhere,
        }
    }

    /// Where words go around the group that holds this one.
    fn around(&self) -> Target {
        let around = self.open.len().checked_sub(2).and_then(|at| self.open.get(at));
        around.map_or(Target::Nowhere, |group| group.target)
    }

    fn word(&mut self, word: &[u8], number: Option<i64>) {
        match word {
            b"par" | b"line" | b"sect" | b"page" | b"row" | b"softline" => self.put("\n"),
            b"tab" => self.put("\t"),
            b"cell" | b"nestcell" => self.put(" | "),
            b"emdash" => self.put("—"),
            b"endash" => self.put("–"),
            b"lquote" => self.put("‘"),
            b"rquote" => self.put("’"),
            b"ldblquote" => self.put("“"),
            b"rdblquote" => self.put("”"),
            b"bullet" => self.put("•"),
            b"emspace" | b"enspace" | b"qmspace" => self.put(" "),
            b"u" => self.unicode(number.unwrap_or(0)),
            b"uc" => self.group.fallback = number.unwrap_or(1).clamp(0, 16) as usize,
            b"bin" => {
                self.flush();
                self.at = self.at.saturating_add(usize::try_from(number.unwrap_or(0)).unwrap_or(0));
            }
            b"ansicpg" => self.set_page(number.and_then(code_page)),
            b"mac" => self.set_page(Some(encoding_rs::MACINTOSH)),
            b"fcharset" if self.group.target == Target::FontTable => {
                if let Some(encoding) = number.and_then(charset) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            b"f" => {
                self.flush();
                self.font = number.unwrap_or(0);
                if self.group.target != Target::FontTable {
                    self.group.encoding = self.fonts.get(&self.font).copied().unwrap_or(self.page);
                }
            }
            b"plain" => {
                self.flush();
                self.group.encoding = self.page;
                self.group.hidden = false;
            }
            b"v" => {
                self.flush();
                self.group.hidden = number != Some(0);
            }
            b"deleted" => {
                self.flush();
                self.group.hidden = number != Some(0);
            }
            b"fonttbl" => self.group.target = Target::FontTable,
            // The same words twice: in a code page, and as Unicode in a group within, `\*\ud`.
            b"upr" => self.group.target = Target::Nowhere,
            // What is seen of an object.
            b"result" if self.group.target == Target::Nowhere => self.group.target = self.around(),
            b"title" if self.group.target == Target::Nowhere => self.group.target = Target::Title,
            b"author" if self.group.target == Target::Nowhere => self.group.target = Target::Author,
            // Destinations that are no text of the body (page 9 of the specification and its tables).
            b"info" | b"colortbl" | b"stylesheet" | b"pict" | b"object" | b"themedata" | b"datastore"
            | b"listtable" | b"listoverridetable" | b"rsidtbl" | b"generator" | b"fldinst" | b"xmlnstbl"
            | b"latentstyles" | b"filetbl" | b"revtbl" | b"nonshppict" | b"annotation" | b"atnid"
            | b"atnauthor" | b"bkmkstart" | b"bkmkend" | b"sp" | b"shprslt" | b"tc" | b"xe" => {
                self.group.target = Target::Nowhere;
            }
            b"header" | b"headerl" | b"headerr" | b"headerf" | b"footer" | b"footerl" | b"footerr"
            | b"footerf" | b"footnote" => self.put("\n"),
            _ => {}
        }
    }

    fn set_page(&mut self, page: Option<&'static Encoding>) {
        if let Some(page) = page {
            (self.page, self.group.encoding) = (page, page);
        }
    }

    /// A UTF-16 unit, written as a signed number.
    fn unicode(&mut self, number: i64) {
        self.flush_bytes();
        let unit = (number & 0xFFFF) as u16;
        let units = self.high.take().into_iter().chain([unit]);
        if (0xD800..0xDC00).contains(&unit) {
            self.high = Some(unit);
        } else {
            let text: String =
                char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            self.write(&text);
        }
        self.skip = self.group.fallback;
    }

    fn byte(&mut self, byte: u8) {
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.pending.push(byte);
        }
    }

    fn put(&mut self, text: &str) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.flush();
        self.write(text);
    }

    fn flush(&mut self) {
        self.flush_bytes();
        if self.high.take().is_some() {
            self.write("\u{FFFD}");
        }
    }

    fn flush_bytes(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.pending);
        let (text, _) = self.group.encoding.decode_without_bom_handling(&bytes);
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        match self.group.target {
            _ if self.group.hidden => {}
            Target::Text => self.text.push_str(text),
            Target::Title => self.title.push_str(text),
            Target::Author => self.author.push_str(text),
            Target::FontTable | Target::Nowhere => {}
        }
    }
}

/// A Windows code page by its number.
fn code_page(number: i64) -> Option<&'static Encoding> {
    Some(match number {
        65001 => encoding_rs::UTF_8,
        10000 => encoding_rs::MACINTOSH,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        866 => encoding_rs::IBM866,
        874 | 1250..=1258 => Encoding::for_label(format!("windows-{number}").as_bytes())?,
        _ => return None,
    })
}

/// The code page that a font's `\fcharset` means.
fn charset(number: i64) -> Option<&'static Encoding> {
    code_page(match number {
        77 => 10000,
        128 => 932,
        129 | 130 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        load("a.rtf", source.as_bytes()).unwrap().text
    }

    // Expected texts follow the Rich Text Format Specification 1.9.1.
    #[test]
    fn words_in_their_code_pages() {
        assert_eq!(text(r"{\rtf1\ansi Gr\'f6\'dfe \u8805?\u-3913? 10\'a0mg}"), "Größe ≥\u{F0B7} 10\u{A0}mg");
        assert_eq!(text(r"{\rtf1\ansi\ansicpg1251 \'cc\'e5\'f2}"), "Мет");
        let fonts =
            r"{\rtf1\ansi{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset128 MS;}}\f0 a\'e9 {\f1\'8ex} \'e9}";
        assert_eq!(text(fonts), "aé 試 é".replace('試', &encoding_rs::SHIFT_JIS.decode(b"\x8ex").0));
        assert_eq!(text(r"{\rtf1\uc2 \u55358\'3f\'3f\u56954\'3f\'3f!}"), "🩺!");
        assert_eq!(text(r"{\rtf1\uc0 \u945 {\uc3\u946 abc}\u947 d}"), "αβγd");
    }

    #[test]
    fn only_what_is_read_is_text() {
        let source = r"{\rtf1{\info{\title My \'e9tude}{\author Ann}}{\stylesheet{\s1 Heading;}}{\*\generator X;}
{\pict\bin4 }}{}}{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}\par one\~two{\v hidden}\par\par\par\par three\line four}";
        let document = load("a.rtf", source.as_bytes()).unwrap();
        assert_eq!(document.text, "link\none\u{A0}two\n\nthree\nfour");
        assert_eq!((document.title.as_str(), &document.metadata["author"]), ("My étude", &"Ann".into()));
        assert_eq!(text(r"{\rtf1 a {\upr{plain}{\*\ud{\u8805?}}} b{\*\x {\upr{c}{\*\ud{d}}}}}"), "a ≥ b");
        assert_eq!(text(r"{\rtf1 a{\object{\*\objdata 0105}{\result { seen}{\pict 00}}}}"), "a seen");
        let table = text(r"{\rtf1\trowd a\cell b\cell\row c\cell d\cell\row}");
        assert_eq!(table, "a | b |\nc | d |");
        assert!(load("a.rtf", b"plain").is_err());
        assert!(load("a.rtf", &[b"{\\rtf1".as_slice(), &b"{".repeat(20_000)].concat()).is_err());
        for bad in
            [r"{\rtf1 \u", r"{\rtf1 \'g", r"{\rtf1 \bin99999999999999999999 x}", r"{\rtf1 \uc-5\u5 x}}}}"]
        {
            load("a.rtf", bad.as_bytes()).unwrap();
        }
    }
}
