//! A word from the command line that is not shown. Does not hide it from the memory of this process.

use std::fmt;

/// A token or a key.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// What it is.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}
