//! Reads calls out of an answer while it is being said: what of it is certainly content, what may be the beginning of a
//! call, how much of what a tool is given is known, which calls are complete. However the text is cut into pieces, it reads
//! the same. Knows no tool.

use crate::tools::call::Call;
use crate::tools::form::CallForm;
use crate::tools::form::object::Object;
use crate::tools::form::object::Progress;

/// What has been said. Space around calls is nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// More of the answer that is no call.
    Content(String),
    /// A call began, whose name is known. Calls are counted from 0.
    Begun {
        /// Which one.
        index: usize,
        /// Of the tool.
        name: String,
    },
    /// More of the JSON text of what a tool is given.
    Arguments {
        /// To which call.
        index: usize,
        /// The next characters of it.
        piece: String,
    },
    /// A call is complete. Its name and all of its arguments were said before.
    Called {
        /// Which one.
        index: usize,
        /// Itself.
        call: Call,
    },
    /// It began like a call and is none.
    Malformed {
        /// Which one, if it was said to have begun.
        index: Option<usize>,
        /// What stands there, without the tags around it.
        text: String,
        /// What is wrong with it, for the model.
        reason: String,
    },
}

/// The state of one answer being read. It holds no more than the call that is open.
#[derive(Clone, Debug)]
pub struct Reader {
    form: CallForm,
    state: State,
    /// How many calls have begun.
    calls: usize,
    said: Vec<Said>,
}

#[derive(Clone, Debug)]
enum State {
    /// In what may be content: space that may precede a call, then what may be the beginning of a tag.
    Outside { blanks: String, tag: String, after: After },
    /// Behind the tag, before the object.
    Opened,
    /// In the object.
    Inside { object: Object, bare: Option<Bare>, begun: Option<Begun> },
    /// In what is no call, up to the closing tag.
    Lost { text: String, index: Option<usize>, reason: String },
}

/// An object without a tag before it, which may be content after all.
#[derive(Clone, Debug)]
struct Bare {
    /// The space before it.
    blanks: String,
}

/// A call whose name is known.
#[derive(Clone, Copy, Debug)]
struct Begun {
    index: usize,
    /// How many bytes of its arguments were told.
    told: usize,
}

/// What precedes in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    Call,
    Content,
}

impl Reader {
    /// Nothing is said yet.
    pub fn new(form: CallForm) -> Self {
        Self { form, state: State::outside(After::Nothing), calls: 0, said: Vec::new() }
    }

    /// Takes the next piece of the text.
    pub fn push(&mut self, piece: &str) -> Vec<Said> {
        for c in piece.chars() {
            let state = std::mem::replace(&mut self.state, State::Opened);
            self.state = self.step(state, c);
        }
        std::mem::take(&mut self.said)
    }

    /// Once nothing follows: what was held back.
    pub fn finish(&mut self) -> Vec<Said> {
        let unfinished = "it is not finished".to_owned();
        match std::mem::replace(&mut self.state, State::outside(After::Content)) {
            State::Outside { blanks, tag, after } => {
                let blanks = if after == After::Call { "" } else { &blanks };
                self.content(&format!("{blanks}{tag}"));
            }
            State::Opened => self.malformed(None, "", unfinished),
            State::Inside { object, bare: Some(bare), begun: None } => {
                self.content(&bare.blanks);
                self.content(object.text());
            }
            State::Inside { object, begun, .. } => {
                let index = begun.map(|begun| begun.index);
                self.malformed(index, object.text(), unfinished);
            }
            State::Lost { text, index, reason } => self.malformed(index, &text, reason),
        }
        std::mem::take(&mut self.said)
    }

    fn step(&mut self, state: State, c: char) -> State {
        match state {
            State::Outside { blanks, tag, after } => self.outside(blanks, tag, after, c),
            State::Opened if c.is_whitespace() => State::Opened,
            State::Opened if c == '{' => self.inside(Object::default(), None, None, c),
            State::Opened => {
                let reason = "it is no JSON object".to_owned();
                self.lost(State::Lost { text: String::new(), index: None, reason }, c)
            }
            State::Inside { object, bare, begun } => self.inside(object, bare, begun, c),
            lost @ State::Lost { .. } => self.lost(lost, c),
        }
    }

    fn outside(&mut self, mut blanks: String, mut tag: String, after: After, c: char) -> State {
        tag.push(c);
        let closing = self.form.closing().filter(|_| after == After::Call);
        if tag == self.form.opening() {
            return State::Opened;
        }
        if closing == Some(tag.as_str()) {
            return State::outside(after);
        }
        if self.form.opening().starts_with(&tag) || closing.is_some_and(|it| it.starts_with(&tag)) {
            return State::Outside { blanks, tag, after };
        }
        tag.pop();
        if tag.is_empty() && c.is_whitespace() {
            blanks.push(c);
            return State::Outside { blanks, tag, after };
        }
        if tag.is_empty() && self.form == CallForm::Llama && after != After::Content {
            match (c, after) {
                ('{', After::Nothing) => {
                    return self.inside(Object::default(), Some(Bare { blanks }), None, c);
                }
                ('{', _) => {
                    let bare = Bare { blanks: String::new() };
                    return self.inside(Object::default(), Some(bare), None, c);
                }
                (';', After::Call) => return State::outside(after),
                _ => {}
            }
        }
        let blanks = if after == After::Call { "" } else { &blanks };
        self.content(&format!("{blanks}{tag}"));
        // A tag begins with a character that is nowhere else in it.
        if tag.is_empty() {
            self.content(c.encode_utf8(&mut [0; 4]));
            return State::outside(After::Content);
        }
        self.step(State::outside(After::Content), c)
    }

    fn inside(
        &mut self,
        mut object: Object,
        bare: Option<Bare>,
        mut begun: Option<Begun>,
        c: char,
    ) -> State {
        let progress = object.push(c);
        if progress == Progress::Broken {
            let reason = "it is not JSON".to_owned();
            return self.none(&object, bare, begun, reason);
        }
        if bare.is_some() && begun.is_none() && object.has_other_fields() {
            return self.none(&object, bare, begun, String::new());
        }
        if let Some((name, arguments)) = object.so_far() {
            let begun = begun.get_or_insert_with(|| begin(&mut self.said, &mut self.calls, name));
            let piece = &arguments[begun.told..];
            begun.told = arguments.len();
            push_arguments(&mut self.said, begun.index, piece);
        }
        if progress == Progress::Open {
            return State::Inside { object, bare, begun };
        }
        if bare.is_some() && !object.is_call() {
            return self.none(&object, bare, begun, String::new());
        }
        match object.call() {
            Ok((call, arguments)) => {
                let index = begun.map(|begun| begun.index).unwrap_or_else(|| {
                    let begun = begin(&mut self.said, &mut self.calls, &call.name);
                    push_arguments(&mut self.said, begun.index, &arguments);
                    begun.index
                });
                self.said.push(Said::Called { index, call });
                State::outside(After::Call)
            }
            Err(reason) => self.none(&object, bare, begun, reason),
        }
    }

    /// An object that is no call, with its last character.
    fn none(
        &mut self,
        object: &Object,
        bare: Option<Bare>,
        begun: Option<Begun>,
        reason: String,
    ) -> State {
        let (text, index) = (object.text().to_owned(), begun.map(|begun| begun.index));
        if let (Some(bare), None) = (bare, index) {
            self.content(&bare.blanks);
            self.content(&text);
            return State::outside(After::Content);
        }
        self.closed(text, index, reason)
    }

    fn lost(&mut self, state: State, c: char) -> State {
        let State::Lost { mut text, index, reason } = state else { return state };
        text.push(c);
        self.closed(text, index, reason)
    }

    /// A text that is no call: it ends with the closing tag, if it has one.
    fn closed(&mut self, text: String, index: Option<usize>, reason: String) -> State {
        match self.form.closing().and_then(|closing| text.strip_suffix(closing)) {
            Some(inner) => {
                self.malformed(index, inner, reason);
                State::outside(After::Call)
            }
            None => State::Lost { text, index, reason },
        }
    }

    fn content(&mut self, piece: &str) {
        match self.said.last_mut() {
            _ if piece.is_empty() => {}
            Some(Said::Content(text)) => text.push_str(piece),
            _ => self.said.push(Said::Content(piece.to_owned())),
        }
    }

    fn malformed(&mut self, index: Option<usize>, text: &str, reason: String) {
        let text = text.trim().to_owned();
        self.said.push(Said::Malformed { index, text, reason });
    }
}

fn begin(said: &mut Vec<Said>, calls: &mut usize, name: &str) -> Begun {
    let index = *calls;
    *calls += 1;
    said.push(Said::Begun { index, name: name.to_owned() });
    Begun { index, told: 0 }
}

fn push_arguments(said: &mut Vec<Said>, index: usize, more: &str) {
    match said.last_mut() {
        _ if more.is_empty() => {}
        Some(Said::Arguments { index: last, piece }) if *last == index => piece.push_str(more),
        _ => said.push(Said::Arguments { index, piece: more.to_owned() }),
    }
}

impl State {
    fn outside(after: After) -> Self {
        Self::Outside { blanks: String::new(), tag: String::new(), after }
    }
}
