//! Attention over pages against sums in f64, on random ragged batches.

use crate::attend::layer::KvLayer;
use crate::attend::layer::KvShape;
use crate::attend::layer::KvType;
use crate::attend::pages::PagesMut;
use crate::attend::write::write;
use crate::attend::*;
use crate::isa::Isa;
use crate::tests::at_most;
use crate::tests::usual_or;
use half::bf16;
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
    let sequence = (1..usual_or(90, 20)).prop_flat_map(|length| (Just(length), 1..=length.min(9)));
    let sizes = prop_oneof![Just(usual_or(64, 16)), 1..usual_or(100, 20)];
    (
        1..4usize,
        1..usual_or(4, 3),
        sizes,
        prop::collection::vec(sequence, 1..usual_or(5, 3)),
        any::<u64>(),
    )
        .prop_map(|(kv_heads, group, size, sequences, seed)| Case {
            kv_heads,
            group,
            size,
            sequences,
            seed,
        })
}

fn number(seed: u64, at: usize) -> f32 {
    let mixed = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 23) as f32
        - 1.0
}

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    (0..count).map(|at| number(seed, at)).collect()
}

/// Attention of one query (E,) over keys and values (T, E), in f64.
fn plain(q: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f64> {
    let dot = |k: &[f32]| q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum::<f64>();
    let weights: Vec<f64> = keys.iter().map(|k| (dot(k) / (q.len() as f64).sqrt()).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mix = |e: usize| weights.iter().zip(values).map(|(w, v)| w * f64::from(v[e])).sum::<f64>();
    (0..q.len()).map(|e| mix(e) / total).collect()
}

proptest! {
    #![proptest_config(at_most(48))]

    /// Pages are dealt out in reverse, and what was never written is NaN.
    #[test]
    fn rows_see_their_own_positions_only(case in cases()) {
        check::<f32>(&case, |x| x)?;
        check::<u16>(&case, |x| bf16::from_f32(x).to_f32())?;
    }
}

/// Pages of `T`, which keeps x as `kept(x)`.
fn check<T: Element>(case: &Case, kept: fn(f32) -> f32) -> Result<(), TestCaseError> {
    let Case { kv_heads, group, size, ref sequences, seed } = *case;
    let heads = kv_heads * group;
    let mut free = sequences.iter().map(|(length, _)| length.div_ceil(PAGE)).sum::<usize>();
    let floats = free * PAGE * kv_heads * size;
    let (mut keys, mut values) =
        (vec![T::from_f32(f32::NAN); floats], vec![T::from_f32(f32::NAN); floats]);
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
        let whole = |x| Heads::whole(x, kv_heads, size);
        write(pages, whole(&k), whole(&v), &slots);
        let (k, v): (Vec<f32>, Vec<f32>) =
            (k.into_iter().map(kept).collect(), v.into_iter().map(kept).collect());
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
        attend_on(isa, pages, Heads::whole(&q, heads, size), &views, &mut out);
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
    Ok(())
}

/// What attention reads from a copy is what it reads from the page, and other pages stay as they are.
#[test]
fn a_copied_page_holds_what_the_page_held() {
    let (kv_heads, head_size) = (2, 4);
    for kind in [KvType::F32, KvType::Bf16] {
        let mut layer = KvLayer::try_new(KvShape { pages: 3, kv_heads, head_size }, kind).unwrap();
        let numbers = numbers(7, 2 * PAGE * kv_heads * head_size);
        let heads = Heads::whole(&numbers, kv_heads, head_size);
        let slots: Vec<usize> = (0..2 * PAGE).collect();
        layer.write([heads, heads], &slots);
        layer.copy_page(1, 2);
        let read = |page: u32| {
            let mut out = vec![0.0; kv_heads * head_size];
            let view = View { table: &[page], position: PAGE - 1 };
            layer.attend(Heads::whole(&numbers[..8], kv_heads, head_size), &[view], &mut out);
            out
        };
        assert_eq!(read(2), read(1));
        assert_ne!(read(0), read(1));
    }
}

/// Position by position and head by head, across pages in any order, in both types.
#[test]
fn keys_are_read_as_they_were_written() {
    let (kv_heads, head_size) = (3, 5);
    for (kind, kept) in
        [(KvType::F32, (|x| x) as fn(f32) -> f32), (KvType::Bf16, |x| bf16::from_f32(x).to_f32())]
    {
        let mut layer = KvLayer::try_new(KvShape { pages: 4, kv_heads, head_size }, kind).unwrap();
        let (table, count) = ([3, 0, 2], 2 * PAGE + 7);
        let slots: Vec<usize> =
            (0..count).map(|at| table[at / PAGE] as usize * PAGE + at % PAGE).collect();
        let k = numbers(11, count * kv_heads * head_size);
        let v = numbers(12, k.len());
        layer.write([&k, &v].map(|x| Heads::whole(x, kv_heads, head_size)), &slots);
        for position in [0, PAGE - 1, PAGE, count - 1] {
            for head in 0..kv_heads {
                let written = k.chunks(kv_heads * head_size).take(position + 1);
                let written = written.flat_map(|row| &row[head * head_size..][..head_size]);
                let written: Vec<f32> = written.map(|&x| kept(x)).collect();
                assert_eq!(layer.keys(View { table: &table, position }, head), written);
            }
        }
    }
}
