//! One tensor of a pickle: where its elements lie in the file. Checked when made, so that reading cannot fail.

use std::borrow::Cow;
use std::ops::Range;

/// The most dimensions a tensor may have.
pub(super) const MAX_RANK: usize = 8;

/// The type of a tensor's elements, by the storage that torch keeps them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the meaning")]
pub enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    /// Length of one element, in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// A tensor that lies in a storage of the file. Two that are equal are one tensor under two names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lying {
    element: Element,
    shape: Vec<usize>,
    /// Elements to the next along each dimension.
    strides: Vec<usize>,
    /// Byte range of the file, from the first element to the end of the last.
    span: Range<usize>,
}

impl Lying {
    /// `storage` is the byte range of the whole storage, `offset` counts elements into it. `None` where an element
    /// would lie outside the storage, or where there are more elements than the storage has (a stride of 0).
    pub(super) fn new(
        element: Element,
        storage: &Range<usize>,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Option<Self> {
        let capacity = storage.len() / element.size();
        let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
        if shape.len() != strides.len() || shape.len() > MAX_RANK || count > capacity {
            return None;
        }
        let start = storage.start.checked_add(offset.checked_mul(element.size())?)?;
        if count == 0 {
            return (offset <= capacity).then_some(Self {
                element,
                shape,
                strides,
                span: start..start,
            });
        }
        let mut last = offset;
        for (size, stride) in shape.iter().zip(&strides) {
            last = last.checked_add((size - 1).checked_mul(*stride)?)?;
        }
        let end = storage.start + (last < capacity).then(|| (last + 1) * element.size())?;
        Some(Self { element, shape, strides, span: start..end })
    }

    /// The type of the elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// The sizes of the dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements in row-major order, borrowed from the file where they lie that way.
    pub fn bytes<'a>(&self, file: &'a [u8]) -> Cow<'a, [u8]> {
        let lying = &file[self.span.clone()];
        if self.is_contiguous() { Cow::Borrowed(lying) } else { Cow::Owned(self.gathered(lying)) }
    }

    fn is_contiguous(&self) -> bool {
        if self.span.is_empty() {
            return true;
        }
        let mut expected = 1;
        for (size, stride) in self.shape.iter().zip(&self.strides).rev() {
            if *size > 1 && *stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    fn gathered(&self, lying: &[u8]) -> Vec<u8> {
        let size = self.element.size();
        let mut bytes = Vec::with_capacity(self.count() * size);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.count() {
            let at: usize =
                index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
            bytes.extend_from_slice(&lying[at * size..(at + 1) * size]);
            for (index, size) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *size {
                    break;
                }
                *index = 0;
            }
        }
        bytes
    }
}
