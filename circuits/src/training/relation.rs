use nexus_zk::argument::{Affine, Argument, Prover, Verifier};
use nexus_zk::multilinear::{Functional, Term, eq_index, eq_prefix, eq_table};
use nexus_zk::sumcheck::{self, Product, Summand};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::{Algebra, Field, PrimeCharacteristicRing};
use rayon::prelude::*;

use super::data::{PACKED, entries};
use super::layout::{Column, Forward, LayerColumns, Layout, Limbs, Relu, Rounding, SoftmaxColumns, bits_for};
use super::matrix::View;
use crate::CircuitError;
use crate::reference::{Clip, Layer, Schedule, TrainingPlan, Weights};

/// The relation of the crate's page: that the committed vector holds a training run, and its clipped update.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) plan: TrainingPlan,
    pub(super) models: Models,
    pub(super) clip: Option<Clip>,
    /// How many examples are registered.
    pub(super) examples: usize,
    /// The examples used, in the order of their first use.
    pub(super) used: Vec<u32>,
    /// For every row of every batch, which of the used examples it is.
    pub(super) gather: Vec<u32>,
    pub(super) layout: Layout,
}

/// The models that training starts and ends with.
#[derive(Clone, Debug)]
pub(super) struct Models {
    /// The start, where it is public; elsewhere it is registered.
    pub(super) start: Option<Weights>,
    /// Whether the end is registered.
    pub(super) end: bool,
}

impl From<Weights> for Models {
    fn from(start: Weights) -> Self {
        Self { start: Some(start), end: false }
    }
}

/// Part of a functional that does not depend on the committed vector.
type Constant = Ext;

impl Relation {
    pub(super) fn new(
        plan: TrainingPlan,
        models: impl Into<Models>,
        clip: Option<Clip>,
        examples: usize,
        schedule: &Schedule,
    ) -> Result<Self, CircuitError> {
        let (mut used, mut gather) = (Vec::new(), Vec::new());
        let mut number = std::collections::HashMap::new();
        for &index in schedule.batches().flatten() {
            let next = number.len() as u32;
            gather.push(*number.entry(index).or_insert_with(|| {
                used.push(index);
                next
            }));
        }
        let models = models.into();
        let layout = Layout::new(&plan, used.len(), clip.as_ref(), models.start.is_none())?;
        Ok(Self { plan, models, clip, examples, used, gather, layout })
    }

    /// `Σ_{t < steps} eq(tau, t)`.
    fn steps_in(&self, tau: &[Ext]) -> Ext {
        eq_prefix(tau, self.plan.steps())
    }

    fn step_bits(&self) -> usize {
        bits_for(self.plan.steps())
    }

    fn batch_bits(&self) -> usize {
        bits_for(self.plan.batch())
    }

    /// The weight of each used example under `eq(tau, t)·eq(beta, b)` of the rows that use it.
    fn example_weights(&self, tau: &[Ext], beta: &[Ext]) -> Vec<Ext> {
        let table = eq_table(&[tau, beta].concat(), Ext::ONE);
        let mut weights = vec![Ext::ZERO; self.used.len()];
        for (&example, &weight) in self.gather.iter().zip(&table) {
            weights[example as usize] += weight;
        }
        weights
    }

    /// Adds `scale·column(tau, rest)` for a column of one block a step.
    fn by_step(&self, functional: &mut Functional, column: Column, tau: &[Ext], rest: &[Ext], scale: Ext) {
        functional.push(Term::Block {
            scale,
            offset: column.offset,
            rows: self.plan.steps(),
            row_start: 0,
            row_point: tau.to_vec(),
            column_point: rest.to_vec(),
        });
    }

    /// The sums that were rounded: `z = 2^f·(2^width·(high − middle) + low − offset) + remainder − 2^(f−1)`.
    fn rounded_sums(&self, rounding: &Rounding, tau: &[Ext], rest: &[Ext]) -> (Functional, Constant) {
        let mut functional = Functional::new();
        let power = |bits: u32| Ext::from_u64(1 << bits);
        self.by_step(&mut functional, rounding.high, tau, rest, power(rounding.shift + rounding.width));
        for &(column, below) in &rounding.low.columns {
            self.by_step(&mut functional, column, tau, rest, power(rounding.shift + below));
        }
        for &(column, below) in &rounding.remainder.columns {
            self.by_step(&mut functional, column, tau, rest, power(below));
        }
        let offsets = power(rounding.shift + rounding.width) * Base::from_u64(rounding.middle)
            + power(rounding.shift) * Base::from_u64(rounding.offset)
            + power(rounding.shift - 1);
        (functional, -offsets * self.steps_in(tau))
    }

    /// `eq(tau, t)·eq(beta, b)` of every row of every batch.
    fn rows_at(&self, tau: &[Ext], beta: &[Ext]) -> Vec<Ext> {
        let mut rows = eq_table(&[tau, beta].concat(), Ext::ONE);
        rows.truncate(self.gather.len());
        rows
    }

    /// What a layer's kernel covers, `A(tau, (beta, rho), kappa)`.
    fn inputs(
        &self,
        columns: &LayerColumns,
        tau: &[Ext],
        beta: &[Ext],
        rho: &[Ext],
        kappa: &[Ext],
    ) -> (Functional, Constant) {
        let layer = columns.layer;
        let (taps, positions) = (eq_table(kappa, Ext::ONE), eq_table(rho, Ext::ONE));
        let mut functional = Functional::new();
        let image = image_weights(layer, &taps, &positions);
        if let Some(before) = layer.index.checked_sub(1).map(|index| &self.layout.layers[index]) {
            let mut weights = vec![Ext::ZERO; 1 << before.value_bits()];
            for (position, pixel) in weights.chunks_exact_mut(1 << before.output_bits).enumerate() {
                if position < layer.source.positions()
                    && let Some(pooled) = layer.pooled(position)
                {
                    pixel[..layer.source.channels]
                        .copy_from_slice(&image[pooled * layer.source.channels..][..layer.source.channels]);
                }
            }
            let offset = before.forward.value.offset;
            functional.push(Term::Outer { offset, rows: self.rows_at(tau, beta), columns: weights });
        } else {
            let data = &self.layout.data;
            let mut weights = image;
            weights.resize(1 << data.input_bits, Ext::ZERO);
            let rows = self.example_weights(tau, beta);
            functional.push(Term::Outer { offset: data.inputs.offset, rows, columns: weights });
        }
        // The constant one, where there is an output at all.
        let one = Ext::from_u64(1 << self.plan.input_fraction(layer));
        let real = eq_prefix(rho, layer.output().positions());
        (functional, one * taps[layer.inputs] * real * self.steps_in(tau))
    }

    /// The errors behind a layer, `E(tau, beta, iota)`, summed over the output positions with weights.
    fn errors(
        &self,
        columns: &LayerColumns,
        tau: &[Ext],
        beta: &[Ext],
        positions: &[Ext],
        iota: &[Ext],
    ) -> (Functional, Constant) {
        let mut functional = Functional::new();
        if let Some((_, relu)) = &columns.backward {
            let outputs = eq_table(iota, Ext::ONE);
            let weights = positions.iter().flat_map(|&weight| outputs.iter().map(move |&output| weight * output));
            let (offset, columns) = (relu.error.offset, weights.collect());
            functional.push(Term::Outer { offset, rows: self.rows_at(tau, beta), columns });
            return (functional, Ext::ZERO);
        }
        // The last layer has one position.
        let (position, classes) = (positions[0], columns.layer.outputs);
        let target = -Ext::from_u64(1 << self.plan.format().activation_fraction);
        if let Some(softmax) = &self.layout.softmax {
            let (offset, columns) = (softmax.error.offset, class_weights(iota, classes, position));
            functional.push(Term::Outer { offset, rows: self.rows_at(tau, beta), columns });
            return (functional, Ext::ZERO);
        }
        let weights = class_weights(iota, classes, position * target);
        let rows = self.example_weights(tau, beta);
        functional.push(Term::Outer { offset: self.layout.data.targets.offset, rows, columns: weights });
        self.by_step(&mut functional, columns.forward.value, tau, &[beta, iota].concat(), position);
        (functional, -Ext::from_u64(columns.forward.rounding.offset) * position * self.steps_in(tau))
    }

    /// The weights before each step, `W(tau, rows, iota)`: the start minus earlier changes.
    fn weights(&self, columns: &LayerColumns, tau: &[Ext], rows: &Rows, iota: &[Ext]) -> (Functional, Constant) {
        let mut functional = Functional::new();
        let steps = eq_table(tau, Ext::ONE);
        let mut later = self.steps_in(tau);
        let mut constant = self.start(&mut functional, columns, rows, iota, later);
        let offset = Ext::from_u64(columns.change_offset()) * rows.total();
        for ((change, _), &step) in columns.changes.iter().zip(&steps) {
            later -= step;
            weighted_limbs(&mut functional, change, -later, rows, iota);
            constant += later * offset;
        }
        (functional, constant)
    }

    /// Adds `scale` times the start model's layer at a point, or returns it where it is public.
    fn start(&self, functional: &mut Functional, columns: &LayerColumns, rows: &Rows, iota: &[Ext], scale: Ext) -> Ext {
        let outputs = columns.layer.outputs;
        let Some(start) = &self.models.start else {
            let limbs = columns.start.as_ref().expect("a start that is not public has columns");
            // The columns beside the outputs are not the start model's, and count as zero.
            for &(column, below) in &limbs.columns {
                let columns = class_weights(iota, outputs, scale * Base::from_u64(1 << below));
                functional.push(Term::Outer { offset: column.offset, rows: rows.table(), columns });
            }
            let total = class_weights(iota, outputs, scale).into_iter().sum::<Ext>() * rows.total();
            return -total * Base::from_u64(1 << (limbs.bits - 1));
        };
        let values = start.layer(columns.layer);
        let columns_at = eq_table(iota, scale);
        let weighted =
            |row: &[i32]| row.iter().zip(&columns_at).map(|(&w, &e)| e * nexus_zk::from_signed(w.into())).sum::<Ext>();
        let rows = rows.table();
        values.par_chunks_exact(outputs).zip(&rows).with_min_len(256).map(|(row, &e)| e * weighted(row)).sum()
    }

    /// The gradients, `dW(tau, kappa, iota) = 2^s·change + remainder − 2^(s−1)`.
    fn gradients(&self, columns: &LayerColumns, tau: &[Ext], kappa: &[Ext], iota: &[Ext]) -> (Functional, Constant) {
        let mut functional = Functional::new();
        let shift = self.plan.update_shift(columns.layer);
        let rows = Rows::Point { point: kappa.to_vec(), count: columns.layer.rows() };
        let power = Ext::from_u64(1 << shift);
        for ((change, remainder), step) in columns.changes.iter().zip(eq_table(tau, Ext::ONE)) {
            weighted_limbs(&mut functional, change, step * power, &rows, iota);
            weighted_limbs(&mut functional, remainder, step, &rows, iota);
        }
        let offset = power * Base::from_u64(columns.change_offset()) + Ext::from_u64(1 << (shift - 1));
        (functional, -offset * rows.total() * self.steps_in(tau))
    }

    /// `W_T − W_0` over the parameters of all layers one after another, at a point.
    fn difference(&self, point: &[Ext]) -> (Functional, Constant) {
        let (mut functional, mut constant) = (Functional::new(), Ext::ZERO);
        let mut start = 0;
        for columns in &self.layout.layers {
            let len = columns.layer.rows() << columns.output_bits;
            let weight = eq_prefix(point, start + len) - eq_prefix(point, start);
            for (change, _) in &columns.changes {
                for &(column, below) in &change.columns {
                    stacked(&mut functional, column, start, point, -Ext::from_u64(1 << below));
                }
                constant += weight * Base::from_u64(columns.change_offset());
            }
            start += len;
        }
        (functional, constant)
    }

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
        for (position, &weight) in positions.iter().enumerate().take(at.next.source.positions()) {
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
        let positions = positions.iter().enumerate().take(at.next.source.positions()).filter(filled);
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

/// A point of the stack of hidden layers, seen from one layer.
struct Place<'a> {
    columns: &'a LayerColumns,
    next: Layer,
    start: usize,
    point: &'a [Ext],
}

/// Weights of a matrix's rows.
enum Rows {
    /// Those of `eq` at a point, for the first `count` rows.
    Point { point: Vec<Ext>, count: usize },
    /// Any, row by row.
    Weights(Vec<Ext>),
}

impl Rows {
    fn table(&self) -> Vec<Ext> {
        match self {
            Self::Point { point, count } => {
                let mut table = eq_table(point, Ext::ONE);
                table.truncate(*count);
                table
            }
            Self::Weights(weights) => weights.clone(),
        }
    }

    fn total(&self) -> Ext {
        match self {
            Self::Point { point, count } => eq_prefix(point, *count),
            Self::Weights(weights) => weights.iter().copied().sum(),
        }
    }
}

/// The weight of each number of a layer's image in what its kernel covers, for weights of rows and output positions.
fn image_weights(layer: Layer, rows: &[Ext], positions: &[Ext]) -> Vec<Ext> {
    let channels = layer.image().channels;
    let mut weights = vec![Ext::ZERO; layer.image().len()];
    layer.for_taps(|tap, output, position| {
        let (weight, rows) = (positions[output], &rows[tap * channels..][..channels]);
        let pixel = &mut weights[position * channels..][..channels];
        pixel.iter_mut().zip(rows).for_each(|(slot, &row)| *slot += weight * row);
    });
    weights
}

/// The weight of each output position in what goes back, for weights of taps and of positions of the image.
fn output_weights(layer: Layer, taps: &[Ext], image: &[Ext], position_bits: usize) -> Vec<Ext> {
    let mut weights = vec![Ext::ZERO; 1 << position_bits];
    layer.for_taps(|tap, output, position| weights[output] += taps[tap] * image[position]);
    weights
}

/// `scale·eq(iota, j)` for the classes, zero for the columns beside them.
fn class_weights(iota: &[Ext], classes: usize, scale: Ext) -> Vec<Ext> {
    let mut weights = eq_table(iota, scale);
    weights[classes..].fill(Ext::ZERO);
    weights
}

/// Writes a column into a stack of columns, from `start` on.
fn fill(stack: &mut [Ext], start: usize, vector: &[Base], column: Column) {
    let source = &vector[column.offset..][..column.len];
    stack[start..].iter_mut().zip(source).for_each(|(slot, &entry)| *slot = Ext::from(entry));
}

/// As [`fill`], of numbers in limbs.
fn fill_limbs(stack: &mut [Ext], start: usize, vector: &[Base], limbs: &Limbs) {
    let len = limbs.columns[0].0.len;
    stack[start..][..len].iter_mut().enumerate().for_each(|(i, slot)| *slot = Ext::from(number(vector, limbs, i)));
}

/// Adds `scale·column` where the column is part of a longer stack, from `start` on.
fn stacked(functional: &mut Functional, column: Column, start: usize, point: &[Ext], scale: Ext) {
    functional.push(Term::Block {
        scale,
        offset: column.offset,
        rows: column.len,
        row_start: start,
        row_point: point.to_vec(),
        column_point: Vec::new(),
    });
}

fn stacked_limbs(functional: &mut Functional, limbs: &Limbs, start: usize, point: &[Ext]) {
    for &(column, below) in &limbs.columns {
        stacked(functional, column, start, point, Ext::from_u64(1 << below));
    }
}

/// Adds `scale` times a number of limbs that is a matrix, at `(rows, iota)`.
fn weighted_limbs(functional: &mut Functional, limbs: &Limbs, scale: Ext, rows: &Rows, iota: &[Ext]) {
    for &(column, below) in &limbs.columns {
        let (scale, offset) = (scale * Base::from_u64(1 << below), column.offset);
        functional.push(match rows {
            Rows::Point { point, count } => Term::Block {
                scale,
                offset,
                rows: *count,
                row_start: 0,
                row_point: point.clone(),
                column_point: iota.to_vec(),
            },
            Rows::Weights(weights) => Term::Outer { offset, rows: weights.clone(), columns: eq_table(iota, scale) },
        });
    }
}

/// The single number of limbs of one entry.
fn scalar(functional: &mut Functional, limbs: &Limbs, scale: Ext) {
    for &(column, below) in &limbs.columns {
        functional.push_entry(column.offset, scale * Base::from_u64(1 << below));
    }
}

/// Receives a value and claims that a functional and its constant make it.
fn claimed(verifier: &mut Verifier, (functional, constant): (Functional, Constant)) -> Result<Affine, ZkError> {
    let value = verifier.receive()?;
    verifier.claim(functional, value.clone() - constant);
    Ok(value)
}

impl Argument for Relation {
    fn variables(&self) -> usize {
        self.layout.variables
    }

    fn blinding(&self) -> usize {
        self.layout.blinding
    }

    fn prove(&self, vector: &[Base], prover: &mut Prover<'_>) {
        self.layout.lookups.prove(vector, prover);
        self.prove_roundings(vector, prover);
        if self.layout.relus > 0 {
            self.prove_relus(vector, prover);
        }
        if let Some(softmax) = &self.layout.softmax {
            self.prove_softmax(softmax, vector, prover);
        }
        let view = View::new(self, vector);
        for columns in &self.layout.layers {
            self.prove_products(columns, &view, prover);
        }
        self.prove_data(vector, prover);
        self.prove_models(vector, prover);
        if self.clip.is_some() {
            self.prove_clip(vector, prover);
        }
    }

    fn verify(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
        self.layout.lookups.verify(verifier)?;
        self.verify_roundings(verifier)?;
        if self.layout.relus > 0 {
            self.verify_relus(verifier)?;
        }
        if let Some(softmax) = &self.layout.softmax {
            self.verify_softmax(softmax, verifier)?;
        }
        for columns in &self.layout.layers {
            self.verify_products(columns, verifier)?;
        }
        self.verify_data(verifier)?;
        self.verify_models(verifier)?;
        if let Some(clip) = &self.clip {
            self.verify_clip(clip, verifier)?;
        }
        Ok(())
    }
}

struct RoundingSummand;

impl Summand<4> for RoundingSummand {
    const DEGREE: usize = 2;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [value, in_range, low, top]: [A; 4]) -> A {
        value - in_range * low - top
    }
}

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

struct ClipSummand {
    scale: Ext,
}

impl Summand<3> for ClipSummand {
    const DEGREE: usize = 2;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [difference, scaled, negative]: [A; 3]) -> A {
        difference * self.scale - scaled + (negative * scaled).double()
    }
}

struct SquareSummand;

impl Summand<1> for SquareSummand {
    const DEGREE: usize = 2;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [value]: [A; 1]) -> A {
        value.square()
    }
}

/// `value − in_range·low − top = 0` for every rounding.
impl Relation {
    fn prove_roundings(&self, vector: &[Base], prover: &mut Prover<'_>) {
        let point = prover.challenges(bits_for(self.layout.roundings));
        let mut tables: [Vec<Ext>; 4] = std::array::from_fn(|_| vec![Ext::ZERO; 1 << point.len()]);
        for columns in &self.layout.layers {
            let Forward { rounding, value, start } = &columns.forward;
            for (table, column) in [(0, *value), (1, rounding.in_range), (3, rounding.top)] {
                fill(&mut tables[table], *start, vector, column);
            }
            fill_limbs(&mut tables[2], *start, vector, &rounding.low);
        }
        let (_, values) = sumcheck::prove(prover, tables, &point, &RoundingSummand);
        prover.send_all(&values);
    }

    fn verify_roundings(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
        let bits = bits_for(self.layout.roundings);
        let point = verifier.challenges(bits);
        let (at, last) = sumcheck::verify(verifier, Affine::default(), &point, bits, RoundingSummand::DEGREE)?;
        let mut functionals = [const { Functional::new() }; 4];
        for columns in &self.layout.layers {
            let Forward { rounding, value, start } = &columns.forward;
            for (functional, column) in [(0, *value), (1, rounding.in_range), (3, rounding.top)] {
                stacked(&mut functionals[functional], column, *start, &at, Ext::ONE);
            }
            stacked_limbs(&mut functionals[2], &rounding.low, *start, &at);
        }
        let [value, in_range, low, top] = functionals.map(|functional| claimed(verifier, (functional, Ext::ZERO)));
        let rest = value? - &top? - &last;
        verifier.assert_products("a rounding", vec![(-Ext::ONE, in_range?, low?)], rest)
    }
}

/// `on = [value ≥ 1]` by the value's inverse, and errors, rounded on their way back, only where it is on.
impl Relation {
    fn prove_relus(&self, vector: &[Base], prover: &mut Prover<'_>) {
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
                    let square = if next.pool == 1 { Some(position) } else { square(next, position) };
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

    fn verify_relus(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
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

/// The square that a position of a layer's source is averaged into, padded positions aside.
fn square(next: Layer, position: usize) -> Option<usize> {
    if position < next.source.positions() { next.pooled(position) } else { None }
}

/// `2^(f+1)·e + S = 2·S·p + r`, `first·d = 0` and the errors for every output, and what is linear about them.
impl Relation {
    fn prove_softmax(&self, columns: &SoftmaxColumns, vector: &[Base], prover: &mut Prover<'_>) {
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

    fn verify_softmax(&self, columns: &SoftmaxColumns, verifier: &mut Verifier) -> Result<(), ZkError> {
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

/// The matrix products of a layer, by Thaler's sumcheck (2013, §4.2), all steps at once. A convolution's are those of the
/// patches that its kernel covers, which are a public linear map of the image.
impl Relation {
    fn prove_products(&self, columns: &LayerColumns, view: &View, prover: &mut Prover<'_>) {
        let (steps, batch, positions) = (self.step_bits(), self.batch_bits(), columns.position_bits);
        let index = columns.layer.index;
        let product = |prover: &mut Prover<'_>, left: Vec<Ext>, right: Vec<Ext>, tau: &[Ext]| {
            let sums = eq_table(tau, Ext::ONE);
            let inner = left.len() / sums.len();
            let dot = |(l, r): (&[Ext], &[Ext])| l.iter().zip(r).map(|(&l, &r)| l * r).sum::<Ext>();
            let blocks = left.chunks_exact(inner).zip(right.chunks_exact(inner));
            prover.send(blocks.map(dot).zip(sums).map(|(sum, weight)| sum * weight).sum());
            let (_, values) = sumcheck::prove(prover, [left, right], tau, &Product);
            prover.send_all(&values);
        };
        let view = &view.layers[index];

        let [tau, beta, rho, iota] = [steps, batch, positions, columns.output_bits].map(|bits| prover.challenges(bits));
        let left = view.patches_at(&beta, &rho, 1 << columns.input_bits, 1 << steps);
        let right = view.weights_at(&iota, 1 << columns.input_bits, 1 << steps);
        product(prover, left, right, &tau);

        let [tau, kappa, iota] = [steps, columns.input_bits, columns.output_bits].map(|bits| prover.challenges(bits));
        let rows = 1 << (steps + batch + positions);
        let left = view.patch_rows_at(&kappa, rows);
        let right = view.errors_at(&iota, rows);
        product(prover, left, right, &tau);

        if let Some(before) = index.checked_sub(1).map(|index| &self.layout.layers[index]) {
            let [tau, beta, rho, kappa] =
                [steps, batch, columns.image_bits, before.output_bits].map(|bits| prover.challenges(bits));
            let inner = 1 << (bits_for(columns.layer.taps()) + columns.output_bits);
            let left = view.errors_back(&beta, &rho, inner, 1 << steps);
            let right = view.weights_back(&kappa, inner, 1 << steps);
            product(prover, left, right, &tau);
        }
    }

    fn verify_products(&self, columns: &LayerColumns, verifier: &mut Verifier) -> Result<(), ZkError> {
        let (steps, batch, positions) = (self.step_bits(), self.batch_bits(), columns.position_bits);
        let layer = columns.layer;

        let [tau, beta, rho, iota] =
            [steps, batch, positions, columns.output_bits].map(|bits| verifier.challenges(bits));
        let sums = self.rounded_sums(&columns.forward.rounding, &tau, &[&beta[..], &rho, &iota].concat());
        product(verifier, "a forward product", sums, &tau, columns.input_bits, |step, kappa| {
            let rows = Rows::Point { point: kappa.to_vec(), count: layer.rows() };
            [self.inputs(columns, step, &beta, &rho, kappa), self.weights(columns, step, &rows, &iota)]
        })?;

        let [tau, kappa, iota] = [steps, columns.input_bits, columns.output_bits].map(|bits| verifier.challenges(bits));
        let sums = self.gradients(columns, &tau, &kappa, &iota);
        product(verifier, "a gradient", sums, &tau, batch + positions, |step, at| {
            let (beta, rho) = at.split_at(batch);
            let weights = eq_table(rho, Ext::ONE);
            [self.inputs(columns, step, beta, rho, &kappa), self.errors(columns, step, beta, &weights, &iota)]
        })?;

        let Some(before) = layer.index.checked_sub(1).map(|index| &self.layout.layers[index]) else {
            return Ok(());
        };
        let (rounding, _) = before.backward.as_ref().expect("a layer before another is hidden");
        let [tau, beta, rho, kappa] =
            [steps, batch, columns.image_bits, before.output_bits].map(|bits| verifier.challenges(bits));
        let sums = self.rounded_sums(rounding, &tau, &[&beta[..], &rho, &kappa].concat());
        let tap_bits = bits_for(layer.taps());
        product(verifier, "a backward product", sums, &tau, tap_bits + columns.output_bits, |step, at| {
            let (taps, iota) = at.split_at(tap_bits);
            let taps = eq_table(taps, Ext::ONE);
            let outputs = output_weights(layer, &taps, &eq_table(&rho, Ext::ONE), positions);
            let rows = if layer.taps() == 1 {
                Rows::Point { point: kappa.clone(), count: layer.inputs }
            } else {
                let channels = class_weights(&kappa, layer.image().channels, Ext::ONE);
                let channels = &channels[..layer.image().channels];
                let tap = |&tap: &Ext| channels.iter().map(move |&channel| tap * channel);
                Rows::Weights(taps[..layer.taps()].iter().flat_map(tap).collect())
            };
            [self.errors(columns, step, &beta, &outputs, iota), self.weights(columns, step, &rows, iota)]
        })
    }
}

/// Follows one product: the claim about its sums, the sumcheck over step and inner index, and claims about both factors.
fn product(
    verifier: &mut Verifier,
    name: &'static str,
    sums: (Functional, Constant),
    tau: &[Ext],
    inner: usize,
    factors: impl FnOnce(&[Ext], &[Ext]) -> [(Functional, Constant); 2],
) -> Result<(), ZkError> {
    let claim = claimed(verifier, sums)?;
    let (at, last) = sumcheck::verify(verifier, claim, tau, tau.len() + inner, 2)?;
    let (step, index) = at.split_at(tau.len());
    let [left, right] = factors(step, index).map(|factor| claimed(verifier, factor));
    verifier.assert_products(name, vec![(Ext::ONE, left?, right?)], last.scaled(-Ext::ONE))
}

/// The examples: targets are one-hot, and both are what was registered.
impl Relation {
    /// Column weights of inputs and of targets that make an example's packed entries, weighed by `entries`.
    fn packed_weights(&self, entries: &[Ext]) -> (Vec<Ext>, Vec<Ext>) {
        let (features, classes) = (self.plan.shape().inputs(), self.plan.shape().outputs());
        let byte = |index: usize| entries[index / PACKED] * Base::from_u64(1 << (8 * (index % PACKED)));
        let mut inputs: Vec<Ext> = (0..features).map(byte).collect();
        // The label follows the inputs; it is the sum of the classes, each times its target.
        let label = byte(features);
        let mut targets: Vec<Ext> = (0..classes).map(|class| label * Base::from_usize(class)).collect();
        inputs.resize(1 << self.layout.data.input_bits, Ext::ZERO);
        targets.resize(1 << self.layout.data.target_bits, Ext::ZERO);
        (inputs, targets)
    }

    /// Weights of the used examples, and of an example's packed entries.
    fn data_challenges(&self, mut challenges: impl FnMut(usize) -> Vec<Ext>) -> (Vec<Ext>, Vec<Ext>) {
        let rows = eq_table(&challenges(bits_for(self.used.len())), Ext::ONE);
        let entries = entries(self.plan.shape().inputs());
        (rows[..self.used.len()].to_vec(), eq_table(&challenges(bits_for(entries)), Ext::ONE)[..entries].to_vec())
    }

    fn prove_data(&self, vector: &[Base], prover: &mut Prover<'_>) {
        let _ = prover.challenges(bits_for(self.used.len()));
        let (rows, entries) = self.data_challenges(|count| prover.challenges(count));
        let (inputs, targets) = self.packed_weights(&entries);
        let data = &self.layout.data;
        let part = |column: Column, weights: &[Ext]| -> Ext {
            let matrix = vector[column.offset..][..column.len].chunks_exact(weights.len());
            let dot = |row: &[Base]| row.iter().zip(weights).map(|(&v, &w)| w * v).sum::<Ext>();
            matrix.zip(&rows).map(|(row, &weight)| weight * dot(row)).sum()
        };
        prover.send(part(data.inputs, &inputs) + part(data.targets, &targets));
    }

    fn verify_data(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
        let classes = self.plan.shape().outputs();
        let data = &self.layout.data;
        // Every row of targets, which are zero or one, sums to one.
        let rows = eq_table(&verifier.challenges(bits_for(self.used.len())), Ext::ONE);
        let rows = rows[..self.used.len()].to_vec();
        let total = rows.iter().copied().sum::<Ext>();
        let mut columns = vec![Ext::ONE; classes];
        columns.resize(1 << data.target_bits, Ext::ZERO);
        let mut functional = Functional::new();
        functional.push(Term::Outer { offset: data.targets.offset, rows, columns });
        verifier.claim(functional, total.into());

        let (rows, entries) = self.data_challenges(|count| verifier.challenges(count));
        let (inputs, targets) = self.packed_weights(&entries);
        let mut functional = Functional::new();
        functional.push(Term::Outer { offset: data.inputs.offset, rows: rows.clone(), columns: inputs });
        functional.push(Term::Outer { offset: data.targets.offset, rows: rows.clone(), columns: targets });
        let value = claimed(verifier, (functional, Ext::ZERO))?;
        let mut registered = vec![Ext::ZERO; self.examples * entries.len()];
        for (&example, &weight) in self.used.iter().zip(&rows) {
            let row = &mut registered[example as usize * entries.len()..][..entries.len()];
            row.iter_mut().zip(&entries).for_each(|(slot, &entry)| *slot = weight * entry);
        }
        verifier.claim_registered(0, registered, value);
        Ok(())
    }
}

/// The start and the end model are what was registered, where they are.
impl Relation {
    /// Weights of a layer's rows and outputs.
    fn model_challenges(&self, challenges: &mut dyn FnMut(usize) -> Vec<Ext>) -> Vec<(Rows, Vec<Ext>, Ext)> {
        let scale = challenges(1)[0];
        let mut power = Ext::ONE;
        let layers = self.layout.layers.iter().map(|columns| {
            let rows = Rows::Point { point: challenges(columns.input_bits), count: columns.layer.rows() };
            let iota = challenges(columns.output_bits);
            power *= scale;
            (rows, iota, power)
        });
        layers.collect()
    }

    fn prove_models(&self, vector: &[Base], prover: &mut Prover<'_>) {
        if self.models.start.is_some() && !self.models.end {
            return;
        }
        let weights = self.model_challenges(&mut |count| prover.challenges(count));
        let (mut start, mut end) = (Ext::ZERO, Ext::ZERO);
        for (columns, (rows, iota, scale)) in self.layout.layers.iter().zip(weights) {
            let (outputs, offset) = (columns.layer.outputs, Base::from_u64(columns.change_offset()));
            let (first, changes) = (self.first_weights(columns, vector), &columns.changes);
            for (row, weight) in rows.table().into_iter().enumerate() {
                for (output, &column) in eq_table(&iota, weight * scale)[..outputs].iter().enumerate() {
                    let i = (row << columns.output_bits) + output;
                    let changed: Base = changes.iter().map(|(change, _)| offset - number(vector, change, i)).sum();
                    start += column * first[i];
                    end += column * (first[i] + changed);
                }
            }
        }
        if self.models.start.is_none() {
            prover.send(start);
        }
        if self.models.end {
            prover.send(end);
        }
    }

    fn verify_models(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
        if self.models.start.is_some() && !self.models.end {
            return Ok(());
        }
        let weights = self.model_challenges(&mut |count| verifier.challenges(count));
        let (mut start, mut end) = ((Functional::new(), Ext::ZERO), (Functional::new(), Ext::ZERO));
        let mut registered = Vec::with_capacity(self.plan.shape().parameters());
        for (columns, (rows, iota, scale)) in self.layout.layers.iter().zip(weights) {
            let outputs = columns.layer.outputs;
            start.1 += self.start(&mut start.0, columns, &rows, &iota, scale);
            end.1 += self.start(&mut end.0, columns, &rows, &iota, scale);
            let table = rows.table();
            let real = class_weights(&iota, outputs, scale);
            let total = real.iter().copied().sum::<Ext>() * rows.total();
            for (change, _) in &columns.changes {
                for &(column, below) in &change.columns {
                    let columns = real.iter().map(|&weight| -weight * Base::from_u64(1 << below)).collect();
                    end.0.push(Term::Outer { offset: column.offset, rows: table.clone(), columns });
                }
                end.1 += total * Base::from_u64(columns.change_offset());
            }
            registered.extend(table.iter().flat_map(|&row| real[..outputs].iter().map(move |&column| row * column)));
        }
        // The data are registered first.
        let mut index = 1;
        if self.models.start.is_none() {
            let value = claimed(verifier, start)?;
            verifier.claim_registered(index, registered.clone(), value);
            index += 1;
        }
        if self.models.end {
            let value = claimed(verifier, end)?;
            verifier.claim_registered(index, registered, value);
        }
        Ok(())
    }

    /// A layer's weights before the first step, `(inputs + 1)` rows of `2^output_bits`.
    pub(super) fn first_weights(&self, columns: &LayerColumns, vector: &[Base]) -> Vec<Base> {
        let (layer, width) = (columns.layer, 1 << columns.output_bits);
        let mut weights = vec![Base::ZERO; layer.rows() * width];
        if let Some(start) = &self.models.start {
            for (row, values) in weights.chunks_exact_mut(width).zip(start.layer(layer).chunks_exact(layer.outputs)) {
                row.iter_mut().zip(values).for_each(|(slot, &value)| *slot = nexus_zk::from_signed(value.into()));
            }
        } else {
            let limbs = columns.start.as_ref().expect("a start that is not public has columns");
            let offset = Base::from_u64(1 << (limbs.bits - 1));
            for (row, slots) in weights.chunks_exact_mut(width).enumerate() {
                for (output, slot) in slots[..layer.outputs].iter_mut().enumerate() {
                    *slot = number(vector, limbs, row * width + output) - offset;
                }
            }
        }
        weights
    }
}

/// `c·Δ = ±(2^g·|x| + ρ)`, `‖x‖² + slack = C²` and `c + slack = 2^(g−d)`.
impl Relation {
    fn prove_clip(&self, vector: &[Base], prover: &mut Prover<'_>) {
        let columns = self.layout.clip.as_ref().expect("a clip has columns");
        let len = columns.negative.len;
        let scale = Ext::from(number(vector, &columns.scale, 0));
        prover.send(scale);
        let point = prover.challenges(columns.bits);
        let padded = |entry: &dyn Fn(usize) -> Base| {
            let mut table: Vec<Ext> = (0..len).map(|i| Ext::from(entry(i))).collect();
            table.resize(1 << columns.bits, Ext::ZERO);
            table
        };
        let mut differences = Vec::with_capacity(len);
        for layer in &self.layout.layers {
            let offset = Base::from_u64(layer.change_offset());
            for i in 0..layer.layer.rows() << layer.output_bits {
                differences.push(layer.changes.iter().map(|(change, _)| offset - number(vector, change, i)).sum());
            }
        }
        let power = Base::from_u64(1 << Clip::SCALE_BITS);
        let magnitude = |i| number(vector, &columns.magnitude, i);
        let tables = [
            padded(&|i| differences[i]),
            padded(&|i| magnitude(i) * power + number(vector, &columns.remainder, i)),
            padded(&|i| vector[columns.negative.offset + i]),
        ];
        let (_, values) = sumcheck::prove(prover, tables, &point, &ClipSummand { scale });
        prover.send_all(&values);

        let magnitudes = padded(&magnitude);
        prover.send(magnitudes.iter().map(PrimeCharacteristicRing::square).sum());
        let (_, [value]) = sumcheck::prove(prover, [magnitudes], &[], &SquareSummand);
        prover.send(value);
    }

    fn verify_clip(&self, clip: &Clip, verifier: &mut Verifier) -> Result<(), ZkError> {
        let columns = self.layout.clip.as_ref().expect("a clip has columns");
        let mut functional = Functional::new();
        scalar(&mut functional, &columns.scale, Ext::ONE);
        let scale = claimed(verifier, (functional.clone(), Ext::ZERO))?;
        scalar(&mut functional, &columns.scale_slack, Ext::ONE);
        let most = 1u64 << (Clip::SCALE_BITS - clip.dropped_bits());
        verifier.claim(functional, Ext::from_u64(most).into());

        let point = verifier.challenges(columns.bits);
        let (at, last) = sumcheck::verify(verifier, Affine::default(), &point, columns.bits, 2)?;
        let difference = claimed(verifier, self.difference(&at))?;
        let mut functional = Functional::new();
        for &(column, below) in &columns.magnitude.columns {
            stacked(&mut functional, column, 0, &at, Ext::from_u64(1 << (Clip::SCALE_BITS + below)));
        }
        stacked_limbs(&mut functional, &columns.remainder, 0, &at);
        let scaled = claimed(verifier, (functional, Ext::ZERO))?;
        let mut functional = Functional::new();
        stacked(&mut functional, columns.negative, 0, &at, Ext::ONE);
        let negative = claimed(verifier, (functional, Ext::ZERO))?;
        let products = vec![(Ext::ONE, scale, difference), (Ext::TWO, negative, scaled.clone())];
        verifier.assert_products("the clip", products, (scaled + &last).scaled(-Ext::ONE))?;

        let bound = Ext::from_u64(clip.bound()).square();
        let mut functional = Functional::new();
        scalar(&mut functional, &columns.norm_slack, -Ext::ONE);
        let squares = claimed(verifier, (functional, bound))?;
        let (at, last) = sumcheck::verify(verifier, squares, &[], columns.bits, 2)?;
        let mut functional = Functional::new();
        stacked_limbs(&mut functional, &columns.magnitude, 0, &at);
        let value = claimed(verifier, (functional, Ext::ZERO))?;
        verifier.assert_products("the norm", vec![(Ext::ONE, value.clone(), value)], last.scaled(-Ext::ONE))
    }
}

/// The number whose limbs stand in row `i`.
pub(super) fn number(vector: &[Base], limbs: &Limbs, i: usize) -> Base {
    limbs.columns.iter().map(|&(column, below)| vector[column.offset + i] * Base::from_u64(1 << below)).sum()
}
