//! The blocks of a transformer as a chain of tensor operations, any architecture by its plan. The form that gradients
//! pass through, that runs on any device, and that the packed form is tested against. Knows no request.

use crate::model::attention::Attention;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::model::ops;
use crate::model::ops::Kernels;
use crate::model::ops::Linear;
use crate::model::ops::Norm;
use crate::model::ops::activate;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::plan::BlockPlan;
use crate::model::plan::Plan;
use crate::model::rope::Rotation;
use candle_core::D;
use candle_core::Device;
use candle_core::Tensor;
use coconut_kernels::activation::Activation;

/// All blocks, without embedding and head.
#[derive(Debug)]
pub(crate) struct Chain {
    positions: Positions,
    blocks: Vec<Block>,
    norm: Norm,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
}

/// How a row learns its position.
#[derive(Debug)]
enum Positions {
    /// (T, D), added to the input.
    Learned(Tensor),
    /// Queries and keys are turned.
    Rotary(Rotation),
}

#[derive(Debug)]
struct Block {
    norm_1: Norm,
    qkv: Vec<Linear>,
    head_norms: Option<[Norm; 2]>,
    attention_out: Linear,
    norm_2: Norm,
    gate: Option<Linear>,
    up: Linear,
    activation: Activation,
    down: Linear,
}

impl Chain {
    pub(crate) fn load(
        config: &Config,
        plan: &Plan,
        parameters: &mut dyn Parameters,
        device: &Device,
    ) -> Result<Self> {
        let positions = match plan.positions {
            Some(name) => {
                let shape = [config.max_positions, config.width];
                Positions::Learned(parameters.take(name, &shape, Stored::AsIs)?)
            }
            None => Positions::Rotary(Rotation::new(config, device)?),
        };
        let blocks =
            plan.blocks.iter().map(|plan| Block::load(plan, parameters)).collect::<Result<_>>()?;
        let norm = Norm::load(&plan.norm, parameters)?;
        let Config { heads, kv_heads, head_size, .. } = *config;
        Ok(Self { positions, blocks, norm, heads, kv_heads, head_size })
    }

    /// x (R, D), positions (R,) -> hidden states after the final norm (R, D)
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        positions: &Tensor,
        attention: &mut dyn Attention,
        kernels: Kernels,
    ) -> candle_core::Result<Tensor> {
        let (mut x, angles) = match &self.positions {
            Positions::Learned(all) => ((x + all.index_select(positions, 0)?)?, None),
            Positions::Rotary(rotation) => (x.clone(), Some(rotation.at(positions)?)),
        };
        attention.pass(0, &x)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let [mut q, mut k, v] = self.qkv(block, &block.norm_1.forward(&x, kernels)?)?;
            if let Some([query, key]) = &block.head_norms {
                (q, k) = (query.forward(&q, kernels)?, key.forward(&k, kernels)?);
            }
            if let Some((cos, sin)) = &angles {
                q = ops::rope(&q, cos, sin, kernels)?;
                k = ops::rope(&k, cos, sin, kernels)?;
            }
            let mixed = attention.attend(layer, &q, &k, &v)?.to_dtype(x.dtype())?;
            x = (x + block.attention_out.forward(&mixed)?)?;
            x = (&x + block.feed_forward(&block.norm_2.forward(&x, kernels)?, kernels)?)?;
            attention.pass(layer + 1, &x)?;
        }
        self.norm(&x, kernels)
    }

    /// The final norm, (R, D) -> (R, D)
    pub(crate) fn norm(&self, x: &Tensor, kernels: Kernels) -> candle_core::Result<Tensor> {
        self.norm.forward(x, kernels)
    }

    /// x (R, D) -> queries (R, H, E), keys and values (R, G, E)
    fn qkv(&self, block: &Block, x: &Tensor) -> candle_core::Result<[Tensor; 3]> {
        let (rows, _) = x.dims2()?;
        let heads = [self.heads, self.kv_heads, self.kv_heads];
        let by_head = |x: Tensor, heads: usize| x.reshape((rows, heads, self.head_size));
        match &block.qkv[..] {
            [query, key, value] => Ok([
                by_head(query.forward(x)?, heads[0])?,
                by_head(key.forward(x)?, heads[1])?,
                by_head(value.forward(x)?, heads[2])?,
            ]),
            all => {
                let all = all.iter().map(|linear| linear.forward(x)).collect::<Result<Vec<_>, _>>();
                let all = Tensor::cat(&all?, D::Minus1)?;
                let part = |first: usize, heads: usize| {
                    let (start, width) = (first * self.head_size, heads * self.head_size);
                    by_head(all.narrow(D::Minus1, start, width)?.contiguous()?, heads)
                };
                let (first_key, first_value) = (heads[0], heads[0] + heads[1]);
                Ok([part(0, heads[0])?, part(first_key, heads[1])?, part(first_value, heads[2])?])
            }
        }
    }
}

impl Block {
    fn load(plan: &BlockPlan, parameters: &mut dyn Parameters) -> Result<Self> {
        let qkv = plan.qkv.iter().map(|plan| Linear::load(plan, parameters)).collect::<Result<_>>();
        let head_norms = match &plan.head_norms {
            Some([query, key]) => {
                Some([Norm::load(query, parameters)?, Norm::load(key, parameters)?])
            }
            None => None,
        };
        let gate = plan.gate.as_ref().map(|gate| Linear::load(gate, parameters)).transpose()?;
        Ok(Self {
            norm_1: Norm::load(&plan.norm_1, parameters)?,
            qkv: qkv?,
            head_norms,
            attention_out: Linear::load(&plan.attention_out, parameters)?,
            norm_2: Norm::load(&plan.norm_2, parameters)?,
            gate,
            up: Linear::load(&plan.up, parameters)?,
            activation: plan.activation,
            down: Linear::load(&plan.down, parameters)?,
        })
    }

    /// (R, D) -> (R, D)
    fn feed_forward(&self, x: &Tensor, kernels: Kernels) -> candle_core::Result<Tensor> {
        let inner = match &self.gate {
            Some(gate) => {
                (activate(self.activation, &gate.forward(x)?, kernels)? * self.up.forward(x)?)?
            }
            None => activate(self.activation, &self.up.forward(x)?, kernels)?,
        };
        self.down.forward(&inner)
    }
}
