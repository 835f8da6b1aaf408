//! What was said before, and how much of it does the next question take along?
//!
//! Each turn (a question and its answer) is a value of the store. A window in tokens is made of whole turns, so that no call
//! is parted from its result; what lies before it is summed up, or recalled where the question is about it.

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{Message, Request, tokens};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::budget::{Ledger, Spent};
use crate::driver::now;
use crate::fact::Status;
use crate::fence;
use crate::memory::MAX_USER_BYTES;
use crate::names::fresh_id;
use crate::recall::recall;
use crate::runtime::Runtime;

/// Where what conversations are is kept.
const SPACE: &str = "conversations";
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
        let inner = &self.runtime.0;
        let kept = inner.store.list(inner.tenant.as_deref(), &self.space())?;
        let read = |(key, value): (String, Value)| match key.as_str() {
            "summary" => None,
            _ => Some(serde_json::from_value(value).map_err(|e| {
                Error::new(
                    Code::Corrupt,
                    format!("a turn of the conversation '{}' cannot be read: {e}", self.id),
                )
            })),
        };
        kept.into_iter().filter_map(read).collect()
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
        if !turns.is_empty() || which.is_none() {
            // It may say what was to be forgotten.
            inner.store.remove(tenant, &space, "summary")?;
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

    fn put(&self, run_id: String, messages: Vec<Message>) -> Result<()> {
        let inner = &self.runtime.0;
        let turn = Turn { id: fresh_id(), run_id, time: now(), messages };
        inner.store.put(inner.tenant.as_deref(), &self.space(), &turn.id, &json!(turn))
    }

    /// Keeps a question and its answer.
    pub(crate) fn keep(&self, question: &str, answer: &Answer) -> Result<()> {
        let said = !answer.text.is_empty()
            && matches!(answer.status, Status::Done | Status::Partial | Status::Abstained);
        if !said || self.turns()?.iter().any(|turn| turn.run_id == answer.run_id) {
            return Ok(());
        }
        self.put(
            answer.run_id.clone(),
            vec![Message::user(question), Message::assistant(answer.text.as_str())],
        )
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
                let (summary, spent) = self.summary(older, ledger, cancel)?;
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
    fn summary(&self, older: &[Turn], ledger: Option<&Ledger>, cancel: &Cancel) -> Result<(String, Spent)> {
        let inner = &self.runtime.0;
        let (tenant, space) = (inner.tenant.as_deref(), self.space());
        let known = inner.store.get(tenant, &space, "summary")?;
        let known = known.and_then(|value| serde_json::from_value::<Summed>(value).ok()).unwrap_or_default();
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
            let worst = crate::driver::worst(model, &request, ledger);
            let reservation = ledger.reserve(worst, 0.0, false).ok()?;
            let reply = model.complete(&request, cancel).ok()?;
            let spent = reservation.settle(Some(reply.usage), reply.cost);
            Some((reply.text(), spent))
        });
        let (text, spent) = asked.unwrap_or_else(|| {
            let firsts = new.iter().map(|turn| first_sentences(turn)).collect::<Vec<_>>().join("\n");
            (format!("{}\n{firsts}", known.text).trim().to_owned(), Spent::default())
        });
        let text = fence::cut(&text, most);
        let through = older.last().map(|turn| turn.id.clone()).unwrap_or_default();
        if ledger.is_none() {
            return Ok((text, spent));
        }
        inner.store.put(tenant, &space, "summary", &json!(Summed { through, text: text.clone() }))?;
        Ok((text, spent))
    }
}

/// What was summed up, and through which turn.
#[derive(Default, Serialize, Deserialize)]
struct Summed {
    through: String,
    text: String,
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
