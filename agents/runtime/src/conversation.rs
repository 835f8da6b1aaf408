//! What was said before, and how much of it does the next question take along?
//!
//! Each turn (a question and its answer) is a value of the store, by the id of its run. Its place is taken when the question is
//! asked, so that a turn whose process ended before it was written is missed, and made up from the run's journal. A window in tokens is made of whole turns, so that no call
//! is parted from its result; what lies before it is summed up, or recalled where the question is about it.

use std::collections::HashSet;

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{Message, Request, tokens};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::budget::{Ledger, Spent};
use crate::driver::now;
use crate::fact::{Fact, Status};
use crate::fence;
use crate::machine::Action;
use crate::memory::MAX_USER_BYTES;
use crate::names::fresh_id;
use crate::recall::recall;
use crate::runtime::Runtime;
use crate::view::replayed;

/// Where what conversations are is kept.
const SPACE: &str = "conversations";
/// Where what was summed up is kept among the turns.
const SUMMARY_KEY: &str = "summary";
/// How many older turns, and facts about the user, are recalled.
const RECALLED: usize = 3;
/// The share of the window that a summary may take.
const SUMMARY: usize = 4;
/// The share of the window that facts about the user may take, and among how many those that fit are looked for.
const FACTS: usize = 4;
const LOOKED_AT: usize = 4 * RECALLED;

/// What happens to what does not fit into the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// It is left out.
    #[default]
    Window,
    /// It is summed up: by the model, or where there is none by the first sentences of the answers.
    Summary,
    /// Turns that the question is about are taken along.
    Recall,
}

/// How a conversation is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConversationOptions {
    /// Whom it is with: facts about this user that a question is about are taken along.
    pub user: Option<String>,
    /// The most tokens of what is taken along, 1 or more. Default 4,000.
    pub max_tokens: usize,
    /// What happens to what does not fit.
    pub keep: Keep,
}

impl Default for ConversationOptions {
    fn default() -> Self {
        ConversationOptions { user: None, max_tokens: 4000, keep: Keep::Window }
    }
}

/// A conversation. It is kept in the runtime's store; handles with the same id are the same one.
#[derive(Clone)]
pub struct Conversation {
    runtime: Runtime,
    id: String,
    options: ConversationOptions,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Names it, to be forgotten.
    pub id: String,
    /// The run that answered; empty for what was added by hand.
    pub run_id: String,
    /// When, in seconds since 1970.
    pub time: f64,
    /// What was said, calls with their results.
    pub messages: Vec<Message>,
}

/// What a question takes along.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) messages: Vec<Message>,
    /// What summing up has cost.
    pub(crate) spent: Spent,
}

impl Runtime {
    /// Opens the conversation with this id, or begins one. What it was begun with holds; `options` count when it begins.
    /// Errors: `invalid_argument`, those of the store.
    pub fn conversation(&self, id: Option<&str>, options: ConversationOptions) -> Result<Conversation> {
        if options.max_tokens == 0 {
            return Err(Error::invalid("conversation: max_tokens is 0, expected 1 or more"));
        }
        if let Some(user) =
            options.user.as_deref().filter(|user| user.trim().is_empty() || user.len() > MAX_USER_BYTES)
        {
            return Err(Error::invalid(format!(
                "conversation: the user is '{}', expected a name",
                quorate_core::shorten(user)
            )));
        }
        let id = id.map_or_else(fresh_id, str::to_owned);
        let (store, tenant) = (&self.0.store, self.0.tenant.as_deref());
        let options = match store.get(tenant, SPACE, &id)? {
            Some(known) => serde_json::from_value(known).map_err(|e| {
                Error::new(Code::Corrupt, format!("the conversation '{id}' cannot be read: {e}"))
            })?,
            None => {
                store.put(tenant, SPACE, &id, &json!(options))?;
                options
            }
        };
        Ok(Conversation { runtime: self.clone(), id, options })
    }
}

impl Conversation {
    /// Names it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose it is.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.runtime.0.tenant.as_deref()
    }

    /// How it is kept.
    pub fn options(&self) -> &ConversationOptions {
        &self.options
    }

    /// All turns, the oldest first. Errors: those of the store.
    pub fn turns(&self) -> Result<Vec<Turn>> {
        let mut turns = Vec::new();
        for turn in self.kept()? {
            turns.extend(if turn.is_open() { self.made_up(&turn)? } else { Some(turn) });
        }
        Ok(turns)
    }

    /// The turns as they are in the store, with the places of those that have no answer yet.
    fn kept(&self) -> Result<Vec<Turn>> {
        let inner = &self.runtime.0;
        let kept = inner.store.list(inner.tenant.as_deref(), &self.space())?;
        kept.into_iter().filter(|(key, _)| key != SUMMARY_KEY).map(|(_, value)| self.read(value)).collect()
    }

    fn read(&self, value: Value) -> Result<Turn> {
        serde_json::from_value(value).map_err(|e| {
            let message = format!("a turn of the conversation '{}' cannot be read: {e}", self.id);
            Error::new(Code::Corrupt, message)
        })
    }

    /// The turn of a run whose process ended before it was written; none while there is no answer.
    fn made_up(&self, open: &Turn) -> Result<Option<Turn>> {
        let inner = &self.runtime.0;
        let row = match inner.store.run(inner.tenant.as_deref(), &open.run_id) {
            // It was deleted.
            Err(error) if error.code() == Code::UnknownId => return self.drop_open(open).map(|()| None),
            row => row?,
        };
        if matches!(row.status.as_str(), "running" | "waiting") {
            return Ok(None);
        }
        let entries = inner.store.entries(inner.tenant.as_deref(), &row.id, 1)?;
        let mut machine = replayed(&row.id, &entries)?;
        if machine.ended().is_none() {
            // All that is missing is that it has ended.
            let due = machine.due();
            let [Action::End { status }] = due.as_slice() else { return Ok(None) };
            if row.cancelled {
                return Ok(None);
            }
            machine.apply(&Fact::Ended { status: *status, shown: None }, row.updated)?;
        }
        self.close_open(open, &machine.spec.question, &machine.answer())
    }

    /// All that was said. Errors: those of the store.
    pub fn messages(&self) -> Result<Vec<Message>> {
        Ok(self.turns()?.into_iter().flat_map(|turn| turn.messages).collect())
    }

    /// Adds what was said elsewhere, as one turn. Errors: `empty_input`, those of the store.
    pub fn add(&self, messages: Vec<Message>) -> Result<()> {
        if messages.is_empty() {
            return Err(Error::new(Code::EmptyInput, "there are no messages"));
        }
        self.put(String::new(), messages)
    }

    /// Forgets the turns with these ids, or of these runs; all, with what was summed up, for `None`. They are gone from the disk
    /// too, the journals of their runs are not. Returns how many there were. Errors: those of the store.
    pub fn forget(&self, which: Option<&[String]>) -> Result<usize> {
        let inner = &self.runtime.0;
        let (tenant, space) = (inner.tenant.as_deref(), self.space());
        let named =
            |turn: &Turn| which.is_none_or(|ids| ids.contains(&turn.id) || ids.contains(&turn.run_id));
        let turns: Vec<Turn> = self.turns()?.into_iter().filter(named).collect();
        for turn in &turns {
            inner.store.remove(tenant, &space, &turn.id)?;
        }
        for open in self.kept()?.iter().filter(|turn| turn.is_open() && named(turn)) {
            // A question that is not answered yet leaves no turn then, whoever goes on with its run.
            inner.store.put(tenant, &self.unwanted(), &open.run_id, &Value::Null)?;
            self.drop_open(open)?;
        }
        if !turns.is_empty() || which.is_none() {
            // It may say what was to be forgotten.
            inner.store.remove(tenant, &space, SUMMARY_KEY)?;
        }
        Ok(turns.len())
    }

    /// All of it as JSON: `id`, `user`, `turns`. Errors: those of the store.
    pub fn export(&self) -> Result<Value> {
        Ok(json!({"id": self.id, "user": self.options.user, "turns": self.turns()?}))
    }

    fn space(&self) -> String {
        format!("conversation:{}", self.id)
    }

    /// Where the runs are named whose question was forgotten before it was answered.
    fn unwanted(&self) -> String {
        format!("forgotten:{}", self.id)
    }

    fn put(&self, run_id: String, messages: Vec<Message>) -> Result<()> {
        self.write(&Turn { id: fresh_id(), run_id, time: now(), messages })
    }

    fn write(&self, turn: &Turn) -> Result<()> {
        let inner = &self.runtime.0;
        inner.store.put(inner.tenant.as_deref(), &self.space(), &turn.id, &json!(turn))
    }

    /// Takes the place of the turn of a run that goes on, where it has none and was not forgotten.
    pub(crate) fn expect(&self, run_id: &str) -> Result<()> {
        let (store, tenant) = (&self.runtime.0.store, self.runtime.0.tenant.as_deref());
        if store.get(tenant, &self.space(), run_id)?.is_some()
            || store.get(tenant, &self.unwanted(), run_id)?.is_some()
        {
            return Ok(());
        }
        let (id, run_id) = (run_id.to_owned(), run_id.to_owned());
        self.write(&Turn { id, run_id, time: now(), messages: Vec::new() })
    }

    /// Keeps a question and its answer in the place of its turn, once; nothing where that was forgotten meanwhile.
    pub(crate) fn keep(&self, question: &str, answer: &Answer) -> Result<()> {
        if let Some(open) = self.open_turn(&answer.run_id)? {
            return self.close_open(&open, question, answer).map(drop);
        }
        let (store, tenant) = (&self.runtime.0.store, self.runtime.0.tenant.as_deref());
        if answer.status.is_final() && store.get(tenant, &self.unwanted(), &answer.run_id)?.is_some() {
            store.remove(tenant, &self.unwanted(), &answer.run_id)?;
        }
        Ok(())
    }

    fn open_turn(&self, run_id: &str) -> Result<Option<Turn>> {
        let inner = &self.runtime.0;
        let kept = inner.store.get(inner.tenant.as_deref(), &self.space(), run_id)?;
        let turn = kept.filter(|_| run_id != SUMMARY_KEY).map(|value| self.read(value)).transpose()?;
        Ok(turn.filter(Turn::is_open))
    }

    fn close_open(&self, open: &Turn, question: &str, answer: &Answer) -> Result<Option<Turn>> {
        if !answer.status.is_final() {
            return Ok(None);
        }
        let said = matches!(answer.status, Status::Done | Status::Partial | Status::Abstained);
        if !said || answer.text.is_empty() {
            return self.drop_open(open).map(|()| None);
        }
        let messages = vec![Message::user(question), Message::assistant(answer.text.as_str())];
        let turn = Turn { messages, ..open.clone() };
        self.write(&turn)?;
        Ok(Some(turn))
    }

    fn drop_open(&self, open: &Turn) -> Result<()> {
        let inner = &self.runtime.0;
        inner.store.remove(inner.tenant.as_deref(), &self.space(), &open.id).map(drop)
    }

    /// What the next question takes along. Without a ledger nothing is sent and nothing is kept in order to find it.
    pub(crate) fn take(&self, question: &str, ledger: Option<&Ledger>, cancel: &Cancel) -> Result<Taken> {
        let turns = self.turns()?;
        let mut room = self.options.max_tokens as f64;
        let (mut before, known) = self.facts(question, room / FACTS as f64)?;
        room -= known;
        let mut first = turns.len();
        let least = if self.options.keep == Keep::Window { 0.0 } else { room / SUMMARY as f64 };
        while first > 0 {
            let size = size(&turns[first - 1]);
            if room - size < least {
                break;
            }
            room -= size;
            first -= 1;
        }
        let (older, kept) = turns.split_at(first);
        let mut taken = Taken::default();
        match self.options.keep {
            Keep::Window => {}
            Keep::Recall => {
                let texts: Vec<String> = older.iter().map(text_of).collect();
                let embedder = self.runtime.embedder();
                let mut found = recall(question, &texts, RECALLED, embedder.as_deref(), cancel)?;
                found.retain(|i| {
                    let fits = size(&older[*i]) <= room;
                    room -= if fits { size(&older[*i]) } else { 0.0 };
                    fits
                });
                found.sort_unstable();
                if !found.is_empty() {
                    let said: Vec<&str> = found.iter().map(|i| texts[*i].as_str()).collect();
                    before.push(format!(
                        "Said before:\n{}",
                        fence::source(0, "conversation", &said.join("\n"))
                    ));
                }
            }
            Keep::Summary if !older.is_empty() => {
                let (summary, spent) = self.summary(older, &turns, ledger, cancel)?;
                taken.spent = spent;
                before
                    .push(format!("Said before, summed up:\n{}", fence::source(0, "conversation", &summary)));
            }
            Keep::Summary => {}
        }
        if !before.is_empty() {
            taken.messages.push(Message::system(before.join("\n\n")));
        }
        taken.messages.extend(kept.iter().flat_map(|turn| turn.messages.iter().cloned()));
        Ok(taken)
    }

    /// What is known about the user, as far as the question is about it, within `most` tokens; and how many it has.
    fn facts(&self, question: &str, most: f64) -> Result<(Vec<String>, f64)> {
        let Some(user) = &self.options.user else { return Ok((Vec::new(), 0.0)) };
        let mut facts = self.runtime.memory().recall(user, question, LOOKED_AT)?;
        let mut taken = 0.0;
        facts.retain(|fact| {
            let size = tokens::of_text(&fact.text);
            let fits = taken + size <= most;
            taken += if fits { size } else { 0.0 };
            fits
        });
        facts.truncate(RECALLED);
        if facts.is_empty() {
            return Ok((Vec::new(), 0.0));
        }
        let lines: Vec<String> = facts.iter().map(|fact| format!("- {}", fact.text)).collect();
        let said = format!("Known about the user:\n{}", fence::source(0, "memory", &lines.join("\n")));
        Ok((vec![said], taken))
    }

    /// The older turns summed up; what was summed up before is kept and goes on from there.
    fn summary(
        &self,
        older: &[Turn],
        all: &[Turn],
        ledger: Option<&Ledger>,
        cancel: &Cancel,
    ) -> Result<(String, Spent)> {
        let inner = &self.runtime.0;
        let (tenant, space) = (inner.tenant.as_deref(), self.space());
        let known = inner.store.get(tenant, &space, SUMMARY_KEY)?;
        let known = known.and_then(|value| serde_json::from_value::<Summed>(value).ok()).unwrap_or_default();
        let through = |id: &str| all.iter().filter(|turn| turn.id.as_str() <= id).count();
        // A question that was answered late has come in between: what was summed up lacks it.
        let whole = known.turns == 0 || known.turns == through(&known.through);
        let known = if whole { known } else { Summed::default() };
        let new: Vec<&Turn> = older.iter().skip_while(|turn| turn.id <= known.through).collect();
        if new.is_empty() {
            return Ok((known.text, Spent::default()));
        }
        let most = (self.options.max_tokens / SUMMARY).max(1);
        let said = new.iter().map(|turn| text_of(turn)).collect::<Vec<_>>().join("\n");
        let asked = inner.model.as_ref().zip(ledger).and_then(|(model, ledger)| {
            let text = format!(
                "Sum up this conversation in at most {most} tokens: facts, decisions, open questions; no preface.\n\n{}\n\n{}",
                fence::source(0, "summary so far", &known.text),
                fence::source(0, "conversation", &said)
            );
            let request = Request { max_tokens: u32::try_from(most).ok(), ..Request::new(vec![Message::user(text)]) };
            let reserved = crate::driver::reserve(ledger, model, request, 0.0, false).ok()?.ok()?;
            match model.complete_or_used(&reserved.request, cancel) {
                Ok(reply) => Some((Some(reply.text()), reserved.settle(&reply))),
                Err(failed) => Some((None, reserved.settle(&failed.1))),
            }
        });
        let (said, spent) = asked.unwrap_or_else(|| (None, Spent::default()));
        let said = said.filter(|text| !text.trim().is_empty());
        // What a model could not sum up now it may later; until then the turns' beginnings stand for them.
        let keeps = ledger.is_some() && (said.is_some() || inner.model.is_none());
        let text = said.unwrap_or_else(|| {
            let firsts = new.iter().map(|turn| first_sentences(turn)).collect::<Vec<_>>().join("\n");
            format!("{}\n{firsts}", known.text).trim().to_owned()
        });
        let text = fence::cut(&text, most);
        let through = older.last().map(|turn| turn.id.clone()).unwrap_or_default();
        let summed = || all.iter().filter(|turn| turn.id <= through);
        // Somebody may forget meanwhile what was summed up: then nobody keeps it.
        let is_whole = || -> Result<bool> {
            let there: HashSet<String> = self.kept()?.into_iter().map(|turn| turn.id).collect();
            Ok(summed().all(|turn| there.contains(&turn.id)))
        };
        if keeps && is_whole()? {
            let summed = Summed { turns: summed().count(), through: through.clone(), text: text.clone() };
            inner.store.put(tenant, &space, SUMMARY_KEY, &json!(summed))?;
            if !is_whole()? {
                inner.store.remove(tenant, &space, SUMMARY_KEY)?;
            }
        }
        Ok((text, spent))
    }
}

/// What was summed up, and through which turn.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Summed {
    through: String,
    text: String,
    /// How many turns that were; 0 where nobody has counted them.
    turns: usize,
}

impl Turn {
    /// Whether it is the place of one whose answer is not there yet.
    fn is_open(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Tokens of a turn, about.
fn size(turn: &Turn) -> f64 {
    turn.messages.iter().map(|message| tokens::of_text(&message.to_json()["content"].to_string())).sum()
}

fn text_of(turn: &Turn) -> String {
    let line = |message: &Message| {
        format!("{}: {}", json!(message.role).as_str().unwrap_or_default(), message.text())
    };
    turn.messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The question, and the beginning of its answer.
fn first_sentences(turn: &Turn) -> String {
    use unicode_segmentation::UnicodeSegmentation;
    let first =
        |message: &Message| message.text().unicode_sentences().next().unwrap_or_default().trim().to_owned();
    turn.messages.iter().map(first).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}
