//! What do users get who write down jobs: drafts that run, and stories that are never lost?

#![allow(clippy::unwrap_used)] // helpers of tests

mod drafts;
mod kept;
