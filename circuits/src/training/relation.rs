mod clip;
mod examples;
mod models;
mod products;
mod relu;
mod rounding;
mod softmax;

use nexus_zk::argument::{Affine, Argument, Prover, Verifier};
use nexus_zk::multilinear::{Functional, Term, eq_prefix, eq_table};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use super::layout::{Column, LayerColumns, Layout, Limbs, Rounding, bits_for};
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
                if let Some(pooled) = layer.pooled(position) {
                    let channels = layer.source.channels;
                    pixel[..channels].copy_from_slice(&image[pooled * channels..][..channels]);
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
        if let Some(softmax) = &self.layout.softmax {
            let (offset, columns) = (softmax.error.offset, class_weights(iota, classes, position));
            functional.push(Term::Outer { offset, rows: self.rows_at(tau, beta), columns });
            return (functional, Ext::ZERO);
        }
        let target = -Ext::from_u64(1 << self.plan.format().activation_fraction);
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

/// The number whose limbs stand in row `i`.
pub(super) fn number(vector: &[Base], limbs: &Limbs, i: usize) -> Base {
    limbs.columns.iter().map(|&(column, below)| vector[column.offset + i] * Base::from_u64(1 << below)).sum()
}
