//! Which types can a field be compared with, and how do two values compare?

use std::cmp::Ordering;

/// A literal of a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string; one in RFC 3339 form also compares with timestamps.
    String(String),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float, finite.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Value {
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

/// The instant of an RFC 3339 timestamp or date (midnight UTC), in nanoseconds since 1970.
pub(crate) fn instant(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' || !bytes[0].is_ascii_digit() {
        return None;
    }
    if bytes.len() == 10 {
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        let midnight = date.and_hms_opt(0, 0, 0)?.and_utc();
        return Some(i128::from(midnight.timestamp()) * 1_000_000_000);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(i128::from(time.timestamp()) * 1_000_000_000 + i128::from(time.timestamp_subsec_nanos()))
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
        for bad in ["", "1970", "1970-13-01", "not a date", "2020-01-01 nonsense", "ß970-01-0", "2024-02-30"]
        {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
