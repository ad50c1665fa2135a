//! Writes keys and values of new rows into their pages, for `attend`. Knows no sequence: a row names its slot.
#![expect(unsafe_code, reason = "threads write the pages of different heads")]

use crate::attend::element::Element;
use crate::attend::pages::Heads;
use crate::attend::pages::PAGE;
use crate::attend::pages::PagesMut;
use crate::output::Output;
use crate::team::Team;

/// Floats below which one thread writes them all: some ten microseconds, as each key goes to its own cache line.
const MIN_SHARED_FLOATS: usize = 1 << 13;

/// k and v (R, G, E) into the slots (R,): page number times 16 plus the place within the page.
///
/// # Panics
/// If the lengths do not fit, or a slot is not there.
pub(super) fn write<T: Element>(
    pages: PagesMut<'_, T>,
    k: Heads<'_>,
    v: Heads<'_>,
    slots: &[usize],
) {
    let PagesMut { keys, values, kv_heads, head_size: size } = pages;
    assert_eq!([k.count, v.count], [kv_heads; 2], "keys and values (R, G, E)");
    // One row of these is what one page keeps for one head.
    let (keys, values) = (Output::new(keys, size * PAGE), Output::new(values, size * PAGE));
    let one_head = |head: usize| {
        for (row, &slot) in slots.iter().enumerate() {
            let (page, place) = (slot / PAGE, slot % PAGE);
            let here = page * kv_heads + head;
            // SAFETY: each call has its own head, and within it these are the only references.
            let (keys, values) = unsafe {
                (
                    keys.row_part(here, 0..size * PAGE),
                    values.row_part(here, place * size..(place + 1) * size),
                )
            };
            for (keys, &k) in keys.chunks_exact_mut(PAGE).zip(k.vector(row, head, size)) {
                keys[place] = T::from_f32(k);
            }
            for (value, &v) in values.iter_mut().zip(v.vector(row, head, size)) {
                *value = T::from_f32(v);
            }
        }
    };
    if slots.len() * kv_heads * size < MIN_SHARED_FLOATS {
        (0..kv_heads).for_each(one_head);
    } else {
        Team::shared().run(kv_heads, one_head);
    }
}
