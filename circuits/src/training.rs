//! Proof of training.

mod layout;
mod matrix;
mod relation;
mod witness;

#[cfg(test)]
mod tests {
    use nexus_zk::argument::check;
    use nexus_zk::Base;
    use p3_field::PrimeCharacteristicRing;

    use super::layout::{Column, Limbs, Rounding};
    use super::relation::Relation;
    use super::witness::Witness;
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
        let start: Vec<i32> = (0..shape.parameters()).map(|i| (i as i32 * 7919 % 400_000) - 200_000).collect();
        let start = Weights::new(&shape, start, FixedPoint::V1).unwrap();
        let clip = clip.then(|| Clip::new(20_000, 4, shape.parameters()).unwrap());
        let relation = Relation::new(plan.clone(), start.clone(), clip, count, &schedule).unwrap();
        let witness = Witness::new(&relation, examples, &schedule, Integers).unwrap();
        assert_eq!(witness.trained, Sgd::new(plan, Integers).train(&start, examples, &schedule).unwrap());
        let mut registered = Vec::new();
        for (row, &label) in inputs.chunks_exact(features).zip(&labels) {
            registered.extend(row.iter().map(|&byte| Base::from_u8(byte)));
            registered.extend((0..classes).map(|class| Base::from_bool(class == usize::from(label))));
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

    /// What an entry of the committed vector is.
    fn name(relation: &Relation, entry: usize) -> String {
        let layout = &relation.layout;
        let within = |column: &Column| (column.offset..column.offset + column.len).contains(&entry);
        let limbs = |limbs: &Limbs| limbs.columns.iter().any(|(column, _)| within(column));
        let rounding = |name: &str, r: &Rounding| {
            let columns = [("high", r.high), ("in range", r.in_range), ("top", r.top), ("value", r.value)];
            let named = columns.iter().find(|(_, column)| within(column)).map(|(part, _)| format!("{name} {part}"));
            named
                .or_else(|| limbs(&r.remainder).then(|| format!("{name} remainder")))
                .or_else(|| limbs(&r.low).then(|| format!("{name} low")))
        };
        for columns in &layout.layers {
            if let Some(found) = rounding("forward", &columns.forward) {
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

    #[test]
    fn every_entry_that_is_changed_breaks_the_relation() {
        let (relation, witness, registered) = run("3-3-2", 2, 2, 1, true);
        let mut free = std::collections::BTreeMap::new();
        let mut noticed = std::collections::BTreeMap::new();
        for entry in 0..relation.layout.blinding {
            for (change, sign) in [(Base::ONE, "+"), (-Base::ONE, "-")] {
                let mut vector = witness.vector.clone();
                vector[entry] += change;
                // Counted anew where what is looked up is still in its table.
                let mut recounted = vector.clone();
                let in_tables = relation.layout.lookups.count(&mut recounted).is_ok();
                let vector = if in_tables { recounted } else { vector };
                let result = check(&relation, &vector, &[&registered]);
                let list = if result == Ok(()) { &mut free } else { &mut noticed };
                list.entry((name(&relation, entry), result.err())).or_insert(Vec::new()).push(format!("{entry}{sign}"));
            }
        }
        println!("free {free:?}");
        for (key, list) in noticed {
            println!("{key:?} {}", list.len());
        }
    }
}
