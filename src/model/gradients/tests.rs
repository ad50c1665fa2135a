//! Every operation against the chain of candle operations that it replaces: results, and the gradient of each input. On the
//! CPU, or on the GPU that `COCONUT_DEVICE` names.

use crate::model::attention::Attention as _;
use crate::model::attention::batched::Batched;
use crate::model::attention::causal::Causal;
use crate::model::device::Processor;
use crate::model::gradients::activation::activation;
use crate::model::gradients::cross_entropy::Distribution;
use crate::model::gradients::cross_entropy::Target;
use crate::model::gradients::cross_entropy::cross_entropy;
use crate::model::gradients::gather::gather;
use crate::model::gradients::norm;
use crate::model::gradients::rope;
use crate::model::gradients::spread::Places;
use candle_core::D;
use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::Var;
use coconut_kernels::activation::Activation;
use std::sync::LazyLock;

#[expect(clippy::disallowed_methods, reason = "the device that a person wants tested")]
fn device() -> Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        let name = std::env::var("COCONUT_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
        name.parse::<Processor>().unwrap().open().unwrap()
    });
    DEVICE.clone()
}

fn var(shape: &[usize]) -> Var {
    Var::randn(0.2f32, 1.0, shape, &device()).unwrap()
}

/// Both functions of the same inputs must agree, and so must their gradients under a random weighting of the output.
#[track_caller]
fn same(
    inputs: &[Var],
    ours: impl Fn(&[Var]) -> Result<Tensor>,
    chain: impl Fn(&[Var]) -> Result<Tensor>,
) {
    let (ours, chain) = (ours(inputs).unwrap(), chain(inputs).unwrap());
    close(&ours, &chain, "the result");
    let weighting = Tensor::randn(0.0f32, 1.0, ours.shape(), &device()).unwrap();
    let gradients =
        |out: &Tensor| (out * &weighting).unwrap().sum_all().unwrap().backward().unwrap();
    let (ours, chain) = (gradients(&ours), gradients(&chain));
    for (index, input) in inputs.iter().enumerate() {
        close(ours.get(input).unwrap(), chain.get(input).unwrap(), &format!("gradient {index}"));
    }
}

#[track_caller]
fn close(a: &Tensor, b: &Tensor, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let off = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
    let off: f32 = off.to_scalar().unwrap();
    assert!(off < 2e-4, "{what} is off by {off}");
}

#[test]
fn norms_are_the_chains() {
    // More rows than one part has, and a width that is no multiple of a register.
    let inputs = [var(&[150, 37]), var(&[37]), var(&[37])];
    same(
        &inputs,
        |x| norm::layer_norm(&x[0], &x[1], &x[2], 1e-5),
        |x| candle_nn::ops::layer_norm_slow(&x[0], &x[1], &x[2], 1e-5),
    );
    same(
        &inputs[..2],
        |x| norm::rms_norm(&x[0], &x[1], 1e-5),
        |x| candle_nn::ops::rms_norm_slow(&x[0], &x[1], 1e-5),
    );
}

#[test]
fn activations_are_the_chains() {
    for (kind, chain) in [
        (Activation::GeluTanh, Tensor::gelu as fn(&Tensor) -> Result<Tensor>),
        (Activation::GeluErf, Tensor::gelu_erf),
        (Activation::Silu, Tensor::silu),
    ] {
        same(&[var(&[7, 33])], |x| activation(&x[0], kind), |x| chain(&x[0]));
    }
}

#[test]
fn rows_are_taken_as_candle_takes_them() {
    // More rows than a block has threads, some of them often and some never.
    let ids: Vec<u32> = (0..700).map(|index| index * index % 11).collect();
    for shape in [[11, 300], [400, 3]] {
        let chosen = Tensor::new(&ids[..], &device()).unwrap();
        same(&[var(&shape)], |x| gather(&x[0], &ids), |x| x[0].index_select(&chosen, 0));
    }
}

#[test]
fn rope_is_the_chain() {
    let angles = Tensor::randn(0.0f32, 2.0, (90, 4), &device()).unwrap();
    let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
    let inputs = [var(&[90, 3, 8])];
    same(&inputs, |x| rope::rope(&x[0], &cos, &sin), |x| rope::chain(&x[0], &cos, &sin));
}

#[test]
fn cross_entropy_is_the_chain() {
    let token = |id| Target { distribution: Distribution::Token(id), weight: 0.7 };
    let set = Target { distribution: Distribution::Uniform([0, 3].into()), weight: 0.2 };
    let targets = vec![token(2), set, token(4)];
    let dense =
        [[0.0f32, 0.0, 0.7, 0.0, 0.0], [0.1, 0.0, 0.0, 0.1, 0.0], [0.0, 0.0, 0.0, 0.0, 0.7]];
    let dense = Tensor::new(&dense, &device()).unwrap();
    // Less the entropy of the one target that has any.
    let entropy = Tensor::new(&[0.0f32, 0.2 * 2.0f32.ln(), 0.0], &device()).unwrap();
    same(
        &[var(&[3, 5])],
        |x| cross_entropy(&x[0], targets.clone()),
        |x| {
            let rows = (candle_nn::ops::log_softmax(&x[0], D::Minus1)? * &dense)?.sum(1)?;
            rows.neg()? - &entropy
        },
    );
    assert!(cross_entropy(&var(&[1, 5]), vec![token(5)]).is_err());
    assert!(cross_entropy(&var(&[2, 5]), vec![token(1)]).is_err());
}

/// q (B, T, H, E), k and v (B, T, G, E) of whole sequences, attended piece by piece.
fn in_pieces(x: &[Var], pieces: &[usize], forked_after: usize) -> Result<Tensor> {
    let batch = x[0].dim(0)?;
    let mut attention = Batched::new(vec![0; batch]);
    let (mut at, mut out) = (0, Vec::new());
    for (index, &width) in pieces.iter().enumerate() {
        if index == forked_after {
            attention = attention.fork(1, vec![0; batch])?;
        }
        let rows = |x: &Var| x.narrow(1, at, width)?.contiguous()?.flatten(0, 1);
        let mixed = attention.attend(0, &rows(&x[0])?, &rows(&x[1])?, &rows(&x[2])?)?;
        out.push(mixed.reshape((batch, width, ()))?);
        at += width;
    }
    Tensor::cat(&out, 1)
}

#[test]
fn attention_in_pieces_is_attention_at_once() {
    let inputs = [var(&[2, 9, 4, 6]), var(&[2, 9, 2, 6]), var(&[2, 9, 2, 6])];
    let whole = |x: &[Var]| {
        let rows = |x: &Var| x.flatten(0, 1);
        let mixed =
            Causal::new(2, 9, &device())?.attend(0, &rows(&x[0])?, &rows(&x[1])?, &rows(&x[2])?)?;
        mixed.reshape((2, 9, ()))
    };
    for (pieces, forked) in [(&[9][..], 9), (&[5, 1, 3], 9), (&[5, 1, 3], 1), (&[4, 1, 1, 3], 2)] {
        same(&inputs, |x| in_pieces(x, pieces, forked), whole);
    }
}

#[test]
fn sequences_that_share_a_prefix_do_not_see_each_other() {
    // Prefixes of 4 columns, two sequences of 3 columns on each, against the four whole sequences of 7.
    let (prefix, own) = (var(&[2, 4, 2, 6]), var(&[4, 3, 2, 6]));
    let shared = |x: &[Var]| {
        let (prefix, own) = (x[0].flatten(0, 1)?, x[1].flatten(0, 1)?);
        let mut attention = Batched::new(vec![0, 0]);
        attention.attend(0, &prefix, &prefix, &prefix)?;
        let mut attention = attention.fork(2, vec![0; 4])?;
        attention.attend(0, &own, &own, &own)?.reshape((4, 3, ()))
    };
    let separate = |x: &[Var]| {
        let prefix = x[0].unsqueeze(1)?.repeat((1, 2, 1, 1, 1))?.flatten(0, 1)?;
        let all = Tensor::cat(&[&prefix, x[1].as_tensor()], 1)?.flatten(0, 1)?;
        let mixed = Causal::new(4, 7, &device())?.attend(0, &all, &all, &all)?;
        mixed.reshape((4, 7, ()))?.narrow(1, 4, 3)
    };
    same(&[prefix, own], shared, separate);
}

#[test]
fn moved_rows_are_the_chain() {
    let places = Places::new(&[4, 1, 3], 6).unwrap();
    let ids = Tensor::new(&[4u32, 1, 3], &device()).unwrap();
    let nothing = Tensor::zeros((6, 8), DType::F32, &device()).unwrap();
    same(&[var(&[3, 8])], |x| places.spread(&x[0]), |x| nothing.index_add(&ids, &x[0], 0));
    same(&[var(&[6, 8])], |x| places.collect(&x[0]), |x| x[0].index_select(&ids, 0));
    assert!(places.spread(&var(&[4, 8])).is_err());
    assert!(places.collect(&var(&[5, 8])).is_err());
    assert!(Places::new(&[1, 1], 3).is_err());
    assert!(Places::new(&[3], 3).is_err());
}

#[test]
fn rows_in_their_places_are_a_sequence_alone() {
    let x = var(&[5, 2, 6]);
    let alone = |x: &[Var]| Batched::new(vec![0]).attend(0, &x[0], &x[0], &x[0]);
    // Gaps of two columns on either side, a whole sequence before it, and one that begins in the last column.
    let beside = |x: &[Var]| {
        let other = |rows| Tensor::randn(0.0f32, 9.0, (rows, 2, 6), &device());
        let rows = Tensor::cat(&[other(9)?, x[0].as_tensor().clone(), other(1)?], 0)?;
        let places: Vec<u32> = (0..9).chain(11..16).chain([26]).collect();
        let mut attention = Batched::new(vec![0, 2, 8]);
        attention.take(&places, 9)?;
        attention.attend(0, &rows, &rows, &rows)?.narrow(0, 9, 5)
    };
    same(&[x], beside, alone);
}

#[test]
fn padding_is_not_seen() {
    let x = var(&[1, 5, 2, 6]);
    let alone = |x: &[Var]| {
        let x = x[0].flatten(0, 1)?;
        Batched::new(vec![0]).attend(0, &x, &x, &x)
    };
    // Two columns of rubbish before the sequence, and another sequence beside it.
    let padded = |x: &[Var]| {
        let rubbish = Tensor::randn(0.0f32, 9.0, (1, 2, 2, 6), &device())?;
        let other = Tensor::randn(0.0f32, 9.0, (1, 7, 2, 6), &device())?;
        let padded = Tensor::cat(&[&rubbish, x[0].as_tensor()], 1)?;
        let rows = Tensor::cat(&[other, padded], 0)?.flatten(0, 1)?;
        let mixed = Batched::new(vec![0, 2]).attend(0, &rows, &rows, &rows)?;
        mixed.narrow(0, 9, 5)
    };
    same(&[x], padded, alone);
}
