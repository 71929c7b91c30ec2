use nexus_zk::argument::{Affine, Prover, Verifier};
use nexus_zk::multilinear::{Functional, Term, eq_index, eq_prefix, eq_table};
use nexus_zk::sumcheck::{self, Summand};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::{Algebra, PrimeCharacteristicRing};

use super::{Relation, claimed, fill, number, stacked};
use crate::reference::Layer;
use crate::training::layout::{Column, LayerColumns, Relu, Rounding, bits_for};

struct ReluSummand {
    theta: Ext,
}

impl Summand<7> for ReluSummand {
    const DEGREE: usize = 3;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [on, inverse, value, error, in_range, low, top]: [A; 7]) -> A {
        let back = error - on * (in_range * low + top);
        on - value * inverse + ((A::ONE - on) * value + back * self.theta) * self.theta
    }
}

/// A point of the stack of hidden layers, seen from one layer.
struct Place<'a> {
    columns: &'a LayerColumns,
    next: Layer,
    start: usize,
    point: &'a [Ext],
}

/// `on = [value ≥ 1]` by the value's inverse, and errors, rounded on their way back, only where it is on.
impl Relation {
    pub(super) fn prove_relus(&self, vector: &[Base], prover: &mut Prover<'_>) {
        let point = prover.challenges(bits_for(self.layout.relus));
        let theta = prover.challenge();
        let offset = self.error_offset();
        let mut tables: [Vec<Ext>; 7] = std::array::from_fn(|_| vec![Ext::ZERO; 1 << point.len()]);
        for (columns, backward, relu, next) in self.relus() {
            for (table, column) in tables.iter_mut().zip([relu.on, relu.inverse, columns.forward.value, relu.error]) {
                fill(table, relu.start, vector, column);
            }
            let image = 1 << (bits_for(next.image().positions()) + columns.output_bits);
            for example in 0..self.gather.len() {
                let start = relu.start + (example << columns.value_bits());
                for position in 0..1 << columns.position_bits {
                    // Without averages, padded positions have an error of zero that was rounded as any other.
                    let square = if next.pool == 1 { Some(position) } else { next.pooled(position) };
                    let Some(square) = square else { continue };
                    let from = example * image + (square << columns.output_bits);
                    let to = start + (position << columns.output_bits);
                    for channel in 0..1 << columns.output_bits {
                        let (from, to) = (from + channel, to + channel);
                        tables[4][to] = vector[backward.in_range.offset + from].into();
                        tables[5][to] = number(vector, &backward.low, from).into();
                        tables[6][to] = Ext::from(vector[backward.top.offset + from]) - offset;
                    }
                }
            }
        }
        let (_, values) = sumcheck::prove(prover, tables, &point, &ReluSummand { theta });
        prover.send_all(&values);
        prover.send(values[4] * values[5]);
    }

    pub(super) fn verify_relus(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
        let bits = bits_for(self.layout.relus);
        let point = verifier.challenges(bits);
        let theta = verifier.challenge();
        let (at, last) = sumcheck::verify(verifier, Affine::default(), &point, bits, ReluSummand::DEGREE)?;
        let mut functionals = [const { Functional::new() }; 7];
        let mut constants = [Ext::ZERO; 7];
        for (columns, backward, relu, next) in self.relus() {
            let whole = [relu.on, relu.inverse, columns.forward.value, relu.error];
            for (functional, column) in functionals.iter_mut().zip(whole) {
                stacked(functional, column, relu.start, &at, Ext::ONE);
            }
            let place = Place { columns, next, start: relu.start, point: &at };
            self.spread(&mut functionals[4], backward.in_range, &place, Ext::ONE);
            for &(column, below) in &backward.low.columns {
                self.spread(&mut functionals[5], column, &place, Ext::from_u64(1 << below));
            }
            self.spread(&mut functionals[6], backward.top, &place, Ext::ONE);
            constants[6] -= self.error_offset() * self.spread_total(&place);
        }
        let mut values = Vec::with_capacity(7);
        for claim in functionals.into_iter().zip(constants) {
            values.push(claimed(verifier, claim)?);
        }
        let [on, inverse, value, error, in_range, low, top]: [Affine; 7] =
            values.try_into().expect("as many values as functionals");
        let inner = verifier.receive()?;
        let product = vec![(Ext::ONE, in_range, low)];
        verifier.assert_products("a rounded error", product, inner.clone().scaled(-Ext::ONE))?;
        let mut rest = on.clone() - &last;
        rest.add_scaled(&value, theta);
        rest.add_scaled(&error, theta.square());
        let products =
            vec![(-Ext::ONE, value.clone(), inverse), (-theta, on.clone(), value), (-theta.square(), on, inner + &top)];
        verifier.assert_products("a ReLU", products, rest)
    }

    /// What errors before a ReLU are offset by.
    fn error_offset(&self) -> Ext {
        Ext::from_u64(1 << (self.plan.format().activation_bits - 1))
    }
}

impl Relation {
    /// The hidden layers, each with the next one.
    fn relus(&self) -> impl Iterator<Item = (&LayerColumns, &Rounding, &Relu, Layer)> {
        let hidden = self.layout.layers.iter().filter_map(|layer| Some((layer, layer.backward.as_ref()?)));
        hidden
            .zip(&self.layout.layers[1..])
            .map(|((layer, (rounding, relu)), next)| (layer, rounding, relu, next.layer))
    }

    /// Adds what stands in the squares that `next` averages, each repeated for every position of its square, where the
    /// layer's values stand in the stack of hidden layers.
    fn spread(&self, functional: &mut Functional, column: Column, at: &Place<'_>, scale: Ext) {
        if at.next.pool == 1 {
            return stacked(functional, column, at.start, at.point, scale);
        }
        let (rows, positions, channels) = self.stack_point(at);
        let mut squares = vec![Ext::ZERO; 1 << bits_for(at.next.image().positions())];
        for (position, &weight) in positions.iter().enumerate() {
            if let Some(pooled) = at.next.pooled(position) {
                squares[pooled] += weight * scale;
            }
        }
        let columns = squares.iter().flat_map(|&square| channels.iter().map(move |&channel| square * channel));
        functional.push(Term::Outer { offset: column.offset, rows, columns: columns.collect() });
    }

    /// The weight of all positions of the stack that [`Self::spread`] fills.
    fn spread_total(&self, at: &Place<'_>) -> Ext {
        let block = self.gather.len() << at.columns.value_bits();
        if at.next.pool == 1 {
            return eq_prefix(at.point, at.start + block) - eq_prefix(at.point, at.start);
        }
        let (rows, positions, _) = self.stack_point(at);
        let filled = |&(position, _): &(usize, &Ext)| at.next.pooled(position).is_some();
        let positions = positions.iter().enumerate().filter(filled);
        rows.into_iter().sum::<Ext>() * positions.map(|(_, &weight)| weight).sum::<Ext>()
    }

    /// A point of the stack of hidden layers as weights of the layer's rows, positions and channels.
    fn stack_point(&self, at: &Place<'_>) -> (Vec<Ext>, Vec<Ext>, Vec<Ext>) {
        let (rest, channels) = at.point.split_at(at.point.len() - at.columns.output_bits);
        let (rest, positions) = rest.split_at(rest.len() - at.columns.position_bits);
        let (high, batch) = rest.split_at(rest.len() - self.batch_bits());
        // The stack starts each layer at a whole batch.
        let first = at.start >> (self.batch_bits() + at.columns.value_bits());
        let steps = (first..first + self.plan.steps()).map(|step| eq_index(high, step));
        let rows = steps.flat_map(|step| eq_table(batch, step)).collect();
        (rows, eq_table(positions, Ext::ONE), eq_table(channels, Ext::ONE))
    }
}
