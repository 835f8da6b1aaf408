//! How does an agent travel as an A2A agent card?
//!
//! The Agent2Agent protocol describes an agent by a JSON card (<https://a2a-protocol.org>, versions 0.3 and 1.0).
//! A card has no place for capabilities with levels, cost, boundaries and the like; they travel in a protocol
//! extension, so that export and import together lose nothing. The other way round, what a card says beyond an agent's
//! fields is kept with the agent ([`Agent::card`]) and exported again.

use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value as Json, json};

use crate::agent::{MAX_CARD_BYTES, MAX_ID_BYTES, SCHEMA_VERSION};
use crate::text::shown;
use crate::{Agent, Port, Skill};

/// The URI of the extension that carries the whole definition.
pub const EXTENSION_URI: &str = "urn:quorate:agent:v1";

/// The transport of a card of version 0.3 that names none.
const DEFAULT_TRANSPORT: &str = "JSONRPC";

impl Agent {
    /// The agent as an A2A card that clients of protocol versions 0.3 and 1.0 read. An agent without
    /// [`url`](Agent::url) gets a `urn:` in its place. An agent that was imported says what its card said wherever the
    /// fields still say the same; for another address than the card's, JSON-RPC is stated, which A2A has as its default.
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
        let kept = Kept::of(self);
        let mut card = kept.card;
        let url = self.url.clone().unwrap_or_else(|| format!("urn:quorate:agent:{}", self.id));
        // A tag that no skill has is the agent's, and has no other place in a card.
        let own: Vec<&String> =
            self.tags.iter().filter(|tag| !self.skills.iter().any(|s| s.tags.contains(tag))).collect();
        let skills: Vec<Json> = self
            .skills
            .iter()
            .map(|skill| match kept.skills.iter().find(|(known, _)| known == skill) {
                Some((_, json)) if own.is_empty() => json.clone(),
                _ => skill_to_json(skill, &own),
            })
            .collect();
        let mut set = |name: &str, value: Json| {
            card.insert(name.to_owned(), value);
        };
        set("name", self.name.as_str().into());
        set("description", self.summary.as_str().into());
        set("version", self.version.as_str().into());
        set("skills", skills.into());
        if !kept.inputs {
            set("defaultInputModes", json!(modes(&self.inputs)));
        }
        if !kept.outputs {
            set("defaultOutputModes", json!(modes(&self.outputs)));
        }
        interfaces(&mut card, &url, kept.url);
        let extension = json!({
            "uri": EXTENSION_URI,
            "description": "Capabilities with levels, boundaries, cost and other fields for matching",
            "required": false,
            "params": {"schema_version": SCHEMA_VERSION, "agent": self},
        });
        let capabilities = card.entry("capabilities").or_insert(Json::Null);
        if !capabilities.is_object() {
            *capabilities = json!({});
        }
        if let Json::Object(capabilities) = capabilities {
            // What is not known of an imported agent is not stated; our own agents neither stream nor push.
            if kept.none {
                capabilities.insert("streaming".into(), false.into());
                capabilities.insert("pushNotifications".into(), false.into());
            }
            match capabilities.entry("extensions").or_insert_with(|| json!([])) {
                Json::Array(extensions) => {
                    extensions.retain(|e| e["uri"] != EXTENSION_URI);
                    extensions.push(extension);
                }
                other => *other = json!([extension]),
            }
        }
        Json::Object(card)
    }

    /// Reads an A2A card of protocol version 0.3 or 1.0. With the quorate extension the definition is taken from it;
    /// without, the id is made of the name (with a digest of it, where letters beyond ASCII or signs are lost), what a
    /// card cannot say has its default, and the card itself is kept.
    ///
    /// Errors: `invalid_argument` with every field that is missing or of the wrong type, `format_version`, `too_large`.
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
                        shown(&params["schema_version"].to_string())
                    ),
                ));
            }
            return Agent::from_json(&params["agent"]).map_err(|e| e.context("agent card"));
        }
        let mut agent = foreign(card)?;
        let text = Json::Object(card.clone()).to_string();
        if text.len() > MAX_CARD_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!("agent card: it has {} bytes, {MAX_CARD_BYTES} are possible", text.len()),
            ));
        }
        agent.card = Some(text);
        agent.validate().map_err(|e| e.context("agent card"))?;
        Ok(agent)
    }
}

/// What a card without the quorate extension says in the fields of an agent.
fn foreign(card: &Map<String, Json>) -> Result<Agent> {
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
    let mut known = std::collections::HashSet::new();
    for tag in agent.skills.iter().flat_map(|s| &s.tags) {
        if known.insert(tag) {
            agent.tags.push(tag.clone());
        }
    }
    if reader.problems.is_empty() {
        return Ok(agent);
    }
    let more = reader.problems.len().saturating_sub(MAX_PROBLEMS);
    reader.problems.truncate(MAX_PROBLEMS);
    if more > 0 {
        reader.problems.push(format!("and {more} more"));
    }
    Err(Error::invalid(format!("agent card: {}", reader.problems.join("; "))))
}

/// Most problems of a card that a message lists.
const MAX_PROBLEMS: usize = 20;

/// What of an imported card still holds.
struct Kept {
    /// The members to start from.
    card: Map<String, Json>,
    /// Skills as they were read, and as they stood.
    skills: Vec<(Skill, Json)>,
    /// Whether address, inputs and outputs are still those of the card.
    url: bool,
    inputs: bool,
    outputs: bool,
    /// There is no card.
    none: bool,
}

impl Kept {
    fn of(agent: &Agent) -> Self {
        let card =
            agent.card.as_deref().and_then(|text| serde_json::from_str::<Map<String, Json>>(text).ok());
        let Some((card, was)) = card.and_then(|card| foreign(&card).ok().map(|was| (card, was))) else {
            let card = Map::new();
            return Kept { card, skills: Vec::new(), url: false, inputs: false, outputs: false, none: true };
        };
        let stood = card.get("skills").and_then(Json::as_array).cloned().unwrap_or_default();
        Kept {
            skills: was.skills.into_iter().zip(stood).collect(),
            url: was.url.is_some() && was.url == agent.url,
            inputs: card.contains_key("defaultInputModes") && was.inputs == agent.inputs,
            outputs: card.contains_key("defaultOutputModes") && was.outputs == agent.outputs,
            none: false,
            card,
        }
    }
}

/// The members that say where and how an agent is reached, for readers of both versions. What is there is kept when
/// the address is still the card's.
fn interfaces(card: &mut Map<String, Json>, url: &str, kept: bool) {
    const MEMBERS: [&str; 5] =
        ["url", "preferredTransport", "protocolVersion", "additionalInterfaces", "supportedInterfaces"];
    if !kept {
        MEMBERS.iter().for_each(|name| {
            card.remove(*name);
        });
    }
    let first = card.get("supportedInterfaces").and_then(|v| v.get(0));
    let stated = match first {
        Some(interface) => interface.get("protocolBinding"),
        None => card.get("preferredTransport"),
    };
    let transport = stated.and_then(Json::as_str).unwrap_or(DEFAULT_TRANSPORT).to_owned();
    let mut lacking = |name: &str, value: Json| {
        card.entry(name).or_insert(value);
    };
    lacking(
        "supportedInterfaces",
        json!([{"url": url, "protocolBinding": transport, "protocolVersion": "1.0"}]),
    );
    lacking("url", url.into());
    lacking("preferredTransport", transport.into());
    lacking("protocolVersion", "0.3.0".into());
}

fn skill_to_json(skill: &Skill, own: &[&String]) -> Json {
    let mut tags = skill.tags.clone();
    tags.extend(own.iter().map(|tag| (*tag).clone()));
    let name = if skill.name.is_empty() { &skill.id } else { &skill.name };
    let description = if skill.description.is_empty() { name } else { &skill.description };
    json!({
        "id": skill.id,
        "name": name,
        "description": description,
        "tags": tags,
        "examples": skill.examples,
    })
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

/// Characters that only separate words: leaving them out loses nothing that tells names apart.
const SEPARATORS: &str = " \t-_.:,/()&'\"";

/// A name as an id: lower case, words joined by hyphens. Where that loses letters or signs (`C++`, names in other
/// scripts), or the end of a long name, a digest of the name follows, so that two names give two ids.
fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut id = words.join("-");
    let lost = name.chars().any(|c| !c.is_ascii_alphanumeric() && !SEPARATORS.contains(c));
    if id.is_empty() || lost || id.len() > MAX_ID_BYTES {
        let digest = format!("{:016x}", crate::matching::hash(name));
        let beginning = if id.is_empty() { "agent" } else { id.as_str() };
        let room = MAX_ID_BYTES - digest.len() - 1;
        id = format!("{}-{digest}", &beginning[..beginning.len().min(room)]);
    }
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

    fn card(name: &str, more: Json) -> Json {
        let mut card = json!({
            "name": name, "description": "Knows the weather.", "version": "1.0",
            "capabilities": {"streaming": true, "extensions": [{"uri": "urn:other"}]},
            "defaultInputModes": ["text"], "defaultOutputModes": ["text/plain"],
            "skills": [
                {"id": "w", "name": "W", "description": "d", "tags": ["t"], "examples": ["Will it rain?"], "inputModes": ["text"]},
                {"id": "v", "name": "V", "description": "e", "tags": ["u"]},
            ],
            "provider": {"organization": "O", "url": "https://o.example"},
        });
        for (key, value) in more.as_object().unwrap() {
            card[key] = value.clone();
        }
        card
    }

    /// A2A 0.3.0 (5.6): `preferredTransport` is that of `url`, JSONRPC by default; 1.0: `protocolBinding` is that of
    /// its interface.
    #[test]
    fn what_a_foreign_card_says_is_exported_again() {
        let grpc = json!({"protocolVersion": "0.3.0", "url": "https://w.example/x", "preferredTransport": "GRPC",
            "additionalInterfaces": [{"url": "https://w.example/y", "transport": "JSONRPC"}]});
        let rest = json!({"supportedInterfaces": [
            {"url": "https://w.example/x", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
            {"url": "https://w.example/z", "protocolBinding": "GRPC", "protocolVersion": "1.0"}]});
        let plain = json!({"protocolVersion": "0.3.0", "url": "https://w.example/x"});
        for (more, transport) in [(grpc, "GRPC"), (rest, "HTTP+JSON"), (plain, "JSONRPC")] {
            let card = card("Weather", more);
            let agent = Agent::from_card(&card).unwrap();
            let out = agent.to_card();
            for (name, value) in card.as_object().unwrap().iter().filter(|(name, _)| *name != "capabilities")
            {
                assert_eq!(&out[name], value, "{name}");
            }
            assert_eq!(out["capabilities"]["streaming"], true);
            assert_eq!(out["capabilities"]["extensions"][0]["uri"], "urn:other");
            assert!(out["capabilities"].get("pushNotifications").is_none());
            assert_eq!(
                (&out["url"], &out["preferredTransport"]),
                (&json!("https://w.example/x"), &json!(transport))
            );
            assert_eq!(out["supportedInterfaces"][0]["protocolBinding"], transport);
            assert_eq!(Agent::from_card(&out).unwrap(), agent);
            assert_eq!(Agent::from_card(&out).unwrap().to_card(), out);
            // What is changed is exported as changed; of a new address the old transport says nothing.
            let moved = Agent { url: Some("https://m.example".into()), outputs: Vec::new(), ..agent };
            let out = moved.to_card();
            assert_eq!(
                (&out["url"], &out["defaultOutputModes"]),
                (&json!("https://m.example"), &json!(["text/plain"]))
            );
            assert_eq!(
                out["supportedInterfaces"],
                json!([
                {"url": "https://m.example", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}])
            );
            assert!(out.get("additionalInterfaces").is_none() && out["provider"]["organization"] == "O");
        }
    }

    #[test]
    fn two_names_give_two_ids() {
        let names = [
            "天気予報",
            "翻訳者",
            "طقس",
            "Ökonom",
            "Konom",
            "C",
            "C++",
            "C#",
            "Ärzteberatung",
            "rzteberatung",
            "☃",
            "",
            &"x".repeat(200),
            &"x".repeat(201),
        ];
        let ids: std::collections::BTreeSet<String> = names.iter().map(|name| slug(name)).collect();
        assert_eq!(ids.len(), names.len(), "{ids:?}");
        assert!(ids.iter().all(|id| crate::check::check_id(id).is_ok()), "{ids:?}");
        assert_eq!(slug("GeoSpatial Route Planner (v2)"), "geospatial-route-planner-v2");
    }

    #[test]
    fn a_card_over_its_limit_is_refused() {
        let large = card("Weather", json!({"provider": "x".repeat(MAX_CARD_BYTES)}));
        assert_eq!(Agent::from_card(&large).unwrap_err().code(), Code::TooLarge);
        let many = json!({"name": "n", "description": "d", "skills": vec![5; 10_000]});
        let error = Agent::from_card(&many).unwrap_err();
        assert!(error.code() == Code::InvalidArgument && error.message().len() < 2000);
    }

    #[test]
    fn a_card_from_the_future_is_refused() {
        let mut card = Agent::new("a", "A", "s").to_card();
        card["capabilities"]["extensions"][0]["params"]["schema_version"] = json!(99);
        assert_eq!(Agent::from_card(&card).unwrap_err().code(), Code::FormatVersion);
    }
}
