//! What can go wrong, and by which name do the three languages know it?

use std::fmt;

/// The result of every fallible call of quorate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The family of an error. Each family is an exception class in Python and an `Error` subclass in Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The caller gave something that cannot be used.
    InvalidInput,
    /// What the caller named does not exist.
    NotFound,
    /// What the caller asked for contradicts what is there.
    Conflict,
    /// Another process holds the writer's lock.
    Locked,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A resource (network, disk, model) cannot be reached or used at present.
    Unavailable,
    /// The caller cancelled the work.
    Cancelled,
    /// The operation has no meaning for this object, or was not compiled in.
    Unsupported,
    /// A defect of quorate itself.
    Internal,
}

macro_rules! codes {
    ($($variant:ident, $text:literal, $kind:ident, $meaning:literal;)*) => {
        /// The stable name of an error, the same in Rust, Python (`error.code`) and Node (`error.code`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The code as a snake_case string.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The family that the code belongs to.
            pub const fn kind(self) -> Kind {
                match self { $(Code::$variant => Kind::$kind,)* }
            }

            /// What the code means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidArgument, "invalid_argument", InvalidInput, "An argument has a value outside its domain.";
    InvalidShape, "invalid_shape", InvalidInput, "Arrays or vectors have lengths or dimensions that do not fit together.";
    NotFinite, "not_finite", InvalidInput, "A number is NaN or infinite where a finite one is needed.";
    EmptyInput, "empty_input", InvalidInput, "There is nothing to compute on.";
    InvalidDocument, "invalid_document", InvalidInput, "A document lacks a field or has one of the wrong type.";
    InvalidText, "invalid_text", InvalidInput, "A text is not valid Unicode.";
    FilterSyntax, "filter_syntax", InvalidInput, "A filter expression cannot be parsed; the message gives the position.";
    FilterType, "filter_type", InvalidInput, "A filter compares a field with a value of another type.";
    FilterField, "filter_field", InvalidInput, "A strict filter names a field that no document has.";
    QuerySyntax, "query_syntax", InvalidInput, "A structured query cannot be built.";
    TooLarge, "too_large", InvalidInput, "An input is over a stated limit.";
    ModelInvalid, "model_invalid", InvalidInput, "A model folder is incomplete or contradicts itself; the message names the file and the field.";
    ModelUnsupported, "model_unsupported", Unsupported, "The model has an architecture or a setting that quorate does not run.";
    ModelNotFound, "model_not_found", NotFound, "No model lies at the given place.";
    NotFound, "not_found", NotFound, "What was named does not exist.";
    UnknownId, "unknown_id", NotFound, "No document, agent or version has this id.";
    UnknownCapability, "unknown_capability", NotFound, "The capability is not in the taxonomy.";
    DuplicateId, "duplicate_id", Conflict, "The id exists already.";
    DuplicateEntry, "duplicate_entry", Conflict, "One rater rated one item more than once.";
    EmbedderMismatch, "embedder_mismatch", Conflict, "The knowledge base was made with another embedder; the message names both.";
    VersionConflict, "version_conflict", Conflict, "The stored version is not the expected one.";
    IncludeCycle, "include_cycle", Conflict, "A catalogue includes itself.";
    TenantViolation, "tenant_violation", Conflict, "The handle may not touch what belongs to another tenant.";
    ReadOnly, "read_only", Conflict, "The handle was opened for reading only.";
    Closed, "closed", Conflict, "The handle has been closed.";
    Locked, "locked", Locked, "Another process is writing here.";
    Corrupt, "corrupt", Corrupt, "Stored bytes are damaged; the message names the file.";
    FormatVersion, "format_version", Corrupt, "The stored format is not one that this release reads.";
    Io, "io", Unavailable, "The operating system refused a file operation.";
    DiskFull, "disk_full", Unavailable, "The disk is full.";
    PermissionDenied, "permission_denied", Unavailable, "The operating system denied access.";
    Offline, "offline", Unavailable, "The network cannot be reached.";
    RemoteFailed, "remote_failed", Unavailable, "A remote service answered with an error.";
    RemoteInvalid, "remote_invalid", Unavailable, "A remote service answered with something that cannot be used.";
    Timeout, "timeout", Unavailable, "The work took longer than its limit.";
    RateLimited, "rate_limited", Unavailable, "A service takes no more requests or tokens at present, or its quota is used up.";
    CircuitOpen, "circuit_open", Unavailable, "A service failed so often that it is not asked for a while.";
    StreamIncomplete, "stream_incomplete", Unavailable, "A stream ended before its end; what had come is in the partial result.";
    ContextOverflow, "context_overflow", InvalidInput, "The messages are longer than the model reads.";
    ModelRefused, "model_refused", Unavailable, "The model declined to give the output that was asked for.";
    OutputInvalid, "output_invalid", Unavailable, "A model's output does not fit the schema, or the host refused it; the message gives the path, or what the host said.";
    ToolArguments, "tool_arguments", InvalidInput, "The arguments of a tool call are not valid JSON, or do not fit the tool's schema.";
    ToolFailed, "tool_failed", Unavailable, "A tool failed; the message is what it said.";
    ToolTimeout, "tool_timeout", Unavailable, "A tool did not end within its time.";
    ToolUnknown, "tool_unknown", NotFound, "No tool has this name; the message lists those that there are.";
    ApprovalRequired, "approval_required", Conflict, "A call must be approved before it is made, or was denied.";
    BudgetExceeded, "budget_exceeded", Conflict, "A step does not fit into what is left of the budget.";
    BudgetUnpriced, "budget_unpriced", InvalidInput, "Money is limited, and the price of the model is not known.";
    StepLimit, "step_limit", Conflict, "Runs start one another too deep.";
    QuorumMissed, "quorum_missed", Conflict, "Too few members of a panel gave a ballot.";
    ReplayMismatch, "replay_mismatch", Conflict, "A request is not the recorded one; the message gives the difference.";
    RunConflict, "run_conflict", Conflict, "Another holder, in this process or another one, is going on with the run, or its idempotency key was used for another question.";
    StaleWrite, "stale_write", Conflict, "A run has gone on without this handle: its lease was taken, or an entry's number does not follow.";
    CompensationFailed, "compensation_failed", Conflict, "What a run or a saga had done could not be undone: something is left that somebody has to look at.";
    StorySyntax, "story_syntax", InvalidInput, "A job story lacks one of its parts; the message says which, and where it was looked for.";
    NoTemplate, "no_template", NotFound, "No workflow template fits the job story; the message names the nearest.";
    LoadFailed, "load_failed", InvalidInput, "A file could not be read as what its name says; the message gives the reason.";
    Callback, "callback", InvalidInput, "A function given by the host failed.";
    Cancelled, "cancelled", Cancelled, "The caller cancelled the work.";
    Unsupported, "unsupported", Unsupported, "The operation has no meaning for this object, or was not compiled in.";
    Undefined, "undefined", InvalidInput, "The statistic has no defined value for this data, and the call cannot say so otherwise.";
    Internal, "internal", Internal, "A defect of quorate itself; please report it.";
}

/// The one error type of quorate. It is opaque: ask it for its [`code`](Error::code) and [`kind`](Error::kind).
///
/// ```
/// use quorate_core::{Code, Error, Kind};
/// let e = Error::new(Code::DuplicateId, "document 'a' exists already; use upsert to replace it");
/// assert_eq!(e.code().as_str(), "duplicate_id");
/// assert_eq!(e.kind(), Kind::Conflict);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The longest message, in bytes. Of a longer one the middle is left out, so that no error is as long as what was given.
pub const MAX_MESSAGE_BYTES: usize = 3_000;

/// How much of a message that is too long comes after what is left out: its end says what was expected.
const END_BYTES: usize = 800;

impl Error {
    /// An error with a message that says what was given, what was expected and what to do. Of a message beyond
    /// [`MAX_MESSAGE_BYTES`] the middle is left out.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { code, message: bounded(message.into()), source: None }))
    }

    /// The same, keeping the error that caused it.
    pub fn with_source(
        code: Code,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error(Box::new(Inner { code, message: bounded(message.into()), source: Some(source.into()) }))
    }

    /// An argument outside its domain (code `invalid_argument`).
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(Code::InvalidArgument, message)
    }

    /// A failed file operation on `path`; the code follows the operating system's reason.
    pub fn io(path: impl AsRef<std::path::Path>, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let code = match source.kind() {
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Code::PermissionDenied,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::DiskFull,
            _ => Code::Io,
        };
        Error::with_source(code, format!("{}: {source}", path.as_ref().display()), source)
    }

    /// The stable name of what went wrong.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The family of what went wrong.
    pub fn kind(&self) -> Kind {
        self.0.code.kind()
    }

    /// The message without the code.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The same error with `suffix` after its message, to say what to do.
    pub fn followed_by(mut self, suffix: impl fmt::Display) -> Self {
        self.0.message = format!("{}{suffix}", self.0.message);
        self
    }

    /// The same error with `prefix` and a colon before its message, to say where it happened.
    pub fn context(mut self, prefix: impl fmt::Display) -> Self {
        self.0.message = bounded(format!("{prefix}: {}", self.0.message));
        self
    }
}

/// The start of a text, for a message that quotes what was given: at most 60 characters, then an ellipsis.
///
/// ```
/// assert_eq!(quorate_core::shorten("metformin"), "metformin");
/// assert_eq!(quorate_core::shorten(&"i".repeat(200_000)).len(), 63);
/// ```
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn bounded(message: String) -> String {
    const ELLIPSIS: &str = " ... ";
    if message.len() <= MAX_MESSAGE_BYTES {
        return message;
    }
    let start = message.floor_char_boundary(MAX_MESSAGE_BYTES - END_BYTES - ELLIPSIS.len());
    let end = message.ceil_char_boundary(message.len() - END_BYTES);
    format!("{}{ELLIPSIS}{}", &message[..start], &message[end..])
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.0.message, self.0.code.as_str())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e.as_ref() as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert!(code.meaning().ends_with('.') || code.meaning().contains(';'));
        }
    }

    #[test]
    fn no_message_is_as_long_as_what_was_given() {
        let given = "\u{e9}".repeat(200_000);
        for error in [
            Error::invalid(format!("field '{given}' is not there; a field is expected")),
            Error::invalid("a field is expected").context(&given),
            Error::with_source(Code::Io, given.clone(), std::io::Error::other("why")),
        ] {
            assert!(error.message().len() <= MAX_MESSAGE_BYTES, "{}", error.message().len());
            assert!(error.message().contains(" ... "));
        }
        let error = Error::invalid(format!("field '{given}' is not there; a field is expected"));
        assert!(
            error.message().starts_with("field '\u{e9}") && error.message().ends_with("a field is expected")
        );
        let exact = "x".repeat(MAX_MESSAGE_BYTES);
        assert_eq!(Error::invalid(exact.as_str()).message(), exact);
    }

    #[test]
    fn io_errors_say_which_path_and_why() {
        let e = Error::io("/x/y", std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        assert_eq!(e.code(), Code::PermissionDenied);
        assert!(e.message().contains("/x/y"));
        assert!(std::error::Error::source(&e).is_some());
    }
}
