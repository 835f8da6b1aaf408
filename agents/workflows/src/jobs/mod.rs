//! What is somebody trying to get done, and which workflow does it?
//!
//! A [`JobStory`] says when somebody wants what, and what for ([`JobStory::parse`] reads the sentence form). [`generate`] makes the
//! draft of a workflow of it: from the template that does the job, with what the story gives filled in and what it does not listed.
//! [`Stories`] keeps stories and what was measured of them.

mod choose;
mod draft;
mod fill;
mod sentence;
mod stories;
mod story;
mod write;

pub use choose::{Candidate, MIN_CONFIDENCE};
pub use draft::{Draft, DraftExplanation, generate};
pub use fill::{Filled, Unfilled};
pub use stories::{KeptStory, Measurement, Stories};
pub use story::{
    Better, JobStory, MAX_NAME_BYTES, MAX_OUTCOMES, MAX_PRIORITY, MAX_TEXT_BYTES, Outcome, StoryStatus,
};
