//! The parameters of a run as candle variables, handed to the architecture by name like those of a checkpoint, so that
//! the model that trains is the model that serves. A tied head is the embedding's variable used twice. Knows no
//! optimiser.

use crate::model::Model;
use crate::model::config::Config;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::save;
use crate::model::load::save::SavedType;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use candle_core::Var;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// One parameter.
#[derive(Debug)]
pub struct Variable {
    /// As in the checkpoint.
    pub name: String,
    /// How it lies in the checkpoint, against `var`.
    pub stored: Stored,
    /// With the shape that the model keeps.
    pub var: Var,
}

/// What a parameter is for, which decides how it is initialised, decayed and optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Tokens or positions to vectors, and the head that is not tied.
    Embedding,
    /// A matrix of a linear layer.
    Matrix,
    /// A bias.
    Bias,
    /// The scale of a norm.
    Scale,
}

impl Role {
    /// By name and number of dimensions.
    pub fn of(name: &str, dimensions: usize) -> Self {
        let embedding = ["wte.", "wpe.", "embed_tokens.", "lm_head."];
        match dimensions {
            2 if embedding.iter().any(|part| name.contains(part)) => Self::Embedding,
            2 => Self::Matrix,
            _ if name.ends_with(".bias") => Self::Bias,
            _ => Self::Scale,
        }
    }
}

impl Variable {
    /// What it is for.
    pub fn role(&self) -> Role {
        Role::of(&self.name, self.var.dims().len())
    }

    /// The shape on disk.
    fn saved_shape(&self) -> Vec<usize> {
        let mut shape = self.var.dims().to_vec();
        if self.stored == Stored::Transposed {
            shape.reverse();
        }
        shape
    }

    /// A tensor of the variable's shape (itself, a gradient), as it would lie on disk.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn as_saved(&self, tensor: &Tensor) -> candle_core::Result<Tensor> {
        match self.stored {
            Stored::AsIs => Ok(tensor.clone()),
            Stored::Transposed => tensor.t()?.contiguous(),
        }
    }

    /// The elements in the order on disk. What is not finite is never saved: a run could not go on from it.
    fn saved_bytes(&self) -> Result<Vec<u8>> {
        let flat = self.as_saved(&self.var)?.flatten_all()?.to_vec1::<f32>()?;
        SavedType::F32.bytes(&self.name, &flat)
    }
}

/// All parameters, in the order in which the architecture takes them.
#[derive(Debug)]
pub struct Variables {
    list: Vec<Variable>,
    device: Device,
}

impl Variables {
    /// The model of `config` with its parameters taken from `source`, each a variable on `device`.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn new(
        config: Config,
        source: &mut dyn Parameters,
        device: &Device,
    ) -> Result<(Self, Model)> {
        let mut this = Self { list: Vec::new(), device: device.clone() };
        let mut taker = Taker { source, variables: &mut this };
        let model = Model::new(config, &mut taker, device)?;
        Ok((this, model))
    }

    /// A model on the same numbers that notes no gradients: it follows every change of the variables.
    ///
    /// # Errors
    /// If `config` is not the one that the variables were made for.
    pub fn frozen(&self, config: Config) -> Result<Model> {
        Model::new(config, &mut Frozen(self), &self.device)
    }

    /// Where all of them are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Variable> {
        self.list.iter()
    }

    /// By name.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.list.iter().find(|variable| variable.name == name)
    }

    /// Writes `model.safetensors` as Hugging Face would.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors = self
            .list
            .iter()
            .map(|variable| {
                let (shape, bytes) = (variable.saved_shape(), variable.saved_bytes()?);
                Ok((variable.name.clone(), shape, bytes))
            })
            .collect::<Result<Vec<_>>>()?;
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name.clone(), view.expect("a tensor has as many bytes as its shape says"))
        });
        save::write(views, path)
    }
}

struct Taker<'a> {
    source: &'a mut dyn Parameters,
    variables: &'a mut Variables,
}

impl Parameters for Taker<'_> {
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor> {
        let tensor = self.source.take(name, shape, stored)?.to_dtype(DType::F32)?;
        let tensor = tensor.to_device(&self.variables.device)?;
        let var = Var::from_tensor(&tensor.contiguous()?)?;
        let tensor = var.as_tensor().clone();
        self.variables.list.push(Variable { name: name.to_owned(), stored, var });
        Ok(tensor)
    }
}

struct Frozen<'a>(&'a Variables);

impl Parameters for Frozen<'_> {
    fn take(&mut self, name: &str, shape: &[usize], _: Stored) -> Result<Tensor> {
        match self.0.get(name) {
            Some(variable) if variable.var.dims() == shape => Ok(variable.var.detach()),
            Some(variable) => Err(Error::Shape {
                name: name.to_owned(),
                found: variable.var.dims().to_vec(),
                expected: shape.to_vec(),
            }),
            None => Err(Error::Missing(vec![name.to_owned()])),
        }
    }
}
