//! What becomes of a defect that unwinds?

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use quorate::{Code, Error, Result};

/// Turns an unwinding defect into an error with code `internal`.
pub fn contain<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(defect(&*cause)))
}

fn defect(cause: &(dyn Any + Send)) -> Error {
    let text = cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(Code::Internal, format!("a defect of quorate, please report it: {text}"))
}
