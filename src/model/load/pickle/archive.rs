//! The zip container of `torch.save`: names to byte ranges of the file, nothing copied, nothing decompressed. Accepts
//! only what torch writes (stored entries, directory at the very end); every number of the file is checked against
//! the file's length before it is used. A general zip reader sizes its tables by what the file claims. Knows no pickle.

use crate::model::load::pickle::refused::Refused;
use std::collections::HashMap;
use std::ops::Range;

const END_MAGIC: u32 = 0x0605_4b50;
const END64_MAGIC: u32 = 0x0606_4b50;
const LOCATOR64_MAGIC: u32 = 0x0706_4b50;
const ENTRY_MAGIC: u32 = 0x0201_4b50;
const LOCAL_MAGIC: u32 = 0x0403_4b50;
const END_LEN: usize = 22;
const LOCATOR64_LEN: usize = 20;
const ENTRY_LEN: usize = 46;
const LOCAL_LEN: usize = 30;
/// Header id of the extra field with 64-bit sizes.
const ZIP64_FIELD: usize = 1;
/// In a 32-bit field: the value is in the zip64 field.
const IN_ZIP64: usize = u32::MAX as usize;
/// The flag bit of encrypted entries.
const ENCRYPTED: usize = 1;

/// Where each entry's bytes are in the file, by the entry's name without the folder that torch puts in front.
#[derive(Debug)]
pub(super) struct Archive {
    entries: HashMap<String, Range<usize>>,
}

impl Archive {
    /// Whether the file begins like a zip archive.
    pub(super) fn looks_like(file: &[u8]) -> bool {
        file.starts_with(b"PK\x03\x04")
    }

    pub(super) fn open(file: &[u8]) -> Result<Self, Refused> {
        let file = Bytes(file);
        let (directory, count) = file.directory()?;
        let mut entries = HashMap::new();
        let mut root: Option<&str> = None;
        let mut at = directory.start;
        for _ in 0..count {
            let (name, range, next) = file.entry(at, directory.end)?;
            let Some((folder, name)) = name.split_once('/') else {
                return Err(Refused::Archive("an entry lies outside the archive's folder"));
            };
            if *root.get_or_insert(folder) != folder {
                return Err(Refused::Archive("entries lie in different folders"));
            }
            if entries.insert(name.to_owned(), range).is_some() {
                return Err(Refused::Archive("two entries have the same name"));
            }
            at = next;
        }
        Ok(Self { entries })
    }

    /// The byte range of an entry, such as `data.pkl` or `data/0`.
    pub(super) fn get(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(name).cloned()
    }
}

// ===== impl Bytes =====

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn slice(&self, at: usize, len: usize) -> Result<&'a [u8], Refused> {
        let end = at.checked_add(len).ok_or(Refused::Archive("an offset lies outside the file"))?;
        self.0.get(at..end).ok_or(Refused::Archive("an offset lies outside the file"))
    }

    /// A little-endian number of `len` bytes, at most 8.
    fn number(&self, at: usize, len: usize) -> Result<usize, Refused> {
        let value = self
            .slice(at, len)?
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).map_err(|_| Refused::Archive("an offset lies outside the file"))
    }

    fn is(&self, at: usize, magic: u32) -> bool {
        self.slice(at, 4).is_ok_and(|bytes| bytes == magic.to_le_bytes())
    }

    /// The range of the central directory and the number of its entries.
    fn directory(&self) -> Result<(Range<usize>, usize), Refused> {
        let end =
            self.0.len().checked_sub(END_LEN).ok_or(Refused::Archive("the file is too short"))?;
        if !self.is(end, END_MAGIC) {
            return Err(Refused::Archive(
                "the zip directory is missing at the end: the file is truncated",
            ));
        }
        let locator = end.checked_sub(LOCATOR64_LEN).filter(|at| self.is(*at, LOCATOR64_MAGIC));
        let (count, len, start) = match locator {
            Some(locator) => {
                let end64 = self.number(locator + 8, 8)?;
                if !self.is(end64, END64_MAGIC) {
                    return Err(Refused::Archive("the zip64 directory is not where it should be"));
                }
                let at = |offset: usize| end64.saturating_add(offset);
                (self.number(at(32), 8)?, self.number(at(40), 8)?, self.number(at(48), 8)?)
            }
            None => {
                (self.number(end + 10, 2)?, self.number(end + 12, 4)?, self.number(end + 16, 4)?)
            }
        };
        self.slice(start, len)?;
        if count > len / ENTRY_LEN {
            return Err(Refused::Archive(
                "the zip directory claims more entries than it has room for",
            ));
        }
        Ok((start..start + len, count))
    }

    /// The entry whose record starts at `at`: its name, its data, and where the next record starts.
    fn entry(
        &self,
        at: usize,
        directory_end: usize,
    ) -> Result<(&'a str, Range<usize>, usize), Refused> {
        if !self.is(at, ENTRY_MAGIC) {
            return Err(Refused::Archive("an entry of the zip directory is damaged"));
        }
        let field = |offset: usize, len: usize| self.number(at + offset, len);
        if field(8, 2)? & ENCRYPTED != 0 {
            return Err(Refused::Archive("an entry is encrypted"));
        }
        if field(10, 2)? != 0 || field(20, 4)? != field(24, 4)? {
            return Err(Refused::Archive("an entry is compressed, which torch never does"));
        }
        let (name_len, extra_len, comment_len) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
        let name = std::str::from_utf8(self.slice(at + ENTRY_LEN, name_len)?)
            .map_err(|_| Refused::Archive("an entry's name is not UTF-8"))?;
        let extra = at + ENTRY_LEN + name_len;
        let next = extra + extra_len + comment_len;
        if next > directory_end {
            return Err(Refused::Archive("an entry of the zip directory is damaged"));
        }
        let (len, header) =
            self.wide(extra..extra + extra_len, [field(24, 4)?, field(20, 4)?, field(42, 4)?])?;
        Ok((name, self.data(header, len)?, next))
    }

    /// Uncompressed length and header offset of an entry, from the zip64 field where the short ones refer to it.
    fn wide(
        &self,
        extra: Range<usize>,
        [len, stored, header]: [usize; 3],
    ) -> Result<(usize, usize), Refused> {
        if len != IN_ZIP64 && stored != IN_ZIP64 && header != IN_ZIP64 {
            return Ok((len, header));
        }
        let mut at = extra.start;
        while at + 4 <= extra.end {
            let (id, size) = (self.number(at, 2)?, self.number(at + 2, 2)?);
            at += 4;
            if id == ZIP64_FIELD {
                let mut fields = (at..at.saturating_add(size).min(extra.end)).step_by(8);
                let mut read = |short: usize| match (short, fields.next()) {
                    (IN_ZIP64, Some(at)) => self.number(at, 8),
                    (IN_ZIP64, None) => Err(Refused::Archive("a zip64 field is too short")),
                    _ => Ok(short),
                };
                // In this order, and only those whose short field refers here.
                let (len, stored) = wide_pair(len, stored, &mut read)?;
                let header = if header == IN_ZIP64 { read(header)? } else { header };
                if len != stored {
                    return Err(Refused::Archive("an entry is compressed, which torch never does"));
                }
                return Ok((len, header));
            }
            at += size;
        }
        Err(Refused::Archive("a zip64 field is missing"))
    }

    /// The data that follows the local header at `at`.
    fn data(&self, at: usize, len: usize) -> Result<Range<usize>, Refused> {
        if !self.is(at, LOCAL_MAGIC) {
            return Err(Refused::Archive("an entry's header is not where the directory says"));
        }
        let start = at + LOCAL_LEN + self.number(at + 26, 2)? + self.number(at + 28, 2)?;
        self.slice(start, len)?;
        Ok(start..start + len)
    }
}

fn wide_pair(
    len: usize,
    stored: usize,
    read: &mut impl FnMut(usize) -> Result<usize, Refused>,
) -> Result<(usize, usize), Refused> {
    let len = if len == IN_ZIP64 { read(len)? } else { len };
    let stored = if stored == IN_ZIP64 { read(stored)? } else { stored };
    Ok((len, stored))
}
