//! How are several experts asked, so that what they decide together can be defended?

mod answer;
mod options;
mod stance;

pub use answer::{
    Alternative, Claim, Conformity, Coverage, DebateVerdict, Dropped, LogEntry, Minority, Objection, OrderTest,
    PanelAnswer, PanelBallot, PanelMember, PanelRound, PanelSession, Rate, Spread,
};
pub use options::{
    Aggregate, BallotForm, MAX_MEMBERS, MAX_OPTIONS, Member, PanelKind, PanelOptions, Role, SeedQuestion, Weighting,
};
pub use stance::{Reason, Stance};
