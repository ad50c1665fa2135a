//! `search[entity]` and `lookup[string]` over a folder of documents, as the environment of ReAct's paper has them: the
//! first sentences of a page, and the next one on it that holds a string. Does not rank, and reads no file after the start.

pub mod bookmark;
mod library;
mod page;

use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::lookup::bookmark::Bookmark;
use crate::tools::lookup::library::Library;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use std::path::Path;
use std::time::Instant;

/// The action that opens a page, and what it is given.
const SEARCH: (&str, &str) = ("search", "entity");

/// The action that goes on in it, and what it is given.
const LOOKUP: (&str, &str) = ("lookup", "string");

/// What is shown of a page at first.
const FIRST_SENTENCES: usize = 5;

/// Documents to look into.
#[derive(Debug)]
pub struct Lookup {
    library: Library,
}

impl Lookup {
    /// Reads the documents of a folder.
    ///
    /// # Errors
    /// If there are none, too many, or one that is no text.
    pub fn open(folder: &Path) -> Result<Self, String> {
        Ok(Self { library: Library::read(folder)? })
    }

    fn search(&self, name: &str, bookmark: &mut Bookmark) -> String {
        let found =
            self.library.find(name).and_then(|number| Some((number, self.library.page(number)?)));
        let Some((number, page)) = found else {
            let similar = self.library.similar(name).join(", ");
            return format!("Could not find [{name}]. Similar: [{similar}].");
        };
        *bookmark = Bookmark { page: Some(number), looked: None };
        let first = &page.sentences[..page.sentences.len().min(FIRST_SENTENCES)];
        match first {
            [] => "The page is empty.".to_owned(),
            first => first.join(" "),
        }
    }

    fn lookup(&self, string: &str, bookmark: &mut Bookmark) -> Result<String, String> {
        let page = bookmark.page.and_then(|number| self.library.page(number));
        let page = page.ok_or("there is no page to look into: search for one first")?;
        let string = string.to_lowercase();
        let shown = match bookmark.looked.take() {
            Some((looked, shown)) if looked == string => shown,
            _ => 0,
        };
        let holds = |sentence: &&String| sentence.to_lowercase().contains(&string);
        let results: Vec<&String> = page.sentences.iter().filter(holds).collect();
        let next = results.get(shown);
        bookmark.looked = Some((string, shown + usize::from(next.is_some())));
        Ok(match next {
            Some(sentence) => format!("(Result {} / {}) {sentence}", shown + 1, results.len()),
            None => "No more results.".to_owned(),
        })
    }
}

impl Tool for Lookup {
    fn declarations(&self) -> Vec<Declaration> {
        let search = "Opens the page of that name and gives its first sentences; where there is none, \
                      names of similar pages.";
        let lookup = "Gives the next sentence of the open page that holds the string.";
        vec![
            Declaration::of_texts(SEARCH.0, search, &[(SEARCH.1, "The name of a page")]),
            Declaration::of_texts(LOOKUP.0, lookup, &[(LOOKUP.1, "What the sentence holds")]),
        ]
    }

    fn run(&self, call: &Call, given: &mut Given, _: Instant) -> Result<String, String> {
        if call.name == SEARCH.0 {
            let [name] = call.argument.texts([SEARCH.1])?;
            return Ok(self.search(&name, &mut given.bookmark));
        }
        let [string] = call.argument.texts([LOOKUP.1])?;
        self.lookup(&string, &mut given.bookmark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::call::Argument;
    use std::fs;

    fn documents() -> (tempfile::TempDir, Lookup) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        let moon = "# The Moon\n\nA one. B two. C three. D four. E five. F six: tides. G tides!\n";
        write("moon.md", moon);
        write("Mars_rover.txt", "It drives. It is slow.");
        write("more/Venus.txt", "Venus is hot.");
        write("more/code.rs", "not a document");
        write(".hidden.txt", "hidden");
        let lookup = Lookup::open(folder.path()).unwrap();
        (folder, lookup)
    }

    /// What is said to calls one after another.
    fn said(lookup: &Lookup, calls: &[(&str, &str)]) -> Vec<Result<String, String>> {
        let mut given = Given::default();
        let call = |(name, text): &(&str, &str)| Call {
            name: (*name).to_owned(),
            argument: Argument::Text((*text).to_owned()),
        };
        let mut run = |call: Call| lookup.run(&call, &mut given, Instant::now());
        calls.iter().map(call).map(&mut run).collect()
    }

    #[test]
    fn a_page_is_opened_by_its_title_or_its_file_and_looked_through() {
        let (_folder, lookup) = documents();
        let found = said(
            &lookup,
            &[
                ("search", "the moon"),
                ("lookup", "Tides"),
                ("lookup", "tides"),
                ("lookup", "tides"),
                ("lookup", "six"),
                ("search", "mars rover"),
                ("lookup", "tides"),
                ("search", "MOON"),
            ],
        );
        let found: Vec<String> = found.into_iter().map(Result::unwrap).collect();
        let first = "A one. B two. C three. D four. E five.";
        let expected = [
            first,
            "(Result 1 / 2) F six: tides.",
            "(Result 2 / 2) G tides!",
            "No more results.",
            "(Result 1 / 1) F six: tides.",
            "It drives. It is slow.",
            "No more results.",
            first,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_page_that_is_not_there_has_similar_ones_and_leaves_the_open_one_open() {
        let (_folder, lookup) = documents();
        let found = said(
            &lookup,
            &[("lookup", "slow"), ("search", "Venus"), ("search", "Mars"), ("lookup", "hot")],
        );
        assert!(found[0].as_ref().unwrap_err().contains("search"), "{found:?}");
        assert_eq!(found[2], Ok("Could not find [Mars]. Similar: [Mars rover].".to_owned()));
        assert_eq!(found[3], Ok("(Result 1 / 1) Venus is hot.".to_owned()));
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let (folder, _) = documents();
        fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        let inner = folder.path().join("more");
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("secret.txt"), inner.join("link.txt"))
            .unwrap();
        let lookup = Lookup::open(&inner).unwrap();
        for name in ["../secret", "../secret.txt", "link", "/etc/passwd", "code", ".."] {
            let found = said(&lookup, &[("search", name)]);
            assert!(found[0].as_ref().unwrap().starts_with("Could not find"), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_folder_without_documents_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Lookup::open(folder.path()).unwrap_err();
        assert!(refused.contains("no .txt or .md"), "{refused}");
        assert!(Lookup::open(&folder.path().join("none")).unwrap_err().contains("none"));
        fs::write(folder.path().join("a.txt"), [0xff, 0xfe, 0]).unwrap();
        assert!(Lookup::open(folder.path()).unwrap_err().contains("a.txt"));
    }
}
