//! The bounds of every accepted layout, computed anew: what the columns can express and what the sums can be never
//! meet modulo p unless they are equal, and every sum that can occur can be expressed.

use proptest::prelude::*;

use crate::FIELD_ORDER;
use crate::reference::{Clip, FixedPoint, Shape, TrainingPlan};
use crate::training::layout::{Layout, Rounding};

const P: u128 = FIELD_ORDER as u128;

/// Checks one rounding of sums of at most `most`.
fn rounding(columns: &Rounding, most: u128) -> Result<(), TestCaseError> {
    let Rounding { shift, width, offset, middle, .. } = *columns;
    prop_assert_eq!(columns.remainder.bits, shift);
    prop_assert_eq!(columns.low.bits, width);
    let rows = 1i128 << (u64::BITS - (2 * middle).leading_zeros());
    let half = 1i128 << (shift - 1);
    // 2^f·(2^width·(high − middle) + low − offset) + remainder − half, for any columns in their ranges.
    let express = |high: i128, low: i128, remainder: i128| {
        ((((high - i128::from(middle)) << width) + low - i128::from(offset)) << shift) + remainder - half
    };
    let least = express(0, 0, 0);
    let greatest = express(rows - 1, (1 << width) - 1, (1 << shift) - 1);
    prop_assert!(least.unsigned_abs().max(greatest.unsigned_abs()) + most < P, "two integers, one residue");
    prop_assert!(least <= -(most as i128) && most as i128 <= greatest, "a sum that has no spelling");
    Ok(())
}

/// Checks every identity of the layout against bounds of its own.
fn identities(plan: &TrainingPlan, layout: &Layout, clip: Option<&Clip>) -> Result<(), TestCaseError> {
    let FixedPoint { weight_bits, activation_bits, activation_fraction, .. } = plan.format();
    let (batch, steps) = (plan.batch() as u128, plan.steps() as u128);
    let activation = 1u128 << (activation_bits - 1);
    let depth = layout.layers.len();
    let (mut weights, mut changes) = (Vec::new(), Vec::new());
    for columns in &layout.layers {
        let layer = columns.layer;
        let input = if layer.index == 0 { 256 } else { activation.max(1 << activation_fraction) };
        let error = activation + if layer.index + 1 == depth { 1 << activation_fraction } else { 0 };
        let (gradient, shift) = (batch * input * error, plan.update_shift(layer));
        prop_assert_eq!(columns.changes.len(), plan.steps());
        for (change, remainder) in &columns.changes {
            prop_assert_eq!(remainder.bits, shift);
            // 2^s·change + remainder − 2^(s−1) with −2^(bits−1) ≤ change < 2^(bits−1).
            let half = 1u128 << (change.bits - 1);
            prop_assert!((half << shift) + (1 << shift) + gradient < P, "a gradient's integer is its own");
            prop_assert!((gradient + (1 << (shift - 1))) >> shift < half, "a change that has no spelling");
        }
        let change = (gradient + (1 << (shift - 1))) >> shift;
        let weight = (1 << (weight_bits - 1)) + steps * change;
        prop_assert!(weight <= i32::MAX as u128);
        rounding(&columns.forward.rounding, layer.rows() as u128 * input * weight)?;
        changes.push(change);
        weights.push(weight);
    }
    for (columns, after) in layout.layers.iter().zip(layout.layers.iter().skip(1)) {
        let (backward, _) = columns.backward.as_ref().expect("a layer before another is hidden");
        let last = after.layer.index + 1 == depth;
        let error = activation + if last { 1 << activation_fraction } else { 0 };
        rounding(backward, after.layer.outputs as u128 * error * weights[after.layer.index])?;
    }
    if let (Some(columns), Some(clip)) = (&layout.clip, clip) {
        let entries = columns.negative.len as u128;
        let magnitude = (1u128 << columns.magnitude.bits) - 1;
        let square = u128::from(clip.bound()) * u128::from(clip.bound());
        prop_assert!(u128::from(clip.bound()) <= magnitude && square < 1 << columns.norm_slack.bits);
        prop_assert!(entries * magnitude * magnitude + (1 << columns.norm_slack.bits) <= P, "a norm could wrap");
        prop_assert_eq!(columns.remainder.bits, Clip::SCALE_BITS);
        let most = 1u128 << (Clip::SCALE_BITS - clip.dropped_bits());
        prop_assert!(most < 1 << columns.scale.bits && columns.scale.bits == columns.scale_slack.bits);
        let difference = steps * changes.iter().max().expect("there is a layer");
        let spelled = (magnitude << Clip::SCALE_BITS) + (1 << Clip::SCALE_BITS);
        prop_assert!(difference * most + spelled < P, "a scaled difference could wrap");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_global_rejects: 1 << 20, ..ProptestConfig::default() })]
    #[test]
    fn no_identity_of_an_accepted_layout_can_wrap(
        widths in prop::collection::vec(prop_oneof![4 => 1usize..40, 1 => 1usize..3_000], 2..5),
        (batch, steps, rate) in (0u32..9, prop_oneof![1usize..12, 1usize..400], -10i32..30),
        (weight_bits, weight_fraction) in (8u32..32, 1u32..31),
        (activation_bits, activation_fraction) in (8u32..32, 1u32..31),
        standard: bool,
        clip in prop::option::of((0u32..33, any::<u64>(), 0u32..24)),
    ) {
        let format = if standard {
            FixedPoint::V1
        } else {
            FixedPoint { weight_bits, weight_fraction, activation_bits, activation_fraction }
        };
        let shape = Shape::new(&widths).unwrap();
        let clip = clip.and_then(|(bits, bound, dropped)| Clip::new(bound % (1 << bits) + 1, dropped, shape.parameters()).ok());
        let plan = TrainingPlan::new(shape, format, 1 << batch, steps, rate);
        let accepted = plan.and_then(|plan| Layout::new(&plan, 3, clip.as_ref(), false).map(|layout| (plan, layout)));
        // Refused ones do not count as cases.
        prop_assume!(accepted.is_ok());
        if let Ok((plan, layout)) = accepted {
            identities(&plan, &layout, clip.as_ref())?;
        }
    }
}

#[test]
fn some_layouts_are_accepted_and_some_plans_are_refused_for_their_layout_alone() {
    let plan = |shape: &str, format| TrainingPlan::new(shape.parse().unwrap(), format, 4, 3, 2).unwrap();
    let standard = plan("5-4-3", FixedPoint::V1);
    let clip = Clip::new(20_000, 4, 39).unwrap();
    identities(&standard, &Layout::new(&standard, 3, Some(&clip), false).unwrap(), Some(&clip)).unwrap();
    // The bound of the norm is right for the parameters, and too great for the padded ones.
    let wide = Clip::new(600_000_000, 0, 39).unwrap();
    assert!(Layout::new(&standard, 3, Some(&wide), false).is_err());
}
