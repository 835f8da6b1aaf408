//! What does somebody try to get done, and how is it known that it got done?

use quorate_core::{Code, Error, Result, shorten};
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize};

use super::sentence;

/// The longest text of a story, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 << 10;
/// The longest title, domain, metric or unit, in bytes.
pub const MAX_NAME_BYTES: usize = 400;
/// The most outcomes of a story.
pub const MAX_OUTCOMES: usize = 64;
/// The largest priority, and the smallest is its opposite.
pub const MAX_PRIORITY: i64 = 1_000_000;
/// How long a title is that is taken from the motivation, in characters.
const TITLE_CHARS: usize = 80;

/// A job to be done: a situation, what somebody wants in it, and what for (Klement 2013, after Christensen's theory of jobs).
///
/// ```
/// use quorate_workflows::jobs::JobStory;
/// let story = JobStory::parse("When an order is late, I want to see where it is, so I can tell the customer.")?;
/// assert_eq!(story.situation, "an order is late");
/// assert_eq!(story.motivation, "see where it is");
/// assert_eq!(story.expected_outcome, "tell the customer");
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobStory {
    /// What people read. Empty: the beginning of the motivation is shown.
    pub title: String,
    /// Who wants it, where that is said ("a nurse").
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// When it is wanted.
    pub situation: String,
    /// What is wanted.
    pub motivation: String,
    /// What it is wanted for.
    pub expected_outcome: String,
    /// The field that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Higher goes first, -1,000,000 to 1,000,000.
    pub priority: i64,
    /// By what it is measured.
    pub outcomes: Vec<Outcome>,
    /// How far it has come.
    pub status: StoryStatus,
}

impl Default for JobStory {
    fn default() -> Self {
        JobStory {
            title: String::new(),
            role: String::new(),
            situation: String::new(),
            motivation: String::new(),
            expected_outcome: String::new(),
            domain: None,
            priority: 1,
            outcomes: Vec::new(),
            status: StoryStatus::default(),
        }
    }
}

/// How far a story has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoryStatus {
    /// It is written down, and nothing was measured.
    #[default]
    Open,
    /// Something was measured, and not every target is reached.
    Measuring,
    /// The newest measurement of each outcome with a target reaches it.
    Achieved,
    /// Nobody wants it any more. Measurements do not change that.
    Abandoned,
}

impl StoryStatus {
    /// The status as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            StoryStatus::Open => "open",
            StoryStatus::Measuring => "measuring",
            StoryStatus::Achieved => "achieved",
            StoryStatus::Abandoned => "abandoned",
        }
    }
}

/// By what a story is measured. Where only a text is given, it is the metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// What is measured, such as `days_to_answer`; unique within the story.
    pub metric: String,
    /// What it says, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// In what it is counted, such as `days`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    /// What is to be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Which way is better; `None`: from the baseline to the target, and up where there is no baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

impl Outcome {
    /// Which way is better.
    pub fn direction(&self) -> Better {
        self.better.unwrap_or(match (self.baseline, self.target) {
            (Some(baseline), Some(target)) if target < baseline => Better::Lower,
            _ => Better::Higher,
        })
    }

    /// Whether a value reaches the target; none where there is no target.
    ///
    /// ```
    /// use quorate_workflows::jobs::Outcome;
    /// let days = Outcome { metric: "days".into(), baseline: Some(9.0), target: Some(2.0), ..Default::default() };
    /// assert_eq!((days.reached(1.5), days.reached(3.0)), (Some(true), Some(false)));
    /// ```
    pub fn reached(&self, value: f64) -> Option<bool> {
        let target = self.target?;
        Some(match self.direction() {
            Better::Higher => value >= target,
            Better::Lower => value <= target,
        })
    }
}

/// The members of an outcome.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    metric: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    baseline: Option<f64>,
    #[serde(default)]
    target: Option<f64>,
    #[serde(default)]
    better: Option<Better>,
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Outcome;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a metric, or a mapping with one")
            }

            fn visit_str<E: de::Error>(self, metric: &str) -> std::result::Result<Outcome, E> {
                Ok(Outcome { metric: metric.to_owned(), ..Outcome::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Outcome, A::Error> {
                let Members { metric, description, unit, baseline, target, better } =
                    Members::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Outcome { metric, description, unit, baseline, target, better })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JobStory {
    /// Reads the sentence form, in English: "When ..., I want to ..., so I can ...". The parts may stand in another order ("I want
    /// to ... so that ... when ..."), with who wants it before them ("As a nurse, ..."). Each part is a range of the text; the title
    /// is the beginning of the motivation.
    ///
    /// Errors: `story_syntax` names every part that is missing, and where it was looked for; `too_large` over 16 KiB.
    pub fn parse(text: &str) -> Result<JobStory> {
        let parts = sentence::parse(text)?;
        Ok(JobStory {
            title: beginning(parts.motivation).to_owned(),
            role: parts.role.to_owned(),
            situation: parts.situation.to_owned(),
            motivation: parts.motivation.to_owned(),
            expected_outcome: parts.outcome.to_owned(),
            ..JobStory::default()
        })
    }

    /// The title, or what stands for it.
    pub fn shown_title(&self) -> &str {
        match self.title.trim() {
            "" => beginning(self.motivation.trim()),
            title => title,
        }
    }

    /// Checks what it says. Errors: `invalid_argument` for a part that is empty or a metric that is there twice, `too_large`,
    /// `not_finite`, `invalid_text` for a text with a NUL.
    pub fn validate(&self) -> Result<()> {
        let parts = [
            ("situation", self.situation.as_str(), "when it is wanted"),
            ("motivation", self.motivation.as_str(), "what is wanted"),
            ("expected_outcome", self.expected_outcome.as_str(), "what it is wanted for"),
        ];
        for (name, text, says) in parts {
            if text.trim().is_empty() {
                return Err(Error::invalid(format!("the story has no {name}; it says {says}")));
            }
            check_text(name, text, MAX_TEXT_BYTES)?;
        }
        check_text("title", &self.title, MAX_NAME_BYTES)?;
        check_text("role", &self.role, MAX_NAME_BYTES)?;
        if let Some(domain) = &self.domain {
            check_text("domain", domain, MAX_NAME_BYTES)?;
        }
        if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&self.priority) {
            return Err(Error::invalid(format!(
                "priority is {}, expected -{MAX_PRIORITY} to {MAX_PRIORITY}",
                self.priority
            )));
        }
        if self.outcomes.len() > MAX_OUTCOMES {
            return Err(Error::new(
                Code::TooLarge,
                format!("the story has {} outcomes, {MAX_OUTCOMES} are possible", self.outcomes.len()),
            ));
        }
        for (i, outcome) in self.outcomes.iter().enumerate() {
            let at = |name: &str| format!("outcomes[{i}].{name}");
            if outcome.metric.trim().is_empty() {
                return Err(Error::invalid(format!("{} is empty; it says what is measured", at("metric"))));
            }
            check_text(&at("metric"), &outcome.metric, MAX_NAME_BYTES)?;
            check_text(&at("description"), &outcome.description, MAX_TEXT_BYTES)?;
            check_text(&at("unit"), outcome.unit.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
            for (name, number) in [("baseline", outcome.baseline), ("target", outcome.target)] {
                if number.is_some_and(|number| !number.is_finite()) {
                    return Err(Error::new(Code::NotFinite, format!("{} is not finite", at(name))));
                }
            }
            if self.outcomes[..i].iter().any(|other| other.metric == outcome.metric) {
                return Err(Error::invalid(format!(
                    "the metric '{}' is there twice; give each outcome its own",
                    shorten(&outcome.metric)
                )));
            }
        }
        Ok(())
    }

    /// All that it says in its own words, for reading values out of it. A title that is a piece of the motivation says nothing
    /// more, and may end in the midst of a value.
    pub(super) fn texts(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("title", self.title.as_str()),
            ("situation", self.situation.as_str()),
            ("motivation", self.motivation.as_str()),
            ("expected_outcome", self.expected_outcome.as_str()),
        ];
        let new = |(name, text): &(&str, &str)| *name != "title" || !self.motivation.contains(text.trim());
        all.into_iter().filter(|one| !one.1.trim().is_empty() && new(one)).collect()
    }
}

/// Errors: `too_large`, `invalid_text`.
fn check_text(name: &str, text: &str, most: usize) -> Result<()> {
    if text.len() > most {
        return Err(Error::new(
            Code::TooLarge,
            format!("{name} has {} bytes, {most} are possible", text.len()),
        ));
    }
    if text.contains('\0') {
        return Err(Error::new(Code::InvalidText, format!("{name} has a NUL character")));
    }
    Ok(())
}

/// The beginning of a text as a title: of its first line, whole words.
fn beginning(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    let Some((end, _)) = line.char_indices().nth(TITLE_CHARS) else { return line };
    let cut = line[..end].rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(end);
    line[..cut]
        .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-' | '–' | '—'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn story() -> JobStory {
        JobStory::parse("When a patient falls, I want to be called, so I can help").unwrap()
    }

    #[test]
    fn a_story_is_read_with_defaults_and_nothing_unknown() {
        let given = json!({"situation": "s", "motivation": "m", "expected_outcome": "o",
            "outcomes": ["minutes", {"metric": "falls", "baseline": 9, "target": 3, "unit": "a month"}]});
        let story: JobStory = serde_json::from_value(given).unwrap();
        assert_eq!((story.priority, story.status, story.outcomes.len()), (1, StoryStatus::Open, 2));
        assert_eq!(story.outcomes[0], Outcome { metric: "minutes".into(), ..Outcome::default() });
        assert_eq!(story.outcomes[1].direction(), Better::Lower);
        let again: JobStory = serde_json::from_str(&serde_json::to_string(&story).unwrap()).unwrap();
        assert_eq!(again, story);
        for wrong in [
            json!({"colour": 1}),
            json!({"outcomes": [{"metric": "a", "goal": 1}]}),
            json!({"outcomes": [{}]}),
            json!({"outcomes": [3]}),
            json!({"priority": "high"}),
            json!({"status": "done"}),
        ] {
            assert!(serde_json::from_value::<JobStory>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_told_with_their_codes() {
        assert!(story().validate().is_ok());
        let long = |n: usize| "x".repeat(n);
        let metric = |name: &str| Outcome { metric: name.to_owned(), ..Outcome::default() };
        let wrong = [
            (JobStory { situation: " ".into(), ..story() }, Code::InvalidArgument, "situation"),
            (JobStory { motivation: String::new(), ..story() }, Code::InvalidArgument, "motivation"),
            (
                JobStory { expected_outcome: String::new(), ..story() },
                Code::InvalidArgument,
                "expected_outcome",
            ),
            (JobStory { situation: long(MAX_TEXT_BYTES + 1), ..story() }, Code::TooLarge, "situation"),
            (JobStory { title: long(MAX_NAME_BYTES + 1), ..story() }, Code::TooLarge, "title"),
            (JobStory { domain: Some(long(MAX_NAME_BYTES + 1)), ..story() }, Code::TooLarge, "domain"),
            (JobStory { motivation: "a\0b".into(), ..story() }, Code::InvalidText, "motivation"),
            (JobStory { priority: MAX_PRIORITY + 1, ..story() }, Code::InvalidArgument, "priority"),
            (JobStory { priority: i64::MIN, ..story() }, Code::InvalidArgument, "priority"),
            (JobStory { outcomes: vec![metric("a"), metric("a")], ..story() }, Code::InvalidArgument, "'a'"),
            (
                JobStory { outcomes: vec![metric(" ")], ..story() },
                Code::InvalidArgument,
                "outcomes[0].metric",
            ),
            (
                JobStory { outcomes: vec![metric("a"); MAX_OUTCOMES + 1], ..story() },
                Code::TooLarge,
                "outcomes",
            ),
            (
                JobStory { outcomes: vec![Outcome { target: Some(f64::NAN), ..metric("a") }], ..story() },
                Code::NotFinite,
                "outcomes[0].target",
            ),
        ];
        for (story, code, says) in wrong {
            let error = story.validate().unwrap_err();
            assert!(error.code() == code && error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn targets_are_reached_from_both_sides() {
        let outcome = |baseline, target, better| Outcome { baseline, target, better, ..Outcome::default() };
        assert_eq!(outcome(None, None, None).reached(1.0), None);
        assert_eq!(outcome(None, Some(5.0), None).reached(5.0), Some(true));
        assert_eq!(outcome(Some(9.0), Some(5.0), None).reached(6.0), Some(false));
        assert_eq!(outcome(Some(9.0), Some(5.0), Some(Better::Higher)).reached(6.0), Some(true));
        assert_eq!(outcome(Some(5.0), Some(5.0), None).reached(4.0), Some(false));
    }

    #[test]
    fn titles_are_whole_words_of_the_first_line() {
        let long = format!("When a, I want to {}, so I can b", "see every ünïcode word ".repeat(10));
        let story = JobStory::parse(&long).unwrap();
        assert!(story.title.chars().count() <= 80 && story.motivation.starts_with(&story.title));
        assert!(story.title.ends_with("word") || story.title.ends_with("every"), "{}", story.title);
        assert_eq!(beginning(&"x".repeat(200)).len(), 80);
        let untitled = JobStory { title: String::new(), motivation: "see it\nall".into(), ..story };
        assert_eq!(untitled.shown_title(), "see it");
    }
}
