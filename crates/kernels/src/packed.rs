//! Weights packed once at load, in the order in which the kernels read them. Knows no activations and no threads.

use crate::format::BLOCK_CHUNKS;
pub use crate::format::BLOCK_INPUTS;
pub use crate::format::Format;
use crate::format::OFFSET;
pub use crate::format::PANEL;
use crate::format::SCALE_LINES;
use crate::isa::Isa;
use crate::lines::Line;
use crate::lines::floats;
use crate::lines::words;
use crate::memory::Zeroed;
use crate::team::Team;
use crate::write::is_kept;
use crate::write::write;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Weights below which one thread packs them all.
const MIN_SHARED_WEIGHTS: usize = 1 << 16;

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

/// Writes the weights of some outputs and inputs; see [`PackedMatrix::pack`]. No type parameter, so that packing is compiled
/// here, whoever calls.
pub type Fill<'a> = &'a (dyn Fn(Range<usize>, Range<usize>, &mut [f32]) + Sync);

/// A weight that is not finite, or would not be in the format it is packed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unfit {
    /// Which output it belongs to.
    pub output: usize,
    /// Of gated columns: 0 for the gate, 1 for what it lets through.
    pub half: usize,
    /// The weight.
    pub value: f32,
}

/// Why weights are not packed.
#[derive(Debug)]
pub enum Unpacked {
    /// One of them cannot be kept.
    Unfit(Unfit),
    /// The system has no memory for them.
    Memory(std::io::Error),
}

impl PackedMatrix {
    /// Packs panel by panel, on all threads, a block of inputs at a time, so that what is worked on stays in the nearest
    /// cache: `fill(outputs, inputs, block)` writes the weights between some outputs of one panel and at most
    /// [`BLOCK_INPUTS`] inputs into `block` (inputs, 32), where output `outputs.start + j` is column j, and its second
    /// column j + 16 if columns are gated; the rest is zero.
    ///
    /// # Errors
    /// The first output with a weight that cannot be kept, or too little memory.
    pub fn pack(
        (inputs, outputs): (usize, usize),
        format: Format,
        columns: Columns,
        fill: Fill<'_>,
    ) -> Result<Self, Unpacked> {
        let chunks = inputs.div_ceil(format.inputs_per_chunk());
        let (panel_lines, width) = (format.lines(chunks), columns.outputs_per_panel());
        let block_lines = format.lines(BLOCK_INPUTS / format.inputs_per_chunk());
        let line_count = outputs.div_ceil(width) * panel_lines;
        let mut lines = Zeroed::try_new(line_count).map_err(Unpacked::Memory)?;
        let unfit = Mutex::new(None);
        let pack_panel = |(index, lines): (usize, &mut [Line])| {
            let outputs = index * width..outputs.min((index + 1) * width);
            let mut block = [0.0; BLOCK_INPUTS * PANEL];
            for (number, lines) in lines.chunks_mut(block_lines).enumerate() {
                let first = number * BLOCK_INPUTS;
                let inputs = first..inputs.min(first + BLOCK_INPUTS);
                let (filled, rest) = block.split_at_mut(inputs.len() * PANEL);
                fill(outputs.clone(), inputs, filled);
                rest.fill(0.0);
                if !write(Isa::best(), format, &block, lines) {
                    note(&unfit, format, &block, |column| Unfit {
                        output: outputs.start + column % width,
                        half: column / width,
                        value: 0.0,
                    });
                }
            }
        };
        if inputs > 0 {
            let shared = inputs * outputs >= MIN_SHARED_WEIGHTS;
            let panels = lines.chunks_exact_mut(panel_lines).enumerate();
            Team::shared().share(shared, panels, pack_panel);
        }
        match unfit.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(unfit) => Err(Unpacked::Unfit(unfit)),
            None => Ok(Self { inputs, outputs, format, columns, lines }),
        }
    }

    /// Packs weights (in, out) that are whole in memory.
    ///
    /// # Panics
    /// If one is not finite, or would not be in this format, or there is no memory for them.
    pub fn from_in_out(inputs: usize, outputs: usize, format: Format, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), inputs * outputs, "weights (in, out)");
        let packed = Self::pack(
            (inputs, outputs),
            format,
            Columns::Plain,
            &|outs: Range<usize>, ins: Range<usize>, block: &mut [f32]| {
                for (row, input) in block.chunks_exact_mut(PANEL).zip(ins) {
                    row[..outs.len()].copy_from_slice(&weights[input * outputs..][outs.clone()]);
                }
            },
        );
        packed.expect("weights are finite, and there is memory for them")
    }

    /// Packs weights (out, in) that are whole in memory: a head tied to its embedding (V, D), or PyTorch's `Linear`.
    ///
    /// # Panics
    /// If one is not finite, or would not be in this format, or there is no memory for them.
    pub fn from_out_in(inputs: usize, outputs: usize, format: Format, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), inputs * outputs, "weights (out, in)");
        let packed = Self::pack(
            (inputs, outputs),
            format,
            Columns::Plain,
            &|outs: Range<usize>, ins: Range<usize>, block: &mut [f32]| {
                for (column, output) in outs.enumerate() {
                    let run = &weights[output * inputs..][ins.clone()];
                    for (row, &weight) in block.chunks_exact_mut(PANEL).zip(run) {
                        row[column] = weight;
                    }
                }
            },
        );
        packed.expect("weights are finite, and there is memory for them")
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

/// Keeps the unfit weight of the lowest output.
fn note(
    first: &Mutex<Option<Unfit>>,
    format: Format,
    block: &[f32],
    place: impl Fn(usize) -> Unfit,
) {
    let found = block.iter().enumerate().filter(|(_, x)| !is_kept(format, **x));
    let found = found.map(|(at, &value)| Unfit { value, ..place(at % PANEL) });
    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
    let all = first.iter().copied().chain(found);
    *first = all.min_by_key(|unfit| (unfit.half, unfit.output));
}
