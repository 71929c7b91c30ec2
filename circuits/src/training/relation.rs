use nexus_zk::argument::{Affine, Argument, Prover, Verifier};
use nexus_zk::multilinear::{Functional, Term, eq_index, eq_prefix, eq_table};
use nexus_zk::sumcheck::{self, Product, Summand};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::{Algebra, PrimeCharacteristicRing};

use super::data::{PACKED, entries};
use super::layout::{Column, Forward, LayerColumns, Layout, Limbs, Relu, Rounding, bits_for};
use super::matrix::{View, fold_columns, fold_rows};
use crate::CircuitError;
use crate::reference::{Clip, FixedPoint, Schedule, TrainingPlan, Weights};

/// The relation of the crate's page: that the committed vector holds a training run, and its clipped update.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) plan: TrainingPlan,
    pub(super) start: Weights,
    pub(super) clip: Option<Clip>,
    /// How many examples are registered.
    pub(super) examples: usize,
    /// The examples used, in the order of their first use.
    pub(super) used: Vec<u32>,
    /// For every row of every batch, which of the used examples it is.
    pub(super) gather: Vec<u32>,
    pub(super) layout: Layout,
}

/// Part of a functional that does not depend on the committed vector.
type Constant = Ext;

impl Relation {
    pub(super) fn new(
        plan: TrainingPlan,
        start: Weights,
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
        let layout = Layout::new(&plan, used.len(), clip.as_ref())?;
        Ok(Self { plan, start, clip, examples, used, gather, layout })
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

    /// The constant one that ends an entering row of a layer.
    fn one(&self, layer: usize) -> Ext {
        let fraction = if layer == 0 { FixedPoint::INPUT_FRACTION } else { self.plan.format().activation_fraction };
        Ext::from_u64(1 << fraction)
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

    /// What enters a layer, `A(tau, beta, kappa)`.
    fn inputs(&self, columns: &LayerColumns, tau: &[Ext], beta: &[Ext], kappa: &[Ext]) -> (Functional, Constant) {
        let layer = columns.layer;
        let mut functional = Functional::new();
        if layer.index == 0 {
            let data = &self.layout.data;
            let mut weights = eq_table(kappa, Ext::ONE);
            weights.truncate(layer.inputs);
            weights.resize(1 << data.input_bits, Ext::ZERO);
            let rows = self.example_weights(tau, beta);
            functional.push(Term::Outer { offset: data.inputs.offset, rows, columns: weights });
        } else {
            let before = &self.layout.layers[layer.index - 1];
            let (above, own) = kappa.split_at(kappa.len() - before.output_bits);
            let scale = above.iter().map(|&z| Ext::ONE - z).product();
            let rest = [beta, own].concat();
            self.by_step(&mut functional, before.forward.value, tau, &rest, scale);
        }
        (functional, self.one(layer.index) * eq_index(kappa, layer.inputs) * self.steps_in(tau))
    }

    /// The errors behind a layer, `E(tau, beta, iota)`.
    fn errors(&self, columns: &LayerColumns, tau: &[Ext], beta: &[Ext], iota: &[Ext]) -> (Functional, Constant) {
        let mut functional = Functional::new();
        let rest = [beta, iota].concat();
        if let Some((_, relu)) = &columns.backward {
            self.by_step(&mut functional, relu.error, tau, &rest, Ext::ONE);
            return (functional, Ext::ZERO);
        }
        self.by_step(&mut functional, columns.forward.value, tau, &rest, Ext::ONE);
        let target = -Ext::from_u64(1 << self.plan.format().activation_fraction);
        let mut weights = eq_table(iota, target);
        weights[columns.layer.outputs..].fill(Ext::ZERO);
        let rows = self.example_weights(tau, beta);
        functional.push(Term::Outer { offset: self.layout.data.targets.offset, rows, columns: weights });
        (functional, -Ext::from_u64(columns.forward.rounding.offset) * self.steps_in(tau))
    }

    /// The weights before each step, `W(tau, kappa, iota)`, of the first `rows` rows: the start minus earlier changes.
    fn weights(
        &self,
        columns: &LayerColumns,
        tau: &[Ext],
        kappa: &[Ext],
        iota: &[Ext],
        rows: usize,
    ) -> (Functional, Constant) {
        let mut functional = Functional::new();
        let steps = eq_table(tau, Ext::ONE);
        let mut later = self.steps_in(tau);
        let mut constant = later * self.start_at(columns, kappa, iota, rows);
        let offset = Ext::from_u64(columns.change_offset()) * eq_prefix(kappa, rows);
        for ((change, _), &step) in columns.changes.iter().zip(&steps) {
            later -= step;
            weighted_limbs(&mut functional, change, -later, rows, kappa, iota);
            constant += later * offset;
        }
        (functional, constant)
    }

    /// The public start model's layer at a point.
    fn start_at(&self, columns: &LayerColumns, kappa: &[Ext], iota: &[Ext], rows: usize) -> Ext {
        let values = self.start.layer(columns.layer);
        let (rows_at, columns_at) = (eq_table(kappa, Ext::ONE), eq_table(iota, Ext::ONE));
        let outputs = columns.layer.outputs;
        let weighted =
            |row: &[i32]| row.iter().zip(&columns_at).map(|(&w, &e)| e * nexus_zk::from_signed(w.into())).sum::<Ext>();
        values.chunks_exact(outputs).take(rows).zip(&rows_at).map(|(row, &e)| e * weighted(row)).sum()
    }

    /// The gradients, `dW(tau, kappa, iota) = 2^s·change + remainder − 2^(s−1)`.
    fn gradients(&self, columns: &LayerColumns, tau: &[Ext], kappa: &[Ext], iota: &[Ext]) -> (Functional, Constant) {
        let mut functional = Functional::new();
        let shift = self.plan.update_shift(columns.layer);
        let rows = columns.layer.rows();
        let power = Ext::from_u64(1 << shift);
        for ((change, remainder), step) in columns.changes.iter().zip(eq_table(tau, Ext::ONE)) {
            weighted_limbs(&mut functional, change, step * power, rows, kappa, iota);
            weighted_limbs(&mut functional, remainder, step, rows, kappa, iota);
        }
        let offset = power * Base::from_u64(columns.change_offset()) + Ext::from_u64(1 << (shift - 1));
        (functional, -offset * eq_prefix(kappa, rows) * self.steps_in(tau))
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

    fn relus(&self) -> impl Iterator<Item = (&Forward, &Rounding, &Relu)> {
        let hidden = self.layout.layers.iter().filter_map(|layer| Some((&layer.forward, layer.backward.as_ref()?)));
        hidden.map(|(forward, (backward, relu))| (forward, backward, relu))
    }
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

/// Adds `scale` times a number of limbs that is a matrix of `rows` rows, at `(kappa, iota)`.
fn weighted_limbs(functional: &mut Functional, limbs: &Limbs, scale: Ext, rows: usize, kappa: &[Ext], iota: &[Ext]) {
    for &(column, below) in &limbs.columns {
        functional.push(Term::Block {
            scale: scale * Base::from_u64(1 << below),
            offset: column.offset,
            rows,
            row_start: 0,
            row_point: kappa.to_vec(),
            column_point: iota.to_vec(),
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
        let view = View::new(self, vector);
        for columns in &self.layout.layers {
            self.prove_products(columns, &view, prover);
        }
        self.prove_data(vector, prover);
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
        for columns in &self.layout.layers {
            self.verify_products(columns, verifier)?;
        }
        self.verify_data(verifier)?;
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
        for (forward, backward, relu) in self.relus() {
            let columns = [relu.on, relu.inverse, forward.value, relu.error, backward.in_range];
            for (table, column) in tables.iter_mut().zip(columns) {
                fill(table, relu.start, vector, column);
            }
            fill_limbs(&mut tables[5], relu.start, vector, &backward.low);
            fill(&mut tables[6], relu.start, vector, backward.top);
            tables[6][relu.start..][..backward.top.len].iter_mut().for_each(|slot| *slot -= offset);
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
        for (forward, backward, relu) in self.relus() {
            let columns = [relu.on, relu.inverse, forward.value, relu.error, backward.in_range];
            for (functional, column) in functionals.iter_mut().zip(columns) {
                stacked(functional, column, relu.start, &at, Ext::ONE);
            }
            stacked_limbs(&mut functionals[5], &backward.low, relu.start, &at);
            stacked(&mut functionals[6], backward.top, relu.start, &at, Ext::ONE);
        }
        let mut constants = [Ext::ZERO; 7];
        constants[6] = -self.error_offset() * eq_prefix(&at, self.layout.relus);
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

/// The matrix products of a layer, by Thaler's sumcheck (2013, §4.2), all steps at once.
impl Relation {
    fn prove_products(&self, columns: &LayerColumns, view: &View, prover: &mut Prover<'_>) {
        let (steps, batch) = (self.step_bits(), self.batch_bits());
        let layer = columns.layer;
        let (index, rows) = (layer.index, layer.rows());
        let product = |prover: &mut Prover<'_>, left: Vec<Ext>, right: Vec<Ext>, tau: &[Ext]| {
            let sums = eq_table(tau, Ext::ONE);
            let inner = left.len() / sums.len();
            let dot = |(l, r): (&[Ext], &[Ext])| l.iter().zip(r).map(|(&l, &r)| l * r).sum::<Ext>();
            let blocks = left.chunks_exact(inner).zip(right.chunks_exact(inner));
            prover.send(blocks.map(dot).zip(sums).map(|(sum, weight)| sum * weight).sum());
            let (_, values) = sumcheck::prove(prover, [left, right], tau, &Product);
            prover.send_all(&values);
        };

        let [tau, beta, iota] = [steps, batch, columns.output_bits].map(|bits| prover.challenges(bits));
        let left = fold_rows(&view.inputs[index], 1 << batch, 1 << batch, &beta, 1 << columns.input_bits, 1 << steps);
        let right = fold_columns(&view.weights[index], rows, &iota, 1 << columns.input_bits, 1 << steps);
        product(prover, left, right, &tau);

        let [tau, kappa, iota] = [steps, columns.input_bits, columns.output_bits].map(|bits| prover.challenges(bits));
        let left = fold_columns(&view.inputs[index], 1 << batch, &kappa, 1 << batch, 1 << steps);
        let right = fold_columns(&view.errors[index], 1 << batch, &iota, 1 << batch, 1 << steps);
        product(prover, left, right, &tau);

        if index > 0 {
            let before = self.layout.layers[index - 1].output_bits;
            let [tau, beta, kappa] = [steps, batch, before].map(|bits| prover.challenges(bits));
            let width = 1 << columns.output_bits;
            let left = fold_rows(&view.errors[index], 1 << batch, 1 << batch, &beta, width, 1 << steps);
            let right = fold_rows(&view.weights[index], rows, layer.inputs, &kappa, width, 1 << steps);
            product(prover, left, right, &tau);
        }
    }

    fn verify_products(&self, columns: &LayerColumns, verifier: &mut Verifier) -> Result<(), ZkError> {
        let (steps, batch) = (self.step_bits(), self.batch_bits());
        let rows = columns.layer.rows();

        let [tau, beta, iota] = [steps, batch, columns.output_bits].map(|bits| verifier.challenges(bits));
        let sums = self.rounded_sums(&columns.forward.rounding, &tau, &[&beta[..], &iota].concat());
        product(verifier, "a forward product", sums, &tau, columns.input_bits, |step, kappa| {
            [self.inputs(columns, step, &beta, kappa), self.weights(columns, step, kappa, &iota, rows)]
        })?;

        let [tau, kappa, iota] = [steps, columns.input_bits, columns.output_bits].map(|bits| verifier.challenges(bits));
        let sums = self.gradients(columns, &tau, &kappa, &iota);
        product(verifier, "a gradient", sums, &tau, batch, |step, beta| {
            [self.inputs(columns, step, beta, &kappa), self.errors(columns, step, beta, &iota)]
        })?;

        let Some(before) = columns.layer.index.checked_sub(1).map(|index| &self.layout.layers[index]) else {
            return Ok(());
        };
        let (rounding, _) = before.backward.as_ref().expect("a layer before another is hidden");
        let [tau, beta, kappa] = [steps, batch, before.output_bits].map(|bits| verifier.challenges(bits));
        let sums = self.rounded_sums(rounding, &tau, &[&beta[..], &kappa].concat());
        product(verifier, "a backward product", sums, &tau, columns.output_bits, |step, iota| {
            let weights = self.weights(columns, step, &kappa, iota, columns.layer.inputs);
            [self.errors(columns, step, &beta, iota), weights]
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
