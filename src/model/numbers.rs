//! Elements of files as f32, and which of them a narrower type cannot hold. Knows types and bytes, no tensor.

use candle_core::DType;
use half::bf16;
use half::f16;
use half::slice::HalfFloatSliceExt as _;

/// Numbers that are converted at a time.
const RUN: usize = 128;

/// Whether [`to_f32`] reads elements of this type: all numbers that are themselves. Eight bits and less are quantised,
/// and mean nothing without their scales.
pub(crate) fn is_read(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::F32
            | DType::F16
            | DType::BF16
            | DType::F64
            | DType::I64
            | DType::I32
            | DType::I16
            | DType::U32
    )
}

/// Little-endian elements of a type that [`is_read`] accepts, as many as `out` has room for.
pub(crate) fn to_f32(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        DType::F32 => each(bytes, out, f32::from_le_bytes),
        DType::BF16 => each(bytes, out, |x| bf16::from_le_bytes(x).to_f32()),
        DType::F16 => halves(bytes, out),
        DType::F64 => each(bytes, out, |x| f64::from_le_bytes(x) as f32),
        DType::I64 => each(bytes, out, |x| i64::from_le_bytes(x) as f32),
        DType::I32 => each(bytes, out, |x| i32::from_le_bytes(x) as f32),
        DType::I16 => each(bytes, out, |x| f32::from(i16::from_le_bytes(x))),
        DType::U32 => each(bytes, out, |x| u32::from_le_bytes(x) as f32),
        _ => unreachable!("types are checked before anything is read"),
    }
}

fn each<const SIZE: usize>(bytes: &[u8], out: &mut [f32], to_f32: impl Fn([u8; SIZE]) -> f32) {
    for (x, element) in out.iter_mut().zip(bytes.as_chunks().0) {
        *x = to_f32(*element);
    }
}

/// By the run: one number alone would ask each time what the processor can do.
fn halves(bytes: &[u8], out: &mut [f32]) {
    for (out, bytes) in out.chunks_mut(RUN).zip(bytes.chunks(RUN * size_of::<f16>())) {
        let mut halves = [f16::ZERO; RUN];
        for (half, element) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*element);
        }
        halves[..out.len()].convert_to_f32_slice(out);
    }
}

/// The first number that is not finite, or would not be in the type `kept`.
pub(crate) fn unfit(numbers: &[f32], kept: DType) -> Option<f32> {
    // From here on up, numbers are rounded to infinity.
    let limit = match kept {
        DType::F16 => 65_520.0,
        DType::BF16 => f32::from_bits(0x7f7f_8000),
        _ => f32::INFINITY,
    };
    let fits = |x: &f32| x.abs() < limit;
    // Without a way out of the inner loop, which is compiled to vectors.
    let run = numbers.chunks(RUN).find(|run| !run.iter().fold(true, |all, x| all & fits(x)))?;
    run.iter().copied().find(|x| !fits(x))
}

/// The first of little-endian f64 that is finite, and would not be in f32.
pub(crate) fn beyond_f32(bytes: &[u8]) -> Option<f64> {
    let numbers = bytes.as_chunks().0.iter().map(|x| f64::from_le_bytes(*x));
    numbers.into_iter().find(|x| x.is_finite() && !(*x as f32).is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_are_themselves() {
        let read = |dtype, bytes: &[u8]| {
            let mut out = vec![f32::NAN; bytes.len() / dtype_size(dtype)];
            to_f32(dtype, bytes, &mut out);
            out
        };
        fn dtype_size(dtype: DType) -> usize {
            dtype.size_in_bytes()
        }
        let all = |count: usize| (0..count).map(|i| i as f32 - 3.0).collect::<Vec<f32>>();
        for count in [1, 127, 128, 300] {
            let x = all(count);
            let bytes =
                |to: &dyn Fn(f32) -> Vec<u8>| x.iter().flat_map(|&x| to(x)).collect::<Vec<u8>>();
            assert_eq!(read(DType::F32, &bytes(&|x| x.to_le_bytes().into())), x);
            assert_eq!(read(DType::F64, &bytes(&|x| f64::from(x).to_le_bytes().into())), x);
            assert_eq!(read(DType::F16, &bytes(&|x| f16::from_f32(x).to_le_bytes().into())), x);
            assert_eq!(read(DType::I64, &bytes(&|x| (x as i64).to_le_bytes().into())), x);
            assert_eq!(read(DType::I32, &bytes(&|x| (x as i32).to_le_bytes().into())), x);
            assert_eq!(read(DType::I16, &bytes(&|x| (x as i16).to_le_bytes().into())), x);
        }
    }

    #[test]
    fn what_a_type_cannot_hold_is_found_where_rounding_begins_to_make_infinities() {
        let with = |x: f32| [vec![1.0; 300], vec![x, 2.0]].concat();
        for (dtype, most, too_much) in [
            (DType::F16, 65_519.996, 65_520.0),
            (DType::BF16, f32::from_bits(0x7f7f_7fff), f32::from_bits(0x7f7f_8000)),
            (DType::F32, f32::MAX, f32::INFINITY),
        ] {
            assert_eq!(unfit(&with(-most), dtype), None, "{dtype:?}");
            assert_eq!(unfit(&with(-too_much), dtype), Some(-too_much), "{dtype:?}");
            assert!(unfit(&with(f32::NAN), dtype).is_some_and(f32::is_nan), "{dtype:?}");
            let rounded = [most, too_much].map(|x| match dtype {
                DType::F16 => f16::from_f32(x).to_f32(),
                DType::BF16 => bf16::from_f32(x).to_f32(),
                _ => x,
            });
            assert!(rounded[0].is_finite() && rounded[1].is_infinite(), "{dtype:?}");
        }
        let bytes = |x: f64| [1.0, x].map(f64::to_le_bytes).concat();
        assert_eq!(beyond_f32(&bytes(-1e39)), Some(-1e39));
        assert_eq!(beyond_f32(&bytes(f64::INFINITY)), None);
    }
}
