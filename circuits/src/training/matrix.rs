use nexus_zk::multilinear::eq_table;
use nexus_zk::{Base, Ext};
use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use super::layout::{Column, LayerColumns};
use super::relation::{Relation, number};
use crate::reference::Layer;

/// What the products multiply, read off the committed vector: for all steps, row-major, by layer.
pub(super) struct View {
    pub(super) layers: Vec<LayerView>,
}

/// The matrices of one layer.
pub(super) struct LayerView {
    layer: Layer,
    batch: usize,
    output_bits: usize,
    position_bits: usize,
    /// The constant one.
    one: Base,
    /// `steps × batch` images of what enters.
    images: Vec<Base>,
    /// `steps × batch` rows of `2^position_bits × 2^output_bits`.
    errors: Vec<Base>,
    /// `steps × (inputs + 1)` rows of `2^output_bits`.
    weights: Vec<Base>,
}

impl View {
    pub(super) fn new(relation: &Relation, vector: &[Base]) -> Self {
        Self { layers: relation.layout.layers.iter().map(|columns| layer(relation, columns, vector)).collect() }
    }
}

fn layer(relation: &Relation, columns: &LayerColumns, vector: &[Base]) -> LayerView {
    let layer = columns.layer;
    LayerView {
        layer,
        batch: relation.plan.batch(),
        output_bits: columns.output_bits,
        position_bits: columns.position_bits,
        one: Base::from_u64(1 << relation.plan.input_fraction(layer)),
        images: images(relation, layer, vector),
        errors: errors(relation, columns, vector),
        weights: weights(relation, columns, vector),
    }
}

fn entries(vector: &[Base], column: Column) -> &[Base] {
    &vector[column.offset..][..column.len]
}

fn images(relation: &Relation, layer: Layer, vector: &[Base]) -> Vec<Base> {
    let image = layer.image();
    let mut images = vec![Base::ZERO; relation.gather.len() * image.len()];
    let rows = images.par_chunks_exact_mut(image.len());
    if let Some(before) = layer.index.checked_sub(1).map(|index| &relation.layout.layers[index]) {
        let values = entries(vector, before.forward.value).par_chunks_exact(1 << before.value_bits());
        rows.zip(values).for_each(|(image, values)| {
            let channels = layer.source.channels;
            for (position, pixel) in values.chunks_exact(1 << before.output_bits).enumerate() {
                if let Some(pooled) = layer.pooled(position) {
                    let sums = &mut image[pooled * channels..][..channels];
                    sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += value);
                }
            }
        });
    } else {
        let data = &relation.layout.data;
        let examples = entries(vector, data.inputs);
        rows.zip(&relation.gather).for_each(|(image, &example)| {
            image.copy_from_slice(&examples[(example as usize) << data.input_bits..][..image.len()]);
        });
    }
    images
}

fn errors(relation: &Relation, columns: &LayerColumns, vector: &[Base]) -> Vec<Base> {
    if let Some((_, relu)) = &columns.backward {
        return entries(vector, relu.error).to_vec();
    }
    let (width, classes) = (1 << columns.output_bits, columns.layer.outputs);
    let one = Base::from_u64(1 << relation.plan.format().activation_fraction);
    let offset = Base::from_u64(columns.forward.rounding.offset);
    let targets = entries(vector, relation.layout.data.targets);
    let mut errors = vec![Base::ZERO; relation.gather.len() * width];
    for (row, (errors, &example)) in errors.chunks_exact_mut(width).zip(&relation.gather).enumerate() {
        let targets = &targets[example as usize * width..][..width];
        for (class, (error, &target)) in errors.iter_mut().zip(targets).enumerate() {
            let entry = row * width + class;
            *error = match &relation.layout.softmax {
                // What stands beside the classes is no error.
                _ if class >= classes => Base::ZERO,
                Some(softmax) => vector[softmax.error.offset + entry],
                None => vector[columns.forward.value.offset + entry] - offset - one * target,
            };
        }
    }
    errors
}

fn weights(relation: &Relation, columns: &LayerColumns, vector: &[Base]) -> Vec<Base> {
    let mut current = relation.first_weights(columns, vector);
    let offset = Base::from_u64(columns.change_offset());
    let mut weights = Vec::with_capacity(current.len() * columns.changes.len());
    // The last step's change makes the end model, which no product takes.
    for (change, _) in &columns.changes[..columns.changes.len() - 1] {
        weights.extend_from_slice(&current);
        current.par_iter_mut().with_min_len(4096).enumerate().for_each(|(i, weight)| {
            *weight += offset - number(vector, change, i);
        });
    }
    weights.extend_from_slice(&current);
    weights
}

impl LayerView {
    /// `out[step][κ] = Σ_(b, o) eq(β, b)·eq(ρ, o)·A[step][b, o][κ]`: what the kernel covers, `padded` entries a step.
    pub(super) fn patches_at(&self, beta: &[Ext], rho: &[Ext], padded: usize, steps: usize) -> Vec<Ext> {
        let (batch, positions) = (eq_table(beta, Ext::ONE), eq_table(rho, Ext::ONE));
        let (len, channels) = (self.layer.image().len(), self.layer.image().channels);
        let real = positions[..self.layer.output().positions()].iter().copied().sum::<Ext>();
        let mut out = vec![Ext::ZERO; steps * padded];
        out.par_chunks_exact_mut(padded).zip(self.images.par_chunks_exact(self.batch * len)).for_each(
            |(out, images)| {
                let image = fold(images, &batch, len);
                self.layer.for_taps(|tap, output, position| {
                    let (weight, pixel) = (positions[output], &image[position * channels..][..channels]);
                    let sums = &mut out[tap * channels..][..channels];
                    sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += weight * value);
                });
                out[self.layer.inputs] = real * self.one;
            },
        );
        out
    }

    /// `out[step, b, o] = Σ_κ eq(kappa, κ)·A[step][b, o][κ]`, padded to `rows`.
    pub(super) fn patch_rows_at(&self, kappa: &[Ext], rows: usize) -> Vec<Ext> {
        let weights = eq_table(kappa, Ext::ONE);
        let (len, channels) = (self.layer.image().len(), self.layer.image().channels);
        let bias = weights[self.layer.inputs] * self.one;
        let mut out = vec![Ext::ZERO; rows];
        out.par_chunks_exact_mut(1 << self.position_bits).zip(self.images.par_chunks_exact(len)).for_each(
            |(out, image)| {
                out[..self.layer.output().positions()].fill(bias);
                self.layer.for_taps(|tap, output, position| {
                    let (weights, pixel) = (&weights[tap * channels..], &image[position * channels..][..channels]);
                    out[output] += pixel.iter().zip(weights).map(|(&value, &weight)| weight * value).sum::<Ext>();
                });
            },
        );
        out
    }

    /// `out[step, b, o] = Σ_i eq(iota, i)·E[step][b, o][i]`, padded to `rows`.
    pub(super) fn errors_at(&self, iota: &[Ext], rows: usize) -> Vec<Ext> {
        let mut out = fold_columns(&self.errors, iota);
        out.resize(rows, Ext::ZERO);
        out
    }

    /// `out[step][κ] = Σ_i eq(iota, i)·W[step][κ][i]`, `padded` entries a step.
    pub(super) fn weights_at(&self, iota: &[Ext], padded: usize, steps: usize) -> Vec<Ext> {
        let folded = fold_columns(&self.weights, iota);
        let mut out = vec![Ext::ZERO; steps * padded];
        for (out, folded) in out.chunks_exact_mut(padded).zip(folded.chunks_exact(self.layer.rows())) {
            out[..folded.len()].copy_from_slice(folded);
        }
        out
    }

    /// `out[step][tap, i] = Σ_(b, o) eq(β, b)·eq(ρ, q)·E[step][b, o][i]`, where the tap of output `o` lies at `q`.
    pub(super) fn errors_back(&self, beta: &[Ext], rho: &[Ext], padded: usize, steps: usize) -> Vec<Ext> {
        let (batch, positions) = (eq_table(beta, Ext::ONE), eq_table(rho, Ext::ONE));
        let width = 1 << self.output_bits;
        let len = width << self.position_bits;
        let mut out = vec![Ext::ZERO; steps * padded];
        out.par_chunks_exact_mut(padded).zip(self.errors.par_chunks_exact(self.batch * len)).for_each(
            |(out, errors)| {
                let errors = fold(errors, &batch, len);
                self.layer.for_taps(|tap, output, position| {
                    let (weight, pixel) = (positions[position], &errors[output * width..][..width]);
                    let sums = &mut out[tap * width..][..width];
                    sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += weight * value);
                });
            },
        );
        out
    }

    /// `out[step][tap, i] = Σ_c eq(kappa, c)·W[step][tap, c][i]`.
    pub(super) fn weights_back(&self, kappa: &[Ext], padded: usize, steps: usize) -> Vec<Ext> {
        let channels = eq_table(kappa, Ext::ONE);
        let width = 1 << self.output_bits;
        let (rows, tap) = (self.layer.rows() * width, self.layer.image().channels * width);
        let mut out = vec![Ext::ZERO; steps * padded];
        for (out, weights) in out.chunks_exact_mut(padded).zip(self.weights.chunks_exact(rows)) {
            let taps = weights[..self.layer.inputs * width].par_chunks_exact(tap);
            out.par_chunks_exact_mut(width).zip(taps).for_each(|(out, weights)| {
                out.copy_from_slice(&fold(weights, &channels, width));
            });
        }
        out
    }
}

/// `Σ_row weights[row]·matrix[row]`, for as many rows as there are.
fn fold(matrix: &[Base], weights: &[Ext], width: usize) -> Vec<Ext> {
    let mut sums = vec![Ext::ZERO; width];
    for (row, &weight) in matrix.chunks_exact(width).zip(weights) {
        sums.iter_mut().zip(row).for_each(|(sum, &entry)| *sum += weight * entry);
    }
    sums
}

/// `Σ_column eq(point, column)·matrix[row][column]` of every row.
fn fold_columns(matrix: &[Base], point: &[Ext]) -> Vec<Ext> {
    let weights = eq_table(point, Ext::ONE);
    let dot = |row: &[Base]| row.iter().zip(&weights).map(|(&entry, &weight)| weight * entry).sum();
    matrix.par_chunks_exact(weights.len()).with_min_len((4096 / weights.len()).max(1)).map(dot).collect()
}
