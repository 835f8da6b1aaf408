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

    /// The changes as a sentence, of many of a kind the first.
    pub(crate) fn said(&self, server: &str) -> String {
        let mut parts = Vec::new();
        if !self.added.is_empty() {
            parts.push(format!("came: {}", first(self.added.iter().cloned(), self.added.len())));
        }
        if !self.removed.is_empty() {
            parts.push(format!("went: {}", first(self.removed.iter().cloned(), self.removed.len())));
        }
        if !self.changed.is_empty() {
            let changed = self.changed.iter().map(|(name, what)| format!("{name} ({what})"));
            let changed = first(changed, self.changed.len());
            parts.push(format!("changed, and refused until the host accepts it: {changed}"));
        }
        format!("the tools of the MCP server '{server}' have changed; {}", parts.join("; "))
    }
}

/// How many names are said of each kind.
const SAID: usize = 20;

/// The first of `all` names.
fn first(names: impl Iterator<Item = String>, all: usize) -> String {
    let said = names.take(SAID).collect::<Vec<_>>().join(", ");
    if all > SAID { format!("{said} and {} more", all - SAID) } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_changes_the_first_are_said() {
        let names = |n: usize| (0..n).map(|i| format!("t{i}")).collect::<Vec<_>>();
        let changes = McpChanges { added: names(2_000), removed: names(20), changed: Vec::new() };
        let said = changes.said("s");
        assert!(said.contains("t19 and 1980 more; went: t0") && said.ends_with("t19"), "{said}");
    }
}
