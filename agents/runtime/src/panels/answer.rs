//! What does the caller of a panel get?

use quorate_consensus::delphi::DelphiRound;
use quorate_consensus::panel::PanelScore;
use quorate_core::Result;
use quorate_models::Usage;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::member::Role;
use super::options::{Aggregate, BallotForm, PanelKind, Weighting};
use super::stance::{Reason, Stance};
use crate::evidence::Citation;
use crate::fact::Status;

/// What a panel came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelAnswer {
    /// The run that it comes from.
    pub run_id: String,
    /// What lists show.
    pub title: String,
    /// What was asked.
    pub question: String,
    /// How it was asked.
    #[serde(rename = "type")]
    pub kind: PanelKind,
    /// What members gave.
    pub ballot: BallotForm,
    /// How the panel ended: `done`, `partial`, `no_consensus` where a quorum was missed, `cancelled`, `failed`; `running` while
    /// it goes on.
    pub status: Status,
    /// Which rule ended it: `objections_met`, `stable`, `kinds_covered`, `stability`, `max_rounds`; or why it ended before:
    /// `quorum_missed`, a limit of the budget, `cancelled`, the code of an error. `None` where the number of rounds is fixed.
    pub stopped_by: Option<String>,
    /// What the panel decides by the last ballot of each voter; `None` where there is none.
    pub score: Option<PanelScore>,
    /// The same for the blind round alone.
    pub baseline: Option<PanelScore>,
    /// Who was asked, and why.
    pub members: Vec<PanelMember>,
    /// What weights the ballots have, by which rule.
    pub weights: Weighting,
    /// Round by round.
    pub rounds: Vec<PanelRound>,
    /// What was said, in order.
    pub log: Vec<LogEntry>,
    /// Each ballot that was given, in order.
    pub ballots: Vec<PanelBallot>,
    /// Those who hold another position than the leading one, the heaviest first, in their own words.
    pub minority: Vec<Minority>,
    /// The outcome in words, cited.
    pub synthesis: String,
    /// Who wrote it: the id of the chair, or `ballots` where it was made of them.
    pub synthesis_by: String,
    /// The sources that ballots and synthesis name.
    pub citations: Vec<Citation>,
    /// Whose ballot is missing in which round, and why.
    pub dropped: Vec<Dropped>,
    /// How much members followed one another.
    pub conformity: Conformity,
    /// Of a sequential panel: whether the order decided.
    pub order: Option<OrderTest>,
    /// Of a debate: what the judge said.
    pub verdict: Option<DebateVerdict>,
    /// Of a socratic panel: what became of each claim.
    pub claims: Vec<Claim>,
    /// Of a socratic panel: which of the six kinds of question were asked and answered.
    pub coverage: Vec<Coverage>,
    /// Of a consensus panel: the objections that were not met, word for word.
    pub objections: Vec<Objection>,
    /// What another way of deciding makes of the same ballots.
    pub alternative: Option<Alternative>,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// Tokens.
    pub usage: Usage,
    /// US dollars; `None` where a price is unknown.
    pub cost: Option<f64>,
}

impl PanelAnswer {
    /// The answer as JSON.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| {
            quorate_core::Error::new(
                quorate_core::Code::Internal,
                format!("an answer cannot be written: {e}"),
            )
        })
    }
}

/// A panel as lists of sessions show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelSession {
    /// The run.
    pub run_id: String,
    /// What people read.
    pub title: String,
    /// What was asked.
    pub query: String,
    /// How.
    #[serde(rename = "type")]
    pub kind: PanelKind,
    /// `created` (nobody was asked yet), `in_progress`, `completed`, `failed`, or `waiting`: its process has ended, and somebody
    /// may go on with it.
    pub status: String,
    /// Who is asked.
    pub members: Vec<PanelMember>,
}

/// A member as it took part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PanelMember {
    /// Its id.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// Whether it leads.
    pub chair: bool,
    /// The weight that was given.
    pub weight: f64,
    /// The weight that its ballots have: capped, and 1 on average; 0 for those who do not vote.
    pub counts: f64,
    /// The model that answers for it.
    pub model: String,
    /// Members of one group share a model, and are no independent voters.
    pub group: String,
    /// Why it was asked.
    pub why: String,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelRound {
    /// Its number; 1 is the blind one.
    pub round: u32,
    /// What it was: `blind`, `forward`, `reversed`, `proposal`, `debate`, `question`, `rating`, `ballots`.
    pub stage: String,
    /// How many gave a ballot in it.
    pub ballots: usize,
    /// How many were asked for one.
    pub asked: usize,
    /// What the panel would have decided after it.
    pub score: Option<PanelScore>,
    /// How the ballots of options are spread: all unsure, or split.
    pub spread: Option<Spread>,
    /// Of a Delphi panel: median, quartiles, agreement, stability.
    pub delphi: Option<DelphiRound>,
    /// Of a consensus panel: what was proposed.
    pub proposal: Option<String>,
    /// Of a consensus panel: how many objected.
    pub objections: Option<usize>,
    /// Of a socratic panel: the kind of question, and the question. Written out, `{kind, text}`.
    #[serde(serialize_with = "asked")]
    pub question: Option<(String, String)>,
}

/// Whether members are unsure together or sure of different things (a classical simulation with the formalism of density
/// matrices).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// 1 when all ballots are the same, down to 1 / number of options.
    pub purity: f64,
    /// Disagreement in bits; 0 when all ballots are the same.
    pub entropy: f64,
    /// `agreed`, `unsure` (the same uncertainty), `split` (certain of different things) or `mixed`.
    pub says: String,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogEntry {
    /// The round.
    pub round: u32,
    /// `opening`, `response`, `rebuttal`, `summary`, `question` or `ballot`.
    pub kind: String,
    /// Who said it; `None`: the protocol.
    pub member: Option<String>,
    /// What, word for word.
    pub text: String,
    /// The sources that it names.
    pub citations: Vec<String>,
    /// What the member was shown, without the sources.
    pub prompt: Option<String>,
}

/// A ballot as it was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelBallot {
    /// The round.
    pub round: u32,
    /// Who gave it.
    pub member: String,
    /// What it says. Written out, the plain value: a text, a number, a list of options, or numbers by option.
    #[serde(serialize_with = "plain")]
    pub position: Stance,
    /// The position by which it is counted: the option, the one ranked or rated highest, or the words of those who mean the same.
    pub holds: String,
    /// 0 to 1.
    pub confidence: f64,
    /// Why, word for word.
    pub reasons: Vec<Reason>,
    /// What it says against a proposal.
    pub objection: Option<String>,
    /// How much it counts.
    pub weight: f64,
    /// Whether it says something else than the member's ballot before.
    pub changed: bool,
    /// Whether it counts in the end. A member's last ballot does, unless its type says otherwise: of two sequential passes
    /// that differ, and of a socratic change without a cited reason, neither does, and the blind ballot stays.
    pub counted: bool,
}

/// Those who differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Minority {
    /// What they hold.
    pub position: String,
    /// Their share of the weight.
    pub share: f64,
    /// Their ballots, word for word, the strongest first.
    pub ballots: Vec<PanelBallot>,
}

/// A ballot, or another contribution, that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The round.
    pub round: u32,
    /// Whose; `judge` for that of a debate.
    pub member: String,
    /// `late`, `refused`, `abstained`, `budget_exceeded`, `cancelled`, or the code of an error.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// How much members followed one another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Conformity {
    /// Ballots that say something else than the member's ballot before.
    pub flips: usize,
    /// Of these, those that went over to what led in the round before.
    pub to_majority: usize,
    /// Of these, those that left what is right; `None` where that is not known.
    pub right_to_wrong: Option<usize>,
    /// Those that went over to what is right; `None` where that is not known.
    pub wrong_to_right: Option<usize>,
    /// The share of the blind round's disagreement that was gone at the end, by the probability that two ballots differ;
    /// negative where it grew, `None` where there was none.
    pub collapse: Option<f64>,
    /// How often a ballot could have gone over to what led: it was given after one that differed from it.
    pub chances: usize,
    /// `to_majority / chances`, with Wilson's 95 % interval.
    pub adoption: Option<Rate>,
}

/// A share with an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// The share.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Whether the order in which members spoke made a difference (a paired randomisation test; Fisher 1935).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OrderTest {
    /// Members with a ballot in both passes.
    pub pairs: usize,
    /// Of these, those whose two ballots differ.
    pub differ: usize,
    /// How far apart both passes are: the summed differences of the options' shares, or the difference of the means.
    pub statistic: f64,
    /// The probability of so large a difference, or a larger one, where the order makes none.
    pub p_value: f64,
    /// How many assignments of ballots to passes it was compared with.
    pub assignments: u64,
    /// Whether these were all.
    pub exact: bool,
}

/// What the judge of a debate said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DebateVerdict {
    /// What the first and the second side defended, in the order of the seed.
    pub sides: [String; 2],
    /// Which of them won; `None` is a tie.
    pub winner: Option<String>,
    /// What the judge said with the first side first, and with the second side first.
    pub orders: Vec<Option<String>>,
    /// Whether the verdict changed with the order, which is a tie.
    pub flipped: bool,
    /// The judge's reasons, one for each order.
    pub reasons: Vec<String>,
    /// The judge's model.
    pub model: String,
    /// Whether it is of another family than those of the members.
    pub independent: bool,
}

/// A claim of a socratic panel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// Its number, from 1.
    pub number: usize,
    /// What is claimed.
    pub text: String,
    /// Who made it first.
    pub member: String,
    /// The round in which it was made.
    pub round: u32,
    /// `supported` by a source that is cited, `conceded` or `open`.
    pub status: String,
    /// The sources that support it.
    pub citations: Vec<String>,
}

/// One of the six kinds of question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// `clarification`, `assumptions`, `evidence`, `viewpoints`, `implications` or `the_question`.
    pub kind: String,
    /// Rounds in which it was asked.
    pub asked: usize,
    /// Answers that it got.
    pub answered: usize,
}

/// An objection that was not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Objection {
    /// Whose.
    pub member: String,
    /// The round.
    pub round: u32,
    /// Word for word.
    pub text: String,
}

/// Another decision of the same ballots.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    /// Which way.
    pub method: Aggregate,
    /// The option; `None` where it decides for none.
    pub decision: Option<String>,
    /// The share of each option. Written out, by option.
    #[serde(serialize_with = "by_option")]
    pub shares: Vec<(String, f64)>,
    /// Whether the swarm had come to rest, or together.
    pub converged: bool,
}

fn plain<S: Serializer>(stance: &Stance, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    stance.plain().serialize(serializer)
}

fn by_option<S: Serializer>(shares: &[(String, f64)], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(shares.iter().map(|(option, share)| (option, share)))
}

fn asked<S: Serializer>(
    question: &Option<(String, String)>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Asked<'a> {
        kind: &'a str,
        text: &'a str,
    }
    question.as_ref().map(|(kind, text)| Asked { kind, text }).serialize(serializer)
}
