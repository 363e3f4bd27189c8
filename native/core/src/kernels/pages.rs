//! Zeroed memory that never moves, in large pages where the system has them.
//!
//! A search touches some thousand cache lines all over the index. With pages of 4 KiB most of
//! them miss the processor's table of pages as well, and each such miss is further reads of
//! memory; with pages of 2 MiB the table holds the whole index.

use std::alloc::{Layout, handle_alloc_error};
use std::ops::Deref;
use std::ptr::NonNull;

use bytemuck::Zeroable;
use memmap2::{MmapMut, MmapOptions};

/// Bytes of a large page, and what the values of a large allocation are aligned to.
const LARGE_PAGE_BYTES: usize = 1 << 21;
/// Allocations from this size on ask for large pages: the last one is used in part only.
const LARGE_BYTES_MIN: usize = 2 * LARGE_PAGE_BYTES;

/// Zeroed values, backed by memory page by page as they are written.
#[derive(Debug)]
pub(super) struct Pages<T> {
    first: NonNull<T>,
    count: usize,
    /// Owns what `first` points into.
    _map: MmapMut,
}

// SAFETY: the values are owned, and are given out as a shared slice only.
unsafe impl<T: Send> Send for Pages<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Pages<T> {}

impl<T: Zeroable> Pages<T> {
    /// So many values, the first of them on a cache line and, where they are large, on a large
    /// page. Memory that the system does not give ends the process, as with any allocation.
    pub fn zeroed(count: usize) -> Self {
        const { assert!(!std::mem::needs_drop::<T>() && align_of::<T>() <= 64) };
        let Ok(layout) = Layout::array::<T>(count) else {
            panic!("{count} values exceed the address space");
        };
        let is_large = layout.size() >= LARGE_BYTES_MIN;
        let before = if is_large { LARGE_PAGE_BYTES } else { 0 };
        let mapped = (layout.size() + before).max(1);
        let mut options = MmapOptions::new();
        options.len(mapped);
        if cfg!(not(miri)) {
            options.no_reserve_swap();
        }
        let Ok(mut map) = options.map_anon() else {
            handle_alloc_error(layout);
        };
        if is_large {
            advise(&map);
        }
        let begin = map.as_mut_ptr();
        let skipped = begin.align_offset(LARGE_PAGE_BYTES).min(before);
        // SAFETY: at most `before` bytes are skipped, and behind them the map has room for all
        // values. `begin` is a page's, so the values are aligned whether any are skipped or not.
        let first = unsafe { NonNull::new_unchecked(begin.add(skipped)) }.cast();
        Pages {
            first,
            count,
            _map: map,
        }
    }
}

/// Asks for large pages; where there are none, small ones serve as well.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise(map: &MmapMut) {
    let _ = map.advise(memmap2::Advice::HugePage);
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn advise(_map: &MmapMut) {}

impl<T> Deref for Pages<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `first` is aligned and followed by `count` values, which live as long as
        // `self`. They began as zeros, which is a value of `T`, and are shared, never lent out
        // for writing: what changes in them changes through the interior mutability of `T`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[test]
    fn values_begin_as_zeros_on_a_boundary_and_keep_what_is_written() {
        for count in [0, 1, 100, LARGE_BYTES_MIN / 4 - 1, LARGE_BYTES_MIN / 4] {
            let pages: Pages<AtomicU32> = Pages::zeroed(count);
            assert_eq!(pages.len(), count);
            assert!(pages.as_ptr().addr().is_multiple_of(64));
            let is_large = count * 4 >= LARGE_BYTES_MIN;
            assert!(!is_large || pages.as_ptr().addr().is_multiple_of(LARGE_PAGE_BYTES));
            let Some((first, last)) = pages.first().zip(pages.last()) else {
                continue;
            };
            assert_eq!((first.load(Relaxed), last.load(Relaxed)), (0, 0));
            last.store(7, Relaxed);
            assert_eq!(last.load(Relaxed), 7);
        }
    }
}
