//! What is done for one question, as data: acts in order, and branches that go on from their end, sharing all that came
//! before. Knows ids and vectors: recipe and tokenizer have done their work before, and how it is computed is not said here.
//!
//! An act that decides something (a thought, a token, a score) does so at the last input before it. What is decided is an
//! input in turn, fed when the next act needs it: the last one of a script is never fed. Branches feed the last input before
//! them once each, so they share what stands in memory and nothing else.

use crate::latent::edits::Edits;
use crate::latent::edits::length;
use std::sync::Arc;

/// A question as a tree of acts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// What everything begins with.
    pub root: Branch,
    /// Ids that are never chosen.
    pub masked: Vec<u32>,
}

/// Acts in order, and what goes on from their end.
///
/// Branches are numbered depth first: the root is 0, its first branch 1, that one's first branch 2, and so on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Branch {
    /// What is done.
    pub acts: Vec<Act>,
    /// What is done after that, each by itself; none where this is the end.
    pub branches: Vec<Self>,
}

/// One act. (Waiting for acts that come later would be another one.)
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Known inputs: prompt, markers, observations.
    Feed(Vec<Fed>),
    /// Thoughts, each fed where the next one is computed.
    Think(Think),
    /// The same id in the places of so many thoughts.
    Pause(u32, usize),
    /// Tokens.
    Say(Say),
    /// The probabilities of these ids, at least one, and what they are.
    Score(Vec<u32>, ScoredAs),
}

/// What ids are whose probabilities are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoredAs {
    /// The rest of the prompt, whose first id is what the act before feeds.
    Prompt,
    /// What is known behind the thoughts, after so many ids of that kind.
    Marker(usize),
    /// What could be said next.
    Answer,
}

/// A known input at one position.
#[derive(Clone, Debug, PartialEq)]
pub enum Fed {
    /// A token.
    Id(u32),
    /// Whatever vector (D,), in the place of a thought.
    Vector(Arc<[f32]>),
}

/// Latent mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Think {
    /// When it ends.
    pub until: Until,
    /// What is done to thoughts before they are fed.
    pub edits: Edits,
}

/// When latent mode ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// After so many thoughts.
    Steps(usize),
    /// Once a thought differs from the one before by at most `tolerance` of its length.
    Settled {
        /// As a fraction of the thought's length.
        tolerance: f32,
        /// The most thoughts.
        max: usize,
    },
}

/// Language mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Say {
    /// Most tokens, at least 1.
    pub max_tokens: usize,
    /// When it ends before that.
    pub stop: StopRule,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

/// When an answer ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRule {
    /// End-of-sequence ids.
    pub eos: Vec<u32>,
    /// How many of them end the answer: 1, and 2 for iCoT, whose first one closes the (empty) chain of thought.
    pub eos_count: usize,
}

/// How answer tokens are chosen from the logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the most likely token.
    pub temperature: f64,
    /// Only the smallest set of tokens whose probabilities reach this sum; `None` or 1 for all.
    pub top_p: Option<f64>,
    /// Only this many most likely tokens.
    pub top_k: Option<usize>,
    /// Seed of the answer's own random numbers.
    pub seed: u64,
}

/// Positions of a script, from its beginning to the end that is farthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Of the prompt.
    pub prompt: usize,
    /// Of thoughts, markers and whatever else is fed.
    pub latent: usize,
    /// Of the answer, whose last token is never fed.
    pub answer: usize,
    /// All of them.
    pub total: usize,
}

/// What a question begins with that follows from ids alone, and so is the same for all that begin with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// The ids.
    pub prompt: Vec<u32>,
    /// Thoughts right behind them that nothing is done to, at most.
    pub thoughts: usize,
    /// Whether something known is fed behind the last of them.
    pub is_followed: bool,
    /// The ids that are fed there, where the number of thoughts is certain.
    pub after: Vec<u32>,
    /// Whether what is said comes right behind all this, so that it can be shared like what is fed.
    pub goes_on: bool,
    until: Option<Until>,
    /// Inputs of the first act.
    first_act: usize,
}

impl Fed {
    /// The token's id, where it is one.
    pub fn id(&self) -> Option<u32> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Vector(_) => None,
        }
    }
}

impl StopRule {
    /// The answer does not end by itself.
    pub const NEVER: Self = Self { eos: Vec::new(), eos_count: 1 };
}

impl Sampling {
    /// The most likely token, always.
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: None, top_k: None, seed: 0 };
}

impl Until {
    /// The most thoughts.
    pub fn most(self) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Settled { max, .. } => max,
        }
    }

    /// Whether `thought` is the last one after `before`, whatever their number.
    pub fn is_settled(self, before: Option<&[f32]>, thought: &[f32]) -> bool {
        let (Self::Settled { tolerance, .. }, Some(before)) = (self, before) else { return false };
        let change: Vec<f32> = before.iter().zip(thought).map(|(a, b)| b - a).collect();
        length(&change) <= f64::from(tolerance) * length(thought)
    }
}

impl Think {
    /// So many thoughts, fed as they are.
    pub fn steps(steps: usize) -> Self {
        Self { until: Until::Steps(steps), edits: Edits::default() }
    }
}

/// Ids as known inputs.
pub fn ids(ids: &[u32]) -> Vec<Fed> {
    ids.iter().map(|&id| Fed::Id(id)).collect()
}

impl Act {
    /// The most inputs that it adds.
    fn inputs(&self) -> usize {
        match self {
            Self::Feed(inputs) => inputs.len(),
            Self::Think(think) => think.until.most(),
            Self::Pause(_, steps) => *steps,
            Self::Say(say) => say.max_tokens,
            Self::Score(ids, _) => ids.len(),
        }
    }

    /// Whether it always adds so many.
    fn is_fixed(&self) -> bool {
        match self {
            Self::Feed(_) | Self::Pause(..) | Self::Score(..) => true,
            Self::Think(think) => matches!(think.until, Until::Steps(_)) && !think.edits.may_skip(),
            Self::Say(_) => false,
        }
    }
}

impl Branch {
    /// The most positions that it takes by itself: of the root `inherited` is 0, of others 1, the last input before them.
    /// Sums are as large as the largest number can be, and never smaller than what they add up.
    pub fn positions(&self, inherited: usize) -> usize {
        self.inputs().saturating_add(inherited).saturating_sub(1)
    }

    fn inputs(&self) -> usize {
        self.acts.iter().fold(0, |sum: usize, act| sum.saturating_add(act.inputs()))
    }

    /// Whether it takes that many positions whatever is computed.
    pub fn is_fixed(&self) -> bool {
        self.acts.iter().all(Act::is_fixed)
    }

    /// The most that can be told of it and all branches below it: each input that is computed, the logits of what is said,
    /// and the end.
    pub fn events(&self) -> usize {
        let logits = self.acts.iter().filter(|act| matches!(act, Act::Say(_))).count();
        let below = self.branches.iter().map(Self::events);
        let own = self.inputs().saturating_add(logits + 1);
        below.fold(own, usize::saturating_add)
    }

    /// It and all branches below it.
    pub fn count(&self) -> usize {
        1 + self.branches.iter().map(Self::count).sum::<usize>()
    }

    /// How many ends it has.
    pub fn leaves(&self) -> usize {
        self.branches.iter().map(Self::leaves).sum::<usize>().max(1)
    }

    /// Branches from here to the deepest end.
    pub fn depth(&self) -> usize {
        1 + self.branches.iter().map(Self::depth).max().unwrap_or(0)
    }

    /// What it begins with, as the root.
    pub fn opening(&self) -> Opening {
        let mut opening = Opening::default();
        if let Some(Act::Feed(inputs)) = self.acts.first() {
            opening.first_act = inputs.len();
        }
        let mut acts = self.acts.iter();
        for act in &mut acts {
            match act {
                Act::Feed(inputs) => {
                    for input in inputs {
                        match input {
                            Fed::Id(id) => opening.prompt.push(*id),
                            Fed::Vector(_) => return Opening { is_followed: true, ..opening },
                        }
                    }
                }
                Act::Think(think) => {
                    let before_edits = think.edits.first().map_or(usize::MAX, |step| step - 1);
                    opening.thoughts = think.until.most().min(before_edits);
                    opening.until = Some(think.until);
                    break;
                }
                Act::Pause(id, steps) => opening.prompt.extend(vec![*id; *steps]),
                Act::Say(_) => return Opening { goes_on: true, ..opening },
                Act::Score(..) => return opening,
            }
        }
        let is_whole = opening.until.is_some_and(|until| until.most() == opening.thoughts);
        let next = acts.next();
        opening.is_followed =
            is_whole && matches!(next, Some(Act::Feed(inputs)) if !inputs.is_empty());
        if let (true, Some(Until::Steps(_)), Some(Act::Feed(inputs))) =
            (is_whole, opening.until, next)
        {
            opening.after = inputs.iter().map_while(Fed::id).collect();
            opening.goes_on =
                opening.after.len() == inputs.len() && matches!(acts.next(), Some(Act::Say(_)));
        }
        opening
    }
}

impl Opening {
    /// Leaves only what may be known although everything from the end of the first act on is computed.
    pub fn end_with_first_act(&mut self) {
        if self.prompt.len() > self.first_act {
            self.prompt.truncate(self.first_act);
            (self.thoughts, self.until) = (0, None);
        }
        self.after.clear();
        (self.is_followed, self.goes_on) = (false, false);
    }

    /// Where the known ones of its thoughts settle, they are its last: `known` and the opening are cut there.
    pub fn settle(&mut self, known: &mut Vec<Arc<[f32]>>) {
        known.truncate(self.thoughts);
        let Some(until) = self.until else { return };
        let mut pairs = known.windows(2);
        if let Some(at) = pairs.position(|pair| until.is_settled(Some(&pair[0]), &pair[1])) {
            known.truncate(at + 2);
            self.thoughts = known.len();
        }
    }
}

impl Script {
    /// The most positions that are computed in all; what branches share counts once.
    pub fn positions(&self) -> usize {
        fn sum(branch: &Branch, inherited: usize) -> usize {
            let own = branch.positions(inherited);
            branch.branches.iter().fold(own, |total, branch| total.saturating_add(sum(branch, 1)))
        }
        sum(&self.root, 0)
    }

    /// The most positions from the beginning to an end, by what they are for.
    pub fn longest(&self) -> Length {
        fn inputs(branch: &Branch) -> (usize, usize) {
            let (mut said, mut unsaid) =
                branch.branches.iter().map(inputs).max_by_key(sum).unwrap_or_default();
            for act in &branch.acts {
                let inputs = if let Act::Say(_) = act { &mut said } else { &mut unsaid };
                *inputs = inputs.saturating_add(act.inputs());
            }
            (said, unsaid)
        }
        fn sum((said, unsaid): &(usize, usize)) -> usize {
            said.saturating_add(*unsaid)
        }
        let (said, unsaid) = inputs(&self.root);
        let prompt = self.root.opening().prompt.len();
        Length {
            prompt,
            latent: unsaid.saturating_sub(prompt),
            answer: said.saturating_sub(1),
            total: sum(&(said, unsaid)).saturating_sub(1),
        }
    }
}
