//! What do the places where tests let writes fail give?

use quorate_core::{Code, Error};

/// The error of a failpoint: with `return(permission)` that of a folder that may no longer be written to, otherwise
/// that of a full disk.
pub fn refused(kind: Option<String>) -> Error {
    match kind.as_deref() {
        Some("permission") => Error::new(Code::PermissionDenied, "failpoint: permission denied"),
        _ => Error::new(Code::DiskFull, "failpoint: no space left"),
    }
}
