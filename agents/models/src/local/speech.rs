//! How do tokens become text, piece by piece, that ends before a text to stop at?
//!
//! A token may hold half a letter, and a text to stop at may begin in one token and end in another: what may yet become
//! either is held back.

/// Text in the making.
pub(super) struct Speech {
    stops: Vec<String>,
    /// Bytes that are no whole letter yet.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop.
    held: String,
    /// The next letter is the first of the answer, and goes when it is a space.
    strip: bool,
    stopped: bool,
}

impl Speech {
    /// `strip`: a space at the very beginning is left out.
    pub(super) fn new(stops: Vec<String>, strip: bool) -> Self {
        Speech { stops, bytes: Vec::new(), held: String::new(), strip, stopped: false }
    }

    /// Takes the bytes of a token and gives what is text now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        if self.stopped {
            return String::new();
        }
        self.bytes.extend_from_slice(bytes);
        let whole = whole(&self.bytes);
        let taken: Vec<u8> = self.bytes.drain(..whole).collect();
        let text = String::from_utf8_lossy(&taken);
        let text = if self.strip { text.strip_prefix(' ').unwrap_or(&text) } else { &text };
        self.strip &= taken.is_empty();
        self.held.push_str(text);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = first {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }

    /// What is left when no more comes. Bytes that never became a letter are shown as such.
    pub(super) fn finish(&mut self) -> String {
        let mut out = std::mem::take(&mut self.held);
        if !self.stopped {
            out.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.bytes)));
        }
        out
    }

    /// Whether a text to stop at has come.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }
}

/// How many bytes are whole letters, or no letters at all.
fn whole(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(rest) => return at + rest.len(),
            Err(e) => {
                at += e.valid_up_to();
                match e.error_len() {
                    Some(n) => at += n,
                    None => return at,
                }
            }
        }
    }
}

/// The longest end of `text` that is a beginning of `stop`, in bytes.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len().min(text.len() + 1))
        .rev()
        .find(|&n| stop.is_char_boundary(n) && text.ends_with(&stop[..n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives the text and whether it stopped.
    fn say(stops: &[&str], pieces: &[&[u8]]) -> (String, bool) {
        let mut speech = Speech::new(stops.iter().map(|s| (*s).to_owned()).collect(), false);
        let mut out = String::new();
        for piece in pieces {
            out.push_str(&speech.push(piece));
        }
        out.push_str(&speech.finish());
        (out, speech.stopped())
    }

    #[test]
    fn stops_that_span_tokens_end_the_text_before_them() {
        assert_eq!(say(&["END"], &[b"a E", b"N", b"D b"]), ("a ".into(), true));
        assert_eq!(say(&["END"], &[b"a E", b"N", b"O"]), ("a ENO".into(), false));
        assert_eq!(say(&["aab"], &[b"aa", b"a", b"b"]), ("a".into(), true));
        assert_eq!(say(&["\n\n", "xyz"], &[b"1\n", b"2xy", b"z"]), ("1\n2".into(), true));
        assert_eq!(say(&["é!"], &["é".as_bytes(), "é".as_bytes(), b"!"]), ("é".into(), true));
    }

    #[test]
    fn letters_that_span_tokens_come_whole() {
        let bytes = "a😀b".as_bytes();
        let mut speech = Speech::new(Vec::new(), false);
        let pieces: Vec<String> = bytes.iter().map(|b| speech.push(&[*b])).collect();
        assert_eq!(pieces, ["a", "", "", "", "😀", "b"]);
        assert_eq!(say(&[], &[&bytes[..3]]).0, "a\u{fffd}");
        assert_eq!(say(&[], &[&[0xff, b'a']]).0, "\u{fffd}a");
    }

    #[test]
    fn a_first_space_is_left_out_once() {
        let mut speech = Speech::new(Vec::new(), true);
        assert_eq!([speech.push(b""), speech.push(b"  a"), speech.push(b" b")], ["", " a", " b"]);
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(text in "[ab\n]{0,40}", cuts in proptest::collection::vec(1usize..4, 40), stop in "[ab\n]{1,4}") {
            let mut pieces = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let end = text.find(&stop);
            // Cuts may end before the text does; what remains is one piece.
            pieces.push(rest);
            let (said, stopped) = say(&[&stop], &pieces);
            prop_assert_eq!(&said, &text[..end.unwrap_or(text.len())]);
            prop_assert_eq!(stopped, end.is_some());
        }
    }
}
