//! Causal attention of a batch that grows pass by pass, its keys and values cached with their gradients: what training
//! runs on, and what generates while training. Rows of a pass lie as (B, W): W new columns of each of B sequences.
//! Padding is on the left only. Knows no request and no thought.

use crate::model::attention::Attention;
use crate::model::gradients::attend::Attend;
use crate::model::gradients::attend::attend;
use candle_core::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// Keys and values of a batch.
///
/// ```text
/// new(pads)        B sequences, nothing cached
/// forward ...      every forward pass appends its W columns
/// fork(F, pads)    what is cached becomes a prefix that F sequences share each: B * F sequences from here on
/// forward ...
/// ```
#[derive(Debug)]
pub struct Batched {
    prefix: Columns,
    own: Columns,
    fan: usize,
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
        Self { prefix, own: Columns::new(padding), fan: 1 }
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
        Ok(Self { prefix: self.own, own: Columns::new(padding), fan })
    }

    /// B: the number of sequences.
    pub fn sequences(&self) -> usize {
        self.own.from.len()
    }
}

impl Attention for Batched {
    fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (rows, heads, size) = q.dims3()?;
        let (_, kv_heads, _) = k.dims3()?;
        let sequences = self.sequences();
        let width = rows / sequences;
        let kv = Tensor::cat(&[k, v], 1)?.reshape((sequences, width, 2 * kv_heads, size))?;
        self.own.append(layer, kv)?;
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
        match self.prefix.layers.get(layer) {
            Some(prefix) => attend(q, prefix, own, sizes),
            // A GPU has no memory of no size.
            None if !q.device().is_cpu() => attend(q, own, own, sizes),
            None => {
                let nothing = Tensor::zeros((prefixes, 0), q.dtype(), q.device())?;
                attend(q, &nothing, own, sizes)
            }
        }
    }
}
