//! Causal attention of a batch that grows pass by pass, its keys and values cached with their gradients: what training
//! runs on, and what generates while training. Rows of a pass lie in (B, W), W new columns of each of B sequences: all of
//! them, or those that are at some places there. Padding on the left is not seen; on the right nobody looks. Knows no
//! request and no thought.

use crate::model::attention::Attention;
use crate::model::gradients::attend::Attend;
use crate::model::gradients::attend::attend;
use crate::model::gradients::spread::Places;
use candle_core::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// Keys and values of a batch.
///
/// ```text
/// new(pads)        B sequences, nothing cached
/// take(places)     where the rows of the next pass lie, if they are not all
/// forward ...      every forward pass appends its W columns
/// fork(F, pads)    what is cached becomes a prefix that F sequences share each: B * F sequences from here on
/// forward ...
/// ```
#[derive(Debug)]
pub struct Batched {
    prefix: Columns,
    own: Columns,
    fan: usize,
    /// Of the rows of a pass in (B, W); `None` where they are all that there are.
    places: Option<Places>,
}

/// Keys and values of some columns.
#[derive(Debug)]
struct Columns {
    /// The first column of each row that is not padding.
    from: Arc<[usize]>,
    /// By layer (B, T, 2 G, E): keys, then values.
    layers: Vec<Tensor>,
}

impl Columns {
    fn new(from: Vec<usize>) -> Self {
        Self { from: from.into(), layers: Vec::new() }
    }

    /// T of a layer.
    fn count(&self, layer: usize) -> Result<usize> {
        self.layers.get(layer).map_or(Ok(0), |kv| kv.dim(1))
    }

    fn append(&mut self, layer: usize, new: Tensor) -> Result<()> {
        match self.layers.get_mut(layer) {
            Some(kv) => *kv = Tensor::cat(&[&*kv, &new], 1)?,
            None => self.layers.push(new),
        }
        Ok(())
    }
}

impl Batched {
    /// For `padding.len()` sequences that begin with so many columns of padding each.
    pub fn new(padding: Vec<usize>) -> Self {
        let prefix = Columns::new(vec![0; padding.len()]);
        Self { prefix, own: Columns::new(padding), fan: 1, places: None }
    }

    /// Makes what is cached a prefix of `fan` sequences each, which begin with so many columns of padding, (B * fan,).
    /// With a fan of 1 nothing changes but that the prefix is not copied any more when columns are appended.
    ///
    /// # Errors
    /// If there is a prefix already, or the numbers do not fit.
    pub fn fork(self, fan: usize, padding: Vec<usize>) -> Result<Self> {
        if !self.prefix.layers.is_empty() || padding.len() != fan * self.own.from.len() {
            candle_core::bail!("a batch is forked once, into `fan` sequences for each");
        }
        Ok(Self { prefix: self.own, own: Columns::new(padding), fan, places: None })
    }

    /// B: the number of sequences.
    pub fn sequences(&self) -> usize {
        self.own.from.len()
    }

    /// Where the rows of the passes from here on lie in (B, W), in order.
    ///
    /// # Errors
    /// If a place is not there, or taken twice.
    pub fn take(&mut self, places: &[u32], width: usize) -> Result<()> {
        let count = self.sequences() * width;
        let spread = (places.len() < count).then(|| Places::new(places, count));
        self.places = spread.transpose()?;
        Ok(())
    }

    /// Rows (N, D) in their places, (B * W, D).
    fn spread(&self, rows: &Tensor) -> Result<Tensor> {
        match &self.places {
            Some(places) => places.spread(rows),
            None => Ok(rows.clone()),
        }
    }
}

impl Attention for Batched {
    fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (_, heads, size) = q.dims3()?;
        let (_, kv_heads, _) = k.dims3()?;
        let q = self.spread(&q.flatten_from(1)?)?;
        let kv = self.spread(&Tensor::cat(&[k, v], 1)?.flatten_from(1)?)?;
        let sequences = self.sequences();
        let width = q.dim(0)? / sequences;
        self.own.append(layer, kv.reshape((sequences, width, 2 * kv_heads, size))?)?;
        let prefixes = self.prefix.from.len();
        let sizes = Attend {
            prefixes,
            fan: self.fan,
            width,
            prefix_columns: self.prefix.count(layer)?,
            own_columns: self.own.count(layer)?,
            heads,
            kv_heads,
            size,
            prefix_from: Arc::clone(&self.prefix.from),
            own_from: Arc::clone(&self.own.from),
        };
        let own = &self.own.layers[layer];
        let mixed = match self.prefix.layers.get(layer) {
            Some(prefix) => attend(&q, prefix, own, sizes),
            // A GPU has no memory of no size.
            None if !q.device().is_cpu() => attend(&q, own, own, sizes),
            None => {
                let nothing = Tensor::zeros((prefixes, 0), q.dtype(), q.device())?;
                attend(&q, &nothing, own, sizes)
            }
        }?;
        match &self.places {
            Some(places) => places.collect(&mixed),
            None => Ok(mixed),
        }
    }
}
