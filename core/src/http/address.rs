//! Where does a request go, and what of that may be shown?

use std::fmt;

/// A URL, which can hold a name, a password and a key, and what of it may be shown.
#[derive(Clone)]
pub struct Address {
    /// The URL.
    pub url: String,
    /// Without what stands before an `@` in the host's part, and without the query.
    pub shown: String,
}

impl Address {
    /// `path` below `base`, before the query of `base` if it has one.
    ///
    /// ```
    /// use quorate_core::http::Address;
    /// let address = Address::below("https://me:secret@host/v1/?version=1", "models");
    /// assert_eq!(address.url, "https://me:secret@host/v1/models?version=1");
    /// assert_eq!(address.shown, "https://host/v1/models");
    /// ```
    pub fn below(base: &str, path: &str) -> Self {
        // A fragment is never sent.
        let base = base.split('#').next().unwrap_or_default();
        let (place, query) = match base.split_once('?') {
            Some((place, query)) => (place, format!("?{query}")),
            None => (base, String::new()),
        };
        let place = place.trim_end_matches('/');
        Address { url: format!("{place}/{path}{query}"), shown: format!("{}/{path}", Address::plain(base)) }
    }

    /// `base` as it may be shown and stored, without a slash at its end.
    pub fn plain(base: &str) -> String {
        let base = base.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = base.find("://").map_or(("", base), |at| base.split_at(at + 3));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = host.rsplit('@').next().unwrap_or_default();
        format!("{scheme}{host}{path}").trim_end_matches('/').to_owned()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_credentials() {
        let shown = |base: &str| (Address::plain(base), Address::below(base, "embeddings").url);
        let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(shown("https://host/v1/"), both("https://host/v1", "https://host/v1/embeddings"));
        assert_eq!(
            shown("https://me:s3cr@t@host:8/v1?api-key=k/x"),
            both("https://host:8/v1", "https://me:s3cr@t@host:8/v1/embeddings?api-key=k/x")
        );
        assert_eq!(shown("http://[::1]"), both("http://[::1]", "http://[::1]/embeddings"));
        assert_eq!(shown("me:key@host/v1").0, "host/v1");
        assert_eq!(shown("https://host/v1#key").1, "https://host/v1/embeddings");
    }
}
