//! Every entry of the committed vector, changed one at a time: what is made of it says so, by name.

use std::collections::{BTreeMap, BTreeSet};

use nexus_zk::argument::check;
use nexus_zk::{Base, ZkError};
use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use super::{CLAIM, Case, Column, Limbs, Loss, NARROW, Relation, Rounding, SUM, Spec, relation};

/// What an entry of the committed vector is, and where it stands in its column.
fn name(relation: &Relation, entry: usize) -> (&'static str, usize) {
    let layout = &relation.layout;
    let mut columns: Vec<(&'static str, Column)> = Vec::new();
    let mut limbs = |name, limbs: &Limbs| columns.extend(limbs.columns.iter().map(|&(column, _)| (name, column)));
    let mut single = Vec::new();
    for layer in &layout.layers {
        let forward = &layer.forward;
        let mut rounding = |names: [&'static str; 5], rounding: &Rounding| {
            limbs(names[0], &rounding.remainder);
            limbs(names[1], &rounding.low);
            let flags = [rounding.high, rounding.in_range, rounding.top];
            single.extend([names[2], names[3], names[4]].into_iter().zip(flags));
        };
        rounding(
            ["forward remainder", "forward low", "forward high", "forward in range", "forward top"],
            &forward.rounding,
        );
        if let Some((backward, relu)) = &layer.backward {
            rounding(
                ["backward remainder", "backward low", "backward high", "backward in range", "backward top"],
                backward,
            );
            single.extend([("relu on", relu.on), ("relu inverse", relu.inverse), ("relu error", relu.error)]);
        }
        single.push(("forward value", forward.value));
        for (change, remainder) in &layer.changes {
            limbs("change", change);
            limbs("change remainder", remainder);
        }
    }
    if let Some(softmax) = &layout.softmax {
        limbs("probability", &softmax.probability);
        limbs("softmax remainder", &softmax.remainder);
        limbs("softmax slack", &softmax.slack);
        single.extend([("difference", softmax.difference), ("exponential", softmax.exponential)]);
        single.extend([("first", softmax.first), ("greatest", softmax.greatest), ("softmax error", softmax.error)]);
    }
    single.extend([("input", layout.data.inputs), ("target", layout.data.targets)]);
    if let Some(clip) = &layout.clip {
        limbs("magnitude", &clip.magnitude);
        limbs("clip remainder", &clip.remainder);
        limbs("scale", &clip.scale);
        limbs("scale slack", &clip.scale_slack);
        limbs("norm slack", &clip.norm_slack);
        single.push(("negative", clip.negative));
    }
    columns.extend(single);
    let mut found = columns.iter().filter(|(_, c)| (c.offset..c.offset + c.len).contains(&entry));
    match (found.next(), found.next()) {
        (None, _) => ("gap", entry),
        (Some(&(name, column)), None) => (name, entry - column.offset),
        (Some(one), Some(other)) => panic!("{entry} is both {one:?} and {other:?}"),
    }
}

/// Whether nothing is made of an entry, so that it may hold whatever its table does: between columns (multiplicities are
/// counted anew), features beside the real ones, a first output beside the classes, the inverse of zero, the sign of zero.
fn is_free(case: &Case, entry: usize) -> bool {
    let Case { relation, witness, .. } = case;
    let (layout, at) = (&relation.layout, |column: Column, row: usize| witness.vector[column.offset + row]);
    let classes = case.plan.shape().outputs();
    let (name, row) = name(relation, entry);
    match name {
        "gap" => true,
        "input" => row % (1 << layout.data.input_bits) >= case.plan.shape().inputs(),
        // Which output is the first of the greatest: there the difference is zero. A target makes the error beside it.
        "first" => row % (1 << layout.data.target_bits) >= classes,
        "relu inverse" => {
            let of = |layer: &&super::LayerColumns| {
                layer.backward.as_ref().is_some_and(|(_, relu)| relu.inverse.offset + row == entry)
            };
            let layer = layout.layers.iter().find(of).expect("an inverse has its layer");
            at(layer.forward.value, row) == Base::ZERO
        }
        "negative" => {
            let clip = layout.clip.as_ref().expect("a sign is of a clip");
            [&clip.magnitude, &clip.remainder]
                .into_iter()
                .flat_map(|limbs| &limbs.columns)
                .all(|(column, _)| at(*column, row) == Base::ZERO)
        }
        _ => false,
    }
}

const SOFTMAX: &str = "the softmax";
const CLIP: &str = "the clip";
const RELU: &str = "a ReLU";
const ROUNDING: &str = "a rounding";

/// Which relations notice a change of what, beside its own table. The first of them is named: most changes break several.
const NOTICED: [(&str, &[&str]); 33] = [
    ("backward high", &[SUM, CLAIM]),
    ("backward in range", &[SUM]),
    ("backward low", &[RELU, CLAIM]),
    ("backward remainder", &[CLAIM]),
    ("backward top", &[SUM]),
    ("change", &[CLIP]),
    ("change remainder", &[CLAIM]),
    ("clip remainder", &[CLIP]),
    ("difference", &[SUM]),
    ("exponential", &[SUM]),
    ("first", &[SOFTMAX, CLAIM]),
    ("forward high", &[SUM, CLAIM]),
    ("forward in range", &[SUM]),
    ("forward low", &[ROUNDING, CLAIM]),
    ("forward remainder", &[CLAIM]),
    ("forward top", &[SUM]),
    ("forward value", &[ROUNDING]),
    ("gap", &[]),
    ("greatest", &[CLAIM]),
    ("input", &[CLAIM]),
    ("magnitude", &[CLIP]),
    ("negative", &[CLIP]),
    ("norm slack", &[CLAIM]),
    ("probability", &[SOFTMAX]),
    ("relu error", &[RELU]),
    ("relu inverse", &[RELU]),
    ("relu on", &[RELU]),
    ("scale", &[CLIP]),
    ("scale slack", &[CLAIM]),
    ("softmax error", &[SOFTMAX]),
    ("softmax remainder", &[SOFTMAX]),
    ("softmax slack", &[CLAIM]),
    ("target", &[SOFTMAX, CLAIM]),
];

/// Changes each entry up and down, with multiplicities counted anew where the change stays in its table; returns which
/// relations noticed, by what was changed.
fn noticed(case: &Case) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let layout = &case.relation.layout;
    // A few of the entries between columns say what they all do.
    let entries = (0..layout.blinding).filter(|&entry| entry % 64 == 0 || name(&case.relation, entry).0 != "gap");
    let changed: Vec<(usize, Base)> = entries.flat_map(|entry| [(entry, Base::ONE), (entry, -Base::ONE)]).collect();
    let outcomes: Vec<_> = changed
        .into_par_iter()
        .map(|(entry, change)| {
            let mut vector = case.honest();
            vector[entry] += change;
            let mut recounted = vector.clone();
            let in_tables = layout.lookups.count(&mut recounted).is_ok();
            let vector = if in_tables { recounted } else { vector };
            let result = check(&case.relation, &vector, &[&case.registered]);
            let expected = !is_free(case, entry) || !in_tables;
            let (name, row) = name(&case.relation, entry);
            assert_eq!(result.is_err(), expected, "{name}, row {row}, entry {entry}: {result:?}");
            match result {
                Ok(()) => (name, "nothing"),
                Err(ZkError::Relation { name: relation }) if in_tables => (name, relation),
                // What is looked up comes before everything else.
                Err(error) => {
                    assert_eq!(error, relation(SUM), "{name}, row {row}");
                    (name, "its table")
                }
            }
        })
        .collect();
    let mut by_name: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, relation) in outcomes {
        by_name.entry(name).or_default().insert(relation);
    }
    by_name
}

#[test]
fn every_entry_that_means_something_breaks_a_relation_when_it_is_changed() {
    for spec in [
        Spec::default(),
        // Padded positions and channels, a dropped column, three steps, three classes.
        Spec {
            shape: "1x2x1-3c2p1-a2-3",
            batch: 1,
            steps: 3,
            format: NARROW,
            loss: Loss::CrossEntropy,
            ..Spec::default()
        },
    ] {
        let case = spec.case();
        let all = noticed(&case);
        let softmax = ["difference", "exponential", "first", "greatest", "probability"];
        let expected = NOTICED.iter().filter(|(name, _)| {
            spec.loss == Loss::CrossEntropy || !(softmax.contains(name) || name.starts_with("softmax"))
        });
        let expected: BTreeMap<_, _> = expected.copied().collect();
        assert_eq!(all.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "every kind of entry occurs");
        for (name, relations) in &all {
            let others = relations.iter().filter(|&relation| !["its table", "nothing"].contains(relation));
            let unexpected: Vec<_> = others.filter(|relation| !expected[name].contains(relation)).collect();
            assert!(unexpected.is_empty(), "{name} was noticed by {unexpected:?}");
            assert!(*name == "gap" || relations.iter().any(|&relation| relation != "nothing"), "{name}");
        }
    }
}
