//! What do a tracer, a meter and a listener of a host have to know of a span?
//!
//! Names, kinds, units and bounds are those of OpenTelemetry's semantic conventions for generative AI, version 1.37.0; what they
//! leave open is called `quorate.*`. A host makes its own spans of this, and decides nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use quorate_core::spans::{self, Mark};
use serde_json::{Map, Value, json};

use crate::Host;

/// Which version of the conventions it is.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// The bounds that the conventions advise for the two metrics, in tokens and in seconds.
const TOKENS: [u64; 14] =
    [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Where a mark says in which span of the host its span lies; no attribute.
const PARENT: &str = "traceparent";

/// When spans that are open have begun, by number.
static BEGUN: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

/// As many may be open at once; of more the oldest are forgotten.
const MOST_OPEN: usize = 100_000;

/// What has happened to spans since the last call, in its order, as [`told`] tells it. Of a span whose beginning nobody has taken nothing is
/// told. Whoever forks must not be in here on another thread: a host whose threads can fork holds its own lock.
pub fn taken(host: Host) -> Vec<Value> {
    let mut open = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    let tell = |mark: Mark| {
        if !mark.ends {
            while open.len() >= MOST_OPEN {
                open.pop_first();
            }
            open.insert(mark.span, mark.time);
            return Some(told(host, mark, None));
        }
        let begun = open.remove(&mark.span)?;
        Some(told(host, mark, Some(begun)))
    };
    spans::take().into_iter().filter_map(tell).collect()
}

/// Has what happens to spans noted from now on, or not any more: then those that are open are forgotten.
pub fn listen(on: bool) {
    spans::listen(on);
    if !on {
        BEGUN.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The number of the innermost span that this thread is in, where somebody wants spans.
pub fn inner() -> Option<u64> {
    spans::listens().then(|| tracing::Span::current().id().map(|id| id.into_u64())).flatten()
}

/// The histograms: `name`, `unit`, `description`, `bounds`.
pub fn instruments() -> Value {
    let seconds = |name: &str, description: &str| json!({"name": name, "unit": "s", "description": description, "bounds": SECONDS});
    json!([
        seconds("gen_ai.client.operation.duration", "How long a request to a model took"),
        {"name": "gen_ai.client.token.usage", "unit": "{token}", "description": "Tokens that a request read and wrote", "bounds": TOKENS},
        seconds("quorate.run.duration", "How long a run took"),
        seconds("quorate.tool.duration", "How long a call of a tool took"),
    ])
}

/// What metrics of a span are told apart by: nothing that has many values.
fn labels(name: &str) -> &'static [&'static str] {
    match name {
        "chat" => &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.response.model",
            "error.type",
        ],
        "invoke_agent" => &["gen_ai.operation.name", "gen_ai.agent.id", "quorate.run.status"],
        "execute_tool" => &["gen_ai.operation.name", "gen_ai.tool.name", "error.type"],
        _ => &[],
    }
}

/// The beginning or the end of a span as a host's tracer takes it. `begun`: of an end, when the span has begun.
///
/// Both have `span`, `parent` (numbers), `traceparent`, `name`, `title` (the name that the conventions give it, as far as it is known),
/// `kind` (`client` or `internal`), `ends`, `time`, `begun` and `attributes`; an end also `seconds`, `error` (a code, or null) and `measures` (triples of a metric, a
/// value and what tells it apart). Times are nanoseconds since 1970; for Node pairs of seconds and nanoseconds, since its
/// numbers do not hold them.
///
/// ```
/// use quorate_bindings::{Host, telemetry};
/// use quorate_core::spans::Mark;
/// let fields = vec![("gen_ai.request.model", "m".into()), ("error.type", "rate_limited".into())];
/// let mark = Mark { span: 1, parent: None, name: "chat", fields, time: 2_500_000_000, ends: true };
/// let told = telemetry::told(Host::Node, mark, Some(2_000_000_000));
/// assert_eq!((&told["title"], &told["error"], &told["seconds"]), (&"chat m".into(), &"rate_limited".into(), &0.5.into()));
/// assert_eq!(told["time"], serde_json::json!([2, 500_000_000]));
/// ```
pub fn told(host: Host, mark: Mark, begun: Option<u64>) -> Value {
    let Mark { span, parent, name, fields, time, ends } = mark;
    let begun = begun.unwrap_or(time);
    // The clock may have been set back meanwhile.
    let time = time.max(begun);
    let mut attributes: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let given = attributes.remove(PARENT).unwrap_or_default();
    let at = |time: u64| match host {
        Host::Python => json!(time),
        Host::Node => json!([time / 1_000_000_000, time % 1_000_000_000]),
    };
    let kind = if name == "chat" { "client" } else { "internal" };
    let mut out = json!({
        "span": span, "parent": parent, "traceparent": given, "name": name, "title": title(name, &attributes), "kind": kind,
        "ends": ends, "time": at(time), "begun": at(begun),
    });
    if !ends {
        out["attributes"] = Value::Object(attributes);
        return out;
    }
    let seconds = (time - begun) as f64 / 1e9;
    let error = settle(&mut attributes);
    out["seconds"] = seconds.into();
    out["error"] = error.into();
    out["measures"] = measures(name, &attributes, seconds);
    out["attributes"] = Value::Object(attributes);
    out
}

/// Brings the attributes of a span that has ended to the form of the conventions, and says by which error it has failed.
fn settle(attributes: &mut Map<String, Value>) -> Option<String> {
    const REASONS: &str = "gen_ai.response.finish_reasons";
    match attributes.remove(REASONS) {
        None => {}
        Some(Value::String(none)) if none.is_empty() => {}
        // A list: one of each answer.
        Some(reason) => drop(attributes.insert(REASONS.to_owned(), json!([reason]))),
    }
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).map(str::to_owned);
    let failed = || text("quorate.run.status").is_some_and(|status| status == "failed");
    let why = || text("quorate.run.stopped_by").unwrap_or_else(|| "_OTHER".to_owned());
    let error = text("error.type").or_else(|| failed().then(why));
    if let Some(error) = &error {
        attributes.insert("error.type".to_owned(), json!(error));
    }
    error
}

/// The conventions' names of spans: the operation, and what it is about.
fn title(name: &str, attributes: &Map<String, Value>) -> String {
    let about = match name {
        "chat" => "gen_ai.request.model",
        "invoke_agent" => "gen_ai.agent.name",
        "execute_tool" => "gen_ai.tool.name",
        _ => return name.to_owned(),
    };
    match attributes.get(about).and_then(Value::as_str) {
        Some(about) if !about.is_empty() => format!("{name} {about}"),
        _ => name.to_owned(),
    }
}

fn measures(name: &str, attributes: &Map<String, Value>, seconds: f64) -> Value {
    let of = |label: &&str| Some(((*label).to_owned(), attributes.get(*label)?.clone()));
    let about: Map<String, Value> = labels(name).iter().filter_map(of).collect();
    let mut out = Vec::new();
    match name {
        "chat" => {
            out.push(json!(["gen_ai.client.operation.duration", seconds, about]));
            for kind in ["input", "output"] {
                let Some(used) = attributes.get(&format!("gen_ai.usage.{kind}_tokens")) else { continue };
                let mut about = about.clone();
                about.insert("gen_ai.token.type".to_owned(), kind.into());
                out.push(json!(["gen_ai.client.token.usage", used, about]));
            }
        }
        "invoke_agent" => out.push(json!(["quorate.run.duration", seconds, about])),
        "execute_tool" => out.push(json!(["quorate.tool.duration", seconds, about])),
        _ => {}
    }
    Value::Array(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(host: Host, name: &'static str, fields: &[(&'static str, Value)], ends: bool) -> Value {
        let fields = fields.to_vec();
        let mark = Mark { span: 7, parent: Some(3), name, fields, time: 3_000_000_001, ends };
        told(host, mark, ends.then_some(1_000_000_001))
    }

    #[test]
    fn a_beginning_names_its_parents_and_no_attribute_of_them() {
        let fields = [("gen_ai.operation.name", json!("chat")), (PARENT, json!("00-a-b-01"))];
        let told = told_of(Host::Python, "chat", &fields, false);
        assert_eq!(told["attributes"], json!({"gen_ai.operation.name": "chat"}));
        assert_eq!(
            [&told["traceparent"], &told["kind"], &told["parent"]],
            [&json!("00-a-b-01"), &json!("client"), &json!(3)]
        );
        assert_eq!((&told["time"], told.get("measures")), (&json!(3_000_000_001_u64), None));
    }

    #[test]
    fn requests_are_measured_in_seconds_and_in_tokens() {
        let fields = [
            ("gen_ai.operation.name", json!("chat")),
            ("gen_ai.request.model", json!("m")),
            ("gen_ai.request.max_tokens", json!(9)),
            ("gen_ai.response.finish_reasons", json!("stop")),
            ("gen_ai.usage.output_tokens", json!(5)),
            (PARENT, json!("00-a-b-01")),
        ];
        let told = told_of(Host::Node, "chat", &fields, true);
        assert_eq!(told["title"], "chat m");
        assert_eq!(told["error"], Value::Null);
        assert_eq!(told["attributes"]["gen_ai.response.finish_reasons"], json!(["stop"]));
        assert_eq!(told["attributes"].get(PARENT), None);
        assert_eq!([&told["begun"], &told["time"]], [&json!([1, 1]), &json!([3, 1])]);
        let about = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"});
        let tokens = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.token.type": "output"});
        let expected = json!([
            ["gen_ai.client.operation.duration", 2.0, about],
            ["gen_ai.client.token.usage", 5, tokens]
        ]);
        assert_eq!(told["measures"], expected);
    }

    #[test]
    fn a_run_that_has_failed_says_by_what() {
        let error = |fields: &[(&'static str, Value)]| {
            let told = told_of(Host::Python, "invoke_agent", fields, true);
            assert_eq!(
                told["attributes"].get("error.type"),
                Some(&told["error"]).filter(|error| !error.is_null())
            );
            told["error"].clone()
        };
        let status = |status: &str| ("quorate.run.status", json!(status));
        assert_eq!(error(&[status("failed")]), "_OTHER");
        assert_eq!(error(&[status("failed"), ("quorate.run.stopped_by", json!("callback"))]), "callback");
        assert_eq!(error(&[status("partial"), ("quorate.run.stopped_by", json!("max_cost"))]), Value::Null);
        let told = told_of(Host::Python, "invoke_agent", &[("gen_ai.agent.name", json!("Doses"))], true);
        assert_eq!(told["title"], "invoke_agent Doses");
    }

    #[test]
    fn an_end_has_its_beginning_and_none_is_told_without() {
        assert!(quorate_core::events::collect(|| {}));
        let open = tracing::info_span!(target: "quorate", "invoke_agent");
        listen(true);
        assert_eq!(inner(), None);
        let run = tracing::info_span!(target: "quorate", "invoke_agent", traceparent = "00-a-b-01");
        assert_eq!(run.in_scope(inner), run.id().map(|id| id.into_u64()));
        let begun = taken(Host::Python);
        assert_eq!(
            (begun.len(), &begun[0]["ends"], &begun[0]["traceparent"]),
            (1, &json!(false), &json!("00-a-b-01"))
        );
        let lost = tracing::info_span!(target: "quorate", "chat");
        spans::take();
        drop((open, lost, run));
        let ended = taken(Host::Python);
        assert_eq!(
            (ended.len(), &ended[0]["ends"], &ended[0]["begun"]),
            (1, &json!(true), &begun[0]["time"])
        );
        assert!(ended[0]["time"].as_u64() >= ended[0]["begun"].as_u64());
        let forgotten = tracing::info_span!(target: "quorate", "chat");
        assert_eq!(taken(Host::Python).len(), 1);
        listen(false);
        listen(true);
        drop(forgotten);
        assert!(taken(Host::Python).is_empty());
        listen(false);
        assert_eq!(tracing::info_span!(target: "quorate", "chat").in_scope(inner), None);
        assert!(taken(Host::Python).is_empty());
    }

    #[test]
    fn every_measure_has_its_instrument() {
        let known = instruments();
        let names: Vec<&Value> = known.as_array().into_iter().flatten().map(|one| &one["name"]).collect();
        let fields = [("gen_ai.usage.input_tokens", json!(1))];
        let mut measured = Vec::new();
        for name in ["chat", "invoke_agent", "execute_tool"] {
            let told = told_of(Host::Node, name, &fields, true);
            measured.extend(told["measures"].as_array().into_iter().flatten().map(|one| one[0].clone()));
        }
        assert_eq!(measured.iter().collect::<Vec<_>>(), names);
    }
}
