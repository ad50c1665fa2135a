//! What requests have in common, page by page: a tree of pages, keyed by everything that was fed up to their end. Keys and
//! values are functions of the weights and of what was fed, and one process has one model, so equal keys mean equal
//! pages. Knows what was fed and numbers of pages; not who holds a page, and no tensor.

use crate::latent::script::Opening;
use crate::model::attention::geometry::PAGE_POSITIONS;
use std::collections::HashMap;
use std::sync::Arc;

/// What was fed at a position, as far as it can be the same in two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fed {
    Id(u32),
    /// A continuous thought. Which one follows from the ids before: they are the prompt, and thoughts follow each other.
    Thought,
}

/// What was fed at the positions of one page.
pub(crate) type Content = [Fed; PAGE_POSITIONS];

/// A page with all that comes before it; numbers are never given twice, so one cannot come to mean another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node(u64);

impl Node {
    /// Before the first page.
    pub(crate) const ROOT: Self = Self(0);
}

/// What of a request other requests may have, too.
#[derive(Debug, Default)]
pub(crate) struct Shareable {
    /// The whole pages of prompt, thoughts and what is known behind them.
    pub(crate) contents: Vec<Content>,
    /// How many of these the request can do without computing.
    pub(crate) skippable: usize,
    /// What comes behind the whole pages, where what is said can be shared, too.
    pub(crate) rest: Option<Vec<Fed>>,
}

impl Shareable {
    /// Of a request whose first `known` thoughts are known.
    pub(crate) fn of(opening: &Opening, known: usize) -> Self {
        let ids = opening.prompt.iter().map(|&id| Fed::Id(id));
        let after = opening.after.iter().map(|&id| Fed::Id(id));
        let thoughts = (0..opening.thoughts).map(|_| Fed::Thought);
        let fed: Vec<Fed> = ids.chain(thoughts).chain(after).collect();
        let (whole, rest) = fed.as_chunks();
        // Thoughts that are not known have to be computed, for they are reported; and the last position before what is
        // computed next always is, for its hidden state.
        let are_known = known == opening.thoughts;
        let is_followed = opening.is_followed && are_known && opening.after.is_empty();
        let after = if are_known { opening.after.len() } else { 0 };
        let before = opening.prompt.len() + known + after;
        let skippable = (before - usize::from(!is_followed && before > 0)) / PAGE_POSITIONS;
        Self { contents: whole.to_vec(), skippable, rest: opening.goes_on.then(|| rest.to_vec()) }
    }
}

/// The pages that can be reused.
#[derive(Debug, Default)]
pub(crate) struct PageTree {
    nodes: HashMap<Arc<Key>, (Node, u32)>,
    keys: HashMap<u32, Arc<Key>>,
    last: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    parent: Node,
    content: Content,
}

impl PageTree {
    /// The longest run of pages with these contents, from the first position on.
    pub(crate) fn find(&self, contents: &[Content]) -> Vec<(Node, u32)> {
        let mut parent = Node::ROOT;
        let mut found = Vec::new();
        for &content in contents {
            let Some(&(node, page)) = self.nodes.get(&Key { parent, content }) else { break };
            found.push((node, page));
            parent = node;
        }
        found
    }

    /// The page with this content behind `parent`: the one that is there, or else `page`.
    pub(crate) fn find_or_insert(
        &mut self,
        parent: Node,
        content: Content,
        page: u32,
    ) -> (Node, u32) {
        let key = Arc::new(Key { parent, content });
        if let Some(&found) = self.nodes.get(&key) {
            return found;
        }
        self.last += 1;
        let inserted = (Node(self.last), page);
        self.nodes.insert(Arc::clone(&key), inserted);
        self.keys.insert(page, key);
        inserted
    }

    pub(crate) fn contains(&self, page: u32) -> bool {
        self.keys.contains_key(&page)
    }

    /// Forgets all pages. What sequences add behind forgotten ones is never found.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.keys.clear();
    }

    pub(crate) fn remove(&mut self, page: u32) {
        if let Some(key) = self.keys.remove(&page) {
            self.nodes.remove(&key);
        }
    }
}
