//! Does a subject match a pattern?
//!
//! As NATS has it: a subject is words with dots between them; in a pattern, `*` is any one word, and `>` or `**` at the end
//! one or more.

use quorate_core::{Error, Result, shorten};

use crate::check;

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn check_subject(subject: &str) -> Result<()> {
    check::name("the subject", subject)?;
    match subject
        .split('.')
        .find(|word| word.is_empty() || word.contains(is_odd) || word.contains(['*', '>']))
    {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!(
            "'{}' is no subject; give words with dots between them, without spaces, '*' and '>', like order.created",
            shorten(subject).escape_debug()
        ))),
    }
}

fn is_odd(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn check_pattern(pattern: &str) -> Result<()> {
    check::name("the pattern", pattern)?;
    let words: Vec<&str> = pattern.split('.').collect();
    let good = words.iter().enumerate().all(|(at, word)| match *word {
        "*" => true,
        ">" | "**" => at + 1 == words.len(),
        word => !word.is_empty() && !word.contains(is_odd) && !word.contains(['*', '>']),
    });
    if good {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "'{}' is no pattern; give words with dots between them, where '*' is any one word, and '>' or '**' at the end any \
         that follow, like order.* or order.>",
        shorten(pattern).escape_debug()
    )))
}

/// Whether a subject matches a pattern; both were checked.
pub(crate) fn matches(pattern: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for part in pattern.split('.') {
        match (part, words.next()) {
            (">" | "**", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(word)) if part == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_as_nats_has_it() {
        for (pattern, subject, expected) in [
            ("order.created", "order.created", true),
            ("order.created", "order.created.eu", false),
            ("order.*", "order.created", true),
            ("order.*", "order", false),
            ("order.*", "order.created.eu", false),
            ("*.created", "order.created", true),
            ("order.>", "order.created.eu", true),
            ("order.>", "order.created", true),
            ("order.>", "order", false),
            ("order.**", "order.created.eu", true),
            ("order.*.eu", "order.created.eu", true),
            ("order.*.eu", "order.created.us", false),
            (">", "a", true),
            ("*.>", "a", false),
            ("*.>", "a.b.c", true),
            ("Order.*", "order.created", false),
            ("größe.*", "größe.x", true),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "a\n", "a*"] {
            assert!(check_subject(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a.", ">.a", "**.a", "a*", "a.b>", "a b", "a..*"] {
            assert!(check_pattern(bad).is_err(), "{bad:?}");
        }
        for good in ["*", ">", "**", "a.*.b", "a.*.>", "a"] {
            check_pattern(good).unwrap();
        }
        assert!(check_subject(&"a".repeat(600)).is_err());
    }
}
