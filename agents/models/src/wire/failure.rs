//! What does a service's refusal mean: shall the request be sent again, later, elsewhere, or not at all?

use std::collections::HashMap;
use std::time::Duration;

use quorate_core::http::{retry_after, retry_after_ms};
use quorate_core::{Code, Error};
use serde_json::Value;

use crate::provider::Failure;

/// What an answer with an HTTP status other than success means.
pub(super) fn of_answer(status: u16, headers: &HashMap<String, String>, body: &[u8]) -> Failure {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let refusal = parsed.as_ref().and_then(Refusal::find).unwrap_or_else(|| Refusal {
        message: String::from_utf8_lossy(body).trim().to_owned(),
        ..Refusal::default()
    });
    let wait = wait(headers);
    let mut failure = of_refusal(Some(status), &refusal, wait.is_some());
    failure.wait = wait;
    // Services know best whether another try makes sense.
    match headers.get("x-should-retry").map(String::as_str) {
        Some("false") => failure.passing = false,
        Some("true") if status >= 500 || status == 429 || status == 409 => {
            failure.passing = !refusal.exhausted(wait.is_some());
        }
        _ => {}
    }
    failure
}

/// What an event means that says of itself that it is an error.
pub(super) fn of_event(data: &str) -> Failure {
    let found = serde_json::from_str(data).ok().as_ref().and_then(inside);
    found.unwrap_or_else(|| {
        let refusal = Refusal { message: data.trim().to_owned(), ..Refusal::default() };
        of_refusal(None, &refusal, false)
    })
}

/// What an error object inside a successful answer or a stream means; `None` when `value` is none.
pub(super) fn inside(value: &Value) -> Option<Failure> {
    let refusal = Refusal::find(value)?;
    let status = refusal.code.parse().ok().filter(|status| (400..600).contains(status));
    Some(of_refusal(status, &refusal, false))
}

/// How long the service asks to wait.
fn wait(headers: &HashMap<String, String>) -> Option<Duration> {
    let millis = headers.get("retry-after-ms").and_then(|value| retry_after_ms(value));
    millis.or_else(|| headers.get("retry-after").and_then(|value| retry_after(value)))
}

/// What is common to the error objects of all services.
#[derive(Debug, Default)]
struct Refusal {
    message: String,
    /// Type, code and status words, in lower case.
    kind: String,
    code: String,
}

impl Refusal {
    /// `{"error": {"message", "type", "code"}}`, `{"error": "text"}`, `{"type": "error", "error": {...}}`,
    /// `{"object": "error", "message", "type", "code"}`, `{"detail": ...}`.
    fn find(value: &Value) -> Option<Refusal> {
        // One service puts the object into a list.
        let object = value.as_object().or_else(|| value.get(0)?.as_object())?;
        let error = match object.get("error") {
            Some(Value::Object(error)) => error,
            Some(Value::String(text)) => {
                return Some(Refusal { message: text.clone(), ..Refusal::default() });
            }
            _ if object.get("object").and_then(Value::as_str) == Some("error") => object,
            _ if object.get("choices").is_none() && object.get("content").is_none() => {
                let detail = object.get("detail").or_else(|| object.get("message"))?;
                let message = detail.as_str().map_or_else(|| detail.to_string(), str::to_owned);
                return Some(Refusal { message, ..Refusal::default() });
            }
            _ => return None,
        };
        let word = |name: &str| match error.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let mut message = match error.get("message") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => Value::Object(error.clone()).to_string(),
        };
        // Which field of the request it is about, in front since the words may be too long to be shown whole.
        let field = word("param");
        if !message.contains(&field) {
            message = format!("{field}: {message}");
        }
        let kind = format!("{} {} {}", word("type"), word("code"), word("status")).to_lowercase();
        Some(Refusal { message, kind, code: word("code") })
    }

    fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| self.kind.contains(word) || message.contains(word))
    }

    /// Money or quota is used up, which no waiting mends. One service says the same of a minute's limit, but says beside it
    /// when to come again, or has another word for it.
    fn exhausted(&self, asks_to_wait: bool) -> bool {
        let kinds = ["insufficient_quota", "billing", "insufficient_balance", "credit"];
        let words = ["exceeded your current quota", "insufficient balance", "credit balance is too low"];
        let passes = asks_to_wait || self.kind.contains("resource_exhausted");
        kinds.iter().any(|kind| self.kind.contains(kind)) || !passes && self.says(&words)
    }

    fn overflows(&self) -> bool {
        self.says(&[
            "context_length_exceeded",
            "exceed_context_size",
            "maximum context length",
            "prompt is too long",
            "exceeds the available context size",
            "exceeds the context window",
            "input length and `max_tokens` exceed context limit",
        ])
    }
}

fn of_refusal(status: Option<u16>, refusal: &Refusal, asks_to_wait: bool) -> Failure {
    // Whole: it is cut only once keys are taken out of it, so that no half of one is left.
    let said = &refusal.message;
    let error = |code, what: &str| {
        let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
        Error::new(code, format!("{what}{status}: {said}"))
    };
    if refusal.exhausted(asks_to_wait) {
        return Failure::lasting(error(Code::RateLimited, "the service's quota for this key is used up"));
    }
    if refusal.overflows() || status == Some(413) {
        return Failure::lasting(error(
            Code::ContextOverflow,
            "the messages are longer than the model reads",
        ));
    }
    let kind = &refusal.kind;
    let limits = ["rate_limit", "resource_exhausted"];
    let limited = status == Some(429) || status.is_none() && limits.iter().any(|limit| kind.contains(limit));
    if limited {
        let error = error(Code::RateLimited, "the service takes no more at present");
        // A service that limits its callers is well.
        return Failure { unwell: false, ..Failure::passing(error) };
    }
    match status {
        Some(408 | 409) => Failure::passing(error(Code::RemoteFailed, "the service could not answer")),
        Some(status) if status >= 500 => Failure::passing(error(Code::RemoteFailed, "the service failed")),
        Some(404) => Failure::lasting(error(Code::ModelNotFound, "the service has no such model or address")),
        Some(401 | 403) => Failure::lasting(error(Code::RemoteFailed, "the service does not accept the key")),
        Some(300..=399) => Failure::lasting(error(
            Code::RemoteFailed,
            "the service is elsewhere; give its address as base_url",
        )),
        Some(_) => Failure::lasting(error(Code::RemoteFailed, "the service refused the request")),
        None => {
            let lasting = [
                "invalid_request",
                "authentication",
                "permission",
                "not_found",
                "bad_request",
                "unauthorized",
            ];
            let error = error(Code::RemoteFailed, "the service answered with an error");
            if lasting.iter().any(|word| kind.contains(word)) {
                Failure::lasting(error)
            } else {
                Failure::passing(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
        let headers = headers.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        of_answer(status, &headers, body.as_bytes())
    }

    #[test]
    fn what_passes_and_what_does_not() {
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert!(failure(status, &[], "{}").passing, "{status}");
        }
        for status in [400, 401, 403, 404, 413, 422, 301] {
            assert!(!failure(status, &[], "{}").passing, "{status}");
        }
        let limited = failure(
            429,
            &[("retry-after", "2")],
            r#"{"error": {"message": "slow down", "type": "rate_limit_error"}}"#,
        );
        assert_eq!(
            (limited.error.code(), limited.wait, limited.unwell),
            (Code::RateLimited, Some(Duration::from_secs(2)), false)
        );
        let precise = failure(429, &[("retry-after", "2"), ("retry-after-ms", "1500")], "{}");
        assert_eq!(precise.wait, Some(Duration::from_millis(1500)));
        assert!(!failure(500, &[("x-should-retry", "false")], "{}").passing);
    }

    #[test]
    fn an_exhausted_quota_does_not_pass() {
        let body = r#"{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}"#;
        let failure = failure(429, &[("x-should-retry", "true")], body);
        assert_eq!(
            (failure.error.code(), failure.passing, failure.elsewhere),
            (Code::RateLimited, false, true)
        );
    }

    #[test]
    fn an_overflow_has_its_code() {
        for body in [
            r#"{"error":{"code":400,"message":"request (2009 tokens) exceeds the available context size (512 tokens)","type":"exceed_context_size_error"}}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            r#"{"error":{"message":"x","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
        ] {
            assert_eq!(failure(400, &[], body).error.code(), Code::ContextOverflow, "{body}");
        }
    }

    #[test]
    fn errors_inside_success() {
        let inside = |body: &str| super::inside(&serde_json::from_str(body).unwrap());
        assert!(
            inside(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#)
                .unwrap()
                .passing
        );
        assert!(!inside(r#"{"error":{"type":"invalid_request_error","message":"no"}}"#).unwrap().passing);
        assert!(inside(r#"{"error":{"code":502,"message":"upstream"}}"#).unwrap().passing);
        assert!(inside(r#"{"error":"boom"}"#).unwrap().error.message().contains("boom"));
        assert!(inside(r#"{"error":null,"choices":[]}"#).is_none());
        assert!(inside(r#"{"choices":[]}"#).is_none());
    }
}
