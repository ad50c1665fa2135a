//! `neighbours[X]` and `path[X, Y]` over the facts that came with the question. Knows how these actions are called; what a
//! fact is and what follows from it, the graph knows.

use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::graph::Graph;
use crate::tools::graph::GraphError;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use std::time::Instant;

/// Where one fact leads, and from whom.
const NEIGHBOURS: (&str, [&str; 1]) = ("neighbours", ["name"]);

/// How facts lead from one name to another.
const PATH: (&str, [&str; 2]) = ("path", ["from", "to"]);

/// Asks the facts of the request.
#[derive(Clone, Copy, Debug)]
pub struct Facts;

impl Tool for Facts {
    fn declarations(&self) -> Vec<Declaration> {
        let neighbours = "Says what a name is by one fact: all names that one step leads to.";
        let path = "Gives the facts of the shortest way from one name to another, or none.";
        let [name] = NEIGHBOURS.1;
        let [from, to] = PATH.1;
        let name = [(name, "A name in the facts")];
        let ends = [(from, "The name to begin at"), (to, "The name to arrive at")];
        vec![
            Declaration::of_texts(NEIGHBOURS.0, neighbours, &name),
            Declaration::of_texts(PATH.0, path, &ends),
        ]
    }

    fn run(&self, call: &Call, given: &mut Given, _: Instant) -> Result<String, String> {
        let facts = given.facts.as_deref().ok_or("no facts came with the question")?;
        let graph = Graph::parse(facts).map_err(|error| error.to_string())?;
        let answer = if call.name == NEIGHBOURS.0 {
            let [name] = call.argument.texts(NEIGHBOURS.1)?;
            graph.neighbours(&name)
        } else {
            let [from, to] = call.argument.texts(PATH.1)?;
            graph.path(&from, &to)
        };
        // That a name is not in the facts is what they say about it.
        answer.or_else(|error| match error {
            GraphError::Unknown(_) => Ok(error.to_string()),
            error => Err(error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::call::Argument;
    use serde_json::json;

    #[test]
    fn facts_are_asked_in_both_forms_of_a_call() {
        let facts = "Alex is a rempus. Every rempus is a zumpus.";
        let mut given = Given { facts: Some(facts.into()), ..Given::default() };
        let mut ask = |name: &str, argument: Argument| {
            let call = Call { name: name.to_owned(), argument };
            Facts.run(&call, &mut given, Instant::now())
        };
        let object = json!({"from": "Alex", "to": "zumpus"});
        let object = object.as_object().unwrap().clone();
        assert_eq!(ask("path", Argument::Object(object)).unwrap(), facts);
        assert_eq!(ask("neighbours", Argument::Text("Alex".to_owned())).unwrap(), "rempus");
        assert!(ask("path", Argument::Text("Alex".to_owned())).unwrap_err().contains("from, to"));
        assert_eq!(ask("neighbours", Argument::Text("Tom".to_owned())).unwrap(), "unknown: Tom");
        let call = Call { name: "path".to_owned(), argument: Argument::Text("a, b".to_owned()) };
        let without = Facts.run(&call, &mut Given::default(), Instant::now());
        assert!(without.unwrap_err().contains("no facts"));
    }
}
