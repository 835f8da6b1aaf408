//! How are panels asked from Node?

use std::sync::{Mutex, MutexGuard, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::Error;
use quorate::models::Model;
use quorate::runtime::{PanelOptions, PanelResume};
use quorate_bindings::Host;
use quorate_bindings::runtime::{self, PanelModels, Run};

use crate::convert::{Out, arg, text};
use crate::door::{Lane, NativeCancel, Promised, flag, promise};
use crate::errors::{OrThrow, Thrown};
use crate::models::{NativeLanguageModel, NativeModelFlow, json};
use crate::runtime::{NativeRuntime, out};

const HOST: Host = Host::Node;

/// The models of a panel that are not the runtime's.
#[napi(js_name = "PanelModels")]
#[derive(Default)]
pub struct NativePanelModels(Mutex<Models>);

#[derive(Clone, Default)]
struct Models {
    asked: PanelModels,
    /// Those of members by their ids, for a panel that goes on.
    named: Vec<(String, Model)>,
    /// The host's span that a panel which goes on belongs to.
    trace_parent: Option<String>,
}

impl NativePanelModels {
    fn lock(&self) -> MutexGuard<'_, Models> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn options(&self, env: &Env, options: &Unknown<'_>) -> Result<PanelOptions, Thrown> {
        let given = arg(env, options, "options", json)?;
        let models = self.lock().asked.clone();
        runtime::panel_options(HOST, given, models).or_throw()
    }

    fn going_on(&self) -> PanelResume {
        let Models { asked, named, trace_parent } = self.lock().clone();
        PanelResume { models: named, judge: asked.judge, trace_parent, ..PanelResume::default() }
    }
}

#[napi]
impl NativePanelModels {
    /// None yet.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who answers for the member at this place.
    #[napi]
    pub fn member(&self, at: u32, model: &NativeLanguageModel) {
        self.lock().asked.members.push((at as usize, model.model()));
    }

    /// Who answers for the member of this id.
    #[napi]
    pub fn named(&self, env: Env, id: Unknown<'_>, model: &NativeLanguageModel) -> Result<(), Thrown> {
        let id = arg(&env, &id, "the id of a member", text)?;
        self.lock().named.push((id, model.model()));
        Ok(())
    }

    /// The host's span that the panel belongs to which goes on, as a W3C traceparent.
    #[napi]
    pub fn traced(&self, env: Env, parent: Unknown<'_>) -> Result<(), Thrown> {
        self.lock().trace_parent = Some(arg(&env, &parent, "traceParent", text)?);
        Ok(())
    }

    /// Who judges a debate.
    #[napi]
    pub fn judge(&self, model: &NativeLanguageModel) {
        self.lock().asked.judge = Some(model.model());
    }

    /// Who answers for the chair.
    #[napi]
    pub fn chair(&self, model: &NativeLanguageModel) {
        self.lock().asked.chair = Some(model.model());
    }
}

/// What a panel came to, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn ask_panel(
    env: Env,
    experts: &NativeRuntime,
    question: Unknown<'_>,
    options: Unknown<'_>,
    models: &NativePanelModels,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let question = arg(&env, &question, "the question", text)?;
    let options = PanelOptions { cancel: flag(cancel), ..models.options(&env, &options)? };
    experts.asking(&env, move |experts| Ok(out(runtime::panel(HOST, &experts.panel(question, options)?)?)))
}

/// The events of a panel.
#[napi]
pub fn panel_flow(
    env: Env,
    experts: &NativeRuntime,
    question: Unknown<'_>,
    options: Unknown<'_>,
    models: &NativePanelModels,
) -> Result<NativeModelFlow, Thrown> {
    let question = arg(&env, &question, "the question", text)?;
    let options = models.options(&env, &options)?;
    experts.events(&env, Run::Panel(question, Box::new(options)))
}

/// Goes on with a panel. What it came to is JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn resume_panel(
    env: Env,
    experts: &NativeRuntime,
    run_id: Unknown<'_>,
    models: &NativePanelModels,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let run_id = arg(&env, &run_id, "runId", text)?;
    let given = PanelResume { cancel: flag(cancel), ..models.going_on() };
    experts
        .asking(&env, move |experts| Ok(out(runtime::panel(HOST, &experts.resume_panel(&run_id, given)?)?)))
}

/// The events of a panel that goes on.
#[napi]
pub fn resume_panel_flow(
    env: Env,
    experts: &NativeRuntime,
    run_id: Unknown<'_>,
    models: &NativePanelModels,
) -> Result<NativeModelFlow, Thrown> {
    let run_id = arg(&env, &run_id, "runId", text)?;
    experts.events(&env, Run::ResumePanel(run_id, Box::new(models.going_on())))
}

/// The panels of the runtime's tenant as lists show them, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn panel_sessions(env: Env, experts: &NativeRuntime) -> Result<Promised, Thrown> {
    experts.run(&env, Lane::Slow, |experts| {
        Ok(out(experts.panels()?.iter().map(|one| runtime::session(HOST, one)).collect()))
    })
}

/// A row for each ballot of a panel's answer and each missing one, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn panel_rows(env: Env, answer: Unknown<'_>) -> Result<Promised, Thrown> {
    let given = arg(&env, &answer, "the answer", json)?;
    promise(&env, Lane::Quick, move || Ok(out(runtime::rows(HOST, given)?)))
}

/// The page of a panel's answer.
#[napi(ts_return_type = "Promise<string>")]
pub fn panel_page(env: Env, answer: Unknown<'_>) -> Result<Promised, Thrown> {
    let given = arg(&env, &answer, "the answer", json)?;
    promise(&env, Lane::Quick, move || runtime::page(HOST, given, false).map(Out::Text))
}

/// Writes that page.
#[napi(ts_return_type = "Promise<void>")]
pub fn write_panel_page(env: Env, answer: Unknown<'_>, path: Unknown<'_>) -> Result<Promised, Thrown> {
    let (given, path) = (arg(&env, &answer, "the answer", json)?, arg(&env, &path, "path", text)?);
    promise(&env, Lane::Slow, move || {
        let page = runtime::page(HOST, given, false)?;
        std::fs::write(&path, page).map(|()| Out::Nothing).map_err(|e| Error::io(&path, e))
    })
}
