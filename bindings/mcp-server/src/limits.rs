//! How much may clients ask for?

use std::time::Duration;

use quorate::{Error, Result};

/// What bounds the memory and the threads that clients can use. Fields have the defaults named.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message, in bytes. Default 4 MiB.
    pub message_bytes: usize,
    /// Connections of HTTP at a time; others wait to be accepted. Default 256.
    pub connections: usize,
    /// Sessions of HTTP at a time; beginning one more is refused with status 503. Default 256.
    pub sessions: usize,
    /// After so much time without a message a session ends. Default 15 minutes.
    pub session_idle: Duration,
    /// Calls at work at a time, of all clients. Default 16.
    pub calls: usize,
    /// Calls that wait for their turn; others fail with `rate_limited`. Default 64.
    pub waiting_calls: usize,
    /// How long a request may take to arrive. Default 30 seconds.
    pub receive: Duration,
    /// How long a client may read nothing of what waits for it, before its connection is closed. Default 60 seconds.
    pub send: Duration,
    /// How long calls at work have when the server stops. Default 10 seconds.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: 4 << 20,
            connections: 256,
            sessions: 256,
            session_idle: Duration::from_secs(15 * 60),
            calls: 16,
            waiting_calls: 64,
            receive: Duration::from_secs(30),
            send: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Whether the values make sense. Errors: `invalid_argument`, saying which does not.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("message_bytes", self.message_bytes, 1 << 30),
            ("connections", self.connections, 100_000),
            ("sessions", self.sessions, 100_000),
            ("calls", self.calls, 400),
        ];
        for (name, value, most) in counts {
            if value == 0 || value > most {
                return Err(Error::invalid(format!("{name} is {value}; it is 1 to {most}")));
            }
        }
        let times = [("session_idle", self.session_idle), ("receive", self.receive), ("send", self.send)];
        for (name, value) in times {
            if value.is_zero() || value > Duration::from_secs(7 * 86_400) {
                return Err(Error::invalid(format!("{name} is {value:?}; it is above 0 and at most a week")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        Limits::default().validate().unwrap();
        let none = Limits { sessions: 0, ..Limits::default() };
        assert!(none.validate().unwrap_err().message().contains("sessions"));
        let never = Limits { send: Duration::ZERO, ..Limits::default() };
        assert!(never.validate().unwrap_err().message().contains("send"));
    }
}
