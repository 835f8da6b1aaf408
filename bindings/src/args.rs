//! What was a call given by name, and which of it is unknown or of the wrong kind?

use quorate_core::{Code, Error, Result, shorten};
use serde::de::DeserializeOwned;

use crate::read::{choose, text};
use crate::{Given, Host, typed};

/// The named arguments of a call. Each is taken out by its name in Rust; what is left in the end is an unknown option.
///
/// ```
/// use quorate_bindings::{Args, Given, Host, read};
/// let given = Given::Object(vec![("maxIter".into(), Given::Number(5.0)), ("tole".into(), Given::Null)]);
/// let mut args = Args::new(Host::Node, "options of a call", given)?;
/// assert_eq!(args.maybe("max_iter", read::count)?, Some(5));
/// assert_eq!(args.done().unwrap_err().message(), "options of a call have no option 'tole'");
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct Args {
    host: Host,
    what: &'static str,
    members: Vec<(String, Given)>,
}

impl Args {
    /// The members of an object; nothing has none. Errors: `invalid_argument` for anything else.
    pub fn new(host: Host, what: &'static str, given: Given) -> Result<Self> {
        let members = match given {
            Given::Undefined | Given::Null => Vec::new(),
            Given::Object(members) => {
                members.into_iter().filter(|(_, given)| !matches!(given, Given::Undefined)).collect()
            }
            other => {
                return Err(Error::invalid(format!("{what} are {}; an object is expected", other.kind())));
            }
        };
        Ok(Args { host, what, members })
    }

    /// The host whose arguments they are.
    pub fn host(&self) -> Host {
        self.host
    }

    /// Puts an argument in the place of whatever has this name.
    pub fn put(&mut self, name: &str, given: Given) {
        self.take(name);
        self.members.push((self.host.name(name), given));
    }

    /// Takes an argument out; `undefined` when it is not there.
    pub fn take(&mut self, name: &str) -> Given {
        match self.position(name) {
            Some(at) => self.members.swap_remove(at).1,
            None => Given::Undefined,
        }
    }

    /// Whether there is an argument of this name that is not null.
    pub fn has(&self, name: &str) -> bool {
        self.position(name).is_some_and(|at| !self.members[at].1.is_missing())
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|(key, _)| self.host.is_name(name, key))
    }

    /// The argument as `convert` reads it; none when it is missing.
    pub fn maybe<T>(
        &mut self,
        name: &str,
        convert: impl FnOnce(Given, &str) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.take(name) {
            Given::Undefined | Given::Null => Ok(None),
            given => convert(given, &self.host.name(name)).map(Some),
        }
    }

    /// The argument as `convert` reads it, or `default` when it is missing. In JavaScript null is as good as nothing; in Python,
    /// where defaults stand in signatures, None is a value, and a wrong one here.
    pub fn or<T>(
        &mut self,
        name: &str,
        default: T,
        convert: impl FnOnce(Given, &str) -> Result<T>,
    ) -> Result<T> {
        match self.take(name) {
            Given::Undefined => Ok(default),
            Given::Null if self.host == Host::Node => Ok(default),
            given => convert(given, &self.host.name(name)),
        }
    }

    /// One of `choices`, by name; the first when it is missing.
    pub fn choice<T: Clone>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<T> {
        let Some((_, first)) = choices.first() else {
            return Err(Error::new(Code::Internal, format!("{name} has no choices")));
        };
        self.or(name, first.clone(), |given, what| choose(what, &text(given, what)?, choices))
    }

    /// The argument as a value of this type, whose members have the host's names, or `default` when it is missing.
    pub fn typed<T: DeserializeOwned>(&mut self, name: &str, default: T) -> Result<T> {
        let host = self.host;
        self.or(name, default, |given, what| typed::read(host, given, what))
    }

    /// All that is left as the members of one struct of options. Errors: `invalid_argument`, also for what the struct lacks.
    pub fn rest<T: DeserializeOwned>(self) -> Result<T> {
        let nothing = |given: &Given| self.host == Host::Node && given.is_missing();
        let given = self.members.into_iter().filter(|(_, given)| !nothing(given)).collect();
        typed::options(self.host, Given::Object(given), self.what)
    }

    /// Errors: `invalid_argument` when an argument was not taken: it does not exist, or is misspelt.
    pub fn done(self) -> Result<()> {
        // The first by name: the order of the members depends on how they were taken.
        let left = self.members.iter().filter(|(_, given)| self.host == Host::Node || !given.is_missing());
        match left.map(|(name, _)| name).min() {
            None => Ok(()),
            Some(name) => Err(unknown(self.what, name)),
        }
    }
}

/// An error for an option that does not exist.
pub(crate) fn unknown(what: &str, name: &str) -> Error {
    Error::invalid(format!("{what} have no option '{}'", shorten(name)))
}
