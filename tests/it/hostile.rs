//! Files of checkpoints, damaged: loading gives something usable or an error, and never panics. The files of
//! `fuzz/corpus`, whole and with seeded mutations; `cargo fuzz` goes on from there.

use coconut::model::config::Config;
use coconut::model::load::layout::Layout;
use coconut::model::load::tensors::Tensors;
use coconut::text::Tokenizer;
use std::path::Path;

/// Mutations of each file of the corpus where [`COUNT`] names no number: the first ones of any more.
const MUTATIONS: usize = 10_000;

/// The variable that says how many.
const COUNT: &str = "COCONUT_TEST_MUTATIONS";

/// A small generator of random numbers, the same on every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// A few bytes changed, cut out, doubled, or the end missing.
fn mutated(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..=random.below(4) {
        if file.is_empty() {
            break;
        }
        let at = random.below(file.len());
        match random.below(8) {
            0 => file.truncate(at),
            1 => drop(file.drain(at..(at + 1 + random.below(8)).min(file.len()))),
            2 => {
                let piece: Vec<u8> =
                    file[at..].iter().copied().take(1 + random.below(16)).collect();
                file.splice(at..at, piece);
            }
            3 => file[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            4 => file[at] ^= 1 << random.below(8),
            5 if file[at].is_ascii_digit() => file.splice(at..at, *b"99999999").for_each(drop),
            _ => file[at] = random.below(256) as u8,
        }
    }
    file
}

/// Runs `accepts` on the corpus of `target` and on mutations of it; the whole files must be accepted.
fn survive(target: &str, accepts: impl Fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let mutations = std::env::var(COUNT).map_or(MUTATIONS, |count| count.parse().unwrap());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = std::fs::read(&path).unwrap();
        assert!(accepts(&file), "{}", path.display());
        let mut random = Random(0x1234_5678_9abc_def1);
        let refused = (0..mutations).filter(|_| !accepts(&mutated(&file, &mut random))).count();
        assert!(refused > mutations / 8, "{}: only {refused} were refused", path.display());
    }
}

/// Every tensor of an accepted file can be read.
fn weights(file: &[u8]) -> bool {
    let path = Path::new("mutated");
    let Ok(tensors) = Tensors::from_memory(file.to_vec(), path) else { return false };
    let read: usize =
        tensors.names().filter_map(|name| tensors.bytes(name)).map(|bytes| bytes.len()).sum();
    assert!(read <= 64 * file.len(), "a file of {} bytes gave {read}", file.len());
    let _ = Layout::of(&tensors, path);
    true
}

#[test]
fn damaged_torch_files_are_survived() {
    survive("pickle", weights);
}

#[test]
fn damaged_safetensors_files_are_survived() {
    survive("safetensors", weights);
}

#[test]
fn damaged_configs_are_survived() {
    survive("config", |file| {
        let Ok(value) = serde_json::from_slice(file) else { return false };
        let config = Config::from_json(&value);
        config.is_ok_and(|config| config.parameter_count() > 0)
    });
}

#[test]
fn damaged_tokenizers_are_survived() {
    survive("tokenizer", |file| {
        let Ok(text) = std::str::from_utf8(file) else { return false };
        let Ok(tokenizer) = Tokenizer::from_json(text) else { return false };
        let ids = tokenizer.encode("Tom has 3 boxes. Déjà vu?\n", true);
        ids.is_ok_and(|ids| tokenizer.decode(&ids).len() < 10_000)
    });
}
