//! What a step shows beside what it yields: which rows of it are looked into, and what is told of what they show. Knows
//! segments and rows, no order of steps.

use crate::engine::inside::Inside;
use crate::engine::inside::Role;
use crate::engine::plan::Segment;
use crate::engine::request::InsideRow;
use crate::engine::request::LensView;
use crate::engine::request::Report;
use crate::engine::sampler::entropy;
use crate::engine::sampler::scores;
use crate::engine::sampler::top_tokens;
use crate::engine::sequence::Sequence;
use crate::model::attention::rows::Place;
use crate::model::look::Look;
use crate::model::look::Seen;
use candle_core::Result;
use coconut_kernels::vocabulary::all_finite;
use std::sync::Arc;

/// What is wanted of a segment beside what it yields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// The head's view of its thought.
    pub(crate) shown: bool,
    pub(crate) peek: Option<Peek>,
}

/// Rows of a segment that are looked into: which of its rows, and what each is fed as.
#[derive(Clone, Debug)]
pub(crate) struct Peek {
    inside: Arc<Inside>,
    rows: Vec<(usize, Role)>,
}

/// One of them in a step.
#[derive(Debug)]
pub(crate) struct Peeked<'a> {
    /// The number of its segment.
    pub(crate) segment: usize,
    pub(crate) look: Look<'a>,
    inside: &'a Inside,
    role: Role,
    position: usize,
}

impl Wish {
    /// Of a request that asks for `report`, for a segment that is about to be computed.
    pub(crate) fn of(report: &Report, sequence: &Sequence, segment: &Segment) -> Self {
        let shown = report.top_thought_tokens > 0 || report.entropy;
        let peek = report.inside.as_ref().map(|inside| {
            let roles = sequence.roles(segment).enumerate();
            let rows = roles.filter_map(|(row, role)| Some((row, role?)));
            let rows = rows.filter(|(_, role)| inside.places.has(*role)).collect();
            Peek { inside: Arc::clone(inside), rows }
        });
        Self { shown, peek }
    }
}

/// All rows of a step that are looked into, segment by segment in order of positions. `places` are those of the step's rows,
/// by numbers of segments.
pub(crate) fn peeked<'a>(
    segments: &[Segment],
    wishes: &'a [Wish],
    places: &[Place],
) -> Vec<Peeked<'a>> {
    let mut all = Vec::new();
    for (number, (segment, wish)) in segments.iter().zip(wishes).enumerate() {
        let Some(Peek { inside, rows }) = &wish.peek else { continue };
        all.extend(rows.iter().map(|&(row, role)| {
            let position = segment.start + row;
            let place = Place { table: number, position };
            let row = places.iter().position(|here| *here == place);
            let row = row.expect("a step has all rows of its segments") as u32;
            let states = inside.hidden_states || inside.lens.is_some();
            let look = Look { row, layers: &inside.layers, states, heads: inside.heads() };
            Peeked { segment: number, look, inside, role, position }
        }));
    }
    all
}

impl Peeked<'_> {
    /// What is told of it. `head` gives logits (R, V) of states (R, D), past the final norm where it is told so.
    pub(crate) fn told(
        &self,
        seen: Seen,
        head: impl FnOnce(&[f32], bool) -> Result<Vec<f32>>,
    ) -> Result<InsideRow> {
        let Seen { states, attention } = seen;
        let mut views = Vec::new();
        if let (Some(lens), false) = (&self.inside.lens, states.is_empty()) {
            let logits = head(&states, lens.normed)?;
            let each = logits.chunks_exact(logits.len() / self.inside.layers.len());
            views.extend(each.map(|logits| LensView {
                top_tokens: top_tokens(logits, lens.top),
                entropy: entropy(logits),
                ranked: scores(logits, &lens.ranked),
            }));
        }
        Ok(InsideRow {
            role: self.role,
            position: self.position,
            hidden_states: if self.inside.hidden_states { states } else { Vec::new() },
            lens: views,
            attention,
        })
    }
}

/// Whether all that is told of a row are numbers.
pub(crate) fn is_finite(row: &InsideRow) -> bool {
    all_finite(&row.hidden_states)
        && all_finite(&row.attention)
        && row.lens.iter().all(|view| view.entropy.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_a_number_that_is_none_is_not_told() {
        let row = |state: f32, weight: f32, entropy: f32| {
            let view = LensView { top_tokens: Vec::new(), entropy, ranked: Vec::new() };
            InsideRow {
                role: Role::Prompt,
                position: 1,
                hidden_states: vec![0.0, state],
                lens: vec![view],
                attention: vec![0.5, weight],
            }
        };
        assert!(is_finite(&row(f32::MAX, 0.5, 0.0)));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!is_finite(&row(bad, 0.5, 0.0)));
            assert!(!is_finite(&row(0.0, bad, 0.0)));
            assert!(!is_finite(&row(0.0, 0.5, bad)));
        }
    }
}
