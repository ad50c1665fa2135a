//! Muon (Jordan et al., 2024): momentum whose matrix is made nearly orthogonal by five Newton-Schulz steps. The step is
//! scaled to the size that AdamW's have (Liu et al., 2025, section 2.2), so that both take the same learning rate.
//! Knows one matrix.

use candle_core::D;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;

/// The polynomial a x + b x^3 + c x^5 that drives singular values towards 1.
const POLYNOMIAL: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
const STEPS: usize = 5;

/// Adds the gradient to its average, and gives the direction to step in, with Nesterov's look ahead.
pub(super) fn direction(
    average: &mut [f32],
    gradient: &[f32],
    shape: &[usize],
    momentum: f64,
) -> Result<Vec<f32>> {
    let momentum = momentum as f32;
    for (average, g) in average.iter_mut().zip(gradient) {
        *average = momentum * *average + g;
    }
    let ahead: Vec<f32> =
        average.iter().zip(gradient).map(|(average, g)| momentum * average + g).collect();
    let &[rows, columns] = shape else { candle_core::bail!("Muon updates matrices only") };
    let step = orthogonal(&Tensor::from_vec(ahead, (rows, columns), &Device::Cpu)?)?;
    (step * scale(shape))?.flatten_all()?.to_vec1()
}

/// What an orthogonal matrix is scaled by: to a root mean square of 0.2, about that of AdamW's steps.
pub(super) fn scale(shape: &[usize]) -> f64 {
    let side = shape.iter().rev().take(2).max().copied().unwrap_or(0);
    0.2 * (side as f64).sqrt()
}

/// w -= lr (step + decay w)
pub(super) fn apply(weights: &mut [f32], step: &[f32], lr: f64, decay: f64) {
    let (lr, keep) = (lr as f32, (1.0 - lr * decay) as f32);
    for (w, step) in weights.iter_mut().zip(step) {
        *w = *w * keep - lr * step;
    }
}

/// A matrix with the same singular vectors and singular values near 1.
fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    let norm: f32 = matrix.sqr()?.sum_all()?.sqrt()?.to_scalar()?;
    drive_to_one(&(matrix / (f64::from(norm) + 1e-7))?)
}

/// The same of many, (N, rows, columns).
pub(super) fn all_orthogonal(matrices: &Tensor) -> Result<Tensor> {
    let norms = matrices.sqr()?.sum_keepdim((1, 2))?.sqrt()?;
    drive_to_one(&matrices.broadcast_div(&(norms + 1e-7)?)?)
}

/// Singular values up to 1 to near 1, of a matrix or of many.
fn drive_to_one(matrix: &Tensor) -> Result<Tensor> {
    let (rows, columns) = (matrix.dim(D::Minus2)?, matrix.dim(D::Minus1)?);
    // The product below is of the smaller side.
    let tall = rows > columns;
    let mut x = if tall { matrix.t()?.contiguous()? } else { matrix.clone() };
    let (a, b, c) = POLYNOMIAL;
    for _ in 0..STEPS {
        let square = x.matmul(&x.t()?)?;
        let mix = ((&square * b)? + (square.matmul(&square)? * c)?)?;
        x = ((&x * a)? + mix.matmul(&x)?)?;
    }
    if tall { x.t()?.contiguous() } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_nearly_orthogonal_and_as_large_as_adamws() {
        for (rows, columns) in [(6, 20), (20, 6)] {
            let gradient = Tensor::randn(0.0f32, 3.0, (rows, columns), &Device::Cpu).unwrap();
            let x = orthogonal(&gradient).unwrap();
            let product = if rows < columns {
                x.matmul(&x.t().unwrap()).unwrap()
            } else {
                x.t().unwrap().matmul(&x).unwrap()
            };
            let product = product.to_vec2::<f32>().unwrap();
            for (i, row) in product.iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((value - expected).abs() < 0.6, "({i}, {j}) is {value}");
                }
            }
            let flat = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let mut average = vec![0.0; flat.len()];
            let step = direction(&mut average, &flat, &[rows, columns], 0.95).unwrap();
            assert_eq!(average, flat);
            let rms = (step.iter().map(|x| x * x).sum::<f32>() / step.len() as f32).sqrt();
            assert!((0.12..0.28).contains(&rms), "root mean square {rms}");
        }
    }

    #[test]
    fn weights_decay_by_the_learning_rate() {
        let mut weights = [1.0f32];
        apply(&mut weights, &[0.5], 0.1, 0.2);
        assert!((weights[0] - (1.0 - 0.1 * 0.2 - 0.1 * 0.5)).abs() < 1e-6);
    }
}
