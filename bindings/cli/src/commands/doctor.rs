//! What is there, and is it as it was written?

use std::fs::TryLockError;
use std::path::Path;

use quorate::core::embed::StaticModel;
use quorate::rag::{CopyOptions, KnowledgeBase};
use quorate::state::StateStore;
use quorate::{Code, Error};
use serde_json::{Value, json};

use crate::args::Doctor;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::{AGENTS, Place, RUNS};
use crate::{exit, text};

/// Variables that hold keys of services. Only whether they are set is told.
const KEYS: [&str; 2] = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"];

/// What was looked at: its name, what is said of it, and whether all is well.
struct Finding {
    what: &'static str,
    says: String,
    error: Option<Error>,
}

pub(crate) fn run(given: Doctor, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let mut findings = Vec::new();
    let mut out = json!({
        "version": env!("CARGO_PKG_VERSION"), "place": place.name(), "tenant": place.tenant,
        "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cores": cores(),
    });
    findings.push(Finding::fine(
        "version",
        format!(
            "quorate {} on {} {}, {} cores",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
            cores()
        ),
    ));
    let keys: Value =
        KEYS.iter().map(|name| (*name, json!(is_set(name)))).map(|(n, v)| (n.to_owned(), v)).collect();
    let set: Vec<&str> = KEYS.into_iter().filter(|name| is_set(name)).collect();
    let set =
        if set.is_empty() { "none; the extractive model needs none".to_owned() } else { set.join(", ") };
    out["keys"] = keys;
    findings.push(Finding::fine("keys set", set));

    let writer = place.folder().map(|folder| is_held(&folder.join("lock")));
    out["writer"] = json!(writer);
    match place.read(console) {
        Err(error) => findings.push(Finding::of("place", place.name().to_owned(), error)),
        Ok(kb) => {
            findings.push(Finding::fine("place", place.name().to_owned()));
            let busy = if writer == Some(true) { "another process is writing" } else { "nobody is writing" };
            findings.push(Finding::fine("lock", busy.to_owned()));
            stats(&kb, &mut out, &mut findings);
            if !given.quick {
                verify(&kb, console, &mut out, &mut findings)?;
            }
        }
    }
    runs(place, &mut out, &mut findings);
    agents(place, &mut out, &mut findings);
    tell(console, out, &findings)
}

impl Finding {
    fn fine(what: &'static str, says: String) -> Finding {
        Finding { what, says, error: None }
    }

    fn of(what: &'static str, says: String, error: Error) -> Finding {
        Finding { what, says, error: Some(error) }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Whether another process holds the lock of writers.
fn is_held(path: &Path) -> bool {
    let Ok(file) = std::fs::File::open(path) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn stats(kb: &KnowledgeBase, out: &mut Value, findings: &mut Vec<Finding>) {
    match kb.stats() {
        Err(error) => findings.push(Finding::of("documents", "cannot be counted".to_owned(), error)),
        Ok(stats) => {
            out["stats"] = json!(stats);
            findings.push(Finding::fine(
                "documents",
                format!("{} in {} chunks, version {}", stats.documents, stats.chunks, stats.version),
            ));
            findings.push(Finding::fine(
                "size",
                format!(
                    "{} of documents, {} of indexes",
                    super::bytes(stats.truth_bytes),
                    super::bytes(stats.index_bytes)
                ),
            ));
            let says = format!("{}, {} dimensions", stats.embedder, stats.dim);
            findings.push(match kb.embedder() {
                Ok(_) => Finding::fine("embedder", says),
                Err(error) => Finding::of("embedder", says, error),
            });
        }
    }
    if kb.tenant_name().is_none()
        && let Ok(tenants) = kb.tenants()
    {
        out["tenants"] = json!(tenants);
        findings.push(Finding::fine("tenants", super::count(tenants.len(), "tenant")));
    }
}

fn verify(
    kb: &KnowledgeBase,
    console: &mut Console,
    out: &mut Value,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let bar = console.progress("verifying");
    let options = CopyOptions { progress: bar.told(), cancel: console.cancel() };
    match kb.verify(&options) {
        Err(error) if error.code() == Code::Cancelled => return Err(error.into()),
        Err(error) => findings.push(Finding::of("verify", "could not be done".to_owned(), error)),
        Ok(report) => {
            out["verify"] = json!(report);
            match report.problems.first() {
                None => findings.push(Finding::fine(
                    "verify",
                    format!(
                        "{} documents and {} versions are as they were written",
                        report.documents, report.versions
                    ),
                )),
                Some(first) => {
                    let says = super::count(report.problems.len(), "problem");
                    findings.push(Finding::of(
                        "verify",
                        says,
                        Error::new(Code::Corrupt, first.message.clone()),
                    ));
                }
            }
        }
    }
    Ok(())
}

fn runs(place: &Place, out: &mut Value, findings: &mut Vec<Finding>) {
    let Some(path) = place.folder().map(|folder| folder.join(RUNS)).filter(|path| path.is_dir()) else {
        return;
    };
    match StateStore::open(path).and_then(|store| store.runs(place.tenant.as_deref(), None)) {
        Err(error) => findings.push(Finding::of("runs", "cannot be read".to_owned(), error)),
        Ok(rows) => {
            let open =
                rows.iter().filter(|row| matches!(row.status.as_str(), "waiting" | "interrupted")).count();
            out["runs"] = json!({"all": rows.len(), "open": open});
            findings.push(Finding::fine("runs", format!("{}, {open} waiting or interrupted", rows.len())));
        }
    }
}

fn agents(place: &Place, out: &mut Value, findings: &mut Vec<Finding>) {
    let what = "experts";
    match place.agents().and_then(|registry| registry.list(None)) {
        Err(error) => findings.push(Finding::of(what, format!("{AGENTS} cannot be used"), error)),
        Ok(all) => {
            out["agents"] = json!(all.len());
            let dim = StaticModel::builtin().map(|model| quorate::Embed::id(&*model).to_owned());
            let says = match dim {
                Ok(model) => format!("{}, matched by {model}", all.len()),
                Err(_) => all.len().to_string(),
            };
            findings.push(Finding::fine(what, says));
        }
    }
}

fn tell(console: &mut Console, mut out: Value, findings: &[Finding]) -> Result<u8, Failure> {
    let worst = findings.iter().filter_map(|one| one.error.as_ref()).next();
    let code = worst.map_or(exit::DONE, exit::code_of);
    if console.is_json() {
        let problems = findings.iter().filter_map(|one| {
            let error = one.error.as_ref()?;
            Some(json!({"what": one.what, "code": error.code().as_str(), "message": error.message()}))
        });
        out["problems"] = problems.collect();
        out["ok"] = json!(worst.is_none());
        console.document(&out)?;
        return Ok(code);
    }
    for one in findings {
        let mark = if one.error.is_some() { "BAD" } else { "ok" };
        console.say(&format!("{mark:<4} {:<10} {}", one.what, text::line(&one.says)))?;
        if let Some(error) = &one.error {
            console.say(&format!("     {} [{}]", text::lines(error.message()), error.code().as_str()))?;
        }
    }
    Ok(code)
}
