//! `coconut generate-data`: questions to train and evaluate on, and the tokenizer for them. Flags, files and what is
//! printed; what questions are is known below.

mod out;
mod react;

use crate::cli::counts::count;
use crate::cli::generate_data::out::MAX_QUESTIONS;
use crate::cli::generate_data::out::bar;
use crate::cli::generate_data::out::json_form;
use crate::cli::generate_data::out::opened;
use crate::cli::generate_data::out::parse_range;
use crate::cli::generate_data::out::report;
use crate::cli::generate_data::out::shown;
use crate::cli::generate_data::out::tell;
use crate::cli::generate_data::react::ReactArgs;
use crate::data::error::Error;
use crate::data::fields::Steps;
use crate::data::fields::Wanted;
use crate::data::icot;
use crate::data::multiplication::MAX_DIGITS;
use crate::data::multiplication::Multiplications;
use crate::data::multiplication::Split;
use crate::data::prosqa::generate::Config;
use crate::data::prosqa::generate::Generator;
use crate::data::prosqa::record::Record;
use crate::data::prosqa::record::symbols;
use crate::data::prosqa::stats::Statistics;
use crate::data::prosqa::words;
use crate::data::questions::Skipped;
use crate::data::react::words as react_words;
use crate::data::write::Form;
use crate::data::write::Writer;
use crate::text::Tokenizer;
use crate::text::word_level::Words;
use anyhow::Context as _;
use anyhow::ensure;
use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use clap::value_parser;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Flags of `coconut generate-data`.
#[derive(Debug, Args)]
pub(super) struct GenerateDataArgs {
    #[command(subcommand)]
    data: Data,
}

#[derive(Debug, Subcommand)]
enum Data {
    /// ProsQA questions, as the Coconut paper constructs them.
    Prosqa(ProsqaArgs),
    /// Multiplications, as iCoT trains on them.
    Multiplication(MultiplicationArgs),
    /// GSM8K-Aug as JSON, from text lines (question||steps #### answer).
    Gsm8kAug(ConvertTextArgs),
    /// Dialogues of thoughts, actions and observations (ReAct).
    React(ReactArgs),
    /// A tokenizer for questions with few words.
    Tokenizer(TokenizerArgs),
}

#[derive(Debug, Args)]
struct OutArgs {
    /// How many questions.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(0..=MAX_QUESTIONS))]
    count: u64,
    /// The same seed gives the same questions, on every machine.
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// File to write; - for standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct ProsqaArgs {
    #[command(flatten)]
    out: OutArgs,
    /// Numbers of nodes of the graphs, both ends included, such as 8..12. [default: as published, 23 on average]
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    nodes: Option<RangeInclusive<usize>>,
    /// Fewest hops from the entity to the answer. [default: 3, with --nodes 2]
    #[arg(long, value_name = "N", value_parser = count(1..=Generator::MAX_NODES))]
    min_hops: Option<usize>,
    /// Write a JSON object a line instead of one list.
    #[arg(long)]
    jsonl: bool,
    /// Print what the Coconut paper tells of its questions: numbers of nodes, edges, hops, shortest paths.
    #[arg(long)]
    stats: bool,
}

#[derive(Debug, Args)]
struct MultiplicationArgs {
    #[command(flatten)]
    out: OutArgs,
    /// Digits of each factor, up to 18.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(MAX_DIGITS)))]
    digits: u32,
    /// Which part of all multiplications; no part has a question of another, whatever the seeds.
    #[arg(long, value_enum, default_value = "train")]
    split: SplitArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitArg {
    Train,
    Valid,
    Test,
}

#[derive(Debug, Args)]
struct ConvertTextArgs {
    /// Text lines to read, or questions in any other form that training reads.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// File to write; - for standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write a JSON object a line instead of one list.
    #[arg(long)]
    jsonl: bool,
    /// Stop at the first row that is no question. Without this such rows are left out, counted and named.
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Args)]
struct TokenizerArgs {
    /// The questions whose words it knows.
    #[arg(value_enum)]
    of: Vocabulary,
    /// File to write: tokenizer.json as Hugging Face reads it; - for standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Vocabulary {
    /// ProsQA.
    Prosqa,
    /// Dialogues about ProsQA's graphs.
    ProsqaReact,
}

impl GenerateDataArgs {
    /// Writes the file, and says what is in it.
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.data {
            Data::Prosqa(args) => args.run(),
            Data::Multiplication(args) => args.run(),
            Data::Gsm8kAug(args) => args.run(),
            Data::React(args) => args.run(),
            Data::Tokenizer(args) => args.run(),
        }
    }
}

impl ProsqaArgs {
    fn run(self) -> anyhow::Result<()> {
        let OutArgs { count, seed, out } = self.out;
        let mut config = self.nodes.map_or_else(Config::published, Config::within);
        config.min_hops = self.min_hops.unwrap_or(config.min_hops);
        let generator = Generator::new(config)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut statistics = Statistics::default();
        let mut writer = Writer::create(&out, json_form(self.jsonl))?;
        for _ in bar(count).wrap_iter(0..count) {
            let (graph, query) = generator.draw(&mut rng)?;
            let symbols = symbols(&graph, &mut rng);
            writer.json(&Record::new(&graph, query, &symbols, &mut rng))?;
            statistics.add(&graph, query);
        }
        report(writer.finish()?, &out)?;
        match self.stats {
            true => tell(format_args!("{statistics}")),
            false => Ok(()),
        }
    }
}

impl MultiplicationArgs {
    fn run(self) -> anyhow::Result<()> {
        let OutArgs { count, seed, out } = self.out;
        let split = match self.split {
            SplitArg::Train => Split::Train,
            SplitArg::Valid => Split::Valid,
            SplitArg::Test => Split::Test,
        };
        let mut questions = Multiplications::new(self.digits, split, seed)?;
        let mut writer = Writer::create(&out, Form::Text)?;
        for written in bar(count).wrap_iter(0..count) {
            let question = questions.next().with_context(|| {
                format!("--count {count}: there are only {written} with {} digits; ask for fewer, or for more --digits", self.digits)
            })?;
            writer.line(&icot::format(&question))?;
        }
        report(writer.finish()?, &out)
    }
}

impl ConvertTextArgs {
    fn run(self) -> anyhow::Result<()> {
        let mut writer = Writer::create(&self.out, json_form(self.jsonl))?;
        let mut skipped = Skipped::default();
        let wanted = Wanted { steps: Steps::Read, ..Wanted::default() };
        for example in opened(&self.from, &wanted)? {
            match example {
                Ok(example) => writer.json(&example)?,
                Err(error) if self.strict => return Err(error.into()),
                Err(error) => skipped.add(error)?,
            }
        }
        if skipped.count > 0 {
            tell(format_args!("{}: {skipped}\n", self.from.display()))?;
        }
        ensure!(writer.written() > 0, Error::Empty(self.from));
        report(writer.finish()?, &self.out)
    }
}

impl TokenizerArgs {
    fn run(self) -> anyhow::Result<()> {
        let tokenizer = match self.of {
            Vocabulary::Prosqa => tokenizer(&words::vocabulary(), words::PATTERN, &[])?,
            Vocabulary::ProsqaReact => {
                let vocabulary = react_words::vocabulary();
                tokenizer(&vocabulary, react_words::PATTERN, &react_words::TIGHT)?
            }
        };
        let mut writer = Writer::create(&self.out, Form::Text)?;
        writer.line(&tokenizer.to_json()?)?;
        writer.finish()?;
        tell(format_args!("{} tokens in {}\n", tokenizer.size(), shown(&self.out)))
    }
}

/// A tokenizer of words.
fn tokenizer(
    vocabulary: &[&str],
    pattern: &str,
    tight: &[(&str, &str)],
) -> anyhow::Result<Tokenizer> {
    let words = Words {
        vocabulary,
        pattern,
        tight,
        unknown: words::UNKNOWN,
        special: &[words::PAD, words::END_OF_TEXT],
        markers: &words::MARKERS,
    };
    Tokenizer::of_words(&words).context("cannot build the tokenizer")
}
