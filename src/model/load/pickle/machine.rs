//! The stack machine of a pickle, without its arms: it builds tuples, lists, dictionaries and tensors, and calls nothing
//! but the handful of torch functions that make tensors. Values live in arenas and are plain indices, so nesting and
//! cycles cost nothing; every instruction adds at most one value, so memory is a small multiple of the pickle's length.

use crate::model::load::pickle::archive::Archive;
use crate::model::load::pickle::inert::is_inert;
use crate::model::load::pickle::opcodes::Op;
use crate::model::load::pickle::opcodes::Reader;
use crate::model::load::pickle::opcodes::shown;
use crate::model::load::pickle::refused::Refused;
use crate::model::load::pickle::tensor::Element;
use crate::model::load::pickle::tensor::Lying;
use crate::model::load::pickle::tensor::MAX_RANK;
use std::collections::HashMap;
use std::ops::Range;

/// The most instructions: fifty thousand tensors, a hundred times what large models have.
const MAX_INSTRUCTIONS: usize = 2_000_000;

/// A value of the machine; containers, storages and tensors by their place in an arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// None, a float, a boolean, an object that is stepped over: nothing that a tensor needs.
    Other,
    Int(i64),
    Str(&'a str),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

/// The Python objects that may be named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
    /// The type of an object that is stepped over.
    Inert,
}

/// The dictionary of a state dict, its keys and values in the order of the file.
pub(super) type Pairs<'a> = Vec<(Value<'a>, Value<'a>)>;

/// What a finished run leaves behind.
#[derive(Debug)]
pub(super) struct Finished<'a> {
    /// The object that was pickled.
    pub(super) root: Value<'a>,
    /// The arena of [`Value::Dict`].
    pub(super) dicts: Vec<Pairs<'a>>,
    /// The arena of [`Value::Tensor`].
    pub(super) tensors: Vec<Lying>,
}

#[derive(Debug)]
struct Machine<'a> {
    archive: &'a Archive,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which a mark was set.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    tuples: Vec<Vec<Value<'a>>>,
    lists: Vec<Vec<Value<'a>>>,
    dicts: Vec<Pairs<'a>>,
    storages: Vec<(Element, Range<usize>)>,
    tensors: Vec<Lying>,
    /// The instruction being run, for messages.
    offset: usize,
}

/// Runs a pickle to its end.
pub(super) fn run<'a>(pickle: &'a [u8], archive: &'a Archive) -> Result<Finished<'a>, Refused> {
    let mut reader = Reader::new(pickle);
    let mut machine = Machine {
        archive,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        tuples: Vec::new(),
        lists: Vec::new(),
        dicts: Vec::new(),
        storages: Vec::new(),
        tensors: Vec::new(),
        offset: 0,
    };
    for _ in 0..MAX_INSTRUCTIONS {
        let (offset, op) = reader.next()?;
        machine.offset = offset;
        if op == Op::Stop {
            let root = machine.pop()?;
            return Ok(Finished { root, dicts: machine.dicts, tensors: machine.tensors });
        }
        machine.step(op)?;
    }
    Err(Refused::TooMany { what: "instructions", limit: MAX_INSTRUCTIONS })
}

// ===== impl Machine =====

impl<'a> Machine<'a> {
    fn step(&mut self, op: Op<'a>) -> Result<(), Refused> {
        match op {
            Op::Nothing | Op::Stop => {}
            Op::Mark => self.marks.push(self.stack.len()),
            Op::Pop => self.drop_one()?,
            Op::PopMark => self.above_mark().map(drop)?,
            Op::Dup => self.stack.push(self.top()?),
            Op::None | Op::Bool(_) | Op::Float => self.stack.push(Value::Other),
            Op::Int(value) => self.stack.push(Value::Int(value)),
            Op::Str(text) => self.stack.push(Value::Str(text)),
            Op::Global(module, name) => self.global(module, name)?,
            Op::StackGlobal => self.stack_global()?,
            Op::PersistentId => self.storage()?,
            Op::Reduce => self.call()?,
            Op::New => self.new_object()?,
            Op::Build => self.build()?,
            Op::EmptyTuple => self.push_tuple(Vec::new()),
            Op::Tuple => self.above_mark().map(|items| self.push_tuple(items))?,
            Op::TupleOf(count) => self.pop_many(count).map(|items| self.push_tuple(items))?,
            Op::EmptyList => self.push_list(Vec::new()),
            Op::List => self.above_mark().map(|items| self.push_list(items))?,
            Op::Append => {
                let item = self.pop_many(1)?;
                self.append(&item)?;
            }
            Op::Appends => {
                let items = self.above_mark()?;
                self.append(&items)?;
            }
            Op::EmptyDict => self.push_dict(Vec::new()),
            Op::Dict => {
                let items = self.above_mark()?;
                self.push_dict(Vec::new());
                self.set_items(&items)?;
            }
            Op::SetItem => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            Op::SetItems => {
                let items = self.above_mark()?;
                self.set_items(&items)?;
            }
            Op::Get(index) => match self.memo.get(&index) {
                Some(value) => self.stack.push(*value),
                None => return self.damaged("it refers to a value that was never stored"),
            },
            Op::Put(index) => {
                self.memo.insert(index, self.top()?);
            }
            Op::Memoize => {
                let index = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                self.memo.insert(index, self.top()?);
            }
        }
        Ok(())
    }

    fn damaged<T>(&self, reason: &'static str) -> Result<T, Refused> {
        Err(Refused::Damaged { offset: self.offset, reason })
    }

    // ----- the stack -----

    /// The height below which an instruction must not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Value<'a>, Refused> {
        match self.stack.last() {
            Some(value) if self.stack.len() > self.floor() => Ok(*value),
            _ => self.damaged("the stack is empty"),
        }
    }

    fn pop(&mut self) -> Result<Value<'a>, Refused> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>, Refused> {
        match self.stack.len().checked_sub(count) {
            Some(at) if at >= self.floor() => Ok(self.stack.split_off(at)),
            _ => self.damaged("the stack is empty"),
        }
    }

    fn drop_one(&mut self) -> Result<(), Refused> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn above_mark(&mut self) -> Result<Vec<Value<'a>>, Refused> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => self.damaged("there is no mark"),
        }
    }

    // ----- containers -----

    fn push_tuple(&mut self, items: Vec<Value<'a>>) {
        self.stack.push(Value::Tuple(self.tuples.len()));
        self.tuples.push(items);
    }

    fn push_list(&mut self, items: Vec<Value<'a>>) {
        self.stack.push(Value::List(self.lists.len()));
        self.lists.push(items);
    }

    fn push_dict(&mut self, pairs: Pairs<'a>) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(pairs);
    }

    fn append(&mut self, items: &[Value<'a>]) -> Result<(), Refused> {
        let Value::List(list) = self.top()? else {
            return self.damaged("it appends to something that is no list");
        };
        self.lists[list].extend_from_slice(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Value<'a>]) -> Result<(), Refused> {
        let dict = match self.top()? {
            Value::Dict(dict) => dict,
            Value::Other => return Ok(()),
            _ => return self.damaged("it sets an item of something that is no dictionary"),
        };
        if !items.len().is_multiple_of(2) {
            return self.damaged("a key has no value");
        }
        self.dicts[dict].extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    // ----- objects -----

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<(), Refused> {
        let global = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch", "Size") => Global::Size,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Global::RebuildParameter
            }
            ("torch", "DoubleStorage") => Global::Storage(Element::F64),
            ("torch", "FloatStorage") => Global::Storage(Element::F32),
            ("torch", "HalfStorage") => Global::Storage(Element::F16),
            ("torch", "BFloat16Storage") => Global::Storage(Element::BF16),
            ("torch", "LongStorage") => Global::Storage(Element::I64),
            ("torch", "IntStorage") => Global::Storage(Element::I32),
            ("torch", "ShortStorage") => Global::Storage(Element::I16),
            ("torch", "CharStorage") => Global::Storage(Element::I8),
            ("torch", "ByteStorage") | ("torch.storage", "UntypedStorage") => {
                Global::Storage(Element::U8)
            }
            ("torch", "BoolStorage") => Global::Storage(Element::Bool),
            _ if is_inert(module, name) => Global::Inert,
            _ => {
                return Err(Refused::Global {
                    module: shown(module),
                    name: shown(name),
                    offset: self.offset,
                });
            }
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    fn stack_global(&mut self) -> Result<(), Refused> {
        match self.pop_many(2)?[..] {
            [Value::Str(module), Value::Str(name)] => self.global(module, name),
            _ => self.damaged("a name is no string"),
        }
    }

    /// `("storage", type, key, location, number of elements)` becomes the range of an entry of the archive.
    fn storage(&mut self) -> Result<(), Refused> {
        let Value::Tuple(id) = self.pop()? else {
            return self.damaged("a persistent id is no tuple");
        };
        let [
            Value::Str("storage"),
            Value::Global(Global::Storage(element)),
            Value::Str(key),
            Value::Str(_),
            Value::Int(count),
        ] = self.tuples[id][..]
        else {
            return self.damaged("a persistent id does not describe a storage");
        };
        let name = format!("data/{key}");
        let range = self.archive.get(&name).ok_or_else(|| Refused::MissingEntry(shown(&name)))?;
        let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(element.size()));
        match bytes {
            Some(bytes) if bytes <= range.len() => {
                self.stack.push(Value::Storage(self.storages.len()));
                self.storages.push((element, range.start..range.start + bytes));
                Ok(())
            }
            _ => self.damaged("a storage is longer than its entry in the archive"),
        }
    }

    fn call(&mut self) -> Result<(), Refused> {
        let [callable, Value::Tuple(arguments)] = self.pop_many(2)?[..] else {
            return self.damaged("a call has no tuple of arguments");
        };
        match (callable, &self.tuples[arguments][..]) {
            (Value::Global(Global::OrderedDict), []) => self.push_dict(Vec::new()),
            (Value::Global(Global::Inert), _) => self.stack.push(Value::Other),
            (Value::Global(Global::Size), [sizes @ Value::Tuple(_)]) => self.stack.push(*sizes),
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Tensor(_), ..]) => {
                self.stack.push(*tensor);
            }
            (
                Value::Global(Global::RebuildTensor),
                [
                    Value::Storage(storage),
                    Value::Int(offset),
                    Value::Tuple(shape),
                    Value::Tuple(strides),
                    ..,
                ],
            ) => {
                let tensor = self.tensor(*storage, *offset, *shape, *strides)?;
                self.stack.push(Value::Tensor(self.tensors.len()));
                self.tensors.push(tensor);
            }
            _ => return self.damaged("a call does not have the arguments that torch gives it"),
        }
        Ok(())
    }

    /// An object by its type; only of those that are stepped over.
    fn new_object(&mut self) -> Result<(), Refused> {
        match self.pop_many(2)?[..] {
            [Value::Global(Global::Inert), Value::Tuple(_)] => {
                self.stack.push(Value::Other);
                Ok(())
            }
            _ => Err(Refused::Opcode { name: "NEWOBJ".to_owned(), offset: self.offset }),
        }
    }

    fn tensor(
        &self,
        storage: usize,
        offset: i64,
        shape: usize,
        strides: usize,
    ) -> Result<Lying, Refused> {
        let (element, range) = &self.storages[storage];
        let tensor = (|| {
            let offset = usize::try_from(offset).ok()?;
            Lying::new(*element, range, offset, self.sizes(shape)?, self.sizes(strides)?)
        })();
        tensor.map_or_else(|| self.damaged("a tensor does not lie inside its storage"), Ok)
    }

    fn sizes(&self, tuple: usize) -> Option<Vec<usize>> {
        let sizes = &self.tuples[tuple];
        if sizes.len() > MAX_RANK {
            return None;
        }
        sizes
            .iter()
            .map(|value| match value {
                Value::Int(size) => usize::try_from(*size).ok(),
                _ => None,
            })
            .collect()
    }

    /// The state of a dictionary (`_metadata` of a module's state dict) is of no use here.
    fn build(&mut self) -> Result<(), Refused> {
        self.pop()?;
        match self.top()? {
            Value::Dict(_) | Value::Other => Ok(()),
            _ => self.damaged("it sets the state of something that is no dictionary"),
        }
    }
}
