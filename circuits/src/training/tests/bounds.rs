//! The bounds of every accepted layout, computed anew: what the columns can express and what the sums can be never
//! meet modulo p unless they are equal, and every sum that can occur can be expressed.

use proptest::prelude::*;

use crate::FIELD_ORDER;
use crate::reference::{Clip, FixedPoint, Layer, Loss, Shape, Softmax, TrainingPlan};
use crate::training::layout::{Layout, Limbs, Rounding};

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

/// The most products that one number of a layer's image gets back: of taps and outputs, counted where they lie.
fn back_terms(layer: Layer) -> u128 {
    let (image, output) = (layer.image(), layer.output());
    let seen = |y: usize, x: usize| {
        // A tap at (i, j) of the output at (r, c) covers the pixel at (r + i − padding, c + j − padding).
        let along = |at: usize, kernel: usize, outputs: usize| {
            (0..kernel).filter(|&i| (at + layer.padding).checked_sub(i).is_some_and(|r| r < outputs)).count()
        };
        along(y, layer.kernel[0], output.height) * along(x, layer.kernel[1], output.width)
    };
    let most = (0..image.height).flat_map(|y| (0..image.width).map(move |x| (y, x))).map(|(y, x)| seen(y, x)).max();
    (most.expect("an image has a pixel") * layer.outputs) as u128
}

/// Checks every identity of the layout against bounds of its own.
fn identities(plan: &TrainingPlan, layout: &Layout, clip: Option<&Clip>) -> Result<(), TestCaseError> {
    let FixedPoint { weight_bits, weight_fraction, activation_bits, activation_fraction } = plan.format();
    let (batch, steps) = (plan.batch() as u128, plan.steps() as u128);
    let activation = 1u128 << (activation_bits - 1);
    let depth = layout.layers.len();
    // Errors behind a layer: what is rounded, an output minus a target, or a probability minus a target.
    let errors = |index: usize| match plan.loss() {
        _ if index + 1 < depth => activation,
        Loss::SquaredError => activation + (1 << activation_fraction),
        Loss::CrossEntropy => 1 << activation_fraction,
    };
    let (mut weights, mut changes) = (Vec::new(), Vec::new());
    for columns in &layout.layers {
        let layer = columns.layer;
        // A square's sum has as many more bits, before and after the point, as its count.
        let square = (layer.pool * layer.pool) as u128;
        let fraction = if layer.index == 0 { 8 } else { activation_fraction };
        let largest = if layer.index == 0 { 255 } else { activation - 1 };
        let input = (square * largest).max(square << fraction);
        let (forward, backward) = (&columns.forward.rounding, columns.backward.as_ref());
        prop_assert_eq!(1u128 << (forward.shift + activation_fraction), square << (fraction + weight_fraction));
        let positions = layer.output().positions();
        let entries = (plan.steps() * plan.batch() * positions.next_power_of_two()) * layer.outputs.next_power_of_two();
        prop_assert_eq!(columns.forward.value.len, entries);
        prop_assert_eq!(forward.width, if backward.is_some() { activation_bits - 1 } else { activation_bits });

        let gradient = batch * positions as u128 * input * errors(layer.index);
        let shift = plan.update_shift(layer);
        prop_assert_eq!(columns.changes.len(), plan.steps());
        for (change, remainder) in &columns.changes {
            prop_assert_eq!(remainder.bits, shift);
            // 2^s·change + remainder − 2^(s−1) with −2^(bits−1) ≤ change < 2^(bits−1).
            let half = 1u128 << (change.bits - 1);
            prop_assert!((half << shift) + (1 << shift) + gradient < P, "a gradient's integer is its own");
            prop_assert!((gradient + (1 << (shift - 1))) >> shift < half, "a change that has no spelling");
        }
        if let Some(start) = &columns.start {
            prop_assert_eq!(start.bits, weight_bits);
        }
        let change = (gradient + (1 << (shift - 1))) >> shift;
        let weight = (1 << (weight_bits - 1)) + steps * change;
        prop_assert!(weight <= i32::MAX as u128);
        rounding(forward, layer.rows() as u128 * input * weight)?;
        changes.push(change);
        weights.push(weight);
    }
    for (columns, after) in layout.layers.iter().zip(layout.layers.iter().skip(1)) {
        let (backward, relu) = columns.backward.as_ref().expect("a layer before another is hidden");
        let next = after.layer;
        // Each pixel of a square gets its share.
        prop_assert_eq!(1u128 << backward.shift, ((next.pool * next.pool) as u128) << weight_fraction);
        prop_assert_eq!((backward.width, backward.offset), (activation_bits, 1 << (activation_bits - 1)));
        prop_assert_eq!(relu.on.len, columns.forward.value.len);
        rounding(backward, back_terms(next) * errors(next.index) * weights[next.index])?;
    }
    prop_assert_eq!(layout.softmax.is_some(), plan.loss() == Loss::CrossEntropy);
    if let Some(columns) = &layout.softmax {
        // A row's exponentials are 2^16 at most, and its greatest's is that.
        let one = 1u128 << Softmax::PRECISION;
        let values = columns.table.exponentials();
        prop_assert!(values.len() == 1 << activation_bits && u128::from(values[0]) == one);
        prop_assert!(values.iter().all(|&value| u128::from(value) <= one));
        let sum = plan.shape().outputs() as u128 * one;
        let most = |limbs: &Limbs| (1u128 << limbs.bits) - 1;
        let [probability, remainder, slack] = [&columns.probability, &columns.remainder, &columns.slack].map(most);
        prop_assert!(probability >= 1 << activation_fraction && remainder.min(slack) >= 2 * sum - 1, "no spelling");
        let dividend = (one << (activation_fraction + 1)) + sum;
        prop_assert!(2 * sum * probability + remainder + dividend < P, "a division could wrap");
        prop_assert!(remainder + slack + 1 + 2 * sum < P, "a remainder's bound could wrap");
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

/// A line of parts: an image, then convolutions, averages and dense layers. Most are shapes.
pub(super) fn networks() -> impl Strategy<Value = String> {
    let convolution = (1usize..6, 1usize..6, 0usize..3)
        .prop_map(|(outputs, kernel, padding)| format!("{outputs}c{kernel}p{padding}"));
    let average = prop_oneof![3 => Just("a2"), 1 => Just("a4"), 1 => Just("a8")].prop_map(str::to_owned);
    let dense = prop_oneof![4 => 1usize..12, 1 => 1usize..400].prop_map(|width| width.to_string());
    let part = prop_oneof![3 => convolution, 2 => average, 1 => dense.clone()];
    let image = (1usize..24, 1usize..24, 1usize..4);
    (image, prop::collection::vec(part, 1..6), dense).prop_map(|((height, width, channels), parts, last)| {
        format!("{height}x{width}x{channels}-{}-{last}", parts.join("-"))
    })
}

/// Multilayer perceptrons as lines.
fn perceptrons() -> impl Strategy<Value = String> {
    let width = prop_oneof![4 => 1usize..40, 1 => 1usize..3_000];
    prop::collection::vec(width, 2..5)
        .prop_map(|widths| widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_global_rejects: 1 << 20, ..ProptestConfig::default() })]
    #[test]
    fn no_identity_of_an_accepted_layout_can_wrap(
        shape in prop_oneof![networks(), perceptrons()],
        (batch, steps, rate) in (0u32..9, prop_oneof![1usize..12, 1usize..400], -10i32..30),
        (weight_bits, weight_fraction) in (8u32..32, 1u32..31),
        (activation_bits, activation_fraction) in (8u32..32, 1u32..31),
        (standard, entropy, private) in any::<(bool, bool, bool)>(),
        clip in prop::option::of((0u32..33, any::<u64>(), 0u32..24)),
    ) {
        let format = if standard {
            FixedPoint::V1
        } else {
            FixedPoint { weight_bits, weight_fraction, activation_bits, activation_fraction }
        };
        let shape = shape.parse::<Shape>();
        // Refused ones do not count as cases.
        prop_assume!(shape.is_ok());
        if let Ok(shape) = shape {
            let clip = clip.and_then(|(bits, bound, dropped)| Clip::new(bound % (1 << bits) + 1, dropped, shape.parameters()).ok());
            let loss = if entropy { Loss::CrossEntropy } else { Loss::SquaredError };
            let plan = TrainingPlan::with_loss(shape, format, loss, 1 << batch, steps, rate);
            let accepted = plan.and_then(|plan| Layout::new(&plan, 3, clip.as_ref(), private).map(|layout| (plan, layout)));
            prop_assume!(accepted.is_ok());
            if let Ok((plan, layout)) = accepted {
                identities(&plan, &layout, clip.as_ref())?;
            }
        }
    }
}

/// What enters a pooled layer are sums, which training holds as it does everything else.
#[test]
fn sums_of_squares_that_could_overflow_are_refused() {
    let wide =
        |activation_bits| FixedPoint { weight_bits: 8, weight_fraction: 7, activation_bits, activation_fraction: 8 };
    let plan = |shape: &str, bits| TrainingPlan::new(shape.parse().unwrap(), wide(bits), 1, 1, 40);
    // 2^23·256 = 2^31 is what a square of sixteen by sixteen could reach; sixteen by sixteen fewer, one bit fewer.
    assert!(plan("16x16x1-1c1-a16-1-1", 23).is_ok());
    for (shape, bits) in [("16x16x1-1c1-a16-1-1", 25), ("4x4x1-1c1-a4-1-1", 29)] {
        let refused = plan(shape, bits);
        assert!(
            refused.is_err(),
            "{shape} with activations of {bits} bits: {:?}",
            refused.map(|plan| plan.max_accumulator())
        );
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
