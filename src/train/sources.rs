//! What a run reads besides its settings, by content: a state is not gone on with from other questions or another
//! vocabulary under the same names. Knows digests, no meaning.

use crate::files::digest::hexadecimal;
use crate::files::digest::sha256;
use crate::text::Tokenizer;
use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::settings::Objective;
use crate::train::settings::Settings;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// SHA-256 of each, in hexadecimal.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// What a run with these settings reads. The weights that it starts from are not among it: a state has its own.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn of(settings: &Settings, tokenizer: &Tokenizer) -> Result<Self> {
        let mut digests =
            BTreeMap::from([("the tokenizer".to_owned(), text(&tokenizer.to_json()?))]);
        let trained = settings.phases.iter().filter_map(|phase| match &phase.objective {
            Objective::Questions(work) => Some(&work.train),
            Objective::Graphs(_) => None,
        });
        for path in trained.chain(settings.validate.as_ref().map(|validate| &validate.data)) {
            digests.insert(path.display().to_string(), file(path)?);
        }
        Ok(Self(digests))
    }

    /// The first of these that is something else now.
    pub fn changed<'a>(&'a self, now: &Self) -> Option<&'a str> {
        let differs = |(name, digest): &(&String, &String)| now.0.get(*name) != Some(*digest);
        self.0.iter().find(differs).map(|(name, _)| name.as_str())
    }
}

/// The digest of a text.
pub fn text(text: &str) -> String {
    hexadecimal(&Sha256::digest(text))
}

fn file(path: &Path) -> Result<String> {
    let digest = File::open(path).and_then(sha256);
    Ok(digest.map_err(Error::io(path))?.0)
}
