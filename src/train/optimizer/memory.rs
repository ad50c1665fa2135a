//! What an optimiser remembers from update to update, where the variables are; and how it is written down. Knows no rule.

use crate::train::optimizer::config::OptimizerConfig;
use crate::train::variables::Variable;
use crate::train::variables::Variables;
use candle_core::Result;
use candle_core::Tensor;
use std::borrow::Cow;

/// What an optimiser remembers.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Updates since it last forgot.
    pub updates: usize,
    /// Of each variable, the averages its rule keeps: one (Muon), or two (AdamW).
    pub averages: Averages,
}

/// Averages, by variable.
#[derive(Clone, Debug)]
pub enum Averages {
    /// On the CPU, in the order of their variable.
    Host(Vec<Vec<Vec<f32>>>),
    /// Elsewhere, in the shape of their variable.
    Device(Vec<Vec<Tensor>>),
}

impl Default for Memory {
    fn default() -> Self {
        Self { updates: 0, averages: Averages::Host(Vec::new()) }
    }
}

impl Memory {
    /// Nothing remembered.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn new(config: &OptimizerConfig, variables: &Variables) -> Result<Self> {
        let averages = |variable: &Variable| {
            let count = if config.uses_muon(variable.role()) { 1 } else { 2 };
            vec![vec![0.0; variable.var.elem_count()]; count]
        };
        Self::written(0, variables.iter().map(averages).collect(), variables)
    }

    /// What was written down, put where the variables are.
    ///
    /// # Errors
    /// If the numbers are not as many as the variables have.
    pub fn written(
        updates: usize,
        averages: Vec<Vec<Vec<f32>>>,
        variables: &Variables,
    ) -> Result<Self> {
        if variables.device().is_cpu() {
            return Ok(Self { updates, averages: Averages::Host(averages) });
        }
        let place = |(variable, averages): (&Variable, Vec<Vec<f32>>)| {
            let place = |data| Tensor::from_vec(data, variable.var.dims(), variables.device());
            averages.into_iter().map(place).collect::<Result<Vec<_>>>()
        };
        let averages = variables.iter().zip(averages).map(place).collect::<Result<_>>()?;
        Ok(Self { updates, averages: Averages::Device(averages) })
    }

    /// The averages as they are written down.
    ///
    /// # Errors
    /// If a device does not give them.
    pub fn to_write(&self) -> Result<Cow<'_, [Vec<Vec<f32>>]>> {
        match &self.averages {
            Averages::Host(averages) => Ok(Cow::Borrowed(averages)),
            Averages::Device(averages) => {
                let fetch = |average: &Tensor| average.flatten_all()?.to_vec1();
                let fetch = |averages: &Vec<Tensor>| averages.iter().map(fetch).collect();
                Ok(Cow::Owned(averages.iter().map(fetch).collect::<Result<_>>()?))
            }
        }
    }
}
