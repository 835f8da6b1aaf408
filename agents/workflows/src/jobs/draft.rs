//! How does a story become the draft of a workflow?

use std::collections::BTreeMap;
use std::fmt;

use quorate_core::{Code, Error, Result, shorten};
use quorate_state::StateStore;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::choose::{Candidate, MIN_CONFIDENCE, none_fits, rank};
use super::fill::{Filled, Unfilled, fill, with_values};
use super::story::JobStory;
use super::write::yaml;
use crate::flow::{Definition, Engine, EngineOptions, Problem};

/// The largest customization, in bytes of its JSON.
const MAX_CUSTOMIZATION_BYTES: usize = 1 << 20;
/// How many candidates an explanation shows.
const SHOWN: usize = 3;
/// The longest word of an id that is made of a title, in characters.
const ID_CHARS: usize = 60;

/// A workflow that was made for a story. It is a text and nothing else: no run was started, and no engine knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Draft {
    /// The id of the workflow: that of the customization, or `jobs.` with the title and a hash of what it was made from.
    pub id: String,
    /// The workflow as YAML, with everything in it: it needs no fragments beside it, and it has no problems.
    pub workflow: String,
    /// The template that it was made from.
    pub template: String,
    /// The version of that template.
    pub template_version: String,
    /// Probability, 0 to 1, that the template does the job.
    pub score: f64,
    /// What the story gives of the input. With what [`Draft::unfilled`] lists it is what the workflow is started with.
    pub input: Value,
    unfilled: Vec<Unfilled>,
    explanation: DraftExplanation,
    #[serde(skip)]
    definition: Definition,
}

/// Where a draft comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DraftExplanation {
    /// Whether the template was named, instead of chosen.
    pub named: bool,
    /// From which confidence on a template is taken that was not named.
    pub bound: f64,
    /// The templates that were compared, the likeliest first.
    pub candidates: Vec<Candidate>,
    /// What the story gave.
    pub filled: Vec<Filled>,
    /// What the customization changed, as expressions name it: `steps.offer`.
    pub customized: Vec<String>,
}

impl fmt::Display for DraftExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.named {
            true => writeln!(f, "the template was named")?,
            false => writeln!(f, "the likeliest template with a confidence of at least {}", self.bound)?,
        }
        for candidate in self.candidates.iter().take(SHOWN) {
            writeln!(f, "{candidate}")?;
        }
        for Filled { path, value, part, words } in &self.filled {
            match words.is_empty() {
                true => writeln!(f, "{path} = {value} from the {part}")?,
                false => writeln!(f, "{path} = {value} from '{}' ({part})", shorten(words))?,
            }
        }
        match self.customized.is_empty() {
            true => write!(f, "nothing was customized"),
            false => write!(f, "customized: {}", self.customized.join(", ")),
        }
    }
}

impl Draft {
    /// The values of the input that the story does not give, the required first. One that is not required may stay out.
    pub fn unfilled(&self) -> &[Unfilled] {
        &self.unfilled
    }

    /// Why this template, and which words gave which value.
    pub fn explain(&self) -> &DraftExplanation {
        &self.explanation
    }

    /// The workflow, ready for an engine.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }
}

/// Makes the draft of a workflow for a story: takes the template that does the job, fills in what the story gives, and lists what it
/// does not. Nothing is started. The same story gives the same draft.
///
/// `kind` names a template by its id, or the last part of it; or the domain from which one is chosen. Without it, one of the
/// story's domain is chosen where templates have that domain, else one of all. `customization` is laid over the workflow by the rules
/// of an overlay's `patch:` (deep merge, lists by `id`, `$delete`); null or an empty mapping changes nothing.
///
/// Errors: those of [`JobStory::validate`]; `no_template` where none is confident enough, with the nearest; `unknown_id` for a
/// `kind` that is neither template nor domain; `invalid_argument` for a customization that is no mapping; `too_large`;
/// `invalid_document` with every problem where the customized workflow has any; `invalid_text` for characters that no YAML holds.
///
/// ```
/// use quorate_workflows::flow::templates;
/// use quorate_workflows::jobs::{JobStory, generate};
/// use serde_json::json;
/// let templates: Vec<_> = templates().into_iter().map(|template| template.definition).collect();
/// let story = JobStory::parse("When order 1042 is four days late, I want to find where the parcel is, so I can tell the customer")?;
/// let draft = generate(&story, None, &json!({"queue": {"name": "late"}}), &templates)?;
/// assert_eq!((draft.template.as_str(), &draft.input), ("track_order", &json!({"order": "1042"})));
/// assert!(draft.unfilled().is_empty() && draft.score > 0.35 && draft.workflow.contains("name: late"));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn generate(
    story: &JobStory,
    kind: Option<&str>,
    customization: &Value,
    templates: &[Definition],
) -> Result<Draft> {
    story.validate()?;
    let customization = match customization {
        Value::Null => None,
        Value::Object(members) if members.is_empty() => None,
        Value::Object(_) => Some(customization),
        _ => {
            return Err(Error::invalid(
                "the customization is no mapping; give what an overlay has under patch",
            ));
        }
    };
    if let Some(size) =
        customization.map(|patch| patch.to_string().len()).filter(|n| *n > MAX_CUSTOMIZATION_BYTES)
    {
        return Err(Error::new(
            Code::TooLarge,
            format!("the customization has {size} bytes, {MAX_CUSTOMIZATION_BYTES} are possible"),
        ));
    }
    let (among, named) = among(story, kind, templates)?;
    let candidates = rank(story, &among)?;
    let best = match &named {
        Some(named) => candidates.iter().find(|one| one.template == named.id()),
        None => candidates.first().filter(|best| best.confidence >= MIN_CONFIDENCE),
    };
    let Some(best) = best else { return Err(none_fits(&candidates)) };
    let template = among.iter().find(|one| one.id() == best.template).copied();
    let Some(template) = template else { return Err(none_fits(&candidates)) };

    let schema = |form: &Value| form.get("input").cloned().unwrap_or(json!({}));
    let mut form = template.rendered().clone();
    let (filled, _) = fill(&schema(&form), story);
    // Another story, template or customization makes another workflow.
    let sources = json!([story, template.hash(), customization]).to_string();
    let mark = blake3::hash(sources.as_bytes()).to_hex();
    write_story(&mut form, story, template, &filled, &mark[..8]);
    if let Some(patch) = customization {
        form = customized(&form, patch)?;
    }
    // Of the input as it is now: a customization may ask for other values.
    let (filled, unfilled) = fill(&schema(&form), story);
    let title = form.get("title").and_then(Value::as_str).unwrap_or_default();
    let mut comment = vec![
        format!("A draft for the job: {}", shorten(title)),
        format!("Made from {} {}; it has not been started.", template.id(), template.version()),
    ];
    comment.extend(unfilled.iter().map(|open| {
        let need = if open.required { "To be given" } else { "May be given" };
        format!("{need}: {}: {}", open.path, shorten(&open.description))
    }));
    let workflow = yaml(&form, &comment)?;
    let definition = scratch()?.add(&workflow)?;
    if definition.rendered() != &form {
        return Err(Error::new(
            Code::InvalidText,
            "the draft has characters that YAML does not hold; leave them out of the story and the customization",
        ));
    }
    let explanation = DraftExplanation {
        named: named.is_some(),
        bound: MIN_CONFIDENCE,
        filled: filled.clone(),
        customized: customization.map(paths).unwrap_or_default(),
        candidates: candidates.clone(),
    };
    Ok(Draft {
        id: definition.id().to_owned(),
        workflow,
        template: template.id().to_owned(),
        template_version: template.version().to_owned(),
        score: best.confidence,
        input: with_values(json!({}), &filled),
        unfilled,
        explanation,
        definition,
    })
}

/// The templates to choose from, and the one that was named. Errors: `unknown_id`.
fn among<'a>(
    story: &JobStory,
    kind: Option<&str>,
    templates: &'a [Definition],
) -> Result<(Vec<&'a Definition>, Option<&'a Definition>)> {
    let all: Vec<&Definition> = templates.iter().collect();
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let of_domain = |domain: &str| -> Vec<&'a Definition> {
        templates.iter().filter(|one| one.domain().is_some_and(|own| plain(own) == plain(domain))).collect()
    };
    let Some(kind) = kind else {
        let own = story.domain.as_deref().map(of_domain).unwrap_or_default();
        return Ok((if own.is_empty() { all } else { own }, None));
    };
    if let Some(named) = templates.iter().find(|one| one.id() == kind) {
        return Ok((all, Some(named)));
    }
    let last: Vec<&Definition> =
        templates.iter().filter(|one| one.id().rsplit('.').next() == Some(kind)).collect();
    if let [named] = last[..] {
        return Ok((all, Some(named)));
    }
    let own = of_domain(kind);
    if !own.is_empty() {
        return Ok((own, None));
    }
    let mut known: Vec<&str> = templates.iter().map(Definition::id).take(40).collect();
    let mut domains: Vec<&str> = templates.iter().filter_map(Definition::domain).collect();
    domains.sort_unstable();
    domains.dedup();
    known.extend(domains.into_iter().take(20));
    Err(Error::new(
        Code::UnknownId,
        format!("no template and no domain is called '{}'; there are {}", shorten(kind), known.join(", ")),
    ))
}

/// What the story says about the workflow itself, and an example with what it gives.
fn write_story(form: &mut Value, story: &JobStory, template: &Definition, filled: &[Filled], mark: &str) {
    let title = one_line(story.shown_title());
    let Value::Object(members) = form else { return };
    members.insert("id".to_owned(), format!("jobs.{}_{mark}", slug(&title)).into());
    members.insert("version".to_owned(), "0.1.0".into());
    members.insert("title".to_owned(), if title.is_empty() { template.title().into() } else { title.into() });
    let description = format!(
        "Situation: {}. Motivation: {}. Expected outcome: {}.",
        one_line(&story.situation),
        one_line(&story.motivation),
        one_line(&story.expected_outcome)
    );
    members.insert("description".to_owned(), description.into());
    if let Some(domain) = story.domain.as_deref().map(one_line).filter(|domain| !domain.is_empty()) {
        members.insert("domain".to_owned(), domain.into());
    }
    if let Some(example) = members.get("example").cloned() {
        members.insert("example".to_owned(), with_values(example, filled));
    }
    // A workflow that takes its priority from the input is given it there.
    let by_input = filled.iter().any(|one| one.path == "input.priority");
    let queue = members.entry("queue").or_insert_with(|| json!({}));
    if let Value::Object(queue) = queue
        && !(by_input && queue.get("priority").is_some_and(Value::is_string))
    {
        queue.insert("priority".to_owned(), story.priority.into());
    }
}

/// A form with a patch over it, by the rules of overlays. Errors: `invalid_document` with every problem.
fn customized(form: &Value, patch: &Value) -> Result<Value> {
    let overlay =
        json!({"apiVersion": "quorate/v1", "kind": "Overlay", "id": "customization", "patch": patch});
    let files = BTreeMap::from([
        ("workflow.json".to_owned(), form.to_string()),
        ("overlays/customization.json".to_owned(), overlay.to_string()),
    ]);
    let engine = scratch()?;
    let before: Vec<String> = engine.list().iter().map(|one| one.hash().to_owned()).collect();
    engine.load_pack(files, &["customization".to_owned()])?;
    let made = engine.list().into_iter().find(|one| !before.iter().any(|hash| hash == one.hash()));
    if let Some(made) = made {
        return Ok(made.rendered().clone());
    }
    let told: Vec<String> = engine.validate().iter().map(Problem::to_string).collect();
    let told = if told.is_empty() { "it is no workflow any more".to_owned() } else { told.join("\n") };
    Err(Error::new(Code::InvalidDocument, format!("the customized workflow has problems: {told}")))
}

/// An engine that runs nothing, to read definitions as every engine does.
fn scratch() -> Result<Engine> {
    Engine::new(StateStore::memory(), EngineOptions { concurrency: Some(0), ..EngineOptions::default() })
}

/// The places that a patch changes: as deep as mappings go, three steps at most.
fn paths(patch: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, depth: usize, found: &mut Vec<String>) {
        match value {
            Value::Object(members)
                if depth < 3 && !members.is_empty() && !members.contains_key("$delete") =>
            {
                for (key, value) in members {
                    let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    walk(value, &at, depth + 1, found);
                }
            }
            _ => found.push(at.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(patch, "", 0, &mut found);
    found.sort();
    found
}

/// A text without the ends of its lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A word of an id: small letters, digits and `_`.
fn slug(title: &str) -> String {
    let mut word = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else if !word.is_empty() && !word.ends_with('_') {
            word.push('_');
        }
        if word.len() >= ID_CHARS {
            break;
        }
    }
    let word = word.trim_matches('_');
    if word.is_empty() { "story".to_owned() } else { word.to_owned() }
}
