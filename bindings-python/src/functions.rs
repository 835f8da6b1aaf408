//! How do functions of Python serve runs: as tools, as those that approve, and as those that refuse answers?

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::Cancel;
use quorate::runtime::{
    Answer, Approve, CheckOutput, CustomScorer, Decision, Effect, HostContext, Pending, Task, Tool, ToolCard,
    ToolContext,
};
use quorate_bindings::Host;
use quorate_bindings::runtime;
use serde_json::{Map, Value, json};

use crate::convert::from_json;
use crate::door::CancelToken;
use crate::errors::invalid;
use crate::guest;
use crate::models::failed;
use crate::runtime::options;

const HOST: Host = Host::Python;

/// A tool that is a function: `function(arguments, context, cancel, asked)` gives `{"result": ...}`. `asked`: who asks the run that
/// calls, or None.
pub struct HostTool {
    card: ToolCard,
    function: Py<PyAny>,
    /// Whether it was made when the interpreter was about to end already.
    late: bool,
}

impl HostTool {
    /// The tool of a function.
    pub fn new(card: ToolCard, function: Bound<'_, PyAny>) -> Self {
        HostTool { card, function: function.unbind(), late: guest::ending() }
    }

    /// What the end of the interpreter must know of a call.
    fn guest(&self, context: &ToolContext) -> guest::Guest {
        let until = || Instant::now() + Duration::from_secs_f64(self.card.timeout);
        let writes = (self.card.effect == Effect::Write).then(|| (self.card.name.clone(), until()));
        guest::Guest { writes, cancel: Some(context.cancel.clone()) }
    }
}

impl Tool for HostTool {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> quorate::Result<Value> {
        let asked = context.host.as_ref().and_then(|host| host.downcast_ref::<Asked>());
        let ran = guest::call_as(self.guest(context), |py| {
            let call = || {
                let told = json!({
                    "run_id": context.run_id, "call_id": context.call_id, "idempotency_key": context.idempotency_key,
                    "tenant": context.tenant,
                });
                let arguments = from_json(py, &Value::Object(arguments))?;
                let given = self.function.bind(py).call1((
                    arguments,
                    from_json(py, &told)?,
                    CancelToken(context.cancel.clone()),
                    asked.map(|asked| asked.0.clone_ref(py)),
                ))?;
                let given = given.cast::<PyDict>().map_err(|_| invalid("a tool's result is no dict"))?;
                options(given, "a tool's result")
            };
            let mut given = call().map_err(|raised| failed(py, raised, "the tool"))?;
            Ok(given["result"].take())
        });
        if ran.is_err() && guest::ending() && !self.late {
            guest::stay();
        }
        ran
    }
}

/// Who approves, in Python: `function(pending)` gives `{"decision": ...}`.
pub struct HostApprove(pub Py<PyAny>);

impl Approve for HostApprove {
    fn decide(&self, pending: &Pending, cancel: &Cancel) -> quorate::Result<Option<Decision>> {
        let given = guest::call(|py| {
            let call = || {
                let told = from_json(py, &runtime::pending(HOST, pending))?;
                let given = self.0.bind(py).call1((told, CancelToken(cancel.clone())))?;
                let given = given.cast::<PyDict>().map_err(|_| invalid("a decision is no dict"))?;
                options(given, "a decision")
            };
            call().map_err(|raised| failed(py, raised, "the function approve"))
        });
        let mut given = guest::staying(given)?;
        runtime::decision(&given["decision"].take())
    }
}

/// What looks at answers, in Python: `function(answer, task, cancel)` gives `{"verdict": ...}`.
pub struct HostScorer {
    /// The name in reports.
    pub name: String,
    /// The function.
    pub function: Py<PyAny>,
}

impl CustomScorer for HostScorer {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(
        &self,
        task: &Task,
        answer: &Answer,
        cancel: &Cancel,
    ) -> quorate::Result<(Option<bool>, String)> {
        let (answer, task) = (runtime::answer(HOST, answer)?, runtime::task(HOST, task));
        let given = guest::call(|py| {
            let call = || {
                let (answer, task) = (from_json(py, &answer)?, from_json(py, &task)?);
                let given = guest::apart(py, (&self.function, answer, task, CancelToken(cancel.clone())))?;
                let given = given.cast::<PyDict>().map_err(|_| invalid("a verdict is no dict"))?;
                options(given, "a verdict")
            };
            call().map_err(|raised| failed(py, raised, &format!("the scorer '{}'", self.name)))
        });
        let mut given = guest::staying(given)?;
        runtime::verdict(HOST, given["verdict"].take())
    }
}

/// Who asks, as Python knows it: where its functions run, and with which context variables.
pub struct Asked(Py<PyAny>);

/// What the tools of a run are told of who asks.
pub fn host(asked: Option<Py<PyAny>>) -> Option<HostContext> {
    asked.map(|asked| Arc::new(Asked(asked)) as HostContext)
}

/// What refuses data that fits its schema, as an exception.
pub fn checked(check: Py<PyAny>) -> CheckOutput {
    Arc::new(move |value| {
        let called = guest::call(|py| {
            let call = || guest::apart(py, (&check, from_json(py, value)?)).map(drop);
            call().map_err(|raised| failed(py, raised, "the type of the output"))
        });
        guest::staying(called).map_err(|error| error.message().to_owned())
    })
}
