//! How does an expert know what was said before, and how is it forgotten?

use std::error::Error;
use std::io::Write;

use quorate::models::{Model, Reply, Role, ScriptedModel};
use quorate::runtime::{ConversationOptions, Question, Runtime, RuntimeOptions};
use quorate::state::StateStore;

/// A script stands for the model: it says what the person has told.
fn scripted() -> quorate::Result<Model> {
    let say = |request: &quorate::models::Request, _: &quorate::Cancel| {
        let told: Vec<String> =
            request.messages.iter().filter(|m| m.role == Role::User).map(|m| m.text()).collect();
        Ok(Reply::text_of(format!("You said {} things; the first was: {}", told.len(), told[0])))
    };
    Model::new(ScriptedModel::of_function(say), Default::default())
}

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let open = || -> quorate::Result<Runtime> {
        let store = Some(StateStore::open(folder.path())?);
        Runtime::new(RuntimeOptions { model: Some(scripted()?), store, ..Default::default() })
    };
    let runtime = open()?;
    let ana = || ConversationOptions { user: Some("ana".into()), ..Default::default() };
    let talk = runtime.conversation(Some("ward-7"), ana())?;
    for question in ["I take metformin.", "Is that all right?"] {
        let question = Question { talk: Some(talk.clone()), ..Question::new(question) };
        writeln!(out, "{}", runtime.ask(question)?.text)?;
    }

    // It is on the disk: another process goes on with it.
    let again = open()?.conversation(Some("ward-7"), ana())?;
    writeln!(out, "messages: {}", again.messages()?.len())?;

    // What is worth keeping of a person, with its source.
    let memory = runtime.memory();
    memory.remember("ana", "Allergic to penicillin.", Some("chart"))?;
    memory.remember("ana", "Walks to work.", None)?;
    for fact in memory.recall("ana", "May she have penicillin?", 1)? {
        writeln!(out, "{} ({})", fact.text, fact.source.unwrap_or_default())?;
    }

    // Forgotten is gone, from the disk too.
    writeln!(out, "forgotten facts: {}", memory.forget("ana", None)?)?;
    talk.forget(None)?;
    writeln!(out, "messages: {}", talk.messages()?.len())?;
    Ok(())
}
