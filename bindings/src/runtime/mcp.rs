//! Which server of tools does a host name, and what does it see of it?

use quorate_core::Result;
use quorate_mcp::{McpChanges, McpOptions, McpTools};
use serde_json::{Map, Value, json};

use crate::{Given, Host, typed};

/// The options of a server, by their names in the host. Errors: `invalid_argument`.
pub fn mcp_options(host: Host, given: Given) -> Result<McpOptions> {
    let options: McpOptions = typed::options(host, given, "options of an MCP server")?;
    options.validate()?;
    Ok(options)
}

/// What is known of a server now: `server`, `names`, `refused`, `left_out`, `closed`.
pub fn mcp_state(host: Host, tools: &McpTools) -> Value {
    let mut state = Map::new();
    state.insert("server".to_owned(), json!(tools.server()));
    state.insert("names".to_owned(), json!(tools.names()));
    state.insert("refused".to_owned(), pairs(tools.refused()));
    state.insert(host.name("left_out"), pairs(tools.left_out()));
    state.insert("closed".to_owned(), json!(tools.is_closed()));
    Value::Object(state)
}

/// What has changed: `added`, `removed`, and `changed` with what differs.
pub fn mcp_changes(changes: McpChanges) -> Value {
    json!({"added": changes.added, "removed": changes.removed, "changed": pairs(changes.changed)})
}

/// Names with what is said of each.
fn pairs(pairs: Vec<(String, String)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, said)| (name, json!(said))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn options_have_the_names_of_the_host() {
        let given = |name: &str, value: Given| {
            Given::Object(vec![
                ("command".to_owned(), Given::List(vec![text("python3"), text("server.py")])),
                ("env".to_owned(), Given::Object(vec![("startTimeout".to_owned(), text("1"))])),
                ("effects".to_owned(), Given::Object(vec![("find".to_owned(), text("read"))])),
                (name.to_owned(), value),
            ])
        };
        let node = mcp_options(Host::Node, given("startTimeout", Given::Number(2.5))).unwrap();
        let python = mcp_options(Host::Python, given("start_timeout", Given::Number(2.5))).unwrap();
        assert_eq!((node.start_timeout, &node.command), (2.5, &python.command));
        // What users have written stays.
        assert_eq!(node.env.keys().collect::<Vec<_>>(), ["startTimeout"]);
        let error = mcp_options(Host::Node, given("timeout", text("long"))).unwrap_err();
        assert_eq!(error.message(), "timeout is a string; a number is expected");
        assert!(mcp_options(Host::Python, given("time_out", Given::Number(1.0))).is_err());
        assert!(mcp_options(Host::Python, given("prefix", text("a b"))).is_err());
    }
}
