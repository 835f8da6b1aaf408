//! In what do the languages differ that call quorate?

/// A language that calls quorate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Names in snake_case; a text is counted in code points.
    Python,
    /// Names in camelCase; a text is counted in UTF-16 units.
    Node,
}

impl Host {
    /// How the host writes the name of an option.
    ///
    /// ```
    /// use quorate_bindings::Host;
    /// assert_eq!(Host::Python.name("max_tokens"), "max_tokens");
    /// assert_eq!(Host::Node.name("max_tokens"), "maxTokens");
    /// ```
    pub fn name(self, name: &str) -> String {
        if self == Host::Python {
            return name.to_owned();
        }
        let mut words = name.split('_');
        let mut out = words.next().unwrap_or_default().to_owned();
        for word in words {
            let mut letters = word.chars();
            out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            out.push_str(letters.as_str());
        }
        out
    }

    /// The length of a text in the host's own units.
    ///
    /// ```
    /// use quorate_bindings::Host;
    /// assert_eq!((Host::Python.length("a\u{1f642}"), Host::Node.length("a\u{1f642}")), (2, 3));
    /// ```
    pub fn length(self, text: &str) -> usize {
        match self {
            Host::Python => text.chars().count(),
            Host::Node => text.chars().map(char::len_utf16).sum(),
        }
    }
}
