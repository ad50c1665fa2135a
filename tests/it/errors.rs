//! What an error says, from its first word to its cause, and nothing twice. Knows which file an error is declared in, not
//! who provokes it.

use crate::tidy::rust_files;
use coconut::engine::StartError;
use std::error::Error;
use std::fs;

/// As `main` prints it: the message, then that of each cause.
fn printed(error: StartError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

#[test]
fn a_cause_is_printed_once() {
    let cause = || candle_core::Error::Msg("no more of it".to_owned());
    let memory = StartError::KvMemory { positions: 16, bytes_per_position: 4, reason: cause() };
    for error in [memory, StartError::FirstStep(cause())] {
        let printed = printed(error);
        assert_eq!(printed.matches("no more of it").count(), 1, "{printed}");
    }
    let memory = StartError::KvMemory { positions: 16, bytes_per_position: 4, reason: cause() };
    assert!(memory.source().is_none());
}

/// `anyhow` prints the cause after the message: a message that has it too says it twice.
#[test]
fn no_message_holds_the_cause_that_is_printed_after_it() {
    let mut declared = 0;
    for path in rust_files(&["src", "crates"]) {
        let text = fs::read_to_string(&path).unwrap();
        let errors = errors(&text);
        declared += errors.len();
        let twice: Vec<_> = errors.iter().filter(|error| error.is_told_twice()).collect();
        assert!(twice.is_empty(), "{}: name the field `reason`: {twice:?}", path.display());
    }
    assert!(declared > 60, "only {declared} errors were found");
}

#[test]
fn messages_and_causes_are_found_in_every_form() {
    let twice = |text: &str| errors(text)[0].is_told_twice();
    for text in [
        "#[error(\"a: {source}\")] A {\n/// Why (if known.\nsource: io::Error }, B { other: u8 }",
        r#"#[error("a: {source:?}")] A { path: PathBuf, source: Box<dyn Error> },"#,
        r#"#[error("a {b} {why}", b = b.c())] A { b: B, #[source] why: io::Error },"#,
        r#"#[error("{0}")] A(#[from] io::Error),"#,
        r#"#[error("{1}, {}", .0.join(", "))] A(Vec<(u8, u8)>, #[source] io::Error),"#,
        r#"#[error("not this: {0}")] pub(crate) struct A(#[from] io::Error);"#,
        r#"#[error("{}", .source.kind())] A { source: io::Error },"#,
    ] {
        assert!(twice(text), "{text}");
    }
    for text in [
        r#"#[error("a")] A { source: io::Error },"#,
        r#"#[error("a: {reason}")] A { reason: io::Error }, #[error("b")] B { source: io::Error },"#,
        r#"#[error(transparent)] A(#[from] io::Error),"#,
        r#"#[error("{0}")] A(PathBuf, #[source] io::Error),"#,
        r#"#[error("a: {0}")] A(io::Error), } fn f(source: u8) {}"#,
        r#"#[error("a {source_file}")] A { source_file: PathBuf, source: io::Error },"#,
        r#"#[error("nothing to hold")] A, B { source: io::Error },"#,
    ] {
        assert!(!twice(text), "{text}");
    }
}

/// A declared error: its message with what is put into it, and its cause as the message would name it.
#[derive(Debug)]
struct Declared {
    message: String,
    cause: Option<String>,
}

impl Declared {
    fn is_told_twice(&self) -> bool {
        let Some(cause) = &self.cause else { return false };
        let begins = |rest: &str| {
            let rest = rest.strip_prefix(cause.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        self.message.split(['{', '.']).skip(1).any(begins)
    }
}

/// All errors that `thiserror` is told of in a file.
fn errors(text: &str) -> Vec<Declared> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join(" ");
    let declared = code.split("#[error(").skip(1).filter_map(|rest| {
        let (message, item) = rest.split_once(")]")?;
        Some(Declared { message: message.to_owned(), cause: cause(item) })
    });
    declared.collect()
}

/// The field of a variant, or of a struct, that `thiserror` takes for the cause.
fn cause(item: &str) -> Option<String> {
    let item = item.trim_start();
    let item = match item.split_once("struct ") {
        Some(("" | "pub " | "pub(crate) " | "pub(super) ", after)) => after,
        _ => item,
    };
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let body = item.trim_start_matches(name).trim_start();
    let brackets = [body.chars().next()?, if body.starts_with('(') { ')' } else { '}' }];
    if !matches!(brackets[0], '(' | '{') {
        return None;
    }
    let fields = within(body, brackets);
    let marked = fields.iter().position(|own| own.contains("#[from]") || own.contains("#[source]"));
    if body.starts_with('(') {
        return marked.map(|index| index.to_string());
    }
    let names = fields.iter().filter_map(|field| {
        let before = field.split(':').next()?.trim_end();
        before.rsplit([' ', ']']).next().map(str::to_owned)
    });
    let names: Vec<String> = names.collect();
    marked.map(|index| names[index].clone()).or(names.into_iter().find(|name| name == "source"))
}

/// What stands between the first bracket and its fellow, cut at the commas that are in no other bracket.
fn within(text: &str, [open, close]: [char; 2]) -> Vec<String> {
    let (mut depth, mut fields) = (0, vec![String::new()]);
    for letter in text.chars() {
        depth += i32::from("({[<".contains(letter)) - i32::from(")}]>".contains(letter));
        match letter {
            _ if depth == 0 && letter == close => break,
            _ if depth == 1 && letter == open && fields == [""] => {}
            ',' if depth == 1 => fields.push(String::new()),
            _ => fields.last_mut().expect("one from the start").push(letter),
        }
    }
    fields
}
