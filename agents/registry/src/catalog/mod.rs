//! How do agents come out of files, and what is wrong with a file?

mod read;
mod schema;
mod shared;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use quorate_core::{Code, Error, Result};
pub(crate) use read::Base;
use serde::Serialize;

use crate::agent::SCHEMA_VERSION;
use crate::text::cut;
use crate::{Agent, Taxonomy, files};

/// The healthcare catalogue: file names and texts. The first is the root.
const HEALTHCARE: &[(&str, &str)] = &[
    ("catalog.yaml", include_str!("../../catalog/healthcare/catalog.yaml")),
    ("taxonomy.yaml", include_str!("../../catalog/healthcare/taxonomy.yaml")),
    ("out-of-scope.yaml", include_str!("../../catalog/healthcare/out-of-scope.yaml")),
    ("shared-topics.yaml", include_str!("../../catalog/healthcare/shared-topics.yaml")),
    ("regulatory-us-devices.yaml", include_str!("../../catalog/healthcare/regulatory-us-devices.yaml")),
    ("regulatory-us-drugs.yaml", include_str!("../../catalog/healthcare/regulatory-us-drugs.yaml")),
    ("regulatory-international.yaml", include_str!("../../catalog/healthcare/regulatory-international.yaml")),
    ("clinical.yaml", include_str!("../../catalog/healthcare/clinical.yaml")),
    ("medical.yaml", include_str!("../../catalog/healthcare/medical.yaml")),
    ("reimbursement.yaml", include_str!("../../catalog/healthcare/reimbursement.yaml")),
    ("quality.yaml", include_str!("../../catalog/healthcare/quality.yaml")),
    ("privacy-digital.yaml", include_str!("../../catalog/healthcare/privacy-digital.yaml")),
    ("writing-operations.yaml", include_str!("../../catalog/healthcare/writing-operations.yaml")),
];

/// The catalogue of customer service, likewise.
const SERVICE: &[(&str, &str)] = &[
    ("catalog.yaml", include_str!("../../catalog/service/catalog.yaml")),
    ("taxonomy.yaml", include_str!("../../catalog/service/taxonomy.yaml")),
    ("out-of-scope.yaml", include_str!("../../catalog/service/out-of-scope.yaml")),
    ("service.yaml", include_str!("../../catalog/service/service.yaml")),
];

/// Files that are part of the library.
type Files = &'static [(&'static str, &'static str)];

/// Agents and the taxonomy of their capabilities, as read from YAML or JSON files.
///
/// A file is a mapping with any of these members:
///
/// * `schema_version`: 1;
/// * `include`: other files, by path relative to this one; a file that is reached twice is read once;
/// * `capabilities`: names of the taxonomy with their titles;
/// * `out_of_scope`: questions that no agent answers; a question that is like them finds nobody confidently;
/// * `defaults`: fields for each agent of this file that does not give them itself;
/// * `agents`: definitions, with the fields of [`Agent`];
/// * `tenants`: by name, a tenant's own `capabilities` and `out_of_scope`, beside those of all;
/// * `shared_topics`: by topic, the ids of the agents that have it beside their own topics: whom questions on it are
///   put to together;
/// * `overlays`: changes to agents that are defined anywhere: an `id` (and `tenant`, when it has one), and the
///   fields to replace; `null` takes a field back to its default. Overlays apply in the order of reading, after all
///   agents.
///
/// All files together have at most 256 MiB and are at most 1,000, each with at most 20 million values and 64 levels;
/// only regular files are read.
///
/// ```
/// use quorate_agents::Catalog;
/// let text = "
/// agents:
///   - id: a
///     name: A
///     summary: Answers questions about A.
/// overlays:
///   - {id: a, cost_per_call: 0.02}
/// ";
/// let catalog = Catalog::parse(text, "my.yaml").unwrap();
/// assert_eq!(catalog.agents[0].cost_per_call, 0.02);
///
/// let problems = Catalog::problems("agents: [{id: a, name: A, summary: s, cost_per_call: -1}]", "my.yaml");
/// assert_eq!(problems[0].to_string(), "my.yaml:1: agent 'a': cost_per_call: -1 is not a cost; give US dollars, 0 or more");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// The capabilities that agents may name; empty: any.
    pub taxonomy: Taxonomy,
    /// The agents in the order of reading.
    pub agents: Vec<Agent>,
    /// Questions that are nobody's, each once.
    pub out_of_scope: Vec<String>,
    /// What tenants have beside these.
    pub tenants: BTreeMap<String, TenantCatalog>,
}

/// What one tenant has beside what is common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantCatalog {
    /// Capabilities that only the tenant's agents may name, and titles that only it sees.
    pub taxonomy: Taxonomy,
    /// Questions that are nobody's to this tenant, each once.
    pub out_of_scope: Vec<String>,
}

/// Something wrong with a catalogue file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; 0 when the file as a whole is meant.
    pub line: u64,
    /// The kind of problem.
    pub code: Code,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

impl Catalog {
    /// Reads a catalogue file with all that it includes. JSON and YAML are told apart by content: JSON is YAML.
    ///
    /// Errors carry the code of the first problem and list every problem with its file and line: `not_found`,
    /// `load_failed` (not YAML, or no regular file), `include_cycle`, `format_version`, `invalid_argument` (a field),
    /// `duplicate_id`, `unknown_capability`, `unknown_id` (an overlay of nothing, a partner in `works_with` or an agent in
    /// `shared_topics` that no file defines), `too_large`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_onto(path.as_ref(), Base::default())
    }

    /// Every problem of a catalogue file and of what it includes; empty when [`load`](Catalog::load) succeeds.
    pub fn check(path: impl AsRef<Path>) -> Vec<Problem> {
        read::read(&read::Files::Disk, path.as_ref(), Base::default()).err().unwrap_or_default()
    }

    /// Reads a catalogue from text; `name` stands for the file in messages, and includes are relative to it.
    /// Errors: as [`load`](Catalog::load).
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        read::read_text(text, Path::new(name), Base::default()).map_err(error_of)
    }

    /// Every problem of a catalogue given as text.
    pub fn problems(text: &str, name: &str) -> Vec<Problem> {
        read::read_text(text, Path::new(name), Base::default()).err().unwrap_or_default()
    }

    /// The healthcare catalogue that ships with quorate.
    pub fn healthcare() -> Result<Self> {
        Self::embedded(HEALTHCARE)
    }

    /// The catalogue of customer service that ships with quorate.
    pub fn service() -> Result<Self> {
        Self::embedded(SERVICE)
    }

    fn embedded(files: Files) -> Result<Self> {
        let (root, _) = files[0];
        read::read(&read::Files::Embedded(files), Path::new(root), Base::default()).map_err(error_of)
    }

    /// The names of the catalogues that ship.
    const NAMES: [(&str, Files); 2] = [("healthcare", HEALTHCARE), ("service", SERVICE)];

    /// Whether a catalogue of this name ships.
    pub(crate) fn ships(name: &str) -> bool {
        Self::NAMES.iter().any(|(known, _)| *known == name)
    }

    /// A catalogue by its name (`healthcare`, `service`) or by the path of a file. Errors: as [`load`](Catalog::load).
    pub fn named(name: &str) -> Result<Self> {
        match Self::NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, files)) => Self::embedded(files),
            None => Self::load(name),
        }
    }

    /// As [`load`](Catalog::load), where the capabilities of `base` are known too. The taxonomies of what comes back
    /// have what the file brings; their parents may be in `base`. Errors: `tenant_violation` too.
    pub(crate) fn load_onto(path: &Path, base: Base) -> Result<Self> {
        read::read(&read::Files::Disk, path, base).map_err(error_of)
    }

    /// The catalogue as YAML. Errors: `internal`.
    pub fn to_yaml(&self) -> Result<String> {
        serde_saphyr::to_string(&self.file())
            .map_err(|e| Error::with_source(Code::Internal, format!("catalogue to YAML: {e}"), e))
    }

    /// The catalogue as indented JSON. Errors: `internal`.
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(&self.file())
            .map_err(|e| Error::with_source(Code::Internal, format!("catalogue to JSON: {e}"), e))?;
        Ok(crate::yaml::printable(&text).into_owned())
    }

    /// Writes the catalogue, replacing the file atomically: JSON when the name ends in `.json`, else YAML. A new file
    /// follows the umask, one that is replaced keeps its mode.
    /// Errors: `io` and its kin, `load_failed` for a device or a pipe, `too_large` for more than can be read again.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let text = if json { self.to_json()? } else { self.to_yaml()? };
        if text.len() > read::MAX_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!(
                    "{}: the catalogue has {} bytes, {} can be read again; write its agents to several files",
                    path.display(),
                    text.len(),
                    read::MAX_BYTES
                ),
            ));
        }
        files::replace(path, text.as_bytes())
    }

    fn file(&self) -> impl Serialize + '_ {
        #[derive(Serialize)]
        struct File<'a> {
            schema_version: u32,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            capabilities: BTreeMap<&'a str, &'a str>,
            agents: &'a [Agent],
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            out_of_scope: &'a [String],
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            tenants: BTreeMap<&'a str, Tenant<'a>>,
        }
        #[derive(Serialize)]
        struct Tenant<'a> {
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            capabilities: BTreeMap<&'a str, &'a str>,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            out_of_scope: &'a [String],
        }
        File {
            schema_version: SCHEMA_VERSION,
            capabilities: self.taxonomy.iter().collect(),
            agents: &self.agents,
            out_of_scope: &self.out_of_scope,
            tenants: self
                .tenants
                .iter()
                .map(|(name, tenant)| {
                    let capabilities = tenant.taxonomy.iter().collect();
                    (name.as_str(), Tenant { capabilities, out_of_scope: &tenant.out_of_scope })
                })
                .collect(),
        }
    }
}

/// Most problems in the message of an error; [`Catalog::check`] gives all of them.
const MAX_LISTED: usize = 50;

/// Longest message of an error, in bytes, the last line not counted.
const MAX_MESSAGE: usize = 2800;

/// Longest line of such a message, in characters.
const MAX_LINE: usize = 600;

fn error_of(problems: Vec<Problem>) -> Error {
    let code = problems.first().map_or(Code::Internal, |p| p.code);
    let mut room = MAX_MESSAGE;
    let mut lines: Vec<String> = problems
        .iter()
        .take(MAX_LISTED)
        .map(|problem| cut(&problem.to_string(), MAX_LINE))
        .take_while(|line| {
            room = room.saturating_sub(line.len());
            room > 0
        })
        .collect();
    if problems.len() > lines.len() {
        lines.push(format!("and {} more", problems.len() - lines.len()));
    }
    Error::new(code, lines.join("\n"))
}

#[cfg(test)]
mod tests;
