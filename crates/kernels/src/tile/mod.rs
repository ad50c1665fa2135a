//! The innermost product: a tile of rows times one panel of weights, into sums. Chooses the kernel; knows no threads,
//! no biases and no output.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
pub(crate) mod shape;

use crate::format::CHUNK;
use crate::format::Format;
use crate::format::PANEL;
use crate::isa::Isa;
use crate::rows::tile_rows;
use crate::rows::words_per_step;
use crate::tile::shape::Tile;

/// sums += x * weights
pub(super) fn multiply(isa: Isa, format: Format, tile: &mut Tile<'_>) {
    assert!((1..=tile_rows(isa)).contains(&tile.rows), "rows that a kernel has registers for");
    let words = tile.chunks * tile.rows * CHUNK * words_per_step(isa, format);
    assert_eq!(tile.x.len(), words, "so many chunks of rows");
    assert_eq!(tile.weights.len(), format.lines(tile.chunks), "weights of as many chunks");
    assert_eq!(tile.sums.len(), tile.rows * PANEL / 16, "one sum for each row and output");
    assert!(isa <= Isa::best(), "instructions that this processor has");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::multiply(format, tile),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::multiply(format, tile),
        _ => portable::multiply(format, tile),
    }
}
