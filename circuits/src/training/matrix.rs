use nexus_zk::multilinear::eq_table;
use nexus_zk::{Base, Ext, from_signed};
use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use super::relation::{Relation, number};
use crate::reference::FixedPoint;

/// What the products multiply, read off the committed vector: for all steps, row-major, by layer.
pub(super) struct View {
    /// `steps × batch` rows of `2^input_bits`, the constant one included.
    pub(super) inputs: Vec<Vec<Base>>,
    /// `steps × batch` rows of `2^output_bits`.
    pub(super) errors: Vec<Vec<Base>>,
    /// `steps × (inputs + 1)` rows of `2^output_bits`.
    pub(super) weights: Vec<Vec<Base>>,
}

impl View {
    pub(super) fn new(relation: &Relation, vector: &[Base]) -> Self {
        let mut view = Self { inputs: Vec::new(), errors: Vec::new(), weights: Vec::new() };
        let (data, format) = (&relation.layout.data, relation.plan.format());
        let entries = |column: super::layout::Column| &vector[column.offset..][..column.len];
        for columns in &relation.layout.layers {
            let layer = columns.layer;
            let one = if layer.index == 0 { FixedPoint::INPUT_FRACTION } else { format.activation_fraction };
            let mut inputs = Vec::with_capacity(relation.gather.len() << columns.input_bits);
            let mut push = |row: &[Base]| {
                let end = inputs.len() + (1 << columns.input_bits);
                inputs.extend_from_slice(&row[..layer.inputs]);
                inputs.push(Base::from_u64(1 << one));
                inputs.resize(end, Base::ZERO);
            };
            if let Some(before) = layer.index.checked_sub(1).map(|index| &relation.layout.layers[index]) {
                entries(before.forward.value).chunks_exact(1 << before.output_bits).for_each(&mut push);
            } else {
                let rows = entries(data.inputs);
                let row = |&example: &u32| &rows[(example as usize) << data.input_bits..][..1 << data.input_bits];
                relation.gather.iter().map(row).for_each(&mut push);
            }
            view.inputs.push(inputs);

            view.errors.push(if let Some((_, relu)) = &columns.backward {
                entries(relu.error).to_vec()
            } else {
                let one = Base::from_u64(1 << format.activation_fraction);
                let offset = Base::from_u64(columns.forward.rounding.offset);
                let targets = entries(data.targets);
                let width = 1 << columns.output_bits;
                let rows = entries(columns.forward.value).chunks_exact(width).zip(&relation.gather);
                let errors = rows.flat_map(|(row, &example)| {
                    let target = &targets[example as usize * width..][..width];
                    row.iter().zip(target).map(move |(&value, &target)| value - offset - one * target)
                });
                errors.collect()
            });

            let (start, outputs) = (relation.start.layer(layer), layer.outputs);
            let mut current = vec![Base::ZERO; layer.rows() << columns.output_bits];
            for (row, values) in current.chunks_exact_mut(1 << columns.output_bits).zip(start.chunks_exact(outputs)) {
                row.iter_mut().zip(values).for_each(|(slot, &value)| *slot = from_signed(value.into()));
            }
            let offset = Base::from_u64(columns.change_offset());
            let mut weights = Vec::with_capacity(current.len() * columns.changes.len());
            for (change, _) in &columns.changes {
                weights.extend_from_slice(&current);
                current.par_iter_mut().with_min_len(4096).enumerate().for_each(|(i, weight)| {
                    *weight += offset - number(vector, change, i);
                });
            }
            view.weights.push(weights);
        }
        view
    }
}

/// `out[block][column] = Σ_{row < used} eq(point, row)·matrix[block][row][column]`, zero for blocks beyond the matrix.
pub(super) fn fold_rows(
    matrix: &[Base],
    rows: usize,
    used: usize,
    point: &[Ext],
    width: usize,
    blocks: usize,
) -> Vec<Ext> {
    let weights = eq_table(point, Ext::ONE);
    let mut out = vec![Ext::ZERO; blocks * width];
    out.par_chunks_exact_mut(width).zip(matrix.par_chunks_exact(rows * width)).for_each(|(sums, block)| {
        for (row, &weight) in block.chunks_exact(width).take(used).zip(&weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &entry)| *sum += weight * entry);
        }
    });
    out
}

/// `out[block][row] = Σ_column eq(point, column)·matrix[block][row][column]`, padded with zeros to `padded` rows.
pub(super) fn fold_columns(matrix: &[Base], rows: usize, point: &[Ext], padded: usize, blocks: usize) -> Vec<Ext> {
    let weights = eq_table(point, Ext::ONE);
    let width = weights.len();
    let mut out = vec![Ext::ZERO; blocks * padded];
    out.par_chunks_exact_mut(padded).zip(matrix.par_chunks_exact(rows * width)).for_each(|(sums, block)| {
        for (sum, row) in sums.iter_mut().zip(block.chunks_exact(width)) {
            *sum = row.iter().zip(&weights).map(|(&entry, &weight)| weight * entry).sum();
        }
    });
    out
}
