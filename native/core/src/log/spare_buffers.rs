//! Buffers of frames that were sealed, to be filled again: they cost none of the page faults that
//! fresh memory does.

/// The buffers of the file that was sealed last, up to a limit.
pub(super) struct SpareBuffers {
    buffers: Vec<Vec<u8>>,
    bytes_max: usize,
}

impl SpareBuffers {
    /// Keeps nothing yet, and at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        SpareBuffers {
            buffers: Vec::new(),
            bytes_max,
        }
    }

    /// A buffer with room for so many bytes and not much more: one that is much too large would
    /// be cut to size when it is filled, which copies it.
    pub fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &Vec<u8>| (bytes..=bytes + bytes / 16).contains(&buffer.capacity());
        let place = self.buffers.iter().position(fits)?;
        Some(self.buffers.swap_remove(place))
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
        assert!(spare.take(161).is_none(), "too small, and twice too large");
        assert!(spare.take(100).is_none(), "much too large");
        let taken = spare.take(155).map(|buffer| buffer.capacity());
        assert_eq!((taken, bytes(&spare)), (Some(160), 320));
        assert!(spare.take(155).is_none());
    }
}
