//! Networks as text: what is read is written back, and what cannot be is refused by name.

use nexus_circuits::CircuitError;
use nexus_circuits::reference::{FixedPoint, Shape, TrainingPlan};
use proptest::prelude::*;

fn refused(text: &str) -> (&'static str, i128) {
    match text.parse::<Shape>() {
        Err(CircuitError::OutOfRange { field, value, .. }) => (field, value),
        Err(CircuitError::NotAPowerOfTwo { field, value }) => (field, value as i128),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_convolution_is_named() {
    assert_eq!(refused("40x40x1-2c17-10"), ("kernel", 17));
    assert_eq!(refused("5x4x2-3c5-10"), ("kernel", 5));
    // Two pixels of padding on either side make room for a kernel of eight.
    assert!("5x4x2-3c8p2-10".parse::<Shape>().is_ok());
    assert_eq!(refused("5x4x2-3c9p2-10"), ("kernel", 9));
    assert_eq!(refused("5x4x2-3c2p2-10"), ("padding", 2));
    assert_eq!(refused("5x4x2-0c2-10"), ("layer width", 0));
    assert_eq!(refused("5x4x2-3c2-a8-10"), ("side of an average", 8));
    assert_eq!(refused("5x4x2-3c1-a3-10"), ("side of an average", 3));
    assert_eq!(refused("5x4x2-3c1-a1-10"), ("side of an average", 1));
    assert_eq!(refused("64x64x1-3c1-a32-10"), ("side of an average", 32));
    assert_eq!(refused("5x4x2-3c4-a2-10"), ("side of an average", 2));
    assert_eq!(refused("0x4x2-10"), ("layer width", 0));
    assert_eq!(refused("4096x4096x2-1c1-10"), ("numbers of an image", 1 << 25));
    assert_eq!(refused("4096x4096x1-2c1-10"), ("numbers of an image", 1 << 25));
}

#[test]
fn more_layers_or_parameters_than_are_accepted_are_refused() {
    let deep = |layers: usize| format!("2x2x1{}-2", "-1c1".repeat(layers - 1));
    assert_eq!(deep(64).parse::<Shape>().unwrap().depth(), 64);
    assert_eq!(refused(&deep(65)), ("layers", 65));
    let (inputs, outputs) = (1 << 14, 1 << 14);
    assert_eq!(refused(&format!("128x128x1-{outputs}")), ("parameters", (inputs + 1) * outputs));
}

#[test]
fn a_plan_for_a_convolution_names_the_bound_it_breaks() {
    // At rate 2^−4 one step moves a bias by at most 784·2^8·2^15/2^4 + 1, which is below 2^29: five steps from below 2^23
    // stay in 32 bits and six need not.
    let shape: Shape = "28x28x1-6c5p2-a2-16c5-a2-120-84-10".parse().unwrap();
    let plan = |steps, rate| TrainingPlan::new(shape.clone(), FixedPoint::V1, 64, steps, rate);
    assert!(plan(5, 4).is_ok());
    let change = 784 * (1u128 << 19) + 1;
    assert_eq!(
        plan(6, 4).unwrap_err(),
        CircuitError::AccumulatorTooWide {
            accumulator: "weights of layer 0".to_owned(),
            bound: (1 << 23) + 6 * change,
            limit: TrainingPlan::MAX_FACTOR,
        }
    );
    assert!(plan(20, 6).is_ok());
}

proptest! {
    #[test]
    fn what_is_read_is_written_back(text in "([1-9]|[1-9]x[1-9]x[1-3])(-([1-9]|[1-4]c[1-4](p[0-3])?|a[24])){1,6}") {
        if let Ok(shape) = text.parse::<Shape>() {
            let written = shape.to_string();
            prop_assert_eq!(&written.parse::<Shape>().unwrap(), &shape, "{} as {}", text, written);
            let offsets: Vec<usize> = shape.layers().map(|layer| layer.offset).collect();
            let ends: Vec<usize> = shape.layers().map(|layer| layer.range().end).collect();
            prop_assert_eq!(&offsets[1..], &ends[..ends.len() - 1]);
            prop_assert_eq!(*ends.last().unwrap(), shape.parameters());
            for layer in shape.layers() {
                prop_assert!(!layer.output().is_empty() && !layer.image().is_empty());
                prop_assert_eq!(layer.inputs, layer.taps() * layer.image().channels);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[0-9xcpa-]{0,40}|\\PC{0,20}") {
        let _ = text.parse::<Shape>();
    }
}
