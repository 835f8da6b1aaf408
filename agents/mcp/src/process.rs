//! How is a server's process started, and how does it end for certain, with all that it has started?
//!
//! It leads a process group of its own. Whoever closes the server closes its input first, as the protocol wants it; what is
//! left of the group after a moment is terminated. A process that still runs when the host exits is ended then. A forked
//! child of the host never touches what its parent has started.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::{Hold, forks};
use tokio::sync::Notify;

use crate::keys::Keys;
use crate::options::McpOptions;
use crate::text;

/// How long a server has to end by itself once its input is closed, and how long after it was asked to terminate.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(5);
/// How long the exit of the host waits for processes that were asked to terminate.
#[cfg(unix)]
const AT_EXIT: Duration = Duration::from_millis(300);
/// How long an ended process's last words are waited for.
const LISTENS: Duration = Duration::from_millis(100);
/// How much is kept of what a process wrote to its standard error, in bytes, and how much of it is shown: less, so that what is
/// shown does not begin within a key.
const LAST_WORDS: usize = 16 << 10;
const SHOWN: usize = 2_000;

/// The variables of this process that a server sees: those by which programs find their way, and none that may hold a key.
const INHERITED: [&str; 27] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "HOMEDRIVE",
    "HOMEPATH",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "COMSPEC",
    "USERNAME",
    "USERPROFILE",
];

/// A process, until it has ended.
pub(crate) struct Process {
    child: Mutex<Option<Child>>,
    pid: u32,
    /// The process that has started it, by the forks before it.
    process: u64,
    last_words: Arc<Mutex<Vec<u8>>>,
    /// Whether all of them were heard.
    heard: Arc<AtomicBool>,
    how: Mutex<Option<String>>,
    over: Arc<Over>,
}

/// Whether a process has ended.
#[derive(Default)]
pub(crate) struct Over {
    is: AtomicBool,
    wake: Notify,
}

impl Over {
    fn tell(&self) {
        self.is.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Waits for it; there is one who does.
    pub(crate) async fn wait(&self) {
        while !self.is.load(Ordering::Acquire) {
            self.wake.notified().await;
        }
    }
}

/// The two ends of a process's talk.
pub(crate) struct Pipes {
    pub(crate) input: ChildStdin,
    pub(crate) output: ChildStdout,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Starts the program of `options`. Errors: those of the system.
    pub(crate) fn start(options: &McpOptions) -> io::Result<(Arc<Process>, Pipes)> {
        let Some((program, arguments)) = options.command.split_first() else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        let mut command = Command::new(found(program, options));
        command.args(arguments).env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        command.envs(&options.env);
        if let Some(folder) = &options.cwd {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        at_exit();
        let mut child = command.spawn()?;
        let pid = child.id();
        let process = forks();
        if let Some(mut live) = LIVE.take() {
            live.push((process, pid));
        }
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let started = Arc::new(Process {
            child: Mutex::new(Some(child)),
            pid,
            process,
            last_words,
            heard: Arc::default(),
            how: Mutex::new(None),
            over: Arc::default(),
        });
        let (Some(input), Some(output), Some(mut errors)) = (input, output, errors) else {
            started.end(Duration::ZERO);
            return Err(io::Error::other("the pipes of the process are missing"));
        };
        let (words, heard) = (Arc::clone(&started.last_words), Arc::clone(&started.heard));
        let listen = move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut piece) {
                let mut words = lock(&words);
                words.extend_from_slice(&piece[..read]);
                let over = words.len().saturating_sub(LAST_WORDS);
                words.drain(..over);
            }
            heard.store(true, Ordering::Release);
        };
        let watched = Arc::clone(&started);
        let watch = move || {
            // What it has started may keep its output open; without it nobody writes there any more that counts.
            watched.wait();
            watched.end(Duration::ZERO);
            watched.over.tell();
        };
        let thread = |work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name("quorate-mcp".to_owned()).spawn(work).map(drop)
        };
        if let Err(error) = thread(Box::new(listen)).and_then(|()| thread(Box::new(watch))) {
            started.end(Duration::ZERO);
            return Err(error);
        }
        Ok((started, Pipes { input, output }))
    }

    /// Where its end is told.
    pub(crate) fn over(&self) -> Arc<Over> {
        Arc::clone(&self.over)
    }

    /// Waits until it has ended.
    fn wait(&self) {
        #[cfg(unix)]
        while !is_over(self.pid, libc::WEXITED | libc::WNOWAIT) {}
        #[cfg(not(unix))]
        while lock(&self.child).as_mut().is_some_and(|child| !has_ended(child)) {
            std::thread::sleep(TICK);
        }
    }

    /// Ends it and its group, once it had `grace` to end by itself. In a forked child of its starter it does nothing.
    pub(crate) fn end(&self, grace: Duration) {
        if self.process != forks() {
            return;
        }
        let mut child = lock(&self.child);
        let Some(mut running) = child.take() else { return };
        if !ended_within(&mut running, grace) {
            signal(self.pid, Signal::Terminate);
            ended_within(&mut running, GRACE.min(grace));
        }
        // What it has started goes with it. Its number is nobody else's before it was waited for.
        signal(self.pid, Signal::Kill);
        let _ = running.kill();
        if let Some(mut live) = LIVE.take() {
            live.retain(|one| *one != (self.process, self.pid));
        }
        if let Ok(status) = running.wait() {
            *lock(&self.how) = Some(status.to_string());
        }
        let until = Instant::now() + LISTENS;
        while !self.heard.load(Ordering::Acquire) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How it ended, where it has, and what it wrote to its standard error at last; in words for an error.
    pub(crate) fn last_words(&self, keys: &Keys) -> String {
        let how = match &*lock(&self.how) {
            Some(how) => format!("the server has ended ({how})"),
            None => "the server has closed its output".to_owned(),
        };
        let words = keys.scrub(&String::from_utf8_lossy(&lock(&self.last_words)));
        let words = text::clean(&words[words.ceil_char_boundary(words.len().saturating_sub(SHOWN))..], SHOWN);
        if words.is_empty() { how } else { format!("{how}; its last words: {words}") }
    }

    #[cfg(test)]
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// Where a program lies that is named without a folder. The system would find it too, but in a copy of this process, for which
/// all of quorate's threads must stand still.
fn found(program: &str, options: &McpOptions) -> PathBuf {
    let named = PathBuf::from(program);
    if cfg!(not(unix)) || program.contains('/') {
        return named;
    }
    let path = options.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
    let path = path.unwrap_or_default();
    let there = |place: &PathBuf| place.is_absolute() && is_program(place);
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(there).unwrap_or(named)
}

/// Whether a file can be run: others of the same name do not hide it.
fn is_program(place: &Path) -> bool {
    #[cfg(unix)]
    let runs = |found: &std::fs::Metadata| {
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o111 != 0
    };
    #[cfg(not(unix))]
    let runs = |_: &std::fs::Metadata| true;
    std::fs::metadata(place).is_ok_and(|found| found.is_file() && runs(&found))
}

/// Whether it has ended in time. It is not waited for: its number stays its own.
fn ended_within(child: &mut Child, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        if has_ended(child) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(TICK);
    }
}

enum Signal {
    Terminate,
    Kill,
}

#[cfg(unix)]
fn has_ended(child: &mut Child) -> bool {
    is_over(child.id(), LOOK)
}

/// To look whether a process has ended, without waiting for it.
#[cfg(unix)]
const LOOK: libc::c_int = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;

/// Whether the process has ended. The flags leave it to be waited for.
#[cfg(unix)]
fn is_over(pid: u32, flags: libc::c_int) -> bool {
    // SAFETY: all zeros is a value of this plain structure.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` lives as long as the call, which only writes to it.
    let asked = unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, flags) };
    if asked != 0 {
        // Another signal than that of an end came; or it is nobody's child any more.
        return io::Error::last_os_error().kind() != io::ErrorKind::Interrupted;
    }
    // SAFETY: the call has filled the fields of a child's end, or has left zeros.
    unsafe { info.si_pid() != 0 }
}

#[cfg(unix)]
fn signal(group: u32, signal: Signal) {
    let signal = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
    };
    // A group below 2 would be this one's, or everybody's.
    if let Some(group) = i32::try_from(group).ok().filter(|group| *group > 1) {
        // SAFETY: sends a signal to the group that this process has made, and whose leader it has not waited for.
        unsafe {
            libc::killpg(group, signal);
        }
    }
}

#[cfg(not(unix))]
fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

#[cfg(not(unix))]
fn signal(_group: u32, _signal: Signal) {}

/// The processes that run: who has started each, by the forks before it, and its number.
static LIVE: Hold<Vec<(u64, u32)>> = Hold::new(Vec::new());

/// Has those that run ended when this process exits.
#[cfg(unix)]
fn at_exit() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    extern "C" fn end_all() {
        let here = forks();
        let Some(live) = LIVE.try_take() else { return };
        let mine: Vec<u32> =
            live.iter().filter(|(process, _)| *process == here).map(|(_, pid)| *pid).collect();
        mine.iter().for_each(|pid| signal(*pid, Signal::Terminate));
        let until = Instant::now() + AT_EXIT;
        while Instant::now() < until && !mine.iter().all(|pid| is_over(*pid, LOOK)) {
            std::thread::sleep(TICK);
        }
        mine.iter().for_each(|pid| signal(*pid, Signal::Kill));
    }
    // SAFETY: the handler is a function of this library, which is not unloaded while its threads live.
    ONCE.call_once(|| unsafe {
        libc::atexit(end_all);
    });
}

#[cfg(not(unix))]
fn at_exit() {}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> (Arc<Process>, Pipes) {
        Process::start(&McpOptions::command(["sh", "-c", script])).unwrap()
    }

    fn is_there(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    fn number(pipes: &mut Pipes) -> u32 {
        let mut byte = [0];
        let mut line = String::new();
        while pipes.output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0] as char);
        }
        line.parse().unwrap()
    }

    #[test]
    fn a_group_ends_with_its_leader_however_it_resists() {
        for script in [
            // One that ends by itself, and leaves another behind.
            "sleep 300 & echo $!; exec 1>&-; read line",
            // One that hears nothing.
            "trap '' TERM; sleep 300 & echo $!; while :; do sleep 1; done",
        ] {
            let (process, mut pipes) = start(script);
            let left = number(&mut pipes);
            assert!(is_there(left) && is_there(process.pid()), "{script}");
            drop(pipes);
            process.end(Duration::from_millis(200));
            assert!(!is_there(process.pid()), "{script}");
            let until = Instant::now() + Duration::from_secs(2);
            while is_there(left) && Instant::now() < until {
                std::thread::sleep(TICK);
            }
            assert!(!is_there(left), "{script}");
        }
    }

    #[test]
    fn an_end_is_told_with_its_last_words_and_without_keys() {
        let (process, pipes) = start("echo 'bad key abcdefgh' >&2; exit 3");
        drop(pipes);
        process.end(Duration::from_secs(5));
        let env = [("A_KEY".to_owned(), "abcdefgh".to_owned())].into();
        let said = process.last_words(&Keys::of(&McpOptions { env, ..McpOptions::command(["s"]) }));
        assert_eq!(said, "the server has ended (exit status: 3); its last words: bad key [key]");
    }

    #[test]
    fn a_file_that_is_no_program_hides_none() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(first.path().join("serve"), "").unwrap();
        std::os::unix::fs::symlink("/bin/sh", second.path().join("serve")).unwrap();
        let path = std::env::join_paths([first.path(), second.path()]).unwrap().into_string().unwrap();
        let env = [("PATH".to_owned(), path)].into();
        let options = McpOptions { env, ..McpOptions::command(["serve", "-c", "echo 5"]) };
        let (process, mut pipes) = Process::start(&options).unwrap();
        assert_eq!(number(&mut pipes), 5);
        process.end(GRACE);
    }

    #[test]
    fn a_server_sees_no_key_of_its_host() {
        // SAFETY: no other thread of this test reads the environment at the same time by libc; Rust's calls share a lock.
        unsafe { std::env::set_var("QUORATE_SOME_API_KEY", "secret") };
        let mut options =
            McpOptions::command(["sh", "-c", "echo ${QUORATE_SOME_API_KEY:-0}; read x; echo $MINE"]);
        options.env.insert("MINE".to_owned(), "7".to_owned());
        let (process, mut pipes) = Process::start(&options).unwrap();
        assert_eq!(number(&mut pipes), 0);
        io::Write::write_all(&mut pipes.input, b"\n").unwrap();
        assert_eq!(number(&mut pipes), 7);
        process.end(GRACE);
    }
}
