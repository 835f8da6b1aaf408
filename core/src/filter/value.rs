//! Which types can a field be compared with, and how do two values compare?

use std::cmp::Ordering;

/// A literal of a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string; in metadata one in RFC 3339 form compares with others as a time.
    String(String),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float, finite.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Value {
    /// The value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::String(text) => text.as_str().into(),
            Value::Int(int) => (*int).into(),
            Value::Float(float) => (*float).into(),
            Value::Bool(bool) => (*bool).into(),
        }
    }

    /// The value of a JSON string, number or bool; none of anything else.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) => Some(Value::String(text.clone())),
            serde_json::Value::Bool(bool) => Some(Value::Bool(*bool)),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Some(Value::Int(int)),
                (None, float) => float.filter(|f| f.is_finite()).map(Value::Float),
            },
            _ => None,
        }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
            Value::Int(_) => "int64",
            Value::Float(_) => "float64",
            Value::Bool(_) => "bool",
        }
    }
}

/// Compares an integer with a float exactly, without rounding the integer.
pub(crate) fn compare_int_float(a: i64, b: f64) -> Ordering {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    if b >= TWO_63 {
        return Ordering::Less;
    }
    if b < -TWO_63 {
        return Ordering::Greater;
    }
    let whole = b.trunc();
    // `whole` lies within i64, so the conversion is exact.
    match a.cmp(&(whole as i64)) {
        Ordering::Equal => 0.0_f64.total_cmp(&(b - whole + 0.0)),
        other => other,
    }
}

/// The instant of an RFC 3339 timestamp or date (midnight), in nanoseconds since 1970. What has no zone is UTC; seconds
/// may be left out, and a blank may stand for the `T`.
pub(crate) fn instant(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' || !bytes[0].is_ascii_digit() {
        return None;
    }
    let nanoseconds = |seconds: i64, rest: u32| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let without_zone = |time: chrono::NaiveDateTime| {
        let time = time.and_utc();
        nanoseconds(time.timestamp(), time.timestamp_subsec_nanos())
    };
    if bytes.len() == 10 {
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        return date.and_hms_opt(0, 0, 0).map(without_zone);
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(nanoseconds(time.timestamp(), time.timestamp_subsec_nanos()));
    }
    let (date, time) = (text.get(..10)?, text.get(11..)?);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    // The parser of chrono takes what is shorter, and signs.
    let whole = time.get(..5).is_some_and(|minutes| minutes.as_bytes()[2] == b':' && digits(&minutes[..2]));
    let read = |form: &str| chrono::NaiveDateTime::parse_from_str(&format!("{date}T{time}"), form).ok();
    if whole && let Some(time) = read("%Y-%m-%dT%H:%M:%S%.f").or_else(|| read("%Y-%m-%dT%H:%M")) {
        return Some(without_zone(time));
    }
    // Minutes with a zone.
    let (time, zone) = (time.get(..5)?, time.get(5..)?);
    let whole = format!("{date}T{time}:00{zone}");
    let time = chrono::DateTime::parse_from_rfc3339(&whole).ok()?;
    Some(nanoseconds(time.timestamp(), time.timestamp_subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        let big = (1_i64 << 53) + 1;
        assert_eq!(compare_int_float(big, (1_i64 << 53) as f64), Ordering::Greater);
        assert_eq!(compare_int_float(3, 3.5), Ordering::Less);
        assert_eq!(compare_int_float(-3, -3.5), Ordering::Greater);
        assert_eq!(compare_int_float(-3, -2.5), Ordering::Less);
        assert_eq!(compare_int_float(0, -0.0), Ordering::Equal);
        assert_eq!(compare_int_float(i64::MAX, 9.3e18), Ordering::Less);
        assert_eq!(compare_int_float(i64::MIN, -9.3e18), Ordering::Greater);
        assert_eq!(compare_int_float(i64::MIN, -9_223_372_036_854_775_808.0), Ordering::Equal);
    }

    #[test]
    fn instants() {
        assert_eq!(instant("1970-01-01"), Some(0));
        assert_eq!(instant("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(instant("1970-01-01T00:00:00.000000001Z"), Some(1));
        for same in [
            "2023-01-01T08:00:00Z",
            "2023-01-01t08:00:00z",
            "2023-01-01 08:00:00Z",
            "2023-01-01T10:00:00+02:00",
            "2023-01-01T08:00:00.000Z",
            "2023-01-01T08:00:00",
            "2023-01-01 08:00:00.000000",
            "2023-01-01T08:00",
            "2023-01-01T08:00Z",
            "2023-01-01T10:00+02:00",
        ] {
            assert_eq!(instant(same), Some(1_672_560_000_000_000_000), "{same}");
        }
        for bad in [
            "2023-01-01T8:00",
            "2023-01-01T08",
            "2023-01-01T08:00:00+2",
            "2023-01-01x08:00",
            "2023-01-01T25:00",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
        for bad in ["", "1970", "1970-13-01", "not a date", "2020-01-01 nonsense", "ß970-01-0", "2024-02-30"]
        {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
