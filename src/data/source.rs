//! The bytes of a file of questions: by line, by byte, by JSON object, with the number of the line and a bound on what is
//! read at once. Does not know what a question is.

use crate::files::contents;
use crate::files::contents::Contents;
use crate::files::text;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;

/// Bytes, with the number of the line.
pub(super) struct Source {
    inner: BufReader<Box<dyn Read + Send>>,
    /// The line that is being read, from 1; after whole lines, the one that was read last.
    pub(super) line: u64,
    /// The line on which the last record or list element begins.
    pub(super) begun: u64,
    /// Bytes that may still be read as a stream.
    left: usize,
    bound: usize,
}

impl Source {
    /// Refuses what is no text, and takes the byte order mark.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut inner = BufReader::new(reader);
        let start = inner.fill_buf()?;
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        match contents::recognise(start) {
            Contents::Foreign(foreign) => return Err(invalid(foreign.to_string())),
            Contents::Safetensors | Contents::Torch => {
                return Err(invalid("is a file of weights, not of questions".to_owned()));
            }
            Contents::Empty | Contents::Other => {}
        }
        if let Some(other) = text::encoding(start) {
            return Err(invalid(other.to_string()));
        }
        let mark = start.len() - text::unmarked(start).len();
        inner.consume(mark);
        Ok(Self { inner, line: 1, begun: 1, left: 0, bound: 0 })
    }

    /// From here on no more than so many bytes are read as a stream.
    pub(super) fn bounded(&mut self, bytes: usize) -> &mut Self {
        (self.left, self.bound) = (bytes, bytes);
        self
    }

    /// The next byte that is not a space, which stays unread.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, String> {
        loop {
            match self.next_byte()? {
                Some(byte) if byte.is_ascii_whitespace() => self.skip()?,
                next => return Ok(next),
            }
        }
    }

    /// Takes the byte that was peeked at.
    pub(super) fn skip(&mut self) -> Result<(), String> {
        let end = self.next_byte()? == Some(b'\n');
        self.line += u64::from(end);
        self.inner.consume(1);
        Ok(())
    }

    fn next_byte(&mut self) -> Result<Option<u8>, String> {
        let bytes = self.inner.fill_buf().map_err(|error| error.to_string())?;
        Ok(bytes.first().copied())
    }

    /// Adds the next line with its end; how many bytes it has. A byte order mark at its start (files put together) is
    /// left out. A line that is too long is read to its end and refused.
    pub(super) fn line(&mut self, into: &mut Vec<u8>, bound: usize) -> Result<usize, String> {
        let before = into.len();
        let mut bounded = (&mut self.inner).take(bound.saturating_sub(before) as u64);
        let count = bounded.read_until(b'\n', into).map_err(|error| error.to_string())?;
        self.line += u64::from(count > 0);
        if before == 0 {
            self.begun = self.line;
        }
        if into.len() == bound && !into.ends_with(b"\n") {
            self.inner.skip_until(b'\n').map_err(|error| error.to_string())?;
            return Err(too_long(bound));
        }
        let mark = into.len() - before - text::unmarked(&into[before..]).len();
        into.drain(before..before + mark);
        Ok(count)
    }

    /// The next line and all after it up to one that begins with `{`: an object, however it is laid out.
    pub(super) fn record(&mut self, bound: usize) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        while self.line(&mut bytes, bound)? > 0 {
            let start = self.inner.fill_buf().map_err(|error| error.to_string())?;
            if bytes.trim_ascii().is_empty() {
                bytes.clear();
            } else if text::unmarked(start).starts_with(b"{") {
                break;
            }
        }
        Ok(bytes)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other(too_long(self.bound)));
        }
        let count = self.inner.read(&mut buffer[..most])?;
        self.left -= count;
        let ends = buffer[..count].iter().filter(|&&byte| byte == b'\n').count();
        self.line += ends as u64;
        Ok(count)
    }
}

fn too_long(bound: usize) -> String {
    format!("longer than {bound} bytes")
}
