//! Watches streamed text for stop strings and holds back what may be the beginning of one. Knows no tokens.

use crate::text::steps::overlap;

/// The state of one answer being watched.
#[derive(Clone, Debug)]
pub struct StopWatch {
    stops: Vec<String>,
    /// Text that may be the beginning of a stop string.
    held: String,
}

/// What became of a piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// This much is certainly part of the answer.
    Go(String),
    /// A stop string appeared, and nothing after it counts.
    Stopped {
        /// What precedes it.
        before: String,
        /// The string.
        by: String,
    },
}

impl StopWatch {
    /// Watches for any of `stops`, none of them empty.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Adds a piece of text.
    pub fn push(&mut self, piece: &str) -> Watched {
        if self.stops.is_empty() {
            return Watched::Go(piece.to_owned());
        }
        self.held.push_str(piece);
        let found = |stop: &String| Some((self.held.find(stop.as_str())?, stop.clone()));
        if let Some((at, by)) = self.stops.iter().filter_map(found).min() {
            self.held.truncate(at);
            return Watched::Stopped { before: std::mem::take(&mut self.held), by };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let go = self.held.drain(..self.held.len() - keep).collect();
        Watched::Go(go)
    }

    /// Whether a stop string may have begun.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// What was held back, once nothing follows.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::StopWatch;
    use super::Watched;

    fn stopped(before: &str, by: &str) -> Watched {
        Watched::Stopped { before: before.to_owned(), by: by.to_owned() }
    }

    fn go(text: &str) -> Watched {
        Watched::Go(text.to_owned())
    }

    #[test]
    fn text_is_held_back_only_while_it_may_be_a_stop_string() {
        let mut watch = StopWatch::new(vec!["END".to_owned()]);
        assert_eq!(watch.push("an E"), go("an "));
        assert_eq!(watch.push("N"), go(""));
        assert_eq!(watch.push("T"), go("ENT"));
        assert_eq!(watch.push("EN"), go(""));
        assert_eq!(watch.push("D and more"), stopped("", "END"));
    }

    #[test]
    fn the_first_stop_string_in_the_text_counts() {
        let mut watch = StopWatch::new(vec!["b".to_owned(), "a".to_owned()]);
        assert_eq!(watch.push("xxayb"), stopped("xx", "a"));
    }

    #[test]
    fn what_was_held_back_belongs_to_the_answer_at_the_end() {
        let mut watch = StopWatch::new(vec!["é!".to_owned()]);
        assert_eq!(watch.push("caf"), go("caf"));
        assert_eq!(watch.push("é"), go(""));
        assert_eq!(watch.finish(), "é");
    }
}
