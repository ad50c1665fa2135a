//! How many pages a script takes at most, branch by branch. Knows numbers of positions, not who holds which page.

use crate::latent::script::Branch;
use crate::model::attention::geometry::PAGE_POSITIONS;

/// Pages that a branch takes beside the whole ones that it shares: what is before it ends at `start`, in a page that it
/// copies, or at a place that is not known before. The root inherits no input, others one.
pub(crate) fn own_pages(branch: &Branch, inherited: usize, start: Option<usize>) -> usize {
    let offset = start.map_or(PAGE_POSITIONS - 1, |start| start % PAGE_POSITIONS);
    branch.positions(inherited).saturating_add(offset).div_ceil(PAGE_POSITIONS)
}

/// Pages that all branches below this one take.
pub(crate) fn below(branch: &Branch, inherited: usize, start: Option<usize>) -> usize {
    let end = start
        .filter(|_| branch.is_fixed())
        .map(|start| start.saturating_add(branch.positions(inherited)));
    let all = |branch| own_pages(branch, 1, end).saturating_add(below(branch, 1, end));
    branch.branches.iter().map(all).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latent::script::Act;
    use crate::latent::script::Sampling;
    use crate::latent::script::Say;
    use crate::latent::script::StopRule;
    use crate::latent::script::ids;

    fn fed(count: usize, branches: Vec<Branch>) -> Branch {
        Branch { acts: vec![Act::Feed(ids(&vec![0; count]))], branches }
    }

    fn said(max_tokens: usize, branches: Vec<Branch>) -> Branch {
        let (stop, sampling) = (StopRule::NEVER, Sampling::GREEDY);
        Branch { acts: vec![Act::Say(Say { max_tokens, stop, sampling })], branches }
    }

    #[test]
    fn what_is_shared_counts_once_and_a_partial_page_once_for_each_who_copies_it() {
        // 32 ids of 33 are fed before the fork: nothing is copied, and each branch needs a page for its 16.
        let at_a_page = fed(33, vec![said(16, Vec::new()), said(17, Vec::new())]);
        assert_eq!((own_pages(&at_a_page, 0, Some(0)), below(&at_a_page, 0, Some(0))), (2, 1 + 2));
        let within_one = fed(34, vec![said(15, Vec::new()), said(16, Vec::new())]);
        assert_eq!(
            (own_pages(&within_one, 0, Some(0)), below(&within_one, 0, Some(0))),
            (3, 1 + 2)
        );
    }

    #[test]
    fn behind_an_end_that_is_not_known_the_worst_place_counts() {
        let tree = fed(1, vec![said(17, vec![said(2, Vec::new())])]);
        // 17 positions, then 2 more that may begin at the end of a page.
        assert_eq!(below(&tree, 0, Some(0)), 2 + 2);
        let huge = fed(1, vec![said(usize::MAX, vec![said(usize::MAX, Vec::new())])]);
        assert!(below(&huge, 0, Some(0)) >= usize::MAX / PAGE_POSITIONS);
    }
}
