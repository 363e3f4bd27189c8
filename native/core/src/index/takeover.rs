//! Arrival of leaders: a new leader takes over from its neighborhood.
//!
//! Nothing is ever routed anew as a whole. Leaders come with the rows, about one in sixty; each
//! looks at the members of the leaves around it, and those to whom it is nearer than the
//! farthest of their leaders move over. No fold is longer than another for it.

use rayon::prelude::*;

use super::assignments::Offer;
use super::builder::Builder;
use super::candidate;
use super::leaders::LeaderNumber;
use super::leaf::{self, Change};
use super::route;
use super::workspace::Workspace;
use crate::record::Slot;

/// One row in this many becomes a leader, by the hash of its id.
pub(super) const ROWS_PER_LEADER: u64 = 60;
/// Leaves around a new leader whose members it may take over.
const NEIGHBORHOOD: usize = 8;

/// Members of each of those leaves whose int8 distance to the new leader is computed: those
/// that are likely the nearest. About twenty move.
const LIKELY_MEMBERS: usize = 64;

/// What the arrival of leaders took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    pub moved: usize,
    pub evaluations: usize,
}

/// Members that a new leader would like, with their distances to it.
struct Claims {
    members: Vec<(Slot, f32)>,
    evaluations: usize,
}

impl Builder {
    /// Makes rows leaders, each with a leaf filled from the leaves around it.
    pub(super) fn add_leaders(&mut self, slots: &[Slot]) -> Arrival {
        let claims: Vec<Claims> = slots
            .par_iter()
            .map(|&slot| {
                self.workspaces
                    .with(|workspace| self.claims(slot, workspace))
            })
            .collect();
        let first = self.leaders.len() as LeaderNumber;
        let mut query = self.graph.empty_query();
        for &slot in slots {
            self.graph.row_query(slot, &mut query);
            self.leaders.push(slot, &query);
            let leaf = self.empty_leaf();
            self.leaves.push(leaf);
        }
        let mut arrival = Arrival::default();
        let mut changes: Vec<(LeaderNumber, Slot, Change)> = Vec::new();
        for (leader, claims) in (first..).zip(claims) {
            arrival.evaluations += claims.evaluations;
            for (slot, distance) in claims.members {
                let Some(assignments) = self.assignments.get_mut(slot as usize) else {
                    continue;
                };
                let offer = assignments.offer(leader, distance);
                if offer == Offer::Refused {
                    continue;
                }
                if let Offer::Replaced(leaf) = offer {
                    changes.push((leaf, slot, Change::Leave));
                }
                changes.push((leader, slot, Change::Join(distance)));
                arrival.moved += 1;
            }
        }
        self.change_leaves(changes);
        arrival
    }

    /// The members around a row that would be nearer to it than to one of their leaders.
    fn claims(&self, slot: Slot, workspace: &mut Workspace) -> Claims {
        let mut near: Vec<LeaderNumber> = Vec::with_capacity(NEIGHBORHOOD);
        let rows = std::slice::from_ref(&slot);
        let mut evaluations = route::nearest_leaders(
            &self.graph,
            &self.leaders,
            rows,
            NEIGHBORHOOD,
            workspace,
            |_, keys| near.extend(keys.iter().map(|&key| candidate::candidate(key).slot)),
        );
        let Workspace {
            queries,
            leaf: buffers,
            visited,
            slots,
            distances,
            ..
        } = workspace;
        let query = &mut queries[0];
        self.graph.row_query(slot, query);
        slots.clear();
        for &leader in &near {
            let Some(leaf) = self.leaves.get(leader as usize) else {
                continue;
            };
            let leader = self.leaders.code(leader);
            leaf.near(&self.graph, &leader, query, LIKELY_MEMBERS, buffers, slots);
        }
        slots.retain(|&member| visited.insert(member));
        visited.clear();
        evaluations += slots.len();
        self.graph.distances_from(slot, slots, distances);
        let wanted = slots
            .iter()
            .zip(&*distances)
            .filter(|&(&member, &distance)| {
                let assignments = self.assignments.get(member as usize);
                assignments.is_some_and(|assignments| assignments.would_take(distance))
            });
        let members = wanted
            .map(|(&member, &distance)| (member, distance))
            .collect();
        Claims {
            members,
            evaluations,
        }
    }

    /// Carries out changes of members, in order within each leaf, all leaves at once.
    pub(super) fn change_leaves(&mut self, mut changes: Vec<(LeaderNumber, Slot, Change)>) {
        changes.sort_by_key(|&(leaf, _, _)| leaf);
        let groups: Vec<&[(LeaderNumber, Slot, Change)]> =
            changes.chunk_by(|left, right| left.0 == right.0).collect();
        let numbers = groups.iter().filter_map(|group| Some(group.first()?.0));
        let leaves = leaf::some_leaves(&mut self.leaves, numbers);
        let (graph, leaders, workspaces) = (&self.graph, &self.leaders, &self.workspaces);
        leaves
            .into_par_iter()
            .zip(&groups)
            .for_each(|(leaf, group)| {
                let Some(&(leader, _, _)) = group.first() else {
                    return;
                };
                let leader = leaders.code(leader);
                let changes = group.iter().map(|&(_, slot, change)| (slot, change));
                workspaces.with(|workspace| {
                    leaf.apply(graph, &leader, changes, &mut workspace.leaf);
                });
            });
    }
}
