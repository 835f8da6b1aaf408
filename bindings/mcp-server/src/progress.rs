//! What is a client told of a run while it goes on?
//!
//! What a run shows is put together until the client has taken what was sent before: a client that reads slowly is told less
//! often, and nothing grows.

use std::sync::{Arc, Mutex, PoisonError};

use quorate::runtime::Event;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use serde_json::Value;
use tokio::sync::Notify;

/// The most bytes of one message. Of more, the end is what is new.
const MOST: usize = 16 << 10;

/// What was shown and not sent yet.
#[derive(Default)]
pub(crate) struct Progress {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    shown: u64,
    sent: u64,
    text: String,
    /// Whether it ends with a piece of a text.
    piece: bool,
    closed: bool,
}

impl Progress {
    /// Takes an event of the run.
    pub(crate) fn show(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.shown += 1;
        // Pieces of a text belong together; everything else has a line of its own.
        let (piece, said) = match event.data.get("delta").and_then(Value::as_str) {
            Some(delta) if event.kind == "text" => (true, delta.to_owned()),
            _ => (false, said(event)),
        };
        if !(state.text.is_empty() || piece && state.piece || state.text.ends_with('\n')) {
            state.text.push('\n');
        }
        state.piece = piece;
        state.text.push_str(&said);
        if state.text.len() > MOST {
            let mut from = state.text.len() - MOST;
            while !state.text.is_char_boundary(from) {
                from += 1;
            }
            state.text.drain(..from);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing is shown any more.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }

    /// What is due: how many events there were, and what they say; whether more may come.
    fn due(&self) -> (Option<(u64, String)>, bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due = (state.shown > state.sent).then(|| {
            state.sent = state.shown;
            (state.shown, std::mem::take(&mut state.text))
        });
        (due, !state.closed)
    }

    /// Sends what is shown until nothing is any more.
    pub(crate) async fn send(self: Arc<Self>, peer: Peer<RoleServer>, token: ProgressToken) {
        loop {
            let (due, goes_on) = self.due();
            if let Some((count, text)) = due {
                let mut told = ProgressNotificationParam::new(token.clone(), count as f64);
                told.message = Some(text);
                if peer.notify_progress(told).await.is_err() {
                    return;
                }
            } else if goes_on {
                self.changed.notified().await;
            } else {
                return;
            }
        }
    }
}

/// An event in words.
fn said(event: &Event) -> String {
    let who = event.agent.as_deref().unwrap_or("nobody in particular");
    match event.kind.as_str() {
        "match" | "route" => format!("{who} answers"),
        "context" => "sources were looked up".to_owned(),
        "round_start" => format!("round {} begins", event.round.unwrap_or(1)),
        "round_end" => format!("round {} is over", event.round.unwrap_or(1)),
        "ballot" => format!("{who} has voted"),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, delta: Option<&str>) -> Event {
        let data = delta.map(|text| ("delta".to_owned(), Value::from(text))).into_iter().collect();
        Event { kind: kind.into(), run_id: "r".into(), seq: 1, time: 0.0, agent: None, round: None, data }
    }

    #[test]
    fn what_nobody_takes_is_put_together_and_bounded() {
        let progress = Progress::default();
        progress.show(&event("run_start", None));
        progress.show(&event("text", Some("a")));
        progress.show(&event("text", Some("b")));
        assert_eq!(progress.due(), (Some((3, "run start\nab".into())), true));
        assert_eq!(progress.due(), (None, true));
        for _ in 0..10_000 {
            progress.show(&event("text", Some("äöü")));
        }
        progress.close();
        let (due, goes_on) = progress.due();
        assert!(!goes_on && due.is_some_and(|(n, text)| n == 10_003 && text.len() <= MOST));
    }
}
