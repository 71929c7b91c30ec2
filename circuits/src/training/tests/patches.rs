//! False runs of convolutional networks: patches, squares and errors that are not those of the statement's shape.

use nexus_zk::{Base, from_signed};
use p3_field::{PrimeCharacteristicRing, PrimeField64};

use super::{CLAIM, Case, Forward, Spec, relation};
use crate::reference::{Image, Layer};

/// Padding, squares with a row and a column dropped, padded positions and channels, three steps.
pub(super) fn convolutional() -> Spec {
    Spec { shape: "4x4x1-3c2p1-a2-2c2p1-3", steps: 3, ..Spec::default() }
}

/// What a product of a step is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Forward(usize),
    Gradient(usize),
    Backward(usize),
}

impl Call {
    /// The step and the product of a number, in the order of training.
    pub(super) fn at(number: usize, depth: usize) -> (usize, Self) {
        let (step, within) = (number / (3 * depth - 1), number % (3 * depth - 1));
        let Some(back) = within.checked_sub(depth) else { return (step, Self::Forward(within)) };
        let layer = depth - 1 - back / 2;
        (step, if back % 2 == 0 { Self::Gradient(layer) } else { Self::Backward(layer) })
    }
}

impl Case {
    /// As [`Self::tampered`], by step and product.
    pub(super) fn tampered_at(&self, mut tamper: impl FnMut(usize, Call, &mut [i32], &mut [i32])) -> Vec<Base> {
        let depth = self.plan.shape().depth();
        self.tampered(|number, left, right| {
            let (step, call) = Call::at(number, depth);
            tamper(step, call, left, right);
        })
    }

    fn layer(&self, index: usize) -> Layer {
        self.plan.shape().layers().nth(index).unwrap()
    }
}

/// Which pixel, by row and column, a tap (its row and column in the kernel) covers at an output's row and column.
type Map<'a> = &'a dyn Fn([usize; 2], [usize; 2]) -> Option<[usize; 2]>;

/// The patches of images, by another map than the layer's.
fn unfold(layer: Layer, images: &[Vec<i32>], one: i32, map: Map<'_>) -> Vec<i32> {
    let (image, output) = (layer.image(), layer.output());
    let mut patches = Vec::new();
    for values in images {
        for position in 0..output.positions() {
            let at = [position / output.width, position % output.width];
            for tap in 0..layer.taps() {
                let pixel = map(at, [tap / layer.kernel[1], tap % layer.kernel[1]]);
                let pixel = pixel.filter(|&[y, x]| y < image.height && x < image.width);
                let channel =
                    |channel| pixel.map_or(0, |[y, x]| values[(y * image.width + x) * image.channels + channel]);
                patches.extend((0..image.channels).map(channel));
            }
            patches.push(one);
        }
    }
    patches
}

/// What the first layer sees of a step's examples.
fn images(case: &Case, step: usize) -> Vec<Vec<i32>> {
    let batch = case.schedule.batches().nth(step).unwrap();
    batch.iter().map(|&example| case.examples().get(example as usize).0.iter().map(|&b| b.into()).collect()).collect()
}

#[test]
fn patches_of_the_first_layer_are_those_of_its_map() {
    let case = convolutional().case();
    let layer = case.layer(0);
    let Image { height, width, .. } = layer.image();
    assert_eq!((layer.padding, height, width), (1, 4, 4));
    let plain = |[row, column]: [usize; 2], [down, right]: [usize; 2], padding: usize| {
        Some([(row + down).checked_sub(padding)?, (column + right).checked_sub(padding)?])
    };
    let run = |map: Map<'_>| {
        case.tampered_at(|step, call, left, _| {
            if matches!(call, Call::Forward(0) | Call::Gradient(0)) {
                left.copy_from_slice(&unfold(layer, &images(&case, step), 1 << 8, map));
            }
        })
    };
    let honest = |at, tap| plain(at, tap, 1);
    assert!(run(&honest) == case.witness.vector, "the map of the layer makes the honest run");
    let maps: [(&str, Map<'_>); 9] = [
        ("no padding on top and on the left", &|at, tap| plain(at, tap, 0)),
        ("two pixels of padding", &|at, tap| plain(at, tap, 2)),
        ("padding of the rows alone", &|[row, column], [down, right]| {
            Some([(row + down).checked_sub(1)?, column + right])
        }),
        ("an image that goes on at its other side", &|[row, column], [down, right]| {
            Some([(row + down + height - 1) % height, (column + right + width - 1) % width])
        }),
        ("an image that goes on with its last pixel", &|[row, column], [down, right]| {
            Some([(row + down).saturating_sub(1).min(height - 1), (column + right).saturating_sub(1).min(width - 1)])
        }),
        ("taps by column and row", &|at, [down, right]| plain(at, [right, down], 1)),
        ("taps from the last to the first", &|at, [down, right]| plain(at, [1 - down, 1 - right], 1)),
        ("pixels by column and row", &|at, tap| plain(at, tap, 1).map(|[y, x]| [x, y])),
        ("outputs by column and row", &|[row, column], tap| plain([column, row], tap, 1)),
    ];
    for (what, map) in maps {
        let vector = run(map);
        assert!(vector != case.witness.vector, "{what}");
        assert_eq!(case.check(&vector), Err(relation(CLAIM)), "{what}");
    }
}

#[test]
fn the_same_run_of_an_image_of_other_sides_is_another_run() {
    // The same widths and weights, and as many positions: only which pixel is where differs.
    let [tall, wide] = ["4x3x1-2c2-2c2p1-3", "3x4x1-2c2-2c2p1-3"].map(|shape| Spec { shape, ..Spec::default() }.case());
    let [a, b] = [&tall, &wide].map(|case| &case.relation.layout);
    assert_eq!((a.variables, format!("{:?}", a.lookups)), (b.variables, format!("{:?}", b.lookups)));
    for (own, other) in [(&tall, &wide), (&wide, &tall)] {
        assert_eq!(own.check(&own.honest()), Ok(()));
        assert_eq!(other.check(&own.honest()), Err(relation(CLAIM)));
    }
}

#[test]
fn taps_of_a_hidden_layer_have_one_order() {
    let case = convolutional().case();
    let layer = case.layer(1);
    let (channels, width) = (layer.image().channels, layer.rows());
    // Taps by column and row, forward and back: a run of the transposed kernel.
    let swapped = |values: &mut [i32], row: usize| {
        for row in values.chunks_exact_mut(row) {
            let (before, after) = row.split_at_mut(2 * channels);
            before[channels..].swap_with_slice(&mut after[..channels]);
        }
    };
    let vector = case.tampered_at(|_, call, left, right| match call {
        Call::Forward(1) | Call::Gradient(1) => swapped(left, width),
        Call::Backward(1) => {
            let (before, after) = right.split_at_mut(2 * channels * layer.outputs);
            before[channels * layer.outputs..].swap_with_slice(&mut after[..channels * layer.outputs]);
        }
        _ => (),
    });
    assert!(vector != case.witness.vector);
    assert_eq!(case.check(&vector), Err(relation(CLAIM)));
}

#[test]
fn an_average_takes_its_square_and_the_constant_one_of_its_fraction() {
    let case = with_errors();
    let (layer, last) = (case.layer(1), case.plan.steps() - 1);
    let (source, image) = (layer.source, layer.image());
    let before = &case.relation.layout.layers[0];
    // Sums of squares of the last step's values, one pixel of which belongs to a square that it does not lie in.
    let sums = |leak: Option<(usize, usize)>| -> Vec<Vec<i32>> {
        let value = |example: usize, position: usize, channel: usize| {
            let row = last * case.plan.batch() + example;
            let entry = (row << before.value_bits()) + (position << before.output_bits) + channel;
            case.witness.vector[before.forward.value.offset + entry].as_canonical_u64() as i32
        };
        let mut images = vec![vec![0; image.len()]; case.plan.batch()];
        for (example, sums) in images.iter_mut().enumerate() {
            for position in 0..source.positions() {
                let square = match leak {
                    Some((leaking, square)) if leaking == position => Some(square),
                    _ => layer.pooled(position),
                };
                let Some(square) = square else { continue };
                for channel in 0..source.channels {
                    sums[square * source.channels + channel] += value(example, position, channel);
                }
            }
        }
        images
    };
    let one = 1 << case.plan.input_fraction(layer);
    assert_eq!(one, 1 << 14, "twelve bits of a value and two of a square of four");
    let map: Map<'_> = &|[row, column], [down, right]| {
        Some([(row + down).checked_sub(layer.padding)?, (column + right).checked_sub(layer.padding)?])
    };
    let run = |one: i32, leak: Option<(usize, usize)>| {
        case.tampered_at(|step, call, left, _| {
            if step == last && matches!(call, Call::Forward(1) | Call::Gradient(1)) {
                left.copy_from_slice(&unfold(layer, &sums(leak), one, map));
            }
        })
    };
    assert!(run(one, None) == case.witness.vector, "squares of their own pixels make the honest run");
    // A dropped pixel, one of another square, and one that is left out of its own.
    let dropped = (0..source.positions()).filter(|&position| layer.pooled(position).is_none());
    let (mut leaks, mut seen) = (Vec::new(), 0);
    leaks.extend(dropped.map(|position| (position, 0)));
    assert_eq!(leaks.len(), 9, "five by five pixels, of which four by four are averaged");
    leaks.extend([(0, 3), (7, 0)]);
    for leak in leaks {
        let vector = run(one, Some(leak));
        if vector != case.witness.vector {
            seen += 1;
            assert_eq!(case.check(&vector), Err(relation(CLAIM)), "pixel {} in square {}", leak.0, leak.1);
        }
    }
    assert!(seen > 3, "{seen} pixels have values");
    assert_eq!(case.check(&run(1 << 12, None)), Err(relation(CLAIM)), "the one of a value");
}

/// The last step's errors behind the first layer, as training has them and where they stand in their column.
struct Errors<'a> {
    case: &'a Case,
    layer: Layer,
}

impl Errors<'_> {
    /// The entry of the ReLU's columns: an example, a position and a channel, padded ones included.
    fn entry(&self, example: usize, position: usize, channel: usize) -> usize {
        let columns = &self.case.relation.layout.layers[0];
        let row = (self.case.plan.steps() - 1) * self.case.plan.batch() + example;
        (row << columns.value_bits()) + (position << columns.output_bits) + channel
    }

    fn is_on(&self, example: usize, position: usize, channel: usize) -> bool {
        let (_, relu) = self.case.relation.layout.layers[0].backward.as_ref().unwrap();
        self.case.witness.vector[relu.on.offset + self.entry(example, position, channel)] == Base::ONE
    }

    /// What came back to a square, rounded, on or off.
    fn square(&self, example: usize, square: usize, channel: usize) -> i32 {
        let columns = &self.case.relation.layout.layers[0];
        let (backward, _) = columns.backward.as_ref().unwrap();
        let bits = columns.output_bits + self.case.relation.layout.layers[1].image_bits;
        let row = (self.case.plan.steps() - 1) * self.case.plan.batch() + example;
        let entry = (row << bits) + (square << columns.output_bits) + channel;
        let at = |column: super::Column| self.case.witness.vector[column.offset + entry].as_canonical_u64();
        let low: u64 = backward.low.columns.iter().map(|&(column, below)| at(column) << below).sum();
        (at(backward.in_range) * low + at(backward.top)) as i32 - backward.offset as i32
    }

    /// The run whose last step has other errors: `change` gets example, position, channel and the honest error.
    fn run(&self, change: impl Fn(usize, usize, usize, i32) -> i32) -> Vec<Base> {
        let (output, last) = (self.layer.output(), self.case.plan.steps() - 1);
        let (_, relu) = self.case.relation.layout.layers[0].backward.as_ref().unwrap();
        let mut changed = Vec::new();
        let mut vector = self.case.tampered_at(|step, call, _, right| {
            if (step, call) == (last, Call::Gradient(0)) {
                for (i, error) in right.iter_mut().enumerate() {
                    let (pixel, channel) = (i / output.channels, i % output.channels);
                    let (example, position) = (pixel / output.positions(), pixel % output.positions());
                    *error = change(example, position, channel, *error);
                    changed.push((self.entry(example, position, channel), *error));
                }
            }
        });
        for (entry, error) in changed {
            vector[relu.error.offset + entry] = from_signed(error.into());
        }
        vector
    }
}

/// What becomes of an error, by example, position and channel.
type Change<'a> = &'a dyn Fn(usize, usize, usize, i32) -> i32;

/// A run whose last step sends an error back to a dropped pixel's neighbours, through a ReLU that is on.
fn with_errors() -> Case {
    let run = |start| Spec { start, ..convolutional() }.case();
    let fits = |case: &Case| {
        let errors = Errors { case, layer: case.layer(0) };
        let channels = 0..3;
        let dropped = channels.clone().any(|c| (20..25).any(|p| errors.is_on(0, p, c)) && errors.square(0, 3, c) != 0);
        let off = channels.clone().any(|c| !errors.is_on(0, 0, c) && errors.square(0, 0, c) != 0);
        let moved = channels.clone().any(|c| errors.is_on(0, 0, c) && errors.square(0, 0, c) != errors.square(0, 3, c));
        let mut within = channels.clone();
        dropped && off && moved && within.any(|c| errors.is_on(0, 0, c) && errors.square(0, 0, c) != 0)
    };
    (0..60).map(|i| run(792_319 + 7_919 * i)).find(fits).expect("one run in sixty has every kind")
}

#[test]
fn an_error_goes_back_to_the_pixels_of_its_square_that_were_on() {
    let case = with_errors();
    let errors = Errors { case: &case, layer: case.layer(0) };
    let next = case.layer(1);
    assert!(errors.run(|_, _, _, error| error) == case.witness.vector, "honest errors make the honest run");
    let square = |example, position, channel| next.pooled(position).map_or(0, |s| errors.square(example, s, channel));
    let changes: [(&str, Change<'_>); 6] = [
        ("not divided by the square", &|_, _, _, error| 4 * error),
        ("given to a dropped row", &|example, position, channel, error| {
            let given = position >= 20 && errors.is_on(example, position, channel);
            if given { errors.square(example, 3, channel) } else { error }
        }),
        ("given to one pixel of the square, and all of it", &|_, position, _, error| {
            if position / 5 % 2 == 0 && position % 5 % 2 == 0 { 4 * error } else { 0 }
        }),
        ("given through a ReLU that is off", &|example, position, channel, _| square(example, position, channel)),
        ("of another square", &|example, position, channel, error| match next.pooled(position) {
            Some(0) if errors.is_on(example, position, channel) => errors.square(example, 3, channel),
            _ => error,
        }),
        ("of another sign", &|_, _, _, error| -error),
    ];
    for (what, change) in changes {
        let vector = errors.run(change);
        assert!(vector != case.witness.vector, "{what}");
        assert_eq!(case.check(&vector), Err(relation("a ReLU")), "{what}");
    }
    // What is not divided before it is rounded is no product.
    let last = case.plan.steps() - 1;
    let vector = case.tampered_at(|step, call, left, _| {
        if (step, call) == (last, Call::Backward(1)) {
            for error in left.iter_mut() {
                *error *= 4;
            }
        }
    });
    assert!(vector != case.witness.vector);
    assert_eq!(case.check(&vector), Err(relation(CLAIM)));
}

#[test]
fn beside_positions_and_channels_there_is_nothing() {
    let case = with_errors();
    let errors = Errors { case: &case, layer: case.layer(0) };
    let columns = &case.relation.layout.layers[0];
    let (backward, relu) = columns.backward.as_ref().unwrap();
    let Forward { rounding, value, .. } = &columns.forward;
    // Positions 25 to 31, and the fourth channel.
    for (what, entry) in [
        ("a padded position", errors.entry(0, 25, 0)),
        ("the last padded position", errors.entry(1, 31, 3)),
        ("a padded channel", errors.entry(0, 0, 3)),
        ("a padded channel of a dropped pixel", errors.entry(0, 24, 3)),
    ] {
        assert_eq!(case.witness.vector[value.offset + entry], Base::ZERO);
        // A ReLU that is on at zero, with whatever inverse, and with an error of its own.
        for inverse in [Base::ZERO, Base::ONE] {
            for error in [0, 1, 77] {
                let mut vector = case.honest();
                vector[relu.on.offset + entry] = Base::ONE;
                vector[relu.inverse.offset + entry] = inverse;
                vector[relu.error.offset + entry] = from_signed(error);
                assert_eq!(case.check(&vector), Err(relation("a ReLU")), "{what}");
            }
        }
        // A value, well rounded, of a product that is zero.
        let mut vector = case.honest();
        vector[rounding.low.columns[0].0.offset + entry] = Base::ONE;
        for (column, one) in [(*value, Base::ONE), (relu.on, Base::ONE), (relu.inverse, Base::ONE)] {
            vector[column.offset + entry] = one;
        }
        assert_eq!(case.check(&vector), Err(relation(CLAIM)), "{what}");
    }
    // What comes back to a padded channel is the rounding of zero.
    let bits = columns.output_bits + case.relation.layout.layers[1].image_bits;
    assert_eq!(backward.high.len, (case.plan.steps() * case.plan.batch()) << bits);
    let mut vector = case.honest();
    vector[backward.low.columns[0].0.offset + 3] += Base::ONE;
    assert_eq!(case.check(&vector), Err(relation(CLAIM)));
}
