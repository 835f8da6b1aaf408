//! Which server is asked, how, and which of its tools are taken?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::http::Address;
use quorate_core::{Error, Result};
use quorate_runtime::Effect;
use serde::Deserialize;

/// A day, in seconds.
const MAX_TIMEOUT: f64 = 86_400.0;

/// Which server is asked, and which of its tools are taken. Exactly one of `command` and `url` is given.
///
/// ```
/// use quorate_mcp::McpOptions;
/// let options = McpOptions { prefix: "git_".to_owned(), ..McpOptions::command(["uvx", "mcp-server-git"]) };
/// assert!(options.validate().is_ok());
/// assert_eq!(McpOptions::default().validate().unwrap_err().code().as_str(), "invalid_argument");
/// ```
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct McpOptions {
    /// The program that is the server, and its arguments; it is started as a child process and speaks on its standard input
    /// and output. There is no shell.
    pub command: Vec<String>,
    /// Where a server listens that speaks streamable HTTP.
    pub url: Option<String>,
    /// Header fields of each request over HTTP, such as `Authorization`. They show in no log and no error.
    pub headers: BTreeMap<String, String>,
    /// Variables that the program sees beside those by which programs find their way (`PATH`, `HOME` and their like): the
    /// other variables of this process, keys among them, are not passed on.
    pub env: BTreeMap<String, String>,
    /// The folder in which the program runs. Default: that of this process.
    pub cwd: Option<PathBuf>,
    /// What errors and warnings call the server. Default: the program's name, or the URL.
    pub name: Option<String>,
    /// Stands before the name of each tool, so that those of several servers differ.
    pub prefix: String,
    /// The tools that are taken, by the names that the server gives them. Default: all.
    pub include: Option<Vec<String>>,
    /// Tools that are not taken.
    pub exclude: Vec<String>,
    /// What tools do to the world, by the names that the server gives them, where the host knows better than the server's hints.
    pub effects: BTreeMap<String, Effect>,
    /// Seconds that a call may take. Default 30.
    pub timeout: f64,
    /// Seconds until the server must have said what it is and which tools it has. Default 30.
    pub start_timeout: f64,
    /// The most tokens of a result that the model reads; of a longer one it reads head and tail. Default 2,000.
    pub max_result_tokens: usize,
}

impl Default for McpOptions {
    fn default() -> Self {
        McpOptions {
            command: Vec::new(),
            url: None,
            headers: BTreeMap::new(),
            env: BTreeMap::new(),
            cwd: None,
            name: None,
            prefix: String::new(),
            include: None,
            exclude: Vec::new(),
            effects: BTreeMap::new(),
            timeout: 30.0,
            start_timeout: 30.0,
            max_result_tokens: 2000,
        }
    }
}

impl fmt::Debug for McpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpOptions").field("server", &self.shown()).finish_non_exhaustive()
    }
}

impl McpOptions {
    /// A server that is started as a child process.
    pub fn command(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        McpOptions { command: command.into_iter().map(Into::into).collect(), ..McpOptions::default() }
    }

    /// A server that listens at a URL.
    pub fn url(url: impl Into<String>) -> Self {
        McpOptions { url: Some(url.into()), ..McpOptions::default() }
    }

    /// Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        match (self.command.first(), &self.url) {
            (Some(_), Some(_)) | (None, None) => {
                return Err(Error::invalid("an MCP server is named by either command or url"));
            }
            (Some(program), None) => self.validate_command(program)?,
            (None, Some(url)) => self.validate_url(url)?,
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.prefix.len() > 40 || !self.prefix.chars().all(plain) {
            return Err(Error::invalid(format!(
                "prefix is '{}', expected at most 40 letters, digits, '_' or '-'",
                quorate_core::shorten(&self.prefix)
            )));
        }
        let both: BTreeSet<&String> = self.exclude.iter().collect();
        if let Some(name) = self.include.iter().flatten().find(|name| both.contains(name)) {
            let message =
                format!("the tool '{}' is in both include and exclude", quorate_core::shorten(name));
            return Err(Error::invalid(message));
        }
        for (what, seconds) in [("timeout", self.timeout), ("start_timeout", self.start_timeout)] {
            if !(seconds.is_finite() && seconds > 0.0 && seconds <= MAX_TIMEOUT) {
                return Err(Error::invalid(format!(
                    "{what} is {seconds}, expected seconds, above 0 and at most {MAX_TIMEOUT}"
                )));
            }
        }
        if self.max_result_tokens == 0 {
            return Err(Error::invalid("max_result_tokens is 0, expected 1 or more"));
        }
        Ok(())
    }

    fn validate_command(&self, program: &str) -> Result<()> {
        if program.is_empty() || self.command.iter().any(|part| part.contains('\0')) {
            return Err(Error::invalid("command is the program and its arguments, none with a NUL"));
        }
        if !self.headers.is_empty() {
            return Err(Error::invalid("headers belong to a server with a url; a command takes env"));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let name = quorate_core::shorten(name);
                return Err(Error::invalid(format!("env: '{name}' is no variable of a program")));
            }
        }
        match &self.cwd {
            Some(folder) if !folder.is_dir() => {
                Err(Error::invalid(format!("cwd: '{}' is no folder", folder.display())))
            }
            _ => Ok(()),
        }
    }

    fn validate_url(&self, url: &str) -> Result<()> {
        if !self.env.is_empty() || self.cwd.is_some() {
            return Err(Error::invalid("env and cwd belong to a server with a command; a url takes headers"));
        }
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if !rest
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[' || c == '_'))
        {
            return Err(Error::invalid(format!(
                "'{}' is no URL that starts with https:// or http://",
                quorate_core::shorten(&Address::plain(url))
            )));
        }
        crate::http::headers(self).map(drop)
    }

    /// What errors call the server: no argument of a program, no key.
    pub(crate) fn shown(&self) -> String {
        if let Some(name) = &self.name {
            return quorate_core::shorten(name);
        }
        if let Some(url) = &self.url {
            return quorate_core::shorten(&Address::plain(url));
        }
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let name = Path::new(program).file_name().map(|name| name.to_string_lossy().into_owned());
        quorate_core::shorten(&name.unwrap_or_else(|| program.to_owned()))
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    pub(crate) fn start_limit(&self) -> Duration {
        Duration::from_secs_f64(self.start_timeout)
    }

    /// Whether the host wants the tool with this name of the server.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|wanted| wanted.iter().any(|one| one == name))
            && !self.exclude.iter().any(|one| one == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_refused_at_once() {
        let command = || McpOptions::command(["server"]);
        let url = || McpOptions::url("http://127.0.0.1:1/mcp");
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        for (what, options) in [
            ("nothing", McpOptions::default()),
            ("both", McpOptions { url: Some("http://h".to_owned()), ..command() }),
            ("empty program", McpOptions::command([""])),
            ("NUL", McpOptions::command(["a", "b\0c"])),
            ("headers of a command", McpOptions { headers: one("a", "b"), ..command() }),
            ("env", McpOptions { env: one("a=b", "c"), ..command() }),
            ("cwd", McpOptions { cwd: Some("/no/such/folder".into()), ..command() }),
            ("env of a url", McpOptions { env: one("a", "b"), ..url() }),
            ("scheme", McpOptions::url("ftp://host/mcp")),
            ("no host", McpOptions::url("http://")),
            ("header name", McpOptions { headers: one("a b", "c"), ..url() }),
            ("header value", McpOptions { headers: one("a", "b\nc"), ..url() }),
            ("reserved header", McpOptions { headers: one("Mcp-Session-Id", "b"), ..url() }),
            ("prefix", McpOptions { prefix: "a b".to_owned(), ..command() }),
            (
                "include and exclude",
                McpOptions {
                    include: Some(vec!["a".to_owned()]),
                    exclude: vec!["a".to_owned()],
                    ..command()
                },
            ),
            ("timeout", McpOptions { timeout: 0.0, ..command() }),
            ("start_timeout", McpOptions { start_timeout: f64::NAN, ..command() }),
            ("max_result_tokens", McpOptions { max_result_tokens: 0, ..command() }),
        ] {
            let code = options.validate().map_err(|e| e.code());
            assert_eq!(code, Err(quorate_core::Code::InvalidArgument), "{what}");
        }
        assert!(command().validate().is_ok() && url().validate().is_ok());
    }

    #[test]
    fn what_shows_of_a_server_holds_no_key() {
        let options = McpOptions {
            headers: BTreeMap::from([("Authorization".to_owned(), "Bearer abcdefgh".to_owned())]),
            ..McpOptions::url("https://me:pass@host/mcp?key=abcdefgh")
        };
        assert_eq!(format!("{options:?}"), "McpOptions { server: \"https://host/mcp\", .. }");
        assert_eq!(crate::keys::Keys::of(&options).scrub("key abcdefgh is bad"), "key [key] is bad");
        assert_eq!(McpOptions::command(["/usr/bin/python3", "server.py", "--key=abc"]).shown(), "python3");
    }
}
