//! Tests of call forms: what models say is read the same in whatever pieces it comes, and garbage is no call.

use crate::tools::call::Argument;
use crate::tools::call::Call;
use crate::tools::form::CallForm;
use crate::tools::form::reader::Reader;
use crate::tools::form::reader::Said;
use proptest::prelude::*;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// An answer once it is read: pieces of one kind side by side are one.
fn read<'a>(form: CallForm, pieces: impl IntoIterator<Item = &'a str>) -> Vec<Said> {
    let mut reader = Reader::new(form);
    let mut all: Vec<Said> = pieces.into_iter().flat_map(|piece| reader.push(piece)).collect();
    all.extend(reader.finish());
    let mut joined: Vec<Said> = Vec::new();
    for said in all {
        match (joined.last_mut(), said) {
            (Some(Said::Content(text)), Said::Content(more)) => text.push_str(&more),
            (
                Some(Said::Arguments { index, piece }),
                Said::Arguments { index: other, piece: more },
            ) if *index == other => piece.push_str(&more),
            (_, said) => joined.push(said),
        }
    }
    joined
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn content(text: &str) -> Said {
    Said::Content(text.to_owned())
}

/// What is said of a whole call.
fn called(index: usize, name: &str, text: &str, arguments: &Value) -> [Said; 3] {
    let call = Call { name: name.to_owned(), argument: Argument::Object(object(arguments)) };
    [
        Said::Begun { index, name: name.to_owned() },
        Said::Arguments { index, piece: text.to_owned() },
        Said::Called { index, call },
    ]
}

#[test]
fn calls_between_tags_are_read_one_after_another() {
    let text = "Let me see.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [2]}}\n\
                </tool_call>\n<tool_call>{\"arguments\": {\"x\": \"}</tool_call>\"}, \"name\": \"f\"}</tool_call>";
    let mut expected = vec![content("Let me see.")];
    expected.extend(called(0, "add", "{\"a\": 1, \"b\": [2]}", &json!({"a": 1, "b": [2]})));
    let tag = json!({"x": "}</tool_call>"});
    expected.extend(called(1, "f", "{\"x\": \"}</tool_call>\"}", &tag));
    assert_eq!(read(CallForm::Hermes, [text]), expected);
}

#[test]
fn llama_writes_calls_behind_a_mark_or_bare() {
    let sum = called(0, "add", "{\"a\": 1}", &json!({"a": 1}));
    let call = "{\"name\": \"add\", \"parameters\": {\"a\": 1}}";
    let typed = "{\"type\": \"function\", \"name\": \"add\", \"parameters\": {\"a\": 1}}";
    for text in [call, typed, &format!("<|python_tag|>{call}"), &format!("\n{call}\n")] {
        assert_eq!(read(CallForm::Llama, [text]), sum, "{text}");
    }
    let two = read(CallForm::Llama, [format!("{call}; {call}").as_str()]);
    let again = called(1, "add", "{\"a\": 1}", &json!({"a": 1}));
    assert_eq!(two, [sum.as_slice(), again.as_slice()].concat());
    let behind = read(CallForm::Llama, [format!("Now.<|python_tag|>{call}").as_str()]);
    assert_eq!(behind, [[content("Now.")].as_slice(), &sum].concat());
    // Behind a text, an object is part of it; and one that is no call is an answer.
    for text in [
        &format!("So: {call}"),
        " {\"name\": \"Bob\", \"age\": 3}",
        "\n{\"name\": \"Bob\"}",
        "{\"name\": ",
        "{x}",
        "{}",
    ] {
        assert_eq!(read(CallForm::Llama, [text]), [content(text)]);
    }
}

#[test]
fn arguments_are_told_as_far_as_they_are_said() {
    let mut reader = Reader::new(CallForm::Hermes);
    assert_eq!(reader.push("a <tool"), [content("a")]);
    assert_eq!(reader.push("_call>{\"name\": \"f\", \"arguments\""), []);
    let begun = Said::Begun { index: 0, name: "f".to_owned() };
    let piece = |piece: &str| Said::Arguments { index: 0, piece: piece.to_owned() };
    assert_eq!(reader.push(": {\"x\": \"a"), [begun, piece("{\"x\": \"a")]);
    assert_eq!(reader.push("}\\\"b"), [piece("}\\\"b")]);
    assert_eq!(reader.push("\"}"), [piece("\"}")]);
    let arguments = Argument::Object(object(&json!({"x": "a}\"b"})));
    let call = Call { name: "f".to_owned(), argument: arguments };
    assert_eq!(reader.push("  }"), [Said::Called { index: 0, call }]);
    assert_eq!(reader.push("\n</tool_call>\n"), []);
    assert_eq!(reader.push("b <tool_tip>"), [content("b <tool_tip>")]);
    assert_eq!(reader.finish(), []);
}

#[test]
fn calls_without_arguments_or_with_a_string_of_them_are_calls() {
    for (written, text, arguments) in [
        ("", "{}", json!({})),
        (", \"arguments\": {}", "{}", json!({})),
        (", \"arguments\": null", "{}", json!({})),
        (", \"arguments\": \"{\\\"a\\\": 1}\"", "{\"a\": 1}", json!({"a": 1})),
        // The first one counts, since it has been told already.
        (", \"arguments\": {\"a\": 1}, \"parameters\": {}", "{\"a\": 1}", json!({"a": 1})),
    ] {
        let whole = format!("<tool_call>{{\"name\": \"f\"{written}}}</tool_call>");
        assert_eq!(read(CallForm::Hermes, [whole.as_str()]), called(0, "f", text, &arguments));
    }
}

#[test]
fn what_began_like_a_call_and_is_none_is_called_that() {
    for (inner, says) in [
        ("nothing", "no JSON object"),
        ("", "no JSON object"),
        ("{\"name\": \"f\", \"arguments\": [1]}", "no object"),
        ("{\"arguments\": {}}", "no \"name\""),
        ("{\"name\": \"f\",}", "not JSON"),
        ("{\"name\": \"f\", \"arguments\": {\"a\": 1}", "not JSON"),
        ("{\"a\" \"b\"}", "not JSON"),
    ] {
        let text = format!("a <tool_call>{inner}</tool_call> b");
        let said = read(CallForm::Hermes, [text.as_str()]);
        let malformed = said.iter().find_map(|said| match said {
            Said::Malformed { text, reason, .. } => Some((text.clone(), reason.clone())),
            _ => None,
        });
        let (text, reason) = malformed.unwrap();
        assert!(text.starts_with(inner) && reason.contains(says), "{inner}: {text} {reason}");
        assert_eq!((&said[0], said.last().unwrap()), (&content("a"), &content("b")));
    }
    let cut = read(CallForm::Hermes, ["<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b"]);
    assert!(matches!(cut.last(), Some(Said::Malformed { index: Some(0), .. })), "{cut:?}");
}

#[test]
fn templates_say_which_form_they_want() {
    let of = CallForm::of_template;
    assert_eq!(of("... within <tool_call></tool_call> XML tags"), Some(CallForm::Hermes));
    assert_eq!(of("<tool_call>\n<function=example>"), None);
    let llama = "{\"name\": function name, \"parameters\": ...} <|start_header_id|>ipython";
    assert_eq!(of(llama), Some(CallForm::Llama));
    assert_eq!(of("{{ message['content'] }}"), None);
}

fn form() -> impl Strategy<Value = CallForm> {
    prop::sample::select(vec![CallForm::Hermes, CallForm::Llama])
}

/// Texts of what calls are made of, in and out of order.
fn text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "<tool_call>",
        "</tool_call>",
        "<|python_tag|>",
        "{\"name\": \"f\", \"arguments\": {\"a\": \"b\"}}",
        "{\"name\":\"g\",\"parameters\":{}}",
        "\"name\":",
        "\"arguments\":",
        "\"f\"",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ",",
        ":",
        ";",
        " ",
        "\n",
        "1",
        "null",
        "true",
        "<",
        "</",
        "é",
        "text",
        "\u{0}",
    ];
    let piece = prop_oneof![
        9 => prop::sample::select(pieces).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        "\\PC{0,8}|[{}\\[\\]\"\\\\<>/_a-z]{0,12}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A text in pieces that end at these shares of it.
fn cut<'a>(text: &'a str, ends: &[prop::sample::Index]) -> Vec<&'a str> {
    let at = |end: &prop::sample::Index| {
        let places: Vec<usize> =
            text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        places[end.index(places.len())]
    };
    let mut ends: Vec<usize> = ends.iter().map(at).chain([0, text.len()]).collect();
    ends.sort_unstable();
    ends.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        form in form(), text in text(), ends in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = read(form, [text.as_str()]);
        prop_assert_eq!(&read(form, cut(&text, &ends)), &whole);
        // Calls are counted; each is told before it is complete.
        let mut open: Option<(usize, String, String)> = None;
        let mut next = 0;
        for said in whole {
            match said {
                Said::Begun { index, name } => {
                    prop_assert!(open.is_none() && index == next);
                    next += 1;
                    open = Some((index, name, String::new()));
                }
                Said::Arguments { index, piece } => {
                    let open = open.as_mut().unwrap();
                    prop_assert_eq!(open.0, index);
                    open.2.push_str(&piece);
                }
                Said::Called { index, call } => {
                    let (begun, name, arguments) = open.take().unwrap();
                    prop_assert_eq!((begun, name), (index, call.name));
                    let Argument::Object(fields) = call.argument else { panic!("{text}") };
                    let told: Value = serde_json::from_str(&arguments).unwrap();
                    prop_assert_eq!(told, Value::Object(fields));
                }
                Said::Malformed { index, .. } => {
                    prop_assert_eq!(open.take().map(|open| open.0), index);
                }
                Said::Content(_) => prop_assert!(open.is_none()),
            }
        }
        prop_assert!(open.is_none());
    }

    #[test]
    fn what_is_written_is_read_again(
        form in form(), name in "\\PC{1,12}", fields in prop::collection::btree_map("\\PC{0,6}", value(), 0..4),
        before in "([a-z<>.]{1,8} ?){0,3}",
    ) {
        let fields: Map<String, Value> = fields.into_iter().collect();
        let before = if form == CallForm::Llama { "" } else { before.trim() };
        let text = format!("{before}{}", form.write(&name, &fields));
        let said = read(form, [text.as_str()]);
        let calls: Vec<&Call> = said.iter().filter_map(|said| match said {
            Said::Called { call, .. } => Some(call),
            _ => None,
        }).collect();
        prop_assert_eq!(calls, [&Call { name, argument: Argument::Object(fields) }]);
        let first = (!before.is_empty()).then(|| content(before));
        prop_assert_eq!(said.first().filter(|said| matches!(said, Said::Content(_))).cloned(), first);
    }

    #[test]
    fn what_has_no_tag_is_content_as_it_stands(text in "[^<{]{0,40}") {
        for form in [CallForm::Hermes, CallForm::Llama] {
            let expected: Vec<Said> = (!text.is_empty()).then(|| content(&text)).into_iter().collect();
            prop_assert_eq!(read(form, [text.as_str()]), expected);
        }
    }
}
