//! How is a server reached over streamable HTTP?

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use quorate_core::{Error, Result};
use rmcp::RoleClient;
use rmcp::transport::common::client_side_sse::FixedInterval;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::transport::{StreamableHttpClientTransport, Transport};

use crate::options::McpOptions;

/// The largest answer and the largest event, in bytes.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// Header fields that are the protocol's own.
const RESERVED: [&str; 6] =
    ["accept", "content-type", "content-length", "mcp-session-id", "mcp-protocol-version", "last-event-id"];

/// The header fields of each request. Errors: `invalid_argument`.
pub(crate) fn headers(options: &McpOptions) -> Result<HashMap<HeaderName, HeaderValue>> {
    let mut fields = HashMap::new();
    for (name, value) in &options.headers {
        let shown = quorate_core::shorten(name);
        let Ok(field) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Error::invalid(format!("'{shown}' is no name of an HTTP header")));
        };
        if RESERVED.contains(&field.as_str()) {
            return Err(Error::invalid(format!("the HTTP header '{shown}' is the protocol's own")));
        }
        let Ok(mut value) = HeaderValue::from_str(value) else {
            let message = format!("the HTTP header '{shown}' has a value with line breaks or controls");
            return Err(Error::invalid(message));
        };
        value.set_sensitive(true);
        fields.insert(field, value);
    }
    Ok(fields)
}

/// The way to the server at `url`, in a task of the runtime that it is called in. It follows no redirection to another host.
pub(crate) fn transport(
    url: &str,
    fields: HashMap<HeaderName, HeaderValue>,
) -> impl Transport<RoleClient> + use<> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(fields)
        .max_sse_event_size(MAX_MESSAGE)
        .max_json_response_size(MAX_MESSAGE)
        .max_error_response_size(4 << 10)
        // A session that begins anew is a connection of its own: its list of tools is read, and compared, first.
        .reinit_on_expired_session(false);
    config.allow_stateless = true;
    // A stream of announcements that broke is opened again for as long as the connection is used.
    let mut again = FixedInterval::default();
    again.duration = Duration::from_secs(1);
    config.retry_config = std::sync::Arc::new(again);
    StreamableHttpClientTransport::from_config(config)
}

/// What an error of the way means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is nobody at the other end.
    Gone,
    /// The server does not know the session any more: it has done nothing.
    Forgotten,
    /// The server, or what stands before it, could not answer now.
    Away,
    /// The server has answered that it does not do this, or something that is no answer.
    Refused,
}

/// What tells what an error means. The client that rmcp uses has no name here: it is that of [`transport`].
pub(crate) fn trouble() -> fn(&(dyn std::error::Error + 'static)) -> Trouble {
    fn of<C: StreamableHttpClient>(
        _: fn(StreamableHttpClientTransportConfig) -> StreamableHttpClientTransport<C>,
    ) -> fn(&(dyn std::error::Error + 'static)) -> Trouble {
        means::<C>
    }
    of(StreamableHttpClientTransport::from_config)
}

fn means<C: StreamableHttpClient>(error: &(dyn std::error::Error + 'static)) -> Trouble {
    match error.downcast_ref::<StreamableHttpError<C::Error>>() {
        Some(StreamableHttpError::SessionExpired) => Trouble::Forgotten,
        Some(StreamableHttpError::HttpStatus(_)) => Trouble::Away,
        Some(
            StreamableHttpError::UnexpectedServerResponse(_)
            | StreamableHttpError::ResponseBodyTooLarge { .. }
            | StreamableHttpError::UnexpectedContentType(_)
            | StreamableHttpError::Deserialize(_)
            | StreamableHttpError::AuthRequired(_)
            | StreamableHttpError::InsufficientScope(_)
            | StreamableHttpError::ReservedHeaderConflict(_),
        ) => Trouble::Refused,
        _ => Trouble::Gone,
    }
}
