//! Files of questions, written one at a time: to a temporary name, which becomes the wanted one when all are there. Knows
//! the forms of files, not what is in them.

use crate::data::Error;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON list, an element a line.
    JsonList,
    /// A JSON object a line.
    JsonLines,
    /// Lines of text.
    Text,
}

/// A file that is being written. Dropped before [`Writer::finish`], it leaves nothing behind.
pub struct Writer {
    out: BufWriter<Box<dyn Write>>,
    form: Form,
    place: Place,
    written: u64,
}

enum Place {
    Standard,
    File { unfinished: PathBuf, path: PathBuf },
    Finished,
}

impl Writer {
    /// Begins a file; `-` is standard output.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path, form: Form) -> Result<Self, Error> {
        let (out, place): (Box<dyn Write>, Place) = match path == Path::new("-") {
            true => (Box::new(io::stdout()), Place::Standard),
            false => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let unfinished =
                    path.with_file_name(format!(".{name}.{}.unfinished", std::process::id()));
                let file = File::create(&unfinished)
                    .map_err(|source| Error::Io { path: path.to_owned(), source })?;
                (Box::new(file), Place::File { unfinished, path: path.to_owned() })
            }
        };
        Ok(Self { out: BufWriter::new(out), form, place, written: 0 })
    }

    /// Writes a question as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn json(&mut self, item: &impl Serialize) -> Result<(), Error> {
        let before = match (self.form, self.written) {
            (Form::JsonList, 0) => "[\n",
            (Form::JsonList, _) => ",\n",
            _ => "",
        };
        let after = if self.form == Form::JsonList { "" } else { "\n" };
        let item = serde_json::to_string(item).map_err(io::Error::from);
        self.put(item.map(|item| format!("{before}{item}{after}")))
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn line(&mut self, line: &str) -> Result<(), Error> {
        self.put(Ok(format!("{line}\n")))
    }

    /// Ends the file and gives it its name; says how many questions are in it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<u64, Error> {
        let end = match (self.form, self.written) {
            (Form::JsonList, 0) => "[]\n",
            (Form::JsonList, _) => "\n]\n",
            _ => "",
        };
        let ended = self.out.write_all(end.as_bytes()).and_then(|()| self.out.flush());
        ended.map_err(|source| self.error(source))?;
        if let Place::File { unfinished, path } = &self.place {
            std::fs::rename(unfinished, path).map_err(|source| self.error(source))?;
        }
        self.place = Place::Finished;
        Ok(self.written)
    }

    fn put(&mut self, text: io::Result<String>) -> Result<(), Error> {
        let put = text.and_then(|text| self.out.write_all(text.as_bytes()));
        put.map_err(|source| self.error(source))?;
        self.written += 1;
        Ok(())
    }

    fn error(&self, source: io::Error) -> Error {
        let path = match &self.place {
            Place::File { path, .. } => path.clone(),
            Place::Standard | Place::Finished => PathBuf::from("standard output"),
        };
        Error::Io { path, source }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Place::File { unfinished, .. } = &self.place {
            // It may be gone already; there is nobody to tell.
            let _ = std::fs::remove_file(unfinished);
        }
    }
}
