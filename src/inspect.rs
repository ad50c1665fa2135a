//! `coconut inspect`: what a checkpoint is, without reading its weights.

use crate::latent::checkpoint::Checkpoint;
use crate::latent::recipe::Recipe;
use crate::model::load::layout::Dropped;
use std::fmt;

/// Numbers in memory are f32.
const BYTES_PER_NUMBER: usize = 4;
/// How many names of dropped tensors are shown.
const SHOWN_NAMES: usize = 3;

/// A readable account of a checkpoint.
#[derive(Debug)]
pub struct Inspection<'a>(pub &'a Checkpoint);

impl Inspection<'_> {
    /// Bytes that the weights take when served.
    pub fn weight_bytes(&self) -> usize {
        self.0.found.config.parameter_count() * BYTES_PER_NUMBER
    }

    /// Bytes of KV memory that one position takes.
    pub fn position_bytes(&self) -> usize {
        self.0.found.config.kv_floats_per_position() * BYTES_PER_NUMBER
    }

    fn tokens(&self, ids: &[u32]) -> String {
        let shown = ids.iter().map(|&id| format!("{id} {:?}", self.0.tokenizer.token_text(id)));
        match ids.is_empty() {
            true => "none".to_owned(),
            false => shown.collect::<Vec<_>>().join(", "),
        }
    }
}

impl fmt::Display for Inspection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checkpoint { found, tokenizer, recipe, recognised, published } = self.0;
        let config = &found.config;
        for file in &found.files.weights {
            writeln!(f, "weights       {}", file.display())?;
        }
        writeln!(
            f,
            "stored as     {}, {} bytes",
            found.stored_type(),
            found.tensors().file_bytes()
        )?;
        if let Some(base) = &found.base {
            writeln!(f, "base          {}", base.display())?;
        }
        let name = config.architecture.name();
        let (layers, width, heads) = (config.layers, config.width, config.heads);
        writeln!(f, "architecture  {name}: {layers} layers, width {width}, {heads} heads")?;
        writeln!(f, "positions     {}", config.max_positions)?;
        let tied = if config.tied { "tied to the embedding" } else { "its own" };
        writeln!(f, "parameters    {}, head {tied}", config.parameter_count())?;
        writeln!(f, "family        {}, recognised {recognised}", recipe.family)?;
        writeln!(f, "vocabulary    {} rows, tokenizer of {}", config.vocab_size, tokenizer.size())?;
        self.recipe(f, recipe)?;
        if let Some(inner) = config.projector {
            writeln!(f, "projector     {width} to {inner} to {width}")?;
        }
        if !found.layout.lora.is_empty() {
            writeln!(f, "LoRA          {} pairs, merged when loaded", found.layout.lora.len())?;
        }
        for dropped in &found.layout.dropped {
            writeln!(f, "not loaded    {}", account(dropped))?;
        }
        if let Some(accuracy) = published.and_then(|published| published.accuracy) {
            let percent = f64::from(accuracy.basis_points) / 100.0;
            writeln!(f, "expected      {percent} % on {} ({})", accuracy.data, accuracy.source)?;
        }
        let (weights, position) = (mebibytes(self.weight_bytes()), self.position_bytes());
        let longest = mebibytes(position.saturating_mul(config.max_positions));
        writeln!(f, "memory        {weights:.1} MiB for weights in f32")?;
        write!(
            f,
            "              {position} bytes of KV a position, {longest:.1} MiB for the longest sequence"
        )
    }
}

impl Inspection<'_> {
    fn recipe(&self, f: &mut fmt::Formatter<'_>, recipe: &Recipe) -> fmt::Result {
        let (default, max) = (recipe.latent_steps.default, recipe.latent_steps.max);
        writeln!(f, "prompt        {:?}", recipe.prompt)?;
        writeln!(f, "start         {}", self.tokens(&recipe.start))?;
        writeln!(f, "latent steps  {default}, at most {max}")?;
        writeln!(f, "end           {}", self.tokens(&recipe.end))?;
        writeln!(f, "ends answers  {}, {} of them", self.tokens(&recipe.eos), recipe.eos_count)?;
        writeln!(f, "never chosen  {}", self.tokens(&recipe.masked))?;
        writeln!(f, "answer        {:?} of the text", recipe.answer)
    }
}

fn account(dropped: &Dropped) -> String {
    let names =
        dropped.names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match dropped.names.len() {
        count if count > SHOWN_NAMES => format!("{count} tensors ({names}, ...): {}", dropped.why),
        _ => format!("{names}: {}", dropped.why),
    }
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
