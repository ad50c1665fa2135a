//! Attention of a ragged batch of rows over keys and values in pages of 16 positions, in place. Knows no sequence and
//! no layer: a row names the pages it may see.
//!
//! A page keeps the keys of one head as (E, 16) and its values as (16, E). So the scores of a page are sums of whole
//! registers, each scaled by one element of the query, and the mix of values likewise: no horizontal sums. Queries that
//! see the same pages are one task: rows of one sequence, and query heads that share a head of keys. Scores are kept
//! until their maximum is known.

#[cfg(target_arch = "x86_64")]
use crate::model::kernels::attend_avx512;
use crate::model::kernels::attend_portable;
use crate::model::kernels::isa::Isa;
use crate::model::kernels::math::exp;
use crate::model::kernels::output::Output;
use crate::model::kernels::team::Team;
use std::cell::RefCell;
use std::ops::Range;

/// Positions of a page.
pub const PAGE: usize = 16;
/// Multiply-adds below which the work stays on one thread.
const MIN_SHARED_WORK: usize = 1 << 18;

/// Keys and values of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a> {
    /// (pages, G, E, 16)
    pub keys: &'a [f32],
    /// (pages, G, 16, E)
    pub values: &'a [f32],
    /// G
    pub kv_heads: usize,
    /// E
    pub head_size: usize,
}

/// Keys and values of one layer, to be written.
#[derive(Debug)]
pub struct PagesMut<'a> {
    /// (pages, G, E, 16)
    pub keys: &'a mut [f32],
    /// (pages, G, 16, E)
    pub values: &'a mut [f32],
    /// G
    pub kv_heads: usize,
    /// E
    pub head_size: usize,
}

/// What a row sees: its own position and all before it, in the pages of its sequence. Rows that follow each other and
/// name the very same table are computed together.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Page numbers in order of position.
    pub table: &'a [u32],
    /// The last position that is seen.
    pub position: usize,
}

thread_local! {
    /// Kept from call to call, so that none allocates once it has seen the longest sequence.
    static RUNS: RefCell<Vec<Range<usize>>> = RefCell::default();
    static SCORES: RefCell<Vec<[f32; PAGE]>> = RefCell::default();
}

/// q (R, H, E) -> out (R, H, E): softmax(q k / sqrt(E)) v over what `views` (R,) say.
///
/// # Panics
/// If the lengths do not fit, or a view names a page that is not there.
pub fn attend(pages: Pages<'_>, q: &[f32], views: &[View<'_>], out: &mut [f32]) {
    attend_on(Isa::best(), pages, q, views, out);
}

/// `attend` with chosen instructions, or the best below them that the processor has.
pub fn attend_on(isa: Isa, pages: Pages<'_>, q: &[f32], views: &[View<'_>], out: &mut [f32]) {
    if views.is_empty() {
        return;
    }
    let Pages { kv_heads, head_size, .. } = pages;
    let width = q.len() / views.len();
    let heads = width / head_size;
    assert_eq!(q.len(), views.len() * heads * head_size, "queries (R, H, E)");
    assert_eq!(q.len(), out.len(), "one output for each query");
    assert!(heads > 0 && heads.is_multiple_of(kv_heads), "whole groups of query heads");
    assert!(
        views.iter().all(|view| view.position / PAGE < view.table.len()),
        "pages up to the position"
    );
    let work: usize = views.iter().map(|view| (view.position + 1) * width * 2).sum();
    let out = Output::new(out, width);
    RUNS.with_borrow_mut(|runs| {
        runs.clear();
        runs.extend(views.chunk_by(|a, b| std::ptr::eq(a.table, b.table)).scan(0, |start, run| {
            let range = *start..*start + run.len();
            *start = range.end;
            Some(range)
        }));
        let runs = &*runs;
        let task = |task: usize| {
            let (run, kv_head) = (runs[task / kv_heads].clone(), task % kv_heads);
            let task = Task { pages, q, views, heads, kv_head, run, out };
            SCORES.with_borrow_mut(|scores| run_task(isa, &task, scores));
        };
        let tasks = runs.len() * kv_heads;
        if work < MIN_SHARED_WORK {
            (0..tasks).for_each(task);
        } else {
            Team::shared().run(tasks, task);
        }
    });
}

/// One run of rows and one head of keys.
#[derive(Clone, Debug)]
pub(super) struct Task<'a> {
    pub(super) pages: Pages<'a>,
    pub(super) q: &'a [f32],
    pub(super) views: &'a [View<'a>],
    pub(super) heads: usize,
    pub(super) kv_head: usize,
    pub(super) run: Range<usize>,
    pub(super) out: Output<'a>,
}

impl Task<'_> {
    /// Queries of this task.
    #[inline(always)]
    pub(super) fn queries(&self) -> usize {
        self.run.len() * (self.heads / self.pages.kv_heads)
    }

    /// Row and query head of the `index`th query of this task.
    #[inline(always)]
    pub(super) fn query(&self, index: usize) -> (usize, usize) {
        let group = self.heads / self.pages.kv_heads;
        (self.run.start + index / group, self.kv_head * group + index % group)
    }

    #[inline(always)]
    pub(super) fn keys(&self, page: u32) -> &[f32] {
        let size = self.pages.head_size * PAGE;
        &self.pages.keys[(page as usize * self.pages.kv_heads + self.kv_head) * size..][..size]
    }

    #[inline(always)]
    pub(super) fn values(&self, page: u32) -> &[f32] {
        let size = self.pages.head_size * PAGE;
        &self.pages.values[(page as usize * self.pages.kv_heads + self.kv_head) * size..][..size]
    }
}

/// All queries of a task.
fn run_task(isa: Isa, task: &Task<'_>, scores: &mut Vec<[f32; PAGE]>) {
    match isa.min(Isa::best()) {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => attend_avx512::run(task, scores),
        isa => attend_portable::run(isa, task, scores),
    }
}

/// Turns scores into weights exp((score - max) / sqrt(size)) of the positions up to `last`, and 0 beyond; returns their
/// sum.
#[inline(always)]
pub(super) fn softmax<const FMA: bool>(
    scores: &mut [[f32; PAGE]],
    last: usize,
    size: usize,
) -> f32 {
    let scale = 1.0 / (size as f32).sqrt();
    let (seen, unseen) = scores.split_at_mut(last / PAGE + 1);
    unseen.fill([0.0; PAGE]);
    let mut max = [f32::NEG_INFINITY; PAGE];
    if let Some(end) = seen.last_mut() {
        end[last % PAGE + 1..].fill(f32::NEG_INFINITY);
    }
    for page in seen.iter() {
        for lane in 0..PAGE {
            max[lane] = if page[lane] > max[lane] { page[lane] } else { max[lane] };
        }
    }
    let max = max.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut total = [0.0f32; PAGE];
    for page in seen.iter_mut() {
        for lane in 0..PAGE {
            page[lane] = exp::<FMA>((page[lane] - max) * scale);
            total[lane] += page[lane];
        }
    }
    if let Some(end) = seen.last_mut() {
        end[last % PAGE + 1..].fill(0.0);
    }
    total.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kernels::kv_write::write;
    use proptest::prelude::*;

    /// A batch of sequences whose rows are the last few positions of each.
    #[derive(Clone, Debug)]
    struct Case {
        kv_heads: usize,
        group: usize,
        size: usize,
        /// (positions, of which are rows of this pass)
        sequences: Vec<(usize, usize)>,
        seed: u64,
    }

    fn cases() -> impl Strategy<Value = Case> {
        let sequence = (1..90usize).prop_flat_map(|length| (Just(length), 1..=length.min(9)));
        let sizes = prop_oneof![Just(64), 1..100usize];
        (1..4usize, 1..4usize, sizes, prop::collection::vec(sequence, 1..5), any::<u64>()).prop_map(
            |(kv_heads, group, size, sequences, seed)| Case {
                kv_heads,
                group,
                size,
                sequences,
                seed,
            },
        )
    }

    fn number(seed: u64, at: usize) -> f32 {
        let mixed = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32
            / (1 << 23) as f32
            - 1.0
    }

    fn numbers(seed: u64, count: usize) -> Vec<f32> {
        (0..count).map(|at| number(seed, at)).collect()
    }

    /// Attention of one query (E,) over keys and values (T, E), in f64.
    fn plain(q: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f64> {
        let dot =
            |k: &[f32]| q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum::<f64>();
        let weights: Vec<f64> =
            keys.iter().map(|k| (dot(k) / (q.len() as f64).sqrt()).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mix =
            |e: usize| weights.iter().zip(values).map(|(w, v)| w * f64::from(v[e])).sum::<f64>();
        (0..q.len()).map(|e| mix(e) / total).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// Pages are dealt out in reverse, and what was never written is NaN.
        #[test]
        fn rows_see_their_own_positions_only(case in cases()) {
            let Case { kv_heads, group, size, ref sequences, seed } = case;
            let heads = kv_heads * group;
            let mut free = sequences.iter().map(|(length, _)| length.div_ceil(PAGE)).sum::<usize>();
            let floats = free * PAGE * kv_heads * size;
            let (mut keys, mut values) = (vec![f32::NAN; floats], vec![f32::NAN; floats]);
            let mut tables = Vec::new();
            for (sequence, &(length, _)) in sequences.iter().enumerate() {
                let count = length.div_ceil(PAGE);
                let table: Vec<u32> = (free - count..free).rev().map(|page| page as u32).collect();
                free -= count;
                let slots: Vec<usize> =
                    (0..length).map(|at| table[at / PAGE] as usize * PAGE + at % PAGE).collect();
                let k = numbers(seed ^ (sequence as u64) << 32, length * kv_heads * size);
                let v = numbers(seed ^ (sequence as u64) << 33, length * kv_heads * size);
                let pages = PagesMut { keys: &mut keys, values: &mut values, kv_heads, head_size: size };
                write(pages, &k, &v, &slots);
                tables.push((table, k, v));
            }
            let mut views = Vec::new();
            let mut owners = Vec::new();
            for (sequence, &(length, rows)) in sequences.iter().enumerate() {
                for position in length - rows..length {
                    views.push(View { table: &tables[sequence].0, position });
                    owners.push(sequence);
                }
            }
            let q = numbers(seed ^ 7, views.len() * heads * size);
            for isa in Isa::available() {
                let mut out = vec![0.0; q.len()];
                let pages = Pages { keys: &keys, values: &values, kv_heads, head_size: size };
                attend_on(isa, pages, &q, &views, &mut out);
                for (at, (q, out)) in q.chunks(size).zip(out.chunks(size)).enumerate() {
                    let (row, head) = (at / heads, at % heads);
                    let (_, k, v) = &tables[owners[row]];
                    let of_head = |x: &'_ [f32], position: usize| {
                        let from = (position * kv_heads + head / group) * size;
                        from..from + size.min(x.len())
                    };
                    let seen = 0..=views[row].position;
                    let k: Vec<&[f32]> = seen.clone().map(|p| &k[of_head(k, p)]).collect();
                    let v: Vec<&[f32]> = seen.map(|p| &v[of_head(v, p)]).collect();
                    for (ours, truth) in out.iter().zip(plain(q, &k, &v)) {
                        prop_assert!((f64::from(*ours) - truth).abs() < 2e-6, "{isa:?} {ours} {truth}");
                    }
                }
            }
        }
    }
}
