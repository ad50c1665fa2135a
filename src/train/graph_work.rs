//! What a run may learn from ProsQA graphs that are made on the way, as settings: every refusal names the field. Knows no
//! graph.

use crate::data::prosqa::generate::Config;
use crate::data::prosqa::generate::Generator;
use crate::train::counts::at_once;
use crate::train::counts::not_zero;
use crate::train::method::Method;
use serde::Deserialize;
use serde::Serialize;

/// Work on graphs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GraphWork {
    /// What is asked about them.
    pub learn: Learn,
    /// Smallest and largest number of nodes; each pair for an equal share of the steps. Empty: as published.
    #[serde(default)]
    pub nodes: Vec<[usize; 2]>,
    /// Share of graphs that are as published whatever `nodes` says.
    #[serde(default)]
    pub published: f64,
    /// Graphs of a batch.
    pub graphs: usize,
    /// Batches.
    pub steps: usize,
}

/// What is asked about a graph.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Learn {
    /// Every node placed after the graph says its children: each with the same probability.
    Children,
    /// Every node placed after the graph says its children, and after `a`, as facts end, its parents.
    Neighbours,
    /// Children again, within the sentence of a fact, where the node is named and where its child would be: what it takes
    /// to write a fact down.
    Facts,
    /// A node that is named first, then another from which it is reached: that one says where a shortest way begins.
    Ways {
        /// Pairs of each graph.
        per_graph: usize,
    },
    /// Two nodes that are named as questions do; then a third, which leads to one of them and says where a shortest way
    /// begins.
    Turns(Turns),
    /// Every node is thought about on its own: the k-th thought says the nodes that k hops lead to.
    Chains {
        /// Thoughts of each.
        hops: usize,
    },
    /// Questions with thoughts, and their answers.
    Questions(GraphQuestions),
    /// Questions as a file would have them, taught by a method. No graph is seen twice in a run; runs with the same seed see
    /// the same ones.
    Method(MethodQuestions),
}

/// Nodes with children that are nearer to what is asked about and children that are not.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    /// Turns of each graph.
    pub per_graph: usize,
    /// Fewest hops to what is asked about.
    pub min_hops: usize,
    /// Most hops to it; where absent, any.
    #[serde(default)]
    pub max_hops: Option<usize>,
    /// The two names say from where they are reached in so many hops or fewer; nothing where 0.
    #[serde(default)]
    pub ancestors: usize,
}

impl Turns {
    /// How many there may be to what is asked about.
    pub(crate) fn hops(&self) -> std::ops::RangeInclusive<usize> {
        self.min_hops..=self.max_hops.unwrap_or(usize::MAX)
    }

    fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        at_once(("objective.graphs.learn.turns.per_graph", self.per_graph))?;
        at_once(("objective.graphs.learn.turns.min_hops", self.min_hops))?;
        match self.max_hops {
            Some(most) if most < self.min_hops => {
                let reason = format!("is {most}, less than `min_hops`");
                Err(("objective.graphs.learn.turns.max_hops", reason))
            }
            _ => Ok(()),
        }
    }
}

/// Questions about graphs, by one of the methods for files.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MethodQuestions {
    /// How the model is taught; not in dialogues with tools, which take a file.
    pub method: Method,
    /// Questions about each graph.
    pub per_graph: usize,
    /// Fewest hops to what is asked about.
    pub min_hops: usize,
    /// The steps as so many epochs, for methods that count them.
    #[serde(default = "one")]
    pub epochs: usize,
}

fn one() -> usize {
    1
}

impl MethodQuestions {
    fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        let counts = [
            ("objective.graphs.learn.method.per_graph", self.per_graph),
            ("objective.graphs.learn.method.min_hops", self.min_hops),
            ("objective.graphs.learn.method.epochs", self.epochs),
        ];
        counts.into_iter().try_for_each(at_once)?;
        match self.method.form() {
            Some(_) => {
                let reason = "has dialogues with tools, which take a file of questions".to_owned();
                Err(("objective.graphs.learn.method.method", reason))
            }
            None => self.method.check(),
        }
    }
}

/// Questions about graphs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GraphQuestions {
    /// Questions about each graph.
    pub per_graph: usize,
    /// Thoughts of each.
    pub latent_steps: usize,
    /// Weight of what thoughts should say: the k-th, the nodes that k hops lead to. 0 is the paper's objective.
    pub thought_weight: f32,
    /// Weight of the one token of the answer that cannot be known without the graph; the others have 1.
    pub answer_weight: f32,
    /// Fewest hops to what is asked about.
    pub min_hops: usize,
}

impl GraphQuestions {
    fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        let counts = [
            ("objective.graphs.learn.questions.per_graph", self.per_graph),
            ("objective.graphs.learn.questions.min_hops", self.min_hops),
            // None is possible, too.
            ("objective.graphs.learn.questions.latent_steps", self.latent_steps.max(1)),
        ];
        counts.into_iter().try_for_each(at_once)?;
        let weights = [
            ("objective.graphs.learn.questions.thought_weight", self.thought_weight),
            ("objective.graphs.learn.questions.answer_weight", self.answer_weight),
        ];
        let usable = |weight: f32| weight >= 0.0 && weight.is_finite();
        match weights.into_iter().find(|(_, weight)| !usable(*weight)) {
            Some((field, weight)) => Err((field, format!("is {weight}, which is no weight"))),
            None => Ok(()),
        }
    }
}

impl GraphWork {
    /// Says which field cannot be used.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        at_once(("objective.graphs.graphs", self.graphs))?;
        not_zero(("objective.graphs.steps", self.steps))?;
        if !(0.0..=1.0).contains(&self.published) {
            return Err(("objective.graphs.published", "is no share".to_owned()));
        }
        self.check_learnt()?;
        let can_be_made = |nodes: Option<&[usize; 2]>| match Generator::new(self.config(nodes)) {
            Ok(_) => Ok(()),
            Err(error) => Err(("objective.graphs.nodes", format!("cannot be: {error}"))),
        };
        self.nodes.iter().map(Some).chain([None]).try_for_each(can_be_made)
    }

    fn check_learnt(&self) -> std::result::Result<(), (&'static str, String)> {
        match &self.learn {
            Learn::Children | Learn::Neighbours | Learn::Facts => Ok(()),
            Learn::Ways { per_graph } => {
                at_once(("objective.graphs.learn.ways.per_graph", *per_graph))
            }
            Learn::Turns(turns) => turns.check(),
            Learn::Chains { hops } => at_once(("objective.graphs.learn.chains.hops", *hops)),
            Learn::Questions(questions) => questions.check(),
            Learn::Method(questions) => questions.check(),
        }
    }

    /// Graphs of so many nodes; as published where nothing says how many.
    pub fn config(&self, nodes: Option<&[usize; 2]>) -> Config {
        let min_hops = match &self.learn {
            Learn::Questions(questions) => questions.min_hops,
            Learn::Method(questions) => questions.min_hops,
            _ => 2,
        };
        match nodes {
            Some(&[fewest, most]) => Config { min_hops, ..Config::within(fewest..=most) },
            None => Config { min_hops, ..Config::published() },
        }
    }

    /// The method of questions that are as in a file.
    pub fn method(&self) -> Option<&Method> {
        match &self.learn {
            Learn::Method(questions) => Some(&questions.method),
            _ => None,
        }
    }

    /// Into how many epochs the steps are divided.
    pub fn epochs(&self) -> usize {
        match &self.learn {
            Learn::Method(questions) => questions.epochs,
            _ => 1,
        }
    }
}
