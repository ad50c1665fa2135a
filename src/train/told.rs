//! A ProsQA graph in words and ids, and all that is asked about it as training sequences that share what the graph says.
//! Entities and concepts have new names in every graph. Knows no batch, no tensor.

use crate::data::prosqa::graph::Graph;
use crate::data::prosqa::graph::Query;
use crate::data::prosqa::record::Record;
use crate::data::prosqa::record::facts;
use crate::data::prosqa::record::sentence;
use crate::data::prosqa::record::symbols;
use crate::model::gradients::cross_entropy::Distribution;
use crate::text::Tokenizer;
use crate::train::encoded::Encoded;
use crate::train::encoded::Special;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::graph_work::GraphQuestions;
use crate::train::graph_work::MethodQuestions;
use crate::train::graph_work::Turns;
use crate::train::sequence::Sequence;
use rand::Rng;
use rand::seq::IndexedRandom as _;
use rand::seq::IteratorRandom as _;
use rand::seq::SliceRandom as _;

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
pub(crate) struct Told {
    graph: Graph,
    query: Query,
    symbols: Vec<&'static str>,
    /// The id of each node's word.
    ids: Vec<u32>,
    /// All sentences, in random order.
    known: Vec<String>,
    /// What all that is asked goes on from: the sentences in ids.
    pub(crate) prefix: Vec<u32>,
}

impl Told {
    pub(crate) fn new(
        graph: Graph,
        query: Query,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Self> {
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
    pub(crate) fn children(&self) -> Vec<Sequence> {
        let says = |node| says(&[self.ids[node]], self.uniform(self.graph.children(node)));
        self.inner().map(says).collect()
    }

    /// The same, and every node that has parents, each to say them behind the word that comes before it in facts.
    pub(crate) fn neighbours(&self, words: &Words<'_>) -> Result<Vec<Sequence>> {
        let before = words.word("a")?;
        let says = |node| says(&[before, self.ids[node]], self.uniform(&self.graph.parents(node)));
        let mut all = self.children();
        all.extend(self.graph.nodes().filter(|&node| !self.graph.is_entity(node)).map(says));
        Ok(all)
    }

    /// Every node that has children, in the words of a fact up to the child.
    pub(crate) fn facts(&self, words: &Words<'_>) -> Result<Vec<Sequence>> {
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
    pub(crate) fn ways(&self, count: usize, random: &mut impl Rng) -> Vec<Sequence> {
        let pairs: Vec<(usize, usize)> = self.pairs().collect();
        let way = |&(from, to): &(usize, usize)| {
            says(&[self.ids[to], self.ids[from]], self.uniform(&self.graph.towards(from, to)))
        };
        (0..count).filter_map(|_| pairs.choose(random)).map(way).collect()
    }

    /// Turns at random, any with the same probability: two named as in a question, a node from which one of them is
    /// reached, and the children there that are nearer. Not where all are, or where both are reached.
    pub(crate) fn turns(
        &self,
        work: &Turns,
        words: &Words<'_>,
        random: &mut impl Rng,
    ) -> Result<Vec<Sequence>> {
        let mut turns = Vec::new();
        for (from, to) in self.pairs() {
            let (nearer, hops) = (self.graph.towards(from, to), self.graph.hops(from));
            let never = |&node: &usize| hops[node].is_none() && !self.graph.is_entity(node);
            let other = self.graph.nodes().filter(never).choose(random);
            let is_turn = nearer.len() < self.graph.children(from).len();
            let is_asked = hops[to].is_some_and(|hops| work.hops().contains(&hops));
            if let Some(other) = other.filter(|_| is_turn && is_asked) {
                let mut named = [to, other];
                named.shuffle(random);
                turns.push((named, from, nearer));
            }
        }
        let [a, or] = [words.word("a")?, words.word("or")?];
        let turn = |([one, other], from, nearer): &([usize; 2], usize, Vec<usize>)| {
            let mut sequence = Sequence::default();
            for (word, name) in [(a, *one), (or, *other)] {
                sequence.feed(&[word, self.ids[name]]);
                if work.ancestors > 0 {
                    let back = self.graph.ancestors(name, work.ancestors);
                    sequence.expect(self.uniform(&back), 1.0);
                }
            }
            sequence.feed(&[self.ids[*from]]);
            sequence.expect(self.uniform(nearer), 1.0);
            sequence
        };
        Ok((0..work.per_graph).filter_map(|_| turns.choose(random)).map(turn).collect())
    }

    /// Nodes with children, and all that each leads to.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.inner().flat_map(|from| {
            let hops = self.graph.hops(from);
            let reached = self.graph.nodes().filter(move |&to| to != from && hops[to].is_some());
            reached.map(move |to| (from, to))
        })
    }

    /// Every node that has children, the start marker, and `hops` thoughts.
    pub(crate) fn chains(&self, hops: usize, words: &Words<'_>) -> Vec<Sequence> {
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

    pub(crate) fn questions(
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
    pub(crate) fn by_method(
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
                let (record, way) =
                    Record::after(&self.known, &self.graph, query, &self.symbols, random);
                let encoded = work.method.encode(&record.example(), words.tokenizer, words.eos)?;
                Ok(Encoded { nodes: way.iter().map(|&node| self.ids[node]).collect(), ..encoded })
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

/// Ids, and what is to be said behind them.
fn says(ids: &[u32], what: Distribution) -> Sequence {
    let mut sequence = Sequence::default();
    sequence.feed(ids);
    sequence.expect(what, 1.0);
    sequence
}

/// What two lists begin with, both.
fn common<'a>(one: &'a [u32], other: &[u32]) -> &'a [u32] {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    &one[..same]
}
