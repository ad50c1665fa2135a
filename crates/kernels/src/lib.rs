//! Matrix products with packed weights, and operations on rows, for the CPU. Knows plain slices: no tensor, no
//! architecture, no request. The one place with `unsafe` code.
//!
//! Weights (in, out) are packed once at load into panels of 32 outputs. A panel is a run of steps of 128 bytes, two
//! vector registers: in each step every output has one 32-bit word, which holds one f32, two bf16 or four bytes of
//! consecutive inputs. So whatever the format, a kernel loads two registers, broadcasts one word of each input row, and
//! does two multiply-add instructions (`vfmadd`, `vdpbf16ps`, `vpdpbusd`) a row. With AVX2 registers are half as long and
//! only the first of these exists: see `tile::avx2`.
//!
//! ```text
//!              output 0        output 1             output 31
//! step 0   | in 0, in 1    | in 0, in 1    | ... | in 0, in 1    |     bf16; f32 has one input a step, 8 bits four
//! step 1   | in 2, in 3    | in 2, in 3    | ... | in 2, in 3    |
//! ...                                                                  16 steps are a chunk, padded with zeros
//! ```
//!
//! Panels lie one after another, so that a single row streams the whole matrix through memory in order, and 12 rows
//! (6 in AVX2) keep their sums in registers meanwhile. An embedding that is its own head is packed once, as (V out,
//! D in), and its rows are read back from the panels (`PackedMatrix::read_output`).
//!
//! In 8 bits, 128 inputs share a scale, for each output and for each row of inputs, which is quantised as it comes. The
//! instruction wants one unsigned factor: weights are kept as w + 128, and the sum of a block starts at -128 times the
//! sum of the row's bytes, which undoes it exactly: sum (w + 128) x - 128 sum x = sum w x.
//!
//! What reads what: `matmul` splits the work and owns the order, `convert` brings rows of inputs into the order of
//! `rows`, `tile` multiplies (one file a set of instructions), `epilogue` stores. `isa` says what the
//! processor can do; every kernel also exists as plain loops, and tests compare all of them with sums in f64.
//! `team` shares the work among threads. `attend` reads keys and values that `kv_write` put into pages,
//! in f32 or bf16; `rotate` turns heads to their positions.

pub mod activation;
pub mod attend;
pub mod backward;
mod convert;
pub mod epilogue;
mod format;
pub mod isa;
mod lines;
mod math;
pub mod matmul;
pub mod memory;
pub mod norm;
mod output;
pub mod packed;
pub mod rotate;
mod rows;
pub mod strided;
pub mod team;
#[cfg(test)]
mod tests;
mod tile;
pub mod vocabulary;
mod write;
