//! From what a question comes to in ids to the script that is run: one shape for an answer, sweeps, samples and scores. Knows
//! ids and edits, no text; which of the script's branches end in what is told beside it.

use crate::latent::edits::Edits;
use crate::latent::program::room;
use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Fed;
use crate::latent::script::Sampling;
use crate::latent::script::Say;
use crate::latent::script::ScoredAs;
use crate::latent::script::Script;
use crate::latent::script::StopRule;
use crate::latent::script::Think;
use crate::latent::script::Until;
use crate::latent::script::ids;
use std::ops::Range;

/// Everything that a script is made of.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Prompt and start markers.
    pub(crate) before: Vec<Fed>,
    /// What is fed behind the end markers.
    pub(crate) after: Vec<u32>,
    /// Whether each id of both, but the first, is scored. Nothing else is then.
    pub(crate) is_scored: bool,
    /// Whether the end markers stand in the prompt, so that they are scored, too.
    pub(crate) has_written_end: bool,
    pub(crate) stages: Stages,
    /// What all samples have in common, or of each its own.
    pub(crate) fillings: Vec<Filling>,
    /// End markers.
    pub(crate) forced: Vec<u32>,
    pub(crate) masked: Vec<u32>,
    pub(crate) ending: Ending,
}

/// After how many thoughts something comes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stages {
    /// Each of these, rising.
    Fixed(Vec<usize>),
    /// Once they settle.
    Settled { tolerance: f32, max: usize },
}

/// What stands in the places of thoughts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filling {
    /// Thoughts, with what is done to them.
    Thoughts(Edits),
    /// This id.
    Pause(u32),
}

/// What comes at an end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    Nothing,
    /// So many answers; at most so many tokens each, or fewer where positions are fewer.
    Say {
        samples: usize,
        max_tokens: MaxTokens,
        stop: StopRule,
        sampling: Sampling,
    },
    /// What is said before the continuations, and these.
    Score {
        prefix: Vec<u32>,
        continuations: Vec<Vec<u32>>,
    },
}

/// The most answer tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxTokens {
    /// As asked for, more than there is room for.
    Exactly(usize),
    /// So many, in so many positions.
    Within(usize, usize),
}

/// A branch that something is said or scored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Its number in the script.
    pub(crate) branch: usize,
    /// After so many thoughts; `None` where their number is not known before.
    pub(crate) latent_steps: Option<usize>,
    /// Which sample or continuation.
    pub(crate) number: usize,
    /// Whether the thoughts of its branch are its alone; else they are the last of those that all have in common.
    pub(crate) has_own_thoughts: bool,
}

/// After how many thoughts an end comes, where that is known, and which one it is.
type Place = (Option<usize>, usize);

/// A branch before it has its number.
#[derive(Debug, Default)]
struct Tree {
    acts: Vec<Act>,
    /// Thoughts and number of what is said or scored at its end.
    end: Option<Place>,
    branches: Vec<Self>,
}

impl Shape {
    /// The script, and its ends by number of thoughts, then by their own numbers.
    pub(crate) fn script(&self) -> (Script, Vec<End>) {
        let opening = self.opening();
        let tree = match &self.fillings[..] {
            [filling] => {
                let mut tree = self.tree(filling, 0..self.samples());
                tree.acts.splice(0..0, opening);
                tree
            }
            fillings => {
                let each = fillings.iter().enumerate();
                let branches = each.map(|(at, filling)| self.tree(filling, at..at + 1)).collect();
                Tree { acts: opening, end: None, branches }
            }
        };
        let mut ends = Vec::new();
        let root = tree.numbered(&mut 0, &mut ends);
        let has_own_thoughts = self.fillings.len() > 1;
        ends.iter_mut().for_each(|end| end.has_own_thoughts = has_own_thoughts);
        ends.sort_by_key(|end| (end.latent_steps, end.number));
        (Script { root, masked: self.masked.clone() }, ends)
    }

    /// What comes before the thoughts.
    fn opening(&self) -> Vec<Act> {
        match self.before.split_at_checked(1) {
            Some((first, rest)) if self.is_scored && !rest.is_empty() => {
                let rest = rest.iter().filter_map(Fed::id).collect();
                vec![Act::Feed(first.to_vec()), Act::Score(rest, ScoredAs::Prompt)]
            }
            _ => vec![Act::Feed(self.before.clone())],
        }
    }

    /// What comes between the thoughts and what is said, with `more` behind it.
    fn forced(&self, more: &[u32]) -> Vec<Act> {
        let Self { forced, after, .. } = self;
        let known = || Act::Feed(ids(&[forced, after, more].concat()));
        match self.is_scored {
            false => vec![known()],
            true if self.has_written_end && !forced.is_empty() => {
                vec![Act::Score([&forced[..], after].concat(), ScoredAs::Marker(0))]
            }
            true if !after.is_empty() => {
                let scored = Act::Score(after.clone(), ScoredAs::Marker(forced.len()));
                vec![Act::Feed(ids(forced)), scored]
            }
            true => vec![known()],
        }
    }

    fn samples(&self) -> usize {
        match self.ending {
            Ending::Say { samples, .. } => samples,
            Ending::Nothing | Ending::Score { .. } => 1,
        }
    }

    /// All thoughts and what comes after them, for these samples.
    fn tree(&self, filling: &Filling, samples: Range<usize>) -> Tree {
        match &self.stages {
            Stages::Settled { tolerance, max } => {
                let until = Until::Settled { tolerance: *tolerance, max: *max };
                let acts = think(filling, until, *max);
                self.ended(acts, (None, *max), samples)
            }
            Stages::Fixed(stages) => self.stages_after(filling, 0, stages, samples),
        }
    }

    /// After `done` thoughts, each of `stages`.
    fn stages_after(
        &self,
        filling: &Filling,
        done: usize,
        stages: &[usize],
        samples: Range<usize>,
    ) -> Tree {
        let Some((&steps, later)) = stages.split_first() else { return Tree::default() };
        let acts = think(filling, Until::Steps(steps - done), steps - done);
        if later.is_empty() {
            return self.ended(acts, (Some(steps), steps), samples);
        }
        let answer = self.ended(Vec::new(), (Some(steps), steps), samples.clone());
        let deeper = self.stages_after(filling, steps, later, samples);
        Tree { acts, end: None, branches: vec![answer, deeper] }
    }

    /// `acts`, and behind them what comes after so many thoughts (as reported, and at most).
    fn ended(
        &self,
        mut acts: Vec<Act>,
        (reported, most): (Option<usize>, usize),
        samples: Range<usize>,
    ) -> Tree {
        let end = |number| Some((reported, number));
        match &self.ending {
            Ending::Nothing => {
                acts.extend(self.forced(&[]).into_iter().filter(|_| self.is_scored));
                Tree { acts, end: None, branches: Vec::new() }
            }
            Ending::Say { .. } => {
                acts.extend(self.forced(&[]));
                let said = |sample| (vec![self.say(most, sample)], end(sample));
                Tree::over(acts, samples.map(said).collect())
            }
            Ending::Score { prefix, continuations } => {
                acts.extend(self.forced(prefix));
                let scored = continuations.iter().enumerate();
                let score = |ids: &Vec<u32>| vec![Act::Score(ids.clone(), ScoredAs::Answer)];
                let scored = scored.map(|(at, ids)| (score(ids), end(at)));
                Tree::over(acts, scored.collect())
            }
        }
    }

    fn say(&self, latent_steps: usize, sample: usize) -> Act {
        let Ending::Say { max_tokens, stop, sampling, .. } = &self.ending else {
            return Act::Feed(Vec::new());
        };
        let max_tokens = match *max_tokens {
            MaxTokens::Exactly(most) => most,
            MaxTokens::Within(most, positions) => {
                let fed = self.before.len() + self.forced.len() + self.after.len();
                most.min(room(positions, fed.saturating_add(latent_steps)))
            }
        };
        let seed = sampling.seed.wrapping_add(sample as u64);
        let sampling = Sampling { seed, ..sampling.clone() };
        Act::Say(Say { max_tokens, stop: stop.clone(), sampling })
    }
}

/// What is fed for so many thoughts.
fn think(filling: &Filling, until: Until, steps: usize) -> Vec<Act> {
    match filling {
        Filling::Thoughts(edits) => vec![Act::Think(Think { until, edits: edits.clone() })],
        Filling::Pause(id) => vec![Act::Pause(*id, steps)],
    }
}

impl Tree {
    /// `acts` and behind them each of `ends` by itself; a single one goes on in the same branch.
    fn over(mut acts: Vec<Act>, mut ends: Vec<(Vec<Act>, Option<Place>)>) -> Self {
        if let (1, Some((rest, end))) = (ends.len(), ends.last_mut()) {
            acts.append(rest);
            return Self { acts, end: *end, branches: Vec::new() };
        }
        let branches =
            ends.into_iter().map(|(acts, end)| Self { acts, end, branches: Vec::new() }).collect();
        Self { acts, end: None, branches }
    }

    /// Depth first, from `next` on.
    fn numbered(self, next: &mut usize, ends: &mut Vec<End>) -> Branch {
        let branch = *next;
        *next += 1;
        let end =
            |(latent_steps, number)| End { branch, latent_steps, number, has_own_thoughts: false };
        ends.extend(self.end.map(end));
        let branches = self.branches.into_iter().map(|tree| tree.numbered(next, ends)).collect();
        Branch { acts: self.acts, branches }
    }
}
