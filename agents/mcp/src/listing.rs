//! Which tools does a server offer?

use std::collections::HashSet;

use rmcp::model::{ClientRequest, ErrorCode, ListToolsRequest, PaginatedRequestParams, ServerResult};
use rmcp::service::{Peer, PeerRequestOptions, RoleClient, ServiceError};

use crate::definition::Definition;

/// The most pages of a list, and the most tools.
const PAGES: usize = 200;
const TOOLS: usize = 2_000;
/// The most bytes of a list, in MiB.
const MIB: usize = 16;

/// Why a list could not be read.
pub(crate) enum Unread {
    /// The way to the server failed.
    Service(ServiceError),
    /// What it said cannot be used.
    Odd(String),
}

/// The whole list, as it is now. It is asked for anew, whatever a server says about how long it may be kept.
pub(crate) async fn list(peer: &Peer<RoleClient>) -> Result<Vec<Definition>, Unread> {
    let mut found = Vec::new();
    let mut cursors = HashSet::new();
    let mut cursor: Option<String> = None;
    let mut bytes = 0;
    for _ in 0..PAGES {
        let page = PaginatedRequestParams::default().with_cursor(cursor);
        let request = ListToolsRequest { params: Some(page), ..ListToolsRequest::default() };
        let sent = peer
            .send_request_with_option(
                ClientRequest::ListToolsRequest(request),
                PeerRequestOptions::no_options(),
            )
            .await;
        let answer = match sent {
            Ok(handle) => handle.await_response().await,
            Err(error) => Err(error),
        };
        let page = match answer {
            Ok(ServerResult::ListToolsResult(page)) => page,
            // No tools is written by some as nothing at all.
            Ok(ServerResult::EmptyResult(_)) => return Ok(found),
            Ok(_) => return Err(Unread::Odd("its list of tools is not what the protocol says".to_owned())),
            Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => {
                return Err(Unread::Odd("it offers no tools".to_owned()));
            }
            Err(error) => return Err(Unread::Service(error)),
        };
        for tool in page.tools {
            let definition = Definition::of(tool);
            bytes += definition.bytes();
            found.push(definition);
        }
        bytes += page.next_cursor.as_ref().map_or(0, String::len);
        if bytes > MIB << 20 {
            return Err(Unread::Odd(format!("its list of tools has over {MIB} MiB")));
        }
        if found.len() > TOOLS {
            return Err(Unread::Odd(format!("it offers over {TOOLS} tools")));
        }
        match page.next_cursor {
            None => return Ok(found),
            Some(next) if !cursors.insert(next.clone()) => {
                return Err(Unread::Odd("the pages of its list of tools lead round in a circle".to_owned()));
            }
            Some(next) => cursor = Some(next),
        }
    }
    Err(Unread::Odd(format!("its list of tools has over {PAGES} pages")))
}
