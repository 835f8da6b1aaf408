//! What do users get who write down jobs: drafts that run, and stories that are never lost?

mod drafts;
mod kept;
