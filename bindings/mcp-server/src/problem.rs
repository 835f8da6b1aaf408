//! What is a client told when something fails?
//!
//! What a call of a tool cannot do is a result with `isError` and the code of the error, so that a model can read it and try
//! something else. What the protocol does not allow is an error of JSON-RPC.

use quorate::{Code, Error};
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;

/// The result of a call that failed.
pub(crate) fn failed(error: &Error) -> CallToolResult {
    let (code, message) = told(error);
    let mut result = CallToolResult::error(vec![ContentBlock::text(format!("{code}: {message}"))]);
    result.structured_content = Some(json!({"code": code, "message": message}));
    result
}

/// The error of a request that is no call of a tool.
pub(crate) fn refused(error: &Error) -> ErrorData {
    let (code, message) = told(error);
    let data = Some(json!({"code": code}));
    match error.code() {
        Code::Internal | Code::Io | Code::Corrupt | Code::Closed => ErrorData::internal_error(message, data),
        _ => ErrorData::invalid_params(message, data),
    }
}

/// A resource that is not there, or not for this caller: both look the same.
pub(crate) fn no_resource(uri: &str) -> ErrorData {
    let shown = quorate::core::shorten(uri);
    ErrorData::resource_not_found(format!("there is no resource '{shown}'"), Some(json!({"uri": shown})))
}

/// The code and the words for it. Paths of the server's own files are its host's business: they go to the log.
fn told(error: &Error) -> (&'static str, String) {
    let code = error.code();
    match code {
        Code::Internal | Code::Io | Code::Corrupt => {
            tracing::error!(code = code.as_str(), "{}", error.message());
            (code.as_str(), format!("the server cannot do this now: {}; its log says more", code.meaning()))
        }
        _ => (code.as_str(), error.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_code_and_no_paths() {
        let result = failed(&Error::new(Code::UnknownId, "no document 'a'"));
        assert_eq!(result.is_error, Some(true));
        assert_eq!(result.structured_content.unwrap()["code"], "unknown_id");
        let hidden = failed(&Error::io("/secret/place", std::io::Error::other("no")));
        let shown = serde_json::to_string(&hidden).unwrap();
        assert!(shown.contains("\"io\"") && !shown.contains("secret"), "{shown}");
    }
}
