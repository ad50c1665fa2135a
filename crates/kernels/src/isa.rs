//! Which vector instructions this processor has, looked up once. Knows no matrix and no format of weights.

use std::sync::OnceLock;

/// A set of instructions that the kernels are compiled for, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain loops: any processor, and Miri.
    Portable,
    /// AVX2 with FMA, hand-written where it matters, and otherwise the same loops.
    Avx2,
    /// AVX-512 with BF16 and VNNI, hand-written where it matters.
    Avx512,
}

impl Isa {
    /// The best that this processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(detect)
    }

    /// Every set that this processor can run, worst first: what tests compare.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Portable, Self::Avx2, Self::Avx512].into_iter().filter(|&isa| isa <= Self::best())
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn detect() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512vnni");
    match (avx2, avx512) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        (false, _) => Isa::Portable,
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn detect() -> Isa {
    Isa::Portable
}

/// Defines `$name(isa, arguments)`, which runs `$body` compiled for `isa`. `$body` is called with a constant that says
/// whether fused multiply-add is an instruction there (as a library call it would be slow), and must be
/// `#[inline(always)]` down to its loops, so that the compiler vectorises them for each set of instructions.
///
/// The file that uses it expects `unsafe_code`: calling code compiled for instructions that may be missing is unsafe.
macro_rules! compiled_per_isa {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) => $body:ident) => {
        $(#[$doc])*
        $visibility fn $name(isa: $crate::isa::Isa, $($argument: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512($($argument: $kind),*) {
                $body::<true>($($argument),*);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $kind),*) {
                $body::<true>($($argument),*);
            }

            let isa = isa.min($crate::isa::Isa::best());
            match isa {
                // SAFETY: `isa` is at most what this processor was found to have.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 => unsafe { avx2($($argument),*) },
                _ => $body::<false>($($argument),*),
            }
        }
    };
}
pub(super) use compiled_per_isa;
