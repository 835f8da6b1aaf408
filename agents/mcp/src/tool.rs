//! How does the runtime see a server's tool, and all of them together?

use std::sync::Arc;

use quorate_core::{Code, Error, Result};
use quorate_runtime::{Tool, ToolCard, ToolContext, ToolNews};
use serde_json::{Map, Value};

use crate::definition::Listed;
use crate::server::Server;

/// One tool of a server, as it was when it was listed.
pub(crate) struct McpTool {
    pub(crate) server: Arc<Server>,
    pub(crate) listed: Listed,
}

impl Tool for McpTool {
    fn card(&self) -> &ToolCard {
        &self.listed.card
    }

    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> Result<Value> {
        self.server.call(&self.listed, arguments, &context.cancel)
    }

    fn news(&self) -> Option<Arc<dyn ToolNews>> {
        Some(Arc::clone(&self.server) as _)
    }
}

/// What stands for the tools of a server, as they are when a question is asked.
pub(crate) struct McpSet {
    pub(crate) server: Arc<Server>,
    pub(crate) card: ToolCard,
}

impl Tool for McpSet {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, _: Map<String, Value>, _: &ToolContext) -> Result<Value> {
        Err(Error::new(Code::Unsupported, "the tools of a server are called one by one"))
    }

    fn members(&self) -> Option<Vec<Arc<dyn Tool>>> {
        Some(members(&self.server))
    }

    fn news(&self) -> Option<Arc<dyn ToolNews>> {
        Some(Arc::clone(&self.server) as _)
    }
}

/// The tools that there are.
pub(crate) fn members(server: &Arc<Server>) -> Vec<Arc<dyn Tool>> {
    let tool = |listed| Arc::new(McpTool { server: Arc::clone(server), listed }) as Arc<dyn Tool>;
    server.listed().into_iter().map(tool).collect()
}
