//! Where a branch of a script is: which act, how far, and the inputs that wait to be fed. Knows what a thought, a token or
//! a score does to it; not where anything stands in memory, nor which rows are computed when.

use crate::engine::inside::Role;
use crate::engine::plan::Input;
use crate::engine::request::Finish;
use crate::latent::script::Act;
use crate::latent::script::Branch;
use crate::latent::script::Say;
use crate::latent::script::ScoredAs;
use crate::latent::script::Think;
use std::collections::VecDeque;
use std::sync::Arc;

/// A place in a branch.
#[derive(Debug)]
pub(crate) struct Cursor {
    branch: Branch,
    /// The act under way.
    act: usize,
    doing: Doing,
    /// What is known and not fed yet; never empty before an act that decides something.
    queue: VecDeque<Waiting>,
    trail: Trail,
    finish: Finish,
}

/// What is known and not fed yet.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) input: Input,
    /// What it is fed as, where that can be looked into.
    pub(crate) role: Option<Role>,
}

/// What is remembered of the way from the root.
#[derive(Clone, Debug, Default)]
struct Trail {
    /// Thoughts, those left out included.
    steps: usize,
    /// The last one that was fed.
    before: Option<Arc<[f32]>>,
}

/// What the act under way decides next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// A thought, after so many of this act.
    Think { done: usize },
    /// A token.
    Say { tokens: usize, eos_seen: usize },
    /// Scores of so many ids.
    Score { left: usize },
    /// Nothing: all acts are done.
    Over,
}

/// What a token means for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is part of it.
    Token,
    /// It is an end-of-sequence id.
    Eos,
}

impl Cursor {
    /// At the root, with the first of its thoughts where they are known.
    pub(crate) fn at_root(root: Branch, known: Vec<Arc<[f32]>>) -> Self {
        let mut cursor = Self::new(root, VecDeque::new(), Trail::default());
        for vector in known {
            cursor.take_thought(Arc::clone(&vector), Input::Known(vector));
        }
        cursor
    }

    /// One for each of the branches that go on from here, with their numbers where this one has `number`.
    pub(crate) fn fork(self, number: usize) -> Vec<(usize, Self)> {
        let mut next = number + 1;
        let mut cursors = Vec::with_capacity(self.branch.branches.len());
        for branch in self.branch.branches {
            let count = branch.count();
            cursors.push((next, Self::new(branch, self.queue.clone(), self.trail.clone())));
            next += count;
        }
        cursors
    }

    fn new(branch: Branch, queue: VecDeque<Waiting>, trail: Trail) -> Self {
        let (act, doing, finish) = (0, Doing::Over, Finish::Done);
        let mut cursor = Self { branch, act, doing, queue, trail, finish };
        cursor.begin();
        cursor
    }

    pub(crate) fn branch(&self) -> &Branch {
        &self.branch
    }

    pub(crate) fn doing(&self) -> Doing {
        self.doing
    }

    pub(crate) fn queue(&self) -> &VecDeque<Waiting> {
        &self.queue
    }

    /// How the last thing said ended.
    pub(crate) fn finish(&self) -> Finish {
        self.finish
    }

    /// Thoughts so far, those left out included.
    pub(crate) fn steps(&self) -> usize {
        self.trail.steps
    }

    /// The last thought that was fed, or waits for it.
    pub(crate) fn before(&self) -> Option<&Arc<[f32]>> {
        self.trail.before.as_ref()
    }

    /// Notes that the first `count` inputs that waited are in memory.
    pub(crate) fn fed(&mut self, count: usize) {
        self.queue.drain(..count);
    }

    /// What is fed where `computed` (D,) is the next thought.
    pub(crate) fn edited(&self, computed: &[f32]) -> Arc<[f32]> {
        match self.think() {
            Some(think) => {
                let before = self.trail.before.as_deref();
                think.edits.apply(self.trail.steps + 1, computed, before)
            }
            None => computed.into(),
        }
    }

    /// Whether anything is done to the next thought.
    pub(crate) fn is_edited(&self) -> bool {
        self.think().is_some_and(|think| think.edits.change(self.trail.steps + 1))
    }

    /// Takes in the next thought as it is fed. Its number.
    pub(crate) fn thought(&mut self, vector: Arc<[f32]>) -> usize {
        // The number is that before those left out behind it.
        let step = self.trail.steps + 1;
        self.take_thought(Arc::clone(&vector), Input::Thought(vector));
        step
    }

    fn take_thought(&mut self, vector: Arc<[f32]>, input: Input) {
        let Doing::Think { done } = self.doing else { return };
        let before = self.trail.before.as_deref();
        let is_last = self.think().is_some_and(|think| think.until.is_settled(before, &vector));
        let steps = self.trail.steps + 1;
        self.queue.push_back(Waiting { input, role: Some(Role::Latent(steps as u32)) });
        self.trail = Trail { steps, before: Some(vector) };
        if is_last || !self.thinks_on(done + 1) {
            self.next_act();
        }
    }

    /// Takes in the next token.
    pub(crate) fn token(&mut self, id: u32) -> Said {
        let (Doing::Say { tokens, eos_seen }, Some(say)) = (self.doing, self.say()) else {
            return Said::Eos;
        };
        let is_eos = say.stop.eos.contains(&id);
        let role = (!is_eos).then(|| Role::Answer((tokens - eos_seen) as u32));
        let (tokens, eos_seen) = (tokens + 1, eos_seen + usize::from(is_eos));
        let ended = match is_eos && eos_seen >= say.stop.eos_count {
            true => Some(Finish::Stop),
            false => (tokens == say.max_tokens).then_some(Finish::Length),
        };
        self.queue.push_back(Waiting { input: Input::Id(id), role });
        match ended {
            Some(finish) => {
                self.finish = finish;
                self.next_act();
            }
            None => self.doing = Doing::Say { tokens, eos_seen },
        }
        if is_eos { Said::Eos } else { Said::Token }
    }

    /// The ids whose probabilities come next, `count` of them.
    pub(crate) fn to_score(&self, count: usize) -> &[u32] {
        match (self.doing, self.branch.acts.get(self.act)) {
            (Doing::Score { left }, Some(Act::Score(ids, _))) => &ids[ids.len() - left..][..count],
            _ => &[],
        }
    }

    /// Notes that `count` more ids have their scores.
    pub(crate) fn scored(&mut self, count: usize) {
        let Doing::Score { left } = self.doing else { return };
        self.doing = Doing::Score { left: left - count };
        if let (true, Some(Act::Score(ids, of))) = (left == count, self.branch.acts.get(self.act)) {
            self.queue.extend(scored_ids(ids, *of).last());
            self.next_act();
        }
    }

    fn think(&self) -> Option<&Think> {
        match self.branch.acts.get(self.act) {
            Some(Act::Think(think)) => Some(think),
            _ => None,
        }
    }

    pub(crate) fn say(&self) -> Option<&Say> {
        match self.branch.acts.get(self.act) {
            Some(Act::Say(say)) => Some(say),
            _ => None,
        }
    }

    /// What is scored right behind the act under way.
    fn scored_next(&self) -> Option<ScoredAs> {
        match self.branch.acts.get(self.act + 1) {
            Some(Act::Score(_, of)) => Some(*of),
            _ => None,
        }
    }

    fn next_act(&mut self) {
        self.act += 1;
        self.begin();
    }

    /// From the beginning of an act to the first thing that has to be computed for it or one behind it.
    fn begin(&mut self) {
        while let Some(act) = self.branch.acts.get(self.act) {
            match act {
                Act::Feed(inputs) => {
                    // Nothing waits only before the script's first act.
                    let is_prompt = self.act == 0 && self.queue.is_empty();
                    let goes_on = Some(ScoredAs::Prompt) == self.scored_next();
                    let role = |index: usize| match is_prompt {
                        true => (index + 1 == inputs.len() && !goes_on).then_some(Role::Prompt),
                        false => Some(Role::Marker(index as u32)),
                    };
                    let waiting =
                        |(index, fed)| Waiting { input: Input::from(fed), role: role(index) };
                    self.queue.extend(inputs.iter().enumerate().map(waiting));
                }
                Act::Pause(id, steps) => {
                    let first = self.trail.steps + 1;
                    self.trail.steps += steps;
                    let role = |step| Some(Role::Latent(step as u32));
                    let waiting = |step| Waiting { input: Input::Id(*id), role: role(step) };
                    self.queue.extend((first..=self.trail.steps).map(waiting));
                }
                Act::Say(_) => {
                    self.doing = Doing::Say { tokens: 0, eos_seen: 0 };
                    return;
                }
                Act::Score(ids, of) => {
                    self.queue.extend(scored_ids(ids, *of).take(ids.len() - 1));
                    self.doing = Doing::Score { left: ids.len() };
                    return;
                }
                Act::Think(_) => {
                    if self.thinks_on(0) {
                        return;
                    }
                }
            }
            self.act += 1;
        }
        self.doing = Doing::Over;
    }

    /// Goes on after `done` thoughts of an act, if it has more.
    fn thinks_on(&mut self, mut done: usize) -> bool {
        let most = self.think().map_or(0, |think| think.until.most());
        let skips = |steps: usize| self.think().is_some_and(|think| think.edits.skips(steps + 1));
        let mut steps = self.trail.steps;
        while done < most && skips(steps) {
            (done, steps) = (done + 1, steps + 1);
        }
        self.trail.steps = steps;
        if done < most {
            self.doing = Doing::Think { done };
        }
        done < most
    }
}

/// Ids whose probabilities are asked for, as they are fed.
fn scored_ids(ids: &[u32], of: ScoredAs) -> impl Iterator<Item = Waiting> {
    ids.iter().enumerate().map(move |(index, &id)| {
        let role = match of {
            ScoredAs::Prompt => (index + 1 == ids.len()).then_some(Role::Prompt),
            ScoredAs::Marker(before) => Some(Role::Marker((before + index) as u32)),
            ScoredAs::Answer => Some(Role::Answer(index as u32)),
        };
        Waiting { input: Input::Id(id), role }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latent::script::Sampling;
    use crate::latent::script::StopRule;
    use crate::latent::script::ids;

    fn roles(cursor: &Cursor) -> Vec<Option<Role>> {
        cursor.queue().iter().map(|waiting| waiting.role).collect()
    }

    #[test]
    fn the_prompt_is_what_the_first_act_feeds() {
        let feeds = [vec![5, 6], vec![7], vec![], vec![8, 9]];
        let mut acts: Vec<Act> = feeds.iter().map(|fed| Act::Feed(ids(fed))).collect();
        acts.insert(2, Act::Think(Think::steps(0)));
        let later = vec![Act::Feed(ids(&[10]))];
        let branches = vec![Branch { acts: later, branches: Vec::new() }];
        let mut cursor = Cursor::at_root(Branch { acts, branches }, Vec::new());
        let marker = |index| Some(Role::Marker(index));
        let expected = [None, Some(Role::Prompt), marker(0), marker(0), marker(1)];
        assert_eq!(roles(&cursor), expected);
        cursor.fed(4);
        let (_, branch) = cursor.fork(0).remove(0);
        assert_eq!(roles(&branch), [marker(1), marker(0)]);
    }

    #[test]
    fn scored_ids_of_a_prompt_are_its_own_and_pauses_stand_for_thoughts() {
        let score = |scored: &[u32], of| Act::Score(scored.to_vec(), of);
        let acts = vec![
            Act::Feed(ids(&[5])),
            score(&[6, 7], ScoredAs::Prompt),
            Act::Pause(4, 2),
            Act::Feed(ids(&[1])),
            score(&[8, 9], ScoredAs::Marker(1)),
            score(&[3], ScoredAs::Answer),
        ];
        let mut cursor = Cursor::at_root(Branch { acts, branches: Vec::new() }, Vec::new());
        assert_eq!(roles(&cursor), [None, None]);
        cursor.fed(2);
        cursor.scored(2);
        let (latent, marker) = (|step| Some(Role::Latent(step)), |at| Some(Role::Marker(at)));
        assert_eq!(
            roles(&cursor),
            [Some(Role::Prompt), latent(1), latent(2), marker(0), marker(1)]
        );
        assert_eq!(cursor.steps(), 2);
        cursor.fed(5);
        cursor.scored(2);
        assert_eq!(roles(&cursor), [marker(2)]);
        cursor.scored(1);
        assert_eq!(roles(&cursor), [marker(2), Some(Role::Answer(0))]);
    }

    #[test]
    fn ids_that_end_an_answer_are_no_answer_tokens() {
        let stop = StopRule { eos: vec![1], eos_count: 2 };
        let say = Act::Say(Say { max_tokens: 9, stop, sampling: Sampling::GREEDY });
        let acts = vec![Act::Feed(ids(&[5])), say];
        let mut cursor = Cursor::at_root(Branch { acts, branches: Vec::new() }, Vec::new());
        for (id, role) in [(1, None), (7, Some(Role::Answer(0))), (8, Some(Role::Answer(1)))] {
            cursor.fed(1);
            cursor.token(id);
            assert_eq!(roles(&cursor), [role], "{id}");
        }
    }
}
