//! Queries and keys on their way into attention: the norm of each head, where there is one, and the rotation to the
//! row's position, in place. Knows no weights of products and no pages.
#![expect(unsafe_code, reason = "compiled for several sets of instructions")]

use crate::isa::Isa;
use crate::isa::compiled_per_isa;
use crate::norm::sum;
use crate::team::Team;

/// Floats below which one thread turns them all: some ten microseconds.
const MIN_SHARED_FLOATS: usize = 1 << 15;

/// Angles of every position.
#[derive(Clone, Debug)]
pub struct Angles {
    /// (T, E/2)
    pub cos: Vec<f32>,
    /// (T, E/2)
    pub sin: Vec<f32>,
}

/// Heads that are turned alike, side by side in a row.
#[derive(Clone, Copy, Debug)]
pub struct Turned<'a> {
    /// Where the first one begins in its row.
    pub start: usize,
    /// How many.
    pub heads: usize,
    /// Weight (E,) and epsilon of their root-mean-square norm.
    pub norm: Option<(&'a [f32], f32)>,
}

/// Normalises and turns the heads `turned` of rows (R, stride), each to the position that `positions` (R,) say. Element i
/// of a head turns against element i + E/2, as Hugging Face stores Llama weights.
///
/// # Panics
/// If the lengths do not fit, or a position has no angles.
pub fn rotate(
    rows: &mut [f32],
    positions: &[usize],
    angles: Option<&Angles>,
    (turned, head_size): (&[Turned<'_>], usize),
) {
    if positions.is_empty() {
        return;
    }
    assert!(rows.len().is_multiple_of(positions.len()), "whole rows");
    let stride = rows.len() / positions.len();
    let work = Work { turned, angles, head_size };
    let shared = rows.len() >= MIN_SHARED_FLOATS;
    let items = rows.chunks_exact_mut(stride).zip(positions);
    Team::shared().share(shared, items, |(row, &position)| {
        one_row(Isa::best(), work, row, position);
    });
}

#[derive(Clone, Copy)]
struct Work<'a> {
    turned: &'a [Turned<'a>],
    angles: Option<&'a Angles>,
    head_size: usize,
}

compiled_per_isa! {
    fn one_row(work: Work<'_>, row: &mut [f32], position: usize) => one_row_any
}

#[inline(always)]
fn one_row_any<const FMA: bool>(work: Work<'_>, row: &mut [f32], position: usize) {
    let Work { turned, angles, head_size } = work;
    let half = head_size / 2;
    for part in turned {
        let heads = &mut row[part.start..][..part.heads * head_size];
        for head in heads.chunks_exact_mut(head_size) {
            if let Some((weight, eps)) = part.norm {
                let squares = sum(head, |x| x * x);
                let scale = 1.0 / (squares / head_size as f32 + eps).sqrt();
                for (x, weight) in head.iter_mut().zip(weight) {
                    *x = *x * scale * weight;
                }
            }
            if let Some(Angles { cos, sin }) = angles {
                let (cos, sin) = (&cos[position * half..][..half], &sin[position * half..][..half]);
                let (low, high) = head.split_at_mut(half);
                for (((low, high), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                    (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
                }
            }
        }
    }
}
