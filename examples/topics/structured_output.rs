//! How does a model answer with data instead of prose? A form that the answer must have.

use std::error::Error;
use std::io::Write;

use quorate::Cancel;
use quorate::models::{Message, Model, ModelOptions, Output, Request, ScriptedModel};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Dose {
    amount: f64,
    unit: String,
}

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // A JSON Schema.
    let form = Output::new(json!({
        "type": "object",
        "properties": {"amount": {"type": "number"}, "unit": {"enum": ["mg", "g"]}},
        "required": ["amount", "unit"],
    }))?;
    let request = Request { output: Some(form.clone()), ..Request::new(vec![Message::user("Which dose?")]) };

    // The first reply does not fit: the amount is a text. The model is told so, and asked again.
    let replies = [r#"{"amount": "five", "unit": "mg"}"#, r#"{"amount": 5, "unit": "mg"}"#];
    let model = Model::new(ScriptedModel::of_texts(replies), ModelOptions::default())?;

    // Services that can guarantee a form are asked to; the answer is checked in any case.
    let reply = model.complete(&request, &Cancel::new())?;
    let dose: Dose = serde_json::from_value(reply.output.unwrap_or_default())?;
    writeln!(out, "amount {}, unit {}, after {} attempts", dose.amount, dose.unit, reply.attempts)?;

    // Without repairs an answer that does not fit is an error.
    let script = ScriptedModel::of_texts([r#"{"amount": 5, "unit": "ounces"}"#]);
    let model = Model::new(script, ModelOptions::default())?;
    let request = Request { output: Some(form.repairs(0)?), ..request };
    if let Err(error) = model.complete(&request, &Cancel::new()) {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }
    Ok(())
}
