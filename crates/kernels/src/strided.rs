//! Products of matrices that lie anywhere in a slice, with any strides: what attention needs of heads that lie side by
//! side. Knows no tensor and no thread.
#![expect(unsafe_code, reason = "calls into a matrix product that takes pointers")]

use gemm::Parallelism;

/// Where the elements of a matrix lie in a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strided {
    /// Index of the first element.
    pub start: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// Elements from one column to the next.
    pub column_stride: usize,
}

impl Strided {
    /// Rows of `columns` elements, `row_stride` apart.
    pub fn rows(start: usize, rows: usize, columns: usize, row_stride: usize) -> Self {
        Self { start, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn is_empty(self) -> bool {
        self.rows == 0 || self.columns == 0
    }

    /// Asserts that all elements are within a slice of this length.
    fn check(self, length: usize) {
        let last = (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride;
        assert!(self.start + last < length, "the matrix lies within its slice");
    }
}

/// out = `keep` * out + `scale` * a b, on this thread. With `keep` 0, what was in out is not read.
///
/// # Panics
/// If the sizes do not fit, or a matrix leaves its slice.
pub fn multiply(
    (out, place): (&mut [f32], Strided),
    keep: f32,
    (a, a_place): (&[f32], Strided),
    (b, b_place): (&[f32], Strided),
    scale: f32,
) {
    assert_eq!(place.rows, a_place.rows, "rows of the product");
    assert_eq!(place.columns, b_place.columns, "columns of the product");
    assert_eq!(a_place.columns, b_place.rows, "what is summed over");
    if place.is_empty() {
        return;
    }
    place.check(out.len());
    assert!(!a_place.is_empty(), "there is something to sum over");
    a_place.check(a.len());
    b_place.check(b.len());
    // SAFETY: all three matrices lie within their slices, as was just checked; `out` is borrowed alone, so that rows of
    // it may not overlap only for the sake of the result.
    unsafe {
        gemm::gemm(
            place.rows,
            place.columns,
            a_place.columns,
            out.as_mut_ptr().add(place.start),
            place.column_stride.cast_signed(),
            place.row_stride.cast_signed(),
            keep != 0.0,
            a.as_ptr().add(a_place.start),
            a_place.column_stride.cast_signed(),
            a_place.row_stride.cast_signed(),
            b.as_ptr().add(b_place.start),
            b_place.column_stride.cast_signed(),
            b_place.row_stride.cast_signed(),
            keep,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_follow_the_strides_and_keep_what_they_are_told() {
        // a (2, 3) is columns 1..4 of rows of 5; b (3, 2) is read as a transpose.
        let a: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let b = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut out = [10.0f32; 6];
        let place = Strided::rows(1, 2, 2, 3);
        let (a_place, b_place) = (Strided::rows(1, 2, 3, 5), Strided::rows(0, 2, 3, 3).t());
        multiply((&mut out, place), 1.0, (&a, a_place), (&b, b_place), 0.5);
        assert_eq!(out, [10.0, 17.0, 26.0, 10.0, 32.0, 63.5]);
        multiply((&mut out, place), 0.0, (&a, a_place), (&b, b_place), 1.0);
        assert_eq!(out, [10.0, 14.0, 32.0, 10.0, 44.0, 107.0]);
    }

    #[test]
    #[should_panic(expected = "within its slice")]
    fn a_matrix_outside_its_slice_is_refused() {
        let place = Strided::rows(0, 2, 2, 2);
        multiply((&mut [0.0; 4], place), 0.0, (&[0.0; 3], place), (&[0.0; 4], place), 1.0);
    }
}
