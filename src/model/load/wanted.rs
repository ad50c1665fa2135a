//! Which tensors an architecture takes, and with which shapes: known before anything is read. Knows no numbers.

use crate::model::config::Config;
use crate::model::parameters::Stored;
use crate::model::plan::LinearPlan;
use crate::model::plan::NormPlan;
use crate::model::plan::Plan;

/// A tensor that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// As Hugging Face names it.
    pub(super) name: String,
    /// As the model keeps it.
    pub(super) shape: Vec<usize>,
    pub(super) stored: Stored,
}

impl Wanted {
    /// The shape in the file.
    pub(super) fn on_disk(&self) -> Vec<usize> {
        match self.stored {
            Stored::AsIs => self.shape.clone(),
            Stored::Transposed => self.shape.iter().rev().copied().collect(),
        }
    }
}

/// All that a model of this configuration takes, in its order.
pub(super) fn wanted(config: &Config) -> Vec<Wanted> {
    let plan = Plan::of(config);
    let mut list = List(Vec::new());
    list.add(plan.embedding.to_owned(), &[config.vocab_size, config.width], Stored::AsIs);
    if let Some(name) = plan.positions {
        list.add(name.to_owned(), &[config.max_positions, config.width], Stored::AsIs);
    }
    for block in &plan.blocks {
        list.norm(&block.norm_1);
        block.qkv.iter().for_each(|part| list.linear(part));
        block.head_norms.iter().flatten().for_each(|norm| list.norm(norm));
        list.linear(&block.attention_out);
        list.norm(&block.norm_2);
        block.gate.iter().for_each(|gate| list.linear(gate));
        list.linear(&block.up);
        list.linear(&block.down);
    }
    list.norm(&plan.norm);
    plan.head.iter().for_each(|head| list.linear(head));
    if let Some(projector) = &plan.projector {
        list.linear(&projector.up);
        list.linear(&projector.down);
        projector.norm.iter().for_each(|norm| list.norm(norm));
    }
    list.0
}

struct List(Vec<Wanted>);

impl List {
    fn add(&mut self, name: String, shape: &[usize], stored: Stored) {
        self.0.push(Wanted { name, shape: shape.to_vec(), stored });
    }

    fn linear(&mut self, plan: &LinearPlan) {
        self.add(plan.weight(), &[plan.inputs, plan.outputs], plan.stored);
        if let Some(bias) = plan.bias() {
            self.add(bias, &[plan.outputs], Stored::AsIs);
        }
    }

    fn norm(&mut self, plan: &NormPlan) {
        self.add(plan.weight(), &[plan.width], Stored::AsIs);
        if let Some(bias) = plan.bias() {
            self.add(bias, &[plan.width], Stored::AsIs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::error::Result;
    use crate::model::load::Found;
    use crate::model::parameters::Parameters;
    use candle_core::DType;
    use candle_core::Device;
    use candle_core::Tensor;
    use std::path::Path;

    struct Taken(Vec<Wanted>);

    impl Parameters for Taken {
        fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor> {
            self.0.push(Wanted { name: name.to_owned(), shape: shape.to_vec(), stored });
            Ok(Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(shape)?)
        }
    }

    #[test]
    fn what_is_wanted_is_what_models_take() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        for name in ["codi-gpt2", "codi-llama", "coconut-qwen2-hf", "coconut-qwen3-hf"] {
            let config = Found::open(&folder.join(name), None).unwrap().config;
            let mut taken = Taken(Vec::new());
            Model::new(config.clone(), &mut taken, &Device::Cpu).unwrap();
            let sorted = |mut list: Vec<Wanted>| {
                list.sort_by(|a, b| a.name.cmp(&b.name));
                list
            };
            assert_eq!(sorted(wanted(&config)), sorted(taken.0), "{name}");
        }
    }
}
