//! The same folds make the same graph: on every machine, for any count of threads and any
//! instruction set.

use super::*;
use crate::kernels::Kernels;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Euclidean, Metric::DotProduct];
/// The digests of the graphs of these metrics. Where they change, the same log makes another
/// graph than it did before.
const DIGESTS: [u64; 3] = [
    0xe1ff_f267_f162_d4ab,
    0xf40f_4d11_c62a_a379,
    0x6323_2de6_0134_c69e,
];

/// Folds, a repair, and folds into the slots that it freed.
fn digest(metric: Metric, kernels: Kernels, threads: usize) -> u64 {
    let parameters = IndexParameters::new(80, metric);
    let graph = Arc::new(Graph::with_kernels(parameters, kernels));
    let mut builder = Builder::new(Arc::clone(&graph));
    let fold = |builder: &mut Builder, slots: &[Slot], generation: u64| {
        let seed = |slot: Slot| u64::from(slot) + (generation << 32);
        let vector_of = |slot: Slot| clustered(seed(slot), 80);
        let vectors: Vec<Vec<f32>> = slots.iter().copied().map(vector_of).collect();
        graph.bound_length(&mut vectors.iter().map(Vec::as_slice));
        for (&slot, vector) in slots.iter().zip(&vectors) {
            graph.encode(slot, vector);
        }
        let rows: Vec<_> = slots.iter().map(|&slot| (slot, hash(seed(slot)))).collect();
        builder.fold(&rows);
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool");
    pool.install(|| {
        let slots: Vec<Slot> = (0..3000).collect();
        for block in [
            &slots[..1200],
            &slots[1200..1210],
            &slots[1210..1211],
            &slots[1211..],
        ] {
            fold(&mut builder, block, 0);
        }
        let dead: Vec<Slot> = slots.iter().copied().filter(|slot| slot % 5 == 2).collect();
        builder.repair(&dead);
        fold(&mut builder, &dead, 1);
        check(&builder);
        builder.digest()
    })
}

#[test]
fn the_graph_does_not_depend_on_threads() {
    let kernels = Kernels::detect();
    let digests = [1, 2, 7].map(|threads| digest(Metric::Cosine, kernels, threads));
    assert_eq!(digests, [DIGESTS[0]; 3], "{digests:#x?}");
}

#[test]
fn the_graph_does_not_depend_on_the_instruction_set() {
    for kernels in Kernels::available() {
        let digests = METRICS.map(|metric| digest(metric, kernels, 2));
        let set = kernels.instruction_set();
        assert_eq!(digests, DIGESTS, "{set}: {digests:#x?}");
    }
}
