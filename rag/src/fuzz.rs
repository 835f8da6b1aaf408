//! How are hostile inputs made for tests? `QUORATE_TORTURE_INPUTS` sets how many each target gets.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The longest time for one input.
const LIMIT: Duration = Duration::from_secs(60);
/// The name of the thread that inputs are tried on.
const NAME: &str = "fuzz-inputs";
/// Inputs do not grow beyond this.
const MAX_BYTES: usize = 1 << 14;

/// A folder in memory, where the system has one: a target that writes files writes each of them a million times.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// How many inputs a target gets.
pub(crate) fn inputs(otherwise: usize) -> usize {
    std::env::var("QUORATE_TORTURE_INPUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// Gives `target` as many inputs as were asked for, made of `seeds` and the words of `dictionary`. Inputs of one number
/// are always the same. The target runs on a thread with the stack that loaders have; it fails by a panic, by more than
/// a minute for one input, or by ending the process, and the number of the input is said.
pub(crate) fn run(
    otherwise: usize,
    seeds: &[Vec<u8>],
    dictionary: &[&[u8]],
    target: impl Fn(Vec<u8>) + Send + Sync,
) {
    let (send, receive) = sync_channel(1024);
    // Some parsers panic as a matter of course, which their callers make errors of; telling of each takes most of the
    // time.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(NAME) {
            tell(panic);
        }
    }));
    let worker = |send: std::sync::mpsc::SyncSender<usize>| {
        for number in 0..inputs(otherwise) {
            target(input(number, seeds, dictionary));
            if send.send(number).is_err() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(NAME.into()).stack_size(256 << 20);
        let handle = thread.spawn_scoped(scope, || worker(send)).unwrap();
        let mut last = None;
        loop {
            match receive.recv_timeout(LIMIT) {
                Ok(number) => last = Some(number),
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("no end of the input after {last:?}");
                    // The thread cannot be ended by itself, and the scope would wait for it.
                    std::process::abort();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Err(panic) = handle.join() {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            panic!("the input after {last:?} failed: {why}");
        }
    });
}

/// Input `number`: a seed after a few changes.
pub(crate) fn input(number: usize, seeds: &[Vec<u8>], dictionary: &[&[u8]]) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(number as u64);
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..1 << random.random_range(0..5) {
        change(&mut bytes, seeds, dictionary, &mut random);
    }
    bytes.truncate(MAX_BYTES.max(seeds.iter().map(Vec::len).max().unwrap_or(0)));
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dictionary: &[&[u8]], random: &mut impl Rng) {
    let at = random.random_range(0..=bytes.len());
    let piece = |bytes: &[u8], random: &mut dyn FnMut(usize) -> usize| {
        let start = random(bytes.len() + 1);
        let len = random((bytes.len() - start).min(64) + 1);
        start..start + len
    };
    let mut below = |n: usize| random.random_range(0..n);
    match below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
        1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b' ', b'\n'][below(8)],
        2 => {
            let range = piece(bytes, &mut below);
            bytes.drain(range);
        }
        3 => {
            let copy = bytes[piece(bytes, &mut below)].to_vec();
            bytes.splice(at..at, copy);
        }
        4 => {
            let other = &seeds[below(seeds.len())];
            let copy = other[piece(other, &mut below)].to_vec();
            bytes.splice(at..at, copy);
        }
        5 if !dictionary.is_empty() => {
            let word = dictionary[below(dictionary.len())];
            // Nesting and long lists come from repetition.
            let times = if below(20) == 0 { 1 << below(11) } else { 1 };
            bytes.splice(at..at, word.repeat(times.min(MAX_BYTES / word.len().max(1))));
        }
        6 if at + 4 <= bytes.len() => {
            let number: u32 = [0, 1, u32::MAX, u32::MAX - 1, 1 << 31, 1 << 16][below(6)];
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        7 => bytes.truncate(at),
        _ => {
            let text = ["\u{feff}", "é", "\u{301}", "腎不全", "🩺", "\u{202e}", "\0", "ﬁ", "İ", "\u{2028}"]
                [below(10)];
            bytes.splice(at..at, text.bytes());
        }
    }
}
