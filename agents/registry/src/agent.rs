//! What is an agent, and what can be said about it?

use quorate_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Taxonomy;
use crate::text::cut;

/// The version of the agent format that this release reads and writes. Catalogue files name it, and so does the
/// published JSON Schema.
pub const SCHEMA_VERSION: u32 = 1;

/// Longest id, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Largest [`Agent::weight`].
pub const MAX_WEIGHT: f64 = 10.0;

/// Largest definition, in bytes of its JSON.
pub const MAX_AGENT_BYTES: usize = 1 << 20;

/// Largest [`Agent::card`], in bytes.
pub const MAX_CARD_BYTES: usize = 1 << 16;

/// Most [`Agent::topics`].
pub const MAX_TOPICS: usize = 512;

/// Longest topic, in bytes.
pub const MAX_TOPIC_BYTES: usize = 200;

/// Most [`Agent::works_with`].
pub const MAX_PARTNERS: usize = 64;

/// Longest [`Partner::why`], in bytes.
pub const MAX_WHY_BYTES: usize = 500;

/// Longest name of a tenant, in bytes.
pub const MAX_TENANT_BYTES: usize = 100;

/// Characters of a message of the JSON reader that are passed on.
const MAX_REASON: usize = 300;

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
    /// How the agent answers, as a template (minijinja) with `name`, `summary`, `domain`, `capabilities`, `boundaries` and
    /// `tools`. It joins the other fields in the prompt of the runtime, and takes no part in matching.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The field of work as a path, such as `regulatory/us/devices`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// What the agent is able to do, by names of the taxonomy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
    /// What the agent can be asked, with example questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<Skill>,
    /// What the agent is asked about, in the words of who asks: drugs, conditions, organs, kinds of devices, documents,
    /// authorities, laws, procedures; at most 512, each a word or a short phrase. Each is embedded for matching.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// What the agent does not answer, and who does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boundaries: Vec<Boundary>,
    /// Who is consulted together with the agent, and why; at most 64. Panels are chosen by it. One that is not there, or
    /// not to be seen, plays no part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub works_with: Vec<Partner>,
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
    /// Preference among equals, 0 to 10, usually 1. Doubling it adds 0.02 to the match score, halving it takes 0.02 away,
    /// down to a weight of 1/1024; an agent of weight 0 is never matched.
    #[serde(default = "one")]
    pub weight: f64,
    /// Where the agent is reached, when it runs elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The A2A card that the agent was imported from, as JSON text of at most 64 KiB: what it says beyond these fields
    /// (transports, further interfaces, security, provider) is exported again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
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

/// Another agent that is consulted together with this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The id of the other agent.
    pub agent: String,
    /// What brings both to the same table, as a short phrase.
    pub why: String,
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
            instructions: None,
            domain: String::new(),
            capabilities: Vec::new(),
            skills: Vec::new(),
            topics: Vec::new(),
            boundaries: Vec::new(),
            works_with: Vec::new(),
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
            card: None,
        }
    }

    /// Reads an agent from a JSON object and validates it. Errors: `invalid_argument` with every problem, `too_large`.
    pub fn from_json(value: &serde_json::Value) -> Result<Self> {
        let agent: Agent = serde_json::from_value(value.clone()).map_err(|e| {
            // The reader repeats the value that it does not take.
            let reason = cut(&e.to_string(), MAX_REASON);
            Error::invalid(format!("agent definition: {reason}"))
        })?;
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

    /// The order of agents that are equal otherwise: by id, then by tenant, none first.
    pub(crate) fn before(&self, other: &Agent) -> std::cmp::Ordering {
        self.id.cmp(&other.id).then_with(|| self.tenant.cmp(&other.tenant))
    }

    /// Whether `tenant` (none: nobody in particular) can see the agent.
    pub fn is_visible_to(&self, tenant: Option<&str>) -> bool {
        match &self.tenant {
            None => true,
            Some(owner) => self.visibility == Visibility::Public || tenant == Some(owner),
        }
    }

    /// Whether `tenant` takes the word of the agent's definition: it is shared, or the tenant's own.
    pub(crate) fn is_trusted_by(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }

    /// The JSON Schema (draft 2020-12) of an agent, with [`SCHEMA_VERSION`] in its `$id`.
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Agent).to_value();
        if let Some(object) = schema.as_object_mut() {
            object.insert("$id".into(), format!("urn:quorate:agent:v{SCHEMA_VERSION}").into());
        }
        schema
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

impl Partner {
    /// Another agent, and why both are consulted.
    pub fn new(agent: impl Into<String>, why: impl Into<String>) -> Self {
        Partner { agent: agent.into(), why: why.into() }
    }
}

impl Capability {
    /// A capability at a level, without evidence.
    pub fn new(name: impl Into<String>, level: Level) -> Self {
        Capability { name: name.into(), level, evidence: Vec::new() }
    }
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
