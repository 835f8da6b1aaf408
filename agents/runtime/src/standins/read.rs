//! Which tools are described, and how is that read?

use std::sync::LazyLock;

use quorate_core::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::tool::Effect;

/// The descriptions of the tools: of the healthcare catalogue, and of that of customer service.
const TOOLS: [&str; 2] =
    [include_str!("../../worked/tools.yaml"), include_str!("../../worked/service-tools.yaml")];

/// A tool and what stands in for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) schema: Value,
    pub(super) effect: Effect,
    pub(super) stand_in: StandIn,
}

/// What answers in the place of a service.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum StandIn {
    /// The row whose member `by` is what the argument `by` says.
    Lookup { by: String, table: Vec<Map<String, Value>> },
    /// The formula of that name.
    Calculator { formula: String, source: String },
    /// The documents, asked what the argument `by` says.
    Search { by: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tools: Vec<Described>,
}

static READ: LazyLock<std::result::Result<Vec<Described>, String>> = LazyLock::new(|| {
    let mut options = serde_saphyr::Options::default();
    // Only true and false are truth values, so that the key `no` stays a text.
    options.strict_booleans = true;
    let mut tools = Vec::new();
    for text in TOOLS {
        let file = serde_saphyr::from_str_with_options::<File>(text, options.clone());
        tools.extend(file.map_err(|error| error.without_snippet().to_string())?.tools);
    }
    Ok(tools)
});

/// The tools, read once. Errors: `internal`.
pub(super) fn described() -> Result<&'static [Described]> {
    match &*READ {
        Ok(tools) => Ok(tools),
        Err(said) => Err(Error::new(
            Code::Internal,
            format!("the descriptions of the offline tools cannot be read: {said}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::standins::{calculator, lookup};
    use crate::tool::ToolCard;

    #[test]
    fn every_description_holds() {
        let tools = described().unwrap();
        let names: BTreeSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names.len(), tools.len(), "a name stands twice");
        for tool in tools {
            let card = ToolCard::new(&tool.name, &tool.description, tool.schema.clone());
            card.validate().unwrap();
            let properties = tool.schema["properties"].as_object().unwrap();
            match &tool.stand_in {
                StandIn::Search { by } => assert_eq!(properties[by]["type"], "string", "{}", tool.name),
                StandIn::Calculator { source, .. } => assert!(source.len() > 10, "{}", tool.name),
                StandIn::Lookup { by, table } => {
                    assert_eq!(properties[by]["type"], "string", "{}", tool.name);
                    let keys: BTreeSet<String> =
                        table.iter().map(|row| lookup::plain(row[by].as_str().unwrap())).collect();
                    assert_eq!(keys.len(), table.len(), "{}: a key stands twice", tool.name);
                    for row in table {
                        let asked = Map::from_iter([(by.clone(), row[by].clone())]);
                        assert_eq!(lookup::look_up(by, table, &asked).unwrap(), *row, "{}", tool.name);
                    }
                    if let Some(values) = properties[by].get("enum").and_then(Value::as_array) {
                        let named: BTreeSet<String> =
                            values.iter().map(|value| lookup::plain(value.as_str().unwrap())).collect();
                        assert_eq!(named, keys, "{}", tool.name);
                    }
                }
            }
        }
    }

    #[test]
    fn every_formula_is_named_and_every_name_is_a_formula() {
        let named: BTreeSet<&str> = described()
            .unwrap()
            .iter()
            .filter_map(|tool| match &tool.stand_in {
                StandIn::Calculator { formula, .. } => Some(formula.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(named, calculator::FORMULAS.iter().map(|(name, _)| *name).collect());
    }
}
