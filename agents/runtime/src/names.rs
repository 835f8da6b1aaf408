//! What are runs called?

use std::sync::atomic::{AtomicU64, Ordering};

/// The beginning of a question, as lists of runs show it.
pub(crate) fn title(question: &str) -> &str {
    let line = question.trim().lines().next().unwrap_or_default();
    line.char_indices().nth(TITLE_CHARS).map_or(line, |(end, _)| &line[..end])
}

const TITLE_CHARS: usize = 120;

/// An id that no other run has, and that stands behind those made before: the time in nanoseconds, then what tells this
/// process from others.
pub(crate) fn fresh_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let mut moment = now;
    // Clocks stand still, or go back: ids do not.
    let _ = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        moment = now.max(last.saturating_add(1));
        Some(moment)
    });
    let place = std::ptr::from_ref(&LAST) as usize;
    let digest = blake3::hash(format!("{} {moment} {place}", std::process::id()).as_bytes());
    format!("{moment:016x}{}", &digest.to_hex()[..8])
}
