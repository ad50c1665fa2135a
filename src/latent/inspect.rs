//! `coconut inspect`: what a checkpoint is, without reading its weights.

use crate::latent::checkpoint::Checkpoint;
use crate::latent::recipe::Recipe;
use crate::model::load::ConfigFrom;
use crate::model::load::layout::Dropped;
use std::fmt;

/// What `--dtype` and `--kv-dtype` offer, with the bytes a number takes. int8 has a scale a channel beside, which is little.
const WEIGHT_TYPES: [(&str, usize); 3] = [("f32", 4), ("bf16", 2), ("int8", 1)];
const KV_TYPES: [(&str, usize); 2] = [("f32", 4), ("bf16", 2)];
/// How many names of dropped tensors are shown.
const SHOWN_NAMES: usize = 3;

/// A readable account of a checkpoint.
#[derive(Debug)]
pub struct Inspection<'a>(pub &'a Checkpoint);

impl Inspection<'_> {
    fn tokens(&self, ids: &[u32]) -> String {
        let shown = ids.iter().map(|&id| format!("{id} {:?}", self.0.tokenizer.name(id)));
        match ids.is_empty() {
            true => "none".to_owned(),
            false => shown.collect::<Vec<_>>().join(", "),
        }
    }
}

impl fmt::Display for Inspection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checkpoint { found, tokenizer, recipe, recognised, published, .. } = self.0;
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
        match &found.config_from {
            ConfigFrom::Own => {}
            ConfigFrom::Base(base) => writeln!(f, "base          {}", base.display())?,
            ConfigFrom::Sizes => writeln!(f, "config        from the sizes of the tensors")?,
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
        if let Some(projector) = config.projector {
            writeln!(f, "projector     {projector}")?;
        }
        if !found.layout.lora.is_empty() {
            writeln!(f, "LoRA          {} pairs, merged when loaded", found.layout.lora.len())?;
        }
        for (weight, rows) in &found.layout.rows {
            writeln!(f, "trained rows  {} of {weight}", rows.indices.len())?;
        }
        for dropped in &found.layout.dropped {
            writeln!(f, "not loaded    {}", account(dropped))?;
        }
        if let Some(accuracy) = published.and_then(|published| published.accuracy) {
            let percent = f64::from(accuracy.basis_points) / 100.0;
            writeln!(f, "expected      {percent} % on {} ({})", accuracy.data, accuracy.source)?;
        }
        let (parameters, floats) = (config.parameter_count(), config.kv_floats_per_position());
        let weights = WEIGHT_TYPES.map(|(name, bytes)| {
            format!("{:.1} MiB in {name}", mebibytes(parameters.saturating_mul(bytes)))
        });
        writeln!(f, "memory        weights: about {}", weights.join(", "))?;
        let kv = KV_TYPES.map(|(name, bytes)| {
            let longest = (floats * bytes).saturating_mul(config.max_positions);
            format!("{:.1} MiB in {name}", mebibytes(longest))
        });
        write!(f, "              keys and values of the longest sequence: {}", kv.join(", "))
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
