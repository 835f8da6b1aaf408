//! How are tasks asked, several times each and within one budget?
//!
//! Every task is asked once before any is asked again, so that what a budget allows is spread over all. The seed of a
//! trial follows from the evaluation's seed, the task and the number of the trial.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::Usage;

use super::judge::Stopped;
use super::report::{AgentReport, Trial};
use super::score::{CustomScorer, Score, Scorer};
use super::seed_of;
use super::task::{self, Task};
use crate::answer::Answer;
use crate::budget::{Budget, Ledger};
use crate::driver::{aside, priced};
use crate::fact::Status;
use crate::family::{Again, Below, Nested};
use crate::names::fresh_id;
use crate::runtime::{HostContext, Question, Runtime};

/// Trials of one task, trials at once.
const MAX_REPEAT: usize = 10_000;
const MAX_THREADS: usize = 256;
/// Seconds that a scorer may take at most: a day.
const MAX_SCORER_SECONDS: f64 = 86_400.0;

/// How tasks are asked.
#[derive(Clone)]
pub struct EvaluateOptions {
    /// Trials of each task, 1 to 10,000. Default 5.
    pub repeat: usize,
    /// From which the seeds of the trials follow. Default 0.
    pub seed: u64,
    /// What all trials and judges together may spend; `None`: as much as each run's own budget allows. Its `max_steps`
    /// is not shared: it bounds each run, beside the runtime's.
    pub budget: Option<Budget>,
    /// What looks at the answers; empty: all that need no model.
    pub scorers: Vec<Scorer>,
    /// Trials at once, 1 to 256. Default 1, in which the trials take place in one order.
    pub threads: usize,
    /// Seconds that a scorer of somebody's own may take for one answer, above 0 and at most a day. Default 120. One that takes
    /// longer is not waited for: that trial is undecided (code `timeout`), and the next begins. The budget's seconds end it too.
    pub scorer_seconds: f64,
    /// The host's span that the spans of all trials belong to, as a W3C `traceparent`.
    pub trace_parent: Option<String>,
    /// What tools are told of who asks, by the host and for it.
    pub host: Option<HostContext>,
    /// Ends the evaluation; the report has what was done by then.
    pub cancel: Cancel,
    /// Is told how many trials of how many are done.
    pub progress: Option<Arc<dyn Fn(usize, usize) + Send + Sync>>,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        EvaluateOptions {
            repeat: 5,
            seed: 0,
            budget: None,
            scorers: Vec::new(),
            threads: 1,
            scorer_seconds: 120.0,
            trace_parent: None,
            host: None,
            cancel: Cancel::new(),
            progress: None,
        }
    }
}

impl EvaluateOptions {
    /// Errors: `invalid_argument`, `not_finite`.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MAX_REPEAT).contains(&self.repeat) {
            let message = format!("repeat is {}, expected 1 to {MAX_REPEAT}", self.repeat);
            return Err(Error::invalid(message));
        }
        if !(1..=MAX_THREADS).contains(&self.threads) {
            let message = format!("threads is {}, expected 1 to {MAX_THREADS}", self.threads);
            return Err(Error::invalid(message));
        }
        let seconds = self.scorer_seconds;
        if !(seconds.is_finite() && seconds > 0.0 && seconds <= MAX_SCORER_SECONDS) {
            let message = format!(
                "scorer_seconds is {seconds}, expected seconds, above 0 and at most {MAX_SCORER_SECONDS}"
            );
            return Err(Error::invalid(message));
        }
        self.budget.as_ref().map_or(Ok(()), Budget::validate)?;
        let mut names = BTreeSet::from([super::report::ALL]);
        for scorer in &self.scorers {
            if let Scorer::Judge(judge) = scorer {
                judge.validate()?;
            }
            if scorer.name().trim().is_empty() {
                return Err(Error::invalid("the name of a scorer is empty"));
            }
            if !names.insert(scorer.name()) {
                return Err(Error::invalid(format!("two scorers have the name '{}'", scorer.name())));
            }
        }
        Ok(())
    }
}

/// Asks each task several times, and says how well the answers are.
///
/// Each trial is a run of the runtime's store, whose parent is `ID/TASK/TRIAL` with the report's id and numbers from 0. A
/// run that waits for approval is looked at as it is, and then cancelled. A trial that fails is one that does not pass. The
/// evaluation ends early when its budget is used up or it is cancelled, and the report says so.
///
/// Errors: `empty_input`, `duplicate_id`, `invalid_argument`, `not_finite`; `unknown_id` for an agent that does not exist;
/// `budget_unpriced` where money is limited and the price of the model or of a judge is not known.
///
/// ```
/// use quorate_models::{Model, ScriptedModel};
/// use quorate_runtime::{EvaluateOptions, Expect, Runtime, RuntimeOptions, Task, evaluate_agents};
/// let model = Model::new(ScriptedModel::of_texts(["5 mg", "10 mg"]), Default::default())?;
/// let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
/// let expect = Expect { exact: vec!["5 mg".into()], ..Expect::default() };
/// let tasks = [Task { expect, ..Task::new("dose", "Which dose?") }];
/// let report = evaluate_agents(&runtime, &tasks, &EvaluateOptions { repeat: 2, ..EvaluateOptions::default() })?;
/// assert_eq!(report.metric("all").and_then(|all| all.pass_rate), Some(0.5));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn evaluate_agents(runtime: &Runtime, tasks: &[Task], options: &EvaluateOptions) -> Result<AgentReport> {
    options.validate()?;
    task::check(tasks)?;
    let scorers = if options.scorers.is_empty() { Scorer::PLAIN.to_vec() } else { options.scorers.clone() };
    check_agents(runtime, tasks)?;
    let unscored: Vec<String> = tasks
        .iter()
        .filter(|task| scorers.iter().all(|scorer| !scorer.applies(task)))
        .map(|task| task.id.clone())
        .collect();
    if unscored.len() == tasks.len() {
        let names: Vec<&str> = scorers.iter().map(Scorer::name).collect();
        let message = format!("no task gives the scorers ({}) anything to look for", names.join(", "));
        return Err(Error::invalid(message));
    }
    let shared = options.budget.clone().map(|budget| Budget { max_steps: None, ..budget });
    let ledger = Ledger::of_many(shared.unwrap_or(Budget { max_steps: None, ..Budget::default() }));
    priced(runtime.0.model.as_ref(), &ledger)?;
    priced(runtime.0.model.as_ref(), &ledger.below(runtime.0.budget.clone()))?;
    for scorer in &scorers {
        if let Scorer::Judge(judge) = scorer {
            priced(Some(&judge.model), &ledger)?;
        }
    }
    let id = fresh_id();
    let evaluation = Evaluation {
        runtime,
        tasks,
        options,
        scorers: &scorers,
        ledger,
        id: &id,
        next: AtomicUsize::new(0),
        stopped: Mutex::new(None),
        trials: Mutex::new(Vec::new()),
    };
    evaluation.run()?;
    let mut trials = std::mem::take(&mut *lock(&evaluation.trials));
    trials.sort_by_key(|(number, _)| (number % tasks.len(), number / tasks.len()));
    let stopped_by = lock(&evaluation.stopped).clone();
    let trials = trials.into_iter().map(|(_, trial)| trial).collect();
    let names = scorers.iter().map(|scorer| scorer.name().to_owned()).collect();
    Ok(AgentReport::of(id, options.seed, options.repeat, names, tasks, trials, unscored, stopped_by))
}

fn check_agents(runtime: &Runtime, tasks: &[Task]) -> Result<()> {
    for task in tasks {
        let Some(id) = &task.agent else { continue };
        let Some(registry) = &runtime.0.registry else {
            let message = format!("task '{}' names agent '{id}', but the runtime has no registry", task.id);
            return Err(Error::invalid(message));
        };
        registry.get(id).map_err(|e| e.context(format_args!("task '{}'", task.id)))?;
    }
    Ok(())
}

struct Evaluation<'a> {
    runtime: &'a Runtime,
    tasks: &'a [Task],
    options: &'a EvaluateOptions,
    scorers: &'a [Scorer],
    ledger: Ledger,
    id: &'a str,
    /// The trial that begins next.
    next: AtomicUsize,
    stopped: Mutex<Option<String>>,
    trials: Mutex<Vec<(usize, Trial)>>,
}

impl Evaluation<'_> {
    fn run(&self) -> Result<()> {
        let total = self.tasks.len().saturating_mul(self.options.repeat);
        let threads = self.options.threads.min(total);
        if threads == 1 {
            return self.work(total);
        }
        thread::scope(|scope| {
            let start = |_| {
                let named = thread::Builder::new().name("quorate-evaluate".to_owned());
                named
                    .spawn_scoped(scope, || self.work(total))
                    .map_err(|e| Error::with_source(Code::Io, format!("no thread could be started: {e}"), e))
            };
            let started: Vec<_> = (0..threads).map(start).collect();
            let mut outcome = Ok(());
            for thread in started {
                let ended = thread.and_then(|thread| thread.join().unwrap_or_else(|_| Err(panicked())));
                outcome = outcome.and(ended);
            }
            outcome
        })
    }

    fn work(&self, total: usize) -> Result<()> {
        loop {
            if self.options.cancel.is_cancelled() {
                self.stop("cancelled");
            }
            if lock(&self.stopped).is_some() {
                return Ok(());
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                return Ok(());
            }
            let trial = self.trial(&self.tasks[number % self.tasks.len()], number);
            let done = {
                let mut trials = lock(&self.trials);
                trials.push((number, trial));
                trials.len()
            };
            if let Some(progress) = &self.options.progress {
                progress(done, total);
            }
        }
    }

    fn stop(&self, by: &str) {
        lock(&self.stopped).get_or_insert_with(|| by.to_owned());
    }

    fn trial(&self, task: &Task, number: usize) -> Trial {
        let (at, trial) = (number % self.tasks.len(), number / self.tasks.len());
        let seed = seed_of(self.options.seed, &task.id, trial as u64);
        let own = &self.runtime.0.budget;
        let most = self.options.budget.as_ref().and_then(|budget| budget.max_steps);
        let max_steps = own.max_steps.into_iter().chain(most).min();
        let budget = Budget { max_steps, ..own.clone() };
        let ledger = self.ledger.below(budget.clone());
        let spent = Below::default();
        let parent = format!("{}/{at}/{trial}", self.id);
        let nested = Nested::new(parent.clone(), 0, ledger.clone(), Arc::clone(&spent), Again::default());
        let question = Question {
            agent: task.agent.clone(),
            autonomous: task.autonomous,
            budget: Some(budget),
            seed,
            trace_parent: self.options.trace_parent.clone(),
            host: self.options.host.clone(),
            cancel: self.options.cancel.clone(),
            ..Question::new(task.question.as_str())
        };
        let begun = Instant::now();
        let asked = catch_unwind(AssertUnwindSafe(|| self.runtime.ask_with(question, None, Some(nested))));
        let asked = asked.unwrap_or_else(|_| Err(panicked()));
        let seconds = begun.elapsed().as_secs_f64();
        let spent = spent.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
        let mut out = Trial {
            task: task.id.clone(),
            trial,
            seed,
            run_id: None,
            agent: None,
            status: Status::Failed,
            stopped_by: None,
            text: String::new(),
            scores: Vec::new(),
            passed: None,
            cost: spent.cost,
            usage: spent.usage,
            judge_cost: Some(0.0),
            judge_usage: Usage::default(),
            seconds,
            error: None,
            message: None,
            cut_off: false,
        };
        if let Some(by) = ledger.cut() {
            out.cut_off = true;
            self.stop(by);
        }
        match asked {
            Ok(answer) => self.answered(task, &answer, &mut out),
            Err(error) => {
                out.error = Some(error.code().as_str().to_owned());
                out.message = Some(error.message().to_owned());
                out.run_id = self.failed_run(&parent);
                if error.code() == Code::Cancelled && self.options.cancel.is_cancelled() {
                    out.cut_off = true;
                    self.stop("cancelled");
                }
                let failed = |scorer: &Scorer| Score {
                    scorer: scorer.name().to_owned(),
                    passed: Some(false),
                    detail: error.code().as_str().to_owned(),
                    judged: None,
                };
                out.scores = self.scorers.iter().filter(|scorer| scorer.applies(task)).map(failed).collect();
            }
        }
        out.settle();
        out
    }

    fn answered(&self, task: &Task, answer: &Answer, out: &mut Trial) {
        out.run_id = Some(answer.run_id.clone());
        out.agent.clone_from(&answer.agent);
        out.status = answer.status;
        out.stopped_by.clone_from(&answer.stopped_by);
        out.text.clone_from(&answer.text);
        if answer.status == Status::Cancelled && self.options.cancel.is_cancelled() {
            out.cut_off = true;
            self.stop("cancelled");
        }
        if answer.status == Status::Waiting {
            // Nobody will decide about it; that it stays as it is does no harm.
            let _ = self.runtime.cancel(&answer.run_id);
        }
        if out.cut_off {
            return;
        }
        for scorer in self.scorers.iter().filter(|scorer| scorer.applies(task)) {
            let (passed, detail, judged) = match scorer {
                Scorer::Judge(judge) => {
                    let watch = &self.runtime.0.watch;
                    let (judged, stopped) =
                        judge.judge(task, answer, out.seed, &self.ledger, watch, self.options);
                    out.judge_usage += judged.usage;
                    out.judge_cost = out.judge_cost.zip(judged.cost).map(|(before, more)| before + more);
                    if let Some(stopped) = stopped {
                        out.cut_off = true;
                        self.stop(match stopped {
                            Stopped::Budget(by) => by,
                            Stopped::Cancelled => "cancelled",
                        });
                        return;
                    }
                    (judged.passed(), judged.detail(), Some(judged))
                }
                Scorer::Custom(own) => match self.scored(own, task, answer) {
                    Ok(Some((passed, detail))) => (passed, detail, None),
                    Ok(None) => {
                        out.cut_off = true;
                        self.stop("max_seconds");
                        return;
                    }
                    Err(error) if error.code() == Code::Cancelled && self.options.cancel.is_cancelled() => {
                        out.cut_off = true;
                        self.stop("cancelled");
                        return;
                    }
                    Err(error) => (None, format!("{}: {}", error.code().as_str(), error.message()), None),
                },
                plain => match plain.look(&task.expect, answer) {
                    Ok(()) => (Some(true), String::new(), None),
                    Err(detail) => (Some(false), detail, None),
                },
            };
            out.scores.push(Score { scorer: scorer.name().to_owned(), passed, detail, judged });
        }
    }

    /// What a scorer of somebody's own says within its time; `None`: the time of the evaluation is over first. It has a thread of
    /// its own, which is left alone when the time is over. Errors: its own; `timeout`; `cancelled`.
    fn scored(
        &self,
        own: &Arc<dyn CustomScorer>,
        task: &Task,
        answer: &Answer,
    ) -> Result<Option<(Option<bool>, String)>> {
        let limit = Duration::from_secs_f64(self.options.scorer_seconds);
        let left = self.ledger.seconds_left(0.0, true);
        let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok()).filter(|left| *left < limit);
        // Its own flag: it is told that nobody waits any more.
        let cancel = self.options.cancel.child();
        let work = {
            let (own, task, answer, cancel) = (Arc::clone(own), task.clone(), answer.clone(), cancel.clone());
            move || catch_unwind(AssertUnwindSafe(|| own.score(&task, &answer, &cancel)))
        };
        if let Some(said) = aside(&self.options.cancel, Some(left.unwrap_or(limit)), work)? {
            if cancel.is_cancelled() {
                // A scorer that raises its flag ends the evaluation.
                self.options.cancel.cancel();
            }
            return said.unwrap_or_else(|_| Err(panicked())).map(Some);
        }
        cancel.cancel();
        if left.is_some() {
            return Ok(None);
        }
        let (name, limit) = (own.name(), limit.as_secs_f64());
        Err(Error::new(Code::Timeout, format!("the scorer '{name}' did not end within {limit} s")))
    }

    /// The run of a trial that gave an error, where it had begun.
    fn failed_run(&self, parent: &str) -> Option<String> {
        let runs = self.runtime.runs(None).unwrap_or_default();
        runs.into_iter().rev().find(|run| run.parent.as_deref() == Some(parent)).map(|run| run.id)
    }
}

fn panicked() -> Error {
    Error::new(Code::Internal, "a defect of quorate, or of what it was given: a trial has panicked")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
