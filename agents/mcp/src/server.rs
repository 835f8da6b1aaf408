//! What is known of a server, over all connections to it: which tools it has, which of them the host has accepted, and who
//! was told what?

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard, Weak};
use std::time::{Duration, Instant};

use quorate_core::runtime::block_on;
use quorate_core::{Cancel, Code, Error, Hold, Result, forks};
use quorate_runtime::ToolNews;
use serde_json::{Map, Value};

use crate::changes::McpChanges;
use crate::connection::{Connection, Failed};
use crate::definition::{Definition, LIST_BYTES, Listed, taken};
use crate::keys::Keys;
use crate::listing::list;
use crate::options::McpOptions;
use crate::{result, text};

/// How long a list may take that a server has announced, and how soon after it the next is read.
const LISTING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
/// The same of a server that announces one list after the other. Less than [`SETTLING`], so that a call still knows the last.
const LONG_PAUSE: Duration = Duration::from_millis(800);
/// How long the answer of a call waits for a list that was announced before it.
const SETTLING: Duration = Duration::from_secs(1);
/// How much sooner than its time a call ends, so that what is said of it names the server; at most a tenth of its time.
const SOONER: Duration = Duration::from_millis(500);
/// How many sentences about changes are kept.
const NEWS: usize = 20;
/// The most that is kept of tools that a server has had, in bytes: what comes back is compared with it.
const KNOWN: usize = 2 * LIST_BYTES;

/// A server, whether or not it is connected just now.
pub(crate) struct Server {
    pub(crate) options: McpOptions,
    /// What errors call it.
    pub(crate) shown: String,
    keys: Keys,
    state: Hold<State>,
    /// Held by whoever starts it.
    starting: Hold<()>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// The process whose last connection has failed, by the forks before it.
    lost: Option<u64>,
    /// The tools that there are, as the host has accepted them, in the server's order.
    listed: Vec<Listed>,
    /// Each tool that was ever accepted, by the name that models use: what comes back is compared with it too.
    accepted: HashMap<String, Listed>,
    /// Tools whose definition is another one than was accepted.
    refused: HashMap<String, Definition>,
    left_out: Vec<(String, String)>,
    version: u64,
    news: VecDeque<(u64, String)>,
    closed: bool,
}

impl State {
    /// Takes a list that the server has given; where `accept` holds, changed tools too.
    fn offer(&mut self, offered: Vec<Definition>, options: &McpOptions, accept: bool) -> McpChanges {
        let (offered, mut left_out) = taken(offered, options);
        let bytes = |one: &Listed| one.definition.bytes();
        let mut known: usize = self.accepted.values().map(bytes).sum();
        if accept && known > LIST_BYTES {
            // The host starts anew with what there is now.
            self.accepted.retain(|name, _| offered.iter().any(|one| one.card.name == *name));
            known = self.accepted.values().map(bytes).sum();
        }
        let before: Vec<String> = self.listed.iter().map(|one| one.card.name.clone()).collect();
        let mut changes = McpChanges::default();
        let mut listed = Vec::new();
        for one in offered {
            let name = one.card.name.clone();
            match self.accepted.get(&name) {
                Some(known) if known.definition != one.definition && !accept => {
                    if self.refused.get(&name) != Some(&one.definition) {
                        changes.changed.push((name.clone(), known.definition.differs(&one.definition)));
                    }
                    listed.push(known.clone());
                    self.refused.insert(name, one.definition);
                    continue;
                }
                Some(known) if known.definition != one.definition => {
                    changes.changed.push((name.clone(), known.definition.differs(&one.definition)));
                }
                Some(_) => {}
                None if !accept && known + bytes(&one) > KNOWN => {
                    let why =
                        "the server has had more tools than are kept in mind; refresh() takes those of now";
                    left_out.push((text::label(&one.definition.name), why.to_owned()));
                    continue;
                }
                None => known += bytes(&one),
            }
            if !before.contains(&name) {
                changes.added.push(name.clone());
            }
            self.refused.remove(&name);
            self.accepted.insert(name, one.clone());
            listed.push(one);
        }
        changes.removed =
            before.into_iter().filter(|name| listed.iter().all(|one| one.card.name != *name)).collect();
        // One that is gone is compared with what was accepted when it comes back.
        self.refused.retain(|name, _| listed.iter().any(|one| one.card.name == *name));
        self.left_out = left_out;
        self.listed = listed;
        changes
    }

    fn tell(&mut self, sentence: String) {
        self.version += 1;
        self.news.push_back((self.version, sentence));
        if self.news.len() > NEWS {
            self.news.pop_front();
        }
    }
}

impl Server {
    /// Starts or reaches it for the first time. Errors: `invalid_argument`, `tool_failed`, `tool_timeout`, `cancelled`.
    pub(crate) fn open(options: McpOptions) -> Result<Arc<Self>> {
        options.validate()?;
        let shown = options.shown();
        let keys = Keys::of(&options);
        let (state, starting) = (Hold::new(State::default()), Hold::new(()));
        let server = Server { options, shown, keys, state, starting };
        let server = Arc::new(server);
        let limit = server.options.start_limit();
        let (connection, offered) = Connection::open(&server.options, limit, &Cancel::current())?;
        for wanted in server.options.include.iter().flatten() {
            if !offered.iter().any(|one| one.name == *wanted) {
                connection.close();
                let names: Vec<&str> = offered.iter().take(50).map(|one| one.name.as_str()).collect();
                return Err(Error::invalid(format!(
                    "include: the MCP server '{}' has no tool '{}'; it has: {}",
                    server.shown,
                    quorate_core::shorten(wanted),
                    text::clean(&names.join(", "), 1_000)
                )));
            }
        }
        server.state()?.offer(offered, &server.options, true);
        server.keep(connection)?;
        Ok(server)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.state.take().ok_or_else(|| {
            Error::new(
                Code::Closed,
                "the process was forked while the MCP server was at work; open it anew here",
            )
        })
    }

    /// Has a connection be the one that is used, and its announcements be heard.
    fn keep(self: &Arc<Self>, connection: Connection) -> Result<Arc<Connection>> {
        let connection = Arc::new(connection);
        let (peer, signals) = (connection.peer(), Arc::clone(connection.signals()));
        let me: Weak<Server> = Arc::downgrade(self);
        block_on(async move {
            tokio::spawn(async move {
                let mut pause = PAUSE;
                while let Some(change) = signals.next_change().await {
                    let listed = tokio::time::timeout(LISTING, list(&peer)).await;
                    let Some(server) = me.upgrade() else { return };
                    match listed {
                        Ok(Ok(offered)) => server.announced(offered),
                        _ => {
                            tracing::warn!(server = %server.shown, "the changed list of tools could not be read")
                        }
                    }
                    drop(server);
                    signals.was_read(change);
                    // A server that announces without end is not asked without end.
                    tokio::time::sleep(pause).await;
                    pause = if signals.is_settled() { PAUSE } else { LONG_PAUSE.min(pause * 2) };
                }
            });
            Ok(())
        })?;
        let mut state = self.state()?;
        if state.closed {
            drop(state);
            connection.close();
            return Err(self.closed());
        }
        let before = state.connection.replace(Arc::clone(&connection));
        state.lost = None;
        drop(state);
        drop(before);
        Ok(connection)
    }

    /// Takes a list that came unasked.
    fn announced(&self, offered: Vec<Definition>) {
        let Ok(mut state) = self.state() else { return };
        let changes = state.offer(offered, &self.options, false);
        if !changes.is_empty() {
            let said = changes.said(&self.shown);
            tracing::warn!(server = %self.shown, "{said}");
            state.tell(said);
        }
    }

    fn closed(&self) -> Error {
        Error::new(Code::Closed, format!("the MCP server '{}' has been closed", self.shown))
    }

    /// The tools that there are.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        self.state().map(|state| state.listed.clone()).unwrap_or_default()
    }

    /// Tools that are refused, each with what has changed.
    pub(crate) fn refused(&self) -> Vec<(String, String)> {
        let Ok(state) = self.state() else { return Vec::new() };
        let refused = state.listed.iter().filter_map(|one| {
            let offered = state.refused.get(&one.card.name)?;
            Some((one.card.name.clone(), one.definition.differs(offered)))
        });
        refused.collect()
    }

    pub(crate) fn left_out(&self) -> Vec<(String, String)> {
        self.state().map(|state| state.left_out.clone()).unwrap_or_default()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_ok_and(|state| state.closed)
    }

    /// Ends the server, for good.
    pub(crate) fn close(&self) {
        let Ok(mut state) = self.state() else { return };
        state.closed = true;
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            connection.close();
        }
    }

    /// Reads the list again, and accepts it as it is. A server that is gone is started again.
    pub(crate) fn refresh(self: &Arc<Self>) -> Result<McpChanges> {
        let (limit, cancel) = (self.options.start_limit(), Cancel::current());
        let (live, _) = self.live()?;
        let offered = match live {
            Some(connection) => match connection.list(limit, &cancel) {
                Ok(offered) => offered,
                Err(Failed::Gone(_) | Failed::Forgotten(_)) => self.start(limit, &cancel)?.1,
                Err(failed) => return Err(self.failed(failed, "its list of tools", limit)),
            },
            None => self.start(limit, &cancel)?.1,
        };
        let mut state = self.state()?;
        let changes = state.offer(offered, &self.options, true);
        if !changes.is_empty() {
            let said =
                changes.said(&self.shown).replace("and refused until the host accepts it", "and accepted");
            state.tell(said);
        }
        Ok(changes)
    }

    /// The connection that can be used, where there is one, and whether there was one of this process.
    fn live(&self) -> Result<(Option<Arc<Connection>>, bool)> {
        let state = self.state()?;
        if state.closed {
            return Err(self.closed());
        }
        let was = state.lost == Some(forks())
            || state.connection.as_ref().is_some_and(|connection| connection.is_mine());
        Ok((state.connection.clone().filter(|connection| connection.is_alive()), was))
    }

    /// Starts it again. Its list is given, and not taken yet.
    fn start(
        self: &Arc<Self>,
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(Arc<Connection>, Vec<Definition>)> {
        let (connection, offered) = Connection::open(&self.options, limit, cancel)?;
        Ok((self.keep(connection)?, offered))
    }

    /// Lets go of a connection that a call has shown to be of no use any more.
    fn let_go<T>(&self, connection: &Arc<Connection>, outcome: &std::result::Result<T, Failed>) {
        if matches!(outcome, Err(Failed::Gone(_) | Failed::Forgotten(_)))
            && let Ok(mut state) = self.state()
            && state.connection.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, connection))
        {
            let gone = state.connection.take();
            state.lost = Some(forks());
            drop(state);
            drop(gone);
        }
    }

    /// A connection for a call, started again where the server is gone; others that come meanwhile wait for it.
    fn restarted(self: &Arc<Self>, until: Instant, cancel: &Cancel) -> Result<Arc<Connection>> {
        let _one_at_a_time = self.starting.take();
        if let (Some(connection), _) = self.live()? {
            return Ok(connection);
        }
        // Whoever has waited for somebody else's start in vain does not begin another one.
        cancel.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.failed(Failed::Late, "its start", self.options.limit()));
        }
        let limit = left.min(self.options.start_limit());
        let (connection, offered) = Connection::open(&self.options, limit, cancel)?;
        // Before anybody else uses it.
        self.announced(offered);
        self.keep(connection)
    }

    /// Whether a tool may be called as it was listed for a run. Errors: `approval_required`, `tool_failed`, `closed`.
    fn permit(&self, listed: &Listed) -> Result<()> {
        let state = self.state()?;
        let name = &listed.card.name;
        if state.closed {
            return Err(self.closed());
        }
        if let (Some(offered), Some(known)) = (state.refused.get(name), state.accepted.get(name)) {
            let message = format!(
                "the MCP server '{}' has changed the {} of its tool '{name}'; it is refused until the host accepts it by refresh()",
                self.shown,
                known.definition.differs(offered)
            );
            return Err(Error::new(Code::ApprovalRequired, message));
        }
        match state.listed.iter().find(|one| one.card.name == *name) {
            None => {
                let message = format!("the MCP server '{}' has no tool '{name}' any more", self.shown);
                Err(Error::new(Code::ToolFailed, message))
            }
            // The host has accepted that it writes, and this run took it for one that reads.
            Some(one) if one.card.needs_approval() && !listed.card.needs_approval() => {
                let message = format!("the tool '{name}' needs approval now, and nobody was asked for it");
                Err(Error::new(Code::ApprovalRequired, message))
            }
            Some(_) => Ok(()),
        }
    }

    /// Calls a tool. Errors: `tool_failed`, `tool_timeout`, `tool_arguments`, `approval_required`, `cancelled`, `closed`.
    pub(crate) fn call(
        self: &Arc<Self>,
        listed: &Listed,
        arguments: Map<String, Value>,
        cancel: &Cancel,
    ) -> Result<Value> {
        let limit = self.options.limit();
        // Sooner than the run gives up, which does not know of servers.
        let until = Instant::now() + (limit - SOONER.min(limit / 10));
        let left = || until.saturating_duration_since(Instant::now());
        let (name, repeats) = (&listed.card.name, listed.card.may_repeat());
        self.permit(listed)?;
        let restarted = || {
            let connection = self.restarted(until, cancel)?;
            self.permit(listed)?;
            Ok::<_, Error>(connection)
        };
        let mut used = match self.live()? {
            (Some(connection), _) => connection,
            // What it knew is lost with it; a session is no more than a way to the same server.
            (None, true) if !repeats && self.options.url.is_none() => {
                let message = format!(
                    "the MCP server '{}' has ended, and '{name}' is no call for which it is started again; refresh() starts it",
                    self.shown
                );
                return Err(Error::new(Code::ToolFailed, message));
            }
            (None, _) => restarted()?,
        };
        let asked = &listed.definition.name;
        let mut called = used.call(asked, arguments.clone(), left(), cancel);
        let again = match &called {
            Err(Failed::Forgotten(why)) => Some(why.clone()),
            Err(Failed::Gone(why) | Failed::Away(why)) if repeats => Some(why.clone()),
            _ => None,
        };
        self.let_go(&used, &called);
        if let Some(why) = again {
            tracing::warn!(server = %self.shown, "asked again: {why}");
            if !matches!(called, Err(Failed::Away(_))) {
                used = restarted()?;
            }
            called = used.call(asked, arguments, left(), cancel);
            self.let_go(&used, &called);
        }
        if let Err(Failed::Gone(why) | Failed::Away(why)) = &called
            && !repeats
        {
            let message = format!(
                "the MCP server '{}': {why}; whether the call of '{name}' was carried out is not known",
                self.shown
            );
            return Err(self.scrubbed(Error::new(Code::ToolFailed, message)));
        }
        let given = called.map_err(|failed| {
            let error = self.failed(failed, name, limit);
            match used.garbage().filter(|_| error.code() == Code::ToolTimeout) {
                Some(garbage) => error.followed_by(format_args!("; {garbage}")),
                None => error,
            }
        })?;
        // What it announced before its answer is known when the answer is.
        let until = Instant::now() + SETTLING.min(left());
        while !used.signals().is_settled() && !cancel.is_cancelled() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        result::read(given, &self.shown, name, &self.keys)
    }

    fn failed(&self, failed: Failed, what: &str, limit: Duration) -> Error {
        let server = &self.shown;
        let error = match failed {
            Failed::Late => {
                let message = format!(
                    "the MCP server '{server}': '{what}' did not end within {} s",
                    limit.as_secs_f64()
                );
                Error::new(Code::ToolTimeout, message)
            }
            Failed::Cancelled => Error::new(Code::Cancelled, format!("the call of '{what}' was cancelled")),
            Failed::Gone(said) | Failed::Forgotten(said) | Failed::Away(said) => {
                Error::new(Code::ToolFailed, format!("the MCP server '{server}': '{what}': {said}"))
            }
            Failed::Refused(code, said) => {
                Error::new(code, format!("the MCP server '{server}': '{what}': {said}"))
            }
        };
        self.scrubbed(error)
    }

    /// The error without keys of the host.
    fn scrubbed(&self, error: Error) -> Error {
        let said = self.keys.scrub(error.message());
        Error::new(error.code(), said)
    }
}

impl ToolNews for Server {
    fn since(&self, seen: Option<u64>) -> (u64, Vec<String>) {
        let Ok(state) = self.state() else { return (seen.unwrap_or(0), Vec::new()) };
        let Some(seen) = seen else { return (state.version, Vec::new()) };
        let new = state.news.iter().filter(|(number, _)| *number > seen);
        (state.version, new.map(|(_, said)| said.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools(given: &[(&str, &str)]) -> Vec<Definition> {
        let tool = |(name, said): &(&str, &str)| {
            let value = json!({"name": name, "description": said, "inputSchema": {"type": "object"}});
            Definition::of(serde_json::from_value(value).unwrap())
        };
        given.iter().map(tool).collect()
    }

    fn names(state: &State) -> Vec<(&str, &str)> {
        state.listed.iter().map(|one| (one.card.name.as_str(), one.card.description.as_str())).collect()
    }

    #[test]
    fn a_changed_tool_is_refused_until_it_is_accepted_also_when_it_was_gone() {
        let options = McpOptions::command(["s"]);
        let mut state = State::default();
        state.offer(tools(&[("a", "one"), ("b", "two")]), &options, true);
        let changes = state.offer(tools(&[("a", "other"), ("c", "three")]), &options, false);
        assert_eq!(changes.added, ["c"]);
        assert_eq!(changes.removed, ["b"]);
        assert_eq!(changes.changed, [("a".to_owned(), "description".to_owned())]);
        assert_eq!(names(&state), [("a", "one"), ("c", "three")]);
        assert!(state.refused.contains_key("a"));
        // It is told once.
        assert!(state.offer(tools(&[("a", "other"), ("c", "three")]), &options, false).is_empty());
        // Gone and back with other words.
        let changes = state.offer(tools(&[("b", "evil"), ("a", "one")]), &options, false);
        assert_eq!(changes.changed, [("b".to_owned(), "description".to_owned())]);
        assert_eq!((changes.added.len(), changes.removed), (0, vec!["c".to_owned()]));
        assert_eq!(names(&state), [("b", "two"), ("a", "one")]);
        assert!(!state.refused.contains_key("a"));
        let changes = state.offer(tools(&[("b", "evil")]), &options, true);
        assert_eq!((names(&state), changes.changed.len()), (vec![("b", "evil")], 1));
        assert!(state.refused.is_empty());
    }

    #[test]
    fn another_tool_under_the_same_name_is_a_changed_one() {
        let options = McpOptions::command(["s"]);
        let mut state = State::default();
        state.offer(tools(&[("a/b", "one")]), &options, true);
        let changes = state.offer(tools(&[("a.b", "one")]), &options, false);
        assert_eq!(changes.changed, [("a_b".to_owned(), "name".to_owned())]);
        assert_eq!(state.listed[0].definition.name, "a/b");
    }

    #[test]
    fn a_server_that_renames_its_tools_for_ever_fills_no_memory() {
        let options = McpOptions::command(["s"]);
        let mut state = State::default();
        let long = "x".repeat(3_000);
        for round in 0..50 {
            let names: Vec<String> = (0..100).map(|i| format!("t{round}_{i}")).collect();
            let given: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
            state.offer(tools(&given), &options, round == 0);
        }
        let kept: usize = state.accepted.values().map(|one| one.definition.bytes()).sum();
        assert!(kept <= KNOWN && state.accepted.len() > 2_000, "{kept} {}", state.accepted.len());
        assert!(state.listed.is_empty() && state.left_out.len() == 100 && state.refused.is_empty());
        assert!(state.left_out[0].1.contains("refresh()"));
        // One that it had before is still known, and refused where it is another one.
        let changes = state.offer(tools(&[("t0_0", "other")]), &options, false);
        assert_eq!(changes.changed.len(), 1);
        let changes = state.offer(tools(&[("t49_0", "new"), ("t0_0", "other")]), &options, true);
        assert_eq!((changes.added, names(&state).len()), (vec!["t49_0".to_owned()], 2));
        assert!(state.left_out.is_empty() && state.accepted.len() == 2);
    }
}
