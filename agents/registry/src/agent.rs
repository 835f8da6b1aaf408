//! What is an agent, and what can be said about it?

use quorate_core::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Taxonomy;

/// The version of the agent format that this release reads and writes. Catalogue files name it, and so does the
/// published JSON Schema.
pub const SCHEMA_VERSION: u32 = 1;

/// Longest id, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Largest [`Agent::weight`].
pub const MAX_WEIGHT: f64 = 10.0;

/// An expert that can be asked: what it is good at, what it costs, who may see it.
///
/// ```
/// use quorate_agents::{Agent, Skill};
/// let agent = Agent {
///     skills: vec![Skill::new("predicates", ["Which predicate fits our pump?"])],
///     ..Agent::new("fda-510k", "510(k) strategist", "Argues substantial equivalence to a predicate device.")
/// };
/// assert!(agent.validate().is_ok());
/// let json = serde_json::to_string(&agent).unwrap();
/// assert_eq!(serde_json::from_str::<Agent>(&json).unwrap(), agent);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Unique within its tenant: 1 to 128 bytes of letters, digits and `-_.:`.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// What the agent does, in a sentence or two. It is embedded for matching.
    pub summary: String,
    /// The field of work as a path, such as `regulatory/us/devices`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// What the agent is able to do, by names of the taxonomy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
    /// What the agent can be asked, with example questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<Skill>,
    /// What the agent does not answer, and who does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boundaries: Vec<Boundary>,
    /// Names of the tools that the agent uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Languages that the agent answers in, as BCP 47 tags such as `en` or `pt-BR`.
    #[serde(default = "english")]
    pub languages: Vec<String>,
    /// What the agent needs to be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Port>,
    /// What the agent hands back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Port>,
    /// How large a model the agent needs.
    #[serde(default)]
    pub model_tier: ModelTier,
    /// Expected cost of one call, in US dollars; not below zero.
    #[serde(default)]
    pub cost_per_call: f64,
    /// How soon an answer can be expected.
    #[serde(default)]
    pub latency: Latency,
    /// The tenant that owns the agent; `null` when it is shared by all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Who can see an agent that a tenant owns.
    #[serde(default)]
    pub visibility: Visibility,
    /// Permissions that a caller needs to use the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// Free words for filtering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The version of this definition, such as `1.2.0`.
    #[serde(default = "first_version")]
    pub version: String,
    /// Whether the agent is in use; only active agents are matched.
    #[serde(default)]
    pub status: Status,
    /// Whether the agent can be called at present.
    #[serde(default = "yes")]
    pub available: bool,
    /// Preference among equals: the match score is multiplied by `weight` before ranking. 0 to 10, usually 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// Where the agent is reached, when it runs elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// One thing that an agent is able to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// A dotted name of the taxonomy, such as `regulatory.fda.510k`.
    pub name: String,
    /// How well.
    #[serde(default)]
    pub level: Level,
    /// What the claim rests on: statutes, standards, guidelines, track record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// How well an agent does something; ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Knows the outlines.
    Basic,
    /// Does it regularly.
    #[default]
    Proficient,
    /// Is asked by others.
    Expert,
}

/// A group of questions that an agent answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// Unique within the agent.
    pub id: String,
    /// The name that people read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What the skill covers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Questions as a real person would ask them. Each is embedded for matching.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// Free words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A subject that an agent leaves to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boundary {
    /// What is not answered.
    pub topic: String,
    /// The id of the agent that answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refer_to: Option<String>,
}

/// Something that goes into an agent or comes out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What it is.
    pub name: String,
    /// Its media type (RFC 6838), such as `text/markdown`.
    #[serde(default = "plain_text")]
    pub media_type: String,
}

/// How large a model an agent needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelTier {
    /// A small, fast model.
    Small,
    /// A general model.
    #[default]
    Medium,
    /// The most capable model.
    Large,
}

/// How soon an answer can be expected; ordered from fast to slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// Within a few seconds: somebody is waiting.
    Interactive,
    /// Within a minute.
    #[default]
    Standard,
    /// Minutes or longer.
    Batch,
}

/// Who can see an agent that a tenant owns. Agents without a tenant are seen by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Its own tenant only.
    #[default]
    Private,
    /// Every tenant may use it; only its own may change it.
    Public,
}

/// Where an agent is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being written.
    Draft,
    /// In use.
    #[default]
    Active,
    /// Kept for the record.
    Deprecated,
}

impl Agent {
    /// An active agent with defaults for everything but its id, name and summary.
    pub fn new(id: impl Into<String>, name: impl Into<String>, summary: impl Into<String>) -> Self {
        Agent {
            id: id.into(),
            name: name.into(),
            summary: summary.into(),
            domain: String::new(),
            capabilities: Vec::new(),
            skills: Vec::new(),
            boundaries: Vec::new(),
            tools: Vec::new(),
            languages: english(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            model_tier: ModelTier::default(),
            cost_per_call: 0.0,
            latency: Latency::default(),
            tenant: None,
            visibility: Visibility::default(),
            permissions: Vec::new(),
            tags: Vec::new(),
            version: first_version(),
            status: Status::default(),
            available: true,
            weight: 1.0,
            url: None,
        }
    }

    /// Reads an agent from a JSON object and validates it. Errors: `invalid_argument` with every problem.
    pub fn from_json(value: &serde_json::Value) -> Result<Self> {
        let agent: Agent = serde_json::from_value(value.clone())
            .map_err(|e| Error::with_source(Code::InvalidArgument, format!("agent definition: {e}"), e))?;
        agent.validate()?;
        Ok(agent)
    }

    /// The example questions of all skills.
    pub fn examples(&self) -> impl Iterator<Item = &str> {
        self.skills.iter().flat_map(|s| s.examples.iter().map(String::as_str))
    }

    /// Whether the agent has the capability or a descendant of it: `regulatory.fda` is met by `regulatory.fda.510k`.
    pub fn has_capability(&self, required: &str) -> bool {
        self.capabilities.iter().any(|c| Taxonomy::covers(required, &c.name))
    }

    /// Whether `tenant` (none: nobody in particular) can see the agent.
    pub fn is_visible_to(&self, tenant: Option<&str>) -> bool {
        match &self.tenant {
            None => true,
            Some(owner) => self.visibility == Visibility::Public || tenant == Some(owner),
        }
    }

    /// Checks every field. Errors: `invalid_argument` with every problem, not just the first.
    pub fn validate(&self) -> Result<()> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = problems.iter().map(|(field, what)| format!("{field}: {what}")).collect();
        Err(Error::invalid(format!("agent '{}': {}", self.id, list.join("; "))))
    }

    /// The JSON Schema (draft 2020-12) of an agent, with [`SCHEMA_VERSION`] in its `$id`.
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Agent).to_value();
        if let Some(object) = schema.as_object_mut() {
            object.insert("$id".into(), format!("urn:quorate:agent:v{SCHEMA_VERSION}").into());
        }
        schema
    }

    /// Every problem as the field (a path such as `skills[0].examples[2]`) and what is wrong with it.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let mut found = Problems(Vec::new());
        if let Err(what) = check_id(&self.id) {
            found.add("id", what);
        }
        found.text("name", &self.name);
        found.text("summary", &self.summary);
        found.text("version", &self.version);
        if !(self.cost_per_call.is_finite() && self.cost_per_call >= 0.0) {
            found.add(
                "cost_per_call",
                format!("{} is not a cost; give US dollars, 0 or more", self.cost_per_call),
            );
        }
        if !(self.weight.is_finite() && (0.0..=MAX_WEIGHT).contains(&self.weight)) {
            found.add("weight", format!("{} lies outside 0 to {MAX_WEIGHT}", self.weight));
        }
        for (i, capability) in self.capabilities.iter().enumerate() {
            if let Err(what) = Taxonomy::check_name(&capability.name) {
                found.add(format!("capabilities[{i}].name"), what);
            }
        }
        found.distinct("capabilities", self.capabilities.iter().map(|c| c.name.as_str()), ".name");
        for (i, skill) in self.skills.iter().enumerate() {
            found.text(format!("skills[{i}].id"), &skill.id);
            for (j, example) in skill.examples.iter().enumerate() {
                found.text(format!("skills[{i}].examples[{j}]"), example);
            }
        }
        found.distinct("skills", self.skills.iter().map(|s| s.id.as_str()), ".id");
        for (i, boundary) in self.boundaries.iter().enumerate() {
            found.text(format!("boundaries[{i}].topic"), &boundary.topic);
        }
        if self.languages.is_empty() {
            found.add("languages", "no language; name at least one, such as 'en'");
        }
        for (i, language) in self.languages.iter().enumerate() {
            if !is_language_tag(language) {
                found.add(
                    format!("languages[{i}]"),
                    format!("'{language}' is not a language tag such as 'en' or 'pt-BR'"),
                );
            }
        }
        for (field, ports) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            for (i, port) in ports.iter().enumerate() {
                found.text(format!("{field}[{i}].name"), &port.name);
                if !is_media_type(&port.media_type) {
                    found.add(
                        format!("{field}[{i}].media_type"),
                        format!("'{}' is not a media type such as 'text/plain'", port.media_type),
                    );
                }
            }
        }
        for (field, words) in
            [("tools", &self.tools), ("permissions", &self.permissions), ("tags", &self.tags)]
        {
            for (i, word) in words.iter().enumerate() {
                found.text(format!("{field}[{i}]"), word);
            }
        }
        if self.tenant.as_deref().is_some_and(|t| t.trim().is_empty() || t.contains('\0')) {
            found.add("tenant", "is empty or holds a NUL; leave it out for an agent that all share");
        }
        found.0
    }
}

impl Skill {
    /// A skill with its example questions; id and name are the same.
    pub fn new<T: Into<String>>(id: impl Into<String>, examples: impl IntoIterator<Item = T>) -> Self {
        let id = id.into();
        Skill {
            name: id.clone(),
            id,
            description: String::new(),
            examples: examples.into_iter().map(Into::into).collect(),
            tags: Vec::new(),
        }
    }
}

impl Capability {
    /// A capability at a level, without evidence.
    pub fn new(name: impl Into<String>, level: Level) -> Self {
        Capability { name: name.into(), level, evidence: Vec::new() }
    }
}

struct Problems(Vec<(String, String)>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.0.push((field.into(), what.into()));
    }

    fn text(&mut self, field: impl Into<String>, text: &str) {
        if text.trim().is_empty() {
            self.add(field, "is empty");
        }
    }

    fn distinct<'a>(&mut self, field: &str, names: impl Iterator<Item = &'a str>, member: &str) {
        let mut seen = std::collections::BTreeSet::new();
        for (i, name) in names.enumerate() {
            if !seen.insert(name) {
                self.add(format!("{field}[{i}]{member}"), format!("'{name}' stands here twice"));
            }
        }
    }
}

/// What is wrong with an id, if anything.
pub(crate) fn check_id(id: &str) -> std::result::Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.chars().all(plain) {
        return Err(format!(
            "'{id}' is not an id; use 1 to {MAX_ID_BYTES} letters, digits, '-', '_', '.' or ':'"
        ));
    }
    Ok(())
}

fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or("");
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_media_type(text: &str) -> bool {
    let part =
        |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b));
    text.split(';').next().and_then(|t| t.trim().split_once('/')).is_some_and(|(a, b)| part(a) && part(b))
}

fn english() -> Vec<String> {
    vec!["en".into()]
}

fn first_version() -> String {
    "1.0.0".into()
}

fn plain_text() -> String {
    "text/plain".into()
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_at_once() {
        let mut agent = Agent::new("bad id", "", "x");
        agent.cost_per_call = -0.5;
        agent.weight = f64::NAN;
        agent.languages = vec!["english".into()];
        agent.capabilities = vec![Capability::new("Regulatory..fda", Level::Expert)];
        agent.outputs = vec![Port { name: "x".into(), media_type: "markdown".into() }];
        agent.skills = vec![Skill::new("a", ["ok", " "]), Skill::new("a", ["ok"])];
        let error = agent.validate().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        for part in [
            "id: 'bad id'",
            "name: is empty",
            "cost_per_call: -0.5",
            "weight: NaN",
            "languages[0]",
            "capabilities[0].name",
            "outputs[0].media_type",
            "skills[0].examples[1]",
            "skills[1].id",
        ] {
            assert!(error.message().contains(part), "{part} not in {}", error.message());
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let json = serde_json::json!({"id": "a", "name": "A", "summary": "s", "sumary": "t"});
        let error = Agent::from_json(&json).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("sumary"));
    }

    #[test]
    fn visibility() {
        let mut agent = Agent::new("a", "A", "s");
        assert!(agent.is_visible_to(None) && agent.is_visible_to(Some("x")));
        agent.tenant = Some("x".into());
        assert!(agent.is_visible_to(Some("x")));
        assert!(!agent.is_visible_to(Some("y")) && !agent.is_visible_to(None));
        agent.visibility = Visibility::Public;
        assert!(agent.is_visible_to(Some("y")) && agent.is_visible_to(None));
    }

    #[test]
    fn tags_and_types() {
        assert!(is_language_tag("en") && is_language_tag("pt-BR") && is_language_tag("zh-Hant-TW"));
        assert!(!is_language_tag("e") && !is_language_tag("en_US") && !is_language_tag(""));
        assert!(is_media_type("text/plain; charset=utf-8") && is_media_type("image/*"));
        assert!(!is_media_type("text") && !is_media_type("/plain"));
    }
}
