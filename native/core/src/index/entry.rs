//! The way into the graph for searches: an unchanging copy of the leaders' panel.

use super::leaders::{Leaders, ScanBuffers, SignPanel};
use super::survivors::Threshold;
use crate::kernels::{CodeQuery, Kernels};
use crate::record::Slot;

/// The leaders of one moment as searches use them. It stays valid as the graph grows; rows that
/// it names may have died since, but their codes and links are still there as long as the
/// snapshot that came with it.
#[derive(Debug)]
pub struct Entry {
    panel: SignPanel,
    slots: Vec<Slot>,
}

impl Entry {
    pub(super) fn new(leaders: &Leaders) -> Self {
        Entry {
            panel: leaders.panel().clone(),
            slots: leaders.slots().to_vec(),
        }
    }

    /// Count of ways in; without any, the graph is empty.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the graph is empty.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slots of about `target` leaders near a query; all of them where there are few. Two
    /// leaders may lead to the same slot.
    pub(super) fn near(
        &self,
        kernels: Kernels,
        query: &CodeQuery,
        target: usize,
        buffers: &mut ScanBuffers,
        slots: &mut Vec<Slot>,
    ) {
        slots.clear();
        let queries = std::slice::from_ref(query);
        let mut threshold = Threshold::default();
        self.panel.shortlist(
            kernels,
            queries,
            target,
            &mut threshold,
            buffers,
            |_, places| {
                slots.extend(
                    places
                        .iter()
                        .filter_map(|&place| self.slots.get(place as usize)),
                );
            },
        );
    }
}
