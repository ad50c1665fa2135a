//! The thoughts of earlier requests, by prompt: thought k is a function of the weights and the prompt, whatever n is. What
//! is kept beside KV memory, so that a question asked again reports its thoughts without computing them. Knows ids and
//! vectors, no pages.

use crate::engine::request::Report;
use crate::engine::request::Thought;
use crate::engine::request::TopToken;
use crate::latent::edits::cosine;
use lru::LruCache;
use std::sync::Arc;

/// A thought with all that may be reported of it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// (D,)
    pub(crate) vector: Arc<[f32]>,
    pub(crate) norm: f32,
    /// As many as the request that computed it asked for.
    pub(crate) top_tokens: Vec<TopToken>,
    /// If that request asked for it.
    pub(crate) entropy: Option<f32>,
}

impl Kept {
    /// What a request sees of its thought number `step`, after `before` was fed as the one before.
    pub(crate) fn reported(&self, step: usize, before: Option<&[f32]>, report: &Report) -> Thought {
        let shown = self.top_tokens.len().min(report.top_thought_tokens);
        Thought {
            step,
            norm: self.norm,
            computed_norm: None,
            vector: report.thought_vectors.then(|| self.vector.to_vec()),
            top_tokens: self.top_tokens[..shown].to_vec(),
            entropy: self.entropy.filter(|_| report.entropy),
            cosine: before.filter(|_| report.cosine).map(|before| cosine(before, &self.vector)),
        }
    }

    /// Whether all is known that a request wants to see.
    fn is_enough(&self, report: &Report) -> bool {
        self.top_tokens.len() >= report.top_thought_tokens
            && (self.entropy.is_some() || !report.entropy)
    }

    /// Takes over what is known of the same thought elsewhere, and not here.
    fn learn(&mut self, other: Self) {
        let entropy = self.entropy.or(other.entropy);
        if self.top_tokens.len() < other.top_tokens.len() {
            *self = other;
        }
        self.entropy = entropy;
    }
}

/// Thoughts by prompt, the least recently used going first.
#[derive(Debug)]
pub(crate) struct Recall {
    records: LruCache<Box<[u32]>, Vec<Kept>>,
    /// Ids and thoughts in all records.
    held: usize,
    capacity: usize,
}

impl Recall {
    /// Room for so many ids and thoughts together; with none, nothing is ever recalled.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { records: LruCache::unbounded(), held: 0, capacity }
    }

    /// The first thoughts after `prompt`, at most `latent_steps`, each with all that `report` asks for.
    pub(crate) fn thoughts(
        &mut self,
        prompt: &[u32],
        latent_steps: usize,
        report: &Report,
    ) -> Vec<Kept> {
        if report.inside.is_some() {
            return Vec::new();
        }
        let Some(record) = self.records.get(prompt) else { return Vec::new() };
        let rich = record.iter().take_while(|thought| thought.is_enough(report));
        rich.take(latent_steps).cloned().collect()
    }

    /// Keeps the first thoughts after `prompt`, with all that is known of each.
    pub(crate) fn keep(&mut self, prompt: &[u32], thoughts: Vec<Kept>) {
        if self.capacity == 0 {
            return;
        }
        let mut record = self.forget(prompt).unwrap_or_default();
        for (index, thought) in thoughts.into_iter().enumerate() {
            match record.get_mut(index) {
                None => record.push(thought),
                Some(old) => old.learn(thought),
            }
        }
        self.held += prompt.len() + record.len();
        self.records.put(prompt.into(), record);
        while self.held > self.capacity {
            let Some((prompt, record)) = self.records.pop_lru() else { return };
            self.held -= prompt.len() + record.len();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.held = 0;
    }

    fn forget(&mut self, prompt: &[u32]) -> Option<Vec<Kept>> {
        let record = self.records.pop(prompt)?;
        self.held -= prompt.len() + record.len();
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(norm: f32, top_tokens: usize) -> Kept {
        let top = |id| TopToken { id, probability: 0.1 };
        let top_tokens = (0..top_tokens as u32).map(top).collect();
        Kept { vector: Arc::new([norm]), norm, top_tokens, entropy: None }
    }

    /// Asks for so many top tokens.
    fn shown(top_thought_tokens: usize) -> Report {
        Report { top_thought_tokens, ..Report::default() }
    }

    fn norms(thoughts: &[Kept]) -> Vec<f32> {
        thoughts.iter().map(|thought| thought.norm).collect()
    }

    #[test]
    fn fewer_thoughts_are_the_first_of_many_and_more_extend_them() {
        let mut recall = Recall::new(100);
        recall.keep(&[1, 2], vec![kept(1.0, 0), kept(2.0, 0), kept(3.0, 0)]);
        recall.keep(&[1, 2], vec![kept(9.0, 0)]);
        assert_eq!(norms(&recall.thoughts(&[1, 2], 2, &shown(0))), [1.0, 2.0]);
        assert_eq!(norms(&recall.thoughts(&[1, 2], 5, &shown(0))), [1.0, 2.0, 3.0]);
        assert!(recall.thoughts(&[1], 2, &shown(0)).is_empty());
    }

    #[test]
    fn thoughts_without_the_top_tokens_asked_for_are_computed_anew() {
        let mut recall = Recall::new(100);
        recall.keep(&[1], vec![kept(1.0, 5), kept(2.0, 0)]);
        assert_eq!(norms(&recall.thoughts(&[1], 2, &shown(3))), [1.0]);
        recall.keep(&[1], vec![kept(1.5, 3), kept(2.5, 3)]);
        assert_eq!(norms(&recall.thoughts(&[1], 2, &shown(3))), [1.0, 2.5]);
        let thought = recall.thoughts(&[1], 1, &shown(2))[0].reported(1, None, &shown(2));
        assert_eq!(thought.top_tokens.len(), 2);
    }

    #[test]
    fn an_entropy_is_kept_with_its_thought_and_asked_for_it_is_computed_anew_where_it_is_not_known()
    {
        let report = Report { entropy: true, ..Report::default() };
        let with = |norm, top_tokens, entropy| Kept { entropy, ..kept(norm, top_tokens) };
        let mut recall = Recall::new(100);
        recall.keep(&[1], vec![with(1.0, 0, Some(0.5)), kept(2.0, 4)]);
        assert_eq!(norms(&recall.thoughts(&[1], 2, &report)), [1.0]);
        // What is known of either stays known.
        recall.keep(&[1], vec![kept(1.0, 3), with(2.0, 0, Some(0.25))]);
        let both = Report { top_thought_tokens: 3, ..report };
        let thoughts = recall.thoughts(&[1], 2, &both);
        let entropies = thoughts.iter().map(|thought| thought.reported(1, None, &both).entropy);
        assert_eq!(entropies.collect::<Vec<_>>(), [Some(0.5), Some(0.25)]);
        assert_eq!(thoughts[0].reported(1, None, &shown(3)).entropy, None);
    }

    #[test]
    fn a_request_that_looks_inside_computes_its_thoughts() {
        let mut recall = Recall::new(100);
        recall.keep(&[1], vec![kept(1.0, 0)]);
        let report = Report { inside: Some(Arc::default()), ..Report::default() };
        assert!(recall.thoughts(&[1], 1, &report).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_least_recently_used_goes_first() {
        let mut recall = Recall::new(6);
        recall.keep(&[1], vec![kept(1.0, 0), kept(1.0, 0)]);
        recall.keep(&[2], vec![kept(2.0, 0)]);
        assert_eq!(recall.thoughts(&[1], 2, &shown(0)).len(), 2);
        recall.keep(&[3], vec![kept(3.0, 0)]);
        assert!(recall.thoughts(&[2], 2, &shown(0)).is_empty());
        assert_eq!(recall.thoughts(&[1], 2, &shown(0)).len(), 2);
        recall.keep(&[4; 6], vec![kept(4.0, 0)]);
        assert_eq!((recall.records.len(), recall.held), (0, 0));
        recall.keep(&[5], vec![kept(5.0, 0)]);
        recall.clear();
        assert!(recall.thoughts(&[5], 1, &shown(0)).is_empty());
        assert_eq!((recall.records.len(), recall.held), (0, 0));
        let mut nothing = Recall::new(0);
        nothing.keep(&[1], vec![kept(1.0, 0)]);
        assert!(nothing.thoughts(&[1], 1, &shown(0)).is_empty());
    }
}
