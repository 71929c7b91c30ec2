use nexus_zk::{Base, from_signed};
use p3_field::{PrimeCharacteristicRing, PrimeField64, batch_multiplicative_inverse};

use super::layout::{Column, LayerColumns, Limbs, Rounding, SoftmaxColumns};
use super::relation::Relation;
use crate::reference::{
    Clip, Clipped, Examples, Layer, Observer, Products, Schedule, Sgd, SoftmaxRow, TrainError, Weights,
};

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
        start: &Weights,
        examples: Examples<'_>,
        schedule: &Schedule,
        products: P,
    ) -> Result<Self, TrainError<P::Error>> {
        let vector = vec![Base::ZERO; 1 << relation.layout.variables];
        let mut scribe = Scribe { relation, vector, step: 0 };
        scribe.examples(examples);
        scribe.start(start);
        let mut sgd = Sgd::new(relation.plan.clone(), products);
        let trained = sgd.train_observed(start, examples, schedule, &mut scribe)?;
        scribe.inverses();
        let update = relation.clip.map(|clip| clip.apply(start, &trained)).transpose()?;
        if let (Some(clip), Some(update)) = (&relation.clip, &update) {
            scribe.clip(clip, start, &trained, update);
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

    /// Writes the start model where it is not public.
    fn start(&mut self, start: &Weights) {
        for columns in &self.relation.layout.layers {
            let Some(limbs) = &columns.start else { continue };
            let offset = 1 << (limbs.bits - 1);
            for (row, values) in start.layer(columns.layer).chunks_exact(columns.layer.outputs).enumerate() {
                for (output, &value) in values.iter().enumerate() {
                    let i = (row << columns.output_bits) + output;
                    self.limbs(limbs, i, (i64::from(value) + offset) as u64);
                }
            }
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
    fn entries(&mut self, sums: &[i64], grid: Grid, mut f: impl FnMut(&mut Self, usize, i64)) {
        let mut i = (self.step * self.relation.plan.batch()) << (grid.position_bits + grid.output_bits);
        for sums in sums.chunks_exact(grid.positions * grid.outputs) {
            for position in 0..1 << grid.position_bits {
                for output in 0..1 << grid.output_bits {
                    let real = position < grid.positions && output < grid.outputs;
                    f(self, i, if real { sums[position * grid.outputs + output] } else { 0 });
                    i += 1;
                }
            }
        }
    }

    /// Writes the softmax of this step's outputs.
    fn softmax(&mut self, columns: &SoftmaxColumns, last: &LayerColumns) {
        let (batch, classes, width) = (self.relation.plan.batch(), last.layer.outputs, 1 << last.output_bits);
        let offset = last.forward.rounding.offset as i64;
        let one = 1 << self.relation.plan.format().activation_fraction;
        let mut outputs = Vec::with_capacity(classes);
        for row in self.step * batch..(self.step + 1) * batch {
            let values = &self.vector[last.forward.value.offset + row * width..][..classes];
            outputs.clear();
            outputs.extend(values.iter().map(|value| (value.as_canonical_u64() as i64 - offset) as i32));
            let SoftmaxRow { greatest, first, sum } = columns.table.row(&outputs);
            let targets = self.relation.layout.data.targets.offset + self.relation.gather[row] as usize * width;
            // The greatest may be negative.
            self.vector[columns.greatest.offset + row] = from_signed(greatest);
            for column in 0..width {
                let i = row * width + column;
                // Columns beside the classes hold the greatest's numbers, and no sum counts them.
                let difference = outputs.get(column).map_or(0, |&output| greatest - i64::from(output));
                let exponential = columns.table.exponential(difference);
                let (probability, remainder) = columns.table.divide(exponential, sum);
                self.write(columns.difference, i, difference as u64);
                self.write(columns.exponential, i, exponential);
                self.limbs(&columns.probability, i, probability);
                self.limbs(&columns.remainder, i, remainder);
                self.limbs(&columns.slack, i, 2 * sum - 1 - remainder);
                self.write(columns.first, i, u64::from(column == first));
                let zero = |column: Column| self.vector[column.offset + i] == Base::ZERO;
                let (saturated, below) = (zero(last.forward.rounding.in_range), zero(last.forward.rounding.top));
                let label = self.vector[targets + column] == Base::ONE;
                // A saturated output's error is kept where it points back into the range.
                let kept = !saturated || label == below;
                let error = probability as i64 - if label { one } else { 0 };
                self.vector[columns.error.offset + i] = if kept { from_signed(error) } else { Base::ZERO };
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

    fn clip(&mut self, clip: &Clip, start: &Weights, trained: &Weights, update: &Clipped) {
        let relation = self.relation;
        let columns = relation.layout.clip.as_ref().expect("a clip has columns");
        let mut i = 0;
        let mut squares = 0u64;
        for layer in &relation.layout.layers {
            let outputs = layer.layer.outputs;
            for (index, parameter) in layer.layer.range().enumerate() {
                let position = i + ((index / outputs) << layer.output_bits) + index % outputs;
                let difference = i64::from(trained.values()[parameter]) - i64::from(start.values()[parameter]);
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
        let positions = layer.output().positions();
        let grid = Grid {
            positions,
            position_bits: columns.position_bits,
            outputs: layer.outputs,
            output_bits: columns.output_bits,
        };
        self.entries(sums, grid, |scribe, i, z| {
            let value = scribe.round(&columns.forward.rounding, i, z);
            scribe.write(columns.forward.value, i, value);
            if let Some((_, relu)) = &columns.backward {
                scribe.write(relu.on, i, u64::from(value > 0));
            }
        });
        if columns.backward.is_none()
            && let Some(softmax) = &relation.layout.softmax
        {
            self.softmax(softmax, columns);
        }
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
        let (columns, image) = (&relation.layout.layers[layer.index - 1], layer.image());
        let (rounding, relu) = columns.backward.as_ref().expect("a layer before another is hidden");
        let (image_bits, output_bits) = (relation.layout.layers[layer.index].image_bits, columns.output_bits);
        let grid =
            Grid { positions: image.positions(), position_bits: image_bits, outputs: image.channels, output_bits };
        let batch = relation.plan.batch();
        let mut errors = Vec::with_capacity((batch << image_bits) << output_bits);
        self.entries(sums, grid, |scribe, i, z| {
            let value = scribe.round(rounding, i, z);
            errors.push(Base::from_u64(value) - Base::from_u64(rounding.offset));
        });
        for example in 0..batch {
            let start = (self.step * batch + example) << columns.value_bits();
            let errors = &errors[(example << image_bits) << output_bits..];
            for position in 0..layer.source.positions() {
                let Some(pooled) = layer.pooled(position) else { continue };
                for channel in 0..1 << output_bits {
                    let i = start + (position << output_bits) + channel;
                    if self.vector[relu.on.offset + i] == Base::ONE {
                        self.vector[relu.error.offset + i] = errors[(pooled << output_bits) + channel];
                    }
                }
            }
        }
    }
}

/// How an example's sums lie in a column, by position and channel, both padded.
#[derive(Clone, Copy)]
struct Grid {
    positions: usize,
    position_bits: usize,
    outputs: usize,
    output_bits: usize,
}
