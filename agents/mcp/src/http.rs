//! How is a server reached over streamable HTTP?

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use quorate_core::{Error, Result};
use rmcp::RoleClient;
use rmcp::transport::common::client_side_sse::FixedInterval;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
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
        .reinit_on_expired_session(true);
    config.allow_stateless = true;
    // A stream of announcements that broke is opened again for as long as the connection is used.
    let mut again = FixedInterval::default();
    again.duration = Duration::from_secs(1);
    config.retry_config = std::sync::Arc::new(again);
    StreamableHttpClientTransport::from_config(config)
}
