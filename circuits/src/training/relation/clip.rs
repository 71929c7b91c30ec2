use nexus_zk::argument::{Affine, Prover, Verifier};
use nexus_zk::multilinear::{Functional, eq_prefix};
use nexus_zk::sumcheck::{self, Summand};
use nexus_zk::{Base, Ext, ZkError};
use p3_field::{Algebra, PrimeCharacteristicRing};

use super::{Constant, Relation, claimed, number, scalar, stacked, stacked_limbs};
use crate::reference::Clip;

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

/// `c·Δ = ±(2^g·|x| + ρ)`, `‖x‖² + slack = C²` and `c + slack = 2^(g−d)`.
impl Relation {
    pub(super) fn prove_clip(&self, vector: &[Base], prover: &mut Prover<'_>) {
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

    pub(super) fn verify_clip(&self, clip: &Clip, verifier: &mut Verifier) -> Result<(), ZkError> {
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
}
