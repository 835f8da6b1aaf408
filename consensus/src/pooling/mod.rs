//! What do several probability judgements amount to, and how good were they?

mod cooke;
mod jury;
mod opinions;
mod pools;
mod scores;

pub use cooke::{Background, CookeConfig, CookeWeights, cooke_weights};
pub use jury::{Jury, condorcet_jury};
pub use opinions::Opinions;
pub use pools::{DEFAULT_EXTREMIZING, extremized_pool, linear_pool, log_pool};
pub use scores::wilson;
pub(crate) use scores::wilson_at;
pub use scores::{
    CalibrationBin, CalibrationTable, brier_score, brier_score_multi, calibration_table, log_score,
    log_score_multi,
};
