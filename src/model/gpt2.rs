//! GPT-2: learned positions, pre-norm blocks, tanh GELU. Tensor names as Hugging Face writes them; linear weights are
//! stored (in, out) already. Knows no request.

use crate::model::attention::Attention;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::model::ops::Activation;
use crate::model::ops::Kernels;
use crate::model::ops::LayerNorm;
use crate::model::ops::Linear;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use candle_core::D;
use candle_core::Tensor;

/// The blocks of a GPT-2, without embedding and head.
#[derive(Debug)]
pub(crate) struct Gpt2 {
    /// (T, D)
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    heads: usize,
    head_size: usize,
}

#[derive(Debug)]
struct Block {
    norm_1: LayerNorm,
    /// (D, 3D): queries, keys and values side by side.
    qkv: Linear,
    attention_out: Linear,
    norm_2: LayerNorm,
    up: Linear,
    activation: Activation,
    down: Linear,
}

impl Gpt2 {
    /// The name of the embedding tensor.
    pub(crate) const EMBEDDING: &str = "transformer.wte.weight";

    pub(crate) fn load(config: &Config, parameters: &mut dyn Parameters) -> Result<Self> {
        let width = config.width;
        let positions = parameters.take(
            "transformer.wpe.weight",
            &[config.max_positions, width],
            Stored::AsIs,
        )?;
        let blocks = (0..config.layers)
            .map(|layer| Block::load(config, &format!("transformer.h.{layer}"), parameters))
            .collect::<Result<_>>()?;
        let norm = layer_norm(parameters, "transformer.ln_f", config)?;
        Ok(Self { positions, blocks, norm, heads: config.heads, head_size: config.head_size })
    }

    /// x (R, D), positions (R,) -> hidden states after the final norm (R, D)
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        positions: &Tensor,
        attention: &mut dyn Attention,
        kernels: Kernels,
    ) -> candle_core::Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let by_head = (rows, self.heads, self.head_size);
        let mut x = (x + self.positions.index_select(positions, 0)?)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let qkv = block.qkv.forward(&block.norm_1.forward(&x, kernels)?)?;
            let part = |i| qkv.narrow(D::Minus1, i * width, width)?.contiguous()?.reshape(by_head);
            let mixed = attention.attend(layer, &part(0)?, &part(1)?, &part(2)?)?;
            x = (x + block.attention_out.forward(&mixed)?)?;
            let inner = block
                .activation
                .forward(&block.up.forward(&block.norm_2.forward(&x, kernels)?)?)?;
            x = (x + block.down.forward(&inner)?)?;
        }
        self.norm.forward(&x, kernels)
    }
}

impl Block {
    fn load(config: &Config, prefix: &str, parameters: &mut dyn Parameters) -> Result<Self> {
        let (width, inner) = (config.width, config.inner);
        Ok(Self {
            norm_1: layer_norm(parameters, &format!("{prefix}.ln_1"), config)?,
            qkv: linear(parameters, &format!("{prefix}.attn.c_attn"), width, 3 * width)?,
            attention_out: linear(parameters, &format!("{prefix}.attn.c_proj"), width, width)?,
            norm_2: layer_norm(parameters, &format!("{prefix}.ln_2"), config)?,
            up: linear(parameters, &format!("{prefix}.mlp.c_fc"), width, inner)?,
            activation: config.activation,
            down: linear(parameters, &format!("{prefix}.mlp.c_proj"), inner, width)?,
        })
    }
}

fn linear(
    parameters: &mut dyn Parameters,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<Linear> {
    let weight = parameters.take(&format!("{name}.weight"), &[inputs, outputs], Stored::AsIs)?;
    let bias = parameters.take(&format!("{name}.bias"), &[outputs], Stored::AsIs)?;
    Ok(Linear { weight, bias: Some(bias) })
}

fn layer_norm(parameters: &mut dyn Parameters, name: &str, config: &Config) -> Result<LayerNorm> {
    Ok(LayerNorm {
        weight: parameters.take(&format!("{name}.weight"), &[config.width], Stored::AsIs)?,
        bias: parameters.take(&format!("{name}.bias"), &[config.width], Stored::AsIs)?,
        eps: config.norm_eps,
    })
}
