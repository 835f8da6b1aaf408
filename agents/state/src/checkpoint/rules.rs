//! What may be written, in which order do checkpoints stand, and which errors do both stores give?

use std::collections::HashSet;

use quorate_core::{Code, Error, Result, shorten};

use super::{Guard, NewCheckpoint, NewWrites};
use crate::check;

/// The longest namespace and path, in bytes.
const MAX_PATH_BYTES: usize = 8 << 10;

/// Where a checkpoint stands among those of its store: later ones are larger.
pub(crate) type Order = [u8; 17];

/// The place of a checkpoint that is the `written`th to be written. An id that is a UUID of version 6 or 7 in lower case has
/// its own: with other digits two ids that differ would have the same.
pub(crate) fn order_of(id: &str, written: u64) -> Order {
    let mut order = [0; 17];
    match time_uuid(id) {
        Some(uuid) => {
            order[0] = 1;
            order[1..].copy_from_slice(&uuid);
        }
        None => order[9..].copy_from_slice(&written.to_be_bytes()),
    }
    order
}

/// The place of an id that tells it by itself.
pub(crate) fn order_alone(id: &str) -> Option<Order> {
    time_uuid(id).map(|_| order_of(id, 0))
}

fn time_uuid(id: &str) -> Option<[u8; 16]> {
    let bytes = id.as_bytes();
    let dashes = [8, 13, 18, 23];
    if bytes.len() != 36 || dashes.iter().any(|at| bytes[*at] != b'-') || !matches!(bytes[14], b'6' | b'7') {
        return None;
    }
    let digits: Vec<u8> = bytes
        .iter()
        .enumerate()
        .filter(|(at, _)| !dashes.contains(at))
        .map(|(_, byte)| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(uuid)
}

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn check_place(thread: &str, namespace: &str) -> Result<()> {
    check::name("the thread", thread)?;
    path("the namespace", namespace)
}

fn path(what: &str, given: &str) -> Result<()> {
    if given.len() > MAX_PATH_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            format!("{what} has {} bytes; give at most {MAX_PATH_BYTES}", given.len()),
        ));
    }
    Ok(())
}

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn check_new(new: &NewCheckpoint<'_>) -> Result<()> {
    check_place(new.thread, new.namespace)?;
    new.id.map_or(Ok(()), |id| check::name("the id of a checkpoint", id))?;
    new.parent.map_or(Ok(()), |id| check::name("the parent of a checkpoint", id))?;
    if new.metadata.value().is_some_and(|metadata| !metadata.is_object()) {
        return Err(Error::invalid("the metadata of a checkpoint are no JSON object"));
    }
    let mut seen = HashSet::new();
    for (channel, version) in &new.versions {
        check::name("a channel", channel)?;
        check::name("the version of a channel", version)?;
        if new.versions.len() > 16 && !seen.insert(channel) {
            return Err(twice(channel));
        }
    }
    if new.versions.len() <= 16 {
        for (i, (channel, _)) in new.versions.iter().enumerate() {
            if new.versions[..i].iter().any(|(other, _)| other == channel) {
                return Err(twice(channel));
            }
        }
    }
    for value in &new.values {
        check::name("a channel", &value.channel)?;
        check::name("the version of a channel", &value.version)?;
    }
    for extension in &new.extends {
        check::name("the version of a channel", &extension.base)?;
        let value = new.values.iter().find(|value| value.channel == extension.channel);
        let array = value.and_then(|value| value.value.as_ref()?.as_array());
        if array.is_none_or(|array| array.len() < extension.length) {
            let channel = shorten(&extension.channel).escape_debug().to_string();
            return Err(Error::invalid(format!(
                "the value of the channel '{channel}' is no array of {} elements or more, and is said to extend one",
                extension.length
            )));
        }
    }
    Ok(())
}

/// Whether a write at this place takes that of one that is there.
pub(crate) fn replaces(index: i64) -> bool {
    index < 0
}

/// The fence that threads begin with once a thread with this one was removed, where they began with `first` until then: so
/// whoever had claimed the thread before its end does not have the one that begins under its name.
pub(crate) fn fence_after(first: u64, fence: u64) -> u64 {
    first.max(fence.saturating_add(1))
}

/// The error of whoever replaces a value that others begin with.
pub(crate) fn built_upon(channel: &str, version: &str) -> Error {
    Error::invalid(format!(
        "others begin with the version '{}' of the channel '{}'; give the other value a version of its own",
        shorten(version).escape_debug(),
        shorten(channel).escape_debug()
    ))
}

fn twice(channel: &str) -> Error {
    Error::invalid(format!("the channel '{}' has two versions", shorten(channel).escape_debug()))
}

/// Errors: `invalid_argument`, `too_large`.
pub(crate) fn check_writes(new: &NewWrites<'_>) -> Result<()> {
    check_place(new.thread, new.namespace)?;
    check::name("the id of a checkpoint", new.checkpoint)?;
    check::name("the task", new.task)?;
    path("the path of a task", new.path)?;
    new.writes.iter().try_for_each(|write| check::name("a channel", &write.channel))
}

/// What stands in the way of a writer, given the thread's fence and the newest checkpoint of its namespace.
/// Errors: `stale_write`.
pub(crate) fn check_guard(
    guard: Guard<'_>,
    thread: &str,
    fence: u64,
    head: impl FnOnce() -> Result<Option<String>>,
) -> Result<()> {
    match guard {
        Guard::None => Ok(()),
        Guard::Fence(known) if known == fence => Ok(()),
        Guard::Fence(_) => Err(overtaken(thread)),
        Guard::Same(_, known) if known != fence => Err(overtaken(thread)),
        Guard::Head(known) | Guard::Same(known, _) => {
            let head = head()?;
            if head.as_deref() == known { Ok(()) } else { Err(moved_on(thread, known, head.as_deref())) }
        }
    }
}

/// The error of whoever no longer has the thread.
pub(crate) fn overtaken(thread: &str) -> Error {
    Error::new(
        Code::StaleWrite,
        format!(
            "somebody else goes on with the thread '{}': it was run, updated, cancelled or removed meanwhile; read its \
             state, and go on from there",
            shorten(thread).escape_debug()
        ),
    )
}

/// The error of whoever knows an older state.
pub(crate) fn moved_on(thread: &str, known: Option<&str>, head: Option<&str>) -> Error {
    let named =
        |id: Option<&str>| id.map_or("none".to_owned(), |id| format!("'{}'", shorten(id).escape_debug()));
    Error::new(
        Code::StaleWrite,
        format!(
            "the newest checkpoint of the thread '{}' is {}, not {}; read its state, and go on from there",
            shorten(thread).escape_debug(),
            named(head),
            named(known)
        ),
    )
}

/// The error of a checkpoint that is not there.
pub(crate) fn unknown_checkpoint(thread: &str, id: &str) -> Error {
    Error::new(
        Code::UnknownId,
        format!(
            "the thread '{}' has no checkpoint '{}'",
            shorten(thread).escape_debug(),
            shorten(id).escape_debug()
        ),
    )
}

/// The error of a thread that is not there, or is another tenant's.
pub(crate) fn unknown_thread(thread: &str) -> Error {
    Error::new(Code::UnknownId, format!("no thread is called '{}'", shorten(thread).escape_debug()))
}

/// The error of a thread that is there already.
pub(crate) fn taken(thread: &str) -> Error {
    Error::new(
        Code::DuplicateId,
        format!(
            "a thread '{}' exists already; give another name, or delete that one",
            shorten(thread).escape_debug()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_a_time_are_ordered_by_it_and_others_by_when_they_came() {
        let early = "1f0c2c1e-0000-6000-8000-000000000000";
        let late = "1f0c2c1e-0000-6001-8000-000000000000";
        assert!(order_of(early, 9) < order_of(late, 1));
        assert!(order_of("b", 1) < order_of("a", 2));
        let (lower, upper) = ("1f0c2c1e-0000-6000-8000-00000000000a", "1f0c2c1e-0000-6000-8000-00000000000A");
        assert_ne!(order_of(lower, 1), order_of(upper, 1), "two ids, two places");
        assert!(order_alone(lower).is_some() && order_alone(upper).is_none());
        let random = "1f0c2c1e-0000-4000-8000-000000000000";
        assert!(
            order_alone(random).is_none() && order_alone("1f0c2c1e-0000-6000-8000-00000000000g").is_none()
        );
        assert_eq!(order_alone(early), Some(order_of(early, 5)));
    }

    #[test]
    fn guards_say_why() {
        let head = || Ok(Some("c2".to_owned()));
        assert!(check_guard(Guard::Head(Some("c2")), "t", 1, head).is_ok());
        let error = check_guard(Guard::Head(Some("c1")), "t", 1, head).unwrap_err();
        assert_eq!(error.code(), Code::StaleWrite);
        assert!(error.message().contains("'c2', not 'c1'"), "{error}");
        assert!(check_guard(Guard::Fence(1), "t", 1, head).is_ok());
        assert_eq!(check_guard(Guard::Fence(1), "t", 2, head).unwrap_err().code(), Code::StaleWrite);
    }
}
