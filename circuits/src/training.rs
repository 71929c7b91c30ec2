//! Proof of training.

mod data;
mod error;
mod layout;
mod matrix;
mod proof;
mod relation;
mod statement;
mod witness;

pub use data::{DataCommitment, DataProof, DataSecret};
pub use error::TrainingError;
pub use proof::{Proof, Trained, TransparentProof};
pub use statement::Statement;

#[cfg(test)]
mod tests {
    use nexus_zk::Base;
    use nexus_zk::argument::check;
    use p3_field::PrimeCharacteristicRing;
    use rand_core::SeedableRng;

    use super::layout::{Column, Limbs, Rounding};
    use super::relation::Relation;
    use super::witness::Witness;
    use super::{DataCommitment, Proof, Statement, TransparentProof};
    use crate::reference::{Clip, Examples, FixedPoint, Integers, Schedule, Sgd, Shape, TrainingPlan, Weights};

    fn run(shape: &str, batch: usize, steps: usize, rate: i32, clip: bool) -> (Relation, Witness, Vec<Base>) {
        let shape: Shape = shape.parse().unwrap();
        let (features, classes) = (shape.inputs(), shape.outputs());
        let count = 7;
        let inputs: Vec<u8> = (0..count * features).map(|i| (i * 37 % 256) as u8).collect();
        let labels: Vec<u8> = (0..count).map(|i| (i % classes) as u8).collect();
        let examples = Examples::new(&inputs, &labels, features).unwrap();
        let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, batch, steps, rate).unwrap();
        let schedule = Schedule::new([7; 32], examples.len(), batch, steps).unwrap();
        let start: Vec<i32> = (0..shape.parameters()).map(|i| (i as i32 * 792_319 % 4_000_000) - 2_000_000).collect();
        let start = Weights::new(&shape, start, FixedPoint::V1).unwrap();
        let clip = clip.then(|| Clip::new(20_000, 4, shape.parameters()).unwrap());
        let relation = Relation::new(plan.clone(), start.clone(), clip, count, &schedule).unwrap();
        let witness = Witness::new(&relation, examples, &schedule, Integers).unwrap();
        assert_eq!(witness.trained, Sgd::new(plan, Integers).train(&start, examples, &schedule).unwrap());
        let mut registered = Vec::new();
        for (row, &label) in inputs.chunks_exact(features).zip(&labels) {
            let bytes: Vec<u8> = row.iter().copied().chain([label]).collect();
            registered.extend(bytes.chunks(7).map(|chunk| {
                chunk.iter().rev().fold(Base::ZERO, |word, &byte| word * Base::from_u16(256) + Base::from_u8(byte))
            }));
        }
        (relation, witness, registered)
    }

    #[test]
    fn honest_training_satisfies_the_relation() {
        for (shape, batch, steps, rate, clip) in [
            ("3-2", 2, 1, 3, false),
            ("3-2", 2, 3, 3, true),
            ("4-3-2", 2, 1, 3, false),
            ("5-4-2", 4, 3, 2, true),
            ("6-5-4-3", 2, 5, 1, true),
        ] {
            let (relation, witness, registered) = run(shape, batch, steps, rate, clip);
            println!("{shape}: 2^{} entries", relation.layout.variables);
            assert_eq!(check(&relation, &witness.vector, &[&registered]), Ok(()), "{shape}");
        }
    }

    #[test]
    fn a_proof_of_training_holds_for_its_statement() {
        let mut rng = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
        let shape: Shape = "5-4-3".parse().unwrap();
        let inputs: Vec<u8> = (0..9 * 5).map(|i| (i * 37 % 256) as u8).collect();
        let labels: Vec<u8> = (0..9).map(|i| (i % 3) as u8).collect();
        let examples = Examples::new(&inputs, &labels, 5).unwrap();
        let (data, mut secret, proof) = DataCommitment::new(examples, 3, b"session", &mut rng).unwrap();
        data.verify(&proof, b"session").unwrap();
        let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, 4, 3, 2).unwrap();
        let start: Vec<i32> = (0..shape.parameters()).map(|i| (i as i32 * 792_319 % 4_000_000) - 2_000_000).collect();
        let start = Weights::new(&shape, start, FixedPoint::V1).unwrap();
        let clip = Clip::new(20_000, 4, shape.parameters()).unwrap();
        let statement =
            |round| Statement::new(plan.clone(), start.clone(), data.clone(), round, [5; 32], Some(clip)).unwrap();
        let (transparent, trained) =
            TransparentProof::new(&statement(0), &mut secret, examples, Integers, b"session", &mut rng).unwrap();
        transparent.verify(&statement(0), b"session").unwrap();
        let (proof, again) = Proof::new(&statement(1), &mut secret, examples, Integers, b"session", &mut rng).unwrap();
        assert_eq!(trained, again);
        let proof = Proof::from_bytes(&proof.to_bytes()).unwrap();
        proof.verify(&statement(1), b"session").unwrap();
        assert!(proof.verify(&statement(2), b"session").is_err());
        assert!(proof.verify(&statement(1), b"another").is_err());
        println!("{}", statement(1).security_report().unwrap());
        println!("{} bytes, transparent {}", proof.to_bytes().len(), transparent.to_bytes().len());
    }

    /// What an entry of the committed vector is.
    fn name(relation: &Relation, entry: usize) -> String {
        let layout = &relation.layout;
        let within = |column: &Column| (column.offset..column.offset + column.len).contains(&entry);
        let limbs = |limbs: &Limbs| limbs.columns.iter().any(|(column, _)| within(column));
        let rounding = |name: &str, r: &Rounding| {
            let columns = [("high", r.high), ("in range", r.in_range), ("top", r.top)];
            let named = columns.iter().find(|(_, column)| within(column)).map(|(part, _)| format!("{name} {part}"));
            named
                .or_else(|| limbs(&r.remainder).then(|| format!("{name} remainder")))
                .or_else(|| limbs(&r.low).then(|| format!("{name} low")))
        };
        for columns in &layout.layers {
            if within(&columns.forward.value) {
                return "forward value".into();
            }
            if let Some(found) = rounding("forward", &columns.forward.rounding) {
                return found;
            }
            if let Some((backward, relu)) = &columns.backward {
                let columns = [("on", relu.on), ("inverse", relu.inverse), ("error", relu.error)];
                let named = columns.iter().find(|(_, column)| within(column)).map(|(part, _)| format!("relu {part}"));
                if let Some(found) = rounding("backward", backward).or(named) {
                    return found;
                }
            }
            if columns.changes.iter().any(|(change, remainder)| limbs(change) || limbs(remainder)) {
                return "change".into();
            }
        }
        if within(&layout.data.inputs) {
            return "input".into();
        }
        if within(&layout.data.targets) {
            return "target".into();
        }
        if let Some(clip) = &layout.clip {
            let parts = [&clip.magnitude, &clip.remainder, &clip.scale, &clip.scale_slack, &clip.norm_slack];
            if parts.into_iter().any(limbs) {
                return "clip".into();
            }
            if within(&clip.negative) {
                return "negative".into();
            }
        }
        "gap".into()
    }

    /// Each entry of the vector is changed up and down, multiplicities counted anew where the change stays in its table.
    #[test]
    fn every_entry_that_means_something_breaks_the_relation_when_it_is_changed() {
        let (relation, witness, registered) = run("3-3-2", 2, 2, 1, true);
        let (honest, layout) = (&witness.vector, &relation.layout);
        let (_, relu) = layout.layers[0].backward.as_ref().unwrap();
        let on = honest[relu.on.offset..][..relu.on.len].iter().filter(|&&entry| entry == Base::ONE).count();
        assert!(on > 0 && on < relu.on.len, "both kinds of ReLU occur");
        let clip = layout.clip.as_ref().unwrap();
        // What may take any value: nothing is made of it.
        let is_free = |entry: usize| {
            let row = |column: &Column| entry - column.offset;
            match name(&relation, entry).as_str() {
                // Between columns, and multiplicities, which are counted anew.
                "gap" => true,
                // Beyond the features: the products take none of it.
                "input" => row(&layout.data.inputs) % 4 == 3,
                // The inverse of nothing.
                "relu inverse" => honest[layout.layers[0].forward.value.offset + row(&relu.inverse)] == Base::ZERO,
                // The sign of zero.
                "negative" => {
                    let zero = |limbs: &Limbs| {
                        limbs.columns.iter().all(|(c, _)| honest[c.offset + row(&clip.negative)] == Base::ZERO)
                    };
                    zero(&clip.magnitude) && zero(&clip.remainder)
                }
                _ => false,
            }
        };
        for entry in 0..layout.blinding {
            for change in [Base::ONE, -Base::ONE] {
                let mut vector = honest.clone();
                vector[entry] += change;
                let mut recounted = vector.clone();
                let in_tables = layout.lookups.count(&mut recounted).is_ok();
                let vector = if in_tables { recounted } else { vector };
                let result = check(&relation, &vector, &[&registered]);
                let expected = !is_free(entry) || !in_tables;
                assert_eq!(result.is_err(), expected, "{} at {entry}: {result:?}", name(&relation, entry));
            }
        }
    }
}
