//! A folder of documents in memory: read once, with bounds, so that no call reads a file. Knows names of pages, and what is
//! like a name; nothing of conversations.

use crate::files;
use crate::tools::lookup::page::Page;
use crate::tools::lookup::page::words;
use std::collections::HashMap;
use std::fs::DirEntry;
use std::path::Path;
use std::path::PathBuf;

/// More documents than anybody looks over; beyond them a search engine is the tool.
const MAX_PAGES: usize = 20_000;

/// All documents together.
const MAX_BYTES: u64 = 256 << 20;

/// Folders in folders.
const MAX_DEPTH: usize = 16;

/// So many names are suggested.
const MAX_SIMILAR: usize = 5;

/// Of a name for which similar ones are wanted.
const MAX_NAME_CHARS: usize = 200;

/// Documents by name.
#[derive(Debug)]
pub(super) struct Library {
    pages: Vec<Page>,
    by_name: HashMap<String, usize>,
}

impl Library {
    /// Reads all `.txt` and `.md` files of a folder and those in it. Links and hidden files are passed over.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        collect(folder, 0, &mut files)?;
        let mut library = Self { pages: Vec::new(), by_name: HashMap::new() };
        let mut bytes = 0;
        for path in files {
            let text =
                files::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            bytes += text.len() as u64;
            if bytes > MAX_BYTES {
                let folder = folder.display();
                return Err(format!(
                    "{folder}: holds more than {} MiB of documents",
                    MAX_BYTES >> 20
                ));
            }
            library.add(&path, &text);
        }
        match library.pages.is_empty() {
            true => Err(format!("{}: holds no .txt or .md file", folder.display())),
            false => Ok(library),
        }
    }

    /// A page is found by its title and by the name of its file; where two have one name, the first keeps it.
    fn add(&mut self, path: &Path, text: &str) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().replace('_', " ");
        let page = match is_markdown(path) {
            true => Page::markdown(&name, text),
            false => Page::plain(&name, text),
        };
        for name in [&page.title, &name] {
            self.by_name.entry(key(name)).or_insert(self.pages.len());
        }
        self.pages.push(page);
    }

    pub(super) fn page(&self, number: usize) -> Option<&Page> {
        self.pages.get(number)
    }

    /// The number of the page of that name, in whatever letters.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(&key(name)).copied()
    }

    /// Titles like that name, most alike first.
    pub(super) fn similar(&self, name: &str) -> Vec<&str> {
        // No name is longer, and comparing takes time by length.
        let name: String = key(name).chars().take(MAX_NAME_CHARS).collect();
        let mut scored: Vec<(f64, usize)> = self
            .by_name
            .iter()
            .map(|(other, number)| (likeness(&name, other), *number))
            .filter(|(likeness, _)| *likeness > 0.5)
            .collect();
        scored.sort_by(|(a, page), (b, other)| b.total_cmp(a).then(page.cmp(other)));
        let mut titles: Vec<&str> = Vec::new();
        for (_, number) in scored {
            let title = self.pages[number].title.as_str();
            if titles.len() < MAX_SIMILAR && !titles.contains(&title) {
                titles.push(title);
            }
        }
        titles
    }
}

/// As names are compared.
fn key(name: &str) -> String {
    words(&name.replace('_', " ")).to_lowercase()
}

/// How much two names are alike, from 0 to 1: by their letters, or because one has all words of the other.
fn likeness(a: &str, b: &str) -> f64 {
    let has_all = |whole: &str, part: &str| {
        part.split(' ').all(|word| whole.split(' ').any(|other| other == word))
    };
    let by_letters = strsim::normalized_damerau_levenshtein(a, b);
    let by_words = if has_all(a, b) || has_all(b, a) { 0.75 } else { 0.0 };
    by_letters.max(by_words)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if depth > MAX_DEPTH {
        return Err(format!("{}: lies more than {MAX_DEPTH} folders deep", folder.display()));
    }
    let mut entries: Vec<DirEntry> =
        folder.read_dir().map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if kind.is_file() && (is_markdown(&path) || has_extension(&path, "txt")) {
            files.push(path);
        }
        if files.len() > MAX_PAGES {
            return Err(format!("{}: there are more than {MAX_PAGES} documents", folder.display()));
        }
    }
    Ok(())
}

fn is_markdown(path: &Path) -> bool {
    has_extension(path, "md") || has_extension(path, "markdown")
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}
