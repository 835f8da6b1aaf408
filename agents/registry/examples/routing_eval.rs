//! How well does matching route questions whose answer is known?
//!
//! Reads the sets that `benches/compare/routing.py` wrote: `<set>.json`, lists of `[text, label]` (an empty label: out
//! of scope). `embed` writes the vectors of every text that the other modes ask for; they print one JSON object.
//!
//! ```text
//! cargo run --release -p quorate-agents --example routing_eval -- FOLDER embed MODEL
//! cargo run --release -p quorate-agents --example routing_eval -- FOLDER fit|tune|test
//! ```
//!
//! `MODEL` is `builtin` or the folder of a model. `fit` prints the calibration fitted on validation parts, `tune` a
//! grid of [`Tuning`] on validation parts, `test` the numbers on the test parts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use quorate_agents::{
    Agent, AgentRegistry, Calibration, Catalog, Labelled, Match, MatchOptions, RegistryOptions, Skill, Tuning,
};
use quorate_core::embed::{Embed, Embedder, EmbedderOptions, StaticModel};
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result};
use serde_json::{Value, json};

type Set = Vec<(String, String)>;

type Model = Arc<dyn Embed>;

/// Vectors that were computed before.
struct Table {
    id: String,
    vectors: HashMap<String, Vec<f32>>,
    dim: usize,
}

/// What `embed` writes beside the vectors.
#[derive(serde::Serialize, serde::Deserialize)]
struct Texts {
    /// The embedder's id.
    embedder: String,
    /// The texts, in the order of the vectors.
    texts: Vec<String>,
    /// The healthcare catalogue's example questions with their agents.
    catalogue: Set,
}

impl Table {
    fn read(folder: &Path) -> Result<Self> {
        let known: Texts = read_json(&folder.join("texts.json"))?;
        let (rows, dim, data) = read_npy(&folder.join("texts.npy"))?;
        if rows != known.texts.len() {
            let what = format!("{rows} vectors for {} texts", known.texts.len());
            return Err(Error::new(Code::InvalidShape, what));
        }
        let vectors = known.texts.into_iter().zip(data.chunks_exact(dim).map(<[f32]>::to_vec)).collect();
        Ok(Table { id: known.embedder, vectors, dim })
    }
}

impl Embed for Table {
    fn id(&self) -> &str {
        &self.id
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

/// Every set, and whether its labels are agents of their own.
const SETS: [(&str, bool); 12] = [
    ("clinc_train", true),
    ("clinc_val", false),
    ("clinc_test", false),
    ("clinc_oos_train", false),
    ("clinc_oos_val", false),
    ("clinc_oos_test", false),
    ("banking_train", true),
    ("banking_test", false),
    ("hc_train", true),
    ("hc_train_none", false),
    ("hc_validation", false),
    ("hc_test", false),
];

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give the folder that routing.py wrote")?;
    let mode = arguments.next().unwrap_or_else(|| "test".into());
    let folder = Path::new(&folder);
    let set = |name: &str| -> Result<Set> { read_json(&folder.join(format!("{name}.json"))) };
    let table = || -> Result<Model> { Ok(Arc::new(Table::read(folder)?)) };
    let report = match mode.as_str() {
        "embed" => embed(folder, &arguments.next().ok_or("name the model")?, &set)?,
        "fit" => fit(&table()?, &set)?,
        "tune" => tune(&table()?, &set)?,
        "test" => test(&table()?, &set)?,
        other => return Err(format!("there is no mode '{other}'").into()),
    };
    let text = serde_json::to_string_pretty(&report)?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes())?;
    Ok(())
}

/// Embeds every text once.
fn embed(folder: &Path, model: &str, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let model: Model = match model {
        "builtin" => StaticModel::builtin()?,
        path => Arc::new(Embedder::open(path, EmbedderOptions::default())?),
    };
    let mut texts: BTreeSet<String> = BTreeSet::new();
    for (name, labelled) in SETS {
        for (text, label) in set(name)? {
            if labelled {
                texts.insert(label.replace('_', " "));
            }
            texts.insert(text);
        }
    }
    let catalog = Catalog::healthcare()?;
    let mut catalogue = Vec::new();
    for agent in &catalog.agents {
        texts.extend([agent.name.replace('_', " "), agent.summary.clone()]);
        texts.extend(agent.topics.iter().cloned());
        catalogue.extend(agent.examples().map(|e| (e.to_owned(), agent.id.clone())));
    }
    texts.extend(catalogue.iter().map(|(text, _)| text.clone()));
    texts.extend(catalog.out_of_scope);
    texts.extend(questions()?.into_iter().map(|q| q.question));
    let texts: Vec<String> = texts.into_iter().collect();
    let references: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = model.embed(&references, &Cancel::new())?;
    write_npy(&folder.join("texts.npy"), &vectors)?;
    let known = Texts { embedder: model.id().to_owned(), texts, catalogue };
    let path = folder.join("texts.json");
    std::fs::write(&path, json!(known).to_string()).map_err(|e| Error::io(&path, e))?;
    Ok(json!({"embedder": model.id(), "texts": vectors.rows()}))
}

/// A question to the healthcare catalogue, and the agents of which one should be found; none: nobody should.
#[derive(serde::Deserialize)]
struct Question {
    question: String,
    answered_by: Vec<String>,
}

fn questions() -> Result<Vec<Question>> {
    read_json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/questions.json"))
}

/// Each intent of CLINC150 has five examples in that many registries of so many intents.
const SPARSE: [usize; 10] = [8, 12, 15, 20, 25, 30, 35, 40, 50, 60];

/// The calibration that validation parts give.
fn fit(table: &Model, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let train = set("clinc_train")?;
    let val = set("clinc_val")?;
    let outside = [set("clinc_oos_val")?, set("clinc_oos_train")?].concat();
    let every = |set: &Set, step: usize| -> Set { set.iter().step_by(step).cloned().collect() };

    let full = registry(table, &train, true, Tuning::default())?;
    let mut known = label(&full, table, &every(&val, 6))?;
    known.extend(label(&full, table, &outside)?);

    let labels: Vec<&String> =
        train.iter().map(|(_, label)| label).collect::<BTreeSet<_>>().into_iter().collect();
    for (i, count) in SPARSE.into_iter().enumerate() {
        // Intents in a fixed scattered order, another start for each registry; 59 is coprime to 150.
        let chosen: BTreeSet<&String> =
            (0..count).map(|j| labels[(59 * (j + 17 * i) + i) % labels.len()]).collect();
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        let mut few = Vec::new();
        let mut others = Vec::new();
        for (text, label) in train.iter().skip(i).step_by(7) {
            let taken = taken.entry(label).or_default();
            *taken += 1;
            if chosen.contains(label) && *taken <= 5 {
                few.push((text.clone(), label.clone()));
            } else if !chosen.contains(label) && *taken == 1 {
                others.push(text.clone());
            }
        }
        let sparse = registry(table, &few, true, Tuning::default())?;
        if i % 2 == 1 {
            sparse.set_out_of_scope(others)?;
        }
        let (inside, rest): (Set, Set) = val.iter().cloned().partition(|(_, label)| chosen.contains(label));
        known.extend(label(&sparse, table, &every(&inside, (inside.len() / 60).max(1)))?);
        let foreign: Set =
            every(&rest, rest.len() / 40).into_iter().map(|(text, _)| (text, String::new())).collect();
        known.extend(label(&sparse, table, &foreign)?);
        known.extend(label(&sparse, table, &every(&outside, 10))?);
    }

    // To the healthcare catalogue, CLINC150's questions are out of scope.
    for stated in [true, false] {
        let healthcare = AgentRegistry::open(None, RegistryOptions::new(table.clone()))?;
        if !stated {
            healthcare.set_out_of_scope(Vec::new())?;
        }
        known.extend(left_out(&healthcare, table, 2)?);
        for (text, _) in every(&val, 15).iter().chain(&every(&outside, 2)) {
            known.push(labelled(&matches(&healthcare, table, text, 50)?, None));
        }
    }
    Ok(json!(Calibration::fit(&known, &Calibration::MINILM)?))
}

/// Top-1 on validation parts for a grid of settings.
fn tune(table: &Model, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let (train, val) = (set("clinc_train")?, set("clinc_val")?);
    let outside = [set("clinc_oos_val")?, set("clinc_oos_train")?].concat();
    let mut rows = Vec::new();
    for centroid_share in [0.5, 0.6] {
        for lexical in [0.1, 0.2] {
            for lexical_lift in [4.0, 7.0, 10.0, 14.0] {
                let tuning = Tuning { centroid_share, lexical, lexical_lift, ..Tuning::default() };
                let full = registry(table, &train, true, tuning)?;
                let names = registry(table, &train, false, tuning)?;
                let inside = label(&full, table, &val)?;
                let catalogue = left_out(&healthcare(table, tuning)?, table, 5)?;
                rows.push(json!({
                    "centroid_share": centroid_share, "lexical": lexical, "lexical_lift": lexical_lift,
                    "clinc_top1": top(1, &inside), "clinc_auroc": auroc(full.calibration(), &inside, &label(&full, table, &outside)?),
                    "clinc_names_top1": top(1, &label(&names, table, &val)?),
                    "catalogue_left_out_top1": top(1, &catalogue), "catalogue_left_out_top5": top(5, &catalogue),
                    "catalogue_descriptions_top1": descriptions(table, tuning)?,
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
    report.insert("embedder", json!(table.id()));

    let clinc = registry(table, &set("clinc_train")?, true, tuning)?;
    let (inside, outside) = (set("clinc_test")?, set("clinc_oos_test")?);
    let (found, missed) = (label(&clinc, table, &inside)?, label(&clinc, table, &outside)?);
    let names = |tuning| -> Result<f64> {
        let bare = registry(table, &set("clinc_train")?, false, tuning)?;
        Ok(top(1, &label(&bare, table, &inside)?))
    };
    report.insert(
        "clinc150",
        json!({
            "top1": top(1, &found),
            "oos_auroc": auroc(clinc.calibration(), &found, &missed),
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
            "top1": top(1, &label(&banking, table, &inside)?),
            "ece": ece(&confidences(&banking, table, &inside)?),
        }),
    );

    report.insert("healthcare_routing", routing(table, set)?);
    report.insert("healthcare_catalogue", catalogue(table, set)?);
    report.insert("speed", speed(table)?);
    Ok(json!(report))
}

/// Seven routes with the training part as examples, its questions for nobody stated as such, and confidence fitted to
/// these alone. The validation and test parts are answered for `routing.py` to judge.
fn routing(table: &Model, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let routes = registry(table, &set("hc_train")?, true, Tuning::default())?;
    routes.set_out_of_scope(set("hc_train_none")?.into_iter().map(|(text, _)| text).collect())?;
    let calibration = routes.calibrate(&[])?;
    let all = |name: &str| -> Result<Vec<Value>> {
        let mut out = Vec::new();
        for (text, label) in set(name)? {
            let best = matches(&routes, table, &text, 1)?.remove(0);
            out.push(json!({
                "text": text, "label": label, "route": best.agent.id, "score": best.score,
                "in_scope": best.explain().in_scope, "confidence": best.confidence,
            }));
        }
        Ok(out)
    };
    Ok(json!({"calibration": calibration, "validation": all("hc_validation")?, "test": all("hc_test")?}))
}

/// The healthcare catalogue with the defaults: what it finds, and when it abstains.
fn catalogue(table: &Model, set: &dyn Fn(&str) -> Result<Set>) -> Result<Value> {
    let tuning = Tuning::default();
    let dense = Tuning { lexical: 0.0, ..tuning };
    let registry = healthcare(table, tuning)?;
    let (mut inside, mut outside, mut right, mut among) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    for Question { question, answered_by } in questions()? {
        let found = matches(&registry, table, &question, 5)?;
        let is = |m: &Match| answered_by.contains(&m.agent.id);
        if answered_by.is_empty() {
            outside.push((question, found));
        } else {
            among += f64::from(u8::from(found.iter().any(is)));
            right.push((found[0].confidence, is(&found[0])));
            inside.push((question, found));
        }
    }
    let foreign: Set = set("clinc_test")?.into_iter().step_by(9).chain(set("clinc_oos_test")?).collect();
    let mut refused = 0.0;
    for (text, _) in &foreign {
        refused += f64::from(u8::from(abstains(&registry, table, text)?));
    }
    let examples: Vec<String> =
        Catalog::healthcare()?.agents.iter().flat_map(Agent::examples).map(str::to_owned).collect();
    let mut answered = 0.0;
    for text in &examples {
        answered += f64::from(u8::from(!abstains(&registry, table, text)?));
    }
    let in_scope = |found: &[(String, Vec<Match>)]| -> Vec<f64> {
        found.iter().map(|(_, m)| m[0].explain().in_scope).collect()
    };
    let mut wrong = Vec::new();
    for (questions, expected) in [(&inside, false), (&outside, true)] {
        for (question, found) in questions {
            if abstains(&registry, table, question)? != expected {
                wrong.push(json!({
                    "question": question, "abstains": !expected, "best": found[0].agent.id,
                    "in_scope": found[0].explain().in_scope, "evidence": found[0].explain().evidence,
                }));
            }
        }
    }
    let kept = inside.len() as f64 - wrong.iter().filter(|w| w["abstains"] == true).count() as f64;
    let named = outside.len() as f64 - wrong.iter().filter(|w| w["abstains"] == false).count() as f64;
    let ranked = left_out(&registry, table, 5)?;
    Ok(json!({
        "left_out_top1": top(1, &ranked),
        "left_out_top5": top(5, &ranked),
        "descriptions_top1": descriptions(table, tuning)?,
        "descriptions_dense_top1": descriptions(table, dense)?,
        "questions": {
            "in_scope": inside.len(), "out_of_scope": outside.len(),
            "top1": right.iter().filter(|(_, right)| *right).count() as f64 / right.len() as f64,
            "top5": among / right.len() as f64,
            "ece": ece(&right),
            "auroc": area(&in_scope(&inside), &in_scope(&outside)),
            "answered": kept / inside.len() as f64,
            "abstained": named / outside.len() as f64,
            "wrong": wrong,
        },
        "examples_answered": answered / examples.len() as f64,
        "clinc_test_abstained": refused / foreign.len() as f64,
    }))
}

fn abstains(registry: &AgentRegistry, table: &Model, text: &str) -> Result<bool> {
    let options = MatchOptions { abstain: true, ..MatchOptions::default() };
    Ok(registry.match_vector(text, &table.embed_query(text)?, &options)?.is_empty())
}

fn healthcare(table: &Model, tuning: Tuning) -> Result<AgentRegistry> {
    AgentRegistry::open(None, RegistryOptions { tuning, ..RegistryOptions::new(table.clone()) })
}

/// Median microseconds of a match on the healthcare catalogue without embedding.
fn speed(table: &Model) -> Result<Value> {
    let catalog = Catalog::healthcare()?;
    let load = |model: Model| -> Result<Value> {
        let mut times = Vec::new();
        let ticks = cpu_ms();
        for _ in 0..9 {
            let started = Instant::now();
            AgentRegistry::open(None, RegistryOptions::new(model.clone()))?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok(json!({"p50": times[times.len() / 2], "least": times[0], "cpu_mean": (cpu_ms() - ticks) / 9.0}))
    };
    let started = Instant::now();
    Catalog::healthcare()?;
    let parse = started.elapsed().as_secs_f64() * 1e3;
    let registry = healthcare(table, Tuning::default())?;
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
        "agents": catalog.agents.len(), "examples": questions.len(), "load_ms_parse": parse, "load_ms_without_embedding": load(table.clone())?,
        "load_ms_builtin": load(StaticModel::builtin()?)?,
        "match_us_p50": times[times.len() / 2], "match_us_p99": times[times.len() * 99 / 100],
    }))
}

/// Milliseconds of processor time that this process took on Linux, in steps of ten: unlike a clock it does not count
/// what other processes take.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    10.0 * ticks
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
    Labelled {
        scores: found.iter().map(|m| m.score).collect(),
        evidence: found.first().map(|m| m.explain().evidence).unwrap_or_default(),
        right,
    }
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

/// Share of questions whose right agent is among the first `k`.
fn top(k: usize, questions: &[Labelled]) -> f64 {
    questions.iter().filter(|q| q.right.is_some_and(|r| r < k)).count() as f64 / questions.len() as f64
}

/// Area under the ROC curve of the probability of being in scope, in scope against out of scope.
fn auroc(calibration: Calibration, inside: &[Labelled], outside: &[Labelled]) -> f64 {
    let odds = |q: &[Labelled]| q.iter().map(|q| calibration.in_scope(&q.evidence)).collect::<Vec<_>>();
    area(&odds(inside), &odds(outside))
}

/// The share of pairs in which the first is larger; a tie counts half (Mann & Whitney 1947).
fn area(inside: &[f64], outside: &[f64]) -> f64 {
    let mut wins = 0.0;
    for a in inside {
        for b in outside {
            wins += match a.total_cmp(b) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
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

/// The healthcare catalogue's own questions, `rounds` of each agent, asked while the agent lacks them.
fn left_out(registry: &AgentRegistry, table: &Model, rounds: usize) -> Result<Vec<Labelled>> {
    let mut out = Vec::new();
    for agent in Catalog::healthcare()?.agents {
        for question in agent.examples().take(rounds) {
            let mut without = agent.clone();
            without.skills.iter_mut().for_each(|s| s.examples.retain(|e| e != question));
            registry.update(without)?;
            let found = matches(registry, table, question, registry.len())?;
            let right = found.iter().position(|m| m.agent.id == agent.id);
            out.push(labelled(&found, right));
        }
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

/// The inverse: NumPy's format 1.
fn write_npy(path: &Path, matrix: &Matrix) -> Result<()> {
    let shape = format!("'shape': ({}, {}), ", matrix.rows(), matrix.cols());
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, {shape}}}");
    // Magic, version and length take ten bytes; the data starts at a multiple of 64.
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(matrix.as_slice().iter().flat_map(|x| x.to_le_bytes()));
    std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
}
