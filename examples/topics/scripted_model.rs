//! How is code that asks a language model tested without one? A model that says what it is told to.

use std::error::Error;
use std::io::Write;

use quorate::Cancel;
use quorate::models::{Message, Model, ModelOptions, Reply, Request, ScriptedModel, ToolSpec};
use serde_json::json;

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // Replies in their order, one for each call. `Model::open("openai:...", ...)` has the same calls.
    let script = ScriptedModel::new([
        Reply::text_of("Metformin lowers glucose."),
        ScriptedModel::reply_from_json(
            &json!({"tool_calls": [{"name": "lookup", "arguments": {"drug": "metformin"}}]}),
        )?,
        ScriptedModel::reply_from_json(
            &json!({"text": "At most 2,000 mg a day.", "usage": {"input": 60, "output": 9}}),
        )?,
    ]);
    let (model, never) = (Model::new(script, ModelOptions::default())?, Cancel::new());
    let ask = |text: &str| Request::new(vec![Message::user(text)]);
    writeln!(out, "answer: {}", model.complete(&ask("What does metformin do?"), &never)?.text())?;

    // The model asks for a tool; the host runs it and says what came of it.
    let lookup = ToolSpec {
        name: "lookup".into(),
        description: "The label of a drug".into(),
        schema: json!({"type": "object", "properties": {"drug": {"type": "string"}}}),
    };
    let mut request = Request { tools: vec![lookup], ..ask("How much metformin is safe?") };
    let asked = model.complete(&request, &never)?;
    for call in asked.tool_calls() {
        let (drug, finish) = (call.arguments["drug"].as_str(), asked.finish.map(|finish| finish.as_str()));
        let (drug, finish) = (drug.unwrap_or_default(), finish.unwrap_or_default());
        writeln!(out, "wants: {}({drug}), because of {finish}", call.name)?;
        request.messages.push(asked.message.clone());
        request.messages.push(Message::tool(&*call.id, "Maximum 2,000 mg a day."));
    }
    let answer = model.complete(&request, &never)?;
    let (read, written) = (answer.usage.input, answer.usage.output);
    writeln!(out, "answer: {} ({read} tokens read, {written} written)", answer.text())?;

    // The script is at its end: a further call is an error.
    if let Err(error) = model.complete(&ask("And now?"), &never) {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }

    // A function of the request answers any number of calls.
    let echo = ScriptedModel::of_function(|request, _| {
        let said = request.messages.last().map(Message::text).unwrap_or_default();
        Ok(Reply::text_of(format!("You said: {said}")))
    });
    writeln!(out, "{}", Model::new(echo, ModelOptions::default())?.complete(&ask("hello"), &never)?.text())?;
    Ok(())
}
