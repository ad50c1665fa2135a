//! The default checkpoint, which is inside the program: laid out as a folder for as long as it is being loaded, so that it
//! is read as any other. Knows its files, not what is in them.

use anyhow::Context as _;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// Its folder's name, and so the model's.
pub const NAME: &str = "prosqa";

macro_rules! files {
    ($($name:literal),*) => {
        [$(($name, include_bytes!(concat!("../../models/prosqa/", $name)))),*]
    };
}

/// All that serves; no pictures, no account of its training.
pub const FILES: [(&str, &[u8]); 5] = files!(
    "coconut.json",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json"
);

/// Memory that containers have where nothing else can be written.
const SHARED_MEMORY: &str = "/dev/shm";

/// The default checkpoint in a folder of its own, which nobody else can write; it goes with this.
#[derive(Debug)]
pub struct BuiltIn {
    folder: TempDir,
}

impl BuiltIn {
    /// Lays it out in the first of the usual places that takes it.
    pub fn lay_out(temporary: &Path) -> anyhow::Result<Self> {
        let in_memory = Path::new(SHARED_MEMORY);
        write(temporary).or_else(|error| {
            write(in_memory).map_err(|_| error).with_context(|| {
                format!(
                    "cannot write the default checkpoint to {} or {SHARED_MEMORY}; TMPDIR names another place, --model another checkpoint",
                    temporary.display()
                )
            })
        })
    }

    /// Takes the files away, once they are no longer needed.
    pub fn remove(&self) {
        // What is left is tried again when this is dropped.
        let _ = std::fs::remove_dir_all(self.folder.path());
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }
}

fn write(place: &Path) -> anyhow::Result<BuiltIn> {
    let folder = tempfile::Builder::new().prefix("coconut-").tempdir_in(place)?;
    let laid_out = BuiltIn { folder };
    std::fs::create_dir(laid_out.path())?;
    for (name, bytes) in FILES {
        std::fs::write(laid_out.path().join(name), bytes)?;
    }
    Ok(laid_out)
}

#[cfg(test)]
mod tests {
    use super::BuiltIn;
    use super::FILES;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn it_is_the_folder_in_the_checkout() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prosqa");
        let names = std::fs::read_dir(source).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let serves = |name: &String| name.ends_with(".json") || name.ends_with(".safetensors");
        let ours = FILES.map(|(name, _)| name.to_owned());
        assert_eq!(names.filter(serves).collect::<BTreeSet<_>>(), BTreeSet::from(ours));
    }

    #[test]
    fn it_goes_when_it_was_loaded() {
        let laid_out = BuiltIn::lay_out(&std::env::temp_dir()).unwrap();
        let path = laid_out.path();
        assert!(path.join("config.json").is_file());
        drop(laid_out);
        assert!(!path.exists());
        let laid_out = BuiltIn::lay_out(&std::env::temp_dir()).unwrap();
        let path = laid_out.path();
        laid_out.remove();
        assert!(!path.exists() && !path.parent().unwrap().exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn it_needs_no_disk() {
        let laid_out = BuiltIn::lay_out(Path::new("no/such/place")).unwrap();
        assert!(laid_out.path().starts_with("/dev/shm"));
    }
}
