use nexus_zk::argument::BLINDING;
use nexus_zk::logup::{Lookup, Lookups, Table};
use nexus_zk::pcs::{MAX_VARIABLES, MIN_VARIABLES};

use crate::reference::{Clip, Image, Layer, Loss, Softmax, TrainingPlan};
use crate::{CircuitError, FIELD_ORDER};

/// Where a column of the committed vector lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// A number of `bits` bits as columns of fewer, least significant first.
#[derive(Clone, Debug)]
pub(super) struct Limbs {
    pub(super) bits: u32,
    /// Each limb's column and how many bits lie below it.
    pub(super) columns: Vec<(Column, u32)>,
}

/// One rounding `z + 2^(f−1) = 2^f·v + r`, `v + offset = 2^width·(high − middle) + low`, saturating, for all steps.
///
/// The value is `low` where `high = middle`, and the nearest bound elsewhere: `in_range·low + top`.
#[derive(Clone, Debug)]
pub(super) struct Rounding {
    pub(super) shift: u32,
    pub(super) width: u32,
    /// What is added to make the value unsigned: zero after a ReLU.
    pub(super) offset: u64,
    pub(super) middle: u64,
    pub(super) remainder: Limbs,
    pub(super) low: Limbs,
    pub(super) high: Column,
    pub(super) in_range: Column,
    pub(super) top: Column,
}

/// A rounding in the forward pass, whose values are a column of their own since products take them.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) rounding: Rounding,
    pub(super) value: Column,
    /// Where it lies among all forward roundings one after another.
    pub(super) start: usize,
}

/// A ReLU: whether it was on, the inverse of the activation that shows it, and the errors that came back through it.
#[derive(Clone, Debug)]
pub(super) struct Relu {
    pub(super) on: Column,
    pub(super) inverse: Column,
    pub(super) error: Column,
    /// Where it lies among all ReLU layers one after another.
    pub(super) start: usize,
}

/// One layer's columns.
#[derive(Clone, Debug)]
pub(super) struct LayerColumns {
    pub(super) layer: Layer,
    /// Bits of an output's index, `⌈log₂ outputs⌉`.
    pub(super) output_bits: usize,
    /// Bits of the index of a row of weights, the bias included: `⌈log₂ (inputs + 1)⌉`.
    pub(super) input_bits: usize,
    /// Bits of the index of an output position, and of a position of what enters.
    pub(super) position_bits: usize,
    pub(super) image_bits: usize,
    /// The start model's block, offset to be unsigned, where it is not public.
    pub(super) start: Option<Limbs>,
    pub(super) forward: Forward,
    /// The errors before this layer's ReLU, rounded once for each square that the next layer averages; none for the last
    /// layer, whose errors are outputs, or their softmax, minus targets.
    pub(super) backward: Option<(Rounding, Relu)>,
    /// By step: the change of the weights, `dW = 2^s·change + remainder − 2^(s−1)`, offset to be unsigned.
    pub(super) changes: Vec<(Limbs, Limbs)>,
}

impl LayerColumns {
    /// Bits of the index of one example's values.
    pub(super) const fn value_bits(&self) -> usize {
        self.position_bits + self.output_bits
    }

    /// What is added to a change to make it unsigned.
    pub(super) fn change_offset(&self) -> u64 {
        1 << (self.changes[0].0.bits - 1)
    }
}

/// The clip's columns, over the parameters of all layers one after another, and its scalars.
#[derive(Clone, Debug)]
pub(super) struct ClipColumns {
    pub(super) magnitude: Limbs,
    pub(super) remainder: Limbs,
    pub(super) negative: Column,
    /// `c`, and `2^(g−d) − c`.
    pub(super) scale: Limbs,
    pub(super) scale_slack: Limbs,
    /// `C² − ‖x‖²`.
    pub(super) norm_slack: Limbs,
    /// Bits of the index of a parameter.
    pub(super) bits: usize,
}

/// The softmax of all rows: `2^(f+1)·e + S = 2·S·p + r`, `0 ≤ r < 2·S`, with `e` looked up by `d = m − q`.
#[derive(Clone, Debug)]
pub(super) struct SoftmaxColumns {
    pub(super) table: Softmax,
    /// `d` and `e`.
    pub(super) difference: Column,
    pub(super) exponential: Column,
    /// `p`.
    pub(super) probability: Limbs,
    /// `r`, and `2·S − 1 − r`.
    pub(super) remainder: Limbs,
    pub(super) slack: Limbs,
    /// One at one of the greatest outputs.
    pub(super) first: Column,
    /// `m`, one a row.
    pub(super) greatest: Column,
    /// What goes back: `p` minus the target, zero where a saturated output would be pushed further out.
    pub(super) error: Column,
}

/// The examples that the schedule uses, each once: inputs, and targets as one-hot rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataColumns {
    pub(super) inputs: Column,
    pub(super) input_bits: usize,
    pub(super) targets: Column,
    pub(super) target_bits: usize,
}

/// Where everything lies in the committed vector, and what is looked up.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) variables: usize,
    pub(super) blinding: usize,
    pub(super) lookups: Lookups,
    pub(super) layers: Vec<LayerColumns>,
    pub(super) softmax: Option<SoftmaxColumns>,
    pub(super) data: DataColumns,
    pub(super) clip: Option<ClipColumns>,
    /// Entries of all forward roundings, and of all ReLU layers, one after another.
    pub(super) roundings: usize,
    pub(super) relus: usize,
}

/// What a rounding is of.
struct RoundingShape {
    /// Bits of the index of an example's entries.
    columns: usize,
    shift: u32,
    width: u32,
    offset: u64,
    bound: u128,
}

/// Bits of an input.
const BYTE: u32 = 8;

/// The greatest table, by bits.
const MAX_TABLE_BITS: u32 = 20;

/// Places columns: first those that are looked up, then tables, then the rest, wide alignments first.
struct Allocator {
    /// Bits of the widest table for limbs.
    limb: u32,
    tables: Vec<Table>,
    /// Per column: length, alignment, whether it is the first of a look-up.
    columns: Vec<(usize, usize, bool)>,
    /// Table, columns.
    lookups: Vec<(usize, Vec<usize>)>,
}

impl Allocator {
    fn table(&mut self, table: Table) -> usize {
        self.tables.iter().position(|known| *known == table).unwrap_or_else(|| {
            self.tables.push(table);
            self.tables.len() - 1
        })
    }

    /// Until the columns are placed, an offset is the column's number.
    fn free(&mut self, len: usize, alignment: usize) -> Column {
        self.columns.push((len, alignment, false));
        Column { offset: self.columns.len() - 1, len }
    }

    fn looked_up(&mut self, table: Table, len: usize, alignment: usize) -> Column {
        let table = self.table(table);
        let column = self.free(len, alignment);
        self.columns[column.offset].2 = true;
        self.lookups.push((table, vec![column.offset]));
        column
    }

    /// As [`Self::looked_up`], beside other columns.
    fn looked_up_with(&mut self, table: Table, len: usize, alignment: usize, others: &[Column]) -> Column {
        let column = self.looked_up(table, len, alignment);
        let lookup = self.lookups.last_mut().expect("the column was looked up last");
        lookup.1.extend(others.iter().map(|other| other.offset));
        column
    }

    fn range(&mut self, bits: u32, len: usize, alignment: usize) -> Column {
        self.looked_up(Table::Range { bits }, len, alignment)
    }

    fn limbs(&mut self, bits: u32, len: usize, alignment: usize) -> Limbs {
        self.split(bits, self.limb, len, alignment)
    }

    /// A number as limbs of at most `limb` bits.
    fn split(&mut self, bits: u32, limb: u32, len: usize, alignment: usize) -> Limbs {
        let count = bits.div_ceil(limb);
        let mut columns = Vec::new();
        let mut below = 0;
        for i in 0..count {
            // Scalars fill whole bytes, so that they share the table of inputs; others are split evenly.
            let width = if limb == BYTE { BYTE.min(bits - below) } else { (bits - below).div_ceil(count - i) };
            columns.push((self.range(width, len, alignment), below));
            below += width;
        }
        Limbs { bits, columns }
    }

    /// A rounding of sums of at most `bound`, for `steps` blocks of `batch` rows.
    fn rounding(&mut self, steps: usize, batch: usize, shape: &RoundingShape) -> Result<Rounding, CircuitError> {
        let &RoundingShape { columns, shift, width, offset, bound } = shape;
        // |high − middle| ≤ (bound / 2^f + 1 + offset) / 2^width + 1.
        let middle = (((bound >> shift) + 1 + u128::from(offset)) >> width) as u64 + 1;
        let bits = u64::BITS - (2 * middle).leading_zeros();
        // Neither side of the rounding's equation may wrap: what the columns can express, and the sum.
        let bound = (1u128 << (shift + width + bits + 1)) + bound;
        let limit = u128::from(FIELD_ORDER / 2);
        if bound >= limit || bits > MAX_TABLE_BITS {
            return Err(CircuitError::AccumulatorTooWide { accumulator: "rounding".into(), bound, limit });
        }
        // A step's batch is one block, so that steps are counted in whole blocks.
        let alignment = batch << columns;
        let len = steps * alignment;
        let remainder = self.limbs(shift, len, alignment);
        let low = self.limbs(width, len, alignment);
        let (in_range, top) = (self.free(len, alignment), self.free(len, alignment));
        let table = Table::Saturation { bits, middle, top: (1 << width) - 1 };
        let high = self.looked_up_with(table, len, alignment, &[in_range, top]);
        Ok(Rounding { shift, width, offset, middle, remainder, low, high, in_range, top })
    }

    /// The offsets of all columns and tables, the looked-up end, and the whole end.
    fn place(&self) -> (Vec<usize>, Vec<usize>, usize, usize) {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|&c| (!self.columns[c].2, std::cmp::Reverse(self.columns[c].1)));
        let mut tables: Vec<usize> = (0..self.tables.len()).collect();
        tables.sort_by_key(|&t| std::cmp::Reverse(self.tables[t].bits()));
        let (mut columns, mut places) = (vec![0; self.columns.len()], vec![0; self.tables.len()]);
        let mut end = 0usize;
        for &table in &tables {
            let len = 1 << self.tables[table].bits();
            end = end.next_multiple_of(len);
            places[table] = end;
            end += len;
        }
        let mut looked_up = end;
        for &column in &order {
            let (len, alignment, first) = self.columns[column];
            end = end.next_multiple_of(alignment);
            columns[column] = end;
            end += len;
            if first {
                looked_up = end;
            }
        }
        (columns, places, looked_up, end)
    }
}

impl Layout {
    /// The layout of a plan that uses `used` distinct examples.
    pub(super) fn new(
        plan: &TrainingPlan,
        used: usize,
        clip: Option<&Clip>,
        committed_start: bool,
    ) -> Result<Self, CircuitError> {
        let (steps, batch) = (plan.steps(), plan.batch());
        let per_step: usize = plan.shape().layers().map(|l| l.rows() << bits_for(l.outputs)).sum();
        let values = |l: Layer| (batch << bits_for(l.output().positions())) << bits_for(l.outputs);
        let activations: usize = plan.shape().layers().map(values).sum();
        // Every change takes two columns at least, every activation five.
        let least = per_step.saturating_mul(2).saturating_add(activations.saturating_mul(5)).saturating_mul(steps);
        let max = 1usize << MAX_VARIABLES;
        if least > max {
            let (value, max) = (least as i128, max as i128);
            return Err(CircuitError::OutOfRange { field: "committed entries", value, min: 1, max });
        }
        // Tables an eighth of what is looked up cost little; more bits a limb save columns.
        let limb = ((per_step + activations) * steps * 3).ilog2().saturating_sub(3).clamp(8, 16);
        let mut place = Allocator { limb, tables: Vec::new(), columns: Vec::new(), lookups: Vec::new() };
        let mut roundings = 0;
        let mut layers = Vec::with_capacity(plan.shape().depth());
        for layer in plan.shape().layers() {
            let next = plan.shape().layers().nth(layer.index + 1);
            let mut columns = layer_columns(plan, layer, next, roundings, &mut place)?;
            columns.start = committed_start.then(|| {
                let (rows, width) = (layer.rows(), 1 << columns.output_bits);
                place.limbs(plan.format().weight_bits, rows * width, width)
            });
            roundings += columns.forward.value.len;
            layers.push(columns);
        }
        let relus = stack_relus(&mut layers);
        let (input_bits, target_bits) = (bits_for(plan.shape().inputs()), bits_for(plan.shape().outputs()));
        let softmax = (plan.loss() == Loss::CrossEntropy).then(|| softmax_columns(plan, target_bits, &mut place));
        let inputs = place.range(BYTE, used << input_bits, 1 << input_bits);
        let targets = place.range(1, used << target_bits, 1 << target_bits);
        let data = DataColumns { inputs, input_bits, targets, target_bits };
        let clip = clip.map(|clip| clip_columns(plan, clip, per_step, &mut place)).transpose()?;

        let (columns, tables, looked_up, end) = place.place();
        if end + BLINDING > max {
            let (value, max) = ((end + BLINDING) as i128, max as i128);
            return Err(CircuitError::OutOfRange { field: "committed entries", value, min: 1, max });
        }
        let mut layout = Self {
            variables: (end + BLINDING).next_power_of_two().trailing_zeros().max(MIN_VARIABLES as u32) as usize,
            blinding: end,
            lookups: Lookups::new(0, Vec::new(), Vec::new()),
            layers,
            softmax,
            data,
            clip,
            roundings,
            relus,
        };
        layout.visit(&mut |column: &mut Column| column.offset = columns[column.offset]);
        let lookups = place.lookups.iter().map(|(table, numbers)| Lookup {
            table: *table,
            columns: numbers.iter().map(|&number| columns[number]).collect(),
            rows: place.columns[numbers[0]].0,
        });
        layout.lookups = Lookups::new(
            looked_up.next_power_of_two().trailing_zeros() as usize,
            place.tables.iter().cloned().zip(tables).collect(),
            lookups.collect(),
        );
        Ok(layout)
    }

    /// Calls `f` with every column.
    fn visit(&mut self, f: &mut impl FnMut(&mut Column)) {
        for columns in &mut self.layers {
            if let Some(start) = &mut columns.start {
                visit_limbs(start, f);
            }
            visit_rounding(&mut columns.forward.rounding, f);
            f(&mut columns.forward.value);
            if let Some((rounding, relu)) = &mut columns.backward {
                visit_rounding(rounding, f);
                [&mut relu.on, &mut relu.inverse, &mut relu.error].into_iter().for_each(&mut *f);
            }
            for (change, remainder) in &mut columns.changes {
                visit_limbs(change, f);
                visit_limbs(remainder, f);
            }
        }
        if let Some(softmax) = &mut self.softmax {
            [&mut softmax.greatest, &mut softmax.error].into_iter().for_each(&mut *f);
            for limbs in [&mut softmax.probability, &mut softmax.remainder, &mut softmax.slack] {
                visit_limbs(limbs, f);
            }
            let columns = [&mut softmax.difference, &mut softmax.exponential, &mut softmax.first];
            columns.into_iter().for_each(&mut *f);
        }
        f(&mut self.data.inputs);
        f(&mut self.data.targets);
        if let Some(clip) = &mut self.clip {
            for limbs in [&mut clip.magnitude, &mut clip.remainder, &mut clip.scale, &mut clip.scale_slack] {
                visit_limbs(limbs, f);
            }
            visit_limbs(&mut clip.norm_slack, f);
            f(&mut clip.negative);
        }
    }
}

/// The columns of a layer, whose forward roundings stand at `start` among all.
fn layer_columns(
    plan: &TrainingPlan,
    layer: Layer,
    next: Option<Layer>,
    start: usize,
    place: &mut Allocator,
) -> Result<LayerColumns, CircuitError> {
    let (steps, batch, format) = (plan.steps(), plan.batch(), plan.format());
    let positions = |image: Image| bits_for(image.positions());
    let (output_bits, input_bits) = (bits_for(layer.outputs), bits_for(layer.rows()));
    let (position_bits, image_bits) = (positions(layer.output()), positions(layer.image()));
    let columns = position_bits + output_bits;
    let alignment = batch << columns;
    let signed = (format.activation_bits, 1u64 << (format.activation_bits - 1));
    let (width, offset) = if next.is_some() { (format.activation_bits - 1, 0) } else { signed };
    let (shift, bound) = (plan.forward_shift(layer), plan.forward_bound(layer));
    let rounding = place.rounding(steps, batch, &RoundingShape { columns, shift, width, offset, bound })?;
    let forward = Forward { rounding, value: place.free(steps * alignment, alignment), start };
    let backward = if let Some(next) = next {
        let (shift, bound, (width, offset)) = (plan.backward_shift(next), plan.backward_bound(next), signed);
        let columns = positions(next.image()) + output_bits;
        let rounding = place.rounding(steps, batch, &RoundingShape { columns, shift, width, offset, bound })?;
        let mut free = || place.free(steps * alignment, alignment);
        Some((rounding, Relu { on: free(), inverse: free(), error: free(), start: 0 }))
    } else {
        None
    };
    let bits = u128::BITS - plan.change_bound(layer).leading_zeros() + 1;
    let (shift, gradient) = (plan.update_shift(layer), plan.gradient_bound(layer));
    let bound = (1u128 << (shift + bits)) + gradient;
    let limit = u128::from(FIELD_ORDER / 2);
    if bound >= limit {
        let accumulator = format!("changes of layer {}", layer.index);
        return Err(CircuitError::AccumulatorTooWide { accumulator, bound, limit });
    }
    let (len, alignment) = (layer.rows() << output_bits, 1 << output_bits);
    let mut step = |_| (place.limbs(bits, len, alignment), place.limbs(shift, len, alignment));
    let changes = (0..steps).map(&mut step).collect();
    let start = None;
    Ok(LayerColumns { layer, output_bits, input_bits, position_bits, image_bits, start, forward, backward, changes })
}

/// Puts the ReLU layers one after another, the widest examples first, so that each starts at a whole batch; returns the end.
fn stack_relus(layers: &mut [LayerColumns]) -> usize {
    let mut hidden: Vec<&mut LayerColumns> = layers.iter_mut().filter(|columns| columns.backward.is_some()).collect();
    hidden.sort_by_key(|columns| std::cmp::Reverse(columns.value_bits()));
    let mut end = 0;
    for columns in hidden {
        if let Some((_, relu)) = &mut columns.backward {
            relu.start = end;
            end += relu.on.len;
        }
    }
    end
}

/// The columns of the last layer's softmax.
fn softmax_columns(plan: &TrainingPlan, output_bits: usize, place: &mut Allocator) -> SoftmaxColumns {
    let table = Softmax::new(plan.format());
    let rows = plan.steps() * plan.batch();
    let (len, alignment) = (rows << output_bits, plan.batch() << output_bits);
    let exponential = place.free(len, alignment);
    let function = Table::Function { values: table.exponentials().clone() };
    let difference = place.looked_up_with(function, len, alignment, &[exponential]);
    // 2·S ≤ 2·classes·2^16.
    let bits = Softmax::PRECISION + 1 + bits_for(plan.shape().outputs()) as u32;
    let mut limbs = |bits| place.limbs(bits, len, alignment);
    let (probability, remainder, slack) = (limbs(plan.format().activation_fraction + 1), limbs(bits), limbs(bits));
    let first = place.range(1, len, alignment);
    let (greatest, error) = (place.free(rows, plan.batch()), place.free(len, alignment));
    SoftmaxColumns { table, difference, exponential, probability, remainder, slack, first, greatest, error }
}

/// The clip's columns for `parameters` entries, padded ones included.
fn clip_columns(
    plan: &TrainingPlan,
    clip: &Clip,
    parameters: usize,
    place: &mut Allocator,
) -> Result<ClipColumns, CircuitError> {
    let magnitude_bits = u64::BITS - clip.bound().leading_zeros();
    let norm_bits = u128::BITS - (u128::from(clip.bound()).pow(2)).leading_zeros();
    // Σ x² + slack = C² must not wrap for any magnitudes and slack in their ranges.
    let squares = (parameters as u128) << (2 * magnitude_bits);
    let bound = squares + (1u128 << norm_bits);
    let limit = u128::from(FIELD_ORDER);
    if bound >= limit {
        return Err(CircuitError::AccumulatorTooWide { accumulator: "squared norm".into(), bound, limit });
    }
    // c·Δ = ±(2^g·|x| + ρ) must not wrap either.
    let difference = plan.shape().layers().map(|layer| plan.steps() as u128 * plan.change_bound(layer)).max();
    let scaled = difference.unwrap_or(0) << (Clip::SCALE_BITS + 1);
    let bound = scaled + (1u128 << (Clip::SCALE_BITS + magnitude_bits + 1));
    let limit = u128::from(FIELD_ORDER / 2);
    if bound >= limit {
        return Err(CircuitError::AccumulatorTooWide { accumulator: "scaled update".into(), bound, limit });
    }
    let scale_bits = Clip::SCALE_BITS - clip.dropped_bits() + 1;
    Ok(ClipColumns {
        magnitude: place.limbs(magnitude_bits, parameters, 1),
        remainder: place.limbs(Clip::SCALE_BITS, parameters, 1),
        negative: place.range(1, parameters, 1),
        scale: place.split(scale_bits, BYTE, 1, 1),
        scale_slack: place.split(scale_bits, BYTE, 1, 1),
        norm_slack: place.split(norm_bits, BYTE, 1, 1),
        bits: bits_for(parameters),
    })
}

/// Bits of an index below `count`.
pub(super) const fn bits_for(count: usize) -> usize {
    count.next_power_of_two().trailing_zeros() as usize
}

fn visit_limbs(limbs: &mut Limbs, f: &mut impl FnMut(&mut Column)) {
    limbs.columns.iter_mut().for_each(|(column, _)| f(column));
}

fn visit_rounding(rounding: &mut Rounding, f: &mut impl FnMut(&mut Column)) {
    visit_limbs(&mut rounding.remainder, f);
    visit_limbs(&mut rounding.low, f);
    [&mut rounding.high, &mut rounding.in_range, &mut rounding.top].into_iter().for_each(f);
}
