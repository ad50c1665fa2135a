//! Llama: rotary positions, RMS norm, SwiGLU, grouped-query attention. Tensor names as Hugging Face writes them. Qwen2
//! and Qwen3 are this with biases, or with norms on queries and keys. Knows no request.

use crate::model::attention::Attention;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::model::ops;
use crate::model::ops::Activation;
use crate::model::ops::Kernels;
use crate::model::ops::Linear;
use crate::model::ops::RmsNorm;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::qwen3::HeadNorms;
use crate::model::rope::Rotation;
use candle_core::Device;
use candle_core::Tensor;

/// The blocks of a Llama, without embedding and head.
#[derive(Debug)]
pub(crate) struct Llama {
    rotation: Rotation,
    blocks: Vec<Block>,
    norm: RmsNorm,
    head_size: usize,
}

#[derive(Debug)]
struct Block {
    norm_1: RmsNorm,
    query: Linear,
    key: Linear,
    /// Norms of each head's query and key, where the architecture has them.
    head_norms: Option<HeadNorms>,
    value: Linear,
    attention_out: Linear,
    norm_2: RmsNorm,
    gate: Linear,
    up: Linear,
    activation: Activation,
    down: Linear,
}

impl Llama {
    /// The name of the embedding tensor.
    pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";

    pub(crate) fn load(
        config: &Config,
        parameters: &mut dyn Parameters,
        device: &Device,
    ) -> Result<Self> {
        let blocks = (0..config.layers)
            .map(|layer| Block::load(config, &format!("model.layers.{layer}"), parameters))
            .collect::<Result<_>>()?;
        let norm = rms_norm(parameters, "model.norm", config)?;
        let rotation = Rotation::new(config, device)?;
        Ok(Self { rotation, blocks, norm, head_size: config.head_size })
    }

    /// x (R, D), positions (R,) -> hidden states after the final norm (R, D)
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        positions: &Tensor,
        attention: &mut dyn Attention,
        kernels: Kernels,
    ) -> candle_core::Result<Tensor> {
        let (rows, _) = x.dims2()?;
        let (cos, sin) = self.rotation.at(positions)?;
        let turned = |x: &Tensor| ops::rope(x, &cos, &sin, kernels);
        let by_head = (rows, (), self.head_size);
        let mut x = x.clone();
        for (layer, block) in self.blocks.iter().enumerate() {
            let normed = block.norm_1.forward(&x, kernels)?;
            let mut q = block.query.forward(&normed)?.reshape(by_head)?;
            let mut k = block.key.forward(&normed)?.reshape(by_head)?;
            if let Some(norms) = &block.head_norms {
                (q, k) = norms.forward(&q, &k, kernels)?;
            }
            let (q, k) = (turned(&q)?, turned(&k)?);
            let v = block.value.forward(&normed)?.reshape(by_head)?;
            let mixed = attention.attend(layer, &q, &k, &v)?;
            x = (x + block.attention_out.forward(&mixed)?)?;
            let normed = block.norm_2.forward(&x, kernels)?;
            let gate = block.activation.forward(&block.gate.forward(&normed)?)?;
            x = (x + block.down.forward(&(gate * block.up.forward(&normed)?)?)?)?;
        }
        self.norm.forward(&x, kernels)
    }
}

impl Block {
    fn load(config: &Config, prefix: &str, parameters: &mut dyn Parameters) -> Result<Self> {
        let (width, inner) = (config.width, config.inner);
        let queries = config.heads * config.head_size;
        let keys = config.kv_heads * config.head_size;
        let bias = config.attention_bias;
        let mut linear = |name: &str, inputs, outputs, bias: bool| {
            let weight = parameters.take(
                &format!("{prefix}.{name}.weight"),
                &[inputs, outputs],
                Stored::Transposed,
            )?;
            let bias = bias.then(|| {
                parameters.take(&format!("{prefix}.{name}.bias"), &[outputs], Stored::AsIs)
            });
            Ok::<_, crate::model::error::Error>(Linear { weight, bias: bias.transpose()? })
        };
        Ok(Self {
            query: linear("self_attn.q_proj", width, queries, bias)?,
            key: linear("self_attn.k_proj", width, keys, bias)?,
            value: linear("self_attn.v_proj", width, keys, bias)?,
            attention_out: linear("self_attn.o_proj", queries, width, config.output_bias)?,
            gate: linear("mlp.gate_proj", width, inner, false)?,
            up: linear("mlp.up_proj", width, inner, false)?,
            down: linear("mlp.down_proj", inner, width, false)?,
            activation: config.activation,
            head_norms: HeadNorms::load(config, prefix, parameters)?,
            norm_1: rms_norm(parameters, &format!("{prefix}.input_layernorm"), config)?,
            norm_2: rms_norm(parameters, &format!("{prefix}.post_attention_layernorm"), config)?,
        })
    }
}

fn rms_norm(parameters: &mut dyn Parameters, name: &str, config: &Config) -> Result<RmsNorm> {
    let weight = parameters.take(&format!("{name}.weight"), &[config.width], Stored::AsIs)?;
    Ok(RmsNorm { weight, eps: config.norm_eps })
}
