//! Looks through logits, as many as there are tokens, in vectors. Knows no sampling.

/// Whether all are finite.
pub fn all_finite(x: &[f32]) -> bool {
    // Without their sign, the bits of finite numbers are all below those of infinity, and the largest of integers is found
    // in vectors, which a sum of floats is not.
    let largest = x.iter().map(|x| x.to_bits() & 0x7fff_ffff).fold(0, u32::max);
    largest < f32::INFINITY.to_bits()
}

/// The first id with the largest logit among those not masked, of finite logits; 0 where all are masked. Chunks that hold
/// nothing larger than what was found are passed over.
pub fn most_likely(logits: &[f32], masked: &[u32]) -> u32 {
    const LANES: usize = 16;
    let (mut best, mut best_logit) = (0, f32::NEG_INFINITY);
    for (index, chunk) in logits.chunks(LANES * 8).enumerate() {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let (whole, rest) = chunk.as_chunks::<LANES>();
        for part in whole {
            for (lane, &x) in lanes.iter_mut().zip(part) {
                *lane = if x > *lane { x } else { *lane };
            }
        }
        if lanes.iter().chain(rest).any(|&x| x > best_logit) {
            for (place, &logit) in chunk.iter().enumerate() {
                let id = (index * LANES * 8 + place) as u32;
                if logit > best_logit && !masked.contains(&id) {
                    (best, best_logit) = (id, logit);
                }
            }
        }
    }
    best
}
