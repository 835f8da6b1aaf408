//! What is wrong with a definition?

use quorate_core::{Code, Error, Result};

use crate::agent::{
    MAX_AGENT_BYTES, MAX_CARD_BYTES, MAX_ID_BYTES, MAX_PARTNERS, MAX_TENANT_BYTES, MAX_TOPIC_BYTES,
    MAX_TOPICS, MAX_WEIGHT, MAX_WHY_BYTES,
};
use crate::text::shown;
use crate::{Agent, Taxonomy, language};

/// Most problems of one definition that a message lists.
const MAX_PROBLEMS: usize = 20;

impl Agent {
    /// Checks every field. Errors: `invalid_argument` with every problem (the first 20), not just the first;
    /// `too_large` for a definition of more than [`MAX_AGENT_BYTES`].
    pub fn validate(&self) -> Result<()> {
        if let Some(what) = self.oversize() {
            return Err(Error::new(Code::TooLarge, format!("agent '{}': {what}", shown(&self.id))));
        }
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        let mut list: Vec<String> =
            problems.iter().take(MAX_PROBLEMS).map(|(field, what)| format!("{field}: {what}")).collect();
        if problems.len() > MAX_PROBLEMS {
            list.push(format!("and {} more", problems.len() - MAX_PROBLEMS));
        }
        Err(Error::invalid(format!("agent '{}': {}", shown(&self.id), list.join("; "))))
    }

    /// What is wrong with the size of the definition, if anything.
    pub(crate) fn oversize(&self) -> Option<String> {
        /// Counts and forgets.
        struct Count(usize);
        impl std::io::Write for Count {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0 += bytes.len();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut count = Count(0);
        // Numbers that JSON does not have are written as null; they are found elsewhere.
        let _ = serde_json::to_writer(&mut count, self);
        (count.0 > MAX_AGENT_BYTES)
            .then(|| format!("the definition has {} bytes of JSON, {MAX_AGENT_BYTES} are possible", count.0))
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
        self.check_topics(&mut found);
        self.check_partners(&mut found);
        if self.languages.is_empty() {
            found.add("languages", "no language; name at least one, such as 'en'");
        }
        for (i, language) in self.languages.iter().enumerate() {
            if !language::is_tag(language) {
                found.add(
                    format!("languages[{i}]"),
                    format!("'{}' is not a language tag such as 'en' or 'pt-BR'", shown(language)),
                );
            }
        }
        for (field, ports) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            for (i, port) in ports.iter().enumerate() {
                found.text(format!("{field}[{i}].name"), &port.name);
                if !is_media_type(&port.media_type) {
                    found.add(
                        format!("{field}[{i}].media_type"),
                        format!("'{}' is not a media type such as 'text/plain'", shown(&port.media_type)),
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
        if let Some(instructions) = &self.instructions {
            found.text("instructions", instructions);
        }
        if let Some(what) = self.tenant.as_deref().and_then(|t| check_tenant(t).err()) {
            found.add("tenant", format!("{what}; leave it out for an agent that all share"));
        }
        if let Some(card) = &self.card {
            if card.len() > MAX_CARD_BYTES {
                found.add("card", format!("has {} bytes, {MAX_CARD_BYTES} are possible", card.len()));
            } else if !serde_json::from_str::<serde_json::Value>(card).is_ok_and(|card| card.is_object()) {
                found.add("card", "is not the text of a JSON object");
            }
        }
        found.0
    }

    fn check_topics(&self, found: &mut Problems) {
        if self.topics.len() > MAX_TOPICS {
            found.add("topics", format!("there are {}, {MAX_TOPICS} are possible", self.topics.len()));
        }
        for (i, topic) in self.topics.iter().enumerate() {
            found.text(format!("topics[{i}]"), topic);
            found.short(format!("topics[{i}]"), topic, MAX_TOPIC_BYTES);
        }
        let plain: Vec<String> = self.topics.iter().map(|topic| topic.trim().to_lowercase()).collect();
        found.distinct("topics", plain.iter().map(String::as_str).filter(|topic| !topic.is_empty()), "");
    }

    fn check_partners(&self, found: &mut Problems) {
        if self.works_with.len() > MAX_PARTNERS {
            let what = format!("there are {}, {MAX_PARTNERS} are possible", self.works_with.len());
            found.add("works_with", what);
        }
        for (i, partner) in self.works_with.iter().enumerate() {
            if let Err(what) = check_id(&partner.agent) {
                found.add(format!("works_with[{i}].agent"), what);
            } else if partner.agent == self.id {
                found.add(format!("works_with[{i}].agent"), "is the agent itself");
            }
            found.text(format!("works_with[{i}].why"), &partner.why);
            found.short(format!("works_with[{i}].why"), &partner.why, MAX_WHY_BYTES);
        }
        found.distinct("works_with", self.works_with.iter().map(|p| p.agent.as_str()), ".agent");
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

    fn short(&mut self, field: impl Into<String>, text: &str, most: usize) {
        if text.len() > most {
            self.add(field, format!("has {} bytes, {most} are possible", text.len()));
        }
    }

    fn distinct<'a>(&mut self, field: &str, names: impl Iterator<Item = &'a str>, member: &str) {
        let mut seen = std::collections::BTreeSet::new();
        for (i, name) in names.enumerate() {
            if !seen.insert(name) {
                self.add(format!("{field}[{i}]{member}"), format!("'{}' stands here twice", shown(name)));
            }
        }
    }
}

/// What is wrong with an id, if anything.
pub(crate) fn check_id(id: &str) -> std::result::Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.chars().all(plain) {
        return Err(format!(
            "'{}' is not an id; use 1 to {MAX_ID_BYTES} letters, digits, '-', '_', '.' or ':'",
            shown(id)
        ));
    }
    Ok(())
}

/// What is wrong with a tenant's name, if anything.
pub(crate) fn check_tenant(name: &str) -> std::result::Result<(), String> {
    if name.trim().is_empty() || name.contains('\0') || name.len() > MAX_TENANT_BYTES {
        return Err(format!(
            "'{}' is not a tenant's name; use 1 to {MAX_TENANT_BYTES} bytes without a NUL, not only blanks",
            shown(name)
        ));
    }
    Ok(())
}

fn is_media_type(text: &str) -> bool {
    let part =
        |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b));
    text.split(';').next().and_then(|t| t.trim().split_once('/')).is_some_and(|(a, b)| part(a) && part(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capability, Level, Partner, Port, Skill, Visibility};

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
    fn topics_and_partners_are_checked() {
        let mut agent = Agent::new("a", "A", "s");
        agent.topics = vec!["metformin".into(), " ".into(), "Metformin ".into(), "x".repeat(201)];
        agent.works_with = vec![
            Partner::new("b", "doses"),
            Partner::new("a", "itself"),
            Partner::new("b", "again"),
            Partner::new("no id", " "),
            Partner::new("c", "y".repeat(501)),
        ];
        let message = agent.validate().unwrap_err().message().to_owned();
        for part in [
            "topics[1]: is empty",
            "'metformin' stands here twice",
            "topics[3]: has 201 bytes",
            "works_with[1].agent: is the agent itself",
            "works_with[2].agent: 'b' stands here twice",
            "works_with[3].agent: 'no id'",
            "works_with[3].why: is empty",
            "works_with[4].why: has 501 bytes",
        ] {
            assert!(message.contains(part), "{part} not in {message}");
        }
        agent.topics = (0..=MAX_TOPICS).map(|i| format!("topic {i}")).collect();
        agent.works_with = (0..=MAX_PARTNERS).map(|i| Partner::new(format!("p{i}"), "why")).collect();
        let message = agent.validate().unwrap_err().message().to_owned();
        assert!(message.contains("513, 512 are possible") && message.contains("65, 64 are possible"));
        agent.topics.pop();
        agent.works_with.pop();
        assert!(agent.validate().is_ok());
    }

    #[test]
    fn unknown_fields_are_refused() {
        let json = serde_json::json!({"id": "a", "name": "A", "summary": "s", "sumary": "t"});
        let error = Agent::from_json(&json).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("sumary"));
    }

    #[test]
    fn messages_stay_short_and_definitions_bounded() {
        let long = "e\u{301}".repeat(100_000);
        let mut agent = Agent::new(long.clone(), "", "s");
        agent.languages = vec![long.clone()];
        agent.capabilities = vec![Capability::new(long.clone(), Level::Basic)];
        agent.inputs = vec![Port { name: "x".into(), media_type: long[..300_000].into() }];
        let error = agent.validate().unwrap_err();
        assert_eq!(error.code(), Code::TooLarge);
        agent.inputs.clear();
        agent.capabilities.clear();
        let error = agent.validate().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().len() < 2000, "{}", error.message().len());
        let json = serde_json::json!({"id": "a", "name": "A", "summary": "s", "weight": long});
        let error = Agent::from_json(&json).unwrap_err();
        assert!(error.code() == Code::InvalidArgument && error.message().len() < 2000);
        let many = Agent { tags: vec![String::new(); 10_000], ..Agent::new("a", "A", "s") };
        assert!(many.validate().unwrap_err().message().len() < 2000);
        for tenant in ["", " ", "a\0b", &"t".repeat(101)] {
            let agent = Agent { tenant: Some(tenant.into()), ..Agent::new("a", "A", "s") };
            assert_eq!(agent.validate().unwrap_err().code(), Code::InvalidArgument, "{tenant:?}");
        }
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
    fn media_types() {
        assert!(is_media_type("text/plain; charset=utf-8") && is_media_type("image/*"));
        assert!(!is_media_type("text") && !is_media_type("/plain"));
    }
}
