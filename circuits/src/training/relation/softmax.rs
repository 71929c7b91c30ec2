use nexus_zk::argument::{Affine, Prover, Verifier};
use nexus_zk::multilinear::{Functional, Term, eq_table};
use nexus_zk::sumcheck::{self, Summand};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::{Algebra, Field, PrimeCharacteristicRing};

use super::{Relation, claimed, class_weights, fill, fill_limbs, stacked, stacked_limbs};
use crate::training::layout::{Column, LayerColumns, SoftmaxColumns, bits_for};

/// One sum for a softmax's division, for the greatest output, and for the errors
/// `y·(1 − a)·(p − 2^f) + (1 − y)·(1 − b)·p` of a target `y` and an output saturated above or below.
///
/// An output was saturated above where `a = top / greatest` is one, and below where `b = 1 − in_range − a` is.
struct SoftmaxSummand {
    theta: Ext,
    /// `2^f`.
    one: Ext,
    /// The inverse of the greatest output.
    above: Ext,
}

impl Summand<10> for SoftmaxSummand {
    const DEGREE: usize = 3;
    fn evaluate<A: Algebra<Ext> + Copy>(
        &self,
        [exponential, sum, probability, remainder, first, difference, error, target, in_range, top]: [A; 10],
    ) -> A {
        let (one, above) = (A::from(self.one), top * self.above);
        let label = target * (A::ONE - above) * (probability - one);
        let other = (A::ONE - target) * (in_range + above) * probability;
        let division = exponential * one.double() + sum - (sum * probability).double() - remainder;
        division + (first * difference + (error - label - other) * self.theta) * self.theta
    }
}

/// `2^(f+1)·e + S = 2·S·p + r`, `first·d = 0` and the errors for every output, and what is linear about them.
impl Relation {
    pub(super) fn prove_softmax(&self, columns: &SoftmaxColumns, vector: &[Base], prover: &mut Prover<'_>) {
        let (rows, classes) = (self.gather.len(), self.plan.shape().outputs());
        let width = columns.difference.len / rows;
        let point = prover.challenges(self.step_bits() + self.batch_bits() + bits_for(classes));
        let theta = prover.challenge();
        let mut tables: [Vec<Ext>; 10] = std::array::from_fn(|_| vec![Ext::ZERO; 1 << point.len()]);
        for (table, column) in self.softmax_columns(columns) {
            fill(&mut tables[table], 0, vector, column);
        }
        fill_limbs(&mut tables[2], 0, vector, &columns.probability);
        fill_limbs(&mut tables[3], 0, vector, &columns.remainder);
        let exponentials = vector[columns.exponential.offset..][..columns.exponential.len].chunks_exact(width);
        for (sums, row) in tables[1].chunks_exact_mut(width).zip(exponentials) {
            sums.fill(row[..classes].iter().copied().sum::<Base>().into());
        }
        let targets = &vector[self.layout.data.targets.offset..];
        for (slots, &example) in tables[7].chunks_exact_mut(width).zip(&self.gather) {
            let targets = &targets[example as usize * width..][..width];
            slots.iter_mut().zip(targets).for_each(|(slot, &target)| *slot = target.into());
        }
        let (_, values) = sumcheck::prove(prover, tables, &point, &self.softmax_summand(theta));
        prover.send_all(&values);
        prover.send(values[7] * values[2]);
        // The claims that are linear take a point and no message.
        let _ = prover.challenges(point.len());
    }

    pub(super) fn verify_softmax(&self, columns: &SoftmaxColumns, verifier: &mut Verifier) -> Result<(), ZkError> {
        let classes = self.plan.shape().outputs();
        let (output_bits, row_bits) = (bits_for(classes), self.step_bits() + self.batch_bits());
        let point = verifier.challenges(row_bits + output_bits);
        let theta = verifier.challenge();
        let summand = self.softmax_summand(theta);
        let (at, last) = sumcheck::verify(verifier, Affine::default(), &point, point.len(), SoftmaxSummand::DEGREE)?;
        let mut ones = vec![Ext::ONE; classes];
        ones.resize(1 << output_bits, Ext::ZERO);
        let outer = |functional: &mut Functional, column: Column, at: &[Ext], columns: Vec<Ext>| {
            let (tau, beta) = at[..row_bits].split_at(self.step_bits());
            functional.push(Term::Outer { offset: column.offset, rows: self.rows_at(tau, beta), columns });
        };
        let mut functionals = [const { Functional::new() }; 10];
        for (functional, column) in self.softmax_columns(columns) {
            stacked(&mut functionals[functional], column, 0, &at, Ext::ONE);
        }
        outer(&mut functionals[1], columns.exponential, &at, ones.clone());
        stacked_limbs(&mut functionals[2], &columns.probability, 0, &at);
        stacked_limbs(&mut functionals[3], &columns.remainder, 0, &at);
        let (rows, iota) = at.split_at(row_bits);
        let (tau, beta) = rows.split_at(self.step_bits());
        functionals[7].push(Term::Outer {
            offset: self.layout.data.targets.offset,
            rows: self.example_weights(tau, beta),
            columns: eq_table(iota, Ext::ONE),
        });
        let mut values = Vec::with_capacity(10);
        for functional in functionals {
            values.push(claimed(verifier, (functional, Ext::ZERO))?);
        }
        let [exponential, sum, probability, remainder, first, difference, error, target, in_range, top]: [Affine; 10] =
            values.try_into().expect("as many values as functionals");
        let labelled = verifier.receive()?;
        let product = vec![(Ext::ONE, target.clone(), probability.clone())];
        verifier.assert_products("a label's probability", product, labelled.clone().scaled(-Ext::ONE))?;
        let SoftmaxSummand { one, above, .. } = summand;
        let (above, squared) = (top.scaled(above), theta.square());
        let mut rest = sum.clone() - &remainder - &last;
        rest.add_scaled(&exponential, one.double());
        rest.add_scaled(&error, squared);
        rest.add_scaled(&labelled, -squared);
        rest.add_scaled(&target, squared * one);
        // With `u = y·p`, the error is `u − 2^f·y − 2·a·u + 2^f·a·y + in_range·p + a·p − in_range·u`.
        let products = vec![
            (-Ext::TWO, sum, probability.clone()),
            (theta, first, difference),
            (squared.double(), above.clone(), labelled.clone()),
            (-squared * one, above.clone(), target),
            (-squared, in_range.clone(), probability.clone()),
            (-squared, above, probability),
            (squared, in_range, labelled),
        ];
        verifier.assert_products("the softmax", products, rest)?;

        let at = verifier.challenges(point.len());
        let (rows, iota) = at.split_at(row_bits);
        let steps = self.steps_in(&rows[..self.step_bits()]);
        // `d = m − value + offset` for the classes.
        let forward = &self.last().forward;
        let real = class_weights(iota, classes, Ext::ONE);
        let total = real.iter().copied().sum::<Ext>();
        let mut functional = Functional::new();
        outer(&mut functional, columns.difference, &at, real.clone());
        outer(&mut functional, forward.value, &at, real);
        outer(&mut functional, columns.greatest, &at, vec![-total]);
        verifier.claim(functional, (steps * total * Base::from_u64(forward.rounding.offset)).into());
        // One of the greatest is the first.
        let mut functional = Functional::new();
        outer(&mut functional, columns.first, &at, ones.clone());
        verifier.claim(functional, steps.into());
        // `r + slack + 1 = 2·S`.
        let mut functional = Functional::new();
        for limbs in [&columns.remainder, &columns.slack] {
            stacked_limbs(&mut functional, limbs, 0, &at);
        }
        outer(&mut functional, columns.exponential, &at, ones.into_iter().map(|one| one * -Ext::TWO).collect());
        verifier.claim(functional, (-steps).into());
        Ok(())
    }

    fn softmax_summand(&self, theta: Ext) -> SoftmaxSummand {
        let greatest = Ext::from_u64((1 << self.last().forward.rounding.width) - 1);
        let one = Ext::from_u64(1 << self.plan.format().activation_fraction);
        SoftmaxSummand { theta, one, above: greatest.inverse() }
    }

    /// The columns that the softmax's sum takes as they are, and where.
    fn softmax_columns(&self, columns: &SoftmaxColumns) -> [(usize, Column); 6] {
        let rounding = &self.last().forward.rounding;
        [
            (0, columns.exponential),
            (4, columns.first),
            (5, columns.difference),
            (6, columns.error),
            (8, rounding.in_range),
            (9, rounding.top),
        ]
    }

    fn last(&self) -> &LayerColumns {
        &self.layout.layers[self.layout.layers.len() - 1]
    }
}
