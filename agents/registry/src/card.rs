//! How does an agent travel as an A2A agent card?
//!
//! The Agent2Agent protocol describes an agent by a JSON card (<https://a2a-protocol.org>, versions 0.3 and 1.0).
//! A card has no place for capabilities with levels, cost, boundaries and the like; they travel in a protocol
//! extension, so that export and import together lose nothing.

use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value as Json, json};

use crate::agent::{MAX_ID_BYTES, SCHEMA_VERSION};
use crate::{Agent, Port, Skill};

/// The URI of the extension that carries the whole definition.
pub const EXTENSION_URI: &str = "urn:quorate:agent:v1";

impl Agent {
    /// The agent as an A2A card that clients of protocol versions 0.3 and 1.0 read. An agent without
    /// [`url`](Agent::url) gets a `urn:` in its place.
    ///
    /// ```
    /// use quorate_agents::{Agent, Skill};
    /// let mut agent = Agent::new("pump-expert", "Pump expert", "Knows infusion pumps.");
    /// agent.skills = vec![Skill::new("alarms", ["Which alarms does a pump need?"])];
    /// let card = agent.to_card();
    /// assert_eq!(card["skills"][0]["examples"][0], "Which alarms does a pump need?");
    /// assert_eq!(Agent::from_card(&card).unwrap(), agent);
    /// ```
    pub fn to_card(&self) -> Json {
        let url = self.url.clone().unwrap_or_else(|| format!("urn:quorate:agent:{}", self.id));
        let skills: Vec<Json> = self
            .skills
            .iter()
            .map(|skill| {
                let mut tags = skill.tags.clone();
                tags.extend(self.tags.iter().filter(|t| !skill.tags.contains(t)).cloned());
                let name = if skill.name.is_empty() { &skill.id } else { &skill.name };
                let description = if skill.description.is_empty() { name } else { &skill.description };
                json!({
                    "id": skill.id,
                    "name": name,
                    "description": description,
                    "tags": tags,
                    "examples": skill.examples,
                })
            })
            .collect();
        json!({
            "protocolVersion": "0.3.0",
            "name": self.name,
            "description": self.summary,
            "url": url,
            "preferredTransport": "JSONRPC",
            "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
            "version": self.version,
            "capabilities": {
                "streaming": false,
                "pushNotifications": false,
                "extensions": [{
                    "uri": EXTENSION_URI,
                    "description": "Capabilities with levels, boundaries, cost and other fields for matching",
                    "required": false,
                    "params": {"schema_version": SCHEMA_VERSION, "agent": self},
                }],
            },
            "defaultInputModes": modes(&self.inputs),
            "defaultOutputModes": modes(&self.outputs),
            "skills": skills,
        })
    }

    /// Reads an A2A card of protocol version 0.3 or 1.0. With the quorate extension the definition is taken from it;
    /// without, the id is made of the name, and what a card cannot say has its default.
    ///
    /// Errors: `invalid_argument` with every field that is missing or of the wrong type, `format_version`.
    pub fn from_card(card: &Json) -> Result<Self> {
        let Some(card) = card.as_object() else {
            return Err(Error::invalid("agent card: expected a JSON object"));
        };
        if let Some(params) = extension(card) {
            if params["schema_version"] != json!(SCHEMA_VERSION) {
                return Err(Error::new(
                    Code::FormatVersion,
                    format!(
                        "agent card: schema_version {} is not one that this release reads ({SCHEMA_VERSION})",
                        params["schema_version"]
                    ),
                ));
            }
            return Agent::from_json(&params["agent"]).map_err(|e| e.context("agent card"));
        }
        let mut reader = Reader { problems: Vec::new() };
        let name = reader.text(card, "name", "name", true);
        let summary = reader.text(card, "description", "description", true);
        let mut agent = Agent::new(slug(&name), name, summary);
        let version = reader.text(card, "version", "version", false);
        if !version.is_empty() {
            agent.version = version;
        }
        let first = card.get("supportedInterfaces").and_then(|v| v.get(0)).and_then(Json::as_object);
        let url = match first {
            Some(interface) => reader.text(interface, "url", "supportedInterfaces[0].url", false),
            None => reader.text(card, "url", "url", false),
        };
        agent.url = (!url.is_empty()).then_some(url);
        agent.inputs = ports(reader.texts(card, "defaultInputModes", "defaultInputModes"));
        agent.outputs = ports(reader.texts(card, "defaultOutputModes", "defaultOutputModes"));
        match card.get("skills") {
            Some(Json::Array(skills)) => {
                for (i, skill) in skills.iter().enumerate() {
                    match skill.as_object() {
                        Some(skill) => agent.skills.push(reader.skill(skill, i)),
                        None => reader.problems.push(format!("skills[{i}]: expected an object")),
                    }
                }
            }
            _ => reader.problems.push("skills: expected a list".into()),
        }
        for tag in agent.skills.iter().flat_map(|s| &s.tags) {
            if !agent.tags.contains(tag) {
                agent.tags.push(tag.clone());
            }
        }
        if !reader.problems.is_empty() {
            return Err(Error::invalid(format!("agent card: {}", reader.problems.join("; "))));
        }
        agent.validate().map_err(|e| e.context("agent card"))?;
        Ok(agent)
    }
}

/// The parameters of the quorate extension.
fn extension(card: &Map<String, Json>) -> Option<&Json> {
    let extensions = card.get("capabilities")?.get("extensions")?.as_array()?;
    extensions.iter().find(|e| e["uri"] == EXTENSION_URI)?.get("params")
}

struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn text(&mut self, object: &Map<String, Json>, key: &str, path: &str, required: bool) -> String {
        match object.get(key) {
            Some(Json::String(text)) => return text.clone(),
            None | Some(Json::Null) if !required => {}
            None | Some(Json::Null) => self.problems.push(format!("{path}: is missing")),
            Some(_) => self.problems.push(format!("{path}: expected a string")),
        }
        String::new()
    }

    fn texts(&mut self, object: &Map<String, Json>, key: &str, path: &str) -> Vec<String> {
        let items = match object.get(key) {
            None | Some(Json::Null) => return Vec::new(),
            Some(Json::Array(items)) => items,
            Some(_) => {
                self.problems.push(format!("{path}: expected a list of strings"));
                return Vec::new();
            }
        };
        let mut out = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(text) => out.push(text.to_owned()),
                None => self.problems.push(format!("{path}[{i}]: expected a string")),
            }
        }
        out
    }

    fn skill(&mut self, skill: &Map<String, Json>, i: usize) -> Skill {
        Skill {
            id: self.text(skill, "id", &format!("skills[{i}].id"), true),
            name: self.text(skill, "name", &format!("skills[{i}].name"), false),
            description: self.text(skill, "description", &format!("skills[{i}].description"), false),
            examples: self.texts(skill, "examples", &format!("skills[{i}].examples")),
            tags: self.texts(skill, "tags", &format!("skills[{i}].tags")),
        }
    }
}

/// Media types, each once; a card must name at least one.
fn modes(ports: &[Port]) -> Vec<&str> {
    let mut out: Vec<&str> = Vec::new();
    for port in ports {
        if !out.contains(&port.media_type.as_str()) {
            out.push(&port.media_type);
        }
    }
    if out.is_empty() {
        out.push("text/plain");
    }
    out
}

/// Old cards say `text` where newer ones say `text/plain`.
fn ports(modes: Vec<String>) -> Vec<Port> {
    modes
        .into_iter()
        .map(|mode| {
            let media_type = if mode.contains('/') { mode.clone() } else { format!("{mode}/plain") };
            Port { name: mode, media_type }
        })
        .collect()
}

/// A name as an id: lower case, words joined by hyphens.
fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut id = if words.is_empty() { "agent".to_owned() } else { words.join("-") };
    id.truncate(MAX_ID_BYTES);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_of_version_0_3_is_read() {
        let card = json!({
            "protocolVersion": "0.3.0",
            "name": "GeoSpatial Route Planner",
            "description": "Plans routes and maps.",
            "url": "https://example.org/a2a",
            "version": "2.1.0",
            "capabilities": {"streaming": true},
            "defaultInputModes": ["text", "application/json"],
            "defaultOutputModes": ["image/png"],
            "skills": [{
                "id": "route", "name": "Route", "description": "Finds a route.",
                "tags": ["maps"], "examples": ["How do I get from A to B?"]
            }]
        });
        let agent = Agent::from_card(&card).unwrap();
        assert_eq!(agent.id, "geospatial-route-planner");
        assert_eq!(agent.version, "2.1.0");
        assert_eq!(agent.url.as_deref(), Some("https://example.org/a2a"));
        assert_eq!(agent.inputs[0].media_type, "text/plain");
        assert_eq!(agent.tags, ["maps"]);
        assert_eq!(agent.examples().collect::<Vec<_>>(), ["How do I get from A to B?"]);
    }

    #[test]
    fn a_card_of_version_1_0_is_read() {
        let card = json!({
            "name": "Weather", "description": "Knows the weather.", "version": "1.0",
            "supportedInterfaces": [{"url": "https://w.example/a2a", "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
            "capabilities": {}, "defaultInputModes": [], "defaultOutputModes": [], "skills": []
        });
        assert_eq!(Agent::from_card(&card).unwrap().url.as_deref(), Some("https://w.example/a2a"));
    }

    #[test]
    fn every_problem_of_a_card_is_reported() {
        let card = json!({"name": 3, "defaultInputModes": [1], "skills": [{"id": "a", "examples": "x"}, 5]});
        let error = Agent::from_card(&card).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        for part in ["name:", "description:", "defaultInputModes[0]", "skills[0].examples", "skills[1]"] {
            assert!(error.message().contains(part), "{part} not in {}", error.message());
        }
        assert_eq!(Agent::from_card(&json!([])).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn a_card_from_the_future_is_refused() {
        let mut card = Agent::new("a", "A", "s").to_card();
        card["capabilities"]["extensions"][0]["params"]["schema_version"] = json!(99);
        assert_eq!(Agent::from_card(&card).unwrap_err().code(), Code::FormatVersion);
    }
}
