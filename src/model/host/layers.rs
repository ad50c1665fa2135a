//! Layers with packed weights: products, norms, the projector. Knows no order of blocks.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::model::plan::LinearPlan;
use crate::model::plan::NormPlan;
use crate::model::plan::ProjectorPlan;
use candle_core::DType;
use candle_core::Tensor;
use coconut_kernels::activation::Activation;
use coconut_kernels::epilogue::Combine;
use coconut_kernels::epilogue::Epilogue;
use coconut_kernels::matmul::matmul;
use coconut_kernels::norm;
use coconut_kernels::packed::Columns;
use coconut_kernels::packed::Format;
use coconut_kernels::packed::PackedMatrix;
use coconut_kernels::packed::Unfit;
use coconut_kernels::packed::Unpacked;
use std::ops::Range;

/// A matrix product.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weights: PackedMatrix,
    /// (out,)
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// out (R, out) = activation(x (R, in) weights + bias)
    pub(super) fn store(&self, x: &[f32], activation: Option<Activation>, out: &mut [f32]) {
        let bias = self.bias.as_deref();
        let epilogue = Epilogue { bias, activation, combine: Combine::Store };
        matmul(x, &self.weights, epilogue, out);
    }

    /// out (R, out) += x (R, in) weights + bias
    pub(super) fn add(&self, x: &[f32], out: &mut [f32]) {
        let bias = self.bias.as_deref();
        let epilogue = Epilogue { bias, activation: None, combine: Combine::Add };
        matmul(x, &self.weights, epilogue, out);
    }

    /// Length of an output row.
    pub(super) fn outputs(&self) -> usize {
        self.weights.outputs()
    }
}

/// Several products with the same input as one, side by side; or gate and up of a gated feed-forward.
pub(super) fn pack(
    parts: &[&LinearPlan],
    columns: Columns,
    format: Format,
    parameters: &mut dyn Parameters,
) -> Result<Linear> {
    let inputs = parts[0].inputs;
    let outputs = match columns {
        Columns::Plain => parts.iter().map(|part| part.outputs).sum(),
        Columns::Gated => parts[0].outputs,
    };
    let bias = bias(parts, parameters)?;
    let wanted: Vec<_> = parts
        .iter()
        .map(|part| (part.weight(), [part.inputs, part.outputs], part.stored))
        .collect();
    let matrices = parameters.matrices(&wanted)?;
    let packed = PackedMatrix::pack(
        (inputs, outputs),
        format,
        columns,
        &|range: Range<usize>, inputs: Range<usize>, block: &mut [f32]| {
            let mut start = 0;
            for (index, (matrix, part)) in matrices.iter().zip(parts).enumerate() {
                match columns {
                    Columns::Gated => {
                        let column = index * columns.outputs_per_panel();
                        matrix.read(inputs.clone(), range.clone(), block, column);
                    }
                    Columns::Plain => {
                        let mine = range.start.max(start)..range.end.min(start + part.outputs);
                        if !mine.is_empty() {
                            let column = mine.start - range.start;
                            let outputs = mine.start - start..mine.end - start;
                            matrix.read(inputs.clone(), outputs, block, column);
                        }
                        start += part.outputs;
                    }
                }
            }
        },
    );
    match packed {
        Ok(weights) => Ok(Linear { weights, bias }),
        Err(Unpacked::Memory(reason)) => Err(Error::Memory { reason }),
        Err(Unpacked::Unfit(unfit)) => {
            let name = part_with(parts, columns, &unfit).weight();
            Err(Error::unfit(&name, unfit.value, format.name()))
        }
    }
}

/// The part that a weight belongs to.
fn part_with<'p>(parts: &[&'p LinearPlan], columns: Columns, unfit: &Unfit) -> &'p LinearPlan {
    match columns {
        Columns::Gated => parts[unfit.half],
        Columns::Plain => {
            let mut end = 0;
            let holds = |part: &&&LinearPlan| {
                end += part.outputs;
                unfit.output < end
            };
            parts.iter().find(holds).unwrap_or(&parts[0])
        }
    }
}

/// Biases side by side; zeros for parts that have none, if any has one.
fn bias(parts: &[&LinearPlan], parameters: &mut dyn Parameters) -> Result<Option<Vec<f32>>> {
    if parts.iter().all(|part| !part.bias) {
        return Ok(None);
    }
    let mut all = Vec::new();
    for part in parts {
        match part.bias() {
            Some(name) => {
                let bias = parameters.take(&name, &[part.outputs], Stored::AsIs)?;
                all.extend(read_vector(&bias)?);
            }
            None => all.resize(all.len() + part.outputs, 0.0),
        }
    }
    Ok(Some(all))
}

/// All numbers of a tensor, in order.
pub(super) fn read_vector(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

/// A norm.
#[derive(Debug)]
pub(super) struct Norm {
    /// (D,)
    pub(super) weight: Vec<f32>,
    /// (D,); `None` for the root mean square.
    bias: Option<Vec<f32>>,
    pub(super) eps: f32,
}

impl Norm {
    pub(super) fn load(plan: &NormPlan, parameters: &mut dyn Parameters) -> Result<Self> {
        let mut read =
            |name: String| read_vector(&parameters.take(&name, &[plan.width], Stored::AsIs)?);
        let weight = read(plan.weight())?;
        let bias = plan.bias().map(read).transpose()?;
        Ok(Self { weight, bias, eps: plan.eps as f32 })
    }

    /// x (R, D) -> out (R, D)
    pub(super) fn apply(&self, x: &[f32], out: &mut [f32]) {
        let (weight, eps) = (&*self.weight, self.eps);
        match &self.bias {
            Some(bias) => norm::Norm::Layer { weight, bias, eps }.apply(x, out),
            None => norm::Norm::Rms { weight, eps }.apply(x, out),
        }
    }
}

/// What hidden states go through to become thoughts.
#[derive(Debug)]
pub(super) struct Projector {
    up: Linear,
    activation: Activation,
    down: Linear,
    norm: Option<Norm>,
}

impl Projector {
    pub(super) fn load(
        plan: &ProjectorPlan,
        format: Format,
        parameters: &mut dyn Parameters,
    ) -> Result<Self> {
        Ok(Self {
            up: pack(&[&plan.up], Columns::Plain, format, parameters)?,
            activation: plan.activation,
            down: pack(&[&plan.down], Columns::Plain, format, parameters)?,
            norm: plan.norm.as_ref().map(|norm| Norm::load(norm, parameters)).transpose()?,
        })
    }

    /// Hidden states (R, D) -> thoughts (R, D)
    pub(super) fn forward(&self, hidden: &[f32], thoughts: &mut [f32]) {
        let rows = hidden.len() / self.down.outputs();
        let mut inner = vec![0.0; rows * self.up.outputs()];
        self.up.store(hidden, Some(self.activation), &mut inner);
        match &self.norm {
            Some(norm) => {
                let mut before_norm = vec![0.0; hidden.len()];
                self.down.store(&inner, None, &mut before_norm);
                norm.apply(&before_norm, thoughts);
            }
            None => self.down.store(&inner, None, thoughts),
        }
    }
}
