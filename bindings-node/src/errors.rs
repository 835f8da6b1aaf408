//! How does an error of quorate become a JavaScript error with the same code?

use napi_derive::napi;
use quorate::{Code, Error, Kind};

/// An error on its way to JavaScript: its `code` property is the code. The TypeScript half picks the class.
pub type Thrown = napi::Error<&'static str>;

/// The error with the code of `error`.
pub fn throw(error: Error) -> Thrown {
    napi::Error::new(error.code().as_str(), error.message().to_owned())
}

/// A result of quorate as a result of a native function.
pub trait OrThrow<T> {
    /// The value, or the error to throw.
    fn or_throw(self) -> Result<T, Thrown>;
}

impl<T> OrThrow<T> for quorate::Result<T> {
    fn or_throw(self) -> Result<T, Thrown> {
        self.map_err(throw)
    }
}

/// An error with code `invalid_argument`.
pub fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(message)
}

/// A failure of the engine that runs JavaScript, which has no business to happen.
pub fn engine(message: impl Into<String>) -> Error {
    Error::new(Code::Internal, message)
}

/// Every code as (code, class, meaning).
#[napi(ts_return_type = "Array<[code: string, kind: string, meaning: string]>")]
pub fn error_codes() -> Vec<Vec<&'static str>> {
    let class = |kind| match kind {
        Kind::InvalidInput => "InvalidInput",
        Kind::NotFound => "NotFound",
        Kind::Conflict => "Conflict",
        Kind::Locked => "Locked",
        Kind::Corrupt => "Corrupt",
        Kind::Unavailable => "Unavailable",
        Kind::Cancelled => "Cancelled",
        Kind::Unsupported => "Unsupported",
        _ => "QuorateError",
    };
    Code::ALL.iter().map(|code| vec![code.as_str(), class(code.kind()), code.meaning()]).collect()
}
