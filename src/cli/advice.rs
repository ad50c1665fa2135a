//! What to do about an error: a line behind what it says, where the layer that it comes from knows no flags. Knows errors by
//! their types and the system's by their numbers; what says by itself what to do is not looked at.

use crate::data;
use crate::engine::StartError;
use crate::eval;
use crate::hub;
use crate::latent::checkpoint::CheckpointError;
use crate::latent::convert::ConvertError;
use crate::probe;
use crate::reason::reasoner::LoadError;
use crate::train;
use std::error::Error;

/// What to do next.
pub fn advice(error: &anyhow::Error) -> Option<String> {
    let by_number = || {
        let said = format!("{error:#}");
        SYSTEM.iter().find(|(number, _)| said.contains(&format!("(os error {number})")))
    };
    match by_number() {
        Some((_, advice)) => Some((*advice).to_owned()),
        None => error.chain().find_map(by_type).map(str::to_owned),
    }
}

/// What the system says, by its number: messages have it at their end.
const SYSTEM: [(i32, &str); 12] = [
    (
        2,
        "look at the path; one that begins without / begins in the folder where the command is started",
    ),
    (
        12,
        "allow more memory (ulimit -v, the container's limit), or take less of it: --dtype bf16 or int8, --kv-memory",
    ),
    (13, "name a place that this user may use, or ask for the right to it"),
    (17, "name another file, or remove the one that is there"),
    (20, "look at the path: something that it goes through is a file"),
    (21, "name a file in that folder"),
    (24, "allow more open files (ulimit -n), or ask for fewer connections"),
    (28, "make room on that disk, or name a place on another one"),
    (30, "name a place on a disk that can be written"),
    (98, "another program listens there: end it, or name another address with --listen"),
    (
        99,
        "--listen takes an address of this machine: 127.0.0.1:8080, or 0.0.0.0:8080 for all of them",
    ),
    (111, "start a server there (coconut serve), or name the address where one listens"),
];

const FORMS: &str =
    "--help-all says which forms of files are read, and which flags name other fields";
const LOOK: &str = "--model takes a folder with config.json and weights, a file with weights, or an id such as owner/name";
const RECIPE: &str =
    "look at that file: it is a manifest, coconut.json, as `coconut convert` writes one";
const LATENT_STEPS: &str = "ask for fewer with --latent-steps";
const ROOM: &str = "allow more with --kv-memory, such as 1GiB";

fn by_type(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<data::error::Error>() {
        return of_data(error);
    }
    if let Some(error) = cause.downcast_ref::<hub::error::Error>() {
        return of_hub(error);
    }
    if let Some(error) = cause.downcast_ref::<ConvertError>() {
        return match error {
            ConvertError::Exists(_) => Some("name a new folder with --out, or empty this one"),
            ConvertError::Checkpoint(error) => Some(of_checkpoint(error)),
            ConvertError::Io { .. } => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<LoadError>() {
        return match error {
            LoadError::Engine(StartError::NoMemory { .. }) => Some(ROOM),
            LoadError::Checkpoint(error) => Some(of_checkpoint(error)),
            LoadError::Means(_) => {
                Some("`coconut probe` writes such files, one for each checkpoint")
            }
            LoadError::Engine(_) => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<eval::Error>() {
        return match error {
            eval::Error::TooManyLatentSteps { .. } => Some(LATENT_STEPS),
            eval::Error::Engine { .. } | eval::Error::Kept(_) => None,
        };
    }
    if cause.is::<probe::journal::JournalError>() || cause.is::<probe::Error>() {
        return Some("the same command goes on with what was found; another --out begins anew");
    }
    if let Some(train::error::Error::State { .. }) = cause.downcast_ref() {
        return Some("name another --out, or go on from what is there with --resume");
    }
    cause.downcast_ref::<CheckpointError>().map(of_checkpoint)
}

fn of_checkpoint(error: &CheckpointError) -> &'static str {
    match error {
        CheckpointError::Recipe(_) => RECIPE,
        _ => LOOK,
    }
}

fn of_data(error: &data::error::Error) -> Option<&'static str> {
    use data::error::Error::Broken;
    use data::error::Error::Empty;
    use data::error::Error::Impossible;
    use data::error::Error::Io;
    use data::error::Error::Malformed;
    use data::error::Error::Unusable;
    match error {
        Malformed { .. } | Broken { .. } | Empty(_) | Unusable { .. } => Some(FORMS),
        Impossible(_) => Some("allow more --nodes, or fewer --min-hops"),
        Io { .. } => None,
    }
}

fn of_hub(error: &hub::error::Error) -> Option<&'static str> {
    use hub::error::Error;
    match error {
        Error::NotFound { .. } => Some("look at the id (owner/name), and at --hf-endpoint"),
        Error::Failed { .. } | Error::Unreachable { .. } => {
            Some("try again later; the cache and folders are used without the hub")
        }
        Error::Offline { .. } => Some("go online once to download it, or name its folder"),
        Error::Damaged { .. } => Some("try again: it is downloaded anew"),
        _ => None,
    }
}
