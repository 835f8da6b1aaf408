//! How are several experts asked, so that what they decide together can be defended?
//!
//! A panel is a journal of facts, as a run is: `machine` decides by them alone what is due (with `protocol` for the six ways,
//! `tally` for what ballots add up to, `synthesis` for the end), `driver` asks all members at once. [`crate::Runtime::panel`] is
//! what callers use.

mod answer;
mod conformity;
mod driver;
mod event;
mod fact;
mod grouping;
mod machine;
mod member;
mod offline;
mod open;
mod options;
mod page;
mod prompt;
mod protocol;
mod result;
mod rows;
mod seat;
mod stage;
mod stance;
mod synthesis;
mod table;
mod tally;
mod view;

pub use answer::{
    Alternative, Claim, Conformity, Coverage, DebateVerdict, Dropped, LogEntry, Minority, Objection,
    OrderTest, PanelAnswer, PanelBallot, PanelMember, PanelRound, PanelSession, Rate, Spread,
};
pub(crate) use machine::Machine;
pub use member::{Member, Role};
pub use open::PanelResume;
pub(crate) use open::{KIND, events, finished, replayed};
pub use options::{
    Aggregate, BallotForm, MAX_MEMBERS, MAX_OPTIONS, PanelKind, PanelOptions, SeedQuestion, Weighting,
};
pub use page::{panel_page, panel_part};
pub use rows::{PanelRow, panel_rows};
pub use stance::{Reason, Stance};
