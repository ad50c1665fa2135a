//! Files with weights: every tensor of an accepted file is read, and its layout looked at.

#![no_main]

use coconut::model::load::layout::Layout;
use coconut::model::load::tensors::Tensors;
use std::path::Path;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let path = Path::new("fuzzed");
    let Ok(tensors) = Tensors::from_memory(file.to_vec(), path) else { return };
    let read: usize = tensors.names().filter_map(|name| tensors.bytes(name)).map(|bytes| bytes.len()).sum();
    std::hint::black_box(read);
    let _ = Layout::of(&tensors, path);
});
