//! What was found so far, a line each, so that a run that was ended goes on where it was. Knows entries, not how they are found.

use crate::files;
use crate::probe::seen::Edited;
use crate::probe::seen::Seen;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Of a question.
    Seen(Seen),
    /// Of its thoughts being replaced.
    Edited(Edited),
}

/// A file of entries, the first line of which says what run they are of.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = path.display())]
pub struct JournalError {
    path: PathBuf,
    reason: String,
}

impl Journal {
    /// Goes on with the file where it is of the same run, and begins it anew where there is none.
    ///
    /// # Errors
    /// Where it is of another run, or cannot be read or written.
    pub fn open(path: &Path, run: &Value) -> Result<Self, JournalError> {
        let refused = |reason: String| JournalError { path: path.to_owned(), reason };
        let text = match path.exists() {
            true => files::read(path).map_err(|error| refused(error.to_string()))?,
            false => String::new(),
        };
        let mut lines = text.lines();
        let known: Option<Value> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        if known.as_ref().is_some_and(|known| known != run) {
            let reason = "is of another run: finish that one, or remove the file".to_owned();
            return Err(refused(reason));
        }
        // A line that was being written when the run ended is no entry, nor is what follows it.
        let entries: Vec<Entry> = lines.map_while(|line| serde_json::from_str(line).ok()).collect();
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path)
            .map_err(|error| refused(error.to_string()))?;
        let all = std::iter::once(run.to_string()).chain(entries.iter().map(line));
        for line in all {
            writeln!(file, "{line}").map_err(|error| refused(error.to_string()))?;
        }
        Ok(Self { path: path.to_owned(), file, entries })
    }

    /// Those that were there when it was opened.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let written = writeln!(self.file, "{}", line(entry));
        written.map_err(|error| JournalError { path: self.path.clone(), reason: error.to_string() })
    }
}

fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("an entry has text keys only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_goes_on_behind_its_last_whole_line_and_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.jsonl");
        let run = json!({"data": "a"});
        let seen = |number| Entry::Seen(Seen { number, ..Seen::default() });
        let mut journal = Journal::open(&path, &run).unwrap();
        journal.add(&seen(1)).unwrap();
        journal.add(&seen(2)).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"seen\":{{\"num")).unwrap();
        let mut journal = Journal::open(&path, &run).unwrap();
        assert_eq!(journal.entries(), [seen(1), seen(2)]);
        journal.add(&seen(3)).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path, &run).unwrap().entries().len(), 3);
        assert!(Journal::open(&path, &json!({"data": "b"})).is_err());
    }
}
