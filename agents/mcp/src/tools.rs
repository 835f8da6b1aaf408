//! What holds a server, and gives its tools?

use std::fmt;
use std::sync::Arc;

use quorate_core::Result;
use quorate_runtime::{Tool, ToolCard};
use serde_json::json;

use crate::changes::McpChanges;
use crate::definition::shown;
use crate::options::McpOptions;
use crate::server::Server;
use crate::tool::{McpSet, members};

/// The tools of a Model Context Protocol server. Cheap to clone; the server ends when the last clone and the last of its
/// tools are gone, or by [`close`](McpTools::close).
///
/// A tool that is not said to be read-only writes, so that each call waits for approval. A tool whose description, schema
/// or hints change is refused from then on, until [`refresh`](McpTools::refresh) accepts it; runs under way are told by a
/// `warning` event.
///
/// ```no_run
/// use quorate_mcp::{McpOptions, McpTools};
/// use quorate_runtime::{Question, Runtime, RuntimeOptions};
/// let tools = McpTools::open(McpOptions::command(["python3", "server.py"]))?;
/// let runtime = Runtime::new(RuntimeOptions { tools: vec![tools.set()], ..RuntimeOptions::default() })?;
/// runtime.ask(Question::new("What does code C1725 mean?"))?;
/// tools.close();
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone)]
pub struct McpTools(Arc<Server>);

impl McpTools {
    /// Starts or reaches the server, and reads its list of tools.
    ///
    /// Errors: `invalid_argument`, also for a tool of `include` that the server has not; `tool_failed` for a server that
    /// cannot be started or reached, refuses, ends or does not keep to the protocol; `tool_timeout` for one that has not
    /// answered within `start_timeout`; `cancelled`.
    pub fn open(options: McpOptions) -> Result<Self> {
        Server::open(options).map(McpTools)
    }

    /// The tools that there are now.
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        members(&self.0)
    }

    /// What stands for all tools of the server: each question has those that there are when it is asked.
    pub fn set(&self) -> Arc<dyn Tool> {
        let name = shown("mcp_", &self.0.shown);
        let description = format!("The tools of the MCP server '{}'.", self.0.shown);
        let card = ToolCard::new(name, description, json!({"type": "object"}));
        Arc::new(McpSet { server: Arc::clone(&self.0), card })
    }

    /// What errors call the server.
    pub fn server(&self) -> &str {
        &self.0.shown
    }

    /// The names of the tools that there are, as models use them, in the server's order.
    pub fn names(&self) -> Vec<String> {
        self.0.listed().into_iter().map(|one| one.card.name).collect()
    }

    /// The tools that are refused since they are not what was accepted, each with what has changed.
    pub fn refused(&self) -> Vec<(String, String)> {
        self.0.refused()
    }

    /// The tools of the server that cannot be used, each with the reason.
    pub fn left_out(&self) -> Vec<(String, String)> {
        self.0.left_out()
    }

    /// Reads the list of tools again and accepts it as it is: what has changed is said, and not refused any more. A server
    /// that has ended is started again. Errors: `closed`, those of [`McpTools::open`].
    pub fn refresh(&self) -> Result<McpChanges> {
        self.0.refresh()
    }

    /// Ends the server: its process with all that it has started, or its session. Its tools fail from then on.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl fmt::Debug for McpTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpTools").field("server", &self.0.shown).finish_non_exhaustive()
    }
}
