//! Norms, rotation, activations, rows by index, and cross entropy. Letters as in the signatures: R rows, D width, V
//! vocabulary.

use crate::launch::Floats;
use crate::launch::Input;
use crate::launch::Number;
use crate::launch::Work;
use crate::launch::call;
use candle_core::CudaStorage;
use candle_core::Result;

/// A non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// x sigmoid(x)
    Silu,
    /// GELU by its approximation with tanh.
    GeluTanh,
    /// GELU by erf.
    GeluErf,
}

/// What rows of logits (R, V) should say.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Ids of all rows, one row behind the other; each of a row's with the same probability.
    pub ids: Vec<u32>,
    /// Where each row's ids begin, and where the last one's end, (R + 1,).
    pub offsets: Vec<u32>,
    /// (R,)
    pub weights: Vec<f32>,
}

/// x (R, D), weight (D,) -> (R, D)
///
/// # Errors
/// If the sizes do not fit, or the GPU refuses; so for all functions here.
pub fn rms_norm(x: Floats<'_>, weight: Floats<'_>, eps: f32) -> Result<CudaStorage> {
    let rows = rows_of(x, weight.count())?;
    let inputs = [Input::Floats(x), Input::Floats(weight)];
    let numbers = [Number::Int(rows), Number::Int(weight.count()), Number::Float(eps)];
    let [out] = call(x.device(), ("rms_norm", Work::Warps(rows)), &inputs, [x.count()], &numbers)?;
    Ok(out)
}

/// x and dy (R, D), weight (D,) -> dx (R, D), and (R, D) whose sum over rows is the gradient of the weight.
///
/// # Errors
/// See [`rms_norm`].
pub fn rms_norm_back([x, weight, dy]: [Floats<'_>; 3], eps: f32) -> Result<[CudaStorage; 2]> {
    norm_back("rms_norm_back", [x, weight, dy], eps)
}

/// x (R, D), weight and bias (D,) -> (R, D)
///
/// # Errors
/// See [`rms_norm`].
pub fn layer_norm([x, weight, bias]: [Floats<'_>; 3], eps: f32) -> Result<CudaStorage> {
    let rows = rows_of(x, weight.count())?;
    same(weight, bias)?;
    let inputs = [x, weight, bias].map(Input::Floats);
    let numbers = [Number::Int(rows), Number::Int(weight.count()), Number::Float(eps)];
    let [out] =
        call(x.device(), ("layer_norm", Work::Warps(rows)), &inputs, [x.count()], &numbers)?;
    Ok(out)
}

/// As [`rms_norm_back`]; the gradient of the bias is the sum of dy over rows.
///
/// # Errors
/// See [`rms_norm`].
pub fn layer_norm_back([x, weight, dy]: [Floats<'_>; 3], eps: f32) -> Result<[CudaStorage; 2]> {
    norm_back("layer_norm_back", [x, weight, dy], eps)
}

fn norm_back(name: &str, [x, weight, dy]: [Floats<'_>; 3], eps: f32) -> Result<[CudaStorage; 2]> {
    let rows = rows_of(x, weight.count())?;
    same(x, dy)?;
    let inputs = [x, weight, dy].map(Input::Floats);
    let numbers = [Number::Int(rows), Number::Int(weight.count()), Number::Float(eps)];
    call(x.device(), (name, Work::Warps(rows)), &inputs, [x.count(); 2], &numbers)
}

/// x (R, heads, size), cos and sin (R, size / 2) -> (R, heads, size), halves turned against each other; back by a sign of -1.
///
/// # Errors
/// See [`rms_norm`].
pub fn rope(
    [x, cos, sin]: [Floats<'_>; 3],
    (heads, size): (usize, usize),
    sign: f32,
) -> Result<CudaStorage> {
    let rows = rows_of(x, heads * size)?;
    same(cos, sin)?;
    if !size.is_multiple_of(2) || cos.count() != rows * size / 2 {
        candle_core::bail!("angles and rows do not fit");
    }
    let count = x.count() / 2;
    let inputs = [x, cos, sin].map(Input::Floats);
    let numbers = [Number::Int(count), Number::Int(heads), Number::Int(size), Number::Float(sign)];
    let [out] = call(x.device(), ("rope", Work::Threads(count)), &inputs, [x.count()], &numbers)?;
    Ok(out)
}

/// Element by element.
///
/// # Errors
/// See [`rms_norm`].
pub fn activation(x: Floats<'_>, curve: Curve) -> Result<CudaStorage> {
    let work = ("activation", Work::Threads(x.count()));
    let numbers = [Number::Int(x.count()), Number::Int(curve as usize)];
    let [out] = call(x.device(), work, &[Input::Floats(x)], [x.count()], &numbers)?;
    Ok(out)
}

/// dx
///
/// # Errors
/// See [`rms_norm`].
pub fn activation_back([x, dy]: [Floats<'_>; 2], curve: Curve) -> Result<CudaStorage> {
    same(x, dy)?;
    let work = ("activation_back", Work::Threads(x.count()));
    let numbers = [Number::Int(x.count()), Number::Int(curve as usize)];
    let [dx] = call(x.device(), work, &[x, dy].map(Input::Floats), [x.count()], &numbers)?;
    Ok(dx)
}

/// x (R, D), ids (N,) below R -> those rows, (N, D)
///
/// # Errors
/// See [`rms_norm`].
pub fn gather(x: Floats<'_>, ids: &[u32], width: usize) -> Result<CudaStorage> {
    let rows = rows_of(x, width)?;
    inside(ids, rows)?;
    let count = ids.len() * width;
    let inputs = [Input::Floats(x), Input::Ids(ids)];
    let numbers = [Number::Int(ids.len()), Number::Int(width)];
    let [out] = call(x.device(), ("gather", Work::Threads(count)), &inputs, [count], &numbers)?;
    Ok(out)
}

/// dy (N, D) -> dx (R, D): each row the sum of those that were taken from it.
///
/// # Errors
/// See [`rms_norm`].
pub fn gather_back(
    dy: Floats<'_>,
    ids: &[u32],
    (rows, width): (usize, usize),
) -> Result<CudaStorage> {
    inside(ids, rows)?;
    if rows_of(dy, width)? != ids.len() {
        candle_core::bail!("as many rows as ids are needed");
    }
    let inputs = [Input::Floats(dy), Input::Ids(ids)];
    let numbers = [Number::Int(ids.len()), Number::Int(width)];
    let work = ("gather_back", Work::Blocks(rows));
    let [dx] = call(dy.device(), work, &inputs, [rows * width], &numbers)?;
    Ok(dx)
}

/// Logits (R, V) -> weight * KL(target, softmax(logits)) of each row, (R,)
///
/// # Errors
/// See [`rms_norm`].
pub fn cross_entropy(
    logits: Floats<'_>,
    targets: &Targets,
    vocabulary: usize,
) -> Result<CudaStorage> {
    let rows = fitting(logits, targets, vocabulary)?;
    let inputs = [
        Input::Floats(logits),
        Input::Ids(&targets.ids),
        Input::Ids(&targets.offsets),
        Input::Weights(&targets.weights),
    ];
    let numbers = [Number::Int(rows), Number::Int(vocabulary)];
    let work = ("cross_entropy", Work::Warps(rows));
    let [out] = call(logits.device(), work, &inputs, [rows], &numbers)?;
    Ok(out)
}

/// Logits (R, V) and dy (R,) -> the gradient of the logits (R, V)
///
/// # Errors
/// See [`rms_norm`].
pub fn cross_entropy_back(
    [logits, dy]: [Floats<'_>; 2],
    targets: &Targets,
    vocabulary: usize,
) -> Result<CudaStorage> {
    let rows = fitting(logits, targets, vocabulary)?;
    if dy.count() != rows {
        candle_core::bail!("a gradient for each row is needed");
    }
    let inputs = [
        Input::Floats(logits),
        Input::Ids(&targets.ids),
        Input::Ids(&targets.offsets),
        Input::Weights(&targets.weights),
        Input::Floats(dy),
    ];
    let numbers = [Number::Int(rows), Number::Int(vocabulary)];
    let work = ("cross_entropy_back", Work::Warps(rows));
    let [dx] = call(logits.device(), work, &inputs, [logits.count()], &numbers)?;
    Ok(dx)
}

fn rows_of(x: Floats<'_>, width: usize) -> Result<usize> {
    match width > 0 && x.count().is_multiple_of(width) {
        true => Ok(x.count() / width),
        false => candle_core::bail!("{} numbers are no rows of {width}", x.count()),
    }
}

fn same(one: Floats<'_>, other: Floats<'_>) -> Result<()> {
    match one.count() == other.count() {
        true => Ok(()),
        false => candle_core::bail!("{} and {} numbers do not fit", one.count(), other.count()),
    }
}

fn inside(ids: &[u32], rows: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= rows) {
        None => Ok(()),
        Some(id) => candle_core::bail!("there is no row {id}, of {rows}"),
    }
}

/// The number of rows of logits whose targets are all there.
fn fitting(logits: Floats<'_>, targets: &Targets, vocabulary: usize) -> Result<usize> {
    let rows = rows_of(logits, vocabulary)?;
    inside(&targets.ids, vocabulary)?;
    let ordered = targets.offsets.is_sorted()
        && targets.offsets.len() == rows + 1
        && targets.offsets.first() == Some(&0)
        && targets.offsets.last().is_some_and(|&last| last as usize == targets.ids.len());
    match ordered && targets.weights.len() == rows {
        true => Ok(rows),
        false => candle_core::bail!("{rows} rows of logits need as many targets"),
    }
}
