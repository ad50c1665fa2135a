//! Python objects that trainers save beside a state dict and that hold no tensor. They are stepped over: nothing of them
//! is kept, and nothing is called. Everything that is not on the list is refused by name.

/// Modules and the names in them: what `torch.load(weights_only=True)` lets through too, then paths, options and
/// NumPy's scalars.
const INERT: [(&str, &[&str]); 14] = [
    ("collections", &["Counter", "defaultdict"]),
    ("builtins", BUILTINS),
    ("__builtin__", BUILTINS),
    (
        "torch",
        &["device", "float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool"],
    ),
    ("_codecs", &["encode"]),
    ("argparse", &["Namespace"]),
    ("pathlib", &["Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"]),
    ("pathlib._local", &["Path", "PosixPath", "WindowsPath"]),
    ("numpy", &["dtype"]),
    ("numpy.core.multiarray", &["scalar"]),
    ("numpy._core.multiarray", &["scalar"]),
    ("lightning.fabric.utilities.data", &["AttributeDict"]),
    ("lightning_fabric.utilities.data", &["AttributeDict"]),
    ("pytorch_lightning.utilities.parsing", &["AttributeDict"]),
];

/// Containers and numbers; no function.
const BUILTINS: &[&str] = &[
    "set",
    "frozenset",
    "bytearray",
    "complex",
    "int",
    "float",
    "bool",
    "str",
    "list",
    "dict",
    "tuple",
];

/// Whether a name is that of such an object's type.
pub(super) fn is_inert(module: &str, name: &str) -> bool {
    INERT.iter().any(|(one, names)| *one == module && names.contains(&name))
}
