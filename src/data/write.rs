//! Files of questions, written one at a time: to a temporary name, which becomes the wanted one when all are there. Knows
//! the forms of files, not what is in them.

use crate::data::error::Error;
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
    /// No regular file.
    Special(PathBuf),
    File {
        unfinished: PathBuf,
        path: PathBuf,
    },
}

impl Place {
    fn error(&self, reason: io::Error) -> Error {
        let path = match self {
            Self::Standard => PathBuf::from("standard output"),
            Self::Special(path) | Self::File { path, .. } => path.clone(),
        };
        Error::Io { path, reason }
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.unfinished", std::process::id()))
}

impl Writer {
    /// Begins a file, in folders that are made where they lack; `-` is standard output.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path, form: Form) -> Result<Self, Error> {
        let path = path.to_owned();
        let place = match path.to_str() {
            Some("-") => Place::Standard,
            // A pipe or a device is written to, not replaced.
            _ if path.exists() && !path.is_file() => Place::Special(path),
            _ => Place::File { unfinished: unfinished(&path), path },
        };
        let out: io::Result<Box<dyn Write>> = match &place {
            Place::Standard => Ok(Box::new(io::stdout())),
            Place::Special(path) => File::create(path).map(|file| Box::new(file) as _),
            Place::File { unfinished, .. } => {
                let folder = unfinished.parent().unwrap_or(Path::new(""));
                let file = std::fs::create_dir_all(folder).and_then(|()| File::create(unfinished));
                file.map(|file| Box::new(file) as _)
            }
        };
        let out = out.map_err(|reason| place.error(reason))?;
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

    /// How many questions have been written.
    pub fn written(&self) -> u64 {
        self.written
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
        ended.map_err(|reason| self.place.error(reason))?;
        if let Place::File { unfinished, path } = &self.place {
            std::fs::rename(unfinished, path).map_err(|reason| self.place.error(reason))?;
        }
        Ok(self.written)
    }

    fn put(&mut self, text: io::Result<String>) -> Result<(), Error> {
        let put = text.and_then(|text| self.out.write_all(text.as_bytes()));
        put.map_err(|reason| self.place.error(reason))?;
        self.written += 1;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Place::File { unfinished, .. } = &self.place {
            // A finished file has another name by now.
            let _ = std::fs::remove_file(unfinished);
        }
    }
}
