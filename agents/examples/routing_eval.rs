//! How well does matching route questions whose answer is known?
//!
//! Reads what `benches/compare/routing.py` wrote: `texts.json` with `texts.npy` (every text and its vector), and
//! `<set>.json`, lists of `[text, label]` (an empty label: out of scope). Prints one JSON object.
//!
//! ```text
//! cargo run --release -p quorate-agents --example routing_eval -- FOLDER [fit|tune|test] [builtin]
//! ```
//!
//! With `builtin` the vectors come from the built-in model instead.
//!
//! `fit` prints the calibration fitted on the validation part of CLINC150, `tune` a grid of [`Tuning`] on validation
//! parts, `test` (the default) the numbers on the test parts.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use quorate_agents::{
    Agent, AgentRegistry, Calibration, Catalog, Labelled, Match, MatchOptions, RegistryOptions, Skill, Tuning,
};
use quorate_core::embed::{Embed, StaticModel};
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result};
use serde_json::{Value, json};

type Set = Vec<(String, String)>;

type Model = Arc<dyn Embed>;

/// Vectors that were computed elsewhere.
struct Table {
    vectors: HashMap<String, Vec<f32>>,
    dim: usize,
}

impl Table {
    fn read(folder: &Path) -> Result<Self> {
        let texts: Vec<String> = read_json(&folder.join("texts.json"))?;
        let (rows, dim, data) = read_npy(&folder.join("texts.npy"))?;
        if rows != texts.len() {
            return Err(Error::new(Code::InvalidShape, format!("{rows} vectors for {} texts", texts.len())));
        }
        let vectors = texts.into_iter().zip(data.chunks_exact(dim).map(<[f32]>::to_vec)).collect();
        Ok(Table { vectors, dim })
    }
}

impl Embed for Table {
    fn id(&self) -> &str {
        "table"
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        256
    }

    fn embed(&self, texts: &[&str], _cancel: &Cancel) -> Result<Matrix> {
        let mut data = Vec::with_capacity(texts.len() * self.dim);
        for text in texts {
            data.extend(self.embed_query(text)?);
        }
        Matrix::new(data, texts.len(), self.dim)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let found = self.vectors.get(text).cloned();
        found.ok_or_else(|| Error::new(Code::NotFound, format!("no vector for '{text}'")))
    }

    fn tokenize(&self, _text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        Err(Error::new(Code::Unsupported, "a table of vectors has no tokenizer"))
    }

    fn special_tokens(&self) -> usize {
        0
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give the folder that routing.py wrote")?;
    let mode = arguments.next().unwrap_or_else(|| "test".into());
    let folder = Path::new(&folder);
    let table: Model = match arguments.next().as_deref() {
        Some("builtin") => StaticModel::builtin()?,
        Some(other) => return Err(format!("there is no model '{other}'").into()),
        None => Arc::new(Table::read(folder)?),
    };
    let set = |name: &str| -> Result<Set> { read_json(&folder.join(format!("{name}.json"))) };
    let report = match mode.as_str() {
        "fit" => fit(&table, &set)?,
        "tune" => tune(&table, &set)?,
        "test" => test(&table, &set)?,
        other => return Err(format!("there is no mode '{other}'").into()),
    };
    let text = serde_json::to_string_pretty(&report)?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes())?;
    Ok(())
}

/// The calibration that the validation part of CLINC150 gives.
fn fit(table: &Model, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let registry = registry(table, &set("clinc_train")?, true, Tuning::default())?;
    let mut questions = set("clinc_val")?;
    questions.extend(set("clinc_oos_val")?);
    questions.extend(set("clinc_oos_train")?);
    let mut known = label(&registry, table, &questions)?;
    let catalogue = left_out(table, Tuning::default())?;
    known.extend(catalogue);
    // To the healthcare catalogue, CLINC150's questions are out of scope; as many of them as there are agents.
    let healthcare = AgentRegistry::open(None, RegistryOptions::new(table.clone()))?;
    for (text, _) in set("clinc_val")?.iter().step_by(17) {
        known.push(labelled(&matches(&healthcare, table, text, healthcare.len())?, None));
    }
    Ok(json!(Calibration::fit(&known)?))
}

/// Top-1 on validation parts for a grid of settings.
fn tune(table: &Model, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let (train, val) = (set("clinc_train")?, set("clinc_val")?);
    let mut oos = set("clinc_oos_val")?;
    oos.extend(set("clinc_oos_train")?);
    let mut rows = Vec::new();
    for centroid_share in [0.5, 0.6, 0.7] {
        for nearest in [3, 5] {
            for lexical in [0.0, 0.1, 0.2, 0.3] {
                let tuning = Tuning { centroid_share, nearest, lexical, ..Tuning::default() };
                let registry = registry(table, &train, true, tuning)?;
                let inside = label(&registry, table, &val)?;
                let outside = label(&registry, table, &oos)?;
                rows.push(json!({
                    "centroid_share": centroid_share, "nearest": nearest, "lexical": lexical,
                    "clinc_top1": top1(&inside), "clinc_auroc": auroc(&inside, &outside),
                    "catalogue_left_out": top1(&left_out(table, tuning)?),
                    "catalogue_descriptions": descriptions(table, tuning)?,
                }));
            }
        }
    }
    Ok(json!(rows))
}

/// The numbers on the test parts.
fn test(table: &Model, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let mut report = BTreeMap::new();
    let tuning = Tuning::default();
    let dense = Tuning { lexical: 0.0, ..tuning };

    let clinc = registry(table, &set("clinc_train")?, true, tuning)?;
    let (inside, outside) = (set("clinc_test")?, set("clinc_oos_test")?);
    let (found, missed) = (label(&clinc, table, &inside)?, label(&clinc, table, &outside)?);
    let names = |tuning| -> Result<f64> {
        let bare = registry(table, &set("clinc_train")?, false, tuning)?;
        Ok(top1(&label(&bare, table, &inside)?))
    };
    report.insert(
        "clinc150",
        json!({
            "top1": top1(&found),
            "oos_auroc": auroc(&found, &missed),
            "ece_in_scope": ece(&confidences(&clinc, table, &inside)?),
            "ece_with_oos": ece(&[confidences(&clinc, table, &inside)?, confidences(&clinc, table, &outside)?].concat()),
            "names_only_top1": names(tuning)?,
            "names_only_dense_top1": names(dense)?,
        }),
    );

    let banking = registry(table, &set("banking_train")?, true, tuning)?;
    let inside = set("banking_test")?;
    report.insert(
        "banking77",
        json!({
            "top1": top1(&label(&banking, table, &inside)?),
            "ece": ece(&confidences(&banking, table, &inside)?),
        }),
    );

    let routes = registry(table, &set("hc_train")?, true, tuning)?;
    let all = |name: &str| -> Result<Vec<Value>> {
        let mut out = Vec::new();
        for (text, label) in set(name)? {
            let best = matches(&routes, table, &text, 1)?.remove(0);
            out.push(json!({
                "text": text, "label": label, "route": best.agent.id,
                "score": best.score, "confidence": best.confidence,
            }));
        }
        Ok(out)
    };
    report
        .insert("healthcare_routing", json!({"validation": all("hc_validation")?, "test": all("hc_test")?}));

    report.insert(
        "healthcare_catalogue",
        json!({
            "left_out_top1": top1(&left_out(table, tuning)?),
            "left_out_top5": top5(&left_out(table, tuning)?),
            "descriptions_top1": descriptions(table, tuning)?,
            "descriptions_dense_top1": descriptions(table, dense)?,
        }),
    );
    report.insert("speed", speed(table)?);
    Ok(json!(report))
}

/// Median microseconds of a match on the healthcare catalogue without embedding.
fn speed(table: &Model) -> Result<Value> {
    let catalog = Catalog::healthcare()?;
    let started = Instant::now();
    let registry = AgentRegistry::open(None, RegistryOptions::new(table.clone()))?;
    let load = started.elapsed().as_secs_f64() * 1e3;
    let questions: Vec<&str> = catalog.agents.iter().flat_map(Agent::examples).collect();
    let mut times = Vec::new();
    for question in questions.iter().cycle().take(4 * questions.len()) {
        let vector = table.embed_query(question)?;
        let options = MatchOptions::default();
        let started = Instant::now();
        registry.match_vector(question, &vector, &options)?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(json!({
        "agents": catalog.agents.len(), "examples": questions.len(), "load_ms_without_embedding": load,
        "match_us_p50": times[times.len() / 2], "match_us_p99": times[times.len() * 99 / 100],
    }))
}

/// A registry with one agent for each label.
fn registry(table: &Model, train: &Set, examples: bool, tuning: Tuning) -> Result<AgentRegistry> {
    let mut by_label: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (text, label) in train {
        by_label.entry(label).or_default().push(text);
    }
    let agents = by_label
        .into_iter()
        .map(|(label, texts)| {
            let words = label.replace('_', " ");
            let skills = if examples { vec![Skill::new("main", texts)] } else { Vec::new() };
            let id: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            Agent { skills, ..Agent::new(id, words.clone(), words) }
        })
        .collect();
    let registry =
        AgentRegistry::open(None, RegistryOptions { tuning, ..RegistryOptions::empty(table.clone()) })?;
    registry.add_all(agents)?;
    Ok(registry)
}

fn matches(registry: &AgentRegistry, table: &Model, text: &str, k: usize) -> Result<Vec<Match>> {
    let options = MatchOptions { k, ..MatchOptions::default() };
    registry.match_vector(text, &table.embed_query(text)?, &options)
}

/// The scores of all agents for each question, and which is right.
fn label(registry: &AgentRegistry, table: &Model, questions: &Set) -> Result<Vec<Labelled>> {
    let all = registry.len();
    questions
        .iter()
        .map(|(text, label)| {
            let found = matches(registry, table, text, all)?;
            let right = found.iter().position(|m| is(&m.agent, label));
            Ok(labelled(&found, right))
        })
        .collect()
}

fn labelled(found: &[Match], right: Option<usize>) -> Labelled {
    let description = found.first().map_or(0.0, |m| m.explain().description.weight);
    Labelled { scores: found.iter().map(|m| m.score).collect(), description, right }
}

fn is(agent: &Agent, label: &str) -> bool {
    agent.name == label.replace('_', " ")
}

/// Confidence of the best match, and whether it is right.
fn confidences(registry: &AgentRegistry, table: &Model, questions: &Set) -> Result<Vec<(f64, bool)>> {
    questions
        .iter()
        .map(|(text, label)| {
            let best = matches(registry, table, text, 1)?.remove(0);
            Ok((best.confidence, is(&best.agent, label)))
        })
        .collect()
}

fn top1(questions: &[Labelled]) -> f64 {
    questions.iter().filter(|q| q.right == Some(0)).count() as f64 / questions.len() as f64
}

fn top5(questions: &[Labelled]) -> f64 {
    questions.iter().filter(|q| q.right.is_some_and(|r| r < 5)).count() as f64 / questions.len() as f64
}

/// Area under the ROC curve of the best score, in scope against out of scope (Mann & Whitney 1947).
fn auroc(inside: &[Labelled], outside: &[Labelled]) -> f64 {
    let best = |q: &[Labelled]| q.iter().map(|q| q.scores[0]).collect::<Vec<_>>();
    let (inside, outside) = (best(inside), best(outside));
    let wins: f64 = inside
        .iter()
        .map(|a| {
            outside
                .iter()
                .map(|b| {
                    if a > b {
                        1.0
                    } else if a == b {
                        0.5
                    } else {
                        0.0
                    }
                })
                .sum::<f64>()
        })
        .sum();
    wins / (inside.len() * outside.len()) as f64
}

/// Expected calibration error with 15 bins of equal width (Guo et al. 2017).
fn ece(predictions: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0, 0.0); 15];
    for &(confidence, right) in predictions {
        let bin = &mut bins[((confidence * 15.0) as usize).min(14)];
        *bin = (bin.0 + 1.0, bin.1 + confidence, bin.2 + f64::from(u8::from(right)));
    }
    bins.iter().map(|(_, confidence, right)| (confidence - right).abs()).sum::<f64>()
        / predictions.len() as f64
}

/// The scores for one question of each agent of the healthcare catalogue, asked while the agent lacks it.
fn left_out(table: &Model, tuning: Tuning) -> Result<Vec<Labelled>> {
    let options = RegistryOptions { tuning, ..RegistryOptions::new(table.clone()) };
    let registry = AgentRegistry::open(None, options)?;
    let mut out = Vec::new();
    for agent in Catalog::healthcare()?.agents {
        let questions: Vec<String> = agent.examples().map(str::to_owned).collect();
        let question = &questions[agent.id.len() % questions.len()];
        let mut without = agent.clone();
        without.skills.iter_mut().for_each(|s| s.examples.retain(|e| e != question));
        registry.update(without)?;
        let found = matches(&registry, table, question, registry.len())?;
        let right = found.iter().position(|m| m.agent.id == agent.id);
        out.push(labelled(&found, right));
        registry.update(agent)?;
    }
    Ok(out)
}

/// Top-1 on the catalogue's questions when no agent has any example.
fn descriptions(table: &Model, tuning: Tuning) -> Result<f64> {
    let catalog = Catalog::healthcare()?;
    let options = RegistryOptions { tuning, ..RegistryOptions::new(table.clone()) };
    let registry = AgentRegistry::open(None, options)?;
    for agent in &catalog.agents {
        let mut bare = agent.clone();
        bare.skills.iter_mut().for_each(|s| s.examples.clear());
        registry.update(bare)?;
    }
    let (mut right, mut all) = (0.0, 0.0);
    for agent in &catalog.agents {
        for question in agent.examples() {
            right += f64::from(u8::from(matches(&registry, table, question, 1)?[0].agent.id == agent.id));
            all += 1.0;
        }
    }
    Ok(right / all)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::new(Code::LoadFailed, format!("{}: {e}", path.display())))
}

/// Rows, columns and values of a C-ordered little-endian f32 matrix in NumPy's format 1.
fn read_npy(path: &Path) -> Result<(usize, usize, Vec<f32>)> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let bad = || Error::new(Code::LoadFailed, format!("{}: not an f32 matrix", path.display()));
    let length = bytes.get(8..10).map(|b| usize::from(b[0]) + 256 * usize::from(b[1])).ok_or_else(bad)?;
    let header = bytes.get(10..10 + length).and_then(|h| std::str::from_utf8(h).ok()).ok_or_else(bad)?;
    if !header.contains("'<f4'") || header.contains("'fortran_order': True") {
        return Err(bad());
    }
    let shape = header.split("'shape': (").nth(1).and_then(|s| s.split(')').next()).ok_or_else(bad)?;
    let sizes: Vec<usize> = shape.split(',').filter_map(|s| s.trim().parse().ok()).collect();
    let [rows, columns] = sizes[..] else { return Err(bad()) };
    let data: Vec<f32> =
        bytes[10 + length..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if data.len() == rows * columns { Ok((rows, columns, data)) } else { Err(bad()) }
}
