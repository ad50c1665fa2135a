//! Attention of a ragged batch of rows over keys and values in pages of 16 positions, in place. Knows no sequence and
//! no layer: a row names the pages it may see.
//!
//! A page keeps the keys of one head as (E, 16) and its values as (16, E). So the scores of a page are sums of whole
//! registers, each scaled by one element of the query, and the mix of values likewise: no horizontal sums. Queries that
//! see the same pages are one task: rows of one sequence, and query heads that share a head of keys. Scores are kept
//! until their maximum is known.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod element;
pub mod layer;
pub mod pages;
mod portable;
#[cfg(target_arch = "x86_64")]
mod queries;
mod task;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vectors;
mod write;

use crate::attend::element::Element;
use crate::attend::pages::Heads;
use crate::attend::pages::PAGE;
use crate::attend::pages::Pages;
use crate::attend::pages::View;
use crate::attend::task::Task;
use crate::isa::Isa;
use crate::output::Output;
use crate::team::Team;
use std::cell::RefCell;
use std::ops::Range;

/// Multiply-adds below which the work stays on one thread.
const MIN_SHARED_WORK: usize = 1 << 18;
/// Runs for each thread from which on no run needs to be split by heads.
const MIN_RUNS_PER_THREAD: usize = 4;
/// Rows of a run that is read rather than computed: a thought or a token.
const SHORT_RUN: usize = 4;

thread_local! {
    /// Kept from call to call, so that none allocates once it has seen the longest sequence.
    static TASKS: RefCell<Vec<(Range<usize>, Range<usize>)>> = RefCell::default();
    static SCORES: RefCell<Vec<[f32; PAGE]>> = RefCell::default();
}

/// q (R, H, E) -> out (R, H, E): softmax(q k / sqrt(E)) v over what `views` (R,) say, with these instructions or the best
/// below them that the processor has.
pub(crate) fn attend_on<T: Element>(
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

/// All queries of a task.
fn run_task<T: Element>(isa: Isa, task: &Task<'_, T>, scores: &mut Vec<[f32; PAGE]>) {
    match isa.min(Isa::best()) {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::run(task, scores),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::run(task, scores),
        _ => portable::run(task, scores),
    }
}
