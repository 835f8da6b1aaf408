//! Which code does a failure of lancedb, lance or an object store have?

use std::error::Error as Cause;

use quorate_core::{Code, Error};

type Source = Box<dyn Cause + Send + Sync>;

/// A failure to connect, or to open a table.
pub(super) fn opening(error: lancedb::Error, place: &str) -> Error {
    match error {
        lancedb::Error::Lance { source } => reading(source, place),
        lancedb::Error::TableCorrupted { .. } => {
            with_code(Code::Corrupt, place, error.to_string(), Box::new(error))
        }
        other => from_source(Code::Io, place, Box::new(other)),
    }
}

/// A failure to create a table.
pub(super) fn writing_db(error: lancedb::Error, place: &str) -> Error {
    match error {
        lancedb::Error::Lance { source } => writing(source, place),
        lancedb::Error::TableAlreadyExists { .. } => {
            with_code(Code::VersionConflict, place, error.to_string(), Box::new(error))
        }
        other => from_source(Code::Io, place, Box::new(other)),
    }
}

pub(super) fn reading(error: lance::Error, place: &str) -> Error {
    from_source(Code::Corrupt, place, Box::new(error))
}

pub(super) fn writing(error: lance::Error, place: &str) -> Error {
    let code = match &error {
        lance::Error::CommitConflict { .. }
        | lance::Error::RetryableCommitConflict { .. }
        | lance::Error::IncompatibleTransaction { .. }
        | lance::Error::TooMuchWriteContention { .. } => Code::VersionConflict,
        lance::Error::CorruptFile { .. } => Code::Corrupt,
        lance::Error::NotFound { .. } if is_remote(place) => Code::NotFound,
        _ => Code::Io,
    };
    from_source(code, place, Box::new(error))
}

/// A failure to look at a version, which is there or not unless something else stands in the way.
pub(super) fn version(error: lance::Error, version: u64, place: &str) -> Error {
    match code_of(Code::UnknownId, place, &error) {
        Code::UnknownId => Error::with_source(
            Code::UnknownId,
            format!("version {version} is not there; it was never made or has been pruned"),
            error,
        ),
        code => with_code(code, place, error.to_string(), Box::new(error)),
    }
}

fn is_remote(place: &str) -> bool {
    place.contains("://")
}

fn from_source(otherwise: Code, place: &str, error: Source) -> Error {
    let code = code_of(otherwise, place, error.as_ref());
    with_code(code, place, error.to_string(), error)
}

/// What the operating system or the object store gave as its reason, anywhere in the chain of causes, decides the code.
fn code_of(otherwise: Code, place: &str, error: &(dyn Cause + 'static)) -> Code {
    let mut code = otherwise;
    let mut cause = Some(error);
    while let Some(e) = cause {
        if is_remote(place) {
            code = remote(code, e);
        } else if let Some(io) = e.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind;
            code = match io.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Code::PermissionDenied,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::DiskFull,
                _ => code,
            };
        }
        cause = e.source();
    }
    if is_remote(place) && (code == otherwise || code == Code::RemoteFailed) {
        return told(&error.to_string()).unwrap_or(code);
    }
    if code == otherwise {
        let text = error.to_string();
        if text.contains("No space left on device") {
            code = Code::DiskFull;
        } else if text.contains("Permission denied") {
            code = Code::PermissionDenied;
        }
    }
    code
}

/// The code after one more cause of a failure on an object store; later causes say more.
fn remote(code: Code, cause: &(dyn Cause + 'static)) -> Code {
    use object_store::Error as Store;
    match cause.downcast_ref::<Store>() {
        Some(Store::PermissionDenied { .. } | Store::Unauthenticated { .. }) => {
            return Code::PermissionDenied;
        }
        Some(Store::Precondition { .. } | Store::AlreadyExists { .. }) => return Code::VersionConflict,
        // Lance passes its own failures through this type too, under the name N/A.
        Some(Store::Generic { store, .. })
            if *store != "N/A" && matches!(code, Code::Corrupt | Code::Io | Code::UnknownId) =>
        {
            return Code::RemoteFailed;
        }
        _ => {}
    }
    #[cfg(feature = "aws")]
    if let Some(http) = cause.downcast_ref::<object_store::client::HttpError>() {
        use object_store::client::HttpErrorKind;
        return match http.kind() {
            HttpErrorKind::Timeout => Code::Timeout,
            HttpErrorKind::Connect => Code::Offline,
            _ => code,
        };
    }
    code
}

/// The code of a failure of an object store that comes as a text only, as it does from the opening of a database.
fn told(text: &str) -> Option<Code> {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["status: 401", "status: 403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"]) {
        Some(Code::PermissionDenied)
    } else if says(&["NoSuchBucket", "status: 404"]) {
        Some(Code::NotFound)
    } else if says(&["kind: Timeout"]) {
        Some(Code::Timeout)
    } else if says(&["kind: Connect"]) {
        Some(Code::Offline)
    } else if says(&["RetryError", "status: 5"]) {
        Some(Code::RemoteFailed)
    } else {
        None
    }
}

fn with_code(code: Code, place: &str, text: String, error: Source) -> Error {
    Error::with_source(code, format!("{place}: {}", without_location(&text)), error)
}

/// Lance ends its messages with the line of its own source that they come from.
fn without_location(text: &str) -> &str {
    if let Some((message, _)) = text.split_once(", location: Location {") {
        return message;
    }
    match text.rsplit_once(", ") {
        Some((message, line)) if line.contains(".rs:") && !line.contains(' ') => without_location(message),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_with_what_happened() {
        let said = "LanceError(IO): No space left on device (os error 28), /home/x/.cargo/lance-io-14.0.2/src/local.rs:12:7";
        assert_eq!(without_location(said), "LanceError(IO): No space left on device (os error 28)");
        assert_eq!(without_location("a, b"), "a, b");
        let error = writing(lance::Error::not_found("truth/data/x.lance"), "kb/truth");
        assert!(error.message().starts_with("kb/truth: ") && !error.message().contains(".rs:"), "{error}");
        assert_eq!(error.code(), Code::Io);
        assert_eq!(writing(lance::Error::not_found("x"), "s3://b/kb").code(), Code::NotFound);
        assert_eq!(
            without_location("IO { kind: Connect }, location: Location { file: 3 }"),
            "IO { kind: Connect }"
        );
    }

    #[test]
    fn the_reason_below_decides_the_code() {
        let io = |kind| lance::Error::io_source(Box::new(std::io::Error::from(kind)));
        use std::io::ErrorKind;
        for (kind, code) in [
            (ErrorKind::PermissionDenied, Code::PermissionDenied),
            (ErrorKind::ReadOnlyFilesystem, Code::PermissionDenied),
            (ErrorKind::StorageFull, Code::DiskFull),
            (ErrorKind::Interrupted, Code::Io),
        ] {
            assert_eq!(writing(io(kind), "kb").code(), code, "{kind:?}");
        }
        assert_eq!(reading(io(ErrorKind::UnexpectedEof), "kb").code(), Code::Corrupt);
        let refused = || object_store::Error::PermissionDenied { path: "x".into(), source: "no".into() };
        let refused = lance::Error::io_source(Box::new(refused()));
        assert_eq!(reading(refused, "s3://b/kb").code(), Code::PermissionDenied);
        let broken = object_store::Error::Generic { store: "S3", source: "500".into() };
        assert_eq!(
            reading(lance::Error::io_source(Box::new(broken)), "s3://b/kb").code(),
            Code::RemoteFailed
        );
    }
}
