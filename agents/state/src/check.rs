//! What may be written into a journal?

use quorate_core::{Code, Error, Result, shorten};

use crate::{Advance, Entry, FINAL, INTERRUPTED, NewRun, Wake, Work};

/// The longest name (id, kind, status, key, space, tenant), in bytes.
const MAX_NAME_BYTES: usize = 512;
/// The longest title, in bytes.
const MAX_TITLE_BYTES: usize = 16 << 10;

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn name(what: &str, given: &str) -> Result<()> {
    if given.is_empty() {
        return Err(Error::invalid(format!("{what} is empty; give a text of 1 to {MAX_NAME_BYTES} bytes")));
    }
    if given.len() > MAX_NAME_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            format!(
                "{what} '{}' has {} bytes; give at most {MAX_NAME_BYTES}",
                shorten(given).escape_debug(),
                given.len()
            ),
        ));
    }
    Ok(())
}

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn new_run(new: &NewRun<'_>) -> Result<()> {
    name("the kind of a run", new.kind)?;
    let others = [
        ("the id of a run", new.id),
        ("the tenant", new.tenant),
        ("the parent", new.parent),
        ("the key", new.key),
    ];
    for (what, given) in others {
        given.map_or(Ok(()), |given| name(what, given))?;
    }
    if new.title.len() > MAX_TITLE_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            format!("the title has {} bytes; give at most {MAX_TITLE_BYTES}", new.title.len()),
        ));
    }
    Ok(())
}

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn status(given: Option<&str>) -> Result<()> {
    let Some(given) = given else { return Ok(()) };
    if given == INTERRUPTED {
        return Err(Error::invalid(
            "'interrupted' is how a run is listed that nobody holds; give 'running', 'waiting' or a final status",
        ));
    }
    name("the status", given)
}

/// Entries that follow each other, each with a time and a kind. Errors: `invalid_argument`, `not_finite`, `too_large`,
/// `stale_write` where their numbers have a gap.
pub(crate) fn entries(given: &[Entry]) -> Result<()> {
    for entry in given {
        name("the kind of an entry", &entry.kind)?;
        if !entry.time.is_finite() {
            return Err(Error::new(
                Code::NotFinite,
                format!("entry {} has the time {}; give seconds since 1970", entry.seq, entry.time),
            ));
        }
    }
    match given.windows(2).find(|pair| pair[0].seq.checked_add(1) != Some(pair[1].seq)) {
        Some(pair) => Err(does_not_follow(pair[1].seq, pair[0].seq)),
        None => Ok(()),
    }
}

/// Errors: `invalid_argument`, `not_finite`, `too_large`.
pub(crate) fn work(given: &Work<'_>) -> Result<()> {
    name("the queue", given.queue)?;
    if let Some((key, slots)) = given.slot {
        name("the key of a slot", key)?;
        if slots == 0 {
            return Err(Error::invalid(format!("'{}' has 0 slots; give 1 or more", shorten(key))));
        }
    }
    time("a run is due at", given.at)
}

/// Errors: those of what it writes.
pub(crate) fn advance(given: &Advance<'_>) -> Result<()> {
    entries(given.entries)?;
    status(given.status)?;
    for listing in given.listings {
        name("the space", listing.space)?;
        name("the label", listing.label)?;
    }
    for start in given.starts {
        new_run(&start.new)?;
        entries(start.entries)?;
        status(Some(start.status))?;
        work(&start.work)?;
        if let Some(first) = start.entries.first()
            && first.seq != 1
        {
            return Err(does_not_follow(first.seq, 0));
        }
    }
    for post in given.posts {
        name("the kind of a letter", post.kind)?;
        post.name.map_or(Ok(()), |given| name("the name of a letter", given))?;
    }
    match given.wake {
        Wake::At(at) => time("a run is due at", at),
        Wake::Keep | Wake::Never => Ok(()),
    }
}

fn time(what: &str, given: f64) -> Result<()> {
    if given.is_finite() {
        return Ok(());
    }
    Err(Error::new(Code::NotFinite, format!("{what} {given}; give seconds since 1970")))
}

/// The error of a run that is no work.
pub(crate) fn no_work(id: &str) -> Error {
    Error::invalid(format!(
        "the run '{}' was begun, and not enqueued; it gets no letters",
        shorten(id).escape_debug()
    ))
}

/// The error of an entry that is not the one after `last`.
pub(crate) fn does_not_follow(given: u64, last: u64) -> Error {
    Error::new(
        Code::StaleWrite,
        format!(
            "entry {given} does not follow entry {last}, the last one; read the run's entries, and go on after them"
        ),
    )
}

/// The error of a run that is not there, or is another tenant's.
pub(crate) fn unknown(id: &str) -> Error {
    Error::new(Code::UnknownId, format!("no run has the id '{}'", shorten(id).escape_debug()))
}

/// The error of an id that is taken.
pub(crate) fn duplicate(id: &str) -> Error {
    Error::new(
        Code::DuplicateId,
        format!("a run '{}' exists already; give another id, or take that run", shorten(id).escape_debug()),
    )
}

/// The error of a run that begins beneath another which has begun too many.
pub(crate) fn too_many(id: &str, root: &str, most: u32) -> Error {
    Error::new(
        Code::StepLimit,
        format!(
            "the run '{}' does not begin: {most} runs have begun beneath '{}', and more are not allowed",
            shorten(id).escape_debug(),
            shorten(root).escape_debug()
        ),
    )
}

/// The error of a run that somebody has.
pub(crate) fn conflict(id: &str, who: &str) -> Error {
    Error::new(
        Code::RunConflict,
        format!(
            "the run '{}' is going on in {who}; wait until it ends, or ask it to stop with cancel",
            shorten(id).escape_debug()
        ),
    )
}

/// The error of a handle whose lease is another's.
pub(crate) fn lost(id: &str) -> Error {
    Error::new(
        Code::StaleWrite,
        format!(
            "this handle does not hold the run '{}' any more: it was taken, released or deleted, or its process was \
             forked from the holder's; take the run again",
            shorten(id).escape_debug()
        ),
    )
}

/// Whether a run with this status has ended.
pub(crate) fn is_final(status: &str) -> bool {
    FINAL.contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: Result<T>) -> Option<Code> {
        result.err().map(|e| e.code())
    }

    #[test]
    fn names_have_a_length() {
        assert_eq!(code(name("x", "")), Some(Code::InvalidArgument));
        assert_eq!(code(name("x", &"a".repeat(513))), Some(Code::TooLarge));
        assert_eq!(code(name("x", &"a".repeat(512))), None);
        assert_eq!(code(status(Some("interrupted"))), Some(Code::InvalidArgument));
        assert_eq!(code(new_run(&NewRun::default())), Some(Code::InvalidArgument));
        let title = "t".repeat(20_000);
        let new = NewRun { kind: "k", title: &title, ..NewRun::default() };
        assert_eq!(code(new_run(&new)), Some(Code::TooLarge));
    }

    #[test]
    fn entries_follow_each_other() {
        let at = |seq| Entry::new(seq, "k", 1);
        assert_eq!(code(entries(&[at(3), at(4)])), None);
        assert_eq!(code(entries(&[at(3), at(5)])), Some(Code::StaleWrite));
        assert_eq!(code(entries(&[at(u64::MAX), at(0)])), Some(Code::StaleWrite));
        assert_eq!(code(entries(&[Entry { time: f64::NAN, ..at(1) }])), Some(Code::NotFinite));
    }
}
