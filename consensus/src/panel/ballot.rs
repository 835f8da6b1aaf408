//! What does one member of a panel say, and how surely?

use serde::Serialize;

/// What a member says. All ballots of a panel are of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// One option.
    Choice(String),
    /// Options, best first; those left out stand last.
    Ranking(Vec<String>),
    /// Probabilities of options; they sum to 1, options left out have probability 0.
    Probability(Vec<(String, f64)>),
    /// A number.
    Number(f64),
    /// A vector, such as the embedding of an answer; not zero, and of one dimension for the whole panel.
    Vector(Vec<f64>),
}

impl Position {
    /// The name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Position::Choice(_) => "choice",
            Position::Ranking(_) => "ranking",
            Position::Probability(_) => "probability",
            Position::Number(_) => "number",
            Position::Vector(_) => "vector",
        }
    }
}

/// One member's ballot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ballot {
    /// Who votes; unique in the panel.
    pub voter: String,
    /// What is said.
    pub position: Position,
    /// How sure the voter is, from 0 to 1. It counts in the panel's confidence, not in its support.
    pub confidence: f64,
    /// How much the ballot counts; not negative. Weight 0 is the same as no ballot.
    pub weight: f64,
    /// Identifier of the rationale, kept for the report.
    pub rationale: Option<String>,
}

impl Ballot {
    /// A ballot of weight 1 with confidence 1 and no rationale.
    pub fn new(voter: impl Into<String>, position: Position) -> Self {
        Ballot { voter: voter.into(), position, confidence: 1.0, weight: 1.0, rationale: None }
    }

    /// The choice of one option.
    pub fn choice(voter: impl Into<String>, option: impl Into<String>) -> Self {
        Ballot::new(voter, Position::Choice(option.into()))
    }

    /// The same ballot with this weight.
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// The same ballot with this confidence.
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }
}
