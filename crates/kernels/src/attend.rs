//! Attention of a ragged batch of rows over keys and values in pages of 16 positions, in place. Knows no sequence and
//! no layer: a row names the pages it may see.
//!
//! A page keeps the keys of one head as (E, 16) and its values as (16, E). So the scores of a page are sums of whole
//! registers, each scaled by one element of the query, and the mix of values likewise: no horizontal sums. Queries that
//! see the same pages are one task: rows of one sequence, and query heads that share a head of keys. Scores are kept
//! until their maximum is known.

#[cfg(target_arch = "x86_64")]
use crate::attend_avx2;
#[cfg(target_arch = "x86_64")]
use crate::attend_avx2::Eights;
#[cfg(target_arch = "x86_64")]
use crate::attend_avx512;
#[cfg(target_arch = "x86_64")]
use crate::attend_avx512::Vectors;
use crate::attend_portable;
use crate::convert::bf16_bits;
use crate::isa::Isa;
use crate::math::exp;
use crate::memory::Plain;
use crate::output::Output;
use crate::team::Team;
use std::cell::RefCell;
use std::ops::Range;

/// What vector kernels ask of an element; nothing, where there are none.
#[cfg(not(target_arch = "x86_64"))]
pub trait Vectors {}
#[cfg(not(target_arch = "x86_64"))]
impl<T> Vectors for T {}
#[cfg(not(target_arch = "x86_64"))]
use Vectors as Eights;

/// Positions of a page.
pub const PAGE: usize = 16;
/// Multiply-adds below which the work stays on one thread.
const MIN_SHARED_WORK: usize = 1 << 18;
/// Runs for each thread from which on no run needs to be split by heads.
const MIN_RUNS_PER_THREAD: usize = 4;
/// Rows of a run that is read rather than computed: a thought or a token.
const SHORT_RUN: usize = 4;

/// A number as pages keep it; computed with in f32.
pub trait Element: Vectors + Eights + Plain + Default + Send + Sync + 'static {
    /// Rounded to nearest.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// The bits of a bf16.
impl Element for u16 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        (bf16_bits(x) >> 16) as Self
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self) << 16)
    }
}

/// Vectors of some heads of each row, inside wider rows: those of row r and head h begin at r * stride + h * E.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// From the first head of the first row on.
    pub data: &'a [f32],
    /// Floats from row to row.
    pub stride: usize,
    /// Heads of a row.
    pub count: usize,
}

impl<'a> Heads<'a> {
    /// data (R, heads, E) without anything between.
    pub fn whole(data: &'a [f32], count: usize, head_size: usize) -> Self {
        Self { data, stride: count * head_size, count }
    }

    #[inline(always)]
    pub(super) fn vector(&self, row: usize, head: usize, size: usize) -> &'a [f32] {
        &self.data[row * self.stride + head * size..][..size]
    }
}

/// Keys and values of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a, T> {
    /// (pages, G, E, 16)
    pub keys: &'a [T],
    /// (pages, G, 16, E)
    pub values: &'a [T],
    /// G
    pub kv_heads: usize,
    /// E
    pub head_size: usize,
}

/// Keys and values of one layer, to be written.
#[derive(Debug)]
pub struct PagesMut<'a, T> {
    /// (pages, G, E, 16)
    pub keys: &'a mut [T],
    /// (pages, G, 16, E)
    pub values: &'a mut [T],
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
    static TASKS: RefCell<Vec<(Range<usize>, Range<usize>)>> = RefCell::default();
    static SCORES: RefCell<Vec<[f32; PAGE]>> = RefCell::default();
}

/// q (R, H, E) -> out (R, H, E): softmax(q k / sqrt(E)) v over what `views` (R,) say.
///
/// # Panics
/// If the lengths do not fit, or a view names a page that is not there.
pub fn attend<T: Element>(pages: Pages<'_, T>, q: Heads<'_>, views: &[View<'_>], out: &mut [f32]) {
    attend_on(Isa::best(), pages, q, views, out);
}

/// `attend` with chosen instructions, or the best below them that the processor has.
pub fn attend_on<T: Element>(
    isa: Isa,
    pages: Pages<'_, T>,
    q: Heads<'_>,
    views: &[View<'_>],
    out: &mut [f32],
) {
    if views.is_empty() {
        return;
    }
    let Pages { kv_heads, head_size, .. } = pages;
    let heads = q.count;
    let width = heads * head_size;
    assert_eq!(out.len(), views.len() * width, "one output (H, E) for each view");
    assert!(q.data.len() >= (views.len() - 1) * q.stride + width, "one query (H, E) for each view");
    assert!(heads > 0 && heads.is_multiple_of(kv_heads), "whole groups of query heads");
    assert!(
        views.iter().all(|view| view.position / PAGE < view.table.len()),
        "pages up to the position"
    );
    let work: usize = views.iter().map(|view| (view.position + 1) * width * 2).sum();
    let out = Output::new(out, width);
    TASKS.with_borrow_mut(|tasks| {
        plan(views, kv_heads, tasks);
        let tasks = &*tasks;
        let task = |task: usize| {
            let (run, heads) = &tasks[task];
            for kv_head in heads.clone() {
                let task = Task { pages, q, views, kv_head, run: run.clone(), out };
                SCORES.with_borrow_mut(|scores| run_task(isa, &task, scores));
            }
        };
        if work < MIN_SHARED_WORK {
            (0..tasks.len()).for_each(task);
        } else {
            Team::shared().run(tasks.len(), task);
        }
    });
}

/// Runs of rows that see one table, each with the heads of keys that one thread takes at a time: all of them in order, as
/// they lie in memory, if there are many short runs; else one.
fn plan(views: &[View<'_>], kv_heads: usize, tasks: &mut Vec<(Range<usize>, Range<usize>)>) {
    let same_table = |a: &View<'_>, b: &View<'_>| std::ptr::eq(a.table, b.table);
    let many = views.chunk_by(same_table).count() >= MIN_RUNS_PER_THREAD * Team::shared().threads();
    tasks.clear();
    let mut start = 0;
    for run in views.chunk_by(same_table) {
        let rows = start..start + run.len();
        start = rows.end;
        if many && run.len() <= SHORT_RUN {
            tasks.push((rows, 0..kv_heads));
        } else {
            tasks.extend((0..kv_heads).map(|head| (rows.clone(), head..head + 1)));
        }
    }
}

/// One run of rows and one head of keys.
#[derive(Clone, Debug)]
pub(super) struct Task<'a, T> {
    pub(super) pages: Pages<'a, T>,
    pub(super) q: Heads<'a>,
    pub(super) views: &'a [View<'a>],
    pub(super) kv_head: usize,
    pub(super) run: Range<usize>,
    pub(super) out: Output<'a>,
}

impl<T> Task<'_, T> {
    /// Queries of this task.
    #[inline(always)]
    pub(super) fn queries(&self) -> usize {
        self.run.len() * (self.q.count / self.pages.kv_heads)
    }

    /// Row and query head of the `index`th query of this task.
    #[inline(always)]
    pub(super) fn query(&self, index: usize) -> (usize, usize) {
        let group = self.q.count / self.pages.kv_heads;
        (self.run.start + index / group, self.kv_head * group + index % group)
    }

    #[inline(always)]
    pub(super) fn keys(&self, page: u32) -> &[T] {
        let size = self.pages.head_size * PAGE;
        &self.pages.keys[(page as usize * self.pages.kv_heads + self.kv_head) * size..][..size]
    }

    #[inline(always)]
    pub(super) fn values(&self, page: u32) -> &[T] {
        let size = self.pages.head_size * PAGE;
        &self.pages.values[(page as usize * self.pages.kv_heads + self.kv_head) * size..][..size]
    }
}

/// All queries of a task.
fn run_task<T: Element>(isa: Isa, task: &Task<'_, T>, scores: &mut Vec<[f32; PAGE]>) {
    match isa.min(Isa::best()) {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => attend_avx512::run(task, scores),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => attend_avx2::run(task, scores),
        _ => attend_portable::run(task, scores),
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
