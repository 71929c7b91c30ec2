use super::basis::RnsBasis;
use super::kernels::Engine;
#[cfg(target_arch = "x86_64")]
use super::kernels::ifma::{Ifma, Lanes, Wide};
use super::modulus::{Factor, Modulus};

/// Coefficients converted together, so that what is read again stays in the first-level cache.
const BLOCK: usize = 256;

/// From the residues modulo some primes to residues modulo others, of the representative nearest to zero
/// (Halevi, Polyakov, Shoup 2019, §2.2, with the quotient in fixed point instead of floating point).
///
/// With `Q` the product of the source primes and `y_i = x·(Q/q_i)^{-1} mod q_i`, `x = Σ y_i·Q/q_i − v·Q`, where `v` is
/// the sum of the fractions `y_i/q_i` rounded. Fractions have 51 bits, so the result is the centred representative,
/// but for `x` within `Q·k·2^-50` of `±Q/2` (`k` source primes), where it may be the one on the other side; every
/// result is congruent to `x`.
#[derive(Clone, Debug)]
pub(crate) struct BaseConversion {
    sources: Vec<Source>,
    targets: Vec<Target>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    modulus: Modulus,
    /// `(Q/q_i)^{-1}`, times what the caller wants divided out.
    weight: Factor,
    /// `52 − bits`, by which a residue is brought to 52 bits.
    shift: u32,
    /// `⌊2^(bits + 51) / q_i⌋`, so that the high half of a product is the fraction in units of `2^-51`.
    reciprocal: u64,
}

#[derive(Clone, Debug)]
struct Target {
    modulus: Modulus,
    /// `Q/q_i`, times what the caller wants multiplied in.
    punctured: Vec<u64>,
    /// `−Q`, likewise.
    negated: u64,
}

impl BaseConversion {
    /// From `sources` to `targets`; the residues given are `scale` times too large (`N` where a transform's scaling is
    /// put off).
    ///
    /// # Panics
    /// With no source or more than 15: sums of products would not fit.
    pub(crate) fn new(sources: &[Modulus], targets: &[Modulus], scale: u64) -> Self {
        Self::scaled(sources, targets, |q| q.inverse(q.reduce(scale)), |_| 1)
    }

    /// From `x` modulo `sources` to the centred representative of `before·x`, times `after`, modulo `targets`; the
    /// factors are given as residues, `before` modulo every source and `after` modulo every target.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub(crate) fn scaled(
        sources: &[Modulus],
        targets: &[Modulus],
        before: impl Fn(Modulus) -> u64,
        after: impl Fn(Modulus) -> u64,
    ) -> Self {
        assert!((1..=15).contains(&sources.len()), "one to fifteen source primes");
        let product_without = |modulus: Modulus, skipped: usize| {
            sources
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != skipped)
                .fold(1, |product, (_, q)| modulus.mul(product, modulus.reduce(q.value())))
        };
        let source = |(i, &modulus): (usize, &Modulus)| {
            let weight = modulus.mul(modulus.inverse(product_without(modulus, i)), before(modulus));
            Source {
                modulus,
                weight: modulus.factor(weight),
                shift: 52 - modulus.bits(),
                reciprocal: modulus.barrett(),
            }
        };
        let target = |&modulus: &Modulus| Target {
            modulus,
            punctured: (0..sources.len()).map(|i| modulus.mul(product_without(modulus, i), after(modulus))).collect(),
            negated: modulus.neg(modulus.mul(product_without(modulus, usize::MAX), after(modulus))),
        };
        Self {
            sources: sources.iter().enumerate().map(source).collect(),
            targets: targets.iter().map(target).collect(),
        }
    }

    /// Converts the limbs `from`, in coefficient form, to the limbs `to`, modulo the first of the target primes; every
    /// limb of the same length.
    pub(crate) fn convert(&self, from: &[&[u64]], to: &mut [&mut [u64]]) {
        self.convert_on(Engine::detect(), from, to);
    }

    fn convert_on(&self, engine: Engine, from: &[&[u64]], to: &mut [&mut [u64]]) {
        assert_eq!(from.len(), self.sources.len(), "a limb for each source prime");
        assert!(to.len() <= self.targets.len(), "at most a limb for each target prime");
        let length = from[0].len();
        assert!(from.iter().all(|limb| limb.len() == length) && to.iter().all(|limb| limb.len() == length));
        let mut weighted = [[0; BLOCK]; 16];
        for start in (0..length).step_by(BLOCK) {
            let block = start..(start + BLOCK).min(length);
            let width = block.len();
            match engine {
                Engine::Portable => {
                    self.weigh(from, block.clone(), &mut weighted);
                    for (target, to) in self.targets.iter().zip(to.iter_mut()) {
                        target.gather(&weighted, &mut to[block.clone()]);
                    }
                }
                #[cfg(target_arch = "x86_64")]
                Engine::Ifma(simd) => {
                    self.weigh_ifma(simd, from, block.clone(), &mut weighted);
                    for (target, to) in self.targets.iter().zip(to.iter_mut()) {
                        target.gather_ifma(simd, &weighted, width, &mut to[block.clone()]);
                    }
                }
            }
        }
    }

    /// Writes `y_i` into the first rows and `v` into the row after them.
    fn weigh(&self, from: &[&[u64]], block: std::ops::Range<usize>, weighted: &mut [[u64; BLOCK]; 16]) {
        let count = self.sources.len();
        let (rows, quotients) = weighted.split_at_mut(count);
        quotients[0] = [1 << 50; BLOCK];
        for ((source, limb), row) in self.sources.iter().zip(from).zip(rows) {
            for ((&value, y), sum) in limb[block.clone()].iter().zip(row).zip(&mut quotients[0]) {
                *y = source.modulus.mul_factor(value, source.weight);
                *sum += ((u128::from(*y << source.shift) * u128::from(source.reciprocal)) >> 52) as u64;
            }
        }
        quotients[0].iter_mut().for_each(|sum| *sum >>= 51);
    }

    #[cfg(target_arch = "x86_64")]
    fn weigh_ifma(
        &self,
        simd: Ifma,
        from: &[&[u64]],
        block: std::ops::Range<usize>,
        weighted: &mut [[u64; BLOCK]; 16],
    ) {
        use pulp::{as_arrays, as_arrays_mut, cast, u64x8};
        let count = self.sources.len();
        simd.vectorize(
            #[inline(always)]
            || {
                let (rows, quotients) = weighted.split_at_mut(count);
                let quotients = as_arrays_mut::<8, _>(&mut quotients[0]).0;
                for (i, ((source, limb), row)) in self.sources.iter().zip(from).zip(rows).enumerate() {
                    let lanes = Lanes::new(simd, source.modulus);
                    let (weight, quotient) = (simd.splat(source.weight.value), simd.splat(source.weight.quotient));
                    let (shift, reciprocal) = (simd.splat(u64::from(source.shift)), simd.splat(source.reciprocal));
                    let values = as_arrays::<8, _>(&limb[block.clone()]).0;
                    for ((value, y), sum) in values.iter().zip(as_arrays_mut::<8, _>(row).0).zip(&mut *quotients) {
                        let weighted = lanes.mul_factor(simd, cast(*value), weight, quotient);
                        *y = cast(weighted);
                        let start = if i == 0 { simd.splat(1 << 50) } else { cast(*sum) };
                        let shifted: u64x8 = cast(simd.avx512f._mm512_sllv_epi64(cast(weighted), cast(shift)));
                        let total = simd.mul_high_add(start, shifted, reciprocal);
                        *sum = if i + 1 == count {
                            cast(simd.avx512f._mm512_srli_epi64::<51>(cast(total)))
                        } else {
                            cast(total)
                        };
                    }
                }
            },
        );
    }
}

impl Target {
    fn gather(&self, weighted: &[[u64; BLOCK]; 16], to: &mut [u64]) {
        let factors = self.punctured.iter().chain(std::iter::once(&self.negated));
        for (i, to) in to.iter_mut().enumerate() {
            let sum = factors.clone().zip(weighted).map(|(&factor, row)| u128::from(factor) * u128::from(row[i])).sum();
            *to = self.modulus.reduce_wide(sum);
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn gather_ifma(&self, simd: Ifma, weighted: &[[u64; BLOCK]; 16], width: usize, to: &mut [u64]) {
        use pulp::{as_arrays, as_arrays_mut, cast};
        simd.vectorize(
            #[inline(always)]
            || {
                let (lanes, wide) = (Lanes::new(simd, self.modulus), Wide::new(simd, self.modulus));
                let (rows, negated) = (&weighted[..self.punctured.len()], simd.splat(self.negated));
                let quotients = as_arrays::<8, _>(&weighted[rows.len()][..width]).0;
                for (i, (to, quotient)) in as_arrays_mut::<8, _>(to).0.iter_mut().zip(quotients).enumerate() {
                    let (zero, quotient) = (simd.splat(0), cast(*quotient));
                    let mut low = simd.mul_low_add(zero, quotient, negated);
                    let mut high = simd.mul_high_add(zero, quotient, negated);
                    for (row, &factor) in rows.iter().zip(&self.punctured) {
                        let (y, factor) = (cast(as_arrays::<8, _>(row).0[i]), simd.splat(factor));
                        low = simd.mul_low_add(low, y, factor);
                        high = simd.mul_high_add(high, y, factor);
                    }
                    *to = cast(wide.reduce(simd, lanes, low, high));
                }
            },
        );
    }
}

/// The moduli `first..first + count` of a basis.
pub(crate) fn moduli(basis: &RnsBasis, range: std::ops::Range<usize>) -> Vec<Modulus> {
    basis.primes()[range].iter().map(|prime| prime.modulus()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::ring::ntt_primes;

    fn moduli(bits: u32, count: usize, taken: &[u64]) -> Vec<Modulus> {
        ntt_primes(bits, 1 << 10, count, taken).unwrap().into_iter().map(|q| Modulus::new(q).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_small_integer_keeps_its_value(value in -(1_i64 << 44)..1 << 44, bits in 25..=50_u32, count in 2..=15_usize, scale in 1..5000_u64) {
            let sources = moduli(bits, count, &[]);
            let targets = moduli(49, 3, &sources.iter().map(|q| q.value()).collect::<Vec<_>>());
            let conversion = BaseConversion::new(&sources, &targets, scale);
            let from: Vec<[u64; 8]> =
                sources.iter().map(|q| [q.mul(q.reduce_signed(value), q.reduce(scale)); 8]).collect();
            let mut to = [[0; 8]; 3];
            conversion.convert(&from.iter().map(|l| &l[..]).collect::<Vec<_>>(), &mut to.each_mut().map(|l| &mut l[..]));
            for (q, limb) in targets.iter().zip(to) {
                prop_assert_eq!(limb, [q.reduce_signed(value); 8]);
            }
        }

        #[test]
        fn both_engines_convert_to_the_same_bits(bits in 25..=50_u32, count in 1..=15_usize, seed: u64, extreme: bool) {
            let sources = moduli(bits, count, &[]);
            let targets = moduli(50, 4, &sources.iter().map(|q| q.value()).collect::<Vec<_>>());
            let conversion = BaseConversion::new(&sources, &targets, 1);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let from: Vec<Vec<u64>> = sources
                .iter()
                .map(|q| (0..600).map(|_| if extreme { q.value() - 1 } else { q.reduce(rng.next_u64()) }).collect())
                .collect();
            let from: Vec<&[u64]> = from.iter().map(|limb| &limb[..]).collect();
            let run = |engine| {
                let mut to = vec![vec![0; 600]; 4];
                conversion.convert_on(engine, &from, &mut to.iter_mut().map(|limb| &mut limb[..]).collect::<Vec<_>>());
                to
            };
            prop_assert_eq!(run(Engine::Portable), run(Engine::detect()));
        }
    }
}
