//! A transformer for serving on the CPU: weights packed once, activations as plain slices in memory that is kept from
//! pass to pass. Built from the same plan as the chain of tensors, which it is tested against. Knows no request, and
//! passes no gradient.

mod block;
mod layers;
mod watching;

use crate::model::attention::paged_cpu::HostKv;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::model::host::block::Block;
use crate::model::host::block::Rows;
use crate::model::host::block::Shape;
use crate::model::host::layers::Linear;
use crate::model::host::layers::Norm;
use crate::model::host::layers::Projector;
use crate::model::host::layers::pack;
use crate::model::host::layers::read_vector;
use crate::model::host::watching::Watching;
use crate::model::look::Watch;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::pass::Output;
use crate::model::pass::Pass;
use crate::model::plan::LinearPlan;
use crate::model::plan::Plan;
use crate::model::rope::angles;
use coconut_kernels::attend::pages::View;
use coconut_kernels::norm::add;
use coconut_kernels::packed::Columns;
use coconut_kernels::packed::Format;
use coconut_kernels::rotate::Angles;

/// A transformer with packed weights.
#[derive(Debug)]
pub struct HostModel {
    config: Config,
    /// (D, V) packed, so that one copy is both embedding and head where they are tied.
    embedding: Linear,
    positions: Positions,
    blocks: Vec<Block>,
    norm: Norm,
    /// `None` where the embedding serves as head.
    head: Option<Linear>,
    /// `None` where hidden states are fed back as they are.
    projector: Option<Projector>,
    rows: Rows,
}

/// How a row learns its position.
#[derive(Debug)]
enum Positions {
    /// (T, D), added to the input.
    Learned(Vec<f32>),
    /// Queries and keys are turned.
    Rotary(Angles),
}

impl HostModel {
    /// Takes the tensors that `config` implies from `parameters` and packs each as it comes.
    pub fn new(config: Config, parameters: &mut dyn Parameters, format: Format) -> Result<Self> {
        let plan = Plan::of(&config);
        let table = LinearPlan {
            name: plan.embedding.trim_end_matches(".weight").to_owned(),
            inputs: config.width,
            outputs: config.vocab_size,
            stored: Stored::Transposed,
            bias: false,
        };
        let table_format = match (format, &plan.head) {
            // No product is made with it, and its rows are the input of everything.
            (Format::Int8, Some(_)) => Format::Bf16,
            _ => format,
        };
        let embedding = pack(&[&table], Columns::Plain, table_format, parameters)?;
        let positions = match plan.positions {
            Some(name) => {
                let shape = [config.max_positions, config.width];
                Positions::Learned(read_vector(&parameters.take(name, &shape, Stored::AsIs)?)?)
            }
            None => Positions::Rotary(angles(&config)),
        };
        let blocks = plan.blocks.iter().map(|plan| Block::load(plan, format, parameters));
        let blocks = blocks.collect::<Result<_>>()?;
        let norm = Norm::load(&plan.norm, parameters)?;
        let one = |plan: &LinearPlan, parameters| pack(&[plan], Columns::Plain, format, parameters);
        let head = plan.head.as_ref().map(|head| one(head, parameters)).transpose()?;
        let projector =
            plan.projector.map(|plan| Projector::load(&plan, format, parameters)).transpose()?;
        let rows = Rows::default();
        Ok(Self { config, embedding, positions, blocks, norm, head, projector, rows })
    }

    /// Sizes and kinds.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Forgets what a pass that ended midway left behind.
    pub(crate) fn reset(&mut self) {
        self.rows = Rows::default();
    }

    /// One forward pass over KV memory; thoughts and logits of the rows that are wanted.
    pub(crate) fn pass(&mut self, pass: &Pass<'_>, memory: &mut HostKv, out: &mut Output) {
        self.rows.places(pass);
        self.embed(pass);
        let angles = match &self.positions {
            Positions::Learned(_) => None,
            Positions::Rotary(angles) => Some(angles),
        };
        let Config { heads, kv_heads, head_size, .. } = self.config;
        let shape = Shape { heads, kv_heads, head_size, angles };
        let mut views: Vec<View<'_>> =
            (0..pass.rows.places.len()).map(|row| pass.rows.view(row)).collect();
        let last = self.blocks.len() - 1;
        let watch = Watch::new(pass.wanted.looks, pass.rows, &self.config);
        let mut watching = Watching { watch, shape };
        for (layer, block) in self.blocks.iter().enumerate() {
            watching.enters(layer, &self.rows);
            block
                .keys_and_values(shape, &mut self.rows, |kv, slots| memory.write(layer, kv, slots));
            watching.attends(layer, &self.rows, memory);
            if layer == last {
                watching.leaves(layer, (block, &self.rows, &views), memory);
                // Of the others nothing but keys and values is ever needed.
                views = self.rows.keep(&pass.wanted, &views, shape);
            }
            if views.is_empty() {
                break;
            }
            let views = &views;
            block.rest(shape, &mut self.rows, |q, out| memory.read(layer, q, views, out));
        }
        out.seen = watching.watch.finish();
        self.finish(pass, out);
    }

    /// Input rows: embeddings of ids, then thoughts as they are; learned positions added.
    fn embed(&mut self, pass: &Pass<'_>) {
        let width = self.config.width;
        let x = self.rows.inputs(pass.rows.places.len() * width);
        let (of_ids, of_thoughts) = x.split_at_mut(pass.ids.len() * width);
        for (row, &id) in of_ids.chunks_exact_mut(width).zip(pass.ids) {
            self.embedding.weights.read_output(id as usize, row);
        }
        of_thoughts.copy_from_slice(pass.thoughts);
        if let Positions::Learned(positions) = &self.positions {
            for (row, place) in x.chunks_exact_mut(width).zip(&pass.rows.places) {
                add(row, &positions[place.position * width..][..width]);
            }
        }
    }

    /// From what the last block left, wanted rows only, to thoughts and logits.
    fn finish(&mut self, pass: &Pass<'_>, out: &mut Output) {
        let width = self.config.width;
        out.thoughts.clear();
        if pass.wanted.rows() == 0 {
            return out.logits.clear();
        }
        let (x, hidden) = self.rows.outputs(pass.wanted.rows() * width);
        self.norm.apply(x, hidden);
        let (of_thoughts, of_tokens) = hidden.split_at_mut(pass.wanted.thoughts.len() * width);
        out.thoughts.extend_from_slice(of_thoughts);
        if let Some(projector) = &self.projector {
            projector.forward(of_thoughts, &mut out.thoughts);
        }
        let mut shown;
        let read = if pass.wanted.shown.is_empty() {
            &*of_tokens
        } else {
            shown = of_tokens.to_vec();
            for &thought in pass.wanted.shown {
                shown.extend_from_slice(&out.thoughts[thought as usize * width..][..width]);
            }
            &shown
        };
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        out.logits.resize(read.len() / width * self.config.vocab_size, 0.0);
        head.store(read, None, &mut out.logits);
    }

    /// The head's view of what blocks leave, x (R, D) -> logits (R, V); past the final norm where `normed`.
    pub(crate) fn lens(&self, x: &[f32], normed: bool) -> Vec<f32> {
        let mut hidden = x.to_vec();
        if normed {
            self.norm.apply(x, &mut hidden);
        }
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let mut logits = vec![0.0; x.len() / self.config.width * self.config.vocab_size];
        head.store(&hidden, None, &mut logits);
        logits
    }
}
