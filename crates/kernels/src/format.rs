//! How weights are kept: types, and the sizes of what a packed matrix is made of. Knows no matrix.

/// Columns of a panel: two registers of 16 lanes.
pub const PANEL: usize = 32;
/// Steps that share a chunk; weights are padded with zeros to whole chunks. A step is one 32-bit word of each input row.
pub(crate) const CHUNK: usize = 16;
/// Cache lines of one chunk of one panel.
pub(crate) const CHUNK_LINES: usize = CHUNK * PANEL / 16;
/// Chunks that share one scale a row and output in the 8-bit format: 128 inputs.
pub(crate) const BLOCK_CHUNKS: usize = 2;
/// The most inputs that are packed at a time: whole chunks of every format, and one block of the 8-bit format.
pub const BLOCK_INPUTS: usize = 128;
/// Cache lines of the 32 scales that an 8-bit block opens with.
pub(crate) const SCALE_LINES: usize = PANEL / 16;
/// Weights of the 8-bit format are kept with this added, as `vpdpbusd` wants one unsigned factor.
pub(crate) const OFFSET: i32 = 128;

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
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// Inputs that one 32-bit word holds.
    pub(crate) fn inputs_per_step(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }

    /// Inputs that one chunk holds.
    pub(crate) fn inputs_per_chunk(self) -> usize {
        CHUNK * self.inputs_per_step()
    }

    /// Cache lines of the first `chunks` chunks of a panel; an even number of chunks, or all of them.
    pub(crate) fn lines(self, chunks: usize) -> usize {
        let scales = match self {
            Self::F32 | Self::Bf16 => 0,
            Self::Int8 => chunks.div_ceil(BLOCK_CHUNKS) * SCALE_LINES,
        };
        chunks * CHUNK_LINES + scales
    }
}
