//! Which requests come in at all?
//!
//! The `Host` and the `Origin` of a request must be the server's own, or named by its host, so that no web page reaches it under
//! a name that was made to point here (DNS rebinding). Then the bearer token says who asks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, StatusCode};
use quorate::{Error, Result};

use crate::caller::{Caller, Fingerprint, MAX_TOKEN, Verify, fingerprint, is_token};

/// Who comes in.
pub(crate) struct Doors {
    verify: Option<Arc<dyn Verify>>,
    open: Caller,
    bound: SocketAddr,
    hosts: Vec<Name>,
    origins: Vec<(String, Name)>,
}

/// A host, and its port where it matters.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    host: String,
    port: Option<u16>,
}

impl Name {
    fn read(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        Some(Name { host, port: authority.port_u16() })
    }
}

/// An origin, as `https://example.com:8443`, with the port that its scheme has where it names none.
fn origin(text: &str) -> Option<(String, Name)> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let mut name = Name::read(rest)?;
    name.port = name.port.or(usual);
    Some((scheme, name))
}

/// Why a request does not come in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) why: &'static str,
}

fn refused(status: StatusCode, why: &'static str) -> Refused {
    Refused { status, why }
}

impl Doors {
    /// Errors: `invalid_argument` for hosts and origins that are none.
    pub(crate) fn new(
        verify: Option<Arc<dyn Verify>>,
        open: Caller,
        bound: SocketAddr,
        hosts: &[String],
        origins: &[String],
    ) -> Result<Self> {
        let shown = |text: &str| quorate::core::shorten(text);
        let hosts = hosts.iter().map(|text| {
            let none = || {
                Error::invalid(format!(
                    "'{}' is no host, such as example.com or example.com:8443",
                    shown(text)
                ))
            };
            Name::read(text).ok_or_else(none)
        });
        let origins = origins.iter().map(|text| {
            let none =
                || Error::invalid(format!("'{}' is no origin, such as https://example.com", shown(text)));
            origin(text).ok_or_else(none)
        });
        Ok(Doors {
            verify,
            open,
            bound,
            hosts: hosts.collect::<Result<_>>()?,
            origins: origins.collect::<Result<_>>()?,
        })
    }

    /// Whether a name is the server's own, without having been named: a name that only this machine resolves, or an address.
    fn is_own(&self, host: &str) -> bool {
        let ip = self.bound.ip();
        match host.parse::<IpAddr>() {
            Ok(named) => named == ip || ip.is_unspecified() || (ip.is_loopback() && named.is_loopback()),
            Err(_) => host == "localhost" && (ip.is_loopback() || ip.is_unspecified()),
        }
    }

    /// Whether the names in a request are the server's.
    pub(crate) fn names(&self, headers: &HeaderMap) -> std::result::Result<(), Refused> {
        let mut given = headers.get_all(HOST).iter();
        let (Some(host), None) = (given.next(), given.next()) else {
            return Err(refused(StatusCode::BAD_REQUEST, "one Host is needed"));
        };
        let host = host.to_str().ok().and_then(Name::read);
        let host = host.ok_or(refused(StatusCode::BAD_REQUEST, "the Host is malformed"))?;
        let named =
            |name: &Name| name.host == host.host && name.port.is_none_or(|port| host.port == Some(port));
        if !self.is_own(&host.host) && !self.hosts.iter().any(named) {
            return Err(refused(StatusCode::FORBIDDEN, "this Host is not served"));
        }
        let mut given = headers.get_all(ORIGIN).iter();
        let Some(value) = given.next() else { return Ok(()) };
        let forbidden = || refused(StatusCode::FORBIDDEN, "this Origin may not send requests");
        let asked = value.to_str().ok().and_then(origin).ok_or_else(forbidden)?;
        let own = self.is_own(&asked.1.host) && asked.1.port == Some(self.bound.port());
        if given.next().is_none() && (own || self.origins.contains(&asked)) {
            Ok(())
        } else {
            Err(forbidden())
        }
    }

    /// Who asks, and what its token is known by. `Ok(Err)`: whom a function has to look up.
    pub(crate) fn token(&self, headers: &HeaderMap) -> std::result::Result<Known, Refused> {
        let Some(verify) = &self.verify else { return Ok(Known::Caller(self.open.clone(), [0; 32])) };
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let missing = refused(StatusCode::UNAUTHORIZED, "a bearer token is needed");
        let Some(value) = given.next() else { return Err(missing) };
        let invalid = || refused(StatusCode::UNAUTHORIZED, "the bearer token is not valid");
        let text = value.to_str().map_err(|_| invalid())?;
        let (scheme, token) = text.split_once(' ').ok_or_else(invalid)?;
        let token = token.trim_matches(' ');
        let fits = token.len() <= MAX_TOKEN && is_token(token);
        if !scheme.eq_ignore_ascii_case("bearer") || !fits || given.next().is_some() {
            return Err(invalid());
        }
        Ok(Known::Token(Arc::clone(verify), token.to_owned()))
    }
}

/// What is known of who asks.
pub(crate) enum Known {
    /// It is always the same.
    Caller(Caller, Fingerprint),
    /// A token, and who looks it up.
    Token(Arc<dyn Verify>, String),
}

impl Known {
    /// Who it is; the host's function may wait.
    pub(crate) async fn verified(self) -> std::result::Result<(Caller, Fingerprint), Refused> {
        let (verify, token) = match self {
            Known::Caller(caller, known_by) => return Ok((caller, known_by)),
            Known::Token(verify, token) => (verify, token),
        };
        let known_by = fingerprint(&token);
        let found = tokio::task::spawn_blocking(move || verify.verify(&token)).await;
        match found {
            Ok(Some(caller)) => Ok((caller, known_by)),
            Ok(None) => Err(refused(StatusCode::UNAUTHORIZED, "the bearer token is not valid")),
            Err(_) => Err(refused(StatusCode::SERVICE_UNAVAILABLE, "tokens cannot be verified now")),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::Tokens;

    fn doors(bound: &str, hosts: &[&str], origins: &[&str]) -> Doors {
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        Doors::new(None, Caller::default(), bound.parse().unwrap(), &owned(hosts), &owned(origins)).unwrap()
    }

    fn status(doors: &Doors, host: &str, origin: Option<&str>) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        doors.names(&headers).map_or_else(|refused| refused.status.as_u16(), |()| 200)
    }

    #[test]
    fn foreign_names_stay_outside() {
        let local = doors("127.0.0.1:8000", &[], &[]);
        for host in ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "localhost.:9000"] {
            assert_eq!(status(&local, host, None), 200, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0"]
        {
            assert_eq!(status(&local, host, None), 403, "{host}");
        }
        assert_eq!(status(&local, "user@localhost", None), 400);
        assert_eq!(status(&local, "local host", None), 400);
        assert_eq!(status(&local, "localhost:8000", Some("http://localhost:8000")), 200);
        for origin in [
            "http://localhost:9999",
            "https://evil.example",
            "null",
            "file://",
            "http://localhost.evil.example:8000",
            "localhost",
        ] {
            assert_eq!(status(&local, "localhost:8000", Some(origin)), 403, "{origin}");
        }
    }

    #[test]
    fn names_can_be_given() {
        let public =
            doors("0.0.0.0:443", &["docs.example.com", "b.example:8443"], &["https://app.example.com"]);
        for (host, wanted) in [
            ("docs.example.com", 200),
            ("DOCS.example.com:8", 200),
            ("b.example:8443", 200),
            ("b.example", 403),
            ("10.1.2.3", 200),
            ("x.example.com", 403),
        ] {
            assert_eq!(status(&public, host, None), wanted, "{host}");
        }
        for (origin, wanted) in [
            ("https://app.example.com", 200),
            ("https://app.example.com:443", 200),
            ("http://app.example.com", 403),
            ("https://app.example.com:444", 403),
        ] {
            assert_eq!(status(&public, "docs.example.com", Some(origin)), wanted, "{origin}");
        }
        let wrong = ["a b".to_owned()];
        assert!(Doors::new(None, Caller::default(), "127.0.0.1:1".parse().unwrap(), &wrong, &[]).is_err());
        assert!(Doors::new(None, Caller::default(), "127.0.0.1:1".parse().unwrap(), &[], &wrong).is_err());
    }

    #[test]
    fn tokens_come_in_one_form() {
        let tokens = Tokens::new().token("0123456789abcdef", Caller::of("a")).unwrap();
        let verify: Arc<dyn Verify> = Arc::new(tokens);
        let doors =
            Doors::new(Some(verify), Caller::default(), "127.0.0.1:1".parse().unwrap(), &[], &[]).unwrap();
        let known = |value: Option<&[u8]>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
            }
            doors.token(&headers).map_err(|refused| refused.status.as_u16()).is_ok()
        };
        assert!(known(Some(b"Bearer 0123456789abcdef")) && known(Some(b"bearer x")));
        for wrong in [
            None,
            Some(&b"Basic abc"[..]),
            Some(b"Bearer"),
            Some(b"Bearer a b"),
            Some(b"Bearer \xff"),
            Some(b"Bearer "),
        ] {
            assert!(!known(wrong), "{wrong:?}");
        }
        assert!(!known(Some(format!("Bearer {}", "a".repeat(MAX_TOKEN + 1)).as_bytes())));
    }
}
