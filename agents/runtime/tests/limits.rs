//! Is a budget kept, whatever a run starts, and however often it goes on?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::Code;
use quorate_core::embed::{Embedder, EmbedderOptions};
use quorate_models::{Model, ModelOptions, Price, Reply, Request, Resilience, ScriptedModel};
use quorate_runtime::{
    Budget, Decision, Effect, FunctionTool, Pending, Question, Resume, Runtime, RuntimeOptions, Status, Tool,
    ToolCard, agent_tool,
};
use serde_json::{Value, json};

fn priced(
    price: Option<f64>,
    resilience: Resilience,
    answer: impl Fn(&Request) -> Value + Send + Sync + 'static,
) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    let price = price.map(|price| Price::new(price, price).unwrap());
    Model::new(script, ModelOptions { price, resilience, ..ModelOptions::default() }).unwrap()
}

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    priced(Some(1.0), Resilience::default(), answer)
}

fn call(id: &str, name: &str, arguments: Value) -> Value {
    json!({"tool_calls": [{"id": id, "name": name, "arguments": arguments}]})
}

fn tool(
    name: &str,
    effect: Effect,
    run: impl Fn() -> quorate_core::Result<Value> + Send + Sync + 'static,
) -> Arc<dyn Tool> {
    let card =
        ToolCard { effect, ..ToolCard::new(name, "", json!({"type": "object", "properties": {"x": {}}})) };
    Arc::new(FunctionTool::new(card, move |_, _| run()).unwrap())
}

fn runtime(model: Model, tools: Vec<Arc<dyn Tool>>) -> Runtime {
    Runtime::new(RuntimeOptions { model: Some(model), tools, ..RuntimeOptions::default() }).unwrap()
}

/// A boss that asks the helper, each of which says what the function says.
fn boss(model: Model, tools: Vec<Arc<dyn Tool>>) -> (Runtime, Vec<Arc<dyn Tool>>) {
    let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
    let registry = AgentRegistry::open(None, RegistryOptions::new(embedder)).unwrap();
    registry.add(Agent::new("boss", "Boss", "Leads the ward.")).unwrap();
    registry.add(Agent::new("helper", "Helper", "Counts the beds.")).unwrap();
    let options =
        RuntimeOptions { registry: Some(registry), model: Some(model), ..RuntimeOptions::default() };
    let runtime = Runtime::new(options).unwrap();
    let tools = [vec![agent_tool(&runtime, "helper").unwrap()], tools].concat();
    (runtime, tools)
}

fn is_helper(request: &Request) -> bool {
    request.messages[0].text().contains("Helper")
}

fn plans(request: &Request) -> bool {
    request.messages.iter().any(|message| message.text().contains("Make a plan first"))
}

fn is_last(request: &Request) -> bool {
    request.messages.last().unwrap().text().contains("no time")
}

#[test]
fn any_time_that_is_a_number_is_a_limit() {
    for most in [1e300, 1e19, f64::MAX, 1e-300] {
        let runtime = runtime(model(|_| json!("end")), vec![]);
        let budget = Some(Budget { max_seconds: Some(most), ..Budget::default() });
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.ask(Question { budget, ..Question::new("go") })
        }));
        assert!(asked.is_ok(), "{most} panics");
    }
}

#[test]
fn what_is_held_back_is_not_spent_by_a_run_that_was_started() {
    let n = AtomicU32::new(0);
    let says = model(move |request| {
        if is_last(request) {
            return json!(if is_helper(request) {
                "helper, as far as it goes"
            } else {
                "boss, as far as it goes"
            });
        }
        let id = format!("c{}", n.fetch_add(1, Ordering::Relaxed));
        if is_helper(request) {
            call(&id, "read", json!({"x": id}))
        } else {
            call(&id, "ask_helper", json!({"question": "beds?"}))
        }
    });
    let (runtime, tools) = boss(says, vec![tool("read", Effect::Read, || Ok(json!(1)))]);
    let budget = Some(Budget { max_steps: Some(5), ..Budget::default() });
    let answer =
        runtime.ask(Question { budget, tools: Some(tools), ..Question::to("How many?", "boss") }).unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (Status::Partial, "boss, as far as it goes"));
}

#[test]
fn the_time_of_a_run_that_was_started_is_that_of_who_started_it() {
    let n = AtomicU32::new(0);
    let says = model(move |request| {
        if is_last(request) {
            return json!("as far as it goes");
        }
        std::thread::sleep(Duration::from_millis(150));
        let id = format!("c{}", n.fetch_add(1, Ordering::Relaxed));
        if is_helper(request) {
            call(&id, "read", json!({"x": id}))
        } else {
            call(&id, "ask_helper", json!({"question": "beds?"}))
        }
    });
    let (runtime, tools) = boss(says, vec![tool("read", Effect::Read, || Ok(json!(1)))]);
    let budget = Some(Budget { max_seconds: Some(1.0), max_steps: None, ..Budget::default() });
    let begun = Instant::now();
    let answer =
        runtime.ask(Question { budget, tools: Some(tools), ..Question::to("How many?", "boss") }).unwrap();
    // The last answer takes no time here.
    assert!(begun.elapsed() < Duration::from_millis(1100), "{:?}", begun.elapsed());
    assert_eq!(
        (answer.stopped_by.as_deref(), answer.text.as_str()),
        (Some("max_seconds"), "as far as it goes")
    );
}

#[test]
fn a_run_of_thousands_of_steps_ends_with_its_seconds() {
    let n = AtomicU32::new(0);
    let says = model(move |request| {
        if is_last(request) {
            return json!("as far as it goes");
        }
        // Many models count the calls of each answer anew.
        call("c", "read", json!({"x": n.fetch_add(1, Ordering::Relaxed)}))
    });
    let read = tool("read", Effect::Read, || Ok(json!("a catheter ".repeat(20))));
    let budget = Some(Budget { max_seconds: Some(3.0), max_steps: None, ..Budget::default() });
    let begun = Instant::now();
    let answer = runtime(says, vec![read]).ask(Question { budget, ..Question::new("go") }).unwrap();
    let took = begun.elapsed();
    assert_eq!(
        (answer.stopped_by.as_deref(), answer.text.as_str()),
        (Some("max_seconds"), "as far as it goes")
    );
    assert!(took < Duration::from_secs(4), "{took:?} for {} steps", answer.steps.len());
    assert!(answer.steps.len() > 100, "{} steps", answer.steps.len());
}

#[test]
fn a_tool_does_not_take_longer_than_the_budget_has() {
    let slow = tool("slow", Effect::Read, || {
        std::thread::sleep(Duration::from_secs(3));
        Ok(json!(1))
    });
    let says =
        model(
            |request| {
                if is_last(request) { json!("as far as it goes") } else { call("a", "slow", json!({})) }
            },
        );
    let budget = Some(Budget { max_seconds: Some(0.4), ..Budget::default() });
    let begun = Instant::now();
    let answer = runtime(says, vec![slow]).ask(Question { budget, ..Question::new("go") }).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!(
        (answer.stopped_by.as_deref(), answer.text.as_str()),
        (Some("max_seconds"), "as far as it goes")
    );
}

#[test]
fn time_in_which_somebody_decides_does_not_count() {
    for later in [false, true] {
        let send = tool("send", Effect::Write, || Ok(json!("sent")));
        let says = model(move |request| match request.messages.len() {
            _ if later && request.messages.len() > 2 => json!("end"),
            7.. => json!("end"),
            n => call(if later { "a".to_owned() } else { format!("c{n}") }.as_str(), "send", json!({"x": n})),
        });
        // Longer than the budget together; whoever is asked while the run goes on has the budget's time for each.
        let approve = move |_: &Pending| {
            std::thread::sleep(Duration::from_millis(700));
            Ok((!later).then_some(Decision::Approve))
        };
        let budget = Some(Budget { max_seconds: Some(1.5), ..Budget::default() });
        let runtime = runtime(says, vec![send]);
        let mut answer = runtime
            .ask(Question { budget, approve: Some(Arc::new(approve)), ..Question::new("go") })
            .unwrap();
        if later {
            assert_eq!(answer.status, Status::Waiting);
            answer = runtime.resume(&answer.run_id, Resume::with("a", Decision::Approve)).unwrap();
        }
        assert_eq!((answer.status, answer.text.as_str()), (Status::Done, "end"), "{:?}", answer.stopped_by);
    }
}

#[test]
fn a_fallback_counts_with_its_own_price() {
    let dear = priced(Some(100.0), Resilience::default(), |_| json!("dear"));
    let unknown = priced(None, Resilience::default(), |_| json!("unknown"));
    let ask = |other: Model| {
        let first =
            ScriptedModel::of_function(|_, _| Err(quorate_core::Error::new(Code::RemoteFailed, "down")));
        let resilience = Resilience { attempts: 1, fallback: vec![other], ..Resilience::default() };
        let options =
            ModelOptions { price: Price::new(1.0, 1.0).ok(), resilience, ..ModelOptions::default() };
        let budget = Some(Budget { max_cost: Some(0.01), ..Budget::default() });
        runtime(Model::new(first, options).unwrap(), vec![]).ask(Question { budget, ..Question::new("go") })
    };
    // 2,048 tokens may be written, each at 100 dollars a million.
    let answer = ask(dear).unwrap();
    assert_eq!((answer.stopped_by.as_deref(), answer.cost), (Some("max_cost"), Some(0.0)));
    assert_eq!(ask(unknown).map(|_| ()).unwrap_err().code(), Code::BudgetUnpriced);
}

#[test]
fn repairs_of_a_form_are_reserved_too() {
    let form = json!({"type": "object", "properties": {"mg": {"type": "integer"}}, "required": ["mg"], "additionalProperties": false});
    let used = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&used);
    let says = model(move |_| {
        sum.fetch_add(2048 + 100, Ordering::Relaxed);
        json!({"text": "no form", "usage": {"input": 100, "output": 2048}})
    });
    let budget = Some(Budget { max_tokens: Some(3500), ..Budget::default() });
    let _ = runtime(says, vec![]).ask(Question { budget, output: Some(form), ..Question::new("go") });
    assert!(used.load(Ordering::Relaxed) <= 3500, "{}", used.load(Ordering::Relaxed));
}

#[test]
fn a_run_that_goes_on_remembers_what_it_spent_where_a_part_is_not_known() {
    let send = tool("send", Effect::Write, || Ok(json!("sent")));
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let script = ScriptedModel::of_function(move |request, _| {
        if is_last(request) {
            return Ok(Reply::text_of("last"));
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            // An attempt that broke off: nobody knows what it has cost.
            0 => Err(quorate_core::Error::new(Code::StreamIncomplete, "broke off")),
            n => {
                let mut reply = call(&format!("c{n}"), "send", json!({"x": n}));
                reply["usage"] = json!({"input": 1000, "output": 1000});
                ScriptedModel::reply_from_json(&reply)
            }
        }
    });
    let resilience = Resilience { seed: Some(1), ..Resilience::default() };
    let options = ModelOptions { price: Price::new(1.0, 1.0).ok(), resilience, ..ModelOptions::default() };
    let runtime = runtime(Model::new(script, options).unwrap(), vec![send]);
    let budget = Some(Budget { max_cost: Some(0.012), max_steps: None, ..Budget::default() });
    let mut answer = runtime.ask(Question { budget, ..Question::new("go") }).unwrap();
    let mut resumed = 0;
    while answer.status == Status::Waiting && resumed < 20 {
        let id = answer.pending[0].id.clone();
        answer = runtime.resume(&answer.run_id, Resume::with(id, Decision::Approve)).unwrap();
        resumed += 1;
    }
    // Each request costs 0.002 dollars.
    assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::Partial, Some("max_cost")));
    assert!(asked.load(Ordering::Relaxed) <= 7, "{} requests", asked.load(Ordering::Relaxed));
}

#[test]
fn a_request_that_failed_counts() {
    // Each helper fails after requests that were paid for.
    let used = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&used);
    let n = AtomicU32::new(0);
    let script = ScriptedModel::of_function(move |request, _| {
        if is_last(request) {
            return Ok(Reply::text_of("last"));
        }
        if is_helper(request) {
            sum.fetch_add(2048, Ordering::Relaxed);
            return Err(quorate_core::Error::new(Code::RemoteInvalid, "no answer that can be read"));
        }
        ScriptedModel::reply_from_json(&call(
            &format!("c{}", n.fetch_add(1, Ordering::Relaxed)),
            "ask_helper",
            json!({"question": format!("beds {}?", n.load(Ordering::Relaxed))}),
        ))
    });
    let resilience = Resilience { attempts: 1, breaker: None, ..Resilience::default() };
    let options = ModelOptions { price: Price::new(0.0, 0.0).ok(), resilience, ..ModelOptions::default() };
    let (runtime, tools) = boss(Model::new(script, options).unwrap(), vec![]);
    let budget = Some(Budget { max_tokens: Some(20_000), max_steps: Some(100), ..Budget::default() });
    let answer =
        runtime.ask(Question { budget, tools: Some(tools), ..Question::to("How many?", "boss") }).unwrap();
    assert_eq!(answer.stopped_by.as_deref(), Some("max_tokens"));
    assert!(used.load(Ordering::Relaxed) <= 20_000, "{}", used.load(Ordering::Relaxed));
}

#[test]
fn an_answer_that_was_cut_in_one_step_does_not_end_the_others() {
    let says = model(|request| {
        let said = request.messages.last().unwrap().text();
        if plans(request) {
            return json!("{\"steps\": [\"one\", \"two\", \"three\"]}");
        }
        if said.contains("Step 1") {
            return json!({"text": "cut", "finish": "length"});
        }
        if said.contains("Step 2") {
            return call("a", "read", json!({}));
        }
        json!(if said.contains("Step 3") {
            "three"
        } else if is_last(request) {
            "last"
        } else {
            "end"
        })
    });
    let read = tool("read", Effect::Read, || Ok(json!(1)));
    let answer = runtime(says, vec![read]).ask(Question { autonomous: true, ..Question::new("go") }).unwrap();
    let plan = answer.plan.unwrap();
    assert_eq!(plan.steps[2].finding.as_deref(), Some("three"), "{:?}", plan.steps);
}

#[test]
fn a_model_that_cannot_plan_answers_nevertheless() {
    let says = model(|request| if plans(request) { json!("let me think") } else { json!("found") });
    let answer = runtime(says, vec![]).ask(Question { autonomous: true, ..Question::new("go") }).unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (Status::Done, "found"));
}

#[test]
fn attempts_that_may_have_to_be_paid_for_fit_into_the_budget() {
    // Each attempt breaks off, and may have used all that it was allowed.
    for attempts in [1, 3, 10] {
        for most in [3_000_u64, 7_000] {
            let used = Arc::new(AtomicU64::new(0));
            let sum = Arc::clone(&used);
            let script = ScriptedModel::of_function(move |request, _| {
                let read = request.to_json()["messages"].to_string().len() as u64 / 4;
                sum.fetch_add(read + u64::from(request.max_tokens.unwrap()), Ordering::Relaxed);
                Err(quorate_core::Error::new(Code::StreamIncomplete, "broke off"))
            });
            let resilience = Resilience { attempts, breaker: None, ..Resilience::default() };
            let clock: Arc<dyn quorate_models::Clock> = Arc::new(quorate_models::ManualClock::default());
            let options = ModelOptions {
                price: Price::new(1.0, 1.0).ok(),
                resilience,
                clock: Some(clock),
                ..ModelOptions::default()
            };
            let budget = Some(Budget { max_tokens: Some(most), ..Budget::default() });
            let runtime = runtime(Model::new(script, options).unwrap(), vec![]);
            let failed = runtime.ask(Question { budget, ..Question::new("go") });
            assert_eq!(failed.unwrap_err().code(), Code::StreamIncomplete);
            let used = used.load(Ordering::Relaxed);
            assert!(used > 0 && used <= most, "{attempts} attempts have used {used} of {most}");
        }
    }
}

#[test]
fn a_small_budget_makes_the_answer_shorter_and_a_smaller_one_refuses() {
    let allowed = Arc::new(AtomicU32::new(0));
    let of = || {
        let keep = Arc::clone(&allowed);
        let says = move |request: &Request| {
            keep.store(request.max_tokens.unwrap(), Ordering::Relaxed);
            json!({"text": "as much as fits", "finish": "length", "usage": {"input": 50, "output": request.max_tokens}})
        };
        runtime(model(says), vec![])
    };
    let ask = |budget: Budget| of().ask(Question { budget: Some(budget), ..Question::new("go") }).unwrap();
    for (budget, by) in [
        (Budget { max_tokens: Some(600), ..Budget::default() }, "max_tokens"),
        (Budget { max_cost: Some(0.0006), ..Budget::default() }, "max_cost"),
    ] {
        let answer = ask(budget);
        let tokens = allowed.swap(0, Ordering::Relaxed);
        assert!((64..600).contains(&tokens), "{tokens}");
        assert_eq!((answer.text.as_str(), answer.stopped_by.as_deref()), ("as much as fits", Some(by)));
        assert!(answer.usage.input + answer.usage.output <= 600, "{:?}", answer.usage);
    }
    for budget in [
        Budget { max_tokens: Some(64), ..Budget::default() },
        Budget { max_cost: Some(0.000_064), ..Budget::default() },
    ] {
        let answer = ask(budget);
        assert_eq!((answer.status, answer.text.as_str()), (Status::Partial, ""));
        assert_eq!(allowed.load(Ordering::Relaxed), 0);
    }
    // What fits is as long as ever.
    ask(Budget { max_tokens: Some(100_000), ..Budget::default() });
    assert_eq!(allowed.load(Ordering::Relaxed), 2048);
}

#[test]
fn a_request_that_was_ended_by_time_is_counted() {
    let script = ScriptedModel::of_function(|request, cancel| {
        if is_last(request) {
            return Ok(Reply::text_of("short"));
        }
        loop {
            cancel.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let options = ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() };
    let budget = Budget { max_seconds: Some(2.0), max_tokens: Some(100_000), ..Budget::default() };
    let runtime = runtime(Model::new(script, options).unwrap(), vec![]);
    let answer = runtime.ask(Question { budget: Some(budget), ..Question::new("go") }).unwrap();
    // Nobody knows what it has cost.
    assert_eq!((answer.text.as_str(), answer.cost), ("short", None));
}

#[test]
fn a_form_that_the_budget_cuts_off_is_no_error() {
    let form = json!({"type": "object", "properties": {"mg": {"type": "integer"}}, "required": ["mg"], "additionalProperties": false});
    let says = model(|request| match is_last(request) {
        true => json!("{\"mg\": 5}"),
        false => json!({"text": "{\"mg\":", "finish": "length", "usage": {"input": 100, "output": 64}}),
    });
    let budget = Some(Budget { max_tokens: Some(700), ..Budget::default() });
    let answer =
        runtime(says, vec![]).ask(Question { budget, output: Some(form), ..Question::new("go") }).unwrap();
    assert_eq!((answer.stopped_by.as_deref(), answer.output), (Some("max_tokens"), Some(json!({"mg": 5}))));
}
