//! SHA-256 of what is read, in hexadecimal. Knows bytes, not what they are.

use sha2::Digest as _;
use sha2::Sha256;
use std::io;
use std::io::Read;

/// The digest of all that a reader has, and how many bytes that is.
///
/// # Errors
/// What the reader refuses.
pub fn sha256(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut reader, &mut hasher)?;
    Ok((hexadecimal(&hasher.finalize()), bytes))
}

/// Two digits for each byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
