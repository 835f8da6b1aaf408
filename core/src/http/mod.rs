//! How are HTTP requests sent, retried, bounded and cancelled?

#[cfg(feature = "hub")]
pub(crate) mod hub;
mod secret;

pub(crate) use secret::Secret;

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use crate::{Cancel, Code, Error, Result};

/// The longest time that a server can make us wait before the next try.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 512 << 20;

/// How much of a refusal is shown, in characters.
const SHOWN: usize = 300;

/// How often a cancelled request is noticed.
const CANCEL_TICK: Duration = Duration::from_millis(20);

/// Sends requests to one service.
pub(crate) struct Http {
    client: Client,
    secret: Option<Secret>,
    retries: usize,
    first_wait: Duration,
}

impl Http {
    /// `timeout` bounds one try, from connecting to the end of the answer.
    pub(crate) fn new(
        secret: Option<Secret>,
        timeout: Duration,
        retries: usize,
        first_wait: Duration,
    ) -> Result<Self> {
        let client = Client::builder()
            .timeout(timeout)
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::with_source(Code::Internal, "the HTTP client cannot be made", e))?;
        Ok(Http { client, secret, retries, first_wait })
    }

    /// Posts JSON and returns the answer's body. Tries again after 408, 409, 429, 5xx, refused connections and timeouts.
    /// Errors: `offline`, `timeout`, `remote_failed`, `remote_invalid`, `cancelled`.
    pub(crate) async fn post(&self, url: &str, body: &str, cancel: &Cancel) -> Result<Vec<u8>> {
        let send = || async {
            let request =
                self.client.post(url).header("content-type", "application/json").body(body.to_owned());
            let answer = self.authorized(request)?.send().await.map_err(|e| self.lost(url, e))?;
            self.read(url, self.accepted(url, answer).await?).await
        };
        self.tries(cancel, send).await
    }

    /// Waits for `send`, again after each passing failure, with growing and jittered pauses or as long as the server asks.
    async fn tries<T, F: Future<Output = Result<T, Failure>>>(
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
        loop {
            let failure = match unless_cancelled(cancel, send()).await? {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let Some(pause) = pauses.next().filter(|_| failure.passing) else { return Err(failure.error) };
            let pause = failure.wait.map_or(pause, |asked| asked.min(MAX_WAIT));
            tracing::debug!(error = %failure.error, ?pause, "trying again");
            unless_cancelled(cancel, tokio::time::sleep(pause)).await?;
        }
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> Result<reqwest::RequestBuilder, Failure> {
        let Some(secret) = &self.secret else { return Ok(request) };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, secret.bearer().map_err(Failure::lasting)?);
        Ok(request.headers(headers))
    }

    async fn accepted(&self, url: &str, answer: Response) -> Result<Response, Failure> {
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

    async fn read(&self, url: &str, mut answer: Response) -> Result<Vec<u8>, Failure> {
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

    fn lost(&self, url: &str, error: reqwest::Error) -> Failure {
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

/// A failed try.
struct Failure {
    error: Error,
    /// Whether another try may succeed.
    passing: bool,
    /// The pause that the server asked for.
    wait: Option<Duration>,
}

impl Failure {
    fn lasting(error: Error) -> Self {
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

/// `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let when = httpdate::parse_http_date(value).ok()?;
    Some(when.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_as_seconds_and_as_date() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        assert!(retry_after(&soon).unwrap() > Duration::from_secs(25));
        assert_eq!(retry_after("soon"), None);
    }
}
