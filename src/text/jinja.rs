//! What chat templates call as Python has it, and minijinja otherwise or not at all: JSON as `json.dumps` writes it,
//! `escape` as `markupsafe`, methods of strings. Knows no template and no conversation.

use minijinja::Environment;
use minijinja::Error;
use minijinja::ErrorKind;
use minijinja::State;
use minijinja::Value;
use minijinja::value::Kwargs;
use minijinja::value::Tuple;
use minijinja::value::ValueKind;
use minijinja::value::from_args;
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize as _;
use serde_json::ser::Formatter;
use serde_json::ser::Serializer;
use std::fmt::Write as _;
use std::io;

/// The widest indentation of JSON, in spaces.
const MAX_INDENT: usize = 16;
/// How deep a value may lie in others for its keys to be sorted.
const MAX_DEPTH: usize = 128;

/// Gives them to templates.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", tojson);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// Methods of Python's strings that minijinja's collection lacks, and those of the collection.
fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return unknown_method_callback(state, value, name, args);
    };
    let part = || from_args::<(&str,)>(args).map(|(part,)| part);
    let place = |at: Option<usize>| match at {
        Some(at) => Ok(Value::from(text[..at].chars().count())),
        None => Err(invalid("substring not found")),
    };
    let parts = |parts: [&str; 3]| Ok(Value::from_object(Tuple::from(parts.map(Value::from))));
    match name {
        "removeprefix" => Ok(Value::from(text.strip_prefix(part()?).unwrap_or(text))),
        "removesuffix" => Ok(Value::from(text.strip_suffix(part()?).unwrap_or(text))),
        "index" => place(text.find(part()?)),
        "rindex" => place(text.rfind(part()?)),
        "partition" | "rpartition" if part()?.is_empty() => Err(invalid("empty separator")),
        "partition" => match text.split_once(part()?) {
            Some((before, after)) => parts([before, part()?, after]),
            None => parts([text, "", ""]),
        },
        "rpartition" => match text.rsplit_once(part()?) {
            Some((before, after)) => parts([before, part()?, after]),
            None => parts(["", "", text]),
        },
        _ => unknown_method_callback(state, value, name, args),
    }
}

/// For HTML.
fn escape(value: &Value) -> Value {
    if value.is_safe() {
        return value.clone();
    }
    let text = value.to_string();
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Value::from_safe_string(escaped)
}

/// As Python's `json.dumps` writes it, with characters as they are unless asked otherwise, which is transformers' choice.
#[expect(clippy::needless_pass_by_value, reason = "how filters are called")]
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let refused =
        |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sort = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let form = Dumps::of(options.get("indent")?, options.get("separators")?)?;
    options.assert_all_used()?;
    let mut written = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut written, form);
    match sort {
        true => sorted(value, 0)?.serialize(&mut serializer),
        false => value.serialize(&mut serializer),
    }
    .map_err(refused)?;
    let written = String::from_utf8_lossy(&written);
    Ok(Value::from(if ascii { in_ascii(&written) } else { written.into_owned() }))
}

/// The same with the keys of all objects in order.
fn sorted(value: &Value, depth: usize) -> Result<Value, Error> {
    if depth > MAX_DEPTH {
        return Err(invalid("tojson: the keys of what is nested too deeply are not sorted"));
    }
    match value.kind() {
        ValueKind::Map => {
            let pair = |key: Value| {
                let inner = value.get_item(&key)?;
                Ok((key.to_string(), sorted(&inner, depth + 1)?))
            };
            let mut pairs: Vec<_> = value.try_iter()?.map(pair).collect::<Result<_, Error>>()?;
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
            Ok(Value::from_pairs(pairs))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.map(|item| sorted(&item, depth + 1));
            Ok(Value::from(items.collect::<Result<Vec<_>, Error>>()?))
        }
        _ => Ok(value.clone()),
    }
}

/// JSON has characters beyond ASCII in texts only.
fn in_ascii(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            written.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(written, "\\u{unit:04x}");
        }
    }
    written
}

/// `{"a": 1, "b": [2, 3]}`, or as the options say.
struct Dumps {
    item: String,
    key: String,
    /// What a line begins with, once for every level; none where all is one line.
    indent: Option<String>,
    level: usize,
    /// Whether something is in the list or object that is being written.
    filled: bool,
}

impl Dumps {
    fn of(indent: Option<Value>, separators: Option<Value>) -> Result<Self, Error> {
        let indent = indent.filter(|indent| !indent.is_none());
        let indent = match &indent {
            None => None,
            Some(indent) => Some(match (indent.as_str(), indent.as_usize()) {
                (Some(text), _) => text.chars().take(MAX_INDENT).collect(),
                (None, Some(spaces)) => " ".repeat(spaces.min(MAX_INDENT)),
                (None, None) => return Err(invalid("tojson: `indent` is a number or a text")),
            }),
        };
        let (item, key) = match separators.filter(|separators| !separators.is_none()) {
            Some(said) => {
                let said: Vec<Value> = said.try_iter()?.collect();
                match said.iter().map(Value::as_str).collect::<Vec<_>>()[..] {
                    [Some(item), Some(key)] => (item.to_owned(), key.to_owned()),
                    _ => return Err(invalid("tojson: `separators` are two texts")),
                }
            }
            None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
            None => (", ".to_owned(), ": ".to_owned()),
        };
        Ok(Self { item, key, indent, level: 0, filled: false })
    }

    fn line<W: io::Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        let Some(indent) = &self.indent else { return Ok(()) };
        out.write_all(b"\n")?;
        (0..self.level).try_for_each(|_| out.write_all(indent.as_bytes()))
    }

    fn begin<W: io::Write + ?Sized>(&mut self, out: &mut W, mark: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.filled = false;
        out.write_all(mark)
    }

    fn end<W: io::Write + ?Sized>(&mut self, out: &mut W, mark: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.filled {
            self.line(out)?;
        }
        self.filled = true;
        out.write_all(mark)
    }

    fn next<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.filled = true;
        if !first {
            out.write_all(self.item.as_bytes())?;
        }
        self.line(out)
    }
}

impl Formatter for Dumps {
    fn begin_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.next(out, first)
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.next(out, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(self.key.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::add;
    use minijinja::Environment;

    fn rendered(expression: &str) -> Result<String, String> {
        let mut environment = Environment::new();
        add(&mut environment);
        let source = format!("{{{{ {expression} }}}}");
        environment.render_str(&source, ()).map_err(|error| error.to_string())
    }

    /// The right sides are Python's.
    #[test]
    fn json_is_pythons() {
        for (expression, json) in [
            (r#"{"b": 1, "a": [2, "<é>"]}|tojson"#, r#"{"b": 1, "a": [2, "<é>"]}"#),
            (
                r#"{"b": {"d": 1, "c": []}, "a": 2}|tojson(sort_keys=true)"#,
                r#"{"a": 2, "b": {"c": [], "d": 1}}"#,
            ),
            (r#"[{"b": 1, "a": 2}, 3]|tojson(sort_keys=true)"#, r#"[{"a": 2, "b": 1}, 3]"#),
            (r#"{"a": [1, 2]}|tojson(separators=(",", ":"))"#, r#"{"a":[1,2]}"#),
            (r#"["é😀"]|tojson(ensure_ascii=true)"#, r#"["\u00e9\ud83d\ude00"]"#),
            (
                r#"{"a": [], "b": {}, "c": [1, {"d": 2}]}|tojson(indent=1)"#,
                "{\n \"a\": [],\n \"b\": {},\n \"c\": [\n  1,\n  {\n   \"d\": 2\n  }\n ]\n}",
            ),
            (r#"[[], [1]]|tojson(indent="-", separators=("; ", "="))"#, "[\n-[]; \n-[\n--1\n-]\n]"),
            (r#"[1]|tojson(indent=none, separators=none)"#, "[1]"),
        ] {
            assert_eq!(rendered(expression).unwrap(), json, "{expression}");
        }
        for expression in [
            "[1]|tojson(default=1)",
            "[1]|tojson(separators=(1, 2))",
            "[1]|tojson(separators=[','])",
            "[1]|tojson(indent=[1])",
        ] {
            rendered(expression).unwrap_err();
        }
    }

    #[test]
    fn html_is_escaped_as_python_does() {
        assert_eq!(
            rendered(r#""</b> & '\"'"|escape"#).unwrap(),
            "&lt;/b&gt; &amp; &#39;&#34;&#39;"
        );
        assert_eq!(rendered(r#""<"|e|e ~ ("<"|safe|e)"#).unwrap(), "&lt;<");
        assert_eq!(rendered(r#"["<"]|tojson|e"#).unwrap(), "[&#34;&lt;&#34;]");
    }

    #[test]
    fn methods_of_strings_are_pythons() {
        for (expression, text) in [
            (r#""abab".removeprefix("ab")"#, "ab"),
            (r#""abab".removesuffix("x")"#, "abab"),
            (r#""a=b=c".partition("=")[2]"#, "b=c"),
            (r#""a=b=c".rpartition("=")[0]"#, "a=b"),
            (r#""abc".partition("=")"#, "('abc', '', '')"),
            (r#""abc".rpartition("=")|list"#, "['', '', 'abc']"),
            (r#""éab".index("b")"#, "2"),
            (r#""éaéa".rindex("é")"#, "2"),
            (r#""Ab".upper()"#, "AB"),
        ] {
            assert_eq!(rendered(expression).unwrap(), text, "{expression}");
        }
        for expression in [r#""a".index("b")"#, r#""a".partition("")"#, r#""a".removeprefix()"#] {
            rendered(expression).unwrap_err();
        }
    }
}
