//! How do tests get a model's real answers without asking it again? Record once, replay for ever.

use std::error::Error;
use std::io::Write;

use quorate::Cancel;
use quorate::models::{Message, Model, ModelOptions, Request, ScriptedModel, record, replay};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("case.jsonl");
    let model = |replies: &[&str]| {
        let script = ScriptedModel::of_texts(replies.iter().copied()).named("scripted:doses");
        Model::new(script, ModelOptions::default())
    };
    let ask = |text: &str| Request::new(vec![Message::user(text)]);

    // Every request to a model in this process, and its answer, is written to the file, until the recording is dropped. Keys of
    // services never are, and neither are the values of the fields that are named here.
    let recording = record(&file, &["patient"])?;
    let reply = model(&["5 mg"])?.complete(&ask("Which dose?"), &Cancel::new())?;
    drop(recording);
    writeln!(out, "recorded: {}", reply.text())?;
    writeln!(out, "lines in the file: {}", std::fs::read_to_string(&file)?.lines().count())?;

    // The same request is answered from the file; nothing is sent. This model has no reply of its own.
    let replaying = replay(&file)?;
    let reply = model(&[])?.complete(&ask("Which dose?"), &Cancel::new())?;
    drop(replaying);
    writeln!(out, "replayed: {}", reply.text())?;

    // Another request is an error that tells the difference.
    let replaying = replay(&file)?;
    if let Err(error) = model(&[])?.complete(&ask("Which drug?"), &Cancel::new()) {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }
    drop(replaying);
    Ok(())
}
