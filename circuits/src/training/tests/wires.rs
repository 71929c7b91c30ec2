//! False witnesses: each is wrong in one place and, where a range is all that stands in its way, right in all others.

use nexus_zk::argument::check;
use nexus_zk::{Base, ZkError, from_signed};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};

use super::{CLAIM, Case, Column, Forward, SUM, Spec, blind, chains, relation};
use crate::FIELD_ORDER;
use crate::reference::Clip;

/// The number that a chain of columns makes in one row.
fn number(vector: &[Base], chain: &super::Chain, row: usize) -> u128 {
    chain.iter().map(|&(column, below)| u128::from(vector[column.offset + row].as_canonical_u64()) << below).sum()
}

#[test]
fn the_wrap_around_representative_of_a_sum_has_no_spelling() {
    let case = Spec::default().case();
    let lookups = &case.relation.layout.lookups;
    for (name, chain) in chains(&case.relation) {
        for row in 0..chain[0].0.len {
            let mut vector = case.honest();
            let mut rest = number(&vector, &chain, row) + u128::from(FIELD_ORDER);
            for (i, &(column, below)) in chain.iter().enumerate().rev() {
                vector[column.offset + row] = Base::from_u64((rest >> below) as u64);
                rest -= rest >> below << below;
                assert!(i > 0 || rest == 0);
            }
            // All that speaks of the sum itself is satisfied: only the last column is too large for its table.
            let (top, _) = chain[chain.len() - 1];
            let counted = lookups.count(&mut vector.clone());
            let caught = matches!(counted, Err(ZkError::NotInTable { entry, .. }) if entry == top.offset + row);
            assert!(caught, "{name}, row {row}: {counted:?}");
            if row == 0 {
                assert_eq!(case.check(&vector), Err(relation(SUM)), "{name}");
            }
        }
    }
}

#[test]
fn a_number_has_one_spelling_in_its_columns() {
    let case = Spec { shape: "4-3-2", steps: 3, ..Spec::default() }.case();
    let mut spelled = 0;
    for (name, chain) in chains(&case.relation) {
        for pair in chain.windows(2) {
            let ((low, below), (high, above)) = (pair[0], pair[1]);
            let carry = Base::from_u64(1 << (above - below));
            for row in 0..low.len {
                for sign in [Base::ONE, -Base::ONE] {
                    let mut vector = case.honest();
                    vector[low.offset + row] += sign * carry;
                    vector[high.offset + row] -= sign;
                    let counted = case.relation.layout.lookups.count(&mut vector);
                    assert!(matches!(counted, Err(ZkError::NotInTable { .. })), "{name}, row {row}: {counted:?}");
                    spelled += 1;
                }
            }
        }
    }
    assert!(spelled > 200, "{spelled} other spellings");
}

#[test]
fn an_input_near_p_passes_everything_but_its_range() {
    let case = Spec::default().case();
    let (data, features) = (case.relation.layout.data, case.plan.shape().inputs());
    let gather: Vec<usize> = case.relation.gather.iter().map(|&example| example as usize).collect();
    // The first feature of the first example used is minus one, wherever it enters: products 0 and 4 of every step's five.
    let mut vector = case.tampered(|call, left, _| {
        let (step, within) = (call / 5, call % 5);
        if within == 0 || within == 4 {
            for row in (0..2).filter(|row| gather[2 * step + row] == 0) {
                left[row * (features + 1)] = -1;
            }
        }
    });
    let byte = vector[data.inputs.offset];
    vector[data.inputs.offset] = -Base::ONE;
    let mut registered = case.registered.clone();
    registered[case.relation.used[0] as usize] -= byte + Base::ONE;
    let case = Case { registered, ..case };
    case.only_ranges_fail("an input", &vector);
    let counted = case.relation.layout.lookups.count(&mut vector);
    let value = FIELD_ORDER - 1;
    assert_eq!(counted, Err(ZkError::NotInTable { entry: data.inputs.offset, value, rows: 256 }));
}

/// The error that comes back to a hidden unit, whether it is on or off.
fn coming_back(case: &Case, entry: usize) -> i32 {
    let (backward, _) = case.relation.layout.layers[0].backward.as_ref().unwrap();
    let at = |column: Column| case.witness.vector[column.offset + entry].as_canonical_u64();
    let low: u64 = backward.low.columns.iter().map(|&(column, below)| at(column) << below).sum();
    (at(backward.in_range) * low + at(backward.top)) as i32 - backward.offset as i32
}

/// A hidden unit of the last step that is off, or on, and whose error would matter: its row and unit, and its entry.
fn hidden(case: &Case, on: bool) -> Option<(usize, usize, usize)> {
    let columns = &case.relation.layout.layers[0];
    let (_, relu) = columns.backward.as_ref().unwrap();
    let first = relu.on.len - (case.plan.batch() << columns.output_bits);
    let matters = |&i: &usize| {
        let at = |offset: usize| case.witness.vector[offset + i];
        at(relu.on.offset) == Base::from_bool(on)
            && (i % (1 << columns.output_bits)) < columns.layer.outputs
            && coming_back(case, i) != 0
    };
    let entry = (first..relu.on.len).find(matters)?;
    Some(((entry - first) >> columns.output_bits, entry % (1 << columns.output_bits), entry))
}

/// A run whose last step has both kinds of hidden units, each with an error that would matter.
pub(super) fn mixed() -> Case {
    let run = |start| Spec { shape: "3-4-2", batch: 4, steps: 3, start, ..Spec::default() }.case();
    let mut runs = (0..40).map(|i| run(792_319 + 7_919 * i));
    runs.find(|case| hidden(case, true).is_some() && hidden(case, false).is_some()).expect("one run in forty is mixed")
}

#[test]
fn a_relu_that_is_flipped_is_named_at_zero_and_elsewhere() {
    let case = mixed();
    let layout = &case.relation.layout;
    let (_, relu) = layout.layers[0].backward.as_ref().unwrap();
    for on in [false, true] {
        let (row, unit, entry) = hidden(&case, on).unwrap();
        let value = case.witness.vector[layout.layers[0].forward.value.offset + entry];
        assert_eq!(value == Base::ZERO, !on);
        let back = coming_back(&case, entry);
        // Training goes on with the flipped unit: the last product is the gradient of the first layer's last step.
        let mut vector = case.tampered(|call, _, right| {
            if call == 5 * 3 - 1 {
                right[row * 4 + unit] = if on { 0 } else { back };
            }
        });
        assert_ne!(vector, case.witness.vector, "the flip changes the model");
        vector[relu.on.offset + entry] = Base::from_bool(!on);
        vector[relu.error.offset + entry] = if on { Base::ZERO } else { from_signed(back.into()) };
        for inverse in [Base::ZERO, Base::ONE, -Base::ONE] {
            vector[relu.inverse.offset + entry] = inverse;
            assert_eq!(case.check(&vector), Err(relation("a ReLU")), "on: {on}");
        }
        // Half on, so that half of the error passes.
        vector[relu.on.offset + entry] = Base::TWO.inverse();
        assert_eq!(case.check(&vector), Err(relation("a ReLU")));
    }
}

#[test]
fn a_skewed_multiplicity_is_named() {
    let case = Spec::default().case();
    let first = super::looked_up(&case.relation).iter().map(|column| column.offset).min().unwrap();
    // Tables come before what is looked up; the vector's first table is the greatest.
    let counts: Vec<usize> = (0..first).filter(|&i| case.witness.vector[i] != Base::ZERO).take(2).collect();
    for (more, less) in [(counts[0], counts[1]), (counts[1], counts[0])] {
        let mut vector = case.honest();
        vector[more] += Base::ONE;
        assert_eq!(check(&case.relation, &vector, &[&case.registered]), Err(relation(SUM)));
        vector[less] -= Base::ONE;
        assert_eq!(check(&case.relation, &vector, &[&case.registered]), Err(relation(SUM)));
    }
}

/// Writes an update with another scale and its consequences into the vector, as field elements where they leave their range.
pub(super) fn rescale(case: &Case, vector: &mut [Base], scale: u64) {
    let columns = case.relation.layout.clip.as_ref().unwrap();
    let clip = case.clip.unwrap();
    let mut squares = 0u64;
    for (row, difference) in differences(case).into_iter().enumerate() {
        let scaled = difference.unsigned_abs() * scale;
        let magnitude = scaled >> Clip::SCALE_BITS;
        squares += magnitude * magnitude;
        write(vector, &columns.magnitude, row, Base::from_u64(magnitude));
        write(vector, &columns.remainder, row, Base::from_u64(scaled & ((1 << Clip::SCALE_BITS) - 1)));
    }
    let most = 1i64 << (Clip::SCALE_BITS - clip.dropped_bits());
    write(vector, &columns.scale, 0, Base::from_u64(scale));
    write(vector, &columns.scale_slack, 0, from_signed(most - scale as i64));
    write(vector, &columns.norm_slack, 0, from_signed((clip.bound() * clip.bound()) as i64 - squares as i64));
}

/// `W_T − W_0` in the order of the clip's columns, padded entries included.
fn differences(case: &Case) -> Vec<i64> {
    let mut all = Vec::new();
    for columns in &case.relation.layout.layers {
        let (outputs, width) = (columns.layer.outputs, 1 << columns.output_bits);
        let pairs = case.witness.trained.layer(columns.layer).iter().zip(case.start.layer(columns.layer));
        let row: Vec<i64> = pairs.map(|(&after, &before)| i64::from(after) - i64::from(before)).collect();
        for values in row.chunks_exact(outputs) {
            all.extend(values.iter().copied().chain(std::iter::repeat_n(0, width - outputs)));
        }
    }
    all
}

/// Writes a number into its limbs; what they do not hold, or is not a small integer at all, goes into the first one.
pub(super) fn write(vector: &mut [Base], limbs: &super::Limbs, row: usize, value: Base) {
    let small = value.as_canonical_u64() < 1 << limbs.bits;
    let mut rest = value;
    for (i, &(column, below)) in limbs.columns.iter().enumerate().rev() {
        let own = if i == 0 {
            rest
        } else if small {
            Base::from_u64(rest.as_canonical_u64() >> below)
        } else {
            Base::ZERO
        };
        vector[column.offset + row] = own;
        rest -= own * Base::from_u64(1 << below);
    }
}

#[test]
fn a_clip_with_too_great_a_scale_or_norm_passes_everything_but_its_ranges() {
    // The bound does not bind: the scale is the greatest, and the norm has room.
    let loose = Spec { clip: Some((1 << 21, 4)), ..Spec::default() }.case();
    let most = 1 << (Clip::SCALE_BITS - 4);
    let mut vector = loose.honest();
    rescale(&loose, &mut vector, most);
    assert_eq!(vector, loose.witness.vector, "the honest update is the one of the greatest scale");
    rescale(&loose, &mut vector, most + 1);
    loose.only_ranges_fail("a scale above 2^(g − d)", &vector);

    // The bound binds.
    let tight = Spec { clip: Some((2_000, 4)), ..Spec::default() }.case();
    let scale = tight.witness.update.as_ref().unwrap().scale;
    assert!(scale < most / 2, "the update is clipped");
    let mut vector = tight.honest();
    rescale(&tight, &mut vector, scale + scale / 100);
    tight.only_ranges_fail("a norm above the bound", &vector);
    // Any smaller scale is the prover's choice, none at all included.
    for scale in [0, 1, scale / 2] {
        rescale(&tight, &mut vector, scale);
        assert_eq!(tight.check(&vector), Ok(()), "scale {scale}");
    }
}

/// An update with an entry of `2^48`, whose norm is zero modulo p.
pub(super) fn wrapped_norm(case: &Case) -> Vec<Base> {
    let columns = case.relation.layout.clip.as_ref().unwrap();
    let mut vector = case.honest();
    // (2^48)² = −1 modulo p: an enormous entry and a one have norm zero.
    assert_eq!(Base::from_u64(1 << 48).square(), -Base::ONE);
    let scale = Base::from_u64(case.witness.update.as_ref().unwrap().scale);
    for (row, difference) in differences(case).into_iter().enumerate() {
        let x = Base::from_u64([1 << 48, 1, 0][row.min(2)]);
        let scaled = scale * Base::from_u64(difference.unsigned_abs());
        write(&mut vector, &columns.magnitude, row, x);
        write(&mut vector, &columns.remainder, row, scaled - x * Base::from_u64(1 << Clip::SCALE_BITS));
    }
    let bound = case.clip.unwrap().bound();
    write(&mut vector, &columns.norm_slack, 0, Base::from_u64(bound * bound));
    vector
}

#[test]
fn a_norm_that_wraps_passes_everything_but_its_ranges() {
    let case = Spec::default().case();
    case.only_ranges_fail("a norm that wraps", &wrapped_norm(&case));
}

#[test]
fn a_sign_is_one_of_two_and_zero_may_have_either() {
    let case = Spec::default().case();
    let columns = case.relation.layout.clip.as_ref().unwrap();
    let sizes: Vec<i64> = differences(&case);
    let row = sizes.iter().position(|&difference| difference != 0).unwrap();
    let mut vector = case.honest();
    vector[columns.negative.offset + row] = Base::ONE - vector[columns.negative.offset + row];
    assert_eq!(case.check(&vector), Err(relation("the clip")), "the other sign");

    // A "sign" of factor 1/2 doubles what is scaled: 1 − 2·negative = ±1/2.
    let mut vector = case.honest();
    let scaled = Base::from_u64(sizes[row].unsigned_abs() * case.witness.update.as_ref().unwrap().scale).double();
    let sign = if sizes[row] < 0 { -Base::TWO.inverse() } else { Base::TWO.inverse() };
    vector[columns.negative.offset + row] = (Base::ONE - sign) * Base::TWO.inverse();
    let old = number(&vector, &columns.magnitude.columns, row) as u64;
    let new = scaled.as_canonical_u64() >> Clip::SCALE_BITS;
    write(&mut vector, &columns.magnitude, row, Base::from_u64(new));
    write(&mut vector, &columns.remainder, row, scaled - Base::from_u64(new << Clip::SCALE_BITS));
    let slack = number(&vector, &columns.norm_slack.columns, 0) as u64;
    write(
        &mut vector,
        &columns.norm_slack,
        0,
        Base::from_u64(slack) + Base::from_u64(old * old) - Base::from_u64(new * new),
    );
    case.only_ranges_fail("half a sign", &vector);

    // Negative zero is zero: nothing is made of the sign.
    let zero = sizes.iter().position(|&difference| difference == 0).expect("padded parameters do not change");
    let mut vector = case.honest();
    vector[columns.negative.offset + zero] = Base::ONE;
    assert_eq!(case.check(&vector), Ok(()));
}

/// A forward entry of the last step whose activation is strictly within its range: its row, its unit and its entry.
fn within_range(case: &Case) -> (usize, usize, usize) {
    let (row, unit, entry) = hidden(case, true).unwrap();
    let rounding = &case.relation.layout.layers[0].forward.rounding;
    assert_eq!(case.witness.vector[rounding.in_range.offset + entry], Base::ONE);
    (row, unit, entry)
}

/// Training that goes on with `activation` in the place of a hidden one of the last step, and its ReLU's inverse.
fn with_activation(case: &Case, (row, unit, entry): (usize, usize, usize), activation: i32) -> Vec<Base> {
    let width = case.plan.shape().layers().next().unwrap().outputs + 1;
    let last = 5 * (case.plan.steps() - 1);
    let mut vector = case.tampered(|call, left, _| {
        if call == last + 1 || call == last + 2 {
            left[row * width + unit] = activation;
        }
    });
    let columns = &case.relation.layout.layers[0];
    let (_, relu) = columns.backward.as_ref().unwrap();
    let value = from_signed(activation.into());
    vector[columns.forward.value.offset + entry] = value;
    vector[relu.inverse.offset + entry] = value.inverse();
    vector
}

/// One more than the nearest integer, and a negative remainder.
pub(super) fn shifted_rounding(case: &Case) -> Vec<Base> {
    let at @ (_, _, entry) = within_range(case);
    let Forward { rounding, value, .. } = &case.relation.layout.layers[0].forward;
    let value = case.witness.vector[value.offset + entry].as_canonical_u64() as i32;
    let mut vector = with_activation(case, at, value + 1);
    vector[rounding.low.columns[0].0.offset + entry] += Base::ONE;
    vector[rounding.remainder.columns[0].0.offset + entry] -= Base::from_u64(1 << rounding.shift);
    vector
}

#[test]
fn a_rounding_that_is_shifted_or_saturates_at_will_passes_everything_but_its_ranges() {
    let case = mixed();
    let at @ (_, _, entry) = within_range(&case);
    let Forward { rounding, value, .. } = &case.relation.layout.layers[0].forward;
    let value = case.witness.vector[value.offset + entry].as_canonical_u64() as i32;
    case.only_ranges_fail("a shifted rounding", &shifted_rounding(&case));

    // At the top, with what is missing in a negative low part.
    let top = (1i32 << rounding.width) - 1;
    let mut vector = with_activation(&case, at, top);
    vector[rounding.high.offset + entry] += Base::ONE;
    vector[rounding.low.columns[0].0.offset + entry] -= Base::from_u64(1 << rounding.width);
    vector[rounding.in_range.offset + entry] = Base::ZERO;
    vector[rounding.top.offset + entry] = Base::from_u64(top as u64);
    case.only_ranges_fail("a saturation at will", &vector);

    // The right high part, with flags that are not its own: out of range, at the top, at neither, at both.
    for (in_range, high) in [(false, true), (false, false), (true, true)] {
        let activation = if in_range { value + top } else { i32::from(high) * top };
        if activation == 0 {
            continue;
        }
        let mut vector = with_activation(&case, at, activation);
        vector[rounding.in_range.offset + entry] = Base::from_bool(in_range);
        vector[rounding.top.offset + entry] = Base::from_u64(if high { top as u64 } else { 0 });
        let blind = blind(&case.relation);
        assert_eq!(check(&blind, &vector, &[&case.registered]), Ok(()), "consistent but for the table's row");
        assert_eq!(case.check(&vector), Err(relation(SUM)));
    }
    // The right parts and another value.
    let vector = with_activation(&case, at, value + 1);
    assert_eq!(case.check(&vector), Err(relation("a rounding")));
}

#[test]
fn targets_that_are_not_one_hot_are_rejected() {
    let case = Spec { shape: "3-3-4", batch: 4, steps: 2, ..Spec::default() }.case();
    let data = case.relation.layout.data;
    // An example of class 3, which classes 1 and 2 together would sum to.
    let row = case.relation.used.iter().position(|&example| case.labels[example as usize] == 3).unwrap();
    let one = 1 << 12;
    for (what, targets, in_ranges) in [
        ("two ones", [0, 1, 1, 0], true),
        ("three ones, one for the class of zero", [1, 1, 1, 0], true),
        ("none", [0; 4], true),
        ("three times class one", [-2, 3, 0, 0], false),
    ] {
        let gather = case.relation.gather.clone();
        let mut vector = case.tampered(|call, left, right| {
            let (step, within) = (call / 5, call % 5);
            // The errors of the last layer enter its gradient and the backward product.
            let errors = match within {
                2 => right,
                3 => left,
                _ => return,
            };
            for i in (0..4).filter(|i| gather[4 * step + i] as usize == row) {
                for (class, target) in targets.iter().enumerate() {
                    errors[4 * i + class] += (i32::from(class == 3) - target) * one;
                }
            }
        });
        for (class, &target) in targets.iter().enumerate() {
            vector[data.targets.offset + 4 * row + class] = from_signed(target.into());
        }
        if in_ranges {
            // The sum of the row is claimed of the committed vector.
            assert_eq!(case.check(&vector), Err(relation(CLAIM)), "{what}");
        } else {
            case.only_ranges_fail(what, &vector);
        }
    }

    // A one in a padded class cannot stand in for one of a class.
    let case = Spec { shape: "3-3-3", ..Spec::default() }.case();
    let data = case.relation.layout.data;
    let mut vector = case.honest();
    vector[data.targets.offset + 3] = Base::ONE;
    vector[data.targets.offset..][..3].fill(Base::ZERO);
    assert_eq!(case.check(&vector), Err(relation(CLAIM)));
}

#[test]
fn a_run_with_something_else_public_is_rejected() {
    let spec = Spec { shape: "3-4-2", batch: 2, steps: 3, ..Spec::default() };
    let case = spec.case();
    // Other data, everything else consistent with it.
    let other = Spec { data: 41, ..spec }.case();
    assert_eq!(case.check(&other.witness.vector), Err(relation("a claim about a registered vector")));
    // Other examples: no example is used twice in six rows, so the vector alone is a run of any six.
    let other = Spec { seed: 8, ..spec }.case();
    assert_eq!(case.check(&other.witness.vector), Err(relation("a claim about a registered vector")));
    let other = Spec { start: 792_323, ..spec }.case();
    assert_eq!(case.check(&other.witness.vector), Err(relation(CLAIM)));
    // Two steps swapped: the same examples, at another time.
    let (swapped, vector) = swapped_steps(&case);
    assert_eq!(check(&swapped, &vector, &[&case.registered]), Ok(()), "the swapped run is a run");
    assert_eq!(case.check(&vector), Err(relation(CLAIM)));
}

/// The relation that a run with its first step done last would satisfy, and the vector of that run.
pub(super) fn swapped_steps(case: &Case) -> (super::Relation, Vec<Base>) {
    let mut relation = case.relation.clone();
    relation.gather.rotate_left(case.plan.batch());
    let order: Vec<u32> = relation.gather.iter().map(|&row| relation.used[row as usize]).collect();
    let (batch, features) = (case.plan.batch(), case.plan.shape().inputs());
    let scheduled: Vec<u32> = case.schedule.batches().flatten().copied().collect();
    let classes = case.plan.shape().outputs();
    let row = |example: u32| {
        let (inputs, _) = case.examples().get(example as usize);
        inputs.iter().map(|&byte| i32::from(byte)).collect::<Vec<i32>>()
    };
    let label = |example: u32| usize::from(case.labels[example as usize]);
    let mut vector = case.tampered(|call, left, right| {
        let (step, within) = (call / 5, call % 5);
        for i in 0..batch {
            let (old, new) = (scheduled[step * batch + i], order[step * batch + i]);
            match within {
                0 | 4 => left[i * (features + 1)..][..features].copy_from_slice(&row(new)),
                2 | 3 => {
                    let errors = if within == 2 { &mut *right } else { &mut *left };
                    errors[i * classes + label(old)] += 1 << 12;
                    errors[i * classes + label(new)] -= 1 << 12;
                }
                _ => (),
            }
        }
    });
    relation.layout.lookups.count(&mut vector).unwrap();
    (relation, vector)
}

#[test]
fn a_step_that_is_left_out_is_rejected() {
    let case = Spec { steps: 3, ..Spec::default() }.case();
    for step in 0..3 {
        // Neither layer changes: the step's errors are zero wherever they are multiplied.
        let vector = case.tampered(|call, left, right| match (call / 5 == step, call % 5) {
            (true, 2 | 4) => right.fill(0),
            (true, 3) => left.fill(0),
            _ => (),
        });
        assert_eq!(case.check(&vector), Err(relation(CLAIM)), "step {step}");
    }
}

#[test]
fn weights_are_the_start_minus_all_earlier_changes() {
    let case = Spec { steps: 3, ..Spec::default() }.case();
    // One weight is off by one in one product of one step, for each product that reads weights.
    for (step, product) in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 3), (2, 0), (2, 1), (2, 3)] {
        let mut changed = false;
        let vector = case.tampered(|call, _, right| {
            if call == 5 * step + product {
                // The first bias, which is multiplied by one; going back there is none.
                let bias = if product == 3 { 0 } else { right.len() - [3, 2][product] };
                right[bias] += 1;
                changed = true;
            }
        });
        assert!(changed && vector != case.witness.vector, "step {step}, product {product}");
        assert_eq!(case.check(&vector), Err(relation(CLAIM)), "step {step}, product {product}");
    }
}
