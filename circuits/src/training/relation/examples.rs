use nexus_zk::argument::{Prover, Verifier};
use nexus_zk::multilinear::{Functional, Term, eq_table};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::PrimeCharacteristicRing;

use super::{Relation, claimed};
use crate::training::data::{PACKED, entries};
use crate::training::layout::{Column, bits_for};

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

    pub(super) fn prove_data(&self, vector: &[Base], prover: &mut Prover<'_>) {
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

    pub(super) fn verify_data(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
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
