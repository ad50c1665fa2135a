//! Text that others wrote: editors and shells put a byte order mark before it, which is no part of it, or write it in
//! another encoding, which is refused in words. Does not know what the text says.

/// What some programs write before a text in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Why bytes are no text that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// Two bytes a character, as some shells write files.
    #[error("is UTF-16; save it as UTF-8")]
    Utf16,
    /// Four bytes a character.
    #[error("is UTF-32; save it as UTF-8")]
    Utf32,
    /// Something else, such as an older encoding or no text at all.
    #[error("is not UTF-8 text: {0}")]
    Other(std::str::Utf8Error),
}

/// Bytes as text.
///
/// # Errors
/// If they are in another encoding.
pub fn text(bytes: &[u8]) -> Result<&str, NoText> {
    match encoding(bytes) {
        Some(other) => Err(other),
        None => std::str::from_utf8(unmarked(bytes)).map_err(NoText::Other),
    }
}

/// Bytes without the byte order mark of UTF-8.
pub fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// The encoding that the first bytes of a text show, where it is not UTF-8: by their mark, or by the zeros that it has
/// around the letters, brackets and spaces with which a text begins.
pub fn encoding(bytes: &[u8]) -> Option<NoText> {
    let plain = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    match *bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some(NoText::Utf32),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(NoText::Utf16),
        [first, 0, 0, 0, second, 0, 0, 0, ..] | [0, 0, 0, first, 0, 0, 0, second, ..]
            if plain(first) && plain(second) =>
        {
            Some(NoText::Utf32)
        }
        [first, 0, second, 0, ..] | [0, first, 0, second, ..] if plain(first) && plain(second) => {
            Some(NoText::Utf16)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_no_part_of_a_text() {
        for (bytes, expected) in [("\u{feff}{}", "{}"), ("{}", "{}"), ("\u{feff}", ""), ("", "")] {
            assert_eq!(text(bytes.as_bytes()), Ok(expected));
        }
        assert_eq!(
            text("a\u{feff}b".as_bytes()),
            Ok("a\u{feff}b"),
            "within a text it is a character"
        );
    }

    #[test]
    fn other_encodings_are_told_by_name() {
        let wide = |text: &str, little: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            units
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect()
        };
        let wider = |text: &str| -> Vec<u8> {
            text.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect()
        };
        for written in ["\u{feff}{\"a\": 1}", "{\"a\": 1}", "key\n"] {
            for little in [true, false] {
                assert_eq!(text(&wide(written, little)), Err(NoText::Utf16), "{written:?}");
            }
            assert_eq!(text(&wider(written)), Err(NoText::Utf32), "{written:?}");
        }
        assert!(matches!(text(b"caf\xe9"), Err(NoText::Other(_))));
        let length = [0x48_u8, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(encoding(&length), None, "the length with which safetensors begin");
    }
}
