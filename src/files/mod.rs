//! Files that others wrote, whatever program they wrote them with, and whatever came in their place: what bytes are, and text
//! without marks. Does not know what a text says.
//!
//! ```
//! use coconut::files;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("config.json");
//!
//! std::fs::write(&path, "\u{feff}{}")?;
//! assert_eq!(files::read(&path)?, "{}");
//!
//! std::fs::write(&path, "<html>404</html>")?;
//! let reason = files::read(&path).unwrap_err().to_string();
//! assert!(reason.contains("web page"), "{reason}");
//! # Ok(())
//! # }
//! ```

pub mod contents;
pub mod digest;
pub mod text;

use crate::files::contents::Contents;
use std::io;
use std::path::Path;

/// The whole text of a file, without a byte order mark.
///
/// # Errors
/// If the file cannot be read; with what it is instead, if it is no text in UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    match contents::recognise(&bytes) {
        Contents::Foreign(foreign) => Err(invalid(foreign.to_string())),
        Contents::Safetensors | Contents::Torch => {
            Err(invalid("is a file of weights, not text".to_owned()))
        }
        Contents::Empty | Contents::Other => match text::text(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(reason) => Err(invalid(reason.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_without_its_mark_or_with_what_it_is_instead() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("\u{feff}{}\n".as_bytes()).unwrap(), "{}\n");
        assert_eq!(read(b"").unwrap(), "");
        assert!(read(b"seed = \xff").unwrap_err().contains("not UTF-8"));
        assert!(read(b"\x02\0\0\0\0\0\0\0{}").unwrap_err().contains("weights"));
        assert!(read(b"<html>").unwrap_err().contains("web page"));
        assert!(read(b"\xff\xfe{\0").unwrap_err().contains("UTF-16"));
    }
}
