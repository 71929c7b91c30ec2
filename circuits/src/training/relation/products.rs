use nexus_zk::argument::{Prover, Verifier};
use nexus_zk::multilinear::{Functional, eq_table};
use nexus_zk::sumcheck::{self, Product};
use nexus_zk::{Ext, ZkError};
use p3_field::PrimeCharacteristicRing;

use super::{Constant, Relation, Rows, claimed, class_weights};
use crate::reference::Layer;
use crate::training::layout::{LayerColumns, bits_for};
use crate::training::matrix::View;

/// The matrix products of a layer, by Thaler's sumcheck (2013, §4.2), all steps at once. A convolution's are those of the
/// patches that its kernel covers, which are a public linear map of the image.
impl Relation {
    pub(super) fn prove_products(&self, columns: &LayerColumns, view: &View, prover: &mut Prover<'_>) {
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

    pub(super) fn verify_products(&self, columns: &LayerColumns, verifier: &mut Verifier) -> Result<(), ZkError> {
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

/// The weight of each output position in what goes back, for weights of taps and of positions of the image.
fn output_weights(layer: Layer, taps: &[Ext], image: &[Ext], position_bits: usize) -> Vec<Ext> {
    let mut weights = vec![Ext::ZERO; 1 << position_bits];
    layer.for_taps(|tap, output, position| weights[output] += taps[tap] * image[position]);
    weights
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
