//! Rows to their places among others, and back: so that padding goes into attention, which needs a rectangle, and into
//! nothing else. Each way is the other's gradient. Knows rows and places, no sequence.

use crate::model::gradients::ROWS_PER_PART;
use crate::model::gradients::here;
use crate::model::gradients::slice;
use candle_core::CpuStorage;
use candle_core::CustomOp1;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use coconut_cuda::Floats;
#[cfg(feature = "cuda")]
use coconut_cuda::rows;
use rayon::prelude::*;
use std::sync::Arc;

/// Where N rows lie among R.
#[derive(Clone, Debug)]
pub struct Places {
    /// (N,), each in 0..R and none twice.
    places: Arc<[u32]>,
    /// (R,): which row lies there, if any does.
    rows: Arc<[Option<u32>]>,
}

impl Places {
    /// Of so many rows at their places among `count`.
    ///
    /// # Errors
    /// If a place is outside of these, or taken twice.
    pub fn new(places: &[u32], count: usize) -> Result<Self> {
        let mut rows = vec![None; count];
        for (row, &place) in places.iter().enumerate() {
            match rows.get_mut(place as usize) {
                Some(free @ None) => *free = Some(row as u32),
                _ => {
                    candle_core::bail!("place {place} of {count} is taken twice, or there is none")
                }
            }
        }
        Ok(Self { places: places.into(), rows: rows.into() })
    }

    /// R: rows and gaps.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// x (N, D) -> (R, D): zeros where no row lies.
    ///
    /// # Errors
    /// If there are not N rows.
    pub fn spread(&self, x: &Tensor) -> Result<Tensor> {
        self.moved(x, Way::Spread)
    }

    /// x (R, D) -> (N, D): the rows without what lies between them.
    ///
    /// # Errors
    /// If there are not R rows.
    pub fn collect(&self, x: &Tensor) -> Result<Tensor> {
        self.moved(x, Way::Collect)
    }

    fn moved(&self, x: &Tensor, way: Way) -> Result<Tensor> {
        let (count, width) = x.dims2()?;
        let move_ = Move { places: self.clone(), way };
        if count != move_.taken() {
            candle_core::bail!("{count} rows have {} places", move_.taken());
        }
        if here(x) {
            return x.contiguous()?.apply_op1(move_);
        }
        let places = Tensor::new(&*self.places, x.device())?;
        match way {
            Way::Spread => Tensor::zeros((self.count(), width), x.dtype(), x.device())?
                .index_add(&places, x, 0),
            Way::Collect => x.index_select(&places, 0),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Spread,
    Collect,
}

struct Move {
    places: Places,
    way: Way,
}

impl Move {
    fn taken(&self) -> usize {
        match self.way {
            Way::Spread => self.places.places.len(),
            Way::Collect => self.places.count(),
        }
    }

    fn made(&self) -> usize {
        match self.way {
            Way::Spread => self.places.count(),
            Way::Collect => self.places.places.len(),
        }
    }

    /// The row that goes to each of those made, if one does.
    fn source(&self, row: usize) -> Option<usize> {
        match self.way {
            Way::Spread => self.places.rows[row].map(|row| row as usize),
            Way::Collect => Some(self.places.places[row] as usize),
        }
    }
}

impl CustomOp1 for Move {
    fn name(&self) -> &'static str {
        "rows-to-places"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, (_, width)) = (slice(x, layout)?, layout.shape().dims2()?);
        let mut out = vec![0.0; self.made() * width];
        let parts = out.par_chunks_mut(width).enumerate().with_min_len(ROWS_PER_PART);
        parts.for_each(|(row, out)| {
            if let Some(from) = self.source(row) {
                out.copy_from_slice(&x[from * width..(from + 1) * width]);
            }
        });
        Ok((CpuStorage::F32(out), Shape::from((self.made(), width))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let (floats, places) = (Floats::new(x, layout)?, &self.places.places);
        let out = match self.way {
            Way::Spread => rows::gather_back(floats, places, (self.made(), width))?,
            Way::Collect => rows::gather(floats, places, width)?,
        };
        Ok((out, Shape::from((self.made(), width))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.detach();
        match self.way {
            Way::Spread => self.places.collect(&dy).map(Some),
            Way::Collect => self.places.spread(&dy).map(Some),
        }
    }
}
