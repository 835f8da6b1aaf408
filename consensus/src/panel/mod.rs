//! One call for a panel: what does it decide, how strongly, and who differs?

mod ballot;
mod explain;
mod groups;
mod kinds;
mod level;
mod score;

pub use ballot::{Ballot, Position};
pub use groups::PanelGroups;
pub use level::Level;
pub use score::{
    Decision, PanelAgreement, PanelConfig, PanelInterval, PanelScore, score_panel, score_panel_with,
};
