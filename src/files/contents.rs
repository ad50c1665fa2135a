//! What the bytes of a file are, whatever its name says: looked at before they are parsed, so that a pointer, a web page
//! or an archive is called that, with what to do about it. Knows beginnings of files; what is in them, it does not know.

use crate::files::text::unmarked;
use std::fmt;

/// As many bytes from the beginning of a file as are ever looked at.
pub const START_BYTES: usize = 512;

/// The longest header of a safetensors file, in bytes, as its own library has it.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// What a file was recognised as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing at all.
    Empty,
    /// Tensors behind a header of JSON.
    Safetensors,
    /// The zip archive of `torch.save`.
    Torch,
    /// Something that is read nowhere here.
    Foreign(Foreign),
    /// Anything else: text, or what nobody knows.
    Other,
}

/// Something that is read nowhere here. Displayed, it completes a sentence that begins with the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    what: &'static str,
    remedy: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is {}: {}", self.what, self.remedy)
    }
}

const fn foreign(what: &'static str, remedy: &'static str) -> Foreign {
    Foreign { what, remedy }
}

const POINTER: Foreign = foreign(
    "a git-lfs pointer and not the file itself",
    "run `git lfs pull` where it was cloned, or download the file",
);
const ANNEXED: Foreign =
    foreign("a git-annex pointer and not the file itself", "run `git annex get` on it");
const LEGACY_TORCH: Foreign = foreign(
    "a torch file of the form before version 1.6",
    "load it with torch and save it again, with torch.save or as safetensors",
);
const PICKLE: Foreign = foreign(
    "a pickle of Python objects",
    "save the state dict itself, with torch.save or as safetensors",
);
const ZIP: Foreign = foreign("a zip archive", "unpack it");
const TAR: Foreign = foreign("a tar archive", "unpack it");
const COMPRESSED: &str = "decompress it";
const OTHER_FORMAT: &str = "weights are read from safetensors and torch files; convert it";
const WEB_PAGE: Foreign =
    foreign("a web page", "the download went wrong; is it private, or the address of a page?");
const MESSAGE: Foreign = foreign(
    "a server's message about an error",
    "the download went wrong; does the file exist, and is it open to you?",
);

/// Beginnings of files that are not text.
const BINARY: [(&[u8], Foreign); 12] = [
    (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", LEGACY_TORCH),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"\x1f\x8b", foreign("compressed by gzip", COMPRESSED)),
    (b"\x28\xb5\x2f\xfd", foreign("compressed by zstd", COMPRESSED)),
    (b"\xfd7zXZ\0", foreign("compressed by xz", COMPRESSED)),
    (b"GGUF", foreign("a GGUF file of llama.cpp", OTHER_FORMAT)),
    (b"\x89HDF\r\n", foreign("an HDF5 file, as TensorFlow writes", OTHER_FORMAT)),
    (b"\x93NUMPY", foreign("an array of NumPy", OTHER_FORMAT)),
    (b"PAR1", foreign("a Parquet table", "save it as JSON lines")),
];

/// Beginnings of text that stands in the place of another file, in small letters.
const TEXT: [(&str, Foreign); 14] = [
    ("version https://git-lfs.github.com/", POINTER),
    ("version https://hawser.github.com/", POINTER),
    ("# xet version", POINTER),
    ("/annex/objects/", ANNEXED),
    ("<!doctype html", WEB_PAGE),
    ("<html", WEB_PAGE),
    ("<head", WEB_PAGE),
    ("<?xml", MESSAGE),
    ("<error>", MESSAGE),
    ("{\"error\":", MESSAGE),
    ("entry not found", MESSAGE),
    ("repository not found", MESSAGE),
    ("invalid username or password", MESSAGE),
    ("access to model ", MESSAGE),
];

/// What a file is that begins like this.
pub fn recognise(start: &[u8]) -> Contents {
    if start.is_empty() {
        return Contents::Empty;
    }
    if let Some((length, [b'{', ..])) = start.split_first_chunk()
        && u64::from_le_bytes(*length) <= MAX_HEADER_BYTES
    {
        return Contents::Safetensors;
    }
    if start.starts_with(b"PK\x03\x04") {
        return if is_of_torch(start) { Contents::Torch } else { Contents::Foreign(ZIP) };
    }
    if start.get(257..262) == Some(b"ustar") {
        return Contents::Foreign(TAR);
    }
    let binary = BINARY.iter().find(|(magic, _)| start.starts_with(magic));
    if let Some((_, foreign)) = binary {
        return Contents::Foreign(*foreign);
    }
    let text = unmarked(start).trim_ascii_start();
    let begins = |with: &str| {
        text.get(..with.len()).is_some_and(|text| text.eq_ignore_ascii_case(with.as_bytes()))
    };
    match TEXT.iter().find(|(begin, _)| begins(begin)) {
        Some((_, foreign)) => Contents::Foreign(*foreign),
        None => Contents::Other,
    }
}

/// Torch compresses nothing, and puts a folder before every name.
fn is_of_torch(zip: &[u8]) -> bool {
    let stored = zip.get(8..10) == Some(&[0, 0]);
    let length = zip.get(26..28).map_or(0, |length| usize::from(length[0]));
    stored && zip.get(30..30 + length).is_none_or(|name| name.contains(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(start: &[u8]) -> String {
        match recognise(start) {
            Contents::Foreign(foreign) => foreign.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_stands_in_the_place_of_a_file_is_called_by_its_name() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 498000000\n";
        for (start, words) in [
            (pointer.as_bytes(), "git-lfs pointer"),
            (b"\xef\xbb\xbf\r\n<!DOCTYPE HTML>\n<html lang=\"en\">", "web page"),
            (b"Entry not found", "server's message"),
            (b"{\"error\":\"Unauthorized\"}", "server's message"),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied", "server's message"),
            (b"\x1f\x8b\x08\0", "gzip: decompress"),
            (b"PK\x03\x04\x14\0\0\0\x08\0", "zip archive: unpack"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "before version 1.6"),
            (b"\x80\x04\x95\x10", "pickle"),
            (b"GGUF\x03\0\0\0", "GGUF"),
        ] {
            assert!(said(start).contains(words), "{words}: {}", said(start));
        }
        assert!(said(&[&[0; 257][..], b"ustar\0"].concat()).contains("tar archive"));
    }

    #[test]
    fn what_is_read_is_told_apart_by_its_bytes() {
        assert_eq!(recognise(b""), Contents::Empty);
        assert_eq!(recognise(b"<\0\0\0\0\0\0\0{\"a\""), Contents::Safetensors);
        let entry = |name: &[u8]| {
            let mut zip = b"PK\x03\x04\0\0\x08\x08\0\0".to_vec();
            zip.resize(30, 0);
            zip[26] = name.len() as u8;
            [&zip, name].concat()
        };
        assert_eq!(recognise(&entry(b"archive/data.pkl")), Contents::Torch);
        assert_eq!(recognise(&entry(b"weights.npy")), Contents::Foreign(ZIP));
        for text in ["{\"model_type\": \"gpt2\"}", "seed = 1\n", "1 + 1?||<<1+1=2>> #### 2", "{"] {
            assert_eq!(recognise(text.as_bytes()), Contents::Other, "{text}");
        }
    }
}
