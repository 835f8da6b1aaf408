//! What do queues, events, stories and drafts give that Python and Node are compared with?
//!
//! `tests/parity/lines.json` has what is done, written by hand, `tests/parity/line_answers.json` what Rust gives.
//! `QUORATE_PARITY=write` writes the answers anew. The other runners: `bindings-python/tests/test_lines_parity.py` and
//! `bindings-node/__test__/linesparity.test.mjs`.

use std::collections::BTreeMap;
use std::path::Path;

use quorate_bindings::queue::{self, Line};
use quorate_bindings::{Host, jobs};
use quorate_core::{Error, Result};
use quorate_state::{Events, StateStore};
use quorate_workflows::flow::{Engine, EngineOptions};
use quorate_workflows::jobs::{JobStory, KeptStory, Stories};
use serde_json::{Map, Value, json};

const HOST: Host = Host::Python;

/// What differs from one run to the next.
const TIMES: [&str; 6] = ["put_at", "died_at", "lease", "lease_until", "time", "added"];

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A result without what differs from one run to the next, at its top and in its lists.
fn plainly(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plainly).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().filter(|(name, _)| !TIMES.contains(&name.as_str())).collect())
        }
        other => other,
    }
}

struct Scene {
    store: StateStore,
    events: Events,
    stories: Stories,
    engine: Engine,
    lines: BTreeMap<String, Line>,
    /// Leases by queue or group and number.
    leases: BTreeMap<(String, u64), String>,
    story: String,
}

impl Scene {
    fn new() -> Result<Scene> {
        let store = StateStore::memory();
        let options = EngineOptions { concurrency: Some(0), ..EngineOptions::default() };
        Ok(Scene {
            events: store.events(None)?,
            stories: Stories::new(store.clone(), None),
            engine: Engine::new(store.clone(), options)?,
            store,
            lines: BTreeMap::new(),
            leases: BTreeMap::new(),
            story: String::new(),
        })
    }

    fn line(&self, name: &Value) -> &Line {
        &self.lines[text(name)]
    }

    fn lease(&self, name: &Value, number: &Value) -> String {
        self.leases[&(text(name).to_owned(), number.as_u64().unwrap())].clone()
    }

    fn taken(&mut self, name: &Value, most: &Value) -> Result<Value> {
        let found = self.line(name).take(HOST, most.as_u64().unwrap() as usize)?;
        for one in found.as_array().unwrap() {
            let number = one.get("id").or(one.get("seq")).and_then(Value::as_u64).unwrap();
            self.leases.insert((text(name).to_owned(), number), text(&one["lease"]).to_owned());
        }
        Ok(plainly(found))
    }

    fn does(&mut self, verb: &str, given: &[Value]) -> Result<Value> {
        Ok(match verb {
            "queue" => {
                let options = queue::queue_options(HOST, given[1].clone())?;
                let line = queue::open(&self.store, None, text(&given[0]), options.as_ref())?;
                self.lines.insert(text(&given[0]).to_owned(), line);
                Value::Null
            }
            "options" => plainly(self.line(&given[0]).options(HOST)?),
            "put" => {
                let options = queue::put_options(HOST, given[2].clone())?;
                self.line(&given[0]).put(&given[1], &options)?
            }
            "take" | "hear" => self.taken(&given[0], &given[1])?,
            "ack" | "heard" => {
                self.line(&given[0]).ack(self.lease(&given[0], &given[1]))?;
                Value::Null
            }
            "nack" | "unheard" => {
                let lease = self.lease(&given[0], &given[1]);
                self.line(&given[0]).nack(HOST, lease, given[2].clone())?.into()
            }
            "dead" | "dead_events" => plainly(self.line(&given[0]).dead(HOST)?),
            "replay" => self.line(&given[0]).replay(&queue::ids(&given[1])?)?.into(),
            "discard" => self.line(&given[0]).discard(&queue::ids(&given[1])?)?.into(),
            "stats" => self.line(&given[0]).stats()?,
            "delete" => self.line(&given[0]).delete()?.into(),
            "publish" => self.events.publish(text(&given[0]), &given[1], given[2].as_str())?.into(),
            "subscribe" => {
                let options = queue::subscribe_options(HOST, given[1].clone())?;
                let line = Line::Events(self.events.subscribe(text(&given[0]), &options)?);
                self.lines.insert(options.group, line);
                Value::Null
            }
            "replay_events" => queue::replay(&self.events, HOST, &given[0], false, given[1].as_str())?.into(),
            "last" => self.events.last()?.into(),
            "subscriptions" => queue::subscriptions(&self.events)?,
            "parse" => jobs::shown(HOST, &JobStory::parse(text(&given[0]))?),
            "story" => jobs::shown(HOST, &jobs::story(HOST, given[0].clone())?),
            "keep" => {
                let kept = self.stories.add(&jobs::story(HOST, given[0].clone())?)?;
                self.story = kept.id.clone();
                jobs::shown(HOST, &kept.story)
            }
            "outcome" => {
                kept(&self.stories.outcome(&self.story, text(&given[0]), given[1].as_f64().unwrap())?)
            }
            "abandon" => kept(&self.stories.abandon(&self.story, given[0].as_bool().unwrap())?),
            "kept" => {
                let found = self.stories.list(Some(jobs::status(text(&given[0]))?))?;
                found.iter().map(kept).collect()
            }
            "generate" => {
                let story = JobStory::parse(text(&given[0]))?;
                let draft = jobs::generate(&self.engine, &story, given[1].as_str(), &given[2])?;
                let told = jobs::draft(HOST, &draft);
                let mut answer = Map::new();
                for name in ["id", "workflow", "template", "template_version", "input", "unfilled"] {
                    answer.insert(name.to_owned(), told[name].clone());
                }
                for name in ["filled", "named", "customized"] {
                    answer.insert(name.to_owned(), told["explanation"][name].clone());
                }
                answer.insert("best".to_owned(), told["explanation"]["candidates"][0]["template"].clone());
                Value::Object(answer)
            }
            other => panic!("nothing is called {other}"),
        })
    }
}

fn kept(kept: &KeptStory) -> Value {
    let told = jobs::kept(HOST, kept);
    json!({"status": told["story"]["status"], "measurements": plainly(told["measurements"].clone())})
}

fn found(made: Result<Value>) -> Value {
    made.unwrap_or_else(|error: Error| json!({"error": error.code().as_str()}))
}

#[test]
fn what_is_done_gives_the_answers_that_are_written_down() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parity");
    let fixture: Value = serde_json::from_slice(&std::fs::read(here.join("lines.json")).unwrap()).unwrap();
    let mut answers = Map::new();
    for scenario in fixture["scenarios"].as_array().unwrap() {
        let mut scene = Scene::new().unwrap();
        let does = scenario["does"].as_array().unwrap().iter();
        let told = does.map(|one| {
            let one = one.as_array().unwrap();
            found(scene.does(text(&one[0]), &one[1..]))
        });
        answers.insert(text(&scenario["name"]).to_owned(), told.collect());
        scene.engine.close().unwrap();
    }
    let place = here.join("line_answers.json");
    let written = serde_json::to_string_pretty(&answers).unwrap() + "\n";
    if std::env::var("QUORATE_PARITY").as_deref() == Ok("write") {
        std::fs::write(&place, &written).unwrap();
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
    assert_eq!(
        Value::Object(answers),
        kept,
        "read the difference, and write it anew with QUORATE_PARITY=write"
    );
}
