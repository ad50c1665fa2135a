//! Dialogues with a scripted model: what is fed in each round, and what becomes of actions that are missing, invalid, or hang.

use crate::engine::config::EngineConfig;
use crate::engine::request::Finish;
use crate::metrics::Metrics;
use crate::reason::acting::Asks;
use crate::reason::acting::Replies;
use crate::reason::acting::Talk;
use crate::reason::acting::is_too_long;
use crate::reason::committed;
use crate::reason::question::Acting;
use crate::reason::question::AskError;
use crate::reason::question::Asked;
use crate::reason::question::Question;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::Answer;
use crate::reason::types::Choice;
use crate::reason::types::Part;
use crate::reason::types::TokenText;
use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::set::ToolSet;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::time::Instant;

const FACTS: &str = "Tom is a terpus. Every terpus is a lempus.";
const PATIENCE: Duration = Duration::from_secs(60);

fn reasoner() -> Arc<Reasoner> {
    let config = committed::config("models/prosqa-react", EngineConfig::default());
    Arc::new(Reasoner::load(&config, Arc::new(Metrics::new())).unwrap())
}

/// A model that says what it is given, round by round.
struct Scripted {
    reasoner: Arc<Reasoner>,
    says: Mutex<VecDeque<&'static str>>,
    /// What was fed in each round.
    fed: Arc<Mutex<Vec<String>>>,
}

struct Said(VecDeque<Part>);

impl Asks for Scripted {
    type Reply = Said;
    type Error = AskError;

    async fn ask(&self, question: Question, _has_begun: bool) -> Result<Said, AskError> {
        let Asked::Inputs(inputs) = &question.asked else { panic!("{question:?}") };
        let ids = inputs.before.iter().filter_map(crate::latent::script::Fed::id);
        let ids: Vec<u32> = ids.chain(inputs.after.iter().copied()).collect();
        self.fed.lock().unwrap().push(self.reasoner.pieces(&ids).concat());
        let text = self.says.lock().unwrap().pop_front().expect("no more rounds");
        let ids = self.reasoner.encode(text)?;
        let texts = self.reasoner.pieces(&ids);
        let tokens = ids.iter().zip(texts).enumerate().map(|(index, (&id, text))| TokenText {
            index,
            id,
            text,
            ..TokenText::default()
        });
        let tokens: Vec<TokenText> = tokens.collect();
        let parts = tokens.iter().map(|token| Part::Token { choice: 0, token: token.clone() });
        let choice = Choice {
            latent_steps: 0,
            number: 0,
            answer: String::new(),
            text: text.to_owned(),
            finish: Finish::Stop,
            thoughts: Vec::new(),
            tokens: tokens.clone(),
            first_logits: None,
            scores: Vec::new(),
            ending: None,
        };
        let answer = Answer {
            choices: vec![choice],
            prompt: Vec::new(),
            thoughts: Vec::new(),
            insides: Vec::new(),
            turns: Vec::new(),
            usage: crate::reason::types::Usage::default(),
            timings: crate::reason::types::Timings::default(),
            warnings: Vec::new(),
        };
        Ok(Said(parts.chain([Part::Done(Box::new(answer))]).collect()))
    }

    fn refuse(&self, error: AskError) -> AskError {
        error
    }

    fn is_too_long(&self, error: &AskError) -> bool {
        is_too_long(error)
    }
}

impl Replies for Said {
    async fn next(&mut self) -> Part {
        self.0.pop_front().expect("Done is the last part")
    }
}

/// All parts, and what was fed.
async fn talked(
    says: &[&'static str],
    tools: ToolSet,
    call_timeout: Duration,
) -> (Vec<Part>, Answer, Vec<String>) {
    let (reasoner, fed) = (reasoner(), Arc::new(Mutex::new(Vec::new())));
    let says = Mutex::new(says.iter().copied().collect());
    let scripted = Scripted { reasoner: Arc::clone(&reasoner), says, fed: Arc::clone(&fed) };
    let facts = Some(Arc::from(FACTS));
    let acting = Some(Acting { tools, facts, form: None, max_rounds: None, call_timeout });
    let question = Question { acting, ..Question::new("Is Tom a lempus or scrompus?", PATIENCE) };
    let mut talk = Talk::begin(scripted, reasoner, question).await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = talk.next().await {
        parts.push(part.unwrap());
    }
    let Some(Part::Done(answer)) = parts.pop() else { panic!("{parts:?}") };
    let fed = fed.lock().unwrap().clone();
    (parts, *answer, fed)
}

fn graph() -> ToolSet {
    ToolSet::parse(&["graph".to_owned()]).unwrap()
}

fn observed(answer: &Answer) -> Vec<Option<(&str, bool)>> {
    let turns = answer.turns.iter();
    turns.map(|turn| turn.observation.as_ref().map(|it| (it.text.as_str(), it.is_error))).collect()
}

#[tokio::test]
async fn a_round_goes_on_from_all_that_was_said_and_observed() {
    let says = [
        " Is Tom a lempus?\nAction 1: path[Tom, lempus]\n",
        " Tom is a lempus.\nAction 2: Finish[Tom is a lempus.]\n",
    ];
    let (parts, answer, fed) = talked(&says, graph(), PATIENCE).await;
    assert_eq!(fed[0], "Is Tom a lempus or scrompus?\nThought 1:");
    let observation = "Observation 1: Tom is a terpus. Every terpus is a lempus.\nThought 2:";
    assert_eq!(fed[1], format!("{}{}{observation}", fed[0], says[0]));
    assert_eq!(answer.choices[0].answer, "Tom is a lempus.");
    assert_eq!(answer.choices[0].finish, Finish::Stop);
    assert_eq!(answer.choices[0].text, says.concat());
    let indices = parts.iter().filter_map(|part| match part {
        Part::Token { token, .. } => Some(token.index),
        _ => None,
    });
    assert!(indices.enumerate().all(|(at, index)| at == index));
    let observation = Some(("Tom is a terpus. Every terpus is a lempus.", false));
    assert_eq!(observed(&answer), [observation, None]);
}

#[tokio::test]
async fn where_the_action_is_missing_it_is_asked_for_behind_the_first_line() {
    let says = [
        " I think so.\nThought 2: and more\n",
        " path[Tom, lempus]\n",
        " Yes.\nAction 2: Finish[Tom is a lempus.]\n",
    ];
    let (_, answer, fed) = talked(&says, graph(), PATIENCE).await;
    // Words that the tokenizer does not know read as its unknown token.
    assert!(fed[1].starts_with(&fed[0]) && fed[1].ends_with("\nAction 1:"), "{fed:?}");
    assert!(!fed[1].contains("Thought 2"), "{fed:?}");
    assert!(fed[2].contains("Action 1: path[Tom, lempus]\nObservation 1: Tom is"), "{fed:?}");
    assert_eq!(answer.choices[0].answer, "Tom is a lempus.");
}

#[tokio::test]
async fn what_cannot_be_done_is_observed() {
    let says = [
        " Is Tom a lempus?\nAction 1: lempus\n",
        " Is Tom a lempus?\nAction 2: scrompus[Tom]\n",
        " Is Tom a lempus?\nAction 3: path[Max, lempus]\n",
        " Yes.\nAction 4: Finish[none]\n",
    ];
    let (_, answer, _) = talked(&says, graph(), PATIENCE).await;
    let observed = observed(&answer);
    let is_error = |at: usize, said: &str| {
        let (text, is_error) = observed[at].unwrap();
        assert!(is_error && text.contains(said), "{text}");
    };
    is_error(0, "Invalid action");
    is_error(1, "there is no scrompus");
    assert_eq!(observed[2], Some(("unknown: Max", false)));
    assert_eq!(answer.choices[0].answer, "none");
}

#[tokio::test]
async fn behind_the_last_round_there_is_no_answer() {
    let says = [" Is Tom a lempus?\nAction 1: path[Tom, lempus]\n"; 7];
    let (parts, answer, fed) = talked(&says, graph(), PATIENCE).await;
    assert_eq!((fed.len(), answer.turns.len()), (7, 7));
    assert_eq!((answer.choices[0].finish, &*answer.choices[0].answer), (Finish::Length, ""));
    assert!(matches!(parts.last(), Some(Part::Observed { round: 7, .. })));
}

/// A tool that answers when it is told to.
struct Hanging(Mutex<Receiver<()>>);

impl Tool for Hanging {
    fn declarations(&self) -> Vec<Declaration> {
        vec![Declaration::of_texts("path", "Never comes back.", &[("from", ""), ("to", "")])]
    }

    fn run(&self, _: &Call, _: &mut Given, _: Instant) -> Result<String, String> {
        let _ = self.0.lock().unwrap().recv();
        Ok("at last".to_owned())
    }
}

#[tokio::test]
async fn a_tool_that_hangs_is_cut_and_the_dialogue_goes_on() {
    let says =
        [" Is Tom a lempus?\nAction 1: path[Tom, lempus]\n", " No.\nAction 2: Finish[none]\n"];
    let (release, hung) = channel();
    let mut tools = ToolSet::default();
    tools.add("hanging", Box::new(Hanging(Mutex::new(hung))));
    let (_, answer, _) = talked(&says, tools, Duration::from_millis(20)).await;
    let (text, is_error) = observed(&answer)[0].unwrap();
    assert!(is_error && text.contains("took too long"), "{text}");
    assert_eq!(answer.choices[0].answer, "none");
    drop(release);
}
