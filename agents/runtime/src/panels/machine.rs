//! What is to be done next in a panel, by all that has happened in it?
//!
//! As for runs: no input or output, no clock, no randomness but what follows from the panel's seed. The order in which members
//! answer decides nothing: what was said is read in the order of the asks.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_consensus::panel::PanelScore;
use quorate_core::{Code, Error, Result};
use quorate_models::{Message, Output, Request};

use super::fact::{Outcome, PanelFact, PanelSpec, Place};
use super::options::{BallotForm, PanelKind, Weighting};
use super::prompt::{self, Names};
use super::seat::{counts, draw};
use super::stage::{Ask, Given, Stage, What, Who};
use super::stance::{Form, Said, Stance};
use super::{protocol, synthesis, tally};
use crate::budget::Spent;
use crate::evidence::Passage;
use crate::fact::Status;
use crate::prompt as runs;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// Find passages for the question.
    Retrieve,
    /// Ask these.
    Ask(Vec<Place>),
    /// Group the positions in words of a stage.
    Group(Grouping),
    /// The panel is over.
    End(Status),
}

/// Positions in words that are to be grouped by their meaning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    pub(crate) stage: usize,
    /// The position of each ask; `None` where there is none.
    pub(crate) texts: Vec<Option<String>>,
    /// The labels that there are.
    pub(crate) known: Vec<String>,
}

/// Forms of answers by what is asked for, since reading a schema takes longer than all else that a panel does.
pub(crate) type Forms = HashMap<String, Output>;

/// What follows a stage.
pub(crate) enum Next {
    Stage(Stage),
    /// The protocol has ended, by this rule.
    Over(Option<&'static str>),
}

/// The state of a panel.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) run_id: String,
    spec: Option<Box<PanelSpec>>,
    pub(crate) passages: Option<Vec<Passage>>,
    names: Option<Arc<Names>>,
    /// Who was answered for by another model once the panel went on, and by which.
    pub(crate) others: Vec<(String, String)>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) prompts: Vec<Vec<Option<Vec<String>>>>,
    pub(crate) spent: Spent,
    /// The costs of each answer, the least first: whoever answers first must not decide the last digit of their sum.
    pub(crate) costs: Vec<f64>,
    /// Whether the protocol has ended; what follows is the synthesis.
    over: bool,
    /// Which rule ended it.
    pub(crate) rule: Option<&'static str>,
    /// Why it ended before it was done.
    pub(crate) stopped_by: Option<String>,
    pub(crate) failure: Option<(String, String)>,
    cancelled: bool,
    /// Text and writer, once it is settled.
    pub(crate) synthesis: Option<(String, String)>,
    ended: Option<Status>,
    last_time: Option<f64>,
    seconds: f64,
}

impl Machine {
    pub(crate) fn new(run_id: impl Into<String>) -> Self {
        Machine {
            run_id: run_id.into(),
            spec: None,
            passages: None,
            names: None,
            others: Vec::new(),
            stages: Vec::new(),
            prompts: Vec::new(),
            spent: Spent::default(),
            costs: Vec::new(),
            over: false,
            rule: None,
            stopped_by: None,
            failure: None,
            cancelled: false,
            synthesis: None,
            ended: None,
            last_time: None,
            seconds: 0.0,
        }
    }

    /// What was asked for; nothing can be done before.
    pub(crate) fn spec(&self) -> Option<&PanelSpec> {
        self.spec.as_deref()
    }

    pub(crate) fn ended(&self) -> Option<Status> {
        self.ended
    }

    /// Whether the protocol has ended, and what follows is the synthesis.
    pub(crate) fn is_over(&self) -> bool {
        self.over && self.grouping().is_none()
    }

    /// Whether somebody is asked for a synthesis in the end.
    pub(crate) fn sums_up(&self) -> bool {
        self.spec().is_some_and(|spec| protocol::speaking_chair(spec).is_some())
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Seconds that it took so far.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    pub(crate) fn status(&self) -> Status {
        self.ended.unwrap_or(Status::Running)
    }

    /// Takes a fact that happened at `time`, in seconds. Errors: `corrupt`.
    pub(crate) fn apply(&mut self, fact: &PanelFact, time: f64) -> Result<()> {
        if let (Some(before), false) = (self.last_time, matches!(fact, PanelFact::Resumed { .. })) {
            self.seconds += (time - before).max(0.0);
        }
        self.last_time = Some(time);
        match fact {
            PanelFact::Opened(spec) => {
                self.spec = Some(spec.clone());
                self.names = self.find_names();
            }
            PanelFact::Resumed { others } => self.others.extend(others.iter().cloned()),
            PanelFact::Retrieved { passages } => {
                self.passages = Some(passages.clone());
                self.names = self.find_names();
            }
            PanelFact::Said { at, prompt, said, spent, .. } => {
                self.spent.add(spent);
                let cost = spent.cost.unwrap_or_default();
                let place = self.costs.partition_point(|other| other.total_cmp(&cost).is_lt());
                self.costs.insert(place, cost);
                if self.ask(*at).is_none() {
                    let message = format!(
                        "the journal has an answer to ask {} of stage {}, which was not made",
                        at.ask, at.stage
                    );
                    return Err(Error::new(Code::Corrupt, message));
                }
                let ballot = match said {
                    // What does not fit was refused before it was written down.
                    Outcome::Answer { value, .. } if self.is_ballot(*at) => {
                        self.read(*at, value).ok().flatten()
                    }
                    _ => None,
                };
                let stage = &mut self.stages[at.stage];
                if stage.outcomes[at.ask].is_none() {
                    (stage.outcomes[at.ask], stage.said[at.ask]) = (Some(said.clone()), ballot);
                    self.prompts[at.stage][at.ask] = Some(prompt.clone());
                }
            }
            PanelFact::Grouped { stage, labels } => {
                if let Some(stage) = self.stages.get_mut(*stage) {
                    stage.labels = Some(labels.clone());
                }
            }
            // What comes after the ballots changes nothing that they have decided.
            PanelFact::Refused { by } if self.over => self.cut(by),
            PanelFact::Refused { by } => self.stop(by),
            PanelFact::Failed { code, message } => {
                self.stop(code);
                self.failure = Some((code.clone(), message.clone()));
            }
            PanelFact::Cancelled => {
                self.stop("cancelled");
                self.cancelled = true;
            }
            PanelFact::Ended { status } => self.ended = Some(*status),
        }
        self.advance()
    }

    /// Nothing more of the protocol is begun.
    fn stop(&mut self, by: &str) {
        self.stopped_by.get_or_insert_with(|| by.to_owned());
        self.over = true;
        self.cut(by);
    }

    /// What is open of the last stage stays so.
    fn cut(&mut self, by: &str) {
        if let Some(stage) = self.stages.last_mut().filter(|stage| !stage.open().is_empty()) {
            stage.cut = Some(by.to_owned());
        }
    }

    /// Opens the stages that follow, up to one that waits for something.
    fn advance(&mut self) -> Result<()> {
        loop {
            if self.spec.is_none()
                || self.ended.is_some()
                || self.missing_sources()
                || self.grouping().is_some()
            {
                return Ok(());
            }
            if self.stages.last().is_some_and(|stage| !stage.open().is_empty()) || self.synthesis.is_some() {
                return Ok(());
            }
            if self.over {
                if !self.summed_up()? {
                    return Ok(());
                }
                continue;
            }
            if self.quorum_missed() {
                self.stop("quorum_missed");
                continue;
            }
            match protocol::next(self)? {
                Next::Stage(stage) => self.open(stage),
                Next::Over(rule) => {
                    self.rule = rule;
                    self.over = true;
                }
            }
        }
    }

    fn open(&mut self, stage: Stage) {
        self.prompts.push(vec![None; stage.asks.len()]);
        self.stages.push(stage);
    }

    /// After the protocol: remarks, a synthesis, another one. Whether something was opened or settled.
    fn summed_up(&mut self) -> Result<bool> {
        if self.synthesis.is_some() {
            return Ok(false);
        }
        match synthesis::next(self)? {
            Next::Stage(stage) => self.open(stage),
            Next::Over(_) => self.synthesis = Some(synthesis::settled(self)?),
        }
        Ok(true)
    }

    fn missing_sources(&self) -> bool {
        self.passages.is_none() && self.spec().is_some_and(|spec| spec.retrieval) && !self.over
    }

    /// What is to be done now.
    pub(crate) fn due(&self) -> Option<Due> {
        self.spec.as_ref()?;
        if self.ended.is_some() {
            return None;
        }
        if self.missing_sources() {
            return Some(Due::Retrieve);
        }
        if let Some(grouping) = self.grouping() {
            return Some(Due::Group(grouping));
        }
        let at = self.stages.len().saturating_sub(1);
        let open = self.stages.last().map(Stage::open).unwrap_or_default();
        if !open.is_empty() {
            return Some(Due::Ask(open.into_iter().map(|ask| Place { stage: at, ask }).collect()));
        }
        Some(Due::End(self.outcome()))
    }

    fn outcome(&self) -> Status {
        match self.stopped_by.as_deref() {
            _ if self.cancelled => Status::Cancelled,
            _ if self.failure.is_some() => Status::Failed,
            Some("quorum_missed") => Status::NoConsensus,
            Some(_) => Status::Partial,
            None => Status::Done,
        }
    }

    /// The positions in words of the last stage, where they are not grouped yet.
    fn grouping(&self) -> Option<Grouping> {
        let spec = self.spec()?;
        let at = self.stages.len().checked_sub(1)?;
        let stage = &self.stages[at];
        if spec.form != BallotForm::Text
            || stage.labels.is_some()
            || !stage.has_ballots()
            || !stage.open().is_empty()
        {
            return None;
        }
        let proposal = protocol::proposal(self).filter(|_| spec.kind == PanelKind::Consensus);
        let text = |ask: usize| {
            let said = self.said(at, ask)?;
            // Who has nothing against a proposal stands behind it.
            match (&said.stance, &proposal) {
                (_, Some(proposal)) if stage.asks[ask].objects && said.objection.is_none() => {
                    Some(proposal.clone())
                }
                (Stance::Text(text), _) => Some(text.clone()),
                _ => None,
            }
        };
        let texts: Vec<Option<String>> = (0..stage.asks.len()).map(text).collect();
        let mut known: Vec<String> = Vec::new();
        for label in self.stages.iter().filter_map(|stage| stage.labels.as_ref()).flatten().flatten() {
            if !known.contains(label) {
                known.push(label.clone());
            }
        }
        known.sort();
        Some(Grouping { stage: at, texts, known })
    }

    // What was said.

    pub(crate) fn sources(&self) -> usize {
        self.passages.as_ref().map_or(0, Vec::len)
    }

    fn form<'a>(&'a self, spec: &'a PanelSpec, ask: &'a Ask) -> Form<'a> {
        Form {
            form: spec.form,
            options: &ask.options,
            scale: spec.scale,
            sources: self.sources(),
            objects: ask.objects,
        }
    }

    /// The ballot that an ask has got.
    pub(super) fn said(&self, stage: usize, ask: usize) -> Option<&Said> {
        self.stages.get(stage)?.said.get(ask)?.as_ref()
    }

    fn is_ballot(&self, at: Place) -> bool {
        self.ask(at).is_some_and(|ask| ask.what == What::Ballot)
    }

    /// What came of asking for a ballot: it, that the member abstains, or an error. For who asks.
    pub(crate) fn read(&self, at: Place, value: &serde_json::Value) -> Result<Option<Said>> {
        let (Some(spec), Some(ask)) = (self.spec(), self.ask(at)) else { return Ok(None) };
        self.form(spec, ask).read(value)
    }

    pub(crate) fn ask(&self, at: Place) -> Option<&Ask> {
        self.stages.get(at.stage)?.asks.get(at.ask)
    }

    /// Every ballot, in the order in which they were asked for.
    pub(crate) fn given(&self) -> Vec<Given> {
        let mut out = Vec::new();
        for (at, stage) in self.stages.iter().enumerate() {
            for (i, ask) in stage.asks.iter().enumerate() {
                let (Who::Seat(seat), Some(said)) = (ask.who, self.said(at, i)) else { continue };
                let label = stage.labels.as_ref().and_then(|labels| labels.get(i).cloned().flatten());
                let holds = label.unwrap_or_else(|| said.stance.holds());
                out.push(Given { round: ask.round, seat, said: said.clone(), holds });
            }
        }
        out
    }

    /// The places of the seats that vote.
    pub(crate) fn voters(&self) -> Vec<usize> {
        let Some(spec) = self.spec() else { return Vec::new() };
        (0..spec.seats.len()).filter(|i| spec.seats[*i].votes()).collect()
    }

    /// How much each seat's ballots count. Settled before anybody has heard anybody.
    pub(crate) fn counts(&self) -> Vec<f64> {
        let Some(spec) = self.spec() else { return Vec::new() };
        let cooke = protocol::cooke(self, spec);
        let blind = (spec.weights == Weighting::Confidence).then(|| {
            let mut blind = vec![None; spec.seats.len()];
            for given in self.given().into_iter().filter(|given| given.round == 1) {
                blind[given.seat] = Some(given.said.confidence);
            }
            blind
        });
        let blind = blind.filter(|blind| blind.iter().any(Option::is_some));
        counts(
            &spec.seats,
            spec.weights,
            blind.as_deref(),
            cooke.as_ref().map(|cooke| cooke.weights.as_slice()),
        )
    }

    /// The last ballot of each voter up to a round, in the order of the seats.
    pub(crate) fn standing<'a>(&self, given: &'a [Given], round: u32) -> Vec<&'a Given> {
        let last = |seat: usize| given.iter().rfind(|one| one.seat == seat && one.round <= round);
        self.voters().into_iter().filter_map(last).collect()
    }

    /// The ballots by which the panel decides.
    pub(crate) fn counted(&self, given: &[Given]) -> Vec<Given> {
        protocol::counted(self, given)
    }

    /// The score of some ballots. Errors: those of the consensus engine.
    pub(crate) fn score_of(&self, ballots: &[&Given]) -> Result<Option<PanelScore>> {
        match self.spec() {
            Some(spec) => tally::score(spec, &self.counts(), ballots),
            None => Ok(None),
        }
    }

    /// The rounds that have been begun.
    pub(crate) fn last_round(&self) -> u32 {
        self.stages.iter().flat_map(|stage| &stage.asks).map(|ask| ask.round).max().unwrap_or(0)
    }

    /// Whether a round of ballots that has ended has too few of them.
    fn quorum_missed(&self) -> bool {
        let (Some(spec), Some(last)) = (self.spec(), self.stages.last()) else { return false };
        if !last.has_ballots() {
            return false;
        }
        let voters = self.voters().len();
        let needed = (spec.quorum * voters as f64 - 1e-9).ceil().max(1.0) as usize;
        let (given, counts) = (self.given(), self.counts());
        let mut rounds: Vec<u32> = last.asks.iter().map(|ask| ask.round).collect();
        rounds.dedup();
        rounds.into_iter().any(|round| {
            let asked = self.asked_in(round);
            let got = given.iter().filter(|one| one.round == round).count();
            // Seed questions may leave those who answer without a weight.
            let weighs = self.standing(&given, round).iter().any(|one| counts[one.seat] > 0.0);
            // Of a round in which members speak one after the other, once all have been asked.
            asked >= voters && (got < needed || !weighs)
        })
    }

    /// How many were asked for a ballot in a round.
    pub(crate) fn asked_in(&self, round: u32) -> usize {
        let asks = self.stages.iter().flat_map(|stage| &stage.asks);
        asks.filter(|ask| ask.round == round && ask.what == What::Ballot).count()
    }

    // What is shown.

    /// The names that nobody is to read.
    pub(crate) fn names(&self) -> Option<&Names> {
        self.names.as_deref()
    }

    /// The same, found anew: where the question or the sources are, which everybody reads.
    fn find_names(&self) -> Option<Arc<Names>> {
        let spec = self.spec().filter(|spec| spec.anonymous)?;
        let of = spec.seats.iter().flat_map(|seat| [seat.id.as_str(), seat.name(), seat.model.as_str()]);
        let judge = spec.judge.iter().map(|(model, _)| model.as_str());
        let models = spec.seats.iter().map(|seat| seat.model.as_str()).chain(judge.clone());
        let mut anyway: Vec<&str> = vec![&spec.question];
        anyway.extend(spec.options.iter().map(String::as_str));
        anyway.extend(self.passages.iter().flatten().map(|passage| passage.text.as_str()));
        Some(Arc::new(Names::new(of.chain(judge).chain(models.filter_map(prompt::bare)), &anyway)))
    }

    /// An ask for a ballot.
    pub(crate) fn ballot(&self, spec: &PanelSpec, round: u32, seat: usize, task: &str, objects: bool) -> Ask {
        let key = &spec.seats[seat].key;
        let mut options = spec.options.clone();
        options.sort_by_key(|option| draw(spec.seed, &["options", &round.to_string(), key, option]));
        let form = match (spec.form, spec.scale) {
            (BallotForm::Choice, _) => "Choose one option.".to_owned(),
            (BallotForm::Ranking, _) => "Rank the options, the best first.".to_owned(),
            (BallotForm::Probability, _) => "Give each option its probability; they sum to 1.".to_owned(),
            (BallotForm::Number, Some((low, high))) => format!("Give a number from {low} to {high}."),
            (BallotForm::Number, None) => "Give a number.".to_owned(),
            (BallotForm::Ratings, scale) => {
                let (low, high) = scale.unwrap_or_default();
                format!("Rate each option from {low} to {high}.")
            }
            (BallotForm::Text, _) => "Give your answer in one or two sentences.".to_owned(),
        };
        let own = self.own(spec, round, seat).map(|own| format!("\n\nYour ballot before:\n{own}"));
        let mut text = format!("{task}{}\n\n{form}", own.unwrap_or_default());
        if !options.is_empty() {
            text.push_str("\nThe options:\n");
            text.push_str(&options.iter().map(|option| format!("- {option}")).collect::<Vec<_>>().join("\n"));
        }
        text.push_str("\nAlso say how sure you are, from 0 to 1, and your reasons.");
        Ask { round, who: Who::Seat(seat), what: What::Ballot, task: text, options, objects }
    }

    /// A member's own ballot before a round, as it reads it; in a Delphi panel the feedback has it, and of two passes neither
    /// knows of the other.
    fn own(&self, spec: &PanelSpec, round: u32, seat: usize) -> Option<String> {
        let known = match spec.kind {
            PanelKind::Delphi => return None,
            PanelKind::Sequential => 1,
            _ => round.saturating_sub(1),
        };
        let given = self.given();
        let own = given.iter().rfind(|one| one.seat == seat && one.round <= known && one.round < round)?;
        let (reasons, citations) = own.reasons().unwrap_or_default();
        let text = format!("{} {reasons} {}", own.said.stance.words(), citations.concat());
        Some(prompt::fenced(text.trim(), self.names()))
    }

    /// What an ask shows beside the sources and the question: the system message, and the task.
    pub(crate) fn shown(&self, ask: &Ask) -> Vec<String> {
        let Some(spec) = self.spec() else { return Vec::new() };
        let blind = ask.round <= 1 && matches!(ask.what, What::Ballot | What::Seeds);
        let hidden = self.names().filter(|_| !blind);
        let sources = self.sources() > 0 && ask.what != What::Seeds;
        let system = match ask.who {
            Who::Judge => prompt::system("judge", None, hidden, sources),
            Who::Seat(seat) => {
                let chairs = matches!(ask.what, What::Proposal | What::Question(_) | What::Synthesis);
                let of = &spec.seats[seat];
                let role = match ask.what {
                    _ if chairs => "chair",
                    What::Remark => "observer",
                    _ => "expert",
                };
                prompt::system(role, of.agent.as_deref(), hidden, sources)
            }
        };
        vec![system, ask.task.clone()]
    }

    /// The request of an ask; `forms` keeps forms that were asked for before. Errors: those of the form.
    pub(crate) fn request(&self, ask: &Ask, forms: &mut Forms) -> Result<Request> {
        let Some(spec) = self.spec() else { return Ok(Request::default()) };
        let shown = self.shown(ask);
        let passages = self.passages.as_deref().unwrap_or_default();
        let sources = if ask.what == What::Seeds { &[] } else { passages };
        let question = if ask.what == What::Seeds { "" } else { spec.question.as_str() };
        let asked = runs::question(question, sources);
        let text = if asked.is_empty() { shown[1].clone() } else { format!("{asked}\n\n{}", shown[1]) };
        let name = format!("{:?}", (ask.what, &ask.options, ask.objects));
        let output = match forms.get(&name) {
            Some(output) => output.clone(),
            None => {
                let output = match ask.what {
                    What::Ballot => self.form(spec, ask).output()?,
                    other => other.output(spec.seeds.len())?,
                };
                forms.insert(name, output.clone());
                output
            }
        };
        let key = match ask.who {
            Who::Judge => "judge",
            Who::Seat(seat) => spec.seats[seat].key.as_str(),
        };
        let seed = draw(spec.seed, &["request", &ask.round.to_string(), key, &format!("{:?}", ask.what)]);
        Ok(Request {
            output: Some(output),
            max_tokens: Some(ask.what.tokens()),
            // What every service takes as a number.
            seed: Some(seed >> 33),
            ..Request::new(vec![Message::system(shown[0].as_str()), Message::user(text)])
        })
    }
}

/// What a ballot is ordered by: its content, and then the key of its member.
pub(crate) fn order_of(spec: &PanelSpec, what: &str, round: u32, reader: &str, given: &Given) -> u64 {
    let said = serde_json::to_string(&given.said).unwrap_or_default();
    draw(spec.seed, &[what, &round.to_string(), reader, &said, &spec.seats[given.seat].key])
}
