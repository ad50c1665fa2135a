//! Weights packed once at load, in the order in which the kernels read them. Knows no activations and no threads.

use crate::lines::Line;
use crate::lines::floats;
use crate::lines::floats_mut;
use crate::lines::words;
use crate::lines::words_mut;
use crate::memory::Zeroed;
use crate::team::Team;
use half::bf16;
use std::ops::Range;

/// Columns of a panel: two registers of 16 lanes.
pub const PANEL: usize = 32;
/// Steps that share a chunk; weights are padded with zeros to whole chunks. A step is one 32-bit word of each input row.
pub(super) const CHUNK: usize = 16;
/// Cache lines of one chunk of one panel.
pub(super) const CHUNK_LINES: usize = CHUNK * PANEL / 16;
/// Chunks that share one scale a row and output in the 8-bit format: 128 inputs.
pub(super) const BLOCK_CHUNKS: usize = 2;
/// Cache lines of the 32 scales that an 8-bit block opens with.
pub(super) const SCALE_LINES: usize = PANEL / 16;
/// Weights below which one thread packs them all.
const MIN_SHARED_WEIGHTS: usize = 1 << 16;
/// Weights of the 8-bit format are kept with this added, as `vpdpbusd` wants one unsigned factor.
pub(super) const OFFSET: i32 = 128;

/// How weights are kept, and so in what precision inputs are multiplied. Sums are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 4 bytes a weight.
    F32,
    /// 2 bytes a weight; inputs are rounded to bf16 too.
    Bf16,
    /// 1 byte a weight and one f32 scale for 128 of them along the inputs; inputs are quantised likewise, row by row.
    Int8,
}

impl Format {
    /// Inputs that one 32-bit word holds.
    pub(super) fn inputs_per_step(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }

    /// Inputs that one chunk holds.
    pub(super) fn inputs_per_chunk(self) -> usize {
        CHUNK * self.inputs_per_step()
    }

    /// Cache lines of the first `chunks` chunks of a panel; an even number of chunks, or all of them.
    pub(super) fn lines(self, chunks: usize) -> usize {
        let scales = match self {
            Self::F32 | Self::Bf16 => 0,
            Self::Int8 => chunks.div_ceil(BLOCK_CHUNKS) * SCALE_LINES,
        };
        chunks * CHUNK_LINES + scales
    }
}

/// Which columns a panel of 32 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// 32 outputs.
    Plain,
    /// Two for each of 16 outputs, of which the product is activation(first) * second: the gates in columns 0 to 15,
    /// what they let through in 16 to 31.
    Gated,
}

impl Columns {
    /// Outputs of one panel.
    pub fn outputs_per_panel(self) -> usize {
        match self {
            Self::Plain => PANEL,
            Self::Gated => PANEL / 2,
        }
    }
}

/// A weight matrix (in, out) in panels of 32 columns; see the module's picture.
#[derive(Debug)]
pub struct PackedMatrix {
    inputs: usize,
    outputs: usize,
    format: Format,
    columns: Columns,
    lines: Zeroed<Line>,
}

impl PackedMatrix {
    /// Packs panel by panel, on all threads, so that no second copy of the whole is held: `fill(outputs, panel)` writes
    /// the weights of one panel's outputs into `panel` (in, 32), where output `outputs.start + j` is column j, and its
    /// second column j + 16 if columns are gated; the rest is zero.
    pub fn pack(
        (inputs, outputs): (usize, usize),
        format: Format,
        columns: Columns,
        fill: impl Fn(Range<usize>, &mut [f32]) + Sync,
    ) -> Self {
        let chunks = inputs.div_ceil(format.inputs_per_chunk());
        let (panel_lines, width) = (format.lines(chunks), columns.outputs_per_panel());
        let mut lines = Zeroed::new(outputs.div_ceil(width) * panel_lines);
        if inputs > 0 {
            let panels = lines.chunks_exact_mut(panel_lines).enumerate();
            Team::shared().share(
                inputs * outputs >= MIN_SHARED_WEIGHTS,
                panels,
                |(index, lines)| {
                    let mut panel = vec![0.0; chunks * format.inputs_per_chunk() * PANEL];
                    let first = index * width;
                    fill(first..outputs.min(first + width), &mut panel[..inputs * PANEL]);
                    write_panel(format, &panel, lines);
                },
            );
        }
        Self { inputs, outputs, format, columns, lines }
    }

    /// Packs weights (in, out) that are whole in memory.
    pub fn from_in_out(inputs: usize, outputs: usize, format: Format, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), inputs * outputs, "weights (in, out)");
        Self::pack((inputs, outputs), format, Columns::Plain, |range, panel| {
            let width = range.len();
            for (panel, row) in panel.chunks_exact_mut(PANEL).zip(weights.chunks_exact(outputs)) {
                panel[..width].copy_from_slice(&row[range.clone()]);
            }
        })
    }

    /// Packs weights (out, in) that are whole in memory: a head tied to its embedding (V, D), or PyTorch's `Linear`.
    pub fn from_out_in(inputs: usize, outputs: usize, format: Format, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), inputs * outputs, "weights (out, in)");
        Self::pack((inputs, outputs), format, Columns::Plain, |range, panel| {
            for (column, output) in range.enumerate() {
                let row = &weights[output * inputs..][..inputs];
                for (panel, &weight) in panel.chunks_exact_mut(PANEL).zip(row) {
                    panel[column] = weight;
                }
            }
        })
    }

    /// The weights of one output (in,), as the kernels see them: the row of an embedding that is packed as head.
    pub fn read_output(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs && row.len() == self.inputs, "an output and its inputs");
        assert_eq!(self.columns, Columns::Plain, "an output is one column");
        let column = output % PANEL;
        let panel = self.panel(output / PANEL);
        match self.format {
            Format::F32 => {
                for (x, step) in row.iter_mut().zip(floats(panel).chunks_exact(PANEL)) {
                    *x = step[column];
                }
            }
            Format::Bf16 => {
                for (pair, step) in row.chunks_mut(2).zip(words(panel).chunks_exact(PANEL)) {
                    let word = step[column];
                    let both = [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)];
                    pair.copy_from_slice(&both[..pair.len()]);
                }
            }
            Format::Int8 => {
                let blocks = panel.chunks(Format::Int8.lines(BLOCK_CHUNKS));
                for (row, block) in
                    row.chunks_mut(BLOCK_CHUNKS * self.format.inputs_per_chunk()).zip(blocks)
                {
                    let (scales, block) = block.split_at(SCALE_LINES);
                    let scale = floats(scales)[column];
                    for (four, step) in row.chunks_mut(4).zip(words(block).chunks_exact(PANEL)) {
                        for (x, byte) in four.iter_mut().zip(step[column].to_le_bytes()) {
                            *x = (i32::from(byte) - OFFSET) as f32 * scale;
                        }
                    }
                }
            }
        }
    }

    /// Length of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How the weights are kept.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Which columns a panel holds.
    pub fn columns(&self) -> Columns {
        self.columns
    }

    /// Memory of the packed weights, in bytes.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.lines)
    }

    /// Chunks of one row of inputs, the last one padded.
    pub(super) fn chunks(&self) -> usize {
        self.inputs.div_ceil(self.format.inputs_per_chunk())
    }

    /// Panels of 32 columns, the last one padded.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(self.columns.outputs_per_panel())
    }

    /// All lines of one panel.
    pub(super) fn panel(&self, panel: usize) -> &[Line] {
        let size = self.format.lines(self.chunks());
        &self.lines[panel * size..][..size]
    }
}

/// panel (in padded, 32) -> lines
fn write_panel(format: Format, panel: &[f32], lines: &mut [Line]) {
    match format {
        Format::F32 => floats_mut(lines).copy_from_slice(panel),
        Format::Bf16 => {
            for (step, pair) in
                words_mut(lines).chunks_exact_mut(PANEL).zip(panel.chunks_exact(2 * PANEL))
            {
                for (column, word) in step.iter_mut().enumerate() {
                    let [low, high] =
                        [pair[column], pair[PANEL + column]].map(|x| bf16::from_f32(x).to_bits());
                    *word = u32::from(low) | u32::from(high) << 16;
                }
            }
        }
        Format::Int8 => {
            let inputs = BLOCK_CHUNKS * format.inputs_per_chunk() * PANEL;
            for (lines, block) in
                lines.chunks_mut(format.lines(BLOCK_CHUNKS)).zip(panel.chunks(inputs))
            {
                write_block(block, lines);
            }
        }
    }
}

/// block (up to 128 inputs, 32) -> 32 scales and the bytes
fn write_block(block: &[f32], lines: &mut [Line]) {
    let mut largest = [0.0f32; PANEL];
    for input in block.chunks_exact(PANEL) {
        for (largest, x) in largest.iter_mut().zip(input) {
            *largest = largest.max(x.abs());
        }
    }
    let (scales, lines) = lines.split_at_mut(SCALE_LINES);
    for (scale, largest) in floats_mut(scales).iter_mut().zip(largest) {
        *scale = largest / 127.0;
    }
    let inverse = largest.map(|largest| if largest > 0.0 { 127.0 / largest } else { 0.0 });
    for (step, four) in words_mut(lines).chunks_exact_mut(PANEL).zip(block.chunks_exact(4 * PANEL))
    {
        for (column, word) in step.iter_mut().enumerate() {
            let bytes = std::array::from_fn(|i| {
                let whole = (four[i * PANEL + column] * inverse[column]).round_ties_even() as i32;
                (whole.clamp(-127, 127) + OFFSET) as u8
            });
            *word = u32::from_le_bytes(bytes);
        }
    }
}
