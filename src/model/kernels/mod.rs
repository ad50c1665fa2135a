//! Matrix products with packed weights on the CPU.
pub mod epilogue;
pub mod isa;
pub mod matmul;
pub mod packed;
pub mod team;
mod convert;
mod lines;
mod math;
mod rows;
mod tile;
#[cfg(target_arch = "x86_64")]
mod tile_avx512;
mod tile_portable;
#[cfg(test)]
mod tests;
