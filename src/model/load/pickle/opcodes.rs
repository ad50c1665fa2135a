//! The instructions of a pickle, one by one, with their arguments checked and borrowed from the file. Knows the opcodes
//! that torch emits (protocols 2 to 5) and none that calls arbitrary code; does not know what they do.

use crate::model::load::pickle::refused::Refused;

/// The newest protocol there is.
const MAX_PROTOCOL: u8 = 5;
/// The longest string: names of tensors and of storages.
const MAX_STRING: usize = 4096;
/// How much of a refused name is shown.
const MAX_SHOWN: usize = 80;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op<'a> {
    Nothing,
    Stop,
    Mark,
    Pop,
    PopMark,
    Dup,
    None,
    Bool(bool),
    Int(i64),
    Float,
    Str(&'a str),
    Global(&'a str, &'a str),
    StackGlobal,
    PersistentId,
    Reduce,
    New,
    Build,
    EmptyTuple,
    /// A tuple of everything above the mark.
    Tuple,
    /// A tuple of the last 1, 2 or 3 values.
    TupleOf(usize),
    EmptyList,
    List,
    Append,
    Appends,
    EmptyDict,
    Dict,
    SetItem,
    SetItems,
    Get(u32),
    Put(u32),
    Memoize,
}

/// Reads instructions from the front of a pickle.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pickle: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(pickle: &'a [u8]) -> Self {
        Self { pickle, at: 0 }
    }

    /// The position of the next instruction, and the instruction.
    pub(super) fn next(&mut self) -> Result<(usize, Op<'a>), Refused> {
        let offset = self.at;
        let [code] = self.array::<1>()?;
        let op = match code {
            0x80 => self.protocol()?,
            0x95 => self.frame()?,
            b'.' => Op::Stop,
            b'(' => Op::Mark,
            b'0' => Op::Pop,
            b'1' => Op::PopMark,
            b'2' => Op::Dup,
            b'N' => Op::None,
            0x88 => Op::Bool(true),
            0x89 => Op::Bool(false),
            b'K' => Op::Int(i64::from(u8::from_le_bytes(self.array()?))),
            b'M' => Op::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Op::Int(i64::from(i32::from_le_bytes(self.array()?))),
            0x8a => self.long()?,
            b'G' => self.array::<8>().map(|_| Op::Float)?,
            0x8c => self.short_str()?,
            b'X' => self.long_str()?,
            b'c' => Op::Global(self.line()?, self.line()?),
            0x93 => Op::StackGlobal,
            b'Q' => Op::PersistentId,
            b'R' => Op::Reduce,
            0x81 => Op::New,
            b'b' => Op::Build,
            b')' => Op::EmptyTuple,
            b't' => Op::Tuple,
            0x85 => Op::TupleOf(1),
            0x86 => Op::TupleOf(2),
            0x87 => Op::TupleOf(3),
            b']' => Op::EmptyList,
            b'l' => Op::List,
            b'a' => Op::Append,
            b'e' => Op::Appends,
            b'}' => Op::EmptyDict,
            b'd' => Op::Dict,
            b's' => Op::SetItem,
            b'u' => Op::SetItems,
            b'h' => Op::Get(u32::from(u8::from_le_bytes(self.array()?))),
            b'j' => Op::Get(u32::from_le_bytes(self.array()?)),
            b'q' => Op::Put(u32::from(u8::from_le_bytes(self.array()?))),
            b'r' => Op::Put(u32::from_le_bytes(self.array()?)),
            0x94 => Op::Memoize,
            other => return Err(Refused::Opcode { name: name_of(other), offset }),
        };
        Ok((offset, op))
    }

    fn damaged<T>(&self, reason: &'static str) -> Result<T, Refused> {
        Err(Refused::Damaged { offset: self.at, reason })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Refused> {
        match self.at.checked_add(len).and_then(|end| self.pickle.get(self.at..end)) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => self.damaged("it ends in the middle of an instruction"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn protocol(&mut self) -> Result<Op<'a>, Refused> {
        let [version] = self.array::<1>()?;
        if version > MAX_PROTOCOL {
            return self.damaged("its protocol is newer than any known");
        }
        Ok(Op::Nothing)
    }

    /// Frames only help a reader to fetch ahead; the claim is checked all the same.
    fn frame(&mut self) -> Result<Op<'a>, Refused> {
        let len = u64::from_le_bytes(self.array()?);
        if len > (self.pickle.len() - self.at) as u64 {
            return self.damaged("a frame is longer than the pickle");
        }
        Ok(Op::Nothing)
    }

    /// A two's-complement number of up to 8 bytes.
    fn long(&mut self) -> Result<Op<'a>, Refused> {
        let [len] = self.array::<1>()?;
        if len > 8 {
            return self.damaged("a number is longer than 8 bytes");
        }
        let bytes = self.take(usize::from(len))?;
        let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
        let mut value = [if negative { 0xff } else { 0 }; 8];
        value[..bytes.len()].copy_from_slice(bytes);
        Ok(Op::Int(i64::from_le_bytes(value)))
    }

    fn short_str(&mut self) -> Result<Op<'a>, Refused> {
        let [len] = self.array::<1>()?;
        self.str(usize::from(len))
    }

    fn long_str(&mut self) -> Result<Op<'a>, Refused> {
        let len = u32::from_le_bytes(self.array()?) as usize;
        if len > MAX_STRING {
            return self.damaged("a string is longer than any name");
        }
        self.str(len)
    }

    fn str(&mut self, len: usize) -> Result<Op<'a>, Refused> {
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(Op::Str(text)),
            Err(_) => self.damaged("a string is not UTF-8"),
        }
    }

    /// The text up to the next line feed, which is consumed.
    fn line(&mut self) -> Result<&'a str, Refused> {
        let rest = &self.pickle[self.at..];
        let Some(len) = rest.iter().take(MAX_STRING).position(|byte| *byte == b'\n') else {
            return self.damaged("a name has no end");
        };
        let line = self.take(len + 1)?;
        match std::str::from_utf8(&line[..len]) {
            Ok(text) => Ok(text),
            Err(_) => self.damaged("a name is not UTF-8"),
        }
    }
}

/// A refused name as it is shown: printable and not too long.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect()
}

/// The names of the opcodes that are refused, as `pickletools` has them.
fn name_of(code: u8) -> String {
    let name = match code {
        b'I' => "INT",
        b'L' => "LONG",
        b'F' => "FLOAT",
        b'S' => "STRING",
        b'T' => "BINSTRING",
        b'U' => "SHORT_BINSTRING",
        b'V' => "UNICODE",
        0x8d => "BINUNICODE8",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x8e => "BINBYTES8",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        0x8b => "LONG4",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        b'p' => "PUT",
        b'g' => "GET",
        b'P' => "PERSID",
        b'i' => "INST",
        b'o' => "OBJ",
        0x92 => "NEWOBJ_EX",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        other => return format!("{other:#04x}"),
    };
    name.to_owned()
}
