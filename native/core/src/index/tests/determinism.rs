//! The same folds make the same graph.

use super::*;
use crate::kernels::Kernels;

/// Folds, a repair, and folds into the slots that it freed.
fn digest(kernels: Kernels, threads: usize) -> u64 {
    let parameters = IndexParameters::new(80, Metric::Cosine);
    let graph = Arc::new(Graph::with_kernels(parameters, kernels));
    let mut builder = Builder::new(Arc::clone(&graph));
    let fold = |builder: &mut Builder, slots: &[Slot], generation: u64| {
        let seed = |slot: Slot| u64::from(slot) + (generation << 32);
        for &slot in slots {
            graph.encode(slot, &clustered(seed(slot), 80));
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
    let digests: Vec<u64> = [1, 2, 7].map(|threads| digest(kernels, threads)).to_vec();
    assert_eq!(digests, [digests[0]; 3]);
}

#[test]
fn the_graph_does_not_depend_on_the_instruction_set() {
    let digests: Vec<u64> = Kernels::available()
        .into_iter()
        .map(|kernels| digest(kernels, 2))
        .collect();
    assert!(
        digests.iter().all(|&other| other == digests[0]),
        "{digests:x?}"
    );
}
