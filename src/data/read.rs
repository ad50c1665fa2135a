//! Files of questions, read one at a time: memory is that of one question, however long the file. Knows the three forms
//! in which such files are published, not what the questions are about.

use crate::contents;
use crate::contents::Contents;
use crate::data::Error;
use crate::data::Example;
use crate::data::icot;
use serde_json::Deserializer;
use std::fs::File;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// Most bytes that one question may take in a file. The longest published one has some thousands.
pub const MAX_EXAMPLE_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The questions of a file, which is
///
/// - a JSON list of objects with `question`, `steps` and `answer` (other fields are ignored), as ProsQA is published;
/// - JSON lines of such objects;
/// - or iCoT's text lines, `question||steps #### answer`, as GSM8K-Aug is published.
///
/// Files named `.txt` are text lines; others are told apart by their first character. Ends after the first error.
pub struct Examples {
    path: PathBuf,
    source: Source,
    form: Form,
    /// How many questions have been begun.
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Before the first element of a JSON list.
    ListStart,
    /// After an element of a JSON list.
    List,
    JsonLines,
    TextLines,
    Ended,
}

impl Examples {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |reason| Error::Io { path: path.to_owned(), reason };
        Self::new(Box::new(File::open(path).map_err(io)?), path)
    }

    /// Reads from anywhere; `path` is what errors and the choice of the form go by.
    ///
    /// # Errors
    /// If the beginning cannot be read.
    pub fn new(reader: Box<dyn Read + Send>, path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        let mut source = Source { inner: BufReader::new(reader), line: 1, left: MAX_EXAMPLE_BYTES };
        let is_text = path.extension().is_some_and(|extension| extension == "txt");
        match source.form(is_text) {
            Ok(form) => Ok(Self { path, source, form, number: 0 }),
            Err(reason) => Err(Error::Io { path, reason }),
        }
    }

    /// The next question, or what is wrong with it.
    fn read(&mut self) -> Result<Option<Example>, String> {
        self.source.left = MAX_EXAMPLE_BYTES;
        let there = match self.form {
            Form::ListStart | Form::List => self.next_in_list()?,
            Form::JsonLines => self.source.peek()?.is_some(),
            Form::TextLines => return self.text_line(),
            Form::Ended => false,
        };
        match there {
            true => self.object().map(Some),
            false => Ok(None),
        }
    }

    /// Whether another element follows; a list that ends must end the file.
    fn next_in_list(&mut self) -> Result<bool, String> {
        let first = self.form == Form::ListStart;
        self.form = Form::List;
        match (self.source.peek()?, first) {
            (Some(b']'), _) => {
                self.source.skip();
                match self.source.peek()? {
                    None => Ok(false),
                    Some(_) => Err("text after the end of the list".to_owned()),
                }
            }
            (Some(_), true) => Ok(true),
            (Some(b','), false) => {
                self.source.skip();
                self.source.peek()?;
                Ok(true)
            }
            (None, _) => Err("the list does not end; is the file complete?".to_owned()),
            (Some(_), false) => Err("expected `,` or `]` after a question".to_owned()),
        }
    }

    fn object(&mut self) -> Result<Example, String> {
        // Whatever is not an object could be read only with the character behind it.
        if self.source.peek()? != Some(b'{') {
            return Err("expected a JSON object".to_owned());
        }
        let mut json = Deserializer::from_reader(&mut self.source);
        let example: Result<Example, _> = serde_path_to_error::deserialize(&mut json);
        example.map_err(|error| reason(&error)).and_then(Example::check)
    }

    /// The question on the next line that is not blank.
    fn text_line(&mut self) -> Result<Option<Example>, String> {
        while let Some(bytes) = self.source.line()? {
            let line = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?.trim();
            if !line.is_empty() {
                return icot::parse(line).and_then(Example::check).map(Some);
            }
        }
        Ok(None)
    }
}

impl Iterator for Examples {
    type Item = Result<Example, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.form == Form::Ended {
            return None;
        }
        self.number += 1;
        let next = self.read();
        if !matches!(next, Ok(Some(_))) {
            self.form = Form::Ended;
        }
        let (path, line, number) = (&self.path, self.source.line, self.number);
        next.map_err(|reason| Error::Malformed { path: path.clone(), line, number, reason })
            .transpose()
    }
}

/// The field and what is wrong with it, without the position: it counts from the start of the object.
fn reason(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let inner = error.inner();
    let (text, field) = (inner.to_string(), error.path().to_string());
    let position = format!(" at line {} column {}", inner.line(), inner.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    match field.as_str() {
        // Outside of every field, or where no field was recognised.
        "." | "?" => text.to_owned(),
        _ => format!("{field}: {text}"),
    }
}

/// Bytes, with the number of the line and a bound on how many one question takes.
struct Source {
    inner: BufReader<Box<dyn Read + Send>>,
    /// The line that is being read, from 1; of text lines, the one that was read last.
    line: u64,
    /// Bytes that the present question may still take.
    left: usize,
}

impl Source {
    /// Takes the byte order mark, and the bracket of a list.
    fn form(&mut self, is_text: bool) -> io::Result<Form> {
        let start = self.inner.fill_buf()?;
        match contents::recognise(start) {
            Contents::Foreign(foreign) => return Err(io::Error::other(foreign.to_string())),
            Contents::Safetensors | Contents::Torch => {
                return Err(io::Error::other("is a file of weights, not of questions"));
            }
            Contents::Empty | Contents::Other => {}
        }
        if start.starts_with(BYTE_ORDER_MARK) {
            self.inner.consume(BYTE_ORDER_MARK.len());
        }
        if is_text {
            return Ok(self.text());
        }
        Ok(match self.peek().map_err(io::Error::other)? {
            Some(b'[') => {
                self.skip();
                Form::ListStart
            }
            Some(b'{') => Form::JsonLines,
            Some(_) => self.text(),
            None => Form::Ended,
        })
    }

    /// Lines are counted when they are taken.
    fn text(&mut self) -> Form {
        self.line -= 1;
        Form::TextLines
    }

    /// The next byte that is not a space, which stays unread.
    fn peek(&mut self) -> Result<Option<u8>, String> {
        loop {
            match self.inner.fill_buf().map_err(|error| error.to_string())?.first().copied() {
                Some(byte) if byte.is_ascii_whitespace() => {
                    self.line += u64::from(byte == b'\n');
                    self.skip();
                }
                next => return Ok(next),
            }
        }
    }

    /// Takes the byte that was peeked at.
    fn skip(&mut self) {
        self.inner.consume(1);
    }

    /// The next line with its end. Afterwards `line` is its number.
    fn line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = Vec::new();
        let mut bounded = (&mut self.inner).take(MAX_EXAMPLE_BYTES as u64);
        bounded.read_until(b'\n', &mut bytes).map_err(|error| error.to_string())?;
        match bytes.last() {
            None => return Ok(None),
            Some(_) if bytes.len() == MAX_EXAMPLE_BYTES => return Err(too_long()),
            Some(_) => {}
        }
        self.line += 1;
        Ok(Some(bytes))
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other(too_long()));
        }
        let count = self.inner.read(&mut buffer[..most])?;
        self.left -= count;
        let ends = buffer[..count].iter().filter(|&&byte| byte == b'\n').count();
        self.line += ends as u64;
        Ok(count)
    }
}

fn too_long() -> String {
    format!("longer than {MAX_EXAMPLE_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn all(name: &str, text: &[u8]) -> Result<Vec<Example>, Error> {
        let reader = Box::new(Cursor::new(text.to_vec()));
        Examples::new(reader, Path::new(name)).unwrap().collect()
    }

    #[track_caller]
    fn refused(name: &str, text: &[u8]) -> String {
        all(name, text).unwrap_err().to_string()
    }

    fn example(question: &str, steps: &[&str], answer: &str) -> Example {
        Example {
            question: question.to_owned(),
            steps: steps.iter().map(|&step| step.to_owned()).collect(),
            answer: answer.to_owned(),
        }
    }

    const ONE: &str =
        r#"{"question": "q{[\"", "edges": [[0, 1]], "steps": ["a", "b"], "answer": "1"}"#;
    const TWO: &str = r#"{"answer": "2", "steps": [], "question": "r"}"#;

    #[test]
    fn three_forms_are_read() {
        let both = [example("q{[\"", &["a", "b"], "1"), example("r", &[], "2")];
        for text in [
            format!("[{ONE}, {TWO}]"),
            format!("\u{feff} [\r\n{ONE}\r\n,\r\n{TWO}]\n\n"),
            format!("{ONE}\n{TWO}"),
            format!("\u{feff}\n{ONE}\r\n\r\n{TWO}\r\n"),
        ] {
            assert_eq!(all("a.json", text.as_bytes()).unwrap(), both, "{text}");
        }
        let text = "\u{feff}[q]||<<1=1>> <<2=2>> #### 1\r\n\r\n  \r\nr|| #### 2";
        let both = [example("[q]", &["<<1=1>>", "<<2=2>>"], "1"), example("r", &[], "2")];
        assert_eq!(all("a.txt", text.as_bytes()).unwrap(), both);
        assert_eq!(all("unnamed", b"r|| #### 2\n").unwrap(), both[1..]);
        assert_eq!(all("a.json", b"[ ]").unwrap(), []);
        assert_eq!(all("a.json", b"").unwrap(), []);
    }

    #[test]
    fn refusals_name_line_and_field() {
        let broken = [
            (r#"{"question": "r", "steps": ["a", 3], "answer": "2"}"#, "steps[1]: invalid type"),
            (r#"{"question": "r", "steps": [], "answer": 2}"#, "answer: invalid type"),
            (r#"{"question": "r", "steps": []}"#, "missing field `answer`"),
            (r#"{"question": " ", "steps": [], "answer": "2"}"#, "question: is empty"),
            (r#"{"question": "r", "steps": [""], "answer": "2"}"#, "steps[0]: is empty"),
            (r#"{"question": "r", "steps": [] "answer": "2"}"#, "question 2: expected `,` or `}`"),
            ("7", "expected a JSON object"),
        ];
        for (object, said) in broken {
            for text in [format!("{ONE}\n\n{object}"), format!("[\n{ONE},\n{object}]")] {
                let error = refused("a.json", text.as_bytes());
                assert!(error.starts_with("a.json: line 3, question 2: "), "{error}");
                assert!(error.contains(said), "{said}: {error}");
            }
        }
        let error = refused("a.txt", b"r|| #### 2\r\n\r\nr||2\r\n");
        assert!(error.starts_with("a.txt: line 3, question 2: no `####`"), "{error}");
        assert!(refused("a.txt", b"r|| #### \xff").contains("utf-8"));
        assert!(refused("a.txt", b"r|| ####").contains("line 1, question 1: answer: is empty"));
    }

    #[test]
    fn broken_lists_are_refused() {
        for (text, said) in [
            (format!("[{ONE}"), "the list does not end"),
            (format!("[{ONE} {TWO}]"), "expected `,` or `]`"),
            (format!("[{ONE},]"), "expected a JSON object"),
            (format!("[{ONE}]{TWO}"), "text after the end"),
        ] {
            assert!(refused("a.json", text.as_bytes()).contains(said), "{text}");
        }
    }

    #[test]
    fn a_question_has_a_longest_length_and_the_iterator_an_end() {
        let long = "x".repeat(MAX_EXAMPLE_BYTES);
        assert!(refused("a.txt", format!("{long}|| #### 2").as_bytes()).contains("longer than"));
        let json = format!(r#"{{"question": "{long}""#);
        let reader = Box::new(Cursor::new(json.into_bytes()));
        let mut examples = Examples::new(reader, Path::new("a.json")).unwrap();
        assert!(examples.next().unwrap().unwrap_err().to_string().contains("longer than"));
        assert!(examples.next().is_none());
    }
}
