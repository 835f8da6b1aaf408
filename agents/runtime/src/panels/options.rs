//! What can a panel be asked to be like?

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::Model;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::member::{Member, Role};
use crate::budget::Budget;

/// Most members of a panel, as many as `select_panel` gives.
pub const MAX_MEMBERS: usize = 64;
/// Most options of a question.
pub const MAX_OPTIONS: usize = 200;
/// Longest option, in bytes.
const MAX_OPTION_BYTES: usize = 1000;
/// Most rounds of a panel whose type does not say fewer.
const MAX_ROUNDS: u32 = 20;
/// Most seed questions.
const MAX_SEEDS: usize = 50;

/// The six ways of asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelKind {
    /// Independent ballots, one round.
    #[default]
    Parallel,
    /// Each sees the earlier reasons and not how many hold them; once forward, once reversed.
    Sequential,
    /// A proposal, objections, an amendment, ballots, until objections are met.
    Consensus,
    /// Seeded sides with equal room, and a judge who sees both orders.
    Debate,
    /// Six kinds of question (Paul and Elder 2006), about each claim.
    Socratic,
    /// Anonymous ratings with the distribution and the reasons of both tails as feedback.
    Delphi,
}

impl PanelKind {
    /// Every kind.
    pub const ALL: [PanelKind; 6] = [
        PanelKind::Parallel,
        PanelKind::Sequential,
        PanelKind::Consensus,
        PanelKind::Debate,
        PanelKind::Socratic,
        PanelKind::Delphi,
    ];

    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            PanelKind::Parallel => "parallel",
            PanelKind::Sequential => "sequential",
            PanelKind::Consensus => "consensus",
            PanelKind::Debate => "debate",
            PanelKind::Socratic => "socratic",
            PanelKind::Delphi => "delphi",
        }
    }

    /// The fewest and the most rounds, the blind one counted, and those that are held where none are named.
    pub(crate) fn rounds(self) -> (u32, u32, u32) {
        match self {
            PanelKind::Parallel => (1, 1, 1),
            PanelKind::Sequential => (2, 3, 3),
            PanelKind::Consensus => (2, MAX_ROUNDS, 4),
            PanelKind::Debate => (3, MAX_ROUNDS, 4),
            PanelKind::Socratic => (3, MAX_ROUNDS, 8),
            PanelKind::Delphi => (2, 4, 4),
        }
    }
}

impl std::str::FromStr for PanelKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        read("type", name, &PanelKind::ALL.map(|kind| (kind.as_str(), kind)))
    }
}

/// How much each ballot counts. All of it is settled before anybody has heard anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// As the members' weights say.
    #[default]
    Declared,
    /// Those, times what outcomes that were recorded for the agents (`record_outcome`) say about questions like this one.
    Calibrated,
    /// Those, times what ReConcile makes of the confidence of the blind ballot (Chen, Saha and Bansal 2024).
    Confidence,
}

impl std::str::FromStr for Weighting {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [
            ("declared", Weighting::Declared),
            ("calibrated", Weighting::Calibrated),
            ("confidence", Weighting::Confidence),
        ];
        read("weights", name, &all)
    }
}

/// Another way to make one decision of the ballots, beside the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// A honeybee swarm (Seeley et al. 2012).
    Honeybee,
    /// A particle swarm over distributions (Kennedy and Eberhart 1995).
    Particles,
}

impl std::str::FromStr for Aggregate {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        read("aggregate", name, &[("honeybee", Aggregate::Honeybee), ("particles", Aggregate::Particles)])
    }
}

/// What members are asked to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BallotForm {
    /// One option.
    Choice,
    /// Options, best first.
    Ranking,
    /// A probability for each option.
    Probability,
    /// A number on the scale.
    Number,
    /// A rating of each option on the scale.
    Ratings,
    /// A position in words; positions of one meaning are one.
    #[default]
    Text,
}

impl BallotForm {
    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            BallotForm::Choice => "choice",
            BallotForm::Ranking => "ranking",
            BallotForm::Probability => "probability",
            BallotForm::Number => "number",
            BallotForm::Ratings => "ratings",
            BallotForm::Text => "text",
        }
    }
}

impl std::str::FromStr for BallotForm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [
            BallotForm::Choice,
            BallotForm::Ranking,
            BallotForm::Probability,
            BallotForm::Number,
            BallotForm::Ratings,
            BallotForm::Text,
        ];
        read("ballot", name, &all.map(|form| (form.as_str(), form)))
    }
}

/// A question whose answer is known, by which members are weighed (Cooke 1991): they give quantiles at 5, 50 and 95 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedQuestion {
    /// About a number.
    pub question: String,
    /// The number.
    pub answer: f64,
}

/// How a panel is asked.
#[derive(Clone, Debug)]
pub struct PanelOptions {
    /// Which of the six ways.
    pub kind: PanelKind,
    /// Who is asked; `None`: those whom the registry's `select_panel` finds.
    pub members: Option<Vec<Member>>,
    /// How many are looked for where none are named. Default 5.
    pub size: usize,
    /// Rounds at most, the blind one counted; `None`: parallel 1, sequential 3, consensus 4, debate 4, socratic 8, Delphi 4.
    pub rounds: Option<u32>,
    /// The answers to choose from; none: members answer by a number where there is a scale, and else in words.
    pub options: Vec<String>,
    /// The ends of the scale of numbers; of a Delphi panel 1 to 9 where none is given.
    pub scale: Option<(f64, f64)>,
    /// What members give; `None`: what follows from options, scale and kind.
    pub ballot: Option<BallotForm>,
    /// The share of voters, above 0 to 1, whose ballots each round needs. Default 0.6.
    pub quorum: f64,
    /// Whether members do not know who has said what; `None` is yes.
    pub anonymous: Option<bool>,
    /// Who judges a debate; it should be of another family than the members' models. `None`: the runtime's model.
    pub judge: Option<Model>,
    /// Who leads and writes the synthesis: a member, or an agent of the registry; `None`: the first moderator. Without one the
    /// synthesis is written from the ballots.
    pub chair: Option<Member>,
    /// How much each ballot counts.
    pub weights: Weighting,
    /// Another decision beside the score.
    pub aggregate: Option<Aggregate>,
    /// Questions that weigh the members before the first round, in the place of their weights.
    pub seeds: Vec<SeedQuestion>,
    /// What is right, where that is known: an option, a number or a text. No member sees it.
    pub truth: Option<Value>,
    /// How alike the ballots of members are that share a model, 0 to 1; `None`: estimated, and where that cannot be, 1.
    pub rho: Option<f64>,
    /// A synthesis must name each minority of at least this share of the weight. Default 0: all.
    pub minority_threshold: f64,
    /// From which cosine similarity on positions in words may mean the same. Default 0.8.
    pub similarity: f64,
    /// After so many seconds an answer is late. Default 120.
    pub member_seconds: f64,
    /// A filter of the sources: an expression, or its JSON form.
    pub filter: Option<Value>,
    /// What the panel may spend; `None`: as the runtime's runs. The default of 20 steps is 20 for each member.
    pub budget: Option<Budget>,
    /// Decides orders, sides and labels. Default 0.
    pub seed: u64,
    /// What lists show; `None`: the beginning of the question.
    pub title: Option<String>,
    /// Asking again with the same key gives the panel that there is.
    pub idempotency_key: Option<String>,
    /// The host's span that the panel's spans belong to, as a W3C `traceparent`. It is in no journal.
    pub trace_parent: Option<String>,
    /// Ends the panel.
    pub cancel: Cancel,
}

impl Default for PanelOptions {
    fn default() -> Self {
        PanelOptions {
            kind: PanelKind::Parallel,
            members: None,
            size: 5,
            rounds: None,
            options: Vec::new(),
            scale: None,
            ballot: None,
            quorum: 0.6,
            anonymous: None,
            judge: None,
            chair: None,
            weights: Weighting::Declared,
            aggregate: None,
            seeds: Vec::new(),
            truth: None,
            rho: None,
            minority_threshold: 0.0,
            similarity: 0.8,
            member_seconds: 120.0,
            filter: None,
            budget: None,
            seed: 0,
            title: None,
            idempotency_key: None,
            trace_parent: None,
            cancel: Cancel::default(),
        }
    }
}

/// The scale of a Delphi panel, as of RAND/UCLA.
const DELPHI_SCALE: (f64, f64) = (1.0, 9.0);

impl PanelOptions {
    /// A panel of this kind.
    pub fn of(kind: PanelKind) -> Self {
        PanelOptions { kind, ..PanelOptions::default() }
    }

    /// Errors: `invalid_argument`, `not_finite`, `too_large`, `empty_input`, `duplicate_id`.
    pub fn validate(&self) -> Result<()> {
        let (fewest, most, _) = self.kind.rounds();
        if let Some(rounds) = self.rounds.filter(|rounds| !(fewest..=most).contains(rounds)) {
            return Err(Error::invalid(format!(
                "panel: rounds is {rounds}; a {} panel has {fewest} to {most}, the blind one counted",
                self.kind.as_str()
            )));
        }
        if !(1..=MAX_MEMBERS).contains(&self.size) {
            return Err(Error::invalid(format!("panel: size is {}, expected 1 to {MAX_MEMBERS}", self.size)));
        }
        self.check_members()?;
        self.check_options()?;
        let shares = [
            ("quorum", self.quorum),
            ("minority_threshold", self.minority_threshold),
            ("similarity", self.similarity),
            ("rho", self.rho.unwrap_or(0.0)),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::invalid(format!("panel: {name} is {share}, expected 0 to 1")));
            }
        }
        if self.quorum == 0.0 {
            return Err(Error::invalid("panel: quorum is 0, expected more than 0"));
        }
        if !(self.member_seconds.is_finite() && self.member_seconds > 0.0) {
            return Err(Error::invalid(format!(
                "panel: member_seconds is {}, expected more than 0",
                self.member_seconds
            )));
        }
        let form = self.form()?;
        if self.aggregate.is_some() && matches!(form, BallotForm::Number | BallotForm::Text) {
            return Err(Error::invalid(
                "panel: a swarm decides between options; name them, or leave out aggregate",
            ));
        }
        self.check_truth(form)?;
        self.check_seeds()?;
        self.budget.as_ref().map_or(Ok(()), Budget::validate)
    }

    fn check_members(&self) -> Result<()> {
        if let Some(chair) = &self.chair {
            chair.check("chair")?;
        }
        let Some(members) = &self.members else { return Ok(()) };
        if members.is_empty() {
            return Err(Error::new(Code::EmptyInput, "panel: there are no members"));
        }
        if members.len() > MAX_MEMBERS {
            let message = format!("panel: {} members, {MAX_MEMBERS} are possible", members.len());
            return Err(Error::new(Code::TooLarge, message));
        }
        for (i, member) in members.iter().enumerate() {
            member.check(&format!("members[{i}]"))?;
            if members[..i].iter().any(|other| other.id == member.id) {
                let message = format!("panel: member '{}' is named twice", quorate_core::shorten(&member.id));
                return Err(Error::new(Code::DuplicateId, message));
            }
        }
        if !members.iter().any(|member| member.role == Role::Expert && member.weight > 0.0) {
            return Err(Error::invalid("panel: no member votes; name an expert with a weight above 0"));
        }
        Ok(())
    }

    fn check_options(&self) -> Result<()> {
        if self.options.len() == 1 || self.options.len() > MAX_OPTIONS {
            return Err(Error::invalid(format!(
                "panel: {} options, expected none or 2 to {MAX_OPTIONS}",
                self.options.len()
            )));
        }
        for (i, option) in self.options.iter().enumerate() {
            if option.trim().is_empty() || option.len() > MAX_OPTION_BYTES {
                return Err(Error::invalid(format!(
                    "panel: options[{i}] has {} bytes, expected 1 to {MAX_OPTION_BYTES} that are not blank",
                    option.len()
                )));
            }
            if self.options[..i].contains(option) {
                let message = format!("panel: option '{}' is listed twice", quorate_core::shorten(option));
                return Err(Error::new(Code::DuplicateId, message));
            }
        }
        match self.scale {
            Some((low, high)) if !(low.is_finite() && high.is_finite() && (high - low).is_finite()) => {
                Err(Error::new(Code::NotFinite, "panel: an end of the scale is not a finite number"))
            }
            Some((low, high)) if low >= high => Err(Error::invalid(format!(
                "panel: the scale goes from {low} to {high}, expected low < high"
            ))),
            _ => Ok(()),
        }
    }

    fn check_truth(&self, form: BallotForm) -> Result<()> {
        let fits = match (&self.truth, form) {
            (None, _) => true,
            (Some(Value::Number(_)), BallotForm::Number) => true,
            (Some(Value::String(_)), BallotForm::Text) => true,
            (Some(Value::String(truth)), form) => form != BallotForm::Number && self.options.contains(truth),
            _ => false,
        };
        if fits {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "panel: truth is {}; it must be what a {} ballot can say",
            quorate_core::shorten(&self.truth.as_ref().map(Value::to_string).unwrap_or_default()),
            form.as_str()
        )))
    }

    fn check_seeds(&self) -> Result<()> {
        if self.seeds.len() > MAX_SEEDS {
            let message = format!("panel: {} seed questions, {MAX_SEEDS} are possible", self.seeds.len());
            return Err(Error::new(Code::TooLarge, message));
        }
        for (i, seed) in self.seeds.iter().enumerate() {
            if seed.question.trim().is_empty() {
                return Err(Error::new(Code::EmptyInput, format!("panel: seeds[{i}] has no question")));
            }
            if !seed.answer.is_finite() {
                return Err(Error::new(Code::NotFinite, format!("panel: seeds[{i}] has no finite answer")));
            }
        }
        Ok(())
    }

    /// What members give. Errors: `invalid_argument` where options or a scale are missing for it.
    pub(crate) fn form(&self) -> Result<BallotForm> {
        let options = !self.options.is_empty();
        let form = match (self.ballot, self.kind) {
            (Some(form), _) => form,
            (None, PanelKind::Delphi) if options => BallotForm::Ratings,
            (None, PanelKind::Delphi) => BallotForm::Number,
            (None, _) if options => BallotForm::Choice,
            (None, _) if self.scale.is_some() => BallotForm::Number,
            (None, _) => BallotForm::Text,
        };
        let rated = matches!(form, BallotForm::Number | BallotForm::Ratings);
        let needs = !matches!(form, BallotForm::Number | BallotForm::Text);
        if needs && !options {
            return Err(Error::invalid(format!("panel: a {} ballot needs options", form.as_str())));
        }
        if self.kind == PanelKind::Delphi && !rated {
            return Err(Error::invalid(format!(
                "panel: members of a Delphi panel rate; a {} ballot is no rating",
                form.as_str()
            )));
        }
        if form == BallotForm::Ratings && self.scale_of(form).is_none() {
            return Err(Error::invalid("panel: ratings need a scale"));
        }
        Ok(form)
    }

    /// The scale that is in force.
    pub(crate) fn scale_of(&self, form: BallotForm) -> Option<(f64, f64)> {
        let delphi = self.kind == PanelKind::Delphi || form == BallotForm::Ratings;
        self.scale.or(delphi.then_some(DELPHI_SCALE))
    }
}

pub(super) fn read<T: Copy>(what: &str, name: &str, all: &[(&str, T)]) -> Result<T> {
    let found = all.iter().find(|(known, _)| *known == name).map(|(_, one)| *one);
    found.ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|(known, _)| *known).collect();
        Error::invalid(format!(
            "panel: {what} is '{}'; it is one of {}",
            quorate_core::shorten(name),
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(options: PanelOptions) -> Option<Code> {
        options.validate().err().map(|error| error.code())
    }

    #[test]
    fn options_outside_their_domain_are_refused() {
        let yes_no = || vec!["yes".to_owned(), "no".to_owned()];
        let of = PanelOptions::of;
        let bad = [
            PanelOptions { rounds: Some(2), ..of(PanelKind::Parallel) },
            PanelOptions { rounds: Some(5), ..of(PanelKind::Delphi) },
            PanelOptions { quorum: 0.0, ..of(PanelKind::Parallel) },
            PanelOptions { quorum: f64::NAN, ..of(PanelKind::Parallel) },
            PanelOptions { options: vec!["yes".into()], ..of(PanelKind::Parallel) },
            PanelOptions { scale: Some((9.0, 1.0)), ..of(PanelKind::Delphi) },
            PanelOptions { ballot: Some(BallotForm::Choice), ..of(PanelKind::Parallel) },
            PanelOptions { ballot: Some(BallotForm::Choice), options: yes_no(), ..of(PanelKind::Delphi) },
            PanelOptions { size: 0, ..of(PanelKind::Parallel) },
            PanelOptions { aggregate: Some(Aggregate::Honeybee), ..of(PanelKind::Parallel) },
            PanelOptions { truth: Some("perhaps".into()), options: yes_no(), ..of(PanelKind::Parallel) },
            PanelOptions {
                members: Some(vec![Member { role: Role::Observer, ..Member::new("a") }]),
                ..of(PanelKind::Parallel)
            },
        ];
        for options in bad {
            let shown = format!("{options:?}");
            assert_eq!(code(options), Some(Code::InvalidArgument), "{shown}");
        }
        let twice = Some(vec![Member::new("a"), Member::new("a")]);
        assert_eq!(code(PanelOptions { members: twice, ..of(PanelKind::Debate) }), Some(Code::DuplicateId));
        assert_eq!(
            code(PanelOptions { members: Some(vec![]), ..of(PanelKind::Debate) }),
            Some(Code::EmptyInput)
        );
        assert_eq!(code(PanelOptions { options: yes_no(), ..of(PanelKind::Delphi) }), None);
        assert!("Delphi".parse::<PanelKind>().is_err() && "delphi".parse::<PanelKind>().is_ok());
    }

    #[test]
    fn the_form_follows_from_options_scale_and_kind() {
        let form = |options: PanelOptions| options.form().unwrap();
        let some = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(form(PanelOptions::of(PanelKind::Consensus)), BallotForm::Text);
        assert_eq!(form(PanelOptions { options: some(), ..PanelOptions::default() }), BallotForm::Choice);
        assert_eq!(
            form(PanelOptions { scale: Some((0.0, 1.0)), ..PanelOptions::default() }),
            BallotForm::Number
        );
        assert_eq!(form(PanelOptions::of(PanelKind::Delphi)), BallotForm::Number);
        let rated = PanelOptions { options: some(), ..PanelOptions::of(PanelKind::Delphi) };
        assert_eq!(
            (form(rated.clone()), rated.scale_of(BallotForm::Ratings)),
            (BallotForm::Ratings, Some((1.0, 9.0)))
        );
    }
}
