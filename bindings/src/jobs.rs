//! How do hosts say what somebody tries to get done, and what do they hear of it?

use quorate_core::{Error, Result, shorten};
use quorate_workflows::flow::{Definition, Engine};
use quorate_workflows::jobs::{self, Draft, JobStory, KeptStory, Outcome, StoryStatus};
use serde_json::{Value, json};

use crate::{Host, Options, camel};

/// The statuses of a story.
const STATUSES: [StoryStatus; 4] =
    [StoryStatus::Open, StoryStatus::Measuring, StoryStatus::Achieved, StoryStatus::Abandoned];

/// A story by its members, checked. Errors: those of [`JobStory::validate`], `invalid_argument` for a member that it does not have.
///
/// ```
/// use quorate_bindings::{Host, jobs};
/// let given = serde_json::json!({
///     "situation": "an order is late", "motivation": "see where it is", "expectedOutcome": "tell the customer", "outcomes": ["hours"],
/// });
/// let story = jobs::story(Host::Node, given)?;
/// assert_eq!((story.priority, story.outcomes[0].metric.as_str()), (1, "hours"));
/// assert!(jobs::story(Host::Node, serde_json::json!({"when": "an order is late"})).is_err());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn story(host: Host, given: Value) -> Result<JobStory> {
    let mut options = Options::new(host, "the members of a story", given)?;
    let text = "a text";
    let mut made = JobStory {
        title: options.take("title", text)?.unwrap_or_default(),
        role: options.take("role", text)?.unwrap_or_default(),
        situation: options.take("situation", text)?.unwrap_or_default(),
        motivation: options.take("motivation", text)?.unwrap_or_default(),
        expected_outcome: options.take("expected_outcome", text)?.unwrap_or_default(),
        domain: options.take("domain", text)?,
        priority: options.take("priority", "a whole number")?.unwrap_or(1),
        outcomes: Vec::new(),
        status: StoryStatus::default(),
    };
    if let Some(status) = options.take::<String>("status", text)? {
        made.status = self::status(&status)?;
    }
    if let Some(outcomes) = options.value("outcomes") {
        let Value::Array(outcomes) = outcomes else {
            return Err(options.refuse("outcomes", &outcomes, "a list of metrics, or of objects with one,"));
        };
        let read = |(i, given)| outcome(host, i, given);
        made.outcomes = outcomes.into_iter().enumerate().map(read).collect::<Result<_>>()?;
    }
    options.done()?;
    made.validate()?;
    Ok(made)
}

fn outcome(host: Host, i: usize, given: Value) -> Result<Outcome> {
    let mut options = match given {
        Value::String(metric) => return Ok(Outcome { metric, ..Outcome::default() }),
        Value::Object(_) => Options::new(host, "the members of an outcome", given)?,
        _ => return Err(Error::invalid(format!("outcomes[{i}] is neither a metric nor an object with one"))),
    };
    let made = Outcome {
        metric: options.take("metric", "a text")?.unwrap_or_default(),
        description: options.take("description", "a text")?.unwrap_or_default(),
        unit: options.take("unit", "a text")?,
        baseline: options.take("baseline", "a number")?,
        target: options.take("target", "a number")?,
        better: options.take("better", "'higher' or 'lower'")?,
    };
    options.done()?;
    Ok(made)
}

/// A status of a story by its name. Errors: `invalid_argument`.
pub fn status(name: &str) -> Result<StoryStatus> {
    STATUSES.into_iter().find(|status| status.as_str() == name).ok_or_else(|| {
        let names: Vec<&str> = STATUSES.into_iter().map(StoryStatus::as_str).collect();
        Error::invalid(format!("'{}' is no status of a story; there are {}", shorten(name), names.join(", ")))
    })
}

/// All that a story says, under the host's names.
pub fn shown(host: Host, story: &JobStory) -> Value {
    let outcomes = story.outcomes.iter().map(|one| {
        json!({
            "metric": one.metric, "description": one.description, "unit": one.unit, "baseline": one.baseline,
            "target": one.target, "better": one.better,
        })
    });
    // No user has a name in here.
    named(
        host,
        json!({
            "title": story.title, "role": story.role, "situation": story.situation, "motivation": story.motivation,
            "expected_outcome": story.expected_outcome, "domain": story.domain, "priority": story.priority,
            "outcomes": outcomes.collect::<Value>(), "status": story.status.as_str(),
        }),
    )
}

/// A story as it is kept.
pub fn kept(host: Host, kept: &KeptStory) -> Value {
    let measured = kept.measurements.iter().map(
        |one| json!({"metric": one.metric, "value": one.value, "time": one.time, "reached": one.reached}),
    );
    json!({
        "id": kept.id, "added": kept.added, "story": shown(host, &kept.story), "measurements": measured.collect::<Value>(),
    })
}

/// Makes the draft of a workflow for a story, of what an engine knows. Errors: those of [`jobs::generate`].
pub fn generate(
    engine: &Engine,
    story: &JobStory,
    kind: Option<&str>,
    customization: &Value,
) -> Result<Draft> {
    let known: Vec<Definition> = engine.list();
    jobs::generate(story, kind, customization, &known)
}

/// A draft with its explanation, which `text` says to people.
pub fn draft(host: Host, draft: &Draft) -> Value {
    let explanation = draft.explain();
    let filled = explanation
        .filled
        .iter()
        .map(|one| json!({"path": one.path, "value": one.value, "part": one.part, "words": one.words}));
    let candidates = explanation.candidates.iter().map(|one| {
        json!({
            "template": one.template, "title": one.title, "confidence": one.confidence, "score": one.score,
            "meaning": one.meaning, "words": one.words, "nearest": one.nearest, "topic": one.topic,
        })
    });
    let unfilled = draft.unfilled().iter().map(|one| {
        json!({"path": one.path, "description": one.description, "type": one.kind, "required": one.required})
    });
    let explained = json!({
        "named": explanation.named, "bound": explanation.bound, "candidates": candidates.collect::<Value>(),
        "filled": filled.collect::<Value>(), "customized": explanation.customized,
    });
    json!({
        "id": draft.id, "workflow": draft.workflow, "template": draft.template,
        host.name("template_version"): draft.template_version, "score": draft.score, "input": draft.input,
        "unfilled": unfilled.collect::<Value>(), "explanation": explained, "text": explanation.to_string(),
    })
}

fn named(host: Host, value: Value) -> Value {
    if host == Host::Node { camel(value) } else { value }
}
