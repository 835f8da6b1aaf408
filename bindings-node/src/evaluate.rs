//! How are agents evaluated, and recorded runs asked again, from Node?

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::runtime::{
    AgentReport, Answer, Change, CustomScorer, EvaluateOptions, HostContext, Judge, Scorer, Task,
    evaluate_agents as evaluate, load_tasks as load,
};
use quorate::{Cancel, Code, Error, Result};
use quorate_bindings::{Host, runtime};
use serde_json::Value;

use crate::asker::asker;
use crate::convert::{Out, arg, marked, text, whole};
use crate::door::{Callback, Lane, NativeCancel, Promised, flag, promise, quick};
use crate::errors::{OrThrow, Thrown};
use crate::kb::progress_of;
use crate::models::{NativeLanguageModel, json};
use crate::runtime::{NativeRuntime, answered, out};

const HOST: Host = Host::Node;

/// What looks at answers, beyond what has a name.
#[napi(js_name = "Scorers")]
#[derive(Default)]
pub struct NativeScorers(Mutex<Scorers>);

#[derive(Clone, Default)]
struct Scorers {
    judges: Vec<Judge>,
    own: Vec<Scorer>,
    asker: Option<HostContext>,
}

/// What an evaluation found.
#[napi(js_name = "Evaluation")]
pub struct NativeEvaluation(Arc<AgentReport>);

/// A function of JavaScript that looks at answers: `function(reply, answer, task)` with both as JSON answers with `{result}`
/// or `{error}`.
struct HostScorer {
    name: String,
    function: Callback,
}

impl CustomScorer for HostScorer {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&self, task: &Task, answer: &Answer, cancel: &Cancel) -> Result<(Option<bool>, String)> {
        let given = vec![out(runtime::answer(HOST, answer)?), written(runtime::task(HOST, task))];
        runtime::verdict(HOST, answered(self.function.call(given, cancel)?, "what the scorer gave")?)
    }
}

/// What users have written, or what has numbers of 64 bits.
fn written(value: Value) -> Out {
    Out::Text(marked(value).to_string())
}

impl NativeScorers {
    fn lock(&self) -> MutexGuard<'_, Scorers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[napi]
impl NativeScorers {
    /// None yet.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// A model that judges.
    #[napi]
    pub fn judge(&self, env: Env, model: &NativeLanguageModel, options: Unknown<'_>) -> Result<(), Thrown> {
        let options = arg(&env, &options, "options", json)?;
        self.lock().judges.push(runtime::judge(HOST, model.model(), options).or_throw()?);
        Ok(())
    }

    /// By which number tools are told who asks.
    #[napi]
    pub fn asked_by(&self, number: u32) {
        self.lock().asker = Some(asker(number));
    }

    /// A function of JavaScript.
    #[napi]
    pub fn own(&self, env: Env, name: Unknown<'_>, score: Unknown<'_>) -> Result<(), Thrown> {
        let name = arg(&env, &name, "the name of a scorer", text)?;
        let function = Callback::new(&env, &score)?;
        self.lock().own.push(Scorer::Custom(Arc::new(HostScorer { name, function })));
        Ok(())
    }
}

/// Asks tasks several times; `progress(reply, done, total)` is called on the way.
#[napi(ts_return_type = "Promise<Evaluation>")]
pub fn evaluate_agents(
    env: Env,
    runtime: &NativeRuntime,
    tasks: Unknown<'_>,
    options: Unknown<'_>,
    scorers: &NativeScorers,
    progress: Option<Unknown<'_>>,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let tasks = arg(&env, &tasks, "tasks", json)?;
    let options = arg(&env, &options, "options", json)?;
    let more = scorers.lock().clone();
    let mut how = runtime::evaluation(HOST, options, more.judges).or_throw()?;
    how.scorers.extend(more.own);
    how.host = more.asker;
    how.validate().or_throw()?;
    let progress = progress.map(|function| Callback::new(&env, &function)).transpose()?;
    let cancel = flag(cancel);
    runtime.asking(&env, move |experts| {
        let tasks = runtime::tasks(HOST, &tasks)?;
        let failed = Arc::new(AtomicBool::new(false));
        let progress = progress.map(|function| progress_of(function, cancel.clone(), &failed) as _);
        let found = evaluate(experts, &tasks, &EvaluateOptions { cancel, progress, ..how })?;
        match failed.load(Ordering::Acquire) {
            true => {
                Err(Error::new(Code::Callback, "the progress callback failed, so the evaluation was ended"))
            }
            false => Ok(Out::object(NativeEvaluation(Arc::new(found)))),
        }
    })
}

/// Refuses the options that a judge does not have.
#[napi]
pub fn check_judge(env: Env, model: &NativeLanguageModel, options: Unknown<'_>) -> Result<(), Thrown> {
    let options = arg(&env, &options, "options", json)?;
    runtime::judge(HOST, model.model(), options).or_throw().map(|_| ())
}

/// The tasks of a file, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn load_tasks(env: Env, path: Unknown<'_>) -> Result<Promised, Thrown> {
    let path = arg(&env, &path, "path", text)?;
    promise(&env, Lane::Slow, move || {
        Ok(written(load(path)?.iter().map(|task| runtime::task(HOST, task)).collect()))
    })
}

/// The tasks that ship, as JSON.
#[napi]
pub fn golden_tasks() -> Result<String, Thrown> {
    quick(|| Ok(marked(runtime::golden(HOST)?).to_string()))
}

/// A report that was kept.
#[napi]
pub fn evaluation_of(env: Env, given: Unknown<'_>) -> Result<NativeEvaluation, Thrown> {
    let report = arg(&env, &given, "the report", |given, _| runtime::agent_report_of(HOST, given))?;
    Ok(NativeEvaluation(Arc::new(report)))
}

#[napi]
impl NativeEvaluation {
    /// All of it, as JSON.
    #[napi]
    pub fn found(&self) -> Result<String, Thrown> {
        quick(|| Ok(marked(runtime::agent_report(HOST, &self.0)?).to_string()))
    }

    /// Some lines that say what was found.
    #[napi]
    pub fn summary(&self) -> Result<String, Thrown> {
        quick(|| Ok(self.0.summary()))
    }

    /// A row for each trial and scorer, as JSON.
    #[napi]
    pub fn rows(&self) -> Result<String, Thrown> {
        quick(|| Ok(marked(runtime::agent_rows(HOST, &self.0)).to_string()))
    }

    /// What differs between two, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn compare(
        &self,
        env: Env,
        other: &NativeEvaluation,
        seed: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let seed = arg(&env, &seed, "seed", whole)?;
        let (own, other, cancel) = (Arc::clone(&self.0), Arc::clone(&other.0), flag(cancel));
        promise(&env, Lane::Quick, move || {
            let found = cancel.cover(|| own.compare(&other, seed))?;
            Ok(written(runtime::agent_comparison(HOST, &found)))
        })
    }

    /// The page that shows it.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn html(&self, env: Env) -> Result<Promised, Thrown> {
        let report = Arc::clone(&self.0);
        promise(&env, Lane::Quick, move || Ok(Out::Text(report.report_html())))
    }

    /// Writes that page.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn write(&self, env: Env, path: Unknown<'_>) -> Result<Promised, Thrown> {
        let (report, path) = (Arc::clone(&self.0), arg(&env, &path, "path", text)?);
        promise(&env, Lane::Slow, move || {
            let written = std::fs::write(&path, report.report_html());
            written.map(|()| Out::Nothing).map_err(|e| Error::io(&path, e))
        })
    }
}

/// Asks a recorded run again with something changed. What came of it is JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn replay_run(
    env: Env,
    runtime: &NativeRuntime,
    run_id: Unknown<'_>,
    options: Unknown<'_>,
    model: Option<&NativeLanguageModel>,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let run_id = arg(&env, &run_id, "runId", text)?;
    let options = arg(&env, &options, "options", json)?;
    let change = runtime::change(HOST, options, model.map(NativeLanguageModel::model)).or_throw()?;
    let change = Change { cancel: flag(cancel), ..change };
    runtime.asking(&env, move |experts| Ok(out(runtime::replayed(HOST, &experts.replay(&run_id, change)?)?)))
}
