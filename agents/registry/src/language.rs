//! Is an agent's language the one that was asked for?
//!
//! Tags are BCP 47 (RFC 5646); they are compared by RFC 4647.

/// Whether `tag` has the form of a language tag: `en`, `pt-BR`, `zh-Hant-TW`.
pub(crate) fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or("");
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether who answers in `tag` serves who asks for `range`; both in lower case. Extended filtering (RFC 4647, 3.3.2):
/// `zh-tw` is served by `zh-hant-tw`. Or lookup (3.4): `zh-hant-tw` is served by `zh-hant` and by `zh`, but neither by
/// `zh-hans` nor by `zh-hant-hk`. The range `*` is served by all.
pub(crate) fn serves(tag: &str, range: &str) -> bool {
    if range == "*" || filtered(tag, range) {
        return true;
    }
    let mut rest = range;
    while let Some((shorter, _)) = rest.rsplit_once('-') {
        // A subtag of one letter introduces what follows it and means nothing alone.
        rest = match shorter.rsplit_once('-') {
            Some((before, single)) if single.len() == 1 => before,
            _ => shorter,
        };
        if rest == tag {
            return true;
        }
    }
    false
}

fn filtered(tag: &str, range: &str) -> bool {
    let (mut have, mut want) = (tag.split('-'), range.split('-'));
    let first = (have.next(), want.next());
    if first.0 != first.1 && first.1 != Some("*") {
        return false;
    }
    for wanted in want.filter(|w| *w != "*") {
        loop {
            match have.next() {
                Some(subtag) if subtag == wanted => break,
                Some(subtag) if subtag.len() > 1 => {}
                _ => return false,
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_a_form() {
        assert!(is_tag("en") && is_tag("pt-BR") && is_tag("zh-Hant-TW"));
        assert!(!is_tag("e") && !is_tag("en_US") && !is_tag("") && !is_tag("english") && !is_tag("en-"));
    }

    /// The examples of RFC 4647, section 3.3.2.
    #[test]
    fn extended_filtering_is_that_of_the_standard() {
        for tag in [
            "de-de",
            "de-de-x-goethe",
            "de-latn-de",
            "de-latf-de",
            "de-de-1996",
            "de-latn-de-1996",
            "de-deva-de",
        ] {
            assert!(filtered(tag, "de-de") && filtered(tag, "de-*-de"), "{tag}");
        }
        for tag in ["de", "de-x-de", "de-deva"] {
            assert!(!filtered(tag, "de-de") && !filtered(tag, "de-*-de"), "{tag}");
        }
    }

    /// The example of RFC 4647, section 3.4: the range falls back step by step, and past the lone `x`.
    #[test]
    fn lookup_is_that_of_the_standard() {
        let range = "zh-hant-cn-x-private1-private2";
        for tag in [range, "zh-hant-cn-x-private1", "zh-hant-cn", "zh-hant", "zh"] {
            assert!(serves(tag, range), "{tag}");
        }
        for tag in ["zh-hant-cn-x", "zh-hans", "zh-hant-tw", "z", "en"] {
            assert!(!serves(tag, range), "{tag}");
        }
        assert!(serves("zh-hant-tw", "zh-hant") && serves("zh-hant", "zh") && serves("en", "en-gb"));
        assert!(serves("de-latn-at", "*-at") && !serves("de-at", "*-ch"));
        assert!(!serves("zh-hans", "zh-hant") && !serves("enx", "en") && serves("fr", "*"));
    }
}
