//! Keys and values of one layer of a model, in memory that is taken from the system as it is first touched. Everything that
//! depends on the type of their numbers is compiled here, whoever calls. Knows no sequence: a row names its slot.

use crate::attend::attend_on;
use crate::attend::element::Element;
use crate::attend::pages::Heads;
use crate::attend::pages::PAGE;
use crate::attend::pages::Pages;
use crate::attend::pages::PagesMut;
use crate::attend::pages::View;
use crate::attend::write::write;
use crate::isa::Isa;
use crate::memory::Zeroed;
use std::io::Result;

/// How numbers are kept in KV memory; computed with in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvType {
    /// 4 bytes a number.
    #[default]
    F32,
    /// 2 bytes a number.
    Bf16,
}

impl KvType {
    /// Of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// Sizes of a layer's memory.
#[derive(Clone, Copy, Debug)]
pub struct KvShape {
    /// Of 16 positions each.
    pub pages: usize,
    /// G
    pub kv_heads: usize,
    /// E
    pub head_size: usize,
}

impl KvShape {
    /// Numbers of the keys of one page, and of its values.
    fn page(self) -> usize {
        PAGE * self.kv_heads * self.head_size
    }
}

/// Keys and values of one layer.
#[derive(Debug)]
pub struct KvLayer {
    shape: KvShape,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    F32([Zeroed<f32>; 2]),
    /// The bits of bf16 numbers.
    Bf16([Zeroed<u16>; 2]),
}

impl KvLayer {
    /// All zeros.
    ///
    /// # Errors
    /// If the system does not have so much memory.
    pub fn try_new(shape: KvShape, kind: KvType) -> Result<Self> {
        // So many that the system cannot have them either.
        let count = shape.pages.saturating_mul(shape.page());
        let numbers = match kind {
            KvType::F32 => Numbers::F32([Zeroed::try_new(count)?, Zeroed::try_new(count)?]),
            KvType::Bf16 => Numbers::Bf16([Zeroed::try_new(count)?, Zeroed::try_new(count)?]),
        };
        Ok(Self { shape, numbers })
    }

    /// Puts what stands in the page `from` into the page `to`.
    ///
    /// # Panics
    /// If one of them is not there.
    pub fn copy_page(&mut self, from: usize, to: usize) {
        let page = self.shape.page();
        match &mut self.numbers {
            Numbers::F32(numbers) => copy_page(numbers, page, [from, to]),
            Numbers::Bf16(numbers) => copy_page(numbers, page, [from, to]),
        }
    }

    /// k and v (R, G, E) into the slots (R,): page number times 16 plus the place within the page.
    ///
    /// # Panics
    /// If the lengths do not fit, or a slot is not there.
    pub fn write(&mut self, [k, v]: [Heads<'_>; 2], slots: &[usize]) {
        match &mut self.numbers {
            Numbers::F32(numbers) => write(pages_mut(self.shape, numbers), k, v, slots),
            Numbers::Bf16(numbers) => write(pages_mut(self.shape, numbers), k, v, slots),
        }
    }

    /// q (R, H, E) -> out (R, H * E): softmax(q k / sqrt(E)) v over what `views` (R,) say.
    ///
    /// # Panics
    /// If the lengths do not fit, or a view names a page that is not there.
    pub fn attend(&self, q: Heads<'_>, views: &[View<'_>], out: &mut [f32]) {
        let isa = Isa::best();
        match &self.numbers {
            Numbers::F32(numbers) => attend_on(isa, pages(self.shape, numbers), q, views, out),
            Numbers::Bf16(numbers) => attend_on(isa, pages(self.shape, numbers), q, views, out),
        }
    }

    /// The keys (T, E) of one head at all positions that `view` sees, as they are kept: to be looked at, one by one.
    ///
    /// # Panics
    /// If there is no such head, or the view names a page that is not there.
    pub fn keys(&self, view: View<'_>, head: usize) -> Vec<f32> {
        assert!(head < self.shape.kv_heads, "a head of keys");
        match &self.numbers {
            Numbers::F32(numbers) => keys(pages(self.shape, numbers), view, head),
            Numbers::Bf16(numbers) => keys(pages(self.shape, numbers), view, head),
        }
    }
}

fn keys<T: Element>(pages: Pages<'_, T>, view: View<'_>, head: usize) -> Vec<f32> {
    let Pages { keys, kv_heads, head_size, .. } = pages;
    let at = |position: usize| {
        let (page, place) = (view.slot(position) / PAGE, position % PAGE);
        let page = &keys[(page * kv_heads + head) * head_size * PAGE..][..head_size * PAGE];
        page.iter().skip(place).step_by(PAGE).map(|key| key.to_f32())
    };
    (0..=view.position).flat_map(at).collect()
}

fn copy_page<T: Element>(numbers: &mut [Zeroed<T>; 2], page: usize, [from, to]: [usize; 2]) {
    for numbers in numbers {
        numbers.copy_within(from * page..(from + 1) * page, to * page);
    }
}

fn pages<T: Element>(shape: KvShape, [keys, values]: &[Zeroed<T>; 2]) -> Pages<'_, T> {
    let KvShape { kv_heads, head_size, .. } = shape;
    Pages { keys, values, kv_heads, head_size }
}

fn pages_mut<T: Element>(shape: KvShape, [keys, values]: &mut [Zeroed<T>; 2]) -> PagesMut<'_, T> {
    let KvShape { kv_heads, head_size, .. } = shape;
    PagesMut { keys, values, kv_heads, head_size }
}
