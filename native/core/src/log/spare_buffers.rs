//! Buffers for frames that cost none of the page faults that fresh memory does: those of sealed
//! files, to be filled again, and one that was made ready while there was time.

/// Bytes from which on a buffer's memory comes fresh from the system.
const FRESH_BYTES_MIN: usize = 256 << 10;
/// A new buffer has more room than it needs, one part of so many of that: a later batch of as many
/// rows may be a little longer and should fit as well.
const ROOM_SHARE: usize = 32;

/// The buffers of the file that was sealed last, and those made since, up to a limit.
pub(super) struct SpareBuffers {
    buffers: Vec<Vec<u8>>,
    bytes_max: usize,
    /// What was asked for last.
    asked: usize,
}

impl SpareBuffers {
    /// Keeps nothing yet, and at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        SpareBuffers {
            buffers: Vec::new(),
            bytes_max,
            asked: 0,
        }
    }

    /// An empty buffer with room for so many bytes and not much more: one that is much too large
    /// would be cut to size when it is filled, which copies it.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.asked = bytes;
        let mut buffer = match self.place_of(bytes) {
            Some(place) => self.buffers.swap_remove(place),
            None => Vec::with_capacity(bytes + bytes / ROOM_SHARE),
        };
        buffer.clear();
        buffer
    }

    /// Makes a buffer ready such as was asked for last, if there is none.
    pub fn prepare(&mut self) {
        let bytes = self.asked + self.asked / ROOM_SHARE;
        let kept: usize = self.buffers.iter().map(Vec::capacity).sum();
        if bytes < FRESH_BYTES_MIN
            || kept + bytes > self.bytes_max
            || self.place_of(self.asked).is_some()
        {
            return;
        }
        // Not zeros, which the system gives without any memory behind them.
        self.buffers.push(vec![1; bytes]);
    }

    fn place_of(&self, bytes: usize) -> Option<usize> {
        let fits = |buffer: &Vec<u8>| (bytes..=bytes + bytes / 10).contains(&buffer.capacity());
        self.buffers.iter().position(fits)
    }

    /// Keeps the first of these buffers that together stay within the limit, in place of those
    /// from before.
    pub fn keep(&mut self, mut buffers: Vec<Vec<u8>>) {
        let mut bytes = 0;
        buffers.retain(|buffer| {
            bytes += buffer.capacity();
            bytes <= self.bytes_max
        });
        self.buffers = buffers;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(spare: &SpareBuffers) -> usize {
        spare.buffers.iter().map(Vec::capacity).sum()
    }

    fn buffers(capacities: &[usize]) -> Vec<Vec<u8>> {
        let new = |bytes: &usize| Vec::with_capacity(*bytes);
        capacities.iter().map(new).collect()
    }

    #[test]
    fn what_is_kept_never_passes_the_limit() {
        let mut spare = SpareBuffers::new(1000);
        for capacities in [&[400; 9][..], &[1000], &[1001], &[600, 500, 300], &[]] {
            spare.keep(buffers(capacities));
            assert!(bytes(&spare) <= 1000, "{capacities:?}");
            let all: usize = capacities.iter().sum();
            assert_eq!(bytes(&spare) == all, all <= 1000, "{capacities:?}");
        }
        let mut none = SpareBuffers::new(0);
        none.keep(buffers(&[1, 2, 3]));
        assert_eq!(bytes(&none), 0);
    }

    #[test]
    fn a_buffer_is_taken_once_and_only_where_it_fits() {
        let mut spare = SpareBuffers::new(1000);
        spare.keep(buffers(&[160, 320]));
        spare.take(161);
        spare.take(100);
        assert_eq!(
            bytes(&spare),
            480,
            "too small, and twice too large; much too large"
        );
        assert_eq!((spare.take(155).capacity(), bytes(&spare)), (160, 320));
        assert_ne!(spare.take(155).capacity(), 320);
    }

    #[test]
    fn one_buffer_is_made_ready_of_the_size_that_was_asked_for_last() {
        let mut spare = SpareBuffers::new(4 << 20);
        for (asked, ready) in [(0, 0), (FRESH_BYTES_MIN / 2, 0), (1 << 20, 1), (5 << 20, 0)] {
            spare.keep(Vec::new());
            spare.take(asked);
            spare.prepare();
            spare.prepare();
            assert_eq!(spare.buffers.len(), ready, "{asked}");
        }
        spare.take(1 << 20);
        spare.prepare();
        let taken = spare.take((1 << 20) + 1000);
        assert_eq!((taken.len(), bytes(&spare)), (0, 0));
        assert!(taken.capacity() < (1 << 20) + (1 << 16));
    }
}
