//! Causal attention of a batch over a prefix that sequences may share and each sequence's own columns, with its gradient.
//! Letters: P prefixes, F sequences on each, W rows of each sequence, T0 and T1 columns of a prefix and of a sequence's own,
//! H query heads, G key and value heads, E head size.

use crate::launch::Floats;
use crate::launch::Input;
use crate::launch::Number;
use crate::launch::Work;
use crate::launch::call;
use candle_core::CudaStorage;
use candle_core::Result;

/// The largest head size that the gradient's kernel has registers for.
const MAX_SIZE: usize = 256;

/// Sizes of one attention, and its padding.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// P
    pub prefixes: usize,
    /// F
    pub fan: usize,
    /// W: the last of a sequence's own columns.
    pub width: usize,
    /// T0; may be 0.
    pub prefix_columns: usize,
    /// T1
    pub own_columns: usize,
    /// H
    pub heads: usize,
    /// G
    pub kv_heads: usize,
    /// E
    pub size: usize,
    /// The first column of each prefix that is not padding, (P,).
    pub prefix_from: &'a [u32],
    /// The first of each sequence's own columns that is not padding, (P F,). Padding sees itself alone.
    pub own_from: &'a [u32],
}

impl Sizes<'_> {
    fn sequences(&self) -> usize {
        self.prefixes * self.fan
    }

    fn rows(&self) -> usize {
        self.sequences() * self.width
    }

    fn items(&self) -> usize {
        self.rows() * self.heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// Floats that a warp needs: scores, and `vectors` of a head's size.
    fn room(&self, vectors: usize) -> usize {
        (self.prefix_columns + self.own_columns).next_multiple_of(4) + vectors * self.size
    }

    fn check(&self, [q, prefix, own]: [Floats<'_>; 3]) -> Result<()> {
        let column = 2 * self.kv_heads * self.size;
        let fits = q.count() == self.items() * self.size
            && prefix.count() >= self.prefixes * self.prefix_columns * column
            && own.count() == self.sequences() * self.own_columns * column
            && self.prefix_from.len() == self.prefixes
            && self.own_from.len() == self.sequences()
            && (1..=self.own_columns).contains(&self.width)
            && self.kv_heads > 0
            && self.heads.is_multiple_of(self.kv_heads);
        if !fits {
            candle_core::bail!("tensors do not have the sizes of this attention");
        }
        if self.size > MAX_SIZE {
            candle_core::bail!("heads of {} are larger than {MAX_SIZE}", self.size);
        }
        Ok(())
    }

    fn numbers(&self) -> [Number; 9] {
        let Self { fan, width, prefix_columns, own_columns, heads, kv_heads, size, .. } = *self;
        let sizes = [self.rows(), fan, width, prefix_columns, own_columns, heads, kv_heads, size];
        let mut numbers = [Number::Float(self.scale()); 9];
        for (number, size) in numbers.iter_mut().zip(sizes) {
            *number = Number::Int(size);
        }
        numbers
    }

    fn inputs<'a>(&'a self, [q, prefix, own]: [Floats<'a>; 3]) -> [Input<'a>; 5] {
        let [q, prefix, own] = [q, prefix, own].map(Input::Floats);
        [q, prefix, own, Input::Ids(self.prefix_from), Input::Ids(self.own_from)]
    }
}

/// q (P, F, W, H E), prefix (P, T0, 2 G E) and own (P, F, T1, 2 G E), keys before values in each column -> (P, F, W, H E).
/// Without columns of a prefix anything may stand for it.
///
/// # Errors
/// If the sizes do not fit, or the GPU refuses.
pub fn attend(inputs: [Floats<'_>; 3], sizes: &Sizes<'_>) -> Result<CudaStorage> {
    sizes.check(inputs)?;
    let [q, ..] = inputs;
    let work = ("attend", Work::WarpsWithMemory(sizes.items(), sizes.room(1)));
    let [out] = call(q.device(), work, &sizes.inputs(inputs), [q.count()], &sizes.numbers())?;
    Ok(out)
}

/// What went in, what came out, and its gradient -> the gradients of q, of the prefix where it has columns, and of own.
///
/// # Errors
/// See [`attend`].
pub fn attend_back(
    inputs: [Floats<'_>; 3],
    [out, dy]: [Floats<'_>; 2],
    sizes: &Sizes<'_>,
) -> Result<(CudaStorage, Option<CudaStorage>, CudaStorage)> {
    sizes.check(inputs)?;
    let [q, prefix, own] = inputs;
    if out.count() != q.count() || dy.count() != q.count() {
        candle_core::bail!("gradients do not have the sizes of this attention");
    }
    let work = ("attend_back_rows", Work::WarpsWithMemory(sizes.items(), sizes.room(2)));
    let given = [&sizes.inputs(inputs)[..], &[out, dy].map(Input::Floats)].concat();
    let made = [q.count(), sizes.items(), sizes.items()];
    let [dq, lse, delta] = call(q.device(), work, &given, made, &sizes.numbers())?;
    let rows = Rows { q, dy, lse: &lse, delta: &delta };
    let dprefix = match sizes.prefix_columns {
        0 => None,
        columns => {
            let (groups, many) = (sizes.prefixes, sizes.fan * sizes.width);
            let group = Group { groups, columns, many, first: None, from: sizes.prefix_from };
            Some(rows.columns(prefix, &group, sizes)?)
        }
    };
    let (columns, width) = (sizes.own_columns, sizes.width);
    let first = Some(columns - width);
    let group =
        Group { groups: sizes.sequences(), columns, many: width, first, from: sizes.own_from };
    let down = rows.columns(own, &group, sizes)?;
    Ok((dq, dprefix, down))
}

/// What the columns are told of the rows that see them.
struct Rows<'a> {
    q: Floats<'a>,
    dy: Floats<'a>,
    lse: &'a CudaStorage,
    delta: &'a CudaStorage,
}

/// Columns, in groups that the same rows see.
struct Group<'a> {
    groups: usize,
    columns: usize,
    /// Rows of each group.
    many: usize,
    /// The column of a group's first row, where rows see up to a column of their own.
    first: Option<usize>,
    from: &'a [u32],
}

impl Rows<'_> {
    fn columns(&self, kv: Floats<'_>, group: &Group<'_>, sizes: &Sizes<'_>) -> Result<CudaStorage> {
        let Group { groups, columns, many, first, from } = *group;
        let count = groups * columns * 2 * sizes.kv_heads * sizes.size;
        let inputs = [
            Input::Floats(self.q),
            Input::Floats(kv),
            Input::Ids(from),
            Input::Floats(self.dy),
            Input::Floats(Floats::all(self.lse)?),
            Input::Floats(Floats::all(self.delta)?),
        ];
        let first = first.map_or(Ok(-1), i32::try_from).map_err(candle_core::Error::wrap)?;
        let numbers = [
            Number::Int(groups),
            Number::Int(columns),
            Number::Int(many),
            Number::Signed(first),
            Number::Int(sizes.heads),
            Number::Int(sizes.kv_heads),
            Number::Int(sizes.size),
            Number::Float(sizes.scale()),
        ];
        let items = groups * columns * sizes.kv_heads;
        let work = ("attend_back_columns", Work::WarpsWithMemory(items, 2 * sizes.size));
        let [dkv] = call(self.q.device(), work, &inputs, [count], &numbers)?;
        Ok(dkv)
    }
}
