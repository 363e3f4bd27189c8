//! Rows that are not in the graph yet, as 1-bit codes, for batches of many queries.
//!
//! One query compares itself with each such row ([`super::scan`]). Where many ask, the signs of
//! the rows are taken once, and each query computes distances only for the rows whose signs are
//! most like its own: a panel of signs is scanned some ten times as fast as codes are.

use rayon::prelude::*;

use super::entry::Entry;
use super::first_look::FirstLook;
use super::graph::Graph;
use super::leaders::SignPanel;
use super::metric::Metric;
use super::scan::scan;
use super::search::Scratch;
use super::survivors::Threshold;
use crate::kernels::CodeQuery;
use crate::record::Slot;

/// Rows of one panel: their scores for four queries stay in the nearest cache.
const PANEL_ROWS: usize = 2048;
/// Of a panel's rows, how many a query computes distances to.
const SHORTLIST: usize = 96;
/// Signs of fewer rows are not worth taking.
const ROWS_MIN: usize = PANEL_ROWS / 2;
/// Nor is it for fewer queries.
const QUERIES_MIN: usize = 8;

/// The rows of a tail, in panels.
#[derive(Debug)]
pub struct TailPanels(Vec<TailPanel>);

#[derive(Debug)]
struct TailPanel {
    signs: SignPanel,
    slots: Vec<Slot>,
}

impl TailPanels {
    /// Takes the signs of rows around the center of an entry, on the current pool's threads;
    /// `None` where comparing the queries with each row is as fast.
    pub fn new(graph: &Graph, entry: &Entry, slots: &[Slot], queries: usize) -> Option<Self> {
        let pays = slots.len() >= ROWS_MIN
            && queries >= QUERIES_MIN
            && !entry.is_empty()
            // What completes rows to one length is most of what their signs would tell.
            && graph.parameters().metric != Metric::DotProduct
            && FirstLook::pays(graph.codes().row_bytes());
        let panel = |slots: &[Slot]| {
            let mut signs = entry.empty_panel();
            let mut row = graph.empty_query();
            for &slot in slots {
                graph.row_query(slot, &mut row);
                signs.push(graph.kernels(), &row);
            }
            let slots = slots.to_vec();
            TailPanel { signs, slots }
        };
        pays.then(|| TailPanels(slots.par_chunks(PANEL_ROWS).map(panel).collect()))
    }

    /// The `keep` nearest rows of each query (at most four) as far as signs tell: nearest first,
    /// in each one's scratch, see [`Scratch::results`].
    pub fn scan(
        &self,
        graph: &Graph,
        queries: &[&CodeQuery],
        keep: usize,
        scratches: &mut [Scratch],
    ) {
        let Some((first, _)) = scratches.split_first_mut() else {
            return;
        };
        let mut buffers = std::mem::take(&mut first.scan);
        scratches
            .iter_mut()
            .for_each(|scratch| scratch.slots.clear());
        let mut threshold = Threshold::default();
        let target = SHORTLIST.max(2 * keep);
        for TailPanel { signs, slots } in &self.0 {
            let near = |query: usize, places: &[u32]| {
                let near = places.iter().filter_map(|&place| slots.get(place as usize));
                scratches[query].slots.extend(near);
            };
            let kernels = graph.kernels();
            signs.shortlist(kernels, queries, target, &mut threshold, &mut buffers, near);
        }
        for (query, scratch) in queries.iter().zip(&mut *scratches) {
            let slots = std::mem::take(&mut scratch.slots);
            scan(graph, query, &slots, keep, scratch);
            scratch.slots = slots;
        }
        if let Some(first) = scratches.first_mut() {
            first.scan = buffers;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Built, build, clustered};
    use super::*;

    const DIMENSION: usize = 256;
    const FOLDED: u64 = 200;
    const ROWS: u64 = 5000;

    /// A graph of a few rows, and codes of many more.
    fn tail(metric: Metric) -> (Built, Vec<Slot>) {
        let vectors = (0..FOLDED).map(|seed| clustered(seed, DIMENSION)).collect();
        let built = build(metric, vectors, &[FOLDED as usize]);
        for seed in FOLDED..ROWS {
            built
                .graph
                .encode(seed as Slot, &clustered(seed, DIMENSION));
        }
        (built, (FOLDED as Slot..ROWS as Slot).collect())
    }

    #[test]
    fn panels_find_nearly_all_that_a_scan_finds_and_equal_rows_first() {
        for metric in [Metric::Cosine, Metric::Euclidean] {
            let (built, slots) = tail(metric);
            let entry = built.builder.entry();
            let panels = TailPanels::new(&built.graph, &entry, &slots, 64).expect("many queries");
            let mut scratches: [Scratch; 3] = Default::default();
            let mut shared = 0;
            for first in (0..60).step_by(3) {
                let seeds = [first, first + 1, first + 2];
                let queries = seeds.map(|seed| {
                    let vector = clustered(FOLDED + 70 * seed, DIMENSION);
                    built.graph.query(&vector)
                });
                panels.scan(&built.graph, &queries.each_ref(), 10, &mut scratches);
                for ((query, seed), found) in queries.iter().zip(seeds).zip(&scratches) {
                    let found = found.results().to_vec();
                    let mut scratch = Scratch::default();
                    let exact = scan(&built.graph, query, &slots, 10, &mut scratch);
                    assert_eq!(u64::from(found[0].slot), FOLDED + 70 * seed);
                    assert!(found.is_sorted_by_key(|found| found.distance));
                    shared += exact.iter().filter(|row| found.contains(row)).count();
                }
            }
            assert!(shared >= 590, "{shared} of 600 under {metric:?}");
        }
    }

    #[test]
    fn where_signs_do_not_pay_rows_are_compared_one_by_one() {
        let (built, slots) = tail(Metric::Cosine);
        let entry = built.builder.entry();
        let panels =
            |rows: usize, queries| TailPanels::new(&built.graph, &entry, &slots[..rows], queries);
        assert!(panels(4000, 8).is_some());
        assert!(panels(4000, 7).is_none());
        assert!(panels(1000, 100).is_none());
        let short = build(
            Metric::Cosine,
            (0..9).map(|seed| clustered(seed, 16)).collect(),
            &[9],
        );
        let entry = short.builder.entry();
        assert!(TailPanels::new(&short.graph, &entry, &slots, 100).is_none());
        let (built, slots) = tail(Metric::DotProduct);
        let entry = built.builder.entry();
        assert!(TailPanels::new(&built.graph, &entry, &slots, 100).is_none());
    }
}
