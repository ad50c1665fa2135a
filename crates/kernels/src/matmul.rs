//! Rows times packed weights: who computes which part, and in which order. Knows no instructions.
//!
//! Each part is a block of rows and a group of panels. A panel goes through the first cache in segments, and each tile
//! of the block's rows goes over a segment before the next comes: weights are read from memory once for a block of rows,
//! and straight through.
#![expect(unsafe_code, reason = "promises that parts are disjoint")]

use crate::convert::convert;
use crate::epilogue::Combine;
use crate::epilogue::Epilogue;
use crate::epilogue::Finish;
use crate::epilogue::finish;
use crate::format::PANEL;
use crate::isa::Isa;
use crate::lines::Line;
use crate::lines::floats;
use crate::output::Output;
use crate::packed::Columns;
use crate::packed::PackedMatrix;
use crate::rows::PackedRows;
use crate::rows::ROW_BLOCK;
use crate::rows::RowShape;
use crate::rows::cut;
use crate::rows::tile_rows;
use crate::team::Team;
use crate::tile;
use crate::tile::shape::Prefetch;
use crate::tile::shape::Tile;
use std::cell::RefCell;
use std::ops::Range;

/// Chunks of one panel that several tiles of rows go through in turn: 16 KiB, a third of a first cache, in which the
/// next ones arrive meanwhile.
const SEGMENT_CHUNKS: usize = 8;
/// How far ahead weights are fetched that only one tile of rows goes through: a few rows are done with a line before the
/// next one comes from memory, whatever the distance, while many must not wait for it. Measured on Zen 5 with weights in
/// memory: 4 KiB is 4 % faster than 12 for one row, and 10 % slower for eight.
const PREFETCH_BYTES: usize = 12 << 10;
const PREFETCH_BYTES_OF_FEW: usize = 4 << 10;
/// Rows that are few.
const FEW: usize = 4;
/// Work below this stays on one thread: another one begins about a microsecond later.
const MIN_SHARED_NANOSECONDS: usize = 4_000;
/// What one thread does of bf16 at best; only to decide whether to share work.
const PRODUCTS_PER_NANOSECOND: usize = 200;
/// What one thread reads from the third cache; only to decide whether to share work.
const BYTES_PER_NANOSECOND: usize = 100;
/// Inputs below which one thread converts them all: some ten microseconds.
const MIN_SHARED_INPUTS: usize = 1 << 17;
/// Parts a thread takes on average, so that threads finish together although they do not run evenly.
const PARTS_PER_THREAD: usize = 4;
/// Lines of a panel are two registers for each row.
const SUM_LINES: usize = PANEL / 16;

thread_local! {
    /// Kept from call to call, so that none allocates once it has seen the largest input.
    static ROWS: RefCell<PackedRows> = RefCell::default();
}

/// x (R, in) times weights (in, out) -> out (R, out), by the epilogue. Sums are f32.
///
/// If columns are gated, out = activation(first) * second.
///
/// # Panics
/// If `x`, `out` or the bias do not have these lengths, or gated columns have a bias or are combined.
pub fn matmul(x: &[f32], weights: &PackedMatrix, epilogue: Epilogue<'_>, out: &mut [f32]) {
    matmul_on(Isa::best(), x, weights, epilogue, out);
}

/// `matmul` with chosen instructions, or the best below them that the processor has: for tests and comparisons.
pub fn matmul_on(
    isa: Isa,
    x: &[f32],
    weights: &PackedMatrix,
    epilogue: Epilogue<'_>,
    out: &mut [f32],
) {
    let (inputs, outputs) = (weights.inputs(), weights.outputs());
    assert!(inputs > 0 && outputs > 0, "weights of some size");
    assert_eq!(x.len() % inputs, 0, "whole rows of inputs");
    assert_eq!(out.len(), x.len() / inputs * outputs, "one row of outputs for each row of inputs");
    assert!(epilogue.bias.is_none_or(|bias| bias.len() == outputs), "one bias for each output");
    assert!(
        weights.columns() == Columns::Plain
            || (epilogue.bias.is_none() && epilogue.combine == Combine::Store),
        "gated columns have neither bias nor anything to meet"
    );
    let isa = isa.min(Isa::best());
    let shape = RowShape { isa, format: weights.format(), inputs, chunks: weights.chunks() };
    ROWS.with_borrow_mut(|rows| {
        convert_rows(shape, x, rows);
        let count = x.len() / inputs;
        Product { rows, shape, weights, epilogue }.run(count, Output::new(out, outputs));
    });
}

/// Brings x into tile order; the rows of a prefill on all threads.
fn convert_rows(shape: RowShape, x: &[f32], rows: &mut PackedRows) {
    let shared = x.len() >= MIN_SHARED_INPUTS;
    Team::shared().share(shared, rows.tiles(x, shape), |(x, words, scales)| {
        convert(shape.isa, shape, x, words, scales);
    });
}

struct Product<'a> {
    rows: &'a PackedRows,
    shape: RowShape,
    weights: &'a PackedMatrix,
    epilogue: Epilogue<'a>,
}

impl Product<'_> {
    /// Cuts the product into blocks of rows and groups of panels, and shares these among the threads.
    fn run(&self, count: usize, out: Output<'_>) {
        let blocks = cut(0..count, ROW_BLOCK);
        let panels = self.weights.panels();
        let groups = cut(0..panels, panels.div_ceil(self.groups(count, blocks.len())));
        let (blocks, groups): (&_, &_) = (&blocks, &groups);
        let group_count = groups.len();
        Team::shared().run(blocks.len() * group_count, |part| {
            let rows = blocks.clone().nth(part / group_count).expect("parts are counted by blocks");
            let panels =
                groups.clone().nth(part % group_count).expect("parts are counted by groups");
            self.part(rows, panels, out);
        });
    }

    /// Groups that each block of rows goes through: as many parts for one thread as for another, or one group if the work
    /// is too little to share.
    fn groups(&self, count: usize, blocks: usize) -> usize {
        let threads = Team::shared().threads();
        if threads == 1 || self.nanoseconds(count) < MIN_SHARED_NANOSECONDS {
            return 1;
        }
        (threads * PARTS_PER_THREAD).div_ceil(blocks.max(1)).next_multiple_of(threads)
    }

    /// About what one thread takes, by what limits it: arithmetic, or reading the weights.
    fn nanoseconds(&self, count: usize) -> usize {
        let products = count * self.shape.inputs * self.weights.panels() * PANEL;
        (products / PRODUCTS_PER_NANOSECOND).max(self.weights.bytes() / BYTES_PER_NANOSECOND)
    }

    fn part(&self, rows: Range<usize>, panels: Range<usize>, out: Output<'_>) {
        let mut sums = [Line::ZERO; ROW_BLOCK * SUM_LINES];
        let sums = &mut sums[..rows.len() * SUM_LINES];
        for panel in panels {
            let width = self.weights.columns().outputs_per_panel();
            let columns = panel * width..self.weights.outputs().min((panel + 1) * width);
            out.prefetch(&rows, &columns);
            sums.fill(Line::ZERO);
            self.panel(&rows, self.weights.panel(panel), sums);
            let kind = self.weights.columns();
            let done = Finish { epilogue: self.epilogue, rows: rows.clone(), columns, kind };
            // SAFETY: each part has its own rows and panels, and nobody else holds the output.
            unsafe { finish(self.shape.isa, &done, floats(sums), out) };
        }
    }

    /// sums (rows, 32) += rows times one panel
    fn panel(&self, rows: &Range<usize>, weights: &[Line], sums: &mut [Line]) {
        let RowShape { isa, format, chunks, .. } = self.shape;
        let tiles = cut(rows.clone(), tile_rows(isa));
        let segment = if tiles.len() == 1 { chunks } else { SEGMENT_CHUNKS };
        for start in (0..chunks).step_by(segment) {
            let segment = start..chunks.min(start + segment);
            let weights = &weights[format.lines(segment.start)..format.lines(segment.end)];
            for (index, tile) in tiles.clone().enumerate() {
                let prefetch = match tiles.len() {
                    1 if rows.len() <= FEW => Prefetch { from: PREFETCH_BYTES_OF_FEW, stride: 128 },
                    1 => Prefetch { from: PREFETCH_BYTES, stride: 128 },
                    _ => Prefetch::share_of_next(weights, index),
                };
                let (x, scales) = self.rows.tile(self.shape, &tile, &segment);
                let sums =
                    &mut sums[(tile.start - rows.start) * SUM_LINES..][..tile.len() * SUM_LINES];
                let (rows, chunks) = (tile.len(), segment.len());
                let mut tile = Tile { rows, chunks, x, scales, weights, prefetch, sums };
                tile::multiply(isa, format, &mut tile);
            }
        }
    }
}
