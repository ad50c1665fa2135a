//! Why a pickle is not read. Every message names what was met and where.

/// A reason to refuse a file that claims to come from `torch.save`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The container is not what `torch.save` writes.
    #[error("not a readable torch.save archive: {0}")]
    Archive(&'static str),
    /// An entry of the archive is absent.
    #[error("the torch.save archive has no entry `{0}`")]
    MissingEntry(String),
    /// An instruction that a state dict has no use for.
    #[error(
        "pickle opcode {name} at byte {offset} is not allowed: only tensors are read, nothing is executed"
    )]
    Opcode {
        /// Its name in Python's `pickletools`, or its number.
        name: String,
        /// Position in `data.pkl`.
        offset: usize,
    },
    /// A Python object that is neither tensor nor container.
    #[error(
        "pickle refers to `{module}.{name}` at byte {offset}, which is not allowed: only tensors are read, nothing is executed"
    )]
    Global {
        /// The Python module, shortened if long.
        module: String,
        /// The name in it, shortened if long.
        name: String,
        /// Position in `data.pkl`.
        offset: usize,
    },
    /// The instructions do not fit together.
    #[error("pickle is damaged at byte {offset}: {reason}")]
    Damaged {
        /// Position in `data.pkl`.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// More of something than any checkpoint has.
    #[error("pickle has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most that is read.
        limit: usize,
    },
}
