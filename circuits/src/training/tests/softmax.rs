//! False softmaxes, each with all that follows from it: the errors, and the training that goes on with them.

use nexus_zk::argument::check;
use nexus_zk::{Base, from_signed};
use p3_field::{PrimeCharacteristicRing, PrimeField64};

use super::patches::Call;
use super::wires::write;
use super::{CLAIM, Case, Loss, NARROW, SUM, Spec, blind, relation};

/// Three classes, of four columns; a hidden layer; three steps.
pub(super) fn entropy() -> Spec {
    Spec { shape: "3-4-3", loss: Loss::CrossEntropy, format: NARROW, batch: 4, steps: 3, clip: None, ..Spec::default() }
}

const SOFTMAX: &str = "the softmax";
const CLASSES: usize = 3;
const WIDTH: usize = 4;

/// One row of softmax, its padded class included; numbers as they would be without ranges.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    greatest: i64,
    first: [i64; WIDTH],
    difference: [i64; WIDTH],
    exponential: [i64; WIDTH],
    probability: [i64; WIDTH],
    remainder: [i64; WIDTH],
    slack: [i64; WIDTH],
    label: usize,
}

impl Row {
    /// The row of outputs under a "greatest" one, with exponentials that are looked up where they can be.
    fn under(case: &Case, i: usize, greatest: i64, first: usize) -> Self {
        let outputs = outputs(case, i);
        let table = table(case);
        let difference = std::array::from_fn(|j| outputs.get(j).map_or(0, |output| greatest - output));
        let exponential =
            difference.map(|d| usize::try_from(d).ok().and_then(|d| table.get(d)).map_or(70_000, |&e| e.into()));
        let (zero, first) = ([0; WIDTH], std::array::from_fn(|j| i64::from(j == first)));
        let row = Self {
            greatest,
            first,
            difference,
            exponential,
            probability: zero,
            remainder: zero,
            slack: zero,
            label: label(case, i),
        };
        let sum = row.sum();
        row.divided(sum)
    }

    /// What goes back from outputs in range: beside the classes there is no target.
    fn errors(&self) -> [i64; WIDTH] {
        let one = 1 << NARROW.activation_fraction;
        std::array::from_fn(|j| self.probability[j] - if j == self.label { one } else { 0 })
    }

    fn sum(&self) -> i64 {
        self.exponential[..CLASSES].iter().sum()
    }

    /// With probabilities, remainders and slacks that follow from the exponentials and a sum.
    fn divided(mut self, sum: i64) -> Self {
        for j in 0..WIDTH {
            let dividend = (self.exponential[j] << (NARROW.activation_fraction + 1)) + sum;
            self.probability[j] = dividend / (2 * sum);
            self.remainder[j] = dividend % (2 * sum);
            self.slack[j] = 2 * sum - 1 - self.remainder[j];
        }
        self
    }
}

fn table(case: &Case) -> std::sync::Arc<[u32]> {
    case.relation.layout.softmax.as_ref().unwrap().table.exponentials().clone()
}

/// The outputs of a row of the last step.
fn outputs(case: &Case, i: usize) -> [i64; CLASSES] {
    let forward = &case.relation.layout.layers[1].forward;
    let row = (case.plan.steps() - 1) * case.plan.batch() + i;
    std::array::from_fn(|j| {
        let value = case.witness.vector[forward.value.offset + WIDTH * row + j].as_canonical_u64();
        value as i64 - forward.rounding.offset as i64
    })
}

/// The honest row, and where its outputs are from the greatest down.
fn honest(case: &Case, i: usize) -> (Row, [usize; CLASSES]) {
    let outputs = outputs(case, i);
    let mut order = [0, 1, 2];
    order.sort_by_key(|&j| -outputs[j]);
    (Row::under(case, i, outputs[order[0]], order[0]), order)
}

/// The label of a row of the last step.
fn label(case: &Case, i: usize) -> usize {
    let batch = case.schedule.batches().nth(case.plan.steps() - 1).unwrap();
    case.labels[batch[i] as usize].into()
}

/// The errors of a row of the last step, as they stand in their column, and which outputs are in range.
fn honest_errors(case: &Case, i: usize) -> ([i64; WIDTH], [bool; WIDTH]) {
    let error = case.relation.layout.softmax.as_ref().unwrap().error;
    let in_range = case.relation.layout.layers[1].forward.rounding.in_range;
    let row = (case.plan.steps() - 1) * case.plan.batch() + i;
    let at = |column: super::Column, j: usize| case.witness.vector[column.offset + WIDTH * row + j];
    let signed = |value: Base| match value.as_canonical_u64() {
        small if small < 1 << 32 => small as i64,
        _ => -((-value).as_canonical_u64() as i64),
    };
    (std::array::from_fn(|j| signed(at(error, j))), std::array::from_fn(|j| at(in_range, j) == Base::ONE))
}

/// The run whose last step has another row of softmax and goes on with its probabilities.
fn run(case: &Case, i: usize, row: &Row) -> Vec<Base> {
    let mut vector = run_with(case, i, row.errors());
    put(case, &mut vector, i, row);
    vector
}

/// The run whose last step goes on with other errors of a row.
fn run_with(case: &Case, i: usize, errors: [i64; WIDTH]) -> Vec<Base> {
    let (honest, _) = honest_errors(case, i);
    let last = case.plan.steps() - 1;
    let mut vector = case.tampered_at(|step, call, left, right| {
        let factor = match call {
            Call::Gradient(1) if step == last => right,
            Call::Backward(1) if step == last => left,
            _ => return,
        };
        for j in 0..CLASSES {
            factor[CLASSES * i + j] += (errors[j] - honest[j]) as i32;
        }
    });
    let column = case.relation.layout.softmax.as_ref().unwrap().error;
    for (j, error) in errors.into_iter().enumerate() {
        vector[column.offset + WIDTH * (last * case.plan.batch() + i) + j] = from_signed(error);
    }
    vector
}

/// Writes a row of the last step's softmax.
fn put(case: &Case, vector: &mut [Base], i: usize, row: &Row) {
    let columns = case.relation.layout.softmax.as_ref().unwrap();
    let at = (case.plan.steps() - 1) * case.plan.batch() + i;
    vector[columns.greatest.offset + at] = from_signed(row.greatest);
    for j in 0..WIDTH {
        let entry = WIDTH * at + j;
        for (column, numbers) in
            [(columns.difference, row.difference), (columns.exponential, row.exponential), (columns.first, row.first)]
        {
            vector[column.offset + entry] = from_signed(numbers[j]);
        }
        for (limbs, numbers) in
            [(&columns.probability, row.probability), (&columns.remainder, row.remainder), (&columns.slack, row.slack)]
        {
            write(vector, limbs, entry, from_signed(numbers[j]));
        }
    }
}

/// A run with a row of the last step whose three outputs differ, and are not far apart; and that row.
fn varied() -> (Case, usize) {
    let differ = |case: &Case, i: usize| {
        let (row, order) = honest(case, i);
        let d = order.map(|j| row.difference[j]);
        let near = 0 < d[1] && d[1] < d[2] && d[2] < 100;
        near && honest_errors(case, i).1 == [true; WIDTH]
            && order.iter().all(|&j| row.probability[j] > 0)
            && row.remainder.iter().all(|&r| r > 0)
    };
    let runs = (0..60).map(|k| Spec { start: 792_319 + 7_919 * k, ..entropy() }.case());
    let mut rows = runs.filter_map(|case| {
        let found = (0..case.plan.batch()).find(|&i| differ(&case, i));
        found.map(|i| (case, i))
    });
    rows.next().expect("one run in sixty has outputs that differ")
}

/// That the vector is a run but for what is looked up, and that the look-ups notice.
fn only_tables_fail(case: &Case, what: &str, vector: &[Base]) {
    assert_eq!(check(&blind(&case.relation), vector, &[&case.registered]), Ok(()), "{what}: all but the tables");
    assert_eq!(case.check(vector), Err(relation(SUM)), "{what}");
}

/// Runs that satisfy everything but the tables: a greatest output below another one, and a probability off by one.
pub(super) fn out_of_tables() -> (Case, [Vec<Base>; 2]) {
    let (case, i) = varied();
    let (row, [most, second, _]) = honest(&case, i);
    let lower = Row::under(&case, i, outputs(&case, i)[second], second);
    let (sum, mut wrong) = (row.sum(), row);
    wrong.probability[most] += 1;
    wrong.remainder[most] -= 2 * sum;
    wrong.slack[most] += 2 * sum;
    let runs = [run(&case, i, &lower), run(&case, i, &wrong)];
    (case, runs)
}

#[test]
fn a_softmax_out_of_its_tables_passes_everything_else() {
    let (case, i) = varied();
    let (row, [most, second, least]) = honest(&case, i);
    assert!(run(&case, i, &row) == case.witness.vector, "the honest row makes the honest run");
    let (table, sum) = (table(&case), row.sum());

    // The exponential of another difference.
    let mut other = row.clone();
    other.exponential[second] = table[row.difference[second] as usize + 1].into();
    assert_ne!(other.exponential, row.exponential);
    let other_sum = other.sum();
    only_tables_fail(&case, "another difference's exponential", &run(&case, i, &other.divided(other_sum)));
    // No exponential at all, of the smallest one and of the greatest.
    for j in [least, most] {
        let mut none = row.clone();
        none.exponential[j] = 0;
        let sum = none.sum();
        only_tables_fail(&case, "no exponential", &run(&case, i, &none.divided(sum)));
    }
    // A greatest output below another one, whose difference is negative.
    let lower = Row::under(&case, i, outputs(&case, i)[second], second);
    assert!(lower.difference[most] < 0);
    only_tables_fail(&case, "a greatest output below another", &run(&case, i, &lower));
    // Probabilities that are off by one, and remainders that make up for it.
    for (off, what) in [(1, "a negative remainder"), (-1, "a remainder of twice the sum and more")] {
        for j in [most, second, least] {
            let mut wrong = row.clone();
            wrong.probability[j] += off;
            wrong.remainder[j] -= off * 2 * sum;
            wrong.slack[j] += off * 2 * sum;
            only_tables_fail(&case, what, &run(&case, i, &wrong));
        }
    }
}

#[test]
fn the_greatest_output_is_one_of_the_classes() {
    let (case, i) = varied();
    let (row, [most, second, _]) = honest(&case, i);
    // All differences one too great: nothing is at the first.
    let mut above = Row::under(&case, i, row.greatest + 1, most);
    assert_eq!(case.check(&run(&case, i, &above)), Err(relation(SOFTMAX)));
    above.first = [0; WIDTH];
    assert_eq!(case.check(&run(&case, i, &above)), Err(relation(CLAIM)), "no first");
    above.first = [0, 0, 0, 1];
    assert_eq!(case.check(&run(&case, i, &above)), Err(relation(CLAIM)), "the padded class is first");
    above.first = row.first;
    above.difference[3] = 1;
    above.exponential[3] = table(&case)[1].into();
    let sum = above.sum();
    assert_eq!(case.check(&run(&case, i, &above.divided(sum))), Err(relation(SOFTMAX)), "another padded class");

    // The right greatest, and another first.
    for (first, expected, what) in [
        ([0; WIDTH], CLAIM, "none"),
        ([0, 0, 0, 1], CLAIM, "the padded class"),
        (std::array::from_fn(|j| i64::from(j == second)), SOFTMAX, "an output below the greatest"),
        (std::array::from_fn(|j| i64::from(j == second || j == most)), SOFTMAX, "two of them"),
        ([1; WIDTH], SOFTMAX, "all of them"),
    ] {
        let row = Row { first, ..row.clone() };
        assert_eq!(case.check(&run(&case, i, &row)), Err(relation(expected)), "{what}");
    }

    // Differences from another output than the one that is said.
    let row = Row { greatest: row.greatest + 1, ..row };
    assert_eq!(case.check(&run(&case, i, &row)), Err(relation(CLAIM)));
}

#[test]
fn a_division_that_is_not_one_is_named() {
    let (case, i) = varied();
    let (row, [most, ..]) = honest(&case, i);
    let sum = row.sum();
    // Another probability, with errors to match and nothing to make up for it.
    let mut wrong = row.clone();
    wrong.probability[most] -= 1;
    assert_eq!(case.check(&run(&case, i, &wrong)), Err(relation(SOFTMAX)));
    // Sums of all columns, the padded class included; of one exponential; of another row.
    let other = honest(&case, (i + 1) % case.plan.batch()).0.sum();
    for sum in [sum + row.exponential[3], row.exponential[most], other, sum + 1, 2 * sum] {
        if sum != row.sum() {
            assert_eq!(case.check(&run(&case, i, &row.clone().divided(sum))), Err(relation(SOFTMAX)), "{sum}");
        }
    }
    // Half a probability more to every class: rounding down.
    let mut down = row.clone();
    for j in 0..WIDTH {
        let dividend = row.exponential[j] << (NARROW.activation_fraction + 1);
        (down.probability[j], down.remainder[j]) = (dividend / (2 * sum), dividend % (2 * sum));
        down.slack[j] = 2 * sum - 1 - down.remainder[j];
    }
    assert_eq!(case.check(&run(&case, i, &down)), Err(relation(SOFTMAX)));
    // A remainder and its slack that do not belong together.
    let mut row = row;
    row.slack[most] -= 1;
    assert_eq!(case.check(&run(&case, i, &row)), Err(relation(CLAIM)));
}

#[test]
fn errors_are_probabilities_minus_targets_once() {
    let (case, i) = varied();
    let last = case.plan.steps() - 1;
    let one = 1 << NARROW.activation_fraction;
    let (row, order) = honest(&case, i);
    let (label, outputs) = (row.label, outputs(&case, i));
    let (errors, _) = honest_errors(&case, i);
    assert_eq!(errors, row.errors());
    let mut changes = vec![
        ("the target twice", label, -one),
        ("no target", label, one),
        ("the target of another class", (label + 1) % CLASSES, -one),
        ("no error", label, -errors[label]),
    ];
    // An output in the place of its probability.
    changes.push(("an output", order[2], outputs[order[2]] - row.probability[order[2]]));
    for (what, class, change) in changes {
        assert_ne!(change, 0, "{what}");
        let mut wrong = errors;
        wrong[class] += change;
        assert_eq!(case.check(&run_with(&case, i, wrong)), Err(relation(SOFTMAX)), "{what}");
        // Other errors than those that are written down.
        let vector = case.tampered_at(|step, call, left, right| match call {
            Call::Gradient(1) if step == last => right[CLASSES * i + class] += change as i32,
            Call::Backward(1) if step == last => left[CLASSES * i + class] += change as i32,
            _ => (),
        });
        assert!(vector != case.witness.vector, "{what}");
        assert_eq!(case.check(&vector), Err(relation(CLAIM)), "{what}");
    }
}

/// A case whose start weights saturate outputs of the last step on both sides.
fn saturated(seed: i32) -> Case {
    let mut case = Spec { start: 792_319 + 7_919 * seed, ..entropy() }.case();
    let limit = 1 << (NARROW.weight_bits - 1);
    let wide = case.start.values().iter().map(|&weight| (4 * weight).clamp(-limit, limit - 1)).collect();
    case.start = super::Weights::new(case.plan.shape(), wide, NARROW).unwrap();
    case.relation.models = case.start.clone().into();
    let witness = super::Witness::new(&case.relation, &case.start, case.examples(), &case.schedule, super::Integers);
    case.witness = witness.unwrap();
    case
}

#[test]
fn a_saturated_output_keeps_no_error_that_pushes_it_further_and_no_other_loses_its_own() {
    // Stopped and kept, of labels and of others.
    let mut seen = [0; 4];
    for case in (0..40).map(saturated) {
        assert_eq!(case.check(&case.honest()), Ok(()));
        for i in 0..case.plan.batch() {
            let (row, _) = honest(&case, i);
            let (errors, in_range) = honest_errors(&case, i);
            for j in (0..CLASSES).filter(|&j| !in_range[j] && row.errors()[j] != 0) {
                let mut wrong = errors;
                let kept = errors[j] != 0;
                wrong[j] = if kept { 0 } else { row.errors()[j] };
                let kind = 2 * usize::from(j == row.label) + usize::from(kept);
                seen[kind] += 1;
                if seen[kind] < 4 {
                    assert_eq!(case.check(&run_with(&case, i, wrong)), Err(relation(SOFTMAX)), "{kind}");
                }
            }
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn what_stands_beside_the_classes_is_free_and_reaches_nothing() {
    let (case, i) = varied();
    let (row, _) = honest(&case, i);
    // Any difference, its exponential, what follows from it, and whether it is the first where it is zero.
    let sum = row.sum();
    for (difference, first) in [(0, 1), (5, 0), (255, 0)] {
        let mut other = row.clone();
        other.difference[3] = difference;
        other.exponential[3] = table(&case)[difference as usize].into();
        other.first[3] = first;
        let vector = run(&case, i, &other.divided(sum));
        assert!(vector != case.witness.vector);
        assert_eq!(case.check(&vector), Ok(()), "difference {difference}");
    }
    // Its probability is no error: a gradient of the weights beside the classes is not the product's.
    let columns = &case.relation.layout.layers[1];
    let (change, remainder) = &columns.changes[case.plan.steps() - 1];
    let shift = case.plan.update_shift(columns.layer);
    // The bias takes the constant one.
    let bias = columns.layer.rows() - 1;
    let one = 1i64 << case.plan.input_fraction(columns.layer);
    let gradient: i64 = (0..case.plan.batch()).map(|i| honest(&case, i).0.probability[3] * one).sum();
    let shifted = gradient + (1 << (shift - 1));
    let entry = WIDTH * bias + 3;
    let mut vector = case.honest();
    write(&mut vector, change, entry, from_signed((shifted >> shift) + columns.change_offset() as i64));
    write(&mut vector, remainder, entry, from_signed(shifted & ((1 << shift) - 1)));
    assert!(gradient > 0 && vector != case.witness.vector);
    assert_eq!(case.relation.layout.lookups.count(&mut vector.clone()), Ok(()));
    assert_eq!(case.check(&vector), Err(relation(CLAIM)));
}
