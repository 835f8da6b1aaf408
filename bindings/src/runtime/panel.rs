//! How do hosts ask panels, and get what they came to?

use std::str::FromStr;

use quorate_core::{Code, Error, Result, shorten};
use quorate_models::Model;
use quorate_runtime::{
    Member, PanelAnswer, PanelOptions, PanelResume, PanelSession, Resume, Role, Runtime, panel_page,
    panel_part, panel_rows,
};
use serde_json::{Map, Value, json};

use super::answer::{answer, place_all};
use super::{WRITTEN, budget, named, renamed};
use crate::{Host, Options};

/// The models that a host gives with the options of a panel, which are no JSON.
#[derive(Clone, Default)]
pub struct PanelModels {
    /// Those of members, by their places in the list.
    pub members: Vec<(usize, Model)>,
    /// Who judges a debate.
    pub judge: Option<Model>,
    /// Who answers for the chair.
    pub chair: Option<Model>,
}

/// Options whose names have more than one word.
const NAMES: [&str; 3] = ["minority_threshold", "member_seconds", "idempotency_key"];

/// How a panel is asked: `type`, `members` (ids, or objects with `id`, `role`, `weight`), `size`, `rounds`, `options`, `scale`,
/// `ballot`, `quorum`, `anonymous`, `chair`, `weights`, `aggregate`, `seeds`, `truth`, `rho`, `minority_threshold`, `similarity`,
/// `member_seconds`, `where`, `budget`, `seed`, `title`, `idempotency_key`, `trace_parent`. Errors: `invalid_argument`, and those of
/// [`PanelOptions::validate`].
///
/// ```
/// use quorate_bindings::{Host, runtime::panel_options};
/// let given = serde_json::json!({"type": "delphi", "members": ["ann", {"id": "bob", "weight": 2}], "minorityThreshold": 7});
/// let error = panel_options(Host::Node, given, Default::default()).unwrap_err();
/// assert_eq!(error.message(), "panel: minorityThreshold is 7, expected 0 to 1");
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn panel_options(host: Host, given: Value, models: PanelModels) -> Result<PanelOptions> {
    let mut options = Options::new(host, "options of a panel", given)?;
    let plain = PanelOptions::default();
    let share = "a number from 0 to 1";
    let members = match options.value("members") {
        None => None,
        Some(Value::Array(items)) => {
            let model = |i: usize| models.members.iter().find(|(at, _)| *at == i).map(|(_, model)| model);
            let read = |(i, item): (usize, &Value)| {
                member(host, item, model(i).cloned()).map_err(|e| e.context(format_args!("members[{i}]")))
            };
            Some(items.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?)
        }
        Some(other) => return Err(options.refuse("members", &other, "a list of ids and members")),
    };
    let chair = match options.value("chair") {
        None => None,
        Some(given) => Some(member(host, &given, models.chair).map_err(|e| e.context("chair"))?),
    };
    let read = PanelOptions {
        kind: choice(&mut options, "type")?.unwrap_or(plain.kind),
        members,
        size: options.take("size", "a whole number from 1")?.unwrap_or(plain.size),
        rounds: options.take("rounds", "a whole number from 1")?,
        options: options.take("options", "a list of texts")?.unwrap_or_default(),
        scale: options.take("scale", "a list of two numbers, the lowest and the highest")?,
        ballot: choice(&mut options, "ballot")?,
        quorum: options.take("quorum", share)?.unwrap_or(plain.quorum),
        anonymous: options.take("anonymous", "true or false")?,
        judge: models.judge,
        chair,
        weights: choice(&mut options, "weights")?.unwrap_or(plain.weights),
        aggregate: choice(&mut options, "aggregate")?,
        seeds: options.take("seeds", "a list of objects {question, answer}")?.unwrap_or_default(),
        truth: options.value("truth"),
        rho: options.take("rho", share)?,
        minority_threshold: options.take("minority_threshold", share)?.unwrap_or(plain.minority_threshold),
        similarity: options.take("similarity", share)?.unwrap_or(plain.similarity),
        member_seconds: options
            .take("member_seconds", "a number of seconds")?
            .unwrap_or(plain.member_seconds),
        filter: options.value("where"),
        budget: options.value("budget").map(|given| budget(host, given)).transpose()?,
        seed: options.take("seed", "a whole number from 0")?.unwrap_or(plain.seed),
        title: options.take("title", "a text")?,
        idempotency_key: options.take("idempotency_key", "a text")?,
        trace_parent: options.take("trace_parent", "a W3C traceparent")?,
        ..plain
    };
    options.done()?;
    read.validate().map_err(|e| named(host, e, &NAMES))?;
    Ok(read)
}

/// A member: an id, or an object with `id`, `role` and `weight`.
fn member(host: Host, given: &Value, model: Option<Model>) -> Result<Member> {
    if let Value::String(id) = given {
        return Ok(Member { model, ..Member::new(id.clone()) });
    }
    if !given.is_object() {
        let shown = shorten(&given.to_string());
        return Err(Error::invalid(format!("a member is {shown}; an id or a member is expected")));
    }
    let mut options = Options::new(host, "members", given.clone())?;
    let Some(id) = options.take::<String>("id", "a text")? else {
        return Err(Error::invalid("id is missing; the id of an agent, or a name, is expected"));
    };
    let read = Member {
        id,
        role: choice(&mut options, "role")?.unwrap_or(Role::Expert),
        weight: options.take("weight", "a number from 0")?.unwrap_or(1.0),
        model,
    };
    options.done()?;
    Ok(read)
}

/// What a member is made of, checked by itself. Errors: `invalid_argument`.
pub fn check_member(host: Host, given: &Value) -> Result<()> {
    let member = member(host, given, None)?;
    if member.role != Role::Expert || member.weight == 0.0 {
        // Alone it would be a panel in which nobody votes.
        let voter = Member { weight: member.weight.max(1.0), ..Member::new(member.id) };
        return PanelOptions { members: Some(vec![voter]), ..PanelOptions::default() }.validate();
    }
    PanelOptions { members: Some(vec![member]), ..PanelOptions::default() }.validate()
}

/// One of several names.
fn choice<T: FromStr<Err = Error>>(options: &mut Options, name: &str) -> Result<Option<T>> {
    match options.value(name) {
        None => Ok(None),
        Some(Value::String(given)) => given.parse().map(Some),
        Some(other) => Err(options.refuse(name, &other, "a name")),
    }
}

/// What a panel came to. Places in documents are in the host's units. Errors: `internal`.
pub fn panel(host: Host, panel: &PanelAnswer) -> Result<Value> {
    let mut out = panel.to_json()?;
    place_all(host, &mut out);
    Ok(renamed(host, out))
}

/// A panel as lists of sessions show it.
pub fn session(host: Host, session: &PanelSession) -> Value {
    renamed(host, json!(session))
}

/// The answer of a run of any kind. Errors: the one by which it failed; `unknown_id`.
pub fn answer_of(host: Host, runtime: &Runtime, run_id: &str) -> Result<Value> {
    let run = runtime.run(run_id)?;
    match run.is_panel() {
        true => panel(host, &run.panel()?),
        false => answer(host, &run.answer()?),
    }
}

/// How a run of any kind goes on.
pub(super) enum GoingOn {
    Asked(Resume),
    Panel(PanelResume),
}

/// A panel among the runs goes on as one. Errors: `unknown_id`, also for a decision about a panel, of which nothing waits.
pub(super) fn going_on(runtime: &Runtime, run_id: &str, given: Resume) -> Result<GoingOn> {
    if !runtime.run(run_id)?.is_panel() {
        return Ok(GoingOn::Asked(given));
    }
    match given.decisions.first() {
        None => Ok(GoingOn::Panel(PanelResume {
            trace_parent: given.trace_parent,
            cancel: given.cancel,
            ..PanelResume::default()
        })),
        Some((id, _)) => {
            let shown = (shorten(run_id), shorten(id));
            let message = format!("run '{}' is a panel: '{}' does not wait for a decision", shown.0, shown.1);
            Err(Error::new(Code::UnknownId, message))
        }
    }
}

/// Goes on with a run of any kind, and gives its answer. Errors: those of both.
pub fn resumed(host: Host, runtime: &Runtime, run_id: &str, given: Resume) -> Result<Value> {
    match going_on(runtime, run_id, given)? {
        GoingOn::Asked(given) => answer(host, &runtime.resume(run_id, given)?),
        GoingOn::Panel(given) => panel(host, &runtime.resume_panel(run_id, given)?),
    }
}

/// The page of a panel whose answer a host gives back; `part`: for a page of the host's. Errors: `invalid_argument`.
pub fn page(host: Host, given: Value, part: bool) -> Result<String> {
    let given = snaked(host, given);
    if part { panel_part(&given) } else { panel_page(&given) }
}

/// A row for each ballot and each missing one. Errors: `invalid_argument`.
pub fn rows(host: Host, given: Value) -> Result<Value> {
    Ok(renamed(host, json!(panel_rows(&snaked(host, given))?)))
}

/// Rust's names in the place of the host's, as [`renamed`] has written them.
fn snaked(host: Host, value: Value) -> Value {
    if host == Host::Python {
        return value;
    }
    match value {
        Value::Object(members) => {
            let rename = |(name, member): (String, Value)| {
                let name = snake_name(&name);
                let member = if WRITTEN.contains(&name.as_str()) { member } else { snaked(host, member) };
                (name, member)
            };
            Value::Object(members.into_iter().map(rename).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(|item| snaked(host, item)).collect(),
        other => other,
    }
}

fn snake_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(given: Value) -> (Code, String) {
        let error = panel_options(Host::Node, given, PanelModels::default()).unwrap_err();
        (error.code(), error.message().to_owned())
    }

    #[test]
    fn each_wrong_option_is_named() {
        for (given, code, name) in [
            (json!({"type": "Delphi"}), Code::InvalidArgument, "type"),
            (json!({"type": 3}), Code::InvalidArgument, "type"),
            (json!({"members": "ann"}), Code::InvalidArgument, "members"),
            (json!({"members": ["ann", 3]}), Code::InvalidArgument, "members[1]"),
            (json!({"members": ["ann", {"role": "expert"}]}), Code::InvalidArgument, "members[1]: id"),
            (
                json!({"members": [{"id": "ann", "role": "boss"}]}),
                Code::InvalidArgument,
                "members[0]: panel: role",
            ),
            (json!({"members": [{"id": "ann", "weigth": 1}]}), Code::InvalidArgument, "weigth"),
            (json!({"members": []}), Code::EmptyInput, "members"),
            (json!({"members": ["ann", "ann"]}), Code::DuplicateId, "ann"),
            (json!({"size": 0}), Code::InvalidArgument, "size"),
            (json!({"rounds": 1.5}), Code::InvalidArgument, "rounds"),
            (json!({"rounds": 7, "type": "delphi"}), Code::InvalidArgument, "rounds"),
            (json!({"options": ["one"]}), Code::InvalidArgument, "options"),
            (json!({"options": ["a", "a"]}), Code::DuplicateId, "option"),
            (json!({"scale": [1]}), Code::InvalidArgument, "scale"),
            (json!({"scale": [9, 1]}), Code::InvalidArgument, "scale"),
            (json!({"ballot": "vote"}), Code::InvalidArgument, "ballot"),
            (json!({"ballot": "ranking"}), Code::InvalidArgument, "ballot"),
            (json!({"quorum": 0}), Code::InvalidArgument, "quorum"),
            (json!({"quorum": "most"}), Code::InvalidArgument, "quorum"),
            (json!({"anonymous": "yes"}), Code::InvalidArgument, "anonymous"),
            (json!({"chair": 1}), Code::InvalidArgument, "chair"),
            (json!({"chair": " "}), Code::InvalidArgument, "chair has an id"),
            (json!({"chair": {"id": "ann", "weight": -1}}), Code::InvalidArgument, "the weight of 'ann'"),
            (json!({"weights": "equal"}), Code::InvalidArgument, "weights"),
            (json!({"aggregate": "ants"}), Code::InvalidArgument, "aggregate"),
            (
                json!({"options": ["a", "b", 1, "c", null]}),
                Code::InvalidArgument,
                "options[2] is 1; a list of texts",
            ),
            (json!({"seeds": ["x"]}), Code::InvalidArgument, "seeds[0] is \"x\""),
            (
                json!({"seeds": [{"question": "q", "answer": 1}, {"question": "q"}]}),
                Code::InvalidArgument,
                "seeds[1]",
            ),
            (json!({"seeds": [{"question": " ", "answer": 1}]}), Code::EmptyInput, "seeds[0]"),
            (json!({"rho": 2}), Code::InvalidArgument, "rho"),
            (json!({"minorityThreshold": -1}), Code::InvalidArgument, "minorityThreshold"),
            (json!({"similarity": 3}), Code::InvalidArgument, "similarity"),
            (json!({"memberSeconds": 0}), Code::InvalidArgument, "memberSeconds"),
            (json!({"budget": {"maxCost": -1}}), Code::InvalidArgument, "maxCost"),
            (json!({"seed": -1}), Code::InvalidArgument, "seed"),
            (json!({"title": 3}), Code::InvalidArgument, "title"),
            (json!({"idempotencyKey": 3}), Code::InvalidArgument, "idempotencyKey"),
            (json!({"judges": 3}), Code::InvalidArgument, "judges"),
        ] {
            let (found, message) = refused(given.clone());
            assert_eq!(found, code, "{given}: {message}");
            assert!(message.contains(name), "{given}: {message}");
        }
    }

    #[test]
    fn what_users_have_written_keeps_its_names() {
        let told = json!({"run_id": "r", "ballots": [{"position": {"two_words": 0.5}}], "alternative": {"shares": {"a_b": 1}}});
        let named = renamed(Host::Node, told.clone());
        assert_eq!(named["runId"], "r");
        assert_eq!(named["ballots"][0]["position"]["two_words"], 0.5);
        assert_eq!(snaked(Host::Node, named), told);
    }
}
