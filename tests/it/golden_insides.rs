//! Hidden states and attention weights as transformers computes them.

use crate::insides::everything;
use crate::insides::insides;
use crate::insides::looking;
use crate::insides::program;
use crate::insides::told;
use crate::looking::chain;
use crate::looking::off;
use crate::parity::start;
use crate::support::Fixture;
use crate::support::TOLERANCE;
use crate::support::data;
use crate::support::distance;
use candle_core::Device;
use candle_core::Tensor;
use coconut::engine::inside::Inside;
use coconut::engine::request::EventKind;
use coconut::latent::script::Sampling;
use coconut::model::ops::Kernels;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What `tests/data/make_insides.py` wrote of one checkpoint.
#[derive(Deserialize)]
struct Golden {
    answer: Vec<u32>,
    layers: Vec<usize>,
    rows: Vec<GoldenRow>,
}

#[derive(Deserialize)]
struct GoldenRow {
    position: usize,
    /// By layer (D,); the last one after the final norm.
    hidden_states: Vec<Vec<f32>>,
    /// By layer but 0, and head, (position + 1,).
    attentions: Vec<Vec<Vec<f32>>>,
}

#[test]
fn hidden_states_and_attentions_are_those_of_transformers() {
    let text = std::fs::read_to_string(data("insides.json")).unwrap();
    let all: BTreeMap<String, Golden> = serde_json::from_str(&text).unwrap();
    assert_eq!(all.len(), 2);
    for (name, golden) in all {
        let fixture = Fixture::load(&name);
        let (model, layers) = (&fixture.model, golden.layers.clone());
        let attention = Some((0..model.config().heads).collect());
        let inside = Inside { layers, attention, lens: None, ..everything(model, true) };
        let script = program(&fixture).script(Sampling::GREEDY);
        for engine in [start(Fixture::load(&name), off()), chain(&name, off())] {
            let told = told(engine.submit(looking(&script, &inside)).unwrap()).remove(&0).unwrap();
            let said = told.iter().filter_map(|event| match event {
                EventKind::Token(token) => Some(token.id),
                _ => None,
            });
            assert_eq!(said.collect::<Vec<_>>(), golden.answer);
            let rows = insides(&told);
            assert_eq!(rows.len(), golden.rows.len());
            for (ours, golden) in rows.iter().zip(&golden.rows) {
                assert_eq!(ours.position, golden.position);
                let mut states = ours.hidden_states.clone();
                let last = states.len() - model.config().width;
                let end =
                    Tensor::from_slice(&states[last..], (1, states.len() - last), &Device::Cpu);
                let normed = model.norm(&end.unwrap(), Kernels::Differentiable);
                states.truncate(last);
                states.extend(normed.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap());
                let what = format!("{name}, {:?}", ours.role);
                assert!(distance(&states, &golden.hidden_states.concat()) < TOLERANCE, "{what}");
                let weights = golden.attentions.concat().concat();
                assert!(distance(&ours.attention, &weights) < TOLERANCE, "{what}");
            }
        }
    }
}
