//! The way into the graph for searches: an unchanging copy of the leaders' panel.

use std::sync::Arc;

use super::first_look::FirstLook;
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
    first_look: Option<Arc<FirstLook>>,
}

impl Entry {
    pub(super) fn new(leaders: &Leaders, first_look: Option<Arc<FirstLook>>) -> Self {
        Entry {
            first_look,
            panel: leaders.panel().clone(),
            slots: leaders.slots().to_vec(),
        }
    }

    /// What searches see of a row first, where that pays.
    pub(super) fn first_look(&self) -> Option<&FirstLook> {
        self.first_look.as_deref()
    }

    /// A panel without rows, around the leaders' center.
    pub(super) fn empty_panel(&self) -> SignPanel {
        self.panel.emptied()
    }

    /// Count of ways in; without any, the graph is empty.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the graph is empty.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Calls `each` for every query (at most four) with its place and the slots of about `target`
    /// leaders near it; of all of them where there are few. Two leaders may lead to one slot.
    pub(super) fn near(
        &self,
        kernels: Kernels,
        queries: &[&CodeQuery],
        target: usize,
        buffers: &mut ScanBuffers,
        mut each: impl FnMut(usize, &mut dyn Iterator<Item = Slot>),
    ) {
        let mut threshold = Threshold::default();
        self.panel.shortlist(
            kernels,
            queries,
            target,
            &mut threshold,
            buffers,
            |query, places| {
                let slots = places.iter();
                let mut slots = slots.filter_map(|&place| self.slots.get(place as usize).copied());
                each(query, &mut slots);
            },
        );
    }
}
