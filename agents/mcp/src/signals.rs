//! What comes by on the way to a server and back that somebody has to know: that the list has changed, a complaint, the end?

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleClient;
use rmcp::model::{ErrorData, JsonRpcMessage, RequestId, ServerNotification};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::Notify;

use crate::connection::SAID;
use crate::keys::Keys;

/// What came by on the way: that the list has changed, and that the connection is over.
#[derive(Default)]
pub(crate) struct Signals {
    changed: AtomicU64,
    read: AtomicU64,
    over: AtomicBool,
    wake: Notify,
    greeted: AtomicBool,
    /// What the server has said that ended the connection.
    complaint: Mutex<Option<(i32, String)>>,
}

impl Signals {
    /// What an error ends that belongs to no request: over HTTP the request that it answers would wait for ever, and a server
    /// that has forgotten a session may say so in this way.
    fn complains(&self, error: &ErrorData) -> bool {
        if !self.greeted.load(Ordering::Acquire) {
            return false;
        }
        let said = (error.code.0, error.message.to_string());
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(said);
        true
    }

    /// That, in words for an error.
    pub(crate) fn complaint(&self, keys: &Keys) -> Option<String> {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        complaint.as_ref().map(|(code, said)| format!("error {code}: {}", keys.clean(said, SAID)))
    }

    /// The list has changed, or may have.
    pub(crate) fn change(&self) {
        self.changed.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// The connection is over.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The greeting is over.
    pub(crate) fn greeted(&self) {
        self.greeted.store(true, Ordering::Release);
    }

    /// The number of the last change.
    pub(crate) fn changed(&self) -> u64 {
        self.changed.load(Ordering::Acquire)
    }

    /// Waits for a change of the list that was not read yet, and gives its number; `None` once the connection is over.
    pub(crate) async fn next_change(&self) -> Option<u64> {
        loop {
            if self.over.load(Ordering::Acquire) {
                return None;
            }
            let changed = self.changed.load(Ordering::Acquire);
            if changed > self.read.load(Ordering::Acquire) {
                return Some(changed);
            }
            self.wake.notified().await;
        }
    }

    /// The list was read as it was at least at this change.
    pub(crate) fn was_read(&self, number: u64) {
        self.read.fetch_max(number, Ordering::AcqRel);
    }

    /// Whether no change waits to be read.
    pub(crate) fn is_settled(&self) -> bool {
        self.read.load(Ordering::Acquire) >= self.changed.load(Ordering::Acquire)
            || self.over.load(Ordering::Acquire)
    }
}

/// A way to a server that says what comes by, in its order: an announcement before the answer that follows it.
pub(crate) struct Watched<T> {
    pub(crate) way: T,
    pub(crate) signals: Arc<Signals>,
    /// Whether each request has an answer of its own, to which an error without a number belongs.
    pub(crate) http: bool,
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Watched<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = std::result::Result<(), T::Error>> + Send + 'static {
        self.way.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let message = self.way.receive().await;
            match &message {
                None => self.signals.end(),
                Some(JsonRpcMessage::Notification(one)) => match one.notification {
                    ServerNotification::ToolListChangedNotification(_) => self.signals.change(),
                    // Nobody here hears these; what a server writes into its log is not written into that of the host.
                    ServerNotification::LoggingMessageNotification(_)
                    | ServerNotification::ProgressNotification(_)
                    | ServerNotification::ResourceUpdatedNotification(_)
                    | ServerNotification::ResourceListChangedNotification(_)
                    | ServerNotification::PromptListChangedNotification(_) => continue,
                    _ => {}
                },
                Some(JsonRpcMessage::Error(one))
                    if self.http && is_nobodys(one.id.as_ref()) && self.signals.complains(&one.error) =>
                {
                    self.signals.end();
                    return None;
                }
                Some(_) => {}
            }
            return message;
        }
    }

    async fn close(&mut self) -> std::result::Result<(), T::Error> {
        self.signals.end();
        self.way.close().await
    }
}

/// Whether an error's number is none of a request of this side, which are numbers: some servers write a word of their own.
fn is_nobodys(id: Option<&RequestId>) -> bool {
    match id {
        None => true,
        Some(RequestId::Number(_)) => false,
        Some(RequestId::String(id)) => id.parse::<i64>().is_err(),
    }
}
