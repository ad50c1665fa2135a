//! Names of models on a hub: `owner/name`, perhaps a folder or file in it, perhaps a revision. Knows no network.

use std::fmt;

/// The revision where none is named.
const MAIN: &str = "main";

/// A repository on a hub, or a place in it: `owner/name[/folder][@revision]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    /// `owner/name`.
    pub repository: String,
    /// A folder or a file in it; empty for its top.
    pub within: String,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl Id {
    /// The id that a text is; `None` for what can only be a path, such as `model`, `./model` or `/models/it`.
    pub fn parse(text: &str) -> Option<Self> {
        let (place, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let parts: Vec<&str> = place.trim_end_matches('/').split('/').collect();
        let [owner, name, within @ ..] = &parts[..] else { return None };
        let named = parts.iter().all(|part| is_name(part));
        let pinned = revision.split('/').all(is_name);
        (named && pinned).then(|| Self {
            repository: format!("{owner}/{name}"),
            within: within.join("/"),
            revision: revision.to_owned(),
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if !self.within.is_empty() {
            write!(f, "/{}", self.within)?;
        }
        match self.revision.as_str() {
            MAIN => Ok(()),
            revision => write!(f, "@{revision}"),
        }
    }
}

/// What the hub allows, which also keeps `..` and hidden files out of the cache's paths.
fn is_name(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn ids_name_a_repository_a_place_and_a_revision() {
        let parts = |text: &str| {
            let id = Id::parse(text).unwrap();
            assert_eq!(Id::parse(&id.to_string()), Some(id.clone()));
            (id.repository, id.within, id.revision)
        };
        let expected = |repository: &str, within: &str, revision: &str| {
            (repository.to_owned(), within.to_owned(), revision.to_owned())
        };
        assert_eq!(parts("zen-E/CODI-gpt2"), expected("zen-E/CODI-gpt2", "", "main"));
        assert_eq!(parts("a/b/c/checkpoint_22"), expected("a/b", "c/checkpoint_22", "main"));
        assert_eq!(parts("a/b@refs/pr/1"), expected("a/b", "", "refs/pr/1"));
        assert_eq!(parts("a/b/c@v1.0"), expected("a/b", "c", "v1.0"));
    }

    #[test]
    fn paths_are_no_ids() {
        for path in [
            "", "model", "./a/b", "../a/b", "/a/b", "~/a", "a//b", "a/b/../c", "a b/c", "a/b@",
            "a/b@../c",
        ] {
            assert_eq!(Id::parse(path), None, "{path}");
        }
    }
}
