//! API keys, compared without telling how close a guess is. Does not know where they come from and what they open.

use subtle::Choice;
use subtle::ConstantTimeEq as _;

/// The keys that are accepted; none means that no key is asked for.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<String>);

impl ApiKeys {
    /// These keys. Empty ones are left out: an empty key would be one that everybody has.
    pub fn new(keys: impl IntoIterator<Item = String>) -> Self {
        Self(keys.into_iter().filter(|key| !key.is_empty()).collect())
    }

    /// Whether no key is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at every key in full, so that the time taken tells nothing about how close a guess is.
    pub(super) fn accept(&self, key: &[u8]) -> bool {
        self.0
            .iter()
            .fold(Choice::from(0), |found, known| found | known.as_bytes().ct_eq(key))
            .into()
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKeys({} not shown)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_key_is_accepted() {
        let keys = ApiKeys::new(["first".to_owned(), "second".to_owned()]);
        assert!(keys.accept(b"first") && keys.accept(b"second"));
        for guess in ["", "firs", "first ", "third", "firstsecond"] {
            assert!(!keys.accept(guess.as_bytes()), "{guess}");
        }
    }

    #[test]
    fn an_empty_key_is_no_key() {
        assert!(ApiKeys::new([String::new()]).is_empty());
    }

    #[test]
    fn debug_output_has_no_key_in_it() {
        assert!(!format!("{:?}", ApiKeys::new(["secret".to_owned()])).contains("secret"));
    }
}
