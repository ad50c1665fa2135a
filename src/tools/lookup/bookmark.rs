//! Where a conversation is in the documents. Knows numbers and words, no document.

/// The page opened last, and what was looked for on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmark {
    /// By its number in the library.
    pub(super) page: Option<usize>,
    /// What was looked for, in small letters, and how many of the sentences that have it were shown.
    pub(super) looked: Option<(String, usize)>,
}
