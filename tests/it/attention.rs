//! Attention over pages on the CPU, against the plain chain of candle operations, on random ragged batches.

use candle_core::Device;
use candle_core::Tensor;
use coconut::model::attention::Attention;
use coconut::model::attention::geometry::pages_for;
use coconut::model::attention::paged::KvMemory;
use coconut::model::attention::paged::Paged;
use coconut::model::attention::rows::PagedRows;
use coconut::model::attention::rows::Place;
use coconut::model::config::Config;
use coconut_kernels::attend::layer::KvType;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const PAGES: usize = 40;

/// Head counts and sizes that meet every remainder of the vector loops.
fn config(heads: usize, kv_heads: usize, head_size: usize) -> Config {
    Config::from_json(&json!({
        "model_type": "llama", "vocab_size": 10, "max_position_embeddings": 512, "hidden_size": 8,
        "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "head_dim": head_size,
    }))
    .unwrap()
}

fn random(shape: (usize, usize, usize)) -> Tensor {
    Tensor::randn(0.0f32, 1.5, shape, &Device::Cpu).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn pages_on_the_cpu_give_what_the_plain_chain_gives(
        lengths in prop::collection::vec((1..70usize, 1..20usize), 1..5),
        (kv_heads, group, half_size) in (1..4usize, 1..4usize, 1..20usize),
        page_order in Just((0..PAGES as u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (heads, size) = (kv_heads * group, 2 * half_size);
        let config = config(heads, kv_heads, size);
        let mut host = KvMemory::host(&config, PAGES, KvType::F32).unwrap();
        let mut plain = KvMemory::device(&config, PAGES, KvType::F32, &Device::Cpu).unwrap();
        let mut pages = page_order.into_iter();
        let tables: Vec<Arc<[u32]>> = lengths
            .iter()
            .map(|(before, now)| pages.by_ref().take(pages_for(before + now)).collect())
            .collect();
        // A first pass fills what is there before, a second one adds rows in mixed order.
        let first: Vec<Place> = lengths
            .iter()
            .enumerate()
            .flat_map(|(table, (before, _))| (0..*before).map(move |position| Place { table, position }))
            .collect();
        let mut second: Vec<Place> = lengths
            .iter()
            .enumerate()
            .flat_map(|(table, (before, now))| (*before..before + now).map(move |position| Place { table, position }))
            .collect();
        second.reverse();
        for places in [first, second] {
            let count = places.len();
            let rows = PagedRows { tables: tables.clone(), places };
            for layer in 0..2 {
                let (q, k, v) = (random((count, heads, size)), random((count, kv_heads, size)), random((count, kv_heads, size)));
                let ours = Paged::new(&mut host, &rows).unwrap().attend(layer, &q, &k, &v).unwrap();
                let truth = Paged::new(&mut plain, &rows).unwrap().attend(layer, &q, &k, &v).unwrap();
                let difference = (ours - truth).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                prop_assert!(difference < 1e-5, "off by {difference}");
            }
        }
    }
}
