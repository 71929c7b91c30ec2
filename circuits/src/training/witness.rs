use nexus_zk::Base;
use p3_field::{PrimeCharacteristicRing, batch_multiplicative_inverse};

use super::layout::{Column, Limbs, Rounding};
use super::relation::Relation;
use crate::reference::{Clip, Clipped, Examples, Layer, Observer, Products, Schedule, Sgd, TrainError, Weights};

/// Everything a proof is about: the committed vector, and what training gave.
pub(super) struct Witness {
    pub(super) vector: Vec<Base>,
    pub(super) trained: Weights,
    pub(super) update: Option<Clipped>,
}

impl Witness {
    /// Trains and writes down every intermediate value.
    pub(super) fn new<P: Products>(
        relation: &Relation,
        examples: Examples<'_>,
        schedule: &Schedule,
        products: P,
    ) -> Result<Self, TrainError<P::Error>> {
        let vector = vec![Base::ZERO; 1 << relation.layout.variables];
        let mut scribe = Scribe { relation, vector, step: 0 };
        scribe.examples(examples);
        let mut sgd = Sgd::new(relation.plan.clone(), products);
        let trained = sgd.train_observed(&relation.start, examples, schedule, &mut scribe)?;
        scribe.inverses();
        let update = relation.clip.map(|clip| clip.apply(&relation.start, &trained)).transpose()?;
        if let (Some(clip), Some(update)) = (&relation.clip, &update) {
            scribe.clip(clip, &trained, update);
        }
        let counted = relation.layout.lookups.count(&mut scribe.vector);
        counted.expect("the plan bounds every value by its table");
        Ok(Self { vector: scribe.vector, trained, update })
    }
}

/// Writes the run into the vector as it happens.
struct Scribe<'a> {
    relation: &'a Relation,
    vector: Vec<Base>,
    step: usize,
}

impl Scribe<'_> {
    fn write(&mut self, column: Column, i: usize, value: u64) {
        self.vector[column.offset + i] = Base::from_u64(value);
    }

    fn limbs(&mut self, limbs: &Limbs, i: usize, value: u64) {
        let ends = limbs.columns.iter().skip(1).map(|&(_, below)| below).chain([limbs.bits]);
        for (&(column, below), end) in limbs.columns.iter().zip(ends) {
            self.write(column, i, value >> below & ((1 << (end - below)) - 1));
        }
    }

    fn examples(&mut self, examples: Examples<'_>) {
        let data = self.relation.layout.data;
        for (row, &example) in self.relation.used.iter().enumerate() {
            let (inputs, label) = examples.get(example as usize);
            for (column, &byte) in inputs.iter().enumerate() {
                self.write(data.inputs, (row << data.input_bits) + column, byte.into());
            }
            self.write(data.targets, (row << data.target_bits) + usize::from(label), 1);
        }
    }

    /// Writes one rounding of one entry; returns its unsigned value.
    fn round(&mut self, rounding: &Rounding, i: usize, z: i64) -> u64 {
        let shifted = z + (1 << (rounding.shift - 1));
        self.limbs(&rounding.remainder, i, (shifted & ((1 << rounding.shift) - 1)) as u64);
        let value = (shifted >> rounding.shift) + rounding.offset as i64;
        let low = (value & ((1 << rounding.width) - 1)) as u64;
        let high = (value >> rounding.width) + rounding.middle as i64;
        self.limbs(&rounding.low, i, low);
        self.write(rounding.high, i, high as u64);
        let in_range = high == rounding.middle as i64;
        let top = if high > rounding.middle as i64 { (1 << rounding.width) - 1 } else { 0 };
        self.write(rounding.in_range, i, in_range.into());
        self.write(rounding.top, i, top);
        if in_range { low } else { top }
    }

    /// Calls `f` with the position of each entry of this step's batch, padded ones included, and its sum.
    fn entries(&mut self, outputs: usize, bits: usize, sums: &[i64], mut f: impl FnMut(&mut Self, usize, i64)) {
        let start = (self.step * self.relation.plan.batch()) << bits;
        for (row, sums) in sums.chunks_exact(outputs).enumerate() {
            for column in 0..1 << bits {
                let sum = sums.get(column).copied().unwrap_or(0);
                f(self, start + (row << bits) + column, sum);
            }
        }
    }

    /// The inverses of all activations that are on.
    fn inverses(&mut self) {
        for columns in &self.relation.layout.layers {
            let Some((_, relu)) = &columns.backward else { continue };
            let value = columns.forward.value;
            let on: Vec<usize> = (0..value.len).filter(|i| self.vector[value.offset + i] != Base::ZERO).collect();
            let values: Vec<Base> = on.iter().map(|i| self.vector[value.offset + i]).collect();
            for (&i, inverse) in on.iter().zip(batch_multiplicative_inverse(&values)) {
                self.vector[relu.inverse.offset + i] = inverse;
            }
        }
    }

    fn clip(&mut self, clip: &Clip, trained: &Weights, update: &Clipped) {
        let relation = self.relation;
        let columns = relation.layout.clip.as_ref().expect("a clip has columns");
        let mut i = 0;
        let mut squares = 0u64;
        for layer in &relation.layout.layers {
            let outputs = layer.layer.outputs;
            for (index, parameter) in layer.layer.range().enumerate() {
                let position = i + ((index / outputs) << layer.output_bits) + index % outputs;
                let difference = i64::from(trained.values()[parameter]) - i64::from(relation.start.values()[parameter]);
                let scaled = difference * update.scale as i64;
                let magnitude = update.values[parameter].unsigned_abs();
                squares += magnitude * magnitude;
                self.limbs(&columns.magnitude, position, magnitude);
                self.limbs(&columns.remainder, position, scaled.unsigned_abs() & ((1 << Clip::SCALE_BITS) - 1));
                self.write(columns.negative, position, u64::from(scaled < 0));
            }
            i += layer.layer.rows() << layer.output_bits;
        }
        let most = 1u64 << (Clip::SCALE_BITS - clip.dropped_bits());
        self.limbs(&columns.scale, 0, update.scale);
        self.limbs(&columns.scale_slack, 0, most - update.scale);
        self.limbs(&columns.norm_slack, 0, clip.bound() * clip.bound() - squares);
    }
}

impl Observer for Scribe<'_> {
    fn forward(&mut self, layer: Layer, sums: &[i64]) {
        let relation = self.relation;
        let columns = &relation.layout.layers[layer.index];
        self.entries(layer.outputs, columns.output_bits, sums, |scribe, i, z| {
            let value = scribe.round(&columns.forward.rounding, i, z);
            scribe.write(columns.forward.value, i, value);
            if let Some((_, relu)) = &columns.backward {
                scribe.write(relu.on, i, u64::from(value > 0));
            }
        });
    }

    fn gradient(&mut self, layer: Layer, sums: &[i64]) {
        let relation = self.relation;
        let columns = &relation.layout.layers[layer.index];
        let shift = relation.plan.update_shift(layer);
        let (change, remainder) = &columns.changes[self.step];
        let offset = columns.change_offset() as i64;
        for (row, sums) in sums.chunks_exact(layer.outputs).enumerate() {
            for column in 0..1 << columns.output_bits {
                let shifted = sums.get(column).copied().unwrap_or(0) + (1 << (shift - 1));
                let i = (row << columns.output_bits) + column;
                self.limbs(change, i, ((shifted >> shift) + offset) as u64);
                self.limbs(remainder, i, (shifted & ((1 << shift) - 1)) as u64);
            }
        }
        if layer.index == 0 {
            self.step += 1;
        }
    }

    fn backward(&mut self, layer: Layer, sums: &[i64]) {
        let relation = self.relation;
        let columns = &relation.layout.layers[layer.index - 1];
        let (rounding, relu) = columns.backward.as_ref().expect("a layer before another is hidden");
        self.entries(layer.inputs, columns.output_bits, sums, |scribe, i, z| {
            let value = scribe.round(rounding, i, z);
            if scribe.vector[relu.on.offset + i] == Base::ONE {
                scribe.vector[relu.error.offset + i] = Base::from_u64(value) - Base::from_u64(rounding.offset);
            }
        });
    }
}
