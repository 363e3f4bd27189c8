//! Rows that no link leads to, and how they are found again.

use super::builder::Builder;
use super::search::{self, Scratch, Search, Selection};
use crate::record::Slot;

/// Beam widths at which a row that a search can reach and that has room is looked for.
const WIDTHS: [usize; 4] = [16, 64, 256, 1024];

impl Builder {
    /// Links every row of the graph among `touched` that no link leads to, and every one of
    /// `unsure`, from a near row that a search does reach; returns how many there were.
    pub(super) fn adopt_orphans(&mut self, mut touched: Vec<Slot>, unsure: Vec<Slot>) -> usize {
        // The first row had no other to be linked from when it came.
        touched.extend(self.leaders.slots().first());
        touched.retain(|&slot| self.in_degree(slot) == 0);
        touched.extend(unsure);
        touched.retain(|&slot| self.contains(slot));
        touched.sort_unstable();
        touched.dedup();
        if touched.is_empty() || self.live < 2 {
            return 0;
        }
        self.renew_entry();
        let mut scratch = Scratch::default();
        for &slot in &touched {
            if !self.adopt(slot, &mut scratch) {
                self.adopt_anywhere(slot);
            }
        }
        touched.len()
    }

    /// Links an orphan from the nearest row that has room for it or a link to spare.
    fn adopt(&self, orphan: Slot, scratch: &mut Scratch) -> bool {
        let mut query = self.graph.empty_query();
        self.graph.row_query(orphan, &mut query);
        let links = self.graph.links();
        for width in WIDTHS {
            let others = |slot: Slot| slot != orphan && self.contains(slot);
            let search = Search {
                query: &query,
                ef: width,
                wanted: width,
                selection: Selection::Visible(&others),
            };
            let found = search::search(&self.graph, &self.entry, &search, scratch);
            let with_room = |&slot: &Slot| links.count(slot) < links.capacity();
            let near = || found.iter().map(|candidate| candidate.slot);
            if near().any(|parent| links.list(parent).any(|link| link == orphan)) {
                return true;
            }
            if let Some(parent) = near().find(with_room) {
                links.append(parent, std::iter::once(orphan));
                self.count_added(std::iter::once(orphan));
                return true;
            }
            if near().any(|parent| self.replace_spare_link(parent, orphan)) {
                return true;
            }
        }
        false
    }

    /// Puts a link to the orphan in the place of the parent's link to the row that most others
    /// lead to; false if each of its links is the only one to its target.
    fn replace_spare_link(&self, parent: Slot, orphan: Slot) -> bool {
        let links = self.graph.links();
        let mut list: Vec<Slot> = links.list(parent).collect();
        let most = list
            .iter_mut()
            .max_by_key(|slot| (self.in_degree(**slot), **slot));
        let Some(spare) = most.filter(|slot| self.in_degree(**slot) > 1) else {
            return false;
        };
        self.count_dropped(std::iter::once(*spare));
        *spare = orphan;
        self.count_added(std::iter::once(orphan));
        links.write(parent, &list);
        true
    }

    /// Links an orphan from the first row that can take it and does not yet. Reached only where
    /// more than a thousand near rows are full of links that must stay, or where searches reach
    /// nothing but the orphan.
    fn adopt_anywhere(&self, orphan: Slot) {
        let links = self.graph.links();
        let rows = (0..self.assignments.len() as Slot).filter(|&slot| slot != orphan);
        let mut rows = rows.filter(|&slot| self.contains(slot));
        let can_take = |&slot: &Slot| {
            links.count(slot) < links.capacity() && links.list(slot).all(|link| link != orphan)
        };
        if let Some(parent) = rows.find(can_take) {
            links.append(parent, std::iter::once(orphan));
            self.count_added(std::iter::once(orphan));
        }
    }
}
