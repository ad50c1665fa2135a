//! `coconut generate-data react`: dialogues of thoughts, actions and observations, from graphs drawn at random or from a
//! file of questions. Flags and files; how a question is answered with tools is known below.

use crate::cli::counts::count;
use crate::cli::generate_data::out::MAX_QUESTIONS;
use crate::cli::generate_data::out::bar;
use crate::cli::generate_data::out::json_form;
use crate::cli::generate_data::out::opened;
use crate::cli::generate_data::out::parse_range;
use crate::cli::generate_data::out::report;
use crate::cli::generate_data::out::tell;
use crate::data::error::Error;
use crate::data::fields::Steps;
use crate::data::fields::Wanted;
use crate::data::prosqa::generate::Config;
use crate::data::prosqa::generate::Generator;
use crate::data::prosqa::record::Record as Question;
use crate::data::prosqa::record::symbols;
use crate::data::questions::Skipped;
use crate::data::react::Facts;
use crate::data::react::Record;
use crate::data::react::graphs::with_fewer_facts;
use crate::data::react::record;
use crate::data::react::stats::Statistics;
use crate::data::write::Writer;
use anyhow::ensure;
use clap::Args;
use clap::ValueEnum;
use clap::value_parser;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ReactArgs {
    /// Questions to find dialogues for instead of drawing graphs: ProsQA's in any form that is read, with the graph in the
    /// words of the question, or steps with equations such as <<48/2=24>> (GSM8K, GSM8K-Aug).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "seed", "fewer_facts", "nodes", "min_hops"])]
    from: Option<PathBuf>,
    /// How many questions.
    #[arg(
        long, value_name = "N", value_parser = value_parser!(u64).range(0..=MAX_QUESTIONS),
        required_unless_present = "from"
    )]
    count: Option<u64>,
    /// The same seed gives the same questions, on every machine.
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Where the facts of a graph are: only in the tool, or in the question too.
    #[arg(long, value_enum, default_value = "tool")]
    facts: FactsArg,
    /// Of so many questions in a hundred, the tool knows less: only the way to the answer, so that the other candidate is
    /// unknown, or no way at all, so that the answer is none.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = value_parser!(u32).range(0..=100))]
    fewer_facts: u32,
    /// Numbers of nodes of the graphs, both ends included, such as 8..12. [default: as published, 23 on average]
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    nodes: Option<RangeInclusive<usize>>,
    /// Fewest hops from the entity to the answer. [default: 3, with --nodes 2]
    #[arg(long, value_name = "N", value_parser = count(1..=Generator::MAX_NODES))]
    min_hops: Option<usize>,
    /// File to write; - for standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write a JSON object a line instead of one list.
    #[arg(long)]
    jsonl: bool,
    /// With --from: stop at the first row without a dialogue. Without this such rows are left out, counted and named.
    #[arg(long)]
    strict: bool,
    /// Print numbers of rounds and actions, and how often nothing was found.
    #[arg(long)]
    stats: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FactsArg {
    /// Left out of the question: without the tool there is no answer.
    Tool,
    /// In the question.
    Question,
}

/// Dialogues on their way to a file.
struct Dialogues {
    facts: Facts,
    writer: Writer,
    statistics: Statistics,
}

impl ReactArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let facts = match self.facts {
            FactsArg::Tool => Facts::Tool,
            FactsArg::Question => Facts::Question,
        };
        let writer = Writer::create(&self.out, json_form(self.jsonl))?;
        let mut dialogues = Dialogues { facts, writer, statistics: Statistics::default() };
        match &self.from {
            Some(from) => self.convert(from, &mut dialogues)?,
            None => self.draw(&mut dialogues)?,
        }
        let Dialogues { writer, statistics, .. } = dialogues;
        report(writer.finish()?, &self.out)?;
        match self.stats {
            true => tell(format_args!("{statistics}")),
            false => Ok(()),
        }
    }

    fn draw(&self, dialogues: &mut Dialogues) -> anyhow::Result<()> {
        let mut config = self.nodes.clone().map_or_else(Config::published, Config::within);
        config.min_hops = self.min_hops.unwrap_or(config.min_hops);
        let generator = Generator::new(config)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let count = self.count.unwrap_or(0);
        for number in bar(count).wrap_iter(1..=count) {
            let (graph, query) = generator.draw(&mut rng)?;
            let symbols = symbols(&graph, &mut rng);
            let question = Question::new(&graph, query, &symbols, &mut rng).example();
            let question = match rng.random_range(0..100) < self.fewer_facts {
                true => with_fewer_facts(question, &mut rng),
                false => question,
            };
            // What was drawn has an answer; if not, nothing of the file is to be trusted.
            let wrong = |reason| Error::Impossible(format!("question {number}: {reason}"));
            dialogues.add(&record(&question, dialogues.facts).map_err(wrong)?)?;
        }
        Ok(())
    }

    fn convert(&self, from: &Path, dialogues: &mut Dialogues) -> anyhow::Result<()> {
        let wanted = Wanted { steps: Steps::Read, ..Wanted::default() };
        let mut skipped = Skipped::default();
        let mut examples = opened(from, &wanted)?;
        let mut number = 0;
        while let Some(example) = examples.next() {
            number += 1;
            let (path, line) = (from.to_owned(), examples.begun_line());
            let wrong = |reason| Error::Malformed { path, line, number, reason };
            match example.and_then(|example| record(&example, dialogues.facts).map_err(wrong)) {
                Ok(record) => dialogues.add(&record)?,
                Err(error) if self.strict => return Err(error.into()),
                Err(error) => skipped.add(error)?,
            }
        }
        // With it goes the bar.
        drop(examples);
        if skipped.count > 0 {
            tell(format_args!("{}: {skipped}\n", from.display()))?;
        }
        ensure!(dialogues.writer.written() > 0, Error::Empty(from.to_owned()));
        Ok(())
    }
}

impl Dialogues {
    fn add(&mut self, record: &Record) -> Result<(), Error> {
        self.statistics.add(record);
        self.writer.json(record)
    }
}
