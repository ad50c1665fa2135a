//! Sums of gradients over the parts of an update, where the variables are. Knows no rule.

use crate::train::variables::Variable;
use crate::train::variables::Variables;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::backprop::GradStore;

/// Gradients of all variables, each in the order of its variable; empty before the first part.
#[derive(Debug)]
pub enum Gradients {
    /// On the CPU.
    Host(Vec<Vec<f32>>),
    /// Elsewhere.
    Device(Vec<Tensor>),
}

impl Gradients {
    /// None yet.
    pub fn new(variables: &Variables) -> Self {
        match variables.device().is_cpu() {
            true => Self::Host(Vec::new()),
            false => Self::Device(Vec::new()),
        }
    }

    /// Adds a part's gradients, each times `scale`.
    ///
    /// # Errors
    /// If the numbers cannot be read.
    pub fn add(&mut self, part: &GradStore, variables: &Variables, scale: f32) -> Result<()> {
        for (index, variable) in variables.iter().enumerate() {
            match self {
                Self::Host(sums) => add_slice(sums, index, part, variable, scale)?,
                Self::Device(sums) => add_tensor(sums, index, part, variable, scale)?,
            }
        }
        Ok(())
    }
}

fn add_slice(
    sums: &mut Vec<Vec<f32>>,
    index: usize,
    part: &GradStore,
    Variable { var, .. }: &Variable,
    scale: f32,
) -> Result<()> {
    let values = match part.get(var) {
        Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>()?,
        // Learned positions beyond a batch still have a gradient, but a stage may leave a parameter out.
        None => vec![0.0; var.elem_count()],
    };
    match sums.get_mut(index) {
        Some(sum) => sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += scale * x),
        None => sums.push(values.into_iter().map(|x| scale * x).collect()),
    }
    Ok(())
}

fn add_tensor(
    sums: &mut Vec<Tensor>,
    index: usize,
    part: &GradStore,
    Variable { var, .. }: &Variable,
    scale: f32,
) -> Result<()> {
    // candle's gradients remember how they came about, and with it every tensor of the forward pass.
    let gradient = match part.get(var) {
        Some(gradient) if scale == 1.0 => gradient.detach(),
        Some(gradient) => (gradient.detach() * f64::from(scale))?,
        None => var.zeros_like()?.detach(),
    };
    match sums.get_mut(index) {
        Some(sum) => *sum = (&*sum + gradient)?,
        None => sums.push(gradient),
    }
    Ok(())
}
