//! How does a client that started this process speak with it?

use quorate::{Code, Error, Result};
use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use rmcp::transport::async_rw::AsyncRwTransport;

use crate::handler::Handler;
use crate::limits::Limits;
use crate::server::io;
use crate::stop::Stop;

/// Serves until the input ends or the server is stopped.
pub(crate) fn serve(handler: Handler, limits: &Limits, stop: &Stop) -> Result<()> {
    let runtime = runtime(limits)?;
    let served = runtime.block_on(async {
        let transport = AsyncRwTransport::new_server(tokio::io::stdin(), tokio::io::stdout());
        let transport = transport.with_max_line_length(limits.message_bytes);
        let work = handler.work();
        let running = match serve_server_with_ct(handler, transport, stop.token().child_token()).await {
            Ok(running) => running,
            // Nobody has said anything.
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
                return Ok(());
            }
            Err(error) => {
                let said = quorate::core::shorten(&error.to_string());
                let message = format!("the client does not begin as the Model Context Protocol says: {said}");
                return Err(Error::new(Code::InvalidArgument, message));
            }
        };
        let ended = running.waiting().await;
        // Nobody reads the answers of what still goes on.
        stop.work().cancel();
        let until = tokio::time::Instant::now() + limits.shutdown;
        while work.going_on() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        ended.map(drop).map_err(|_| Error::new(Code::Internal, "the server's task has panicked"))
    });
    // A thread may wait for input that never comes.
    runtime.shutdown_background();
    served
}

/// What drives the server, apart from the library's own.
pub(crate) fn runtime(limits: &Limits) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // Beside calls: the verification of tokens, input and output.
    builder.worker_threads(2).max_blocking_threads(limits.calls + 16);
    builder
        .thread_name("quorate-mcp")
        .enable_all()
        .build()
        .map_err(|error| io("no threads can be started", error))
}
