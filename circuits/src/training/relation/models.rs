use nexus_zk::argument::{Prover, Verifier};
use nexus_zk::multilinear::{Functional, Term, eq_table};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::PrimeCharacteristicRing;

use super::{Relation, Rows, claimed, class_weights, number};
use crate::training::layout::LayerColumns;

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

    pub(super) fn prove_models(&self, vector: &[Base], prover: &mut Prover<'_>) {
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

    pub(super) fn verify_models(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
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
    pub(in crate::training) fn first_weights(&self, columns: &LayerColumns, vector: &[Base]) -> Vec<Base> {
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
