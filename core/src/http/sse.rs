//! How do bytes become server-sent events, however they were split?
//!
//! Server-sent events as the HTML standard defines them (WHATWG 2024, section 9.2.6): a byte-order mark at the start is
//! dropped, lines end with CR, LF or CRLF, an event ends with an empty line, and one that the stream's end cut off is no
//! event. Whole lines are read where they lie; only a line that two pieces share is copied.

use std::borrow::Cow;

use memchr::memchr2;

use crate::{Code, Error, Result};

/// The longest event that is read, in bytes.
const MAX_EVENT: usize = 32 << 20;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// One event: its type (`message` when none was given) and its data. Bytes that are not UTF-8 show as U+FFFD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The event's type.
    pub event: &'a str,
    /// Its data; several lines are joined by line feeds.
    pub data: Cow<'a, str>,
}

/// Takes bytes as they come and gives the events in them.
///
/// ```
/// let mut parser = quorate_core::http::SseParser::new();
/// let mut seen = Vec::new();
/// parser.feed(b"\xef\xbb\xbfevent: a\r\nda", |e| seen.push((e.event.to_owned(), e.data.into_owned())))?;
/// parser.feed(b"ta: {}\r\n\r\n", |e| seen.push((e.event.to_owned(), e.data.into_owned())))?;
/// assert_eq!(seen, [("a".to_owned(), "{}".to_owned())]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SseParser {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// How much of the byte-order mark has been seen at the start; more than its length once the start is past.
    start: usize,
    /// The last line ended with CR, so a LF that follows belongs to it.
    after_cr: bool,
    event: String,
    data: Vec<u8>,
    has_data: bool,
}

impl SseParser {
    /// A parser at the start of a stream.
    pub fn new() -> Self {
        SseParser::default()
    }

    /// Gives each event that `bytes` complete to `sink`. Errors: `remote_invalid` for an event of over 32 MiB.
    pub fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(SseEvent<'_>)) -> Result<()> {
        let mut rest = self.skip_mark(bytes);
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            if self.line.is_empty() {
                self.take(&rest[..end], &mut sink);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..end]);
                self.take(&line, &mut sink);
                line.clear();
                self.line = line;
            }
            let step = match (rest[end], rest.get(end + 1)) {
                (b'\r', Some(b'\n')) => 2,
                (b'\r', None) => {
                    self.after_cr = true;
                    1
                }
                _ => 1,
            };
            rest = &rest[end + step..];
            self.check(0)?;
        }
        self.check(rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// At the end of a stream: gives the event whose lines have all come and only the empty line after them is missing.
    /// The standard drops it; whether a stream that ends so is whole is the caller's to say. A last line without its end
    /// may be half of one, but for `data: [DONE]`: nothing goes on after the word that closes many streams.
    pub fn finish(&mut self, mut sink: impl FnMut(SseEvent<'_>)) {
        if matches!(self.line.as_slice(), b"data: [DONE]" | b"data:[DONE]") {
            let line = std::mem::take(&mut self.line);
            self.take(&line, &mut sink);
        }
        if self.line.is_empty() {
            self.dispatch(&mut sink);
        }
    }

    fn check(&self, more: usize) -> Result<()> {
        if self.line.len() + self.data.len() + more > MAX_EVENT {
            return Err(Error::new(
                Code::RemoteInvalid,
                format!("a stream's event has over {MAX_EVENT} bytes"),
            ));
        }
        Ok(())
    }

    /// `bytes` without what belongs to a byte-order mark at the start of the stream.
    fn skip_mark<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while self.start < MARK.len() {
            let Some(&first) = bytes.first() else { return bytes };
            if first != MARK[self.start] {
                // No mark after all: what looked like one is the start of the first line.
                self.line.extend_from_slice(&MARK[..self.start]);
                self.start = MARK.len();
                return bytes;
            }
            self.start += 1;
            bytes = &bytes[1..];
        }
        bytes
    }

    /// Reads one line without its end.
    fn take(&mut self, line: &[u8], sink: &mut impl FnMut(SseEvent<'_>)) {
        if line.is_empty() {
            return self.dispatch(sink);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        } else if let Some(value) = line.strip_prefix(b"event:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            self.event.clear();
            self.event.push_str(&String::from_utf8_lossy(value));
        } else if line == b"data" {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
        } else if line == b"event" {
            self.event.clear();
        }
        // Comments, `id` and `retry` (they serve reconnection, which is another layer's) and unknown fields say nothing.
    }

    fn dispatch(&mut self, sink: &mut impl FnMut(SseEvent<'_>)) {
        if self.has_data {
            let event = if self.event.is_empty() { "message" } else { &self.event };
            sink(SseEvent { event, data: String::from_utf8_lossy(&self.data) });
        }
        self.event.clear();
        self.data.clear();
        self.has_data = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = SseParser::new();
        let mut seen = Vec::new();
        for piece in pieces {
            parser.feed(piece, |e| seen.push((e.event.to_owned(), e.data.into_owned()))).unwrap();
        }
        seen
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    /// The examples of the HTML standard, section 9.2.6.
    #[test]
    fn examples_of_the_standard() {
        let stocks = b"data: YHOO\ndata: +2\ndata: 10\n\n";
        assert_eq!(events(&[stocks]), pairs(&[("message", "YHOO\n+2\n10")]));
        let four =
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n";
        assert_eq!(events(&[four]), pairs(&[("message", "first event"), ("message", "second event")]));
        assert_eq!(events(&[b"data\n\ndata\ndata\n\ndata:"]), pairs(&[("message", ""), ("message", "\n")]));
        assert_eq!(
            events(&[b"data:test\n\ndata: test\n\n"]),
            pairs(&[("message", "test"), ("message", "test")])
        );
    }

    #[test]
    fn marks_and_line_ends() {
        assert_eq!(events(&[b"\xef\xbb\xbfdata: a\n\n"]), pairs(&[("message", "a")]));
        assert_eq!(
            events(&[b"\xef", b"\xbb", b"\xbf", b"data: a\r", b"\n\r", b"\n"]),
            pairs(&[("message", "a")])
        );
        assert_eq!(
            events(&[b"data: a\r\rdata: b\r\n\ndata: c\n\r\n"]),
            pairs(&[("message", "a"), ("message", "b"), ("message", "c")])
        );
        // A mark that breaks off is part of the first line, and one elsewhere is text.
        assert_eq!(events(&[b"\xef\xbbdata: a\ndata: b\n\n"]), pairs(&[("message", "b")]));
        assert_eq!(events(&["data: \u{feff}a\n\n".as_bytes()]), pairs(&[("message", "\u{feff}a")]));
        assert_eq!(events(&[b"event: x\n\ndata: \xff\n\n"]), pairs(&[("message", "\u{fffd}")]));
    }

    #[test]
    fn an_event_that_lacks_only_its_empty_line() {
        let last = |bytes: &[u8]| {
            let mut parser = SseParser::new();
            parser.feed(bytes, |_| {}).unwrap();
            let mut seen = Vec::new();
            parser.finish(|e| seen.push(e.data.into_owned()));
            seen
        };
        assert_eq!(last(b"data: a\n"), ["a"]);
        assert_eq!(last(b"data: [DONE]"), ["[DONE]"]);
        assert!(last(b"data: [DONE").is_empty() && last(b"data: [DONE] ").is_empty());
        assert!(last(b"data: a").is_empty() && last(b"data: a\n\n").is_empty() && last(b"").is_empty());
    }

    #[test]
    fn an_endless_event_is_an_error() {
        let mut parser = SseParser::new();
        let piece = vec![b'a'; 1 << 20];
        let mut failed = None;
        for _ in 0..40 {
            if let Err(e) = parser.feed(&piece, |_| {}) {
                failed = Some(e.code());
                break;
            }
        }
        assert_eq!(failed, Some(Code::RemoteInvalid));
    }

    proptest! {
        /// However the bytes are split, the events are the same.
        #[test]
        fn splits_do_not_matter(
            lines in proptest::collection::vec("(data|event|id|)(:| : |: )?[a-zé\u{feff}:]{0,5}", 0..20),
            ends in proptest::collection::vec(0..3usize, 20),
            cuts in proptest::collection::vec(0..400usize, 0..12),
        ) {
            let mut bytes = Vec::new();
            for (line, end) in lines.iter().zip(&ends) {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice([&b"\n"[..], b"\r", b"\r\n"][*end]);
                if line.len() % 3 == 0 {
                    bytes.extend_from_slice([&b"\n"[..], b"\r", b"\r\n"][*end]);
                }
            }
            let whole = events(&[&bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            prop_assert_eq!(&events(&pieces), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&events(&single), &whole);
        }
    }

    /// The bar is 300 MB/s on one core; the test leaves room for a machine under load.
    #[test]
    fn parses_fast() {
        let event =
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "word ".repeat(40));
        let bytes = event.repeat((16 << 20) / event.len());
        let mut best = 0.0f64;
        for _ in 0..5 {
            let mut parser = SseParser::new();
            let mut count = 0;
            let start = std::time::Instant::now();
            for piece in bytes.as_bytes().chunks(16 << 10) {
                parser.feed(piece, |_| count += 1).unwrap();
            }
            best = best.max(bytes.len() as f64 / start.elapsed().as_secs_f64() / 1e6);
            assert_eq!(count, bytes.len() / event.len());
        }
        assert!(best > 150.0, "{best:.0} MB/s");
        eprintln!("server-sent events: {best:.0} MB/s");
    }
}
