//! The order in which a vector instruction set takes the rows of a list.

use super::rows::{CodeRows, Line, ROWS_AT_ONCE};
use crate::record::Slot;

/// Groups of rows that are on their way from memory while one is scored.
const GROUPS_AHEAD: usize = 2;

/// Takes the rows of `slots` four at a time through `dot_four`, asking for later rows ahead
/// where they may be `far`.
#[inline(always)]
pub(super) fn for_each_four_rows(
    rows: &CodeRows,
    slots: &[Slot],
    far: bool,
    out: &mut [i32],
    dot_four: impl Fn([&[Line]; ROWS_AT_ONCE]) -> [i32; ROWS_AT_ONCE],
) {
    let ahead = ROWS_AT_ONCE * GROUPS_AHEAD;
    let asked = if far { slots } else { &[] };
    for &slot in asked.iter().take(ahead) {
        rows.prefetch(slot);
    }
    let groups = slots.chunks(ROWS_AT_ONCE).zip(out.chunks_mut(ROWS_AT_ONCE));
    for (group, (slots_of_group, out)) in groups.enumerate() {
        let next = group * ROWS_AT_ONCE + ahead;
        for &slot in asked.iter().skip(next).take(ROWS_AT_ONCE) {
            rows.prefetch(slot);
        }
        // A short last group repeats its last row.
        let row = |place: usize| rows.row(slots_of_group[place.min(slots_of_group.len() - 1)]);
        let dots = dot_four([row(0), row(1), row(2), row(3)]);
        out.copy_from_slice(&dots[..out.len()]);
    }
}
