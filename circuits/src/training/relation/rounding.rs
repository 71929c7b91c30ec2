use nexus_zk::argument::{Affine, Prover, Verifier};
use nexus_zk::multilinear::Functional;
use nexus_zk::sumcheck::{self, Summand};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::{Algebra, PrimeCharacteristicRing};

use super::{Relation, claimed, fill, fill_limbs, stacked, stacked_limbs};
use crate::training::layout::{Forward, bits_for};

struct RoundingSummand;

impl Summand<4> for RoundingSummand {
    const DEGREE: usize = 2;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [value, in_range, low, top]: [A; 4]) -> A {
        value - in_range * low - top
    }
}

/// `value − in_range·low − top = 0` for every rounding.
impl Relation {
    pub(super) fn prove_roundings(&self, vector: &[Base], prover: &mut Prover<'_>) {
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

    pub(super) fn verify_roundings(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
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
