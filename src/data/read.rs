//! Files of questions, read one at a time: memory is that of one question, however long the file, but where a file is one
//! JSON object. Knows the forms in which such files are published, not what the questions are about.

use crate::data::containers::Entries;
use crate::data::error::Error;
use crate::data::example::Example;
use crate::data::fields::Wanted;
use crate::data::icot;
use crate::data::source::Source;
use crate::files::text;
use serde_json::Deserializer;
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// Most bytes that one question may take in a file. The longest published one has some thousands.
pub const MAX_EXAMPLE_BYTES: usize = 1 << 20;

/// Most bytes of a file that is one JSON object: it is read as a whole.
const MAX_OBJECT_BYTES: usize = 256 << 20;

/// The questions of a file, which is
///
/// - a JSON list of objects, as ProsQA is published, or JSON lines of them;
/// - one JSON object that holds them: in a list, by name, or by column;
/// - or iCoT's text lines, `question||steps #### answer`, as GSM8K-Aug is published.
///
/// Files named `.txt` are text lines; others are told apart by their first character. A row that is no question is an
/// error and the next one follows; where the file cannot be read on, that error is the last.
pub struct Examples {
    path: PathBuf,
    wanted: Wanted,
    source: Source,
    form: Form,
    /// Rows that were read together and not given out yet.
    ready: VecDeque<Result<Value, String>>,
    /// How many rows have been begun.
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Before the first element of a JSON list.
    ListStart,
    /// After an element of a JSON list.
    List,
    /// Before the first JSON object, which may hold all others.
    FirstObject,
    JsonLines,
    TextLines,
    Ended,
}

/// A row that is no question, or what keeps a file from being read on.
enum Wrong {
    Row(String),
    File(String),
}

impl Examples {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path, wanted: &Wanted) -> Result<Self, Error> {
        let io = |reason| Error::Io { path: path.to_owned(), reason };
        Self::new(Box::new(File::open(path).map_err(io)?), path, wanted)
    }

    /// Reads from anywhere; `path` is what errors and the choice of the form go by.
    ///
    /// # Errors
    /// If the beginning cannot be read.
    pub fn new(reader: Box<dyn Read + Send>, path: &Path, wanted: &Wanted) -> Result<Self, Error> {
        let io = |reason| Error::Io { path: path.to_owned(), reason };
        let mut source = Source::new(reader).map_err(io)?;
        let is_text = path.extension().is_some_and(|extension| extension == "txt");
        let form =
            Form::of(&mut source, is_text).map_err(|reason| io(std::io::Error::other(reason)))?;
        let (path, wanted) = (path.to_owned(), wanted.clone());
        Ok(Self { path, wanted, source, form, ready: VecDeque::new(), number: 0 })
    }

    /// The line on which the last row begins, from 1.
    pub fn begun_line(&self) -> u64 {
        self.source.begun
    }

    /// The next question, or what is wrong with it.
    fn read(&mut self) -> Result<Option<Example>, Wrong> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                let example = row.and_then(|row| self.wanted.example(&row));
                return example.map(Some).map_err(Wrong::Row);
            }
            match self.form {
                Form::ListStart | Form::List => {
                    let Some(row) = self.element().map_err(Wrong::File)? else { return Ok(None) };
                    self.ready.push_back(row);
                }
                Form::FirstObject => self.first_object()?,
                Form::JsonLines => {
                    let record = self.source.record(MAX_EXAMPLE_BYTES).map_err(Wrong::Row)?;
                    if record.trim_ascii().is_empty() {
                        return Ok(None);
                    }
                    self.ready.extend(objects(&record));
                }
                Form::TextLines => return self.text_line().map_err(Wrong::Row),
                Form::Ended => return Ok(None),
            }
        }
    }

    /// The next element of a list; a list that ends must end the file.
    fn element(&mut self) -> Result<Option<Result<Value, String>>, String> {
        let first = self.form == Form::ListStart;
        self.form = Form::List;
        match (self.source.peek()?, first) {
            (Some(b']'), _) => {
                self.source.skip()?;
                return match self.source.peek()? {
                    None => Ok(None),
                    Some(_) => Err("text after the end of the list".to_owned()),
                };
            }
            (Some(_), true) => {}
            (Some(b','), false) => self.source.skip()?,
            (None, _) => return Err("the list does not end; is the file complete?".to_owned()),
            (Some(_), false) => return Err("expected `,` or `]` after a question".to_owned()),
        }
        let first = self.source.peek()?;
        self.source.begun = self.source.line;
        // What is neither text nor in brackets could be read only with the character behind it.
        if !matches!(first, Some(b'{' | b'[' | b'"')) {
            let mut skipped = 0;
            while self.source.peek()?.is_some_and(|byte| byte != b',' && byte != b']') {
                self.source.skip()?;
                skipped += 1;
            }
            return match skipped {
                0 => Err("expected a question after `,`".to_owned()),
                _ => Ok(Some(Err("expected a JSON object".to_owned()))),
            };
        }
        let mut json = Deserializer::from_reader(self.source.bounded(MAX_EXAMPLE_BYTES));
        let row = serde::Deserialize::deserialize(&mut json);
        row.map(|row| Some(Ok(row))).map_err(|error| reason(&error))
    }

    /// The first object of a file, which may hold all rows.
    fn first_object(&mut self) -> Result<(), Wrong> {
        self.form = Form::JsonLines;
        let record = self.source.record(MAX_OBJECT_BYTES).map_err(Wrong::File)?;
        let mut stream = Deserializer::from_slice(&record).into_iter::<Entries>();
        let (Some(Ok(alone)), None) = (stream.next(), stream.next()) else {
            self.ready.extend(objects(&record));
            return Ok(());
        };
        match alone.rows(&|row| self.wanted.has_question(row)) {
            Ok(rows) => self.ready.extend(rows.into_iter().map(Ok)),
            Err(row) => self.ready.push_back(Ok(row)),
        }
        Ok(())
    }

    /// The question on the next line that is not blank.
    fn text_line(&mut self) -> Result<Option<Example>, String> {
        loop {
            let mut bytes = Vec::new();
            if self.source.line(&mut bytes, MAX_EXAMPLE_BYTES)? == 0 {
                return Ok(None);
            }
            let line = text::text(&bytes).map_err(|error| error.to_string())?.trim();
            if !line.is_empty() {
                return icot::parse(line).and_then(|row| self.wanted.of(row)).map(Some);
            }
        }
    }
}

impl Form {
    fn of(source: &mut Source, is_text: bool) -> Result<Self, String> {
        let first = if is_text { Some(b'"') } else { source.peek()? };
        Ok(match first {
            Some(b'[') => {
                source.skip()?;
                return Ok(Self::ListStart);
            }
            None => Self::Ended,
            Some(other) => {
                // Whole lines are counted when they are taken.
                source.line -= 1;
                if other == b'{' { Self::FirstObject } else { Self::TextLines }
            }
        })
    }
}

impl Iterator for Examples {
    type Item = Result<Example, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.form == Form::Ended && self.ready.is_empty() {
            return None;
        }
        let next = self.read();
        let (path, line) = (self.path.clone(), self.source.line);
        match next {
            Ok(None) => {
                self.form = Form::Ended;
                None
            }
            Ok(Some(example)) => {
                self.number += 1;
                Some(Ok(example))
            }
            Err(Wrong::Row(reason)) => {
                self.number += 1;
                let line = self.source.begun;
                Some(Err(Error::Malformed { path, line, number: self.number, reason }))
            }
            Err(Wrong::File(reason)) => {
                self.form = Form::Ended;
                Some(Err(Error::Broken { path, line, number: self.number, reason }))
            }
        }
    }
}

/// The objects of some lines, of which most have one; what cannot be read ends them.
fn objects(record: &[u8]) -> Vec<Result<Value, String>> {
    let mut broken = false;
    let objects = Deserializer::from_slice(record).into_iter::<Value>();
    let objects = objects.map_while(|object| {
        let before = std::mem::replace(&mut broken, object.is_err());
        (!before).then(|| object.map_err(|error| reason(&error)))
    });
    objects.collect()
}

/// What is wrong, without the position: it counts from the start of the object.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn rows(name: &str, text: &[u8]) -> Vec<Result<Example, Error>> {
        let reader = Box::new(Cursor::new(text.to_vec()));
        let wanted = Wanted { steps: crate::data::fields::Steps::Read, ..Wanted::default() };
        Examples::new(reader, Path::new(name), &wanted).unwrap().collect()
    }

    fn all(name: &str, text: &[u8]) -> Vec<Example> {
        rows(name, text).into_iter().collect::<Result<_, _>>().unwrap()
    }

    /// The first thing that is wrong.
    #[track_caller]
    fn refused(name: &str, text: &[u8]) -> String {
        rows(name, text).into_iter().find_map(Result::err).unwrap().to_string()
    }

    fn example(question: &str, steps: &[&str], answer: &str) -> Example {
        Example {
            question: question.to_owned(),
            steps: steps.iter().map(|&step| step.to_owned()).collect(),
            answer: answer.to_owned(),
            ..Example::default()
        }
    }

    const ONE: &str =
        r#"{"question": "q{[\"", "edges": [[0, 1]], "steps": ["a", "", "b"], "answer": "1"}"#;
    const TWO: &str = r#"{"answer": 2, "steps": [], "question": "r"}"#;

    #[test]
    fn all_forms_are_read() {
        let both = [example("q{[\"", &["a", "b"], "1"), example("r", &[], "2")];
        let pretty = ONE.replace(", \"", ",\n  \"").replace('{', "{\n  ");
        for text in [
            format!("[{ONE}, {TWO}]"),
            format!("\u{feff} [\r\n{ONE}\r\n,\r\n{TWO}]\n\n"),
            format!("{ONE}\n{TWO}"),
            format!("{ONE}{TWO}"),
            format!("\u{feff}\n{ONE}\r\n\r\n{TWO}\r\n"),
            format!("{}\n{TWO}", pretty.replace("q{\n  [", "q{[")),
            format!("{{\"rows\": [{ONE}, {TWO}]}}"),
            format!("{{\"b\": {ONE}, \"a\": {TWO}}}"),
        ] {
            assert_eq!(all("a.json", text.as_bytes()), both, "{text}");
        }
        let text = "\u{feff}[q]||<<1=1>> <<2=2>> #### 1\r\n\r\n  \r\nr|| #### 2";
        let both = [example("[q]", &["<<1=1>>", "<<2=2>>"], "1"), example("r", &[], "2")];
        assert_eq!(all("a.txt", text.as_bytes()), both);
        assert_eq!(all("unnamed", b"r|| #### 2\n"), both[1..]);
        assert_eq!(all("a.json", b"[ ]"), []);
        assert_eq!(all("a.json", b""), []);
    }

    #[test]
    fn rows_that_are_no_questions_are_named_and_the_next_is_read() {
        let broken = [
            (r#"{"question": "r", "steps": ["a", {}], "answer": "2"}"#, "steps[1]: is an object"),
            (r#"{"question": "r", "steps": [], "answer": [1, 2]}"#, "answer: is a list"),
            (r#"{"question": "r", "steps": []}"#, "missing field `answer`"),
            (r#"{"question": " ", "steps": [], "answer": "2"}"#, "question: is empty"),
            ("7", "JSON"),
            ("[{}]", "JSON"),
        ];
        for (object, said) in broken {
            for text in
                [format!("{ONE}\n\n{object}\n{TWO}"), format!("[\n{ONE},\n{object}\n,{TWO}]")]
            {
                // Outside of a list, only an object begins a row.
                if text.starts_with('{') && !object.starts_with('{') {
                    continue;
                }
                let error = refused("a.json", text.as_bytes());
                assert!(error.starts_with("a.json: line 3, question 2: "), "{error}");
                assert!(error.contains(said), "{said}: {error}");
                assert_eq!(rows("a.json", text.as_bytes()).into_iter().flatten().count(), 2);
            }
        }
        let cut = format!("{ONE}\n{{\"question\": \"r\n{TWO}\n");
        assert!(refused("a.json", cut.as_bytes()).starts_with("a.json: line 2, question 2: "));
        assert_eq!(rows("a.json", cut.as_bytes()).into_iter().flatten().count(), 2);
        let text = b"r|| #### 2\r\n\r\nr||2\r\nr|| #### \xff\nr|| ####\nr|| #### 3";
        let error = refused("a.txt", text);
        assert!(error.starts_with("a.txt: line 3, question 2: no `####`"), "{error}");
        let said: Vec<String> = rows("a.txt", text)
            .into_iter()
            .filter_map(Result::err)
            .map(|error| error.to_string())
            .collect();
        assert!(said[1].contains("UTF-8") && said[2].contains("question 4: answer: is empty"));
        assert_eq!(said.len(), 3);
    }

    #[test]
    fn broken_lists_are_refused() {
        for (text, said) in [
            (format!("[{ONE}"), "the list does not end"),
            (format!("[{ONE} {TWO}]"), "expected `,` or `]`"),
            (format!("[{ONE},]"), "expected a question"),
            (format!("[{ONE}]{TWO}"), "text after the end"),
            (
                format!("[{ONE}, {{\"question\": \"r\" 1}}]"),
                "after question 1: expected `,` or `}`",
            ),
        ] {
            assert!(refused("a.json", text.as_bytes()).contains(said), "{text}");
        }
    }

    #[test]
    fn a_question_has_a_longest_length_and_the_iterator_an_end() {
        let long = "x".repeat(MAX_EXAMPLE_BYTES);
        let text = format!("{long}|| #### 2\nr|| #### 2");
        assert!(refused("a.txt", text.as_bytes()).contains("longer than"));
        assert_eq!(rows("a.txt", text.as_bytes()).into_iter().flatten().count(), 1);
        for json in
            [format!("[{{\"question\": \"{long}\""), format!("{TWO}\n{{\"question\": \"{long}\"")]
        {
            assert!(refused("a.json", json.as_bytes()).contains("longer than"));
        }
    }
}
