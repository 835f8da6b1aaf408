//! How are requests whose answers are read whole (embeddings, the model hub) sent, retried, bounded and cancelled?

use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use super::{Address, CANCEL_TICK, Secret, retry_after};
use crate::{Cancel, Code, Error, Result, forks};

/// The longest pause of our own before the next try; a server may ask for a longer one.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The longest time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(30);

/// The longest silence of a server within one try.
const SILENCE: Duration = Duration::from_secs(300);

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 512 << 20;

/// How much of a refusal is shown, in characters.
const SHOWN: usize = 300;

/// Sends requests to one service.
pub(crate) struct Http {
    /// The number of forks before the process that made the client, and the client: the connections that a parent
    /// keeps open are served by threads that its child does not have.
    client: Mutex<(u64, Client)>,
    secret: Option<Secret>,
    timeout: Duration,
    retries: usize,
    first_wait: Duration,
}

impl Http {
    /// `timeout` bounds one call: all its tries, the pauses between them and what the server asks to wait.
    pub(crate) fn new(
        secret: Option<Secret>,
        timeout: Duration,
        retries: usize,
        first_wait: Duration,
    ) -> Result<Self> {
        let client = Mutex::new((forks(), build()?));
        Ok(Http { client, secret, timeout, retries, first_wait })
    }

    /// This process's client. Errors: `internal` when the system gives none.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let process = forks();
        let mut held = match self.client.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            // Another thread of this process has it for a moment; or one of the parent had it when this child was made, and
            // never gives it back.
            Err(TryLockError::WouldBlock) if process > 0 => return build().map_err(Failure::lasting),
            Err(TryLockError::WouldBlock) => self.client.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if held.0 != process {
            // The parent's is not dropped: that would speak to threads that are not there.
            std::mem::forget(std::mem::replace(&mut *held, (process, build().map_err(Failure::lasting)?)));
        }
        Ok(held.1.clone())
    }

    /// Posts JSON and returns the answer's body. Tries again after 408, 409, 429, 5xx, refused connections and timeouts.
    /// Errors: `offline`, `timeout`, `remote_failed`, `remote_invalid`, `cancelled`.
    pub(crate) async fn post(&self, to: &Address, body: &str, cancel: &Cancel) -> Result<Vec<u8>> {
        let url = &to.shown;
        let send = || async {
            let request =
                self.client()?.post(&to.url).header("content-type", "application/json").body(body.to_owned());
            let answer = self.authorized(request)?.send().await.map_err(|e| self.lost(url, e))?;
            self.read(url, self.accepted(url, answer).await?).await
        };
        self.tries(cancel, send).await
    }

    /// Waits for `send`, again after each passing failure, with growing and jittered pauses or as long as the server asks.
    pub(super) async fn tries<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        cancel: &Cancel,
        send: impl Fn() -> F,
    ) -> Result<T> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(MAX_WAIT)
            .with_max_times(self.retries)
            .with_jitter()
            .build();
        let end = Instant::now() + self.timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let tried = tokio::time::timeout(left, unless_cancelled(cancel, send()));
            let failure = match tried.await {
                Err(_) => {
                    let message =
                        format!("no answer within {:.1} s, tries included", self.timeout.as_secs_f64());
                    return Err(Error::new(Code::Timeout, message));
                }
                Ok(tried) => match tried? {
                    Ok(done) => return Ok(done),
                    Err(failure) => failure,
                },
            };
            let Some(pause) = pauses.next().filter(|_| failure.passing) else { return Err(failure.error) };
            let pause = failure.wait.map_or(pause, |asked| asked.max(pause));
            if pause >= end.saturating_duration_since(Instant::now()) {
                let wait = format!("; a next try in {:.1} s would be after the timeout", pause.as_secs_f64());
                return Err(failure.error.followed_by(wait));
            }
            tracing::debug!(error = %failure.error, ?pause, "trying again");
            unless_cancelled(cancel, tokio::time::sleep(pause)).await?;
        }
    }

    pub(super) fn authorized(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let Some(secret) = &self.secret else { return Ok(request) };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(secret).map_err(Failure::lasting)?);
        Ok(request.headers(headers))
    }

    pub(super) async fn accepted(&self, url: &str, answer: Response) -> Result<Response, Failure> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let wait = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(retry_after);
        let passing = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT
            );
        let body = self.read(url, answer).await.unwrap_or_default();
        let said: String = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
        let said = self.scrub(&said);
        let code = match status {
            StatusCode::NOT_FOUND => Code::NotFound,
            _ => Code::RemoteFailed,
        };
        Err(Failure { error: Error::new(code, format!("{url} answered {status}: {said}")), passing, wait })
    }

    pub(super) async fn read(&self, url: &str, mut answer: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|e| self.lost(url, e))? {
            if body.len() + part.len() > MAX_ANSWER {
                let error =
                    Error::new(Code::RemoteInvalid, format!("{url} answered with over {MAX_ANSWER} bytes"));
                return Err(Failure::lasting(error));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    pub(super) fn lost(&self, url: &str, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        let (code, what) = if error.is_timeout() {
            (Code::Timeout, "did not answer in time")
        } else if error.is_connect() {
            (Code::Offline, "cannot be reached")
        } else if error.is_body() || error.is_decode() {
            (Code::RemoteInvalid, "broke off its answer")
        } else {
            (Code::RemoteFailed, "could not be asked")
        };
        let message = self.scrub(&format!("{url} {what}: {error}"));
        Failure { error: Error::new(code, message), passing: true, wait: None }
    }

    /// `text` without the key, which a server may have sent back.
    fn scrub(&self, text: &str) -> String {
        self.secret.as_ref().map_or_else(|| text.to_owned(), |secret| secret.scrub(text))
    }
}

/// A client without connections yet.
fn build() -> Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| Error::with_source(Code::Internal, "the HTTP client cannot be made", e))
}

/// A failed try.
pub(super) struct Failure {
    error: Error,
    /// Whether another try may succeed.
    passing: bool,
    /// The pause that the server asked for.
    wait: Option<Duration>,
}

impl Failure {
    pub(super) fn lasting(error: Error) -> Self {
        Failure { error, passing: false, wait: None }
    }
}

async fn unless_cancelled<T>(cancel: &Cancel, work: impl Future<Output = T>) -> Result<T> {
    tokio::pin!(work);
    loop {
        cancel.check()?;
        match tokio::time::timeout(CANCEL_TICK, &mut work).await {
            Ok(done) => return Ok(done),
            Err(_) => continue,
        }
    }
}

fn bearer(secret: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.expose()?))
        .map_err(|_| Error::invalid("the API key has characters that no HTTP header may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}
