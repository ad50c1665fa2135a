//! Objectives on ProsQA graphs that are made on the way: what a small model needs to learn to search before the paper's
//! objective can teach it anything. Every graph is read once, and all that is asked about it shares that prefix.
//! Entities and concepts have new names in every graph. Knows graphs and ids, no tensor.

use crate::data::prosqa::generate::Config as GraphConfig;
use crate::data::prosqa::generate::Generator;
use crate::data::prosqa::graph::Graph;
use crate::data::prosqa::graph::Query;
use crate::data::prosqa::record::Record;
use crate::data::prosqa::record::facts;
use crate::data::prosqa::record::sentence;
use crate::data::prosqa::record::symbols;
use crate::model::gradients::cross_entropy::Distribution;
use crate::text::Tokenizer;
use crate::train::batch::Batch;
use crate::train::counts::at_once;
use crate::train::encoded::Encoded;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::method::Method;
use crate::train::method::Special;
use crate::train::sequence::Sequence;
use rand::Rng;
use rand::seq::IndexedRandom as _;
use rand::seq::SliceRandom as _;
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
    /// Every node is thought about on its own: the k-th thought says the nodes that k hops lead to.
    Chains {
        /// Thoughts of each.
        hops: usize,
    },
    /// Questions with thoughts, and their answers.
    Questions(GraphQuestions),
    /// Questions as a file would have them, taught by a method: no graph is seen twice.
    Method(MethodQuestions),
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
        if !(0.0..=1.0).contains(&self.published) {
            return Err(("objective.graphs.published", "is no share".to_owned()));
        }
        match &self.learn {
            Learn::Children | Learn::Neighbours | Learn::Facts => Ok(()),
            Learn::Ways { per_graph } => {
                at_once(("objective.graphs.learn.ways.per_graph", *per_graph))
            }
            Learn::Chains { hops } => at_once(("objective.graphs.learn.chains.hops", *hops)),
            Learn::Questions(questions) => questions.check(),
            Learn::Method(questions) => questions.check(),
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

    /// The graphs of a step.
    fn generator(&self, step: usize, random: &mut impl Rng) -> Result<Generator> {
        let min_hops = match &self.learn {
            Learn::Questions(questions) => questions.min_hops,
            Learn::Method(questions) => questions.min_hops,
            _ => 2,
        };
        let share = step * self.nodes.len() / self.steps.max(1);
        let config = match self.nodes.get(share.min(self.nodes.len().saturating_sub(1))) {
            Some(&[fewest, most]) if !random.random_bool(self.published) => {
                GraphConfig { min_hops, ..GraphConfig::within(fewest..=most) }
            }
            _ => GraphConfig { min_hops, ..GraphConfig::published() },
        };
        Ok(Generator::new(config)?)
    }

    /// The batch of a step, at a stage of the method's curriculum.
    ///
    /// # Errors
    /// If no such graphs exist, or the tokenizer is not made for them.
    pub fn batch(
        &self,
        step: usize,
        stage: usize,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Batch> {
        let mut told = Vec::new();
        for _ in 0..self.graphs {
            let (graph, query) = self.generator(step, random)?.draw(random)?;
            told.push(Told::new(graph, query, words, random)?);
        }
        let asked: Vec<Vec<Sequence>> = told
            .iter_mut()
            .map(|told| match &self.learn {
                Learn::Children => Ok(told.children()),
                Learn::Neighbours => told.neighbours(words),
                Learn::Facts => told.facts(words),
                Learn::Ways { per_graph } => Ok(told.ways(*per_graph, random)),
                Learn::Chains { hops } => Ok(told.chains(*hops, words)),
                Learn::Questions(questions) => told.questions(questions, words, random),
                Learn::Method(questions) => told.by_method(questions, stage, words, random),
            })
            .collect::<Result<_>>()?;
        // As many for each graph: smaller ones are asked the same again.
        let fan = asked.iter().map(Vec::len).max().unwrap_or(0);
        let sequences = asked.iter().flat_map(|asked| asked.iter().cycle().take(fan).cloned());
        let mut sequences: Vec<Sequence> = sequences.collect();
        balance(&mut sequences);
        Ok(Batch { prefixes: told.into_iter().map(|told| told.prefix).collect(), sequences })
    }
}

/// Gives the hops weights that lie halfway between every target alike and every hop alike: most nodes are a hop or two
/// from a leaf, and later hops would hardly count.
fn balance(sequences: &mut [Sequence]) {
    let mut counts: Vec<usize> = Vec::new();
    for sequence in sequences.iter_mut() {
        let hops = sequence.searched().count();
        counts.resize(counts.len().max(hops), 0);
        counts.iter_mut().take(hops).for_each(|count| *count += 1);
    }
    let most = counts.iter().copied().max().unwrap_or(0) as f32;
    for sequence in sequences {
        for (target, &count) in sequence.searched().zip(&counts) {
            target.weight *= (most / count as f32).sqrt();
        }
    }
}

/// Text to ids.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// One token a word.
    pub tokenizer: &'a Tokenizer,
    /// The ids that are no text.
    pub special: Special,
    /// The text of the end-of-sequence token.
    pub eos: &'a str,
}

impl Words<'_> {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(text, false)?)
    }

    /// The id of a node's word.
    fn word(&self, symbol: &str) -> Result<u32> {
        self.tokenizer.id(symbol).ok_or_else(|| Error::Field {
            field: "tokenizer",
            reason: format!("has no token `{symbol}`; graphs are told in one token a word"),
        })
    }
}

/// A graph in words.
struct Told {
    graph: Graph,
    query: Query,
    symbols: Vec<&'static str>,
    /// The id of each node's word.
    ids: Vec<u32>,
    /// All sentences, in random order.
    known: Vec<String>,
    /// What all that is asked goes on from: the sentences in ids.
    prefix: Vec<u32>,
}

impl Told {
    fn new(graph: Graph, query: Query, words: &Words<'_>, random: &mut impl Rng) -> Result<Self> {
        let symbols = symbols(&graph, random);
        let known = facts(&graph, &symbols, random);
        let prefix = words.encode(&known.join(" "))?;
        let ids = symbols.iter().map(|symbol| words.word(symbol)).collect::<Result<_>>()?;
        Ok(Self { graph, query, symbols, ids, known, prefix })
    }

    /// The nodes of a layer, any with the same probability.
    fn uniform(&self, nodes: &[usize]) -> Distribution {
        Distribution::Uniform(nodes.iter().map(|&node| self.ids[node]).collect())
    }

    /// Every node that has children, each to say them.
    fn children(&self) -> Vec<Sequence> {
        let says = |node: usize| {
            let mut sequence = Sequence::default();
            sequence.feed(&[self.ids[node]]);
            sequence.expect(self.uniform(self.graph.children(node)), 1.0);
            sequence
        };
        self.inner().map(says).collect()
    }

    /// The same, and every node that has parents, each to say them behind the word that comes before it in facts.
    fn neighbours(&self, words: &Words<'_>) -> Result<Vec<Sequence>> {
        let before = words.word("a")?;
        let says = |node: usize| {
            let mut sequence = Sequence::default();
            sequence.feed(&[before, self.ids[node]]);
            sequence.expect(self.uniform(&self.graph.parents(node)), 1.0);
            sequence
        };
        let mut all = self.children();
        all.extend(self.graph.nodes().filter(|&node| !self.graph.is_entity(node)).map(says));
        Ok(all)
    }

    /// Every node that has children, in the words of a fact up to the child.
    fn facts(&self, words: &Words<'_>) -> Result<Vec<Sequence>> {
        let begun = |node: usize| {
            let child = self.graph.children(node)[0];
            let mut ids = words.encode(&sentence(&self.graph, &self.symbols, [node, child]))?;
            ids.truncate(ids.iter().position(|&id| id == self.ids[child]).unwrap_or(ids.len()));
            let children = self.uniform(self.graph.children(node));
            let mut sequence = Sequence::default();
            for id in ids {
                sequence.feed(&[id]);
                if id == self.ids[node] {
                    sequence.expect(children.clone(), 1.0);
                }
            }
            sequence.expect(children, 1.0);
            Ok(sequence)
        };
        self.inner().map(begun).collect()
    }

    /// Pairs at random, any with the same probability: the end of a way, a node that it can be reached from, and there
    /// the children that are nearer.
    fn ways(&self, count: usize, random: &mut impl Rng) -> Vec<Sequence> {
        let pairs: Vec<(usize, usize)> = self
            .inner()
            .flat_map(|from| {
                let hops = self.graph.hops(from);
                self.graph
                    .nodes()
                    .filter(move |&to| to != from && hops[to].is_some())
                    .map(move |to| (from, to))
            })
            .collect();
        let way = |&(from, to): &(usize, usize)| {
            let mut sequence = Sequence::default();
            sequence.feed(&[self.ids[to], self.ids[from]]);
            sequence.expect(self.uniform(&self.graph.towards(from, to)), 1.0);
            sequence
        };
        (0..count).filter_map(|_| pairs.choose(random)).map(way).collect()
    }

    /// Every node that has children, the start marker, and `hops` thoughts.
    fn chains(&self, hops: usize, words: &Words<'_>) -> Vec<Sequence> {
        let chain = |node: usize| {
            let mut sequence = Sequence::default();
            sequence.feed(&[self.ids[node], words.special.start]);
            self.search(&mut sequence, node, hops, 1.0);
            sequence
        };
        self.inner().map(chain).collect()
    }

    fn inner(&self) -> impl Iterator<Item = usize> {
        self.graph.nodes().filter(|&node| !self.graph.is_leaf(node))
    }

    /// Thoughts after the start marker: the marker says `from`, the k-th thought the nodes that k hops lead to.
    fn search(&self, sequence: &mut Sequence, from: usize, thoughts: usize, weight: f32) {
        let frontiers = self.graph.frontiers(from);
        for hop in 0..=thoughts {
            if hop > 0 {
                sequence.think(1);
            }
            if let Some(frontier) = frontiers.get(hop).filter(|_| weight > 0.0) {
                sequence.expect(self.uniform(frontier), weight);
            }
        }
    }

    fn questions(
        &self,
        work: &GraphQuestions,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Vec<Sequence>> {
        let asked = self.queries(work.per_graph, work.min_hops, random);
        asked.into_iter().map(|query| self.question(work, query, words, random)).collect()
    }

    /// What is asked, at random.
    fn queries(&self, count: usize, min_hops: usize, random: &mut impl Rng) -> Vec<Query> {
        let mut queries = self.graph.queries(min_hops);
        queries.push(self.query);
        let asked = (0..count).map(|_| queries.choose(random).copied());
        asked.map(|query| query.unwrap_or(self.query)).collect()
    }

    /// Questions as a file would have them. What they begin with, all alike, is the prefix.
    fn by_method(
        &mut self,
        work: &MethodQuestions,
        stage: usize,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Vec<Sequence>> {
        let queries = self.queries(work.per_graph, work.min_hops, random);
        let mut encoded = queries
            .into_iter()
            .map(|query| {
                let record = Record::after(&self.known, &self.graph, query, &self.symbols, random);
                Ok(work.method.encode(&record.example(), words.tokenizer, words.eos)?)
            })
            .collect::<Result<Vec<Encoded>>>()?;
        self.prefix =
            encoded.iter().map(|each| &each.question[..]).reduce(common).unwrap_or(&[]).to_vec();
        // The first word of an answer is learnt at the last of the question.
        self.prefix.pop();
        let shared = self.prefix.len();
        let mut sequence = |encoded: &mut Encoded| {
            encoded.question.drain(..shared);
            work.method.sequence(encoded, stage, words.special, random)
        };
        Ok(encoded.iter_mut().map(&mut sequence).collect())
    }

    fn question(
        &self,
        work: &GraphQuestions,
        query: Query,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Sequence> {
        let mut choices = [self.symbols[query.target], self.symbols[query.neg_target]];
        choices.shuffle(random);
        let [one, other] = choices;
        let root = self.symbols[query.root];
        let mut sequence = Sequence::default();
        sequence.feed(&words.encode(&format!(" Is {root} a {one} or {other}?\n"))?);
        sequence.feed(&[words.special.start]);
        self.search(&mut sequence, query.root, work.latent_steps, work.thought_weight);
        sequence.feed(&[words.special.end]);
        let answer = words.encode(&format!("### {root} is a {}.", self.symbols[query.target]))?;
        sequence.learn(&[&answer[..], &[words.special.eos]].concat());
        let informative = Distribution::Token(self.ids[query.target]);
        for (_, target) in &mut sequence.targets {
            if target.distribution == informative {
                target.weight = work.answer_weight;
            }
        }
        Ok(sequence)
    }
}

/// What two lists begin with, both.
fn common<'a>(one: &'a [u32], other: &[u32]) -> &'a [u32] {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    &one[..same]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(hops: usize) -> Sequence {
        let mut sequence = Sequence::default();
        for hop in 0..hops {
            sequence.think(1);
            sequence.expect(Distribution::Uniform([hop as u32].into()), 2.0);
        }
        sequence.learn(&[7]);
        sequence
    }

    #[test]
    fn rare_hops_weigh_more() {
        let mut sequences: Vec<Sequence> = [1, 1, 1, 2].map(search).into();
        balance(&mut sequences);
        let weights: Vec<f32> =
            sequences[3].targets.iter().map(|(_, target)| target.weight).collect();
        assert_eq!(weights, [2.0, 4.0, 1.0], "one sequence of four has a second hop");
        assert_eq!(sequences[0].targets[0].1.weight, 2.0);
    }
}
