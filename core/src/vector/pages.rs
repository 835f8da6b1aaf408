//! How are many vectors read with few look-ups of page tables?

/// Bytes from which on the system is asked for large pages: two of the 2 MiB pages of x86-64 and AArch64.
const LARGE: usize = 4 << 20;

/// Asks the system to back fresh memory with large pages. Nothing but time depends on whether it does; memory that
/// was written before stays as it is.
pub(crate) fn prefer_large<T>(fresh: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let start = (fresh.as_ptr() as usize).next_multiple_of(PAGE);
        let end = fresh.as_ptr_range().end as usize / PAGE * PAGE;
        if end.saturating_sub(start) >= LARGE {
            // SAFETY: the pages lie whole inside memory that this program holds, and the advice changes no content.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (fresh, LARGE);
}

#[cfg(test)]
mod tests {
    #[test]
    fn advised_memory_keeps_its_content() {
        for len in [0, 1, 3 << 20, 5 << 20, (9 << 20) + 3] {
            let mut bytes = vec![7u8; len];
            super::prefer_large(&mut bytes);
            assert!(bytes.iter().all(|&b| b == 7));
        }
    }
}
