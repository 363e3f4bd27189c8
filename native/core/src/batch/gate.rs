//! The point of no return of a batch, passed once or never.

use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const PASSED: u8 = 1;
const SHUT: u8 = 2;

/// What a cancellation and the commit race for. Whoever comes first decides: a gate that was
/// passed cannot be shut any more, and what was shut in time never commits.
#[derive(Debug, Default)]
pub struct Gate(AtomicU8);

impl Gate {
    /// Passes, for the commit; `false` where the gate was shut.
    pub fn pass(&self) -> bool {
        self.change(PASSED)
    }

    /// Shuts the gate, for a cancellation; `false` where the batch has passed.
    pub fn shut(&self) -> bool {
        self.change(SHUT)
    }

    /// Whether the gate was shut: work for this batch is in vain.
    pub fn is_shut(&self) -> bool {
        self.0.load(Ordering::Acquire) == SHUT
    }

    fn change(&self, to: u8) -> bool {
        match self
            .0
            .compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => true,
            Err(found) => found == to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_first_decides() {
        let gate = Gate::default();
        assert!(gate.pass());
        assert!(!gate.shut());
        assert!(gate.pass() && !gate.is_shut());
        let gate = Gate::default();
        assert!(gate.shut());
        assert!(!gate.pass());
        assert!(gate.is_shut());
    }
}
