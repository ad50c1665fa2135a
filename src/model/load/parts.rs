//! The files of a checkpoint and what their names mean; for an adapter by itself, laid over its base model's. Knows no
//! config.json.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::adapter::ADAPTER_CONFIG;
use crate::model::load::adapter::Adapter;
use crate::model::load::files::Files;
use crate::model::load::layout::Layout;
use crate::model::load::layout::Wrapper;
use crate::model::load::tensors::Tensors;
use std::path::Path;

/// The published CODI checkpoints come without `adapter_config.json`: all were trained with this rank,
const CODI_RANK: usize = 128;
/// and with this alpha. Pairs of another rank are of another training, whose alpha may be any.
const CODI_ALPHA: f64 = 32.0;

/// Files and what their names mean.
pub(super) struct Parts {
    pub(super) files: Files,
    pub(super) tensors: Tensors,
    pub(super) layout: Layout,
    pub(super) adapter: Option<Adapter>,
}

impl Parts {
    /// `base` is a folder with the base model, whose weights only an adapter needs.
    pub(super) fn read(path: &Path, base: Option<&Path>) -> Result<Self> {
        let files = Files::find(path)?;
        let tensors = Tensors::open(&files.weights)?;
        let layout = Layout::read(&tensors, path)?;
        if let (true, Some(adapter)) = (path.is_dir(), files.adapter_beside()) {
            let seen = format!("a whole model and {}, an adapter", adapter.display());
            let missing = "a choice: name one of the files (the adapter with --base)";
            return Err(Error::Layout { path: path.to_owned(), seen, missing });
        }
        // Adapters of other kinds leave no mark that is known here; their config says what they are.
        let adapter = match layout.is_adapted() || files.is_adapters() {
            true => Adapter::beside(&files.folder)?,
            false => None,
        };
        let parts = Self { files, tensors, layout, adapter };
        let Self { files, tensors, mut layout, adapter } = match (parts.layout.is_partial(), base) {
            (true, Some(base)) => parts.over(base)?,
            _ => parts,
        };
        layout.complete(&tensors, path)?;
        match &adapter {
            Some(adapter) => layout.apply(adapter, &tensors)?,
            None => {
                layout.check_rows(path)?;
                let pairs = &mut layout.lora.values();
                let published = pairs.all(|lora| tensors.rows(&lora.a) == CODI_RANK);
                if layout.wrapper == Wrapper::Codi && published {
                    layout.scale_all(|_| CODI_ALPHA / CODI_RANK as f64);
                }
            }
        }
        Ok(Self { files, tensors, layout, adapter })
    }

    /// An adapter by itself needs its base model's weights.
    fn over(self, base: &Path) -> Result<Self> {
        let Some(adapter) = self.adapter else {
            let (path, seen) = (self.files.folder, "an adapter by itself".to_owned());
            return Err(Error::Layout { path, seen, missing: ADAPTER_CONFIG });
        };
        adapter.check_base()?;
        let mut files = Files::find(base)?;
        let tensors = Tensors::open(&files.weights)?;
        let mut layout = Layout::of(&tensors, base)?;
        if layout.is_adapted() {
            let seen = "an adapter in the base model too".to_owned();
            let missing = "a base model without one: `coconut convert` merges it";
            return Err(Error::Layout { path: base.to_owned(), seen, missing });
        }
        layout.lay_over(self.layout, &adapter);
        files.weights.extend(self.files.weights);
        let files = Files { weights: files.weights, ..self.files };
        Ok(Self { files, tensors: tensors.with(self.tensors)?, layout, adapter: Some(adapter) })
    }
}
