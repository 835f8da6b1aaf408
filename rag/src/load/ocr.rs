//! How does a caller's recognition of characters reach pages that are images?

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::Result;

/// A function that reads the image of a page, given as a PNG file of 300 dots per inch (fewer on pages larger than
/// about 30 by 33 centimetres: 16 million pixels at most), and returns its text.
///
/// It is called for pages of PDFs that have no text of their own, from several threads at a time when several files are
/// read; its time does not count against [`timeout`](super::LoadOptions::timeout). An error stops the file with the
/// error's code.
///
/// ```
/// use quorate_rag::load::{LoadOptions, Ocr};
/// let ocr = Ocr::new(|png| Ok(format!("{} bytes", png.len())));
/// let options = LoadOptions { ocr: Some(ocr), ..LoadOptions::default() };
/// ```
#[derive(Clone)]
pub struct Ocr {
    read: Arc<dyn Fn(&[u8]) -> Result<String> + Send + Sync>,
    pauses: Pauses,
}

impl Ocr {
    /// Wraps a function.
    pub fn new(read: impl Fn(&[u8]) -> Result<String> + Send + Sync + 'static) -> Self {
        Ocr { read: Arc::new(read), pauses: Pauses::default() }
    }

    /// The same for one file, whose limit of time stands still in these pauses.
    pub(super) fn pausing(&self, pauses: &Pauses) -> Self {
        Ocr { read: Arc::clone(&self.read), pauses: pauses.clone() }
    }

    pub(super) fn read(&self, png: &[u8]) -> Result<String> {
        let began = Instant::now();
        self.pauses.lock().0 = Some(began);
        // A panic of the function must not leave the clock standing.
        let _ended = Paused(&self.pauses, began);
        (self.read)(png)
    }
}

impl fmt::Debug for Ocr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ocr")
    }
}

impl PartialEq for Ocr {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.read, &other.read)
    }
}

/// How long the caller's function was at work for one file: since when it is now, and before that.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses(Arc<Mutex<(Option<Instant>, Duration)>>);

impl Pauses {
    /// All of it so far.
    pub(super) fn total(&self) -> Duration {
        let state = self.lock();
        state.1 + state.0.map_or(Duration::ZERO, |began| began.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Instant>, Duration)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Paused<'a>(&'a Pauses, Instant);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.1 += self.1.elapsed();
        state.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_function_is_counted() {
        let pauses = Pauses::default();
        let hook = Ocr::new(|png| {
            std::thread::sleep(Duration::from_millis(20));
            Ok(png.len().to_string())
        });
        let hook = hook.pausing(&pauses);
        assert_eq!(hook.read(b"abc").unwrap(), "3");
        let once = pauses.total();
        assert!(once >= Duration::from_millis(20));
        hook.read(b"").unwrap();
        assert!(pauses.total() >= once + Duration::from_millis(20));
    }
}
