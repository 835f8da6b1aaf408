//! Who asks, and what may they see?

use std::collections::HashMap;

use quorate::{Error, Result};
use sha2::{Digest, Sha256};

/// The fewest bytes of a token: fewer can be guessed.
pub(crate) const MIN_TOKEN: usize = 16;
/// The most bytes of a token that is looked at.
pub(crate) const MAX_TOKEN: usize = 8 << 10;

/// On whose behalf a client asks. The default may use everything of no tenant in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The tenant whose documents, experts and runs there are; `None`: those of no tenant.
    pub tenant: Option<String>,
    /// What the caller holds of what experts ask for (`permissions` of an agent): others do not exist for it. `None`: all.
    pub permissions: Option<Vec<String>>,
    /// The tools that there are for it; `None`: all six. Without `get` there are no resources either.
    pub tools: Option<Vec<String>>,
}

impl Caller {
    /// Somebody of a tenant, who may use everything of it.
    pub fn of(tenant: impl Into<String>) -> Self {
        Caller { tenant: Some(tenant.into()), ..Caller::default() }
    }

    /// The same, with these permissions only.
    pub fn permissions(self, held: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Caller { permissions: Some(held.into_iter().map(Into::into).collect()), ..self }
    }

    /// The same, with these tools only.
    pub fn tools(self, named: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Caller { tools: Some(named.into_iter().map(Into::into).collect()), ..self }
    }

    /// Whether a tool exists for it.
    pub(crate) fn has(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.iter().any(|one| one == tool))
    }

    /// Whether an expert that asks for these permissions exists for it.
    pub(crate) fn holds(&self, asked: &[String]) -> bool {
        self.permissions.as_ref().is_none_or(|held| asked.iter().all(|one| held.contains(one)))
    }
}

/// Who a bearer token is. It is called for each request, on a thread that may wait; functions are one.
pub trait Verify: Send + Sync {
    /// The caller; `None` where the token is not, or no more, valid.
    fn verify(&self, token: &str) -> Option<Caller>;
}

impl<F: Fn(&str) -> Option<Caller> + Send + Sync> Verify for F {
    fn verify(&self, token: &str) -> Option<Caller> {
        self(token)
    }
}

/// A fixed table of tokens. It keeps their SHA-256 hashes alone, and looks tokens up by them, so that how long it takes says
/// nothing about a token that is nearly right.
///
/// ```
/// use quorate_mcp_server::{Caller, Tokens, Verify};
/// let tokens = Tokens::new().token("a-secret-of-32-bytes-or-more-123", Caller::of("acme"))?;
/// assert_eq!(tokens.verify("a-secret-of-32-bytes-or-more-123"), Some(Caller::of("acme")));
/// assert_eq!(tokens.verify("a-secret"), None);
/// # Ok::<(), quorate::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Tokens {
    callers: HashMap<Fingerprint, Caller>,
}

impl Tokens {
    /// No token is valid.
    pub fn new() -> Self {
        Tokens::default()
    }

    /// The same with one more. Errors: `invalid_argument` for a token of fewer than 16 or more than 8,192 bytes, one of other
    /// characters than bearer tokens have (RFC 6750), or one that is there already.
    pub fn token(mut self, token: &str, caller: Caller) -> Result<Self> {
        if !(MIN_TOKEN..=MAX_TOKEN).contains(&token.len()) {
            return Err(Error::invalid(format!(
                "a token has {} bytes; {MIN_TOKEN} to {MAX_TOKEN} are possible",
                token.len()
            )));
        }
        if !is_token(token) {
            return Err(Error::invalid("a token has other characters than A-Z a-z 0-9 - . _ ~ + / ="));
        }
        if self.callers.insert(fingerprint(token), caller).is_some() {
            return Err(Error::invalid("two callers have the same token"));
        }
        Ok(self)
    }
}

impl Verify for Tokens {
    fn verify(&self, token: &str) -> Option<Caller> {
        self.callers.get(&fingerprint(token)).cloned()
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.callers.len())
    }
}

/// What a token is known by.
pub(crate) type Fingerprint = [u8; 32];

/// The SHA-256 hash of a token.
pub(crate) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether a text is a `b64token` of RFC 6750.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_unique() {
        assert!(Tokens::new().token("short", Caller::default()).is_err());
        assert!(Tokens::new().token("with spaces in the token", Caller::default()).is_err());
        let tokens = Tokens::new().token("0123456789abcdef", Caller::of("a")).unwrap();
        assert!(tokens.clone().token("0123456789abcdef", Caller::of("b")).is_err());
        assert_eq!(tokens.verify("0123456789abcdeF"), None);
        assert!(!format!("{tokens:?}").contains("0123"));
    }

    #[test]
    fn permissions_are_all_needed() {
        let caller = Caller::of("a").permissions(["x", "y"]).tools(["search"]);
        assert!(caller.holds(&[]) && caller.holds(&["x".into(), "y".into()]));
        assert!(!caller.holds(&["x".into(), "z".into()]));
        assert!(caller.has("search") && !caller.has("get") && Caller::default().has("get"));
    }
}
