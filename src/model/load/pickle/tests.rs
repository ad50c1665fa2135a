//! Good files, hostile files, damaged files: the reader gives tensors or an error, and never panics.

use crate::model::load::pickle::Element;
use crate::model::load::pickle::Refused;
use crate::model::load::pickle::read;
use std::path::Path;

// ===== archives and pickles made here =====

/// A zip archive as torch writes it, entries stored, without zip64.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in entries {
        let name = format!("archive/{name}");
        let offset = file.len() as u32;
        let sizes = [(data.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        let name_len = (name.len() as u16).to_le_bytes();
        file.extend(b"PK\x03\x04");
        file.extend([0; 14]);
        file.extend(&sizes);
        file.extend(name_len);
        file.extend([0; 2]);
        file.extend(name.as_bytes());
        file.extend(*data);
        directory.extend(b"PK\x01\x02");
        directory.extend([0; 16]);
        directory.extend(&sizes);
        directory.extend(name_len);
        directory.extend([0; 12]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (file.len() as u32, entries.len() as u16);
    file.extend(&directory);
    file.extend(b"PK\x05\x06");
    file.extend([0; 4]);
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// An archive with this pickle and a storage `0` of the numbers 0 to 5 as f32.
fn with_pickle(pickle: &[u8]) -> Vec<u8> {
    let numbers: Vec<u8> = (0..6_u8).flat_map(|number| f32::from(number).to_le_bytes()).collect();
    archive(&[("data.pkl", pickle), ("byteorder", b"little"), ("data/0", &numbers)])
}

/// The pickle of `{"w": tensor}`, protocol 2, with these numbers as torch would write them.
fn tensor(count: i32, offset: i32, shape: [i32; 2], strides: [i32; 2]) -> Vec<u8> {
    let int = |value: i32| [b"J".as_slice(), &value.to_le_bytes()].concat();
    let str = |text: &str| {
        [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    };
    let pair = |[a, b]: [i32; 2]| [int(a), int(b), b"\x86".to_vec()].concat();
    [
        b"\x80\x02}(".to_vec(),
        str("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        str("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        str("0"),
        str("cpu"),
        int(count),
        b"tQ".to_vec(),
        int(offset),
        pair(shape),
        pair(strides),
        b"\x89ccollections\nOrderedDict\n)RtRu.".to_vec(),
    ]
    .concat()
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn message(pickle: &[u8]) -> String {
    read(&with_pickle(pickle)).unwrap_err().to_string()
}

// ===== what is read =====

#[test]
fn a_tensor_is_a_place_in_the_file() {
    let file = with_pickle(&tensor(6, 0, [2, 3], [3, 1]));
    let tensors = read(&file).unwrap();
    let w = &tensors["w"];
    assert_eq!((w.element(), w.shape()), (Element::F32, [2, 3].as_slice()));
    assert_eq!(numbers(&w.bytes(&file)), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(
        matches!(w.bytes(&file), std::borrow::Cow::Borrowed(_)),
        "contiguous tensors are not copied"
    );
}

#[test]
fn transposed_and_offset_tensors_are_put_in_order() {
    let file = with_pickle(&tensor(6, 0, [3, 2], [1, 3]));
    assert_eq!(numbers(&read(&file).unwrap()["w"].bytes(&file)), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let file = with_pickle(&tensor(6, 1, [2, 2], [3, 1]));
    assert_eq!(numbers(&read(&file).unwrap()["w"].bytes(&file)), [1.0, 2.0, 4.0, 5.0]);
    let file = with_pickle(&tensor(6, 6, [0, 2], [2, 1]));
    assert!(read(&file).unwrap()["w"].bytes(&file).is_empty());
}

#[test]
fn published_layouts_are_read() {
    for (file, count, name) in [
        ("coconut-gpt2-meta/checkpoint_5", 42, "base_causallm.transformer.wte.weight"),
        ("codi-gpt2/pytorch_model.bin", 71, "prj.ln.weight"),
        ("simcot-gpt2-meta/checkpoint_28", 59, "expainable_llm.lm_head.weight"),
    ] {
        let tensors = read(&fixture(file)).unwrap();
        assert_eq!(tensors.len(), count, "{file}");
        assert!(tensors.contains_key(name), "{file}: {name}");
    }
}

#[test]
fn tied_tensors_are_equal() {
    let tensors = read(&fixture("coconut-gpt2-meta/checkpoint_5")).unwrap();
    assert_eq!(tensors["embedding.weight"], tensors["base_causallm.lm_head.weight"]);
}

// ===== what is refused =====

#[test]
fn code_is_refused_by_name_and_place() {
    let attack = b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.";
    assert!(message(attack).contains("`os.system` at byte 2"), "{}", message(attack));
    let attack = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.";
    assert!(message(attack).contains("`builtins.eval` at byte 18"), "{}", message(attack));
    for (code, name) in [
        (b"\x80\x02(ios\nsystem\n.".as_slice(), "INST"),
        (b"NN\x81.", "NEWOBJ"),
        (b"\xff.", "0xff"),
    ] {
        assert!(message(code).contains(&format!("opcode {name} at byte")), "{}", message(code));
    }
}

#[test]
fn objects_without_tensors_are_stepped_over() {
    let weights = tensor(6, 0, [2, 3], [3, 1]);
    let weights = &weights[2..weights.len() - 1];
    for object in [
        b"cargparse\nNamespace\n)\x81}X\x01\0\0\0aK\x01sb".as_slice(),
        b"ccollections\nCounter\n}\x85RX\x01\0\0\0aK\x01s",
        b"cpathlib\nPosixPath\nX\x01\0\0\0a\x85R",
        b"c__builtin__\nset\n]\x85R",
    ] {
        // Beside the state dict, in an envelope that holds a tensor of its own.
        let saved: [&[u8]; 7] = [
            b"}X\x04\0\0\0args",
            object,
            b"sX\x03\0\0\0rng",
            weights,
            b"sX\x05\0\0\0model}X\x05\0\0\0model",
            weights,
            b"ss.",
        ];
        let tensors = read(&with_pickle(&saved.concat())).unwrap();
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["w"]);
    }
    assert!(message(b"ccollections\nOrderedDict\n)\x81.").contains("NEWOBJ"));
}

#[test]
fn an_allowed_name_is_no_licence_to_call_it_with_anything() {
    for code in [
        b"ccollections\nOrderedDict\nX\x01\0\0\0a\x85R.".as_slice(),
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ctorch\nFloatStorage\n)R.",
        b"K\x01)R.",
    ] {
        assert!(message(code).contains("call"), "{}", message(code));
    }
}

#[test]
fn tensors_must_lie_inside_their_storage() {
    for (what, pickle) in [
        ("too long", tensor(6, 0, [2, 4], [4, 1])),
        ("offset", tensor(6, 1, [2, 3], [3, 1])),
        ("stride", tensor(6, 0, [2, 3], [4, 1])),
        ("negative stride", tensor(6, 5, [2, 3], [-3, -1])),
        ("negative size", tensor(6, 0, [-2, -3], [3, 1])),
        ("repeated by stride 0", tensor(6, 0, [i32::MAX, i32::MAX], [0, 0])),
        ("overflow", tensor(6, i32::MAX, [2, 3], [i32::MAX, i32::MAX])),
        ("empty, far away", tensor(6, i32::MAX, [0, 3], [3, 1])),
    ] {
        assert!(message(&pickle).contains("inside its storage"), "{what}: {}", message(&pickle));
    }
    assert!(message(&tensor(7, 0, [2, 3], [3, 1])).contains("longer than its entry"));
    assert!(message(&tensor(-1, 0, [2, 3], [3, 1])).contains("longer than its entry"));
}

#[test]
fn deep_nesting_and_cycles_cost_nothing() {
    let deep = [b")".as_slice(), &b"\x85".repeat(1_000_000), b"."].concat();
    assert!(message(&deep).contains("no dictionary"));
    let cycle = b"]q\0h\0ah\0a.";
    assert!(message(cycle).contains("no dictionary"));
}

#[test]
fn work_is_bounded() {
    let endless = b"N0".repeat(4_000_000);
    assert!(matches!(read(&with_pickle(&endless)).unwrap_err(), Refused::TooMany { .. }));
    let long = vec![b'N'; 17 << 20];
    assert!(matches!(read(&with_pickle(&long)).unwrap_err(), Refused::TooMany { .. }));
    // A shape of a million sizes, used again and again.
    let shape = [b"(".as_slice(), &b"K\x01".repeat(900_000), b"tq\0"].concat();
    assert!(
        read(&with_pickle(&[shape.as_slice(), &b"h\0".repeat(500_000), b"."].concat())).is_err()
    );
}

#[test]
fn claims_larger_than_the_file_are_refused() {
    for code in [
        b"X\xff\xff\xff\xffabc.".as_slice(),
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x8a\xff.",
        b"cnever ends",
        b"j\xff\xff\xff\xff.",
        b"N0000.",
        b"tttt.",
        b"(0(1u.",
    ] {
        assert!(matches!(read(&with_pickle(code)).unwrap_err(), Refused::Damaged { .. }));
    }
}

#[test]
fn archives_that_torch_would_not_write_are_refused() {
    let good = with_pickle(&tensor(6, 0, [2, 3], [3, 1]));
    let refused = |file: &[u8]| read(file).unwrap_err().to_string();
    assert!(refused(b"").contains("torch before 1.6"));
    assert!(refused(&good[..good.len() - 1]).contains("truncated"));
    assert!(refused(&archive(&[("data/0", b"")])).contains("data.pkl"));
    assert!(refused(&archive(&[("data.pkl", b"N."), ("data.pkl", b"N.")])).contains("same name"));
    let big = archive(&[("data.pkl", b"N."), ("byteorder", b"big")]);
    assert!(refused(&big).contains("big-endian"));
    // Compressed, as a zip bomb would be: the method of the first entry in the directory.
    let directory =
        u32::from_le_bytes(good[good.len() - 6..good.len() - 2].try_into().unwrap()) as usize;
    let mut bomb = good.clone();
    bomb[directory + 10] = 8;
    assert!(refused(&bomb).contains("compressed"));
    let mut crowded = good;
    let count = crowded.len() - 12;
    crowded[count..count + 2].copy_from_slice(&[0xff, 0xff]);
    assert!(refused(&crowded).contains("more entries"));
}

// ===== damaged files =====

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

/// Reads every tensor if the file is accepted: neither may panic.
fn read_all(file: &[u8]) -> usize {
    read(file).map_or(0, |tensors| tensors.values().map(|tensor| tensor.bytes(file).len()).sum())
}

/// A small generator of random numbers, the same on every run (xorshift).
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

#[test]
fn truncated_files_are_refused() {
    let small = with_pickle(&tensor(6, 0, [2, 3], [3, 1]));
    for len in 0..small.len() {
        assert!(read(&small[..len]).is_err(), "{len}");
    }
    let real = fixture("superposition-gpt2/checkpoint_300");
    for len in (0..real.len()).step_by(997) {
        assert!(read(&real[..len]).is_err(), "{len}");
    }
}

#[test]
fn flipped_bits_never_panic() {
    let small = with_pickle(&tensor(6, 0, [2, 3], [3, 1]));
    for bit in 0..small.len() * 8 {
        let mut file = small.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        read_all(&file);
    }
    let real = fixture("superposition-gpt2/checkpoint_300");
    let mut random = random(7);
    for _ in 0..2000 {
        let mut file = real.clone();
        for _ in 0..1 + random(8) {
            // The pickle is at the front, the zip directory at the end; between them are only weights.
            let at = if random(2) == 0 { random(12_000) } else { file.len() - 1 - random(4_000) };
            file[at] = random(256) as u8;
        }
        read_all(&file);
    }
}
