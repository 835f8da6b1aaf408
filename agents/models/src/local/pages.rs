//! How are weights kept on cache-line boundaries, in memory that is read with few look-ups of page tables?

/// A fixed number of bytes that start on a 64-byte boundary.
pub(super) struct Pages {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes from which on the system is asked for large pages.
#[cfg(target_os = "linux")]
const LARGE: usize = 4 << 20;

impl Pages {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        let mut lines = Vec::<Line>::with_capacity(len.div_ceil(64));
        #[cfg(target_os = "linux")]
        {
            const PAGE: usize = 4096;
            let start = (lines.as_ptr() as usize).next_multiple_of(PAGE);
            let end = (lines.as_ptr() as usize + lines.capacity() * 64) / PAGE * PAGE;
            if end.saturating_sub(start) >= LARGE {
                // SAFETY: the pages lie whole inside memory that this program holds, and the advice changes no content.
                unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
            }
        }
        lines.resize(len.div_ceil(64), Line([0; 64]));
        Pages { lines, len }
    }

    /// All bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        // SAFETY: the lines hold at least `len` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// All bytes, to be written.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }

    /// The place of a byte.
    pub(super) fn at(&self, byte: usize) -> *const u8 {
        self.as_slice()[byte..].as_ptr()
    }
}
