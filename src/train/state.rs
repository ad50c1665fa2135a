//! What a run needs to go on exactly where it was: weights, the optimiser's memory, and how far it is. Data order and
//! random numbers follow from the seed and the step, so there is nothing else. A state is written under a temporary name
//! and renamed when complete: a kill at any moment leaves the one before. Knows files, no data.

use crate::files;
use crate::model::load::save::SavedType;
use crate::model::load::tensors::Tensors;
use crate::model::parameters::Stored;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::optimizer::memory::Memory;
use crate::train::sources::Sources;
use crate::train::variables::Variable;
use crate::train::variables::Variables;
use crate::train::window::Window;
use candle_core::Device;
use candle_core::Tensor;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const POSITION: &str = "position.json";
/// States are folders of this name and the step.
const PREFIX: &str = "state-";

/// How far a run is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// SHA-256 of the settings, so that a state is not resumed with others.
    pub settings: String,
    /// The same of what these name. States of older versions have none.
    #[serde(default)]
    pub sources: Sources,
    /// Index of the phase.
    pub phase: usize,
    /// Updates done in it.
    pub step: usize,
    /// Whether it is over before its last round: what it teaches is learnt.
    #[serde(default)]
    pub learnt: bool,
    /// Updates done in all phases.
    pub total_step: usize,
    /// Updates since the optimiser last forgot.
    pub updates: usize,
    /// Phase, stage and share of right answers of the best checkpoint so far.
    pub best: Option<(usize, usize, f64)>,
    /// `total_step` of the last validation.
    #[serde(default)]
    pub validated: Option<usize>,
    /// Time spent training, in seconds.
    pub seconds: f64,
    /// Updates that no line of the log tells of yet.
    #[serde(default)]
    pub window: Window,
}

/// Writes a state to a run's folder, and removes older ones.
///
/// # Errors
/// If a file cannot be written.
pub fn save(
    folder: &Path,
    position: &Position,
    variables: &Variables,
    memory: &Memory,
) -> Result<()> {
    let complete = folder.join(format!("{PREFIX}{:09}", position.total_step));
    if complete.is_dir() {
        // Right before a validation: the numbers are the same, only what is known of them is more.
        return save_position(position, &complete);
    }
    let unfinished = folder.join(format!(".{PREFIX}unfinished"));
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).map_err(Error::io(&unfinished))?;
    variables.save(&unfinished.join(WEIGHTS))?;
    save_memory(&unfinished.join(OPTIMIZER), variables, memory)?;
    save_position(position, &unfinished)?;
    for name in [WEIGHTS, OPTIMIZER] {
        sync(&unfinished.join(name))?;
    }
    fs::rename(&unfinished, &complete).map_err(Error::io(&complete))?;
    for older in states(folder)?.into_iter().filter(|state| *state != complete) {
        remove(&older)?;
    }
    Ok(())
}

/// The latest state of a run's folder.
///
/// # Errors
/// If the folder cannot be read.
pub fn latest(folder: &Path) -> Result<Option<PathBuf>> {
    Ok(states(folder)?.pop())
}

/// Puts a state's numbers into the variables.
///
/// # Errors
/// If the state is not one of these variables.
pub fn load(state: &Path, variables: &Variables) -> Result<(Position, Memory)> {
    let path = state.join(POSITION);
    let text = files::read(&path).map_err(Error::io(&path))?;
    let position: Position =
        serde_json::from_str(&text).map_err(|error| Error::state(&path, &error))?;
    let path = state.join(WEIGHTS);
    let weights = Tensors::open(&[&path])?;
    let wrong = |name: &str| Error::state(state, &format!("has no fitting tensor `{name}`"));
    for Variable { name, stored, var } in variables.iter() {
        let data = floats(&weights, name, var.elem_count()).ok_or_else(|| wrong(name))?;
        let tensor = match (stored, var.dims()) {
            (Stored::Transposed, [inputs, outputs]) => {
                Tensor::from_vec(data, (*outputs, *inputs), &Device::Cpu)?.t()?.contiguous()?
            }
            _ => Tensor::from_vec(data, var.dims(), &Device::Cpu)?,
        };
        var.set(&tensor.to_device(var.device())?)?;
    }
    let path = state.join(OPTIMIZER);
    let averages = Tensors::open(&[&path])?;
    let read = |variable: &Variable| {
        let count = variable.var.elem_count();
        let all = (0..).map_while(|index| {
            let name = average_name(variable, index);
            averages
                .info(&name)
                .map(|_| floats(&averages, &name, count).ok_or_else(|| wrong(&name)))
        });
        all.collect::<Result<Vec<_>>>()
    };
    let averages = variables.iter().map(read).collect::<Result<_>>()?;
    let memory = Memory::written(position.updates, averages, variables)?;
    Ok((position, memory))
}

/// Writes how far a run is to a state's folder, all of it or nothing.
fn save_position(position: &Position, state: &Path) -> Result<()> {
    let (path, unfinished) = (state.join(POSITION), state.join(format!(".{POSITION}.unfinished")));
    let text =
        serde_json::to_string_pretty(position).map_err(|error| Error::state(&path, &error))?;
    fs::write(&unfinished, text).map_err(Error::io(&unfinished))?;
    sync(&unfinished)?;
    fs::rename(&unfinished, &path).map_err(Error::io(&path))
}

fn sync(path: &Path) -> Result<()> {
    let file = fs::File::open(path).map_err(Error::io(path))?;
    file.sync_all().map_err(Error::io(path))
}

fn save_memory(path: &Path, variables: &Variables, memory: &Memory) -> Result<()> {
    let mut named = Vec::new();
    for (variable, averages) in variables.iter().zip(memory.to_write()?.iter()) {
        for (index, data) in averages.iter().enumerate() {
            let name = average_name(variable, index);
            let bytes = SavedType::F32.bytes(&name, data)?;
            named.push((name, data.len(), bytes));
        }
    }
    let views = named.iter().map(|(name, length, bytes)| {
        let view = TensorView::new(Dtype::F32, vec![*length], bytes);
        (name, view.expect("a tensor has as many bytes as its shape says"))
    });
    safetensors::serialize_to_file(views, None, path).map_err(|error| Error::state(path, &error))
}

/// The n-th average that an optimiser keeps of a variable.
fn average_name(variable: &Variable, index: usize) -> String {
    format!("{}.average_{index}", variable.name)
}

/// All elements of a tensor of so many.
fn floats(tensors: &Tensors, name: &str, count: usize) -> Option<Vec<f32>> {
    let bytes = tensors.bytes(name)?;
    let (words, []) = bytes.as_chunks::<4>() else { return None };
    let data: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    (data.len() == count).then_some(data)
}

/// Complete states, oldest first.
fn states(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    let mut states = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io(folder))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            states.push(entry.path());
        }
    }
    states.sort();
    Ok(states)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder)(error)),
        _ => Ok(()),
    }
}
