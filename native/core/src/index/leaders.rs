//! The leaders: the rows of layer 1, each the center of a leaf, scanned as one dense panel.
//!
//! In the words of HNSW (Yu. Malkov, D. Yashunin, arXiv 1603.09320) they are layer 1. Here no
//! links lead through that layer: with one leader in about 60 rows, a scan of 1-bit codes finds
//! the nearest of them faster than a walk, until there are many millions of rows.

use super::codes;
use super::survivors::Threshold;
use crate::kernels::{CodeQuery, CodeRows, Kernels, PanelQuery, Panels};
use crate::record::Slot;

/// The number of a leader and of its leaf; dense, so it changes when another leader goes.
pub(super) type LeaderNumber = u32;

/// Rows of 1-bit codes around one center, scanned to find the few that are worth a distance.
#[derive(Clone, Debug)]
pub(super) struct SignPanel {
    center: CodeQuery,
    panels: Panels,
}

/// What a scan of a [`SignPanel`] needs beside it; kept by a thread for its next scan.
#[derive(Debug, Default)]
pub(super) struct ScanBuffers {
    words: Vec<u32>,
    scores: [Vec<f32>; 4],
    masks: Vec<u64>,
    places: Vec<u32>,
}

impl SignPanel {
    fn new(center: CodeQuery, words: usize) -> Self {
        SignPanel {
            center,
            panels: Panels::new(words),
        }
    }

    /// A panel without rows, around the same center.
    pub fn emptied(&self) -> Self {
        SignPanel::new(self.center.clone(), self.panels.words_per_member())
    }

    /// Adds a row behind the others.
    pub fn push(&mut self, kernels: Kernels, row: &CodeQuery) {
        let mut words = vec![0; self.panels.words_per_member()];
        let square_norm = self.residual(kernels, row, &mut words);
        self.panels.push(&words, square_norm);
    }

    /// Signs of a row's residual, and the square of its length.
    fn residual(&self, kernels: Kernels, row: &CodeQuery, words: &mut [u32]) -> f32 {
        let center = &self.center;
        kernels.residual_signs(&row.codes, row.scale, &center.codes, center.scale, words);
        2.0 * codes::distance(kernels, row, center).max(0.0)
    }

    /// Calls `each` for every query (at most 4) with the places of about `target` members that
    /// are likely the nearest to it; all places where there are few.
    pub fn shortlist(
        &self,
        kernels: Kernels,
        queries: &[&CodeQuery],
        target: usize,
        threshold: &mut Threshold,
        buffers: &mut ScanBuffers,
        mut each: impl FnMut(usize, &[u32]),
    ) {
        let members = self.panels.len();
        if members <= 2 * target {
            buffers.places.clear();
            buffers.places.extend(0..members as u32);
            return (0..queries.len()).for_each(|query| each(query, &buffers.places));
        }
        let count = self.panels.words_per_member();
        buffers.words.resize(4 * count, 0);
        let mut norms = [0.0; 4];
        let rows = buffers.words.chunks_exact_mut(count).zip(&mut norms);
        for (query, (words, norm)) in queries.iter().zip(rows) {
            *norm = self.residual(kernels, query, words).sqrt();
        }
        let mut rows = buffers.words.chunks_exact(count).zip(norms);
        let asked: [_; 4] = std::array::from_fn(|_| match rows.next() {
            Some((words, norm)) => PanelQuery { words, norm },
            None => PanelQuery {
                words: &[],
                norm: 0.0,
            },
        });
        let asked = &asked[..queries.len().min(4)];
        let sums = kernels.panel_scores(&self.panels, asked, &mut buffers.scores);
        for (query, (scores, sum)) in buffers
            .scores
            .iter()
            .zip(sums)
            .take(asked.len())
            .enumerate()
        {
            // Among equal leaders every row takes others: a turn by its own signs.
            let start = asked[query]
                .words
                .iter()
                .fold(0, |all, &word| all ^ word as usize);
            let (masks, places) = (&mut buffers.masks, &mut buffers.places);
            threshold.select(kernels, scores, sum, target, start % members, masks, places);
            each(query, places);
        }
    }
}

/// All leaders of one graph.
#[derive(Debug)]
pub(super) struct Leaders {
    kernels: Kernels,
    /// The leaders' own codes by number: a leader stays when its row dies.
    codes: CodeRows,
    /// Where a search that chose this leader begins: a live row, mostly the leader's own.
    slots: Vec<Slot>,
    panel: SignPanel,
    /// Count of leaders when the panel's center was computed.
    centered_at: usize,
}

impl Leaders {
    pub fn new(kernels: Kernels, code_dimension: usize) -> Self {
        let codes = CodeRows::new(code_dimension);
        let center = CodeQuery {
            codes: vec![0; codes.row_bytes()],
            scale: 0.0,
            bias: 0.0,
        };
        let panel = SignPanel::new(center, code_dimension.div_ceil(32));
        Leaders {
            kernels,
            codes,
            slots: Vec::new(),
            panel,
            centered_at: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn codes(&self) -> &CodeRows {
        &self.codes
    }

    pub fn panel(&self) -> &SignPanel {
        &self.panel
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn set_slot(&mut self, leader: LeaderNumber, slot: Slot) {
        if let Some(own) = self.slots.get_mut(leader as usize) {
            *own = slot;
        }
    }

    /// A leader's codes, as a query.
    pub fn code(&self, leader: LeaderNumber) -> CodeQuery {
        let mut codes = vec![0; self.codes.row_bytes()];
        self.codes.read(leader, &mut codes);
        let (scale, bias) = self.codes.scale_and_bias(leader);
        CodeQuery { codes, scale, bias }
    }

    /// Adds a leader with the next number.
    pub fn push(&mut self, slot: Slot, row: &CodeQuery) {
        let number = self.slots.len() as LeaderNumber;
        self.codes.write(number, &row.codes, row.scale, row.bias);
        self.slots.push(slot);
        if self.slots.len() >= 2 * self.centered_at {
            self.recenter();
        } else {
            self.panel.push(self.kernels, row);
        }
    }

    /// Removes a leader; the last one takes over its number.
    pub fn swap_remove(&mut self, leader: LeaderNumber) {
        let last = self.slots.len() as LeaderNumber - 1;
        let moved = self.code(last);
        self.codes
            .write(leader, &moved.codes, moved.scale, moved.bias);
        self.slots.swap_remove(leader as usize);
        self.panel.panels.swap_remove(leader as usize);
        self.centered_at = self.centered_at.min(self.slots.len());
    }

    /// Makes the panel anew around the present mean of all leaders.
    ///
    /// The leaders are a fair sample of the rows at any time, and a mean from half as many
    /// still serves, so this happens only each time that their count has doubled.
    fn recenter(&mut self) {
        let dimension = self.codes.row_bytes();
        let mut sum = vec![0f64; dimension];
        let rows: Vec<CodeQuery> = (0..self.slots.len())
            .map(|leader| self.code(leader as LeaderNumber))
            .collect();
        for row in &rows {
            for (sum, &code) in sum.iter_mut().zip(&row.codes) {
                *sum += f64::from(row.scale) * f64::from(code);
            }
        }
        let mean: Vec<f32> = sum
            .iter()
            .map(|sum| (sum / rows.len() as f64) as f32)
            .collect();
        let mut codes = vec![0; dimension];
        let encoded = self.kernels.encode(&mean, &mut codes);
        let bias = 0.5 * encoded.scale * encoded.scale * encoded.square_sum as f32;
        self.center_on(
            CodeQuery {
                codes,
                scale: encoded.scale,
                bias,
            },
            rows.len(),
        );
    }

    /// What [`Leaders::restore`] needs to make the same panel again.
    pub fn center(&self) -> (&CodeQuery, usize) {
        (&self.panel.center, self.centered_at)
    }

    /// Leaders as they were saved.
    pub fn restore(
        kernels: Kernels,
        code_dimension: usize,
        leaders: Vec<(Slot, CodeQuery)>,
        center: CodeQuery,
        centered_at: usize,
    ) -> Self {
        let mut restored = Leaders::new(kernels, code_dimension);
        for (number, (slot, row)) in (0..).zip(leaders) {
            restored
                .codes
                .write(number, &row.codes, row.scale, row.bias);
            restored.slots.push(slot);
        }
        restored.center_on(center, centered_at);
        restored
    }

    fn center_on(&mut self, center: CodeQuery, centered_at: usize) {
        self.panel = SignPanel::new(center, self.panel.panels.words_per_member());
        for leader in 0..self.slots.len() {
            self.panel
                .push(self.kernels, &self.code(leader as LeaderNumber));
        }
        self.centered_at = centered_at;
    }
}
