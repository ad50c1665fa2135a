//! Facts in words ("Every shumpus is a rempus. Alex is a rempus.") as a graph that actions ask: where one hop leads, and
//! the shortest way from one name to another, as the facts themselves. Knows no question and who is right about it.

use std::collections::HashMap;

/// Most facts of a graph; a published question has some forty.
pub const MAX_FACTS: usize = 4096;
/// Most bytes of the text that facts are read from.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// A longer name is none.
pub const MAX_NAME_BYTES: usize = 128;
/// The actions that a graph answers.
pub const ACTIONS: [&str; 2] = ["neighbours", "path"];
/// What is answered where there is nothing.
pub const NONE: &str = "none";

/// Words of a fact before its subject, which say that it holds of everybody.
const EVERY: [&str; 2] = ["Every ", "Each "];
/// Words between subject and object.
const IS: [&str; 2] = [" is a ", " is an "];

/// Why a graph has no answer. Each is a text that may be shown to the model as what it observed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The text is too long to be read.
    #[error("the facts are longer than {MAX_TEXT_BYTES} bytes")]
    TooLong,
    /// There are too many.
    #[error("there are more than {MAX_FACTS} facts")]
    TooMany,
    /// No fact has this name in it.
    #[error("unknown: {0}")]
    Unknown(String),
    /// An action with the wrong number of names.
    #[error("{usage} takes {names}")]
    Argument {
        /// How the action is written.
        usage: &'static str,
        /// How many names it takes.
        names: &'static str,
    },
    /// A graph does not do this.
    #[error("invalid action: {0}; there are neighbours[X] and path[X, Y]")]
    Action(String),
}

/// Who is what, by name.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    facts: Vec<Fact>,
    /// By node, the facts that begin there, in their order.
    from: Vec<Vec<usize>>,
    not_facts: Vec<String>,
}

#[derive(Clone, Debug)]
struct Fact {
    from: usize,
    to: usize,
    text: String,
}

impl Graph {
    /// Reads the facts of a text, a sentence each. Sentences that are none are kept apart; a fact that is said twice counts
    /// once.
    ///
    /// # Errors
    /// If there is more than a graph may hold.
    pub fn parse(text: &str) -> Result<Self, GraphError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(GraphError::TooLong);
        }
        let mut graph = Self::default();
        for sentence in sentences(text) {
            match fact(sentence) {
                Some((from, to)) => graph.add(from, to, sentence)?,
                None => graph.not_facts.push(sentence.to_owned()),
            }
        }
        Ok(graph)
    }

    /// The sentences that are no facts.
    pub fn not_facts(&self) -> &[String] {
        &self.not_facts
    }

    /// How many facts there are.
    pub fn fact_count(&self) -> usize {
        self.facts.len()
    }

    /// The names that one hop leads to, in the order of the facts.
    ///
    /// # Errors
    /// If no fact has this name.
    pub fn neighbours(&self, name: &str) -> Result<String, GraphError> {
        let facts = &self.from[self.node(name)?];
        let names: Vec<&str> =
            facts.iter().map(|&fact| self.names[self.facts[fact].to].as_str()).collect();
        Ok(if names.is_empty() { NONE.to_owned() } else { names.join(", ") })
    }

    /// The facts of the shortest way from one name to another; of several, the one whose facts were said first. There is none
    /// from a name to itself.
    ///
    /// # Errors
    /// If no fact has one of the names.
    pub fn path(&self, from: &str, to: &str) -> Result<String, GraphError> {
        let (from, to) = (self.node(from)?, self.node(to)?);
        let mut arrived_by = vec![None; self.names.len()];
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(node) = queue.pop_front()
            && arrived_by[to].is_none()
        {
            for &fact in &self.from[node] {
                let next = self.facts[fact].to;
                if next != from && arrived_by[next].is_none() {
                    arrived_by[next] = Some(fact);
                    queue.push_back(next);
                }
            }
        }
        let back = |&fact: &usize| arrived_by[self.facts[fact].from];
        let mut way: Vec<&str> = std::iter::successors(arrived_by[to], back)
            .map(|fact| self.facts[fact].text.as_str())
            .collect();
        way.reverse();
        Ok(if way.is_empty() { NONE.to_owned() } else { way.join(" ") })
    }

    /// What an action observes: `neighbours[X]` or `path[X, Y]`.
    ///
    /// # Errors
    /// What is wrong with the action, as a text to observe.
    pub fn call(&self, action: &str, argument: &str) -> Result<String, GraphError> {
        let names: Vec<&str> = argument.split(',').map(str::trim).collect();
        let wrong = |usage, names| GraphError::Argument { usage, names };
        match (action, names.as_slice()) {
            ("neighbours", [name]) => self.neighbours(name),
            ("neighbours", _) => Err(wrong("neighbours[X]", "one name")),
            ("path", [from, to]) => self.path(from, to),
            ("path", _) => Err(wrong("path[X, Y]", "two names")),
            _ => Err(GraphError::Action(action.to_owned())),
        }
    }

    fn add(&mut self, from: &str, to: &str, sentence: &str) -> Result<(), GraphError> {
        let (from, to) = (self.named(from), self.named(to));
        if self.from[from].iter().any(|&fact| self.facts[fact].to == to) {
            return Ok(());
        }
        if self.facts.len() == MAX_FACTS {
            return Err(GraphError::TooMany);
        }
        let end = if sentence.ends_with('.') { "" } else { "." };
        self.from[from].push(self.facts.len());
        self.facts.push(Fact { from, to, text: format!("{sentence}{end}") });
        Ok(())
    }

    /// The node of a name, which is made where there is none yet.
    fn named(&mut self, name: &str) -> usize {
        if let Some(&node) = self.by_name.get(name) {
            return node;
        }
        let node = self.names.len();
        self.names.push(name.to_owned());
        self.from.push(Vec::new());
        self.by_name.insert(name.to_owned(), node);
        node
    }

    /// The node of a name; where none is written like this, the first that differs in upper and lower case only.
    fn node(&self, name: &str) -> Result<usize, GraphError> {
        let alike = || self.names.iter().position(|known| known.eq_ignore_ascii_case(name));
        let node = self.by_name.get(name).copied().or_else(alike);
        node.ok_or_else(|| {
            let shown: String = name.chars().take(MAX_NAME_BYTES).collect();
            GraphError::Unknown(shown)
        })
    }
}

/// A text as the facts that it begins with, and what follows them: the question.
pub fn apart(text: &str) -> (&str, &str) {
    let first = sentences(text).find(|sentence| fact(sentence).is_none());
    let at = first.map_or(text.len(), |first| {
        // Both are parts of one text.
        first.as_ptr() as usize - text.as_ptr() as usize
    });
    let (facts, rest) = text.split_at(at);
    (facts.trim(), rest.trim())
}

/// The sentences of a text, each with what ends it.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        let end = |(at, letter): (usize, char)| {
            let after = &rest[at + letter.len_utf8()..];
            let ends = matches!(letter, '.' | '?' | '!')
                && !after.starts_with(|next: char| !next.is_whitespace());
            (ends || letter == '\n').then_some(at + letter.len_utf8())
        };
        let end = rest.char_indices().find_map(end).unwrap_or(rest.len());
        let (sentence, after) = rest.split_at(end);
        rest = after.trim_start();
        Some(sentence.trim_end()).filter(|sentence| !sentence.is_empty())
    })
}

/// Subject and object of a fact.
fn fact(sentence: &str) -> Option<(&str, &str)> {
    let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
    let said = EVERY.iter().find_map(|every| sentence.strip_prefix(every)).unwrap_or(sentence);
    let (from, to) = IS.iter().find_map(|is| said.split_once(is))?;
    let (from, to) = (from.trim(), to.trim());
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= MAX_NAME_BYTES
            && !name.contains([',', '?', '!', '[', ']'])
    };
    (is_name(from) && is_name(to)).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FACTS: &str = "Every shumpus is a rempus. Every shumpus is a yimpus. Alex is a rempus. Every rempus is a rorpus. \
                         Tom is an impus. Every yimpus is a rorpus.";

    fn graph(text: &str) -> Graph {
        Graph::parse(text).unwrap()
    }

    #[test]
    fn facts_are_asked() {
        let graph = graph(FACTS);
        let call = |action, argument| graph.call(action, argument).unwrap();
        assert_eq!(call("neighbours", "shumpus"), "rempus, yimpus");
        assert_eq!(call("neighbours", " Tom "), "impus");
        assert_eq!(call("neighbours", "rorpus"), NONE);
        assert_eq!(call("path", "Alex, rorpus"), "Alex is a rempus. Every rempus is a rorpus.");
        // Two ways are as short: the one through what was said first.
        let way = "Every shumpus is a rempus. Every rempus is a rorpus.";
        assert_eq!(call("path", "shumpus,RORPUS"), way);
        assert_eq!(call("path", "rorpus, Alex"), NONE);
        assert_eq!(call("path", "Alex, Alex"), NONE);
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let graph = graph(FACTS);
        let said = |action, argument| graph.call(action, argument).unwrap_err().to_string();
        assert_eq!(said("path", "Alex, lempus"), "unknown: lempus");
        assert_eq!(said("neighbours", ""), "unknown: ");
        assert_eq!(said("path", "Alex"), "path[X, Y] takes two names");
        assert_eq!(said("neighbours", "Alex, Tom"), "neighbours[X] takes one name");
        assert!(said("Search", "Alex").starts_with("invalid action: Search; "));
    }

    #[test]
    fn circles_and_repetitions_do_no_harm() {
        let graph = graph("a is a b. b is a c.\nb is a c.\nc is a a. c is a d");
        assert_eq!(graph.path("a", "d").unwrap(), "a is a b. b is a c. c is a d.");
        assert_eq!(graph.neighbours("b").unwrap(), "c");
        assert_eq!((graph.fact_count(), graph.not_facts().len()), (4, 0));
    }

    #[test]
    fn what_is_no_fact_is_kept_apart() {
        let text = format!("{FACTS} Is Tom a lempus or scrompus?");
        let graph = graph(&text);
        assert_eq!(graph.fact_count(), 6);
        assert_eq!(graph.not_facts(), ["Is Tom a lempus or scrompus?"]);
        assert_eq!(apart(&text), (FACTS, "Is Tom a lempus or scrompus?"));
        assert_eq!(apart(FACTS), (FACTS, ""));
        assert_eq!(apart(" Who? A is a b. "), ("", "Who? A is a b."));
        let odd = "Alex is rempus. Nobody is not a cat. is a b. A is a b, c. v1.2 is a release.";
        let graph = Graph::parse(odd).unwrap();
        assert_eq!(graph.fact_count(), 1);
        assert_eq!(graph.neighbours("v1.2").unwrap(), "release");
    }

    #[test]
    fn sizes_are_bounded() {
        let many: String = (0..=MAX_FACTS).map(|number| format!("n{number} is a x. ")).collect();
        assert_eq!(Graph::parse(&many).unwrap_err(), GraphError::TooMany);
        assert_eq!(Graph::parse(&" ".repeat(MAX_TEXT_BYTES + 1)).unwrap_err(), GraphError::TooLong);
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(graph(&format!("{long} is a y.")).fact_count(), 0);
        let known = graph("a is a b.");
        assert!(known.neighbours(&"x".repeat(1 << 16)).unwrap_err().to_string().len() < 200);
    }

    /// Hops of the shortest way, the obvious way: sets of what is reached.
    fn hops(edges: &[(u8, u8)], from: u8, to: u8) -> Option<usize> {
        let mut reached = std::collections::BTreeSet::from([from]);
        for count in 1..=edges.len() {
            let next = edges.iter().filter(|(start, _)| reached.contains(start)).map(|edge| edge.1);
            let next: std::collections::BTreeSet<u8> = next.collect();
            if next.contains(&to) && from != to {
                return Some(count);
            }
            reached.extend(next);
        }
        None
    }

    proptest! {
        #[test]
        fn ways_are_facts_and_the_shortest(
            edges in prop::collection::vec((0_u8..8, 0_u8..8), 1..20), from in 0_u8..8, to in 0_u8..8,
        ) {
            let said: Vec<String> = edges.iter().map(|(from, to)| format!("n{from} is a n{to}.")).collect();
            let graph = graph(&said.join(" "));
            match graph.path(&format!("n{from}"), &format!("n{to}")) {
                Ok(way) if way == NONE => prop_assert_eq!(hops(&edges, from, to), None),
                Ok(way) => {
                    let way: Vec<&str> = sentences(&way).collect();
                    prop_assert!(way.iter().all(|fact| said.iter().any(|said| said == fact)));
                    prop_assert_eq!(Some(way.len()), hops(&edges, from, to));
                    let (begin, end) = (format!("n{from} is"), format!("a n{to}."));
                    prop_assert!(way[0].starts_with(&begin) && way[way.len() - 1].ends_with(&end));
                    let joined = way.windows(2).all(|pair| {
                        fact(pair[0]).unwrap().1 == fact(pair[1]).unwrap().0
                    });
                    prop_assert!(joined);
                }
                Err(error) => {
                    let known = |node| edges.iter().any(|edge| edge.0 == node || edge.1 == node);
                    prop_assert!(!(known(from) && known(to)), "{}", error);
                }
            }
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            let graph = graph(&text);
            let (facts, rest) = apart(&text);
            prop_assert!(text.contains(facts) && text.contains(rest));
            prop_assert!(graph.fact_count() + graph.not_facts().len() <= text.len());
        }
    }
}
