//! What has changed in a server's list of tools?

use serde::Serialize;

/// What differs between the tools that the host knows and those that the server offers, by the names that models use.
///
/// ```
/// let changes = quorate_mcp::McpChanges::default();
/// assert!(changes.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct McpChanges {
    /// Tools that came.
    pub added: Vec<String>,
    /// Tools that went.
    pub removed: Vec<String>,
    /// Tools whose description, schema or hints are others, each with what differs. They are refused until they are accepted.
    pub changed: Vec<(String, String)>,
}

impl McpChanges {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// The changes as a sentence.
    pub(crate) fn said(&self, server: &str) -> String {
        let mut parts = Vec::new();
        if !self.added.is_empty() {
            parts.push(format!("came: {}", self.added.join(", ")));
        }
        if !self.removed.is_empty() {
            parts.push(format!("went: {}", self.removed.join(", ")));
        }
        if !self.changed.is_empty() {
            let changed: Vec<String> =
                self.changed.iter().map(|(name, what)| format!("{name} ({what})")).collect();
            parts.push(format!("changed, and refused until the host accepts it: {}", changed.join(", ")));
        }
        format!("the tools of the MCP server '{server}' have changed; {}", parts.join("; "))
    }
}
