//! A reader of `torch.save` files that knows tensors and nothing else. The file is untrusted: nothing in it is executed,
//! every size it claims is checked against its length, and what is not a tensor in a dictionary is refused by name.
//! Nothing is copied: a tensor is a place in the file. Knows no model.

mod archive;
mod inert;
mod machine;
mod opcodes;
mod refused;
mod tensor;
#[cfg(test)]
mod tests;

use archive::Archive;
use machine::Finished;
use machine::Pairs;
use machine::Value;
pub use refused::Refused;
use std::collections::BTreeMap;
pub use tensor::Element;
pub use tensor::Lying;

/// The longest pickle (without the tensors' data), in bytes; those of the largest models have a few hundred KiB.
const MAX_PICKLE_BYTES: usize = 16 << 20;
/// The longest name of a tensor, in bytes.
const MAX_NAME_BYTES: usize = 512;
/// Where trainers put the state dict when they save more than that; the first of them that holds tensors.
const INNER_KEYS: [&str; 9] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "app",
];
/// How deep such keys lie in each other.
const MAX_ENVELOPES: usize = 3;

/// Whether a file begins like a `torch.save` archive.
pub fn looks_like(file: &[u8]) -> bool {
    Archive::looks_like(file)
}

/// The tensors of a state dict by name. `file` is the whole file.
pub fn read(file: &[u8]) -> Result<BTreeMap<String, Lying>, Refused> {
    if !Archive::looks_like(file) {
        return Err(Refused::Archive(
            "it does not begin like a zip file; torch before 1.6 wrote another format",
        ));
    }
    let archive = Archive::open(file)?;
    if archive.get("byteorder").is_some_and(|range| &file[range] != b"little") {
        return Err(Refused::Archive("it was written on a big-endian machine"));
    }
    let pickle =
        archive.get("data.pkl").ok_or_else(|| Refused::MissingEntry("data.pkl".to_owned()))?;
    if pickle.len() > MAX_PICKLE_BYTES {
        return Err(Refused::TooMany { what: "bytes", limit: MAX_PICKLE_BYTES });
    }
    let finished = machine::run(&file[pickle], &archive)?;
    tensors(&finished)
}

fn tensors(finished: &Finished<'_>) -> Result<BTreeMap<String, Lying>, Refused> {
    let mut tensors = BTreeMap::new();
    for (key, value) in state_dict(finished)? {
        if let (Value::Str(name), Value::Tensor(tensor)) = (key, value) {
            if name.len() > MAX_NAME_BYTES {
                return Err(Refused::TooMany {
                    what: "bytes in a tensor's name",
                    limit: MAX_NAME_BYTES,
                });
            }
            if tensors.insert((*name).to_owned(), finished.tensors[*tensor].clone()).is_some() {
                return Err(Refused::Archive("two tensors have the same name"));
            }
        }
    }
    if tensors.is_empty() {
        return Err(Refused::Archive("it holds no dictionary of tensors"));
    }
    Ok(tensors)
}

/// The dictionary that holds the tensors: the pickled object, or one that lies in it under a usual name. What else a
/// trainer saved beside it may hold tensors too.
fn state_dict<'a, 'f>(finished: &'f Finished<'a>) -> Result<&'f Pairs<'a>, Refused> {
    let Value::Dict(root) = finished.root else {
        return Err(Refused::Archive("the pickled object is no dictionary"));
    };
    let root = &finished.dicts[root];
    Ok(within(finished, root, MAX_ENVELOPES).unwrap_or(root))
}

/// The state dict in an envelope.
fn within<'a, 'f>(
    finished: &'f Finished<'a>,
    pairs: &'f Pairs<'a>,
    depth: usize,
) -> Option<&'f Pairs<'a>> {
    let depth = depth.checked_sub(1)?;
    INNER_KEYS.iter().find_map(|wanted| {
        let inner = pairs.iter().find_map(|(key, value)| match (key, value) {
            (Value::Str(key), Value::Dict(inner)) if key == wanted => Some(&finished.dicts[*inner]),
            _ => None,
        })?;
        let holds = inner.iter().any(|(_, value)| matches!(value, Value::Tensor(_)));
        within(finished, inner, depth).or(holds.then_some(inner))
    })
}
