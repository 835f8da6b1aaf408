//! How long is a duration that somebody wrote?
//!
//! ISO 8601 (`P10D`, `PT1H30M`, `P2W`), short (`30m`, `1h30m`, `250ms`), or a number of seconds.

use serde::de::{Error as _, Visitor};
use serde::{Deserializer, Serializer};

/// The longest span: a hundred years.
const MAX_SECONDS: f64 = 100.0 * 366.0 * 86_400.0;

fn bounded(seconds: f64, given: &str) -> Result<f64, String> {
    if seconds.is_finite() && (0.0..=MAX_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    Err(format!("'{}' is no duration from 0 to 100 years", quorate_core::shorten(given)))
}

/// A number of seconds, from 0 to a hundred years, or what is wrong with it.
///
/// ```
/// assert_eq!(quorate_state::bounded_seconds(90.0), Ok(90.0));
/// assert!(quorate_state::bounded_seconds(f64::NAN).is_err());
/// ```
pub fn bounded_seconds(given: f64) -> Result<f64, String> {
    bounded(given, &given.to_string())
}

/// The seconds of a written duration, or what is wrong with it.
///
/// ```
/// assert_eq!(quorate_state::seconds("P10D"), Ok(864_000.0));
/// assert_eq!(quorate_state::seconds("1h30m"), quorate_state::seconds("PT1H30M"));
/// assert!(quorate_state::seconds("P1M").is_err(), "months differ");
/// ```
pub fn seconds(text: &str) -> Result<f64, String> {
    let known = if text.starts_with('P') { iso(text) } else { short(text) };
    let wrong = || {
        format!(
            "'{}' is no duration; write it as P10D, PT1H30M, 30m, 1h30m, 250ms or a number of seconds (years and months have no fixed length)",
            quorate_core::shorten(text)
        )
    };
    bounded(known.ok_or_else(wrong)?, text)
}

/// ISO 8601: `P[nW][nD][T[nH][nM][nS]]`, units in this order.
fn iso(text: &str) -> Option<f64> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    Some(
        sum(date, &[("W", 604_800.0), ("D", 86_400.0)])?
            + sum(time, &[("H", 3_600.0), ("M", 60.0), ("S", 1.0)])?,
    )
}

fn short(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if let Ok(number) = text.parse::<f64>() {
        return text.starts_with(|c: char| c.is_ascii_digit()).then_some(number);
    }
    sum(text, &[("w", 604_800.0), ("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001)])
}

/// Numbers with units, each unit once and in this order.
fn sum(mut text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (mut total, mut next) = (0.0, 0);
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = text[..digits].parse().ok()?;
        let rest = &text[digits..];
        let word = &rest[..rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len())];
        let at = units.iter().skip(next).position(|(unit, _)| *unit == word)? + next;
        total += number * units[at].1;
        (next, text) = (at + 1, &rest[word.len()..]);
    }
    Some(total)
}

struct Written;

impl Visitor<'_> for Written {
    type Value = f64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration: a number of seconds, or a text like 30s, 5m, 1h30m or PT1H")
    }

    fn visit_f64<E: serde::de::Error>(self, given: f64) -> Result<f64, E> {
        bounded_seconds(given).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, given: u64) -> Result<f64, E> {
        self.visit_f64(given as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, given: i64) -> Result<f64, E> {
        self.visit_f64(given as f64)
    }

    fn visit_str<E: serde::de::Error>(self, given: &str) -> Result<f64, E> {
        seconds(given).map_err(E::custom)
    }
}

/// Reads a field that is a duration in either form; for `#[serde(with)]`.
pub(crate) mod required {
    use super::{Deserializer, Serializer, Written};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        from.deserialize_any(Written)
    }

    pub(crate) fn serialize<S: Serializer>(seconds: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(*seconds)
    }
}

/// The same where there may be none.
pub(crate) mod optional {
    use super::{Deserializer, Maybe, Serializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        from.deserialize_option(Maybe)
    }

    pub(crate) fn serialize<S: Serializer>(seconds: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        match seconds {
            Some(seconds) => to.serialize_some(seconds),
            None => to.serialize_none(),
        }
    }
}

struct Maybe;

impl<'de> Visitor<'de> for Maybe {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Written.expecting(f)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Option<f64>, E> {
        Ok(None)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Option<f64>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Option<f64>, D::Error> {
        from.deserialize_any(Written).map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_both_ways() {
        for (text, expected) in [
            ("P10D", 864_000.0),
            ("P2W", 1_209_600.0),
            ("P1DT12H", 129_600.0),
            ("PT1H30M", 5_400.0),
            ("PT0.5S", 0.5),
            ("30m", 1_800.0),
            ("2s", 2.0),
            ("250ms", 0.25),
            ("1d2h3m4s", 93_784.0),
            ("90", 90.0),
            ("0s", 0.0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1M",
            "P1Y",
            "10",
            "1x",
            "m30",
            "30m5h",
            "1h1h",
            "-5m",
            "P-1D",
            "nan",
            "inf",
            "P1D ",
            "1..2s",
            ".s",
            "P99999999D",
            "1e400",
            "D",
            "PT5D",
            "P5H",
            "５m",
        ] {
            let wrong = text != "10";
            assert_eq!(seconds(text).is_err(), wrong, "{text}");
        }
        for number in [-1.0, f64::NAN, f64::INFINITY, 1e12] {
            assert!(bounded_seconds(number).is_err(), "{number}");
        }
    }
}
