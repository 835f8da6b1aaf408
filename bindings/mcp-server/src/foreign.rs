//! How is the way over HTTP tried with other things to serve? For the tests of the protocol's conformance; no part of the API.

use std::net::ToSocketAddrs;

use quorate::Result;
use rmcp::ServerHandler;

use crate::http::HttpServer;
use crate::server::Server;
pub use crate::sessions::Response;

/// Serves `handler` over HTTP as [`Server::bind`] serves quorate: the same doors, limits and sessions.
pub fn bind<H: ServerHandler + Clone + Send + Sync + 'static>(
    server: Server,
    address: impl ToSocketAddrs,
    handler: H,
) -> Result<HttpServer> {
    let own = server.handler(None)?;
    HttpServer::with(server, address, own.work(), handler)
}
