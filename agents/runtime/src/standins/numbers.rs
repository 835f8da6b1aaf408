//! How are numbers given to a model?

use serde_json::Value;

/// Digits that are kept, so that machines which differ in the last bits say the same.
const DIGITS: usize = 10;

/// A number of ten digits, whole where it is whole; `null` where there is none, as of a division by nothing.
pub(super) fn number(x: f64) -> Value {
    if !x.is_finite() {
        return Value::Null;
    }
    let rounded = format!("{x:.*e}", DIGITS - 1).parse::<f64>().unwrap_or(x);
    // Above this not every whole number is a float.
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        Value::from(rounded as i64)
    } else {
        Value::from(rounded)
    }
}

/// The same of many.
pub(super) fn list(numbers: impl IntoIterator<Item = f64>) -> Value {
    numbers.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            list([0.1 + 0.2, 3.0, -0.0, 1.0 / 3.0, 1e-20]),
            json!([0.3, 3, 0, 0.333_333_333_3, 1e-20])
        );
        assert_eq!(list([f64::NAN, f64::INFINITY]), json!([null, null]));
    }
}
