//! A vector whose clones are cheap and never change: the building block of snapshots.

use std::sync::Arc;

use crate::kernels;

/// Entries per chunk: a write copies at most this many, a clone one pointer for each chunk.
const CHUNK: usize = 256;

/// A growing vector in chunks that are shared between clones and copied when written to.
///
/// A clone costs one reference count per chunk of 256; a write to a chunk that some clone
/// still holds copies that chunk first, so a clone is an immutable view for as long as it lives.
#[derive(Clone, Debug)]
pub struct CowVec<T> {
    /// Behind the end the last chunk holds copies of its first entry, which nobody sees.
    chunks: Vec<Arc<[T; CHUNK]>>,
    len: usize,
}

impl<T> Default for CowVec<T> {
    fn default() -> Self {
        CowVec {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Clone> CowVec<T> {
    /// Count of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry at a place, or `None` beyond the end.
    pub fn get(&self, place: usize) -> Option<&T> {
        let chunk = self.chunks.get(place / CHUNK)?;
        chunk.get(place % CHUNK).filter(|_| place < self.len)
    }

    /// Asks for an entry that will soon be read: a hint that waits for nothing.
    pub fn prefetch(&self, place: usize) {
        if let Some(chunk) = self.chunks.get(place / CHUNK) {
            kernels::prefetch(chunk.get(place % CHUNK).as_slice());
        }
    }

    /// The entry at a place for writing, or `None` beyond the end.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        if place >= self.len {
            return None;
        }
        Arc::make_mut(self.chunks.get_mut(place / CHUNK)?).get_mut(place % CHUNK)
    }

    /// Adds an entry at the end and returns its place.
    pub fn push(&mut self, entry: T) -> usize {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks
                .push(Arc::new(std::array::from_fn(|_| entry.clone())));
        }
        let place = self.len;
        self.len += 1;
        if let Some(last) = self.get_mut(place) {
            *last = entry;
        }
        place
    }

    /// All entries in order of place.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter());
        entries.take(self.len)
    }
}

impl<T: Clone> FromIterator<T> for CowVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut vec = CowVec::default();
        for entry in entries {
            vec.push(entry);
        }
        vec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_saw() {
        let mut vec: CowVec<usize> = (0..1000).collect();
        let before = vec.clone();
        *vec.get_mut(300).unwrap() = 7;
        vec.push(1000);
        assert_eq!((before.len(), before.get(300)), (1000, Some(&300)));
        assert_eq!(
            (vec.len(), vec.get(300), vec.get(1000)),
            (1001, Some(&7), Some(&1000))
        );
        assert!(before.iter().copied().eq(0..1000));
        assert_eq!(before.get(1000), None);
    }

    #[test]
    fn a_write_copies_only_its_chunk() {
        let mut vec: CowVec<u8> = std::iter::repeat_n(0, CHUNK * 3).collect();
        let before = vec.clone();
        *vec.get_mut(CHUNK).unwrap() = 1;
        assert!(Arc::ptr_eq(&vec.chunks[0], &before.chunks[0]));
        assert!(!Arc::ptr_eq(&vec.chunks[1], &before.chunks[1]));
    }
}
