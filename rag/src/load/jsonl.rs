//! What do lines of JSON say?

use std::borrow::Cow;

use quorate_core::Result;
use serde_json::Value as Json;

use super::record::{Member, Roles, plain};
use super::table::CsvOptions;
use super::{Each, failed};

/// Gives `each` the document of each line, or why the line cannot be read; other lines follow. Errors:
/// `invalid_argument`, and those of `each`.
pub(super) fn load(name: &str, text: &str, options: &CsvOptions, each: &mut Each<'_>) -> Result<()> {
    options.validate()?;
    for (row, line) in (1u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        each(
            document(line, format!("{name}#row={row}"), options)
                .map_err(|e| e.context(format_args!("line {row}"))),
        )?;
    }
    Ok(())
}

fn document(line: &str, fallback_id: String, options: &CsvOptions) -> Result<crate::Document> {
    let value: Json = serde_json::from_str(&keep_digits(line)).map_err(|e| failed(e.to_string()))?;
    let Json::Object(members) = value else {
        return Err(failed("expected an object"));
    };
    let members: Vec<Member> = members
        .into_iter()
        .map(|(name, value)| Member { name, written: plain(&value), value: Some(value) })
        .collect();
    let plain = members.iter().filter(|member| member.written.is_some());
    let roles = Roles::new(plain.map(|member| member.name.as_str()), options);
    roles.document(members, fallback_id)
}

/// The line with whole numbers beyond 64 bits as strings, so that they keep their digits.
fn keep_digits(line: &str) -> Cow<'_, str> {
    /// No shorter number is beyond 64 bits.
    const SHORTEST: usize = 19;
    let bytes = line.as_bytes();
    let mut out = String::new();
    let (mut copied, mut at, mut quoted) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'-' | b'0'..=b'9' if !quoted => {
                let in_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let length = bytes[at..].iter().take_while(|byte| in_number(byte)).count();
                let number = &line[at..at + length];
                let digits = number.strip_prefix('-').unwrap_or(number);
                if digits.len() >= SHORTEST
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && !digits.starts_with('0')
                    && number.parse::<i64>().is_err()
                {
                    out.push_str(&line[copied..at]);
                    out.push('"');
                    out.push_str(number);
                    out.push('"');
                    copied = at + length;
                }
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if out.is_empty() {
        return Cow::Borrowed(line);
    }
    out.push_str(&line[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_number_cannot_hold_becomes_a_string() {
        let big = r#"{"a": 9223372036854775808, "b": [-123456789012345678901234567890, 1], "c": "9223372036854775808"}"#;
        let kept: Json = serde_json::from_str(&keep_digits(big)).unwrap();
        let want = serde_json::json!({
            "a": "9223372036854775808", "b": ["-123456789012345678901234567890", 1], "c": "9223372036854775808",
        });
        assert_eq!(kept, want);
        for same in [
            r#"{"a": 9223372036854775807, "b": -9223372036854775808, "c": 1234567890123456789012.5}"#,
            r#"{"x\"9223372036854775808": 1e400000000000000000000}"#,
            "",
            "{\"a\": \"",
            "{\"a\": \"\\",
        ] {
            assert_eq!(keep_digits(same), same);
        }
    }
}
