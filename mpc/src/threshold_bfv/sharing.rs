//! Packed Shamir sharing of polynomials over the primes of a ring.

use nexus_fhe::Parameters;
use nexus_fhe::ring::Modulus;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The residues of one share: those of the first prime, then those of the next.
pub(super) type Residues = Zeroizing<Vec<u64>>;

/// Sharing of the `N` residues modulo each prime among holders, ρ of them in each polynomial (Franklin, Yung 1992).
///
/// A polynomial of degree below t has the secrets at −1, …, −ρ and is otherwise uniform; the holder of index j has its
/// value at j + 1. Any t shares give the secrets, and t − ρ say nothing about them; between the two, something.
/// `N/ρ` polynomials share a key: that is what a share is long.
///
/// Cost for n holders: `(n − t + ρ)·t` multiplications for each of `N/ρ` polynomials and prime to deal, ρ·t to open.
pub(super) struct Sharing {
    threshold: usize,
    /// ρ.
    secrets: usize,
    degree: usize,
    holders: usize,
    fields: Vec<Field>,
}

struct Field {
    modulus: Modulus,
    /// From the secrets and the first t − ρ shares to the other shares, row by row.
    rest: Vec<u64>,
}

impl Sharing {
    /// Among `holders` holders; 1 ≤ `secrets` ≤ `threshold` ≤ `holders`.
    pub(super) fn new(ring: &Parameters, holders: usize, threshold: usize, secrets: usize) -> Self {
        assert!((1..=threshold).contains(&secrets) && threshold <= holders, "the layout checked the cohort");
        let slots = (0..secrets).map(slot);
        let known: Vec<i64> = slots.chain((0..threshold - secrets).map(point)).collect();
        let others: Vec<i64> = (threshold - secrets..holders).map(point).collect();
        let field = |modulus| Field { modulus, rest: lagrange(modulus, &known, &others) };
        let fields = ring.ciphertext_basis().moduli().map(field).collect();
        Self { threshold, secrets, degree: ring.degree(), holders, fields }
    }

    /// Shares that say nothing.
    pub(super) fn privacy(&self) -> usize {
        self.threshold - self.secrets
    }

    /// Residues of a share modulo each prime.
    pub(super) fn blocks(&self) -> usize {
        self.degree.div_ceil(self.secrets)
    }

    /// A share for each holder, of what is given limb by limb.
    pub(super) fn deal<R: CryptoRng + ?Sized>(&self, limbs: &[u64], rng: &mut R) -> Vec<Residues> {
        let blocks = self.blocks();
        let mut shares: Vec<Residues> =
            (0..self.holders).map(|_| Zeroizing::new(Vec::with_capacity(blocks * self.fields.len()))).collect();
        for (field, limb) in self.fields.iter().zip(limbs.chunks_exact(self.degree)) {
            let q = field.modulus;
            let mut known: Vec<Residues> = limb
                .chunks(blocks)
                .map(|secrets| {
                    let mut row = Zeroizing::new(vec![0; blocks]);
                    row[..secrets.len()].copy_from_slice(secrets);
                    row
                })
                .collect();
            // Fewer rows than ρ if the blocks do not come out even: the others share zeros.
            known.resize_with(self.secrets, || Zeroizing::new(vec![0; blocks]));
            let random = |rng: &mut R| Zeroizing::new((0..blocks).map(|_| uniform(q, rng)).collect::<Vec<u64>>());
            known.extend((0..self.privacy()).map(|_| random(rng)));
            let (first, rest) = shares.split_at_mut(self.privacy());
            first.iter_mut().zip(&known[self.secrets..]).for_each(|(share, row)| share.extend_from_slice(row));
            for (share, weights) in rest.iter_mut().zip(field.rest.chunks_exact(self.threshold)) {
                share.extend_from_slice(&combine(q, weights, &known));
            }
        }
        shares
    }

    /// What was dealt, limb by limb, from the shares of exactly t holders, in ascending order.
    pub(super) fn open(&self, shares: &[(usize, &Residues)]) -> Vec<u64> {
        assert_eq!(shares.len(), self.threshold, "the server counted the shares");
        let blocks = self.blocks();
        let points: Vec<i64> = shares.iter().map(|(holder, _)| point(*holder)).collect();
        let slots: Vec<i64> = (0..self.secrets).map(slot).collect();
        let mut limbs = Vec::with_capacity(self.degree * self.fields.len());
        for (index, field) in self.fields.iter().enumerate() {
            let rows: Vec<&[u64]> = shares.iter().map(|(_, share)| &share[index * blocks..][..blocks]).collect();
            let weights = lagrange(field.modulus, &points, &slots);
            let rows = weights
                .chunks_exact(self.threshold)
                .flat_map(|weights| combine(field.modulus, weights, &rows).to_vec());
            limbs.extend(rows.take(self.degree));
        }
        limbs
    }

    /// `sum += share`.
    pub(super) fn add(&self, sum: &mut [u64], share: &[u64]) {
        let blocks = self.blocks();
        let runs = sum.chunks_exact_mut(blocks).zip(share.chunks_exact(blocks));
        for (field, (sum, share)) in self.fields.iter().zip(runs) {
            sum.iter_mut().zip(share).for_each(|(sum, share)| *sum = field.modulus.add(*sum, *share));
        }
    }

    /// A share of nothing.
    pub(super) fn zero(&self) -> Residues {
        Zeroizing::new(vec![0; self.blocks() * self.fields.len()])
    }
}

/// Where the holder of an index has its share.
fn point(holder: usize) -> i64 {
    holder as i64 + 1
}

/// Where a secret is.
fn slot(secret: usize) -> i64 {
    -1 - secret as i64
}

/// Uniform, by rejection of at most half of the draws.
fn uniform<R: CryptoRng + ?Sized>(q: Modulus, rng: &mut R) -> u64 {
    let mask = (1_u64 << q.bits()) - 1;
    loop {
        let candidate = rng.next_u64() & mask;
        if candidate < q.value() {
            return candidate;
        }
    }
}

/// `Σ w_i·row_i`.
fn combine<T: AsRef<[u64]>>(q: Modulus, weights: &[u64], rows: &[T]) -> Residues {
    let mut sum = Zeroizing::new(vec![0; rows[0].as_ref().len()]);
    for (weight, row) in weights.iter().zip(rows) {
        sum.iter_mut().zip(row.as_ref()).for_each(|(sum, value)| *sum = q.add(*sum, q.mul(*weight, *value)));
    }
    sum
}

/// For each target the Lagrange coefficients of the nodes, all of them different and much smaller than the prime:
/// `L_j(z) = Π_{m≠j} (z − x_m)/(x_j − x_m)`.
fn lagrange(q: Modulus, nodes: &[i64], targets: &[i64]) -> Vec<u64> {
    let all = || nodes.iter().chain(targets);
    let span = all().max().zip(all().min()).map_or(0, |(most, least)| most - least);
    let inverses: Vec<u64> = (1..=span).map(|d| q.inverse(d as u64)).collect();
    let inverse = |d: i64| {
        let positive = inverses[d.unsigned_abs() as usize - 1];
        if d < 0 { q.neg(positive) } else { positive }
    };
    let weights: Vec<u64> = nodes
        .iter()
        .map(|own| {
            nodes.iter().filter(|node| *node != own).fold(1, |product, node| q.mul(product, inverse(own - node)))
        })
        .collect();
    let mut rows = Vec::with_capacity(nodes.len() * targets.len());
    for target in targets {
        let all = nodes.iter().fold(1, |product, node| q.mul(product, q.reduce_signed(target - node)));
        let row = nodes.iter().zip(&weights).map(|(node, weight)| q.mul(q.mul(all, *weight), inverse(target - node)));
        rows.extend(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn ring() -> Parameters {
        Parameters::insecure(32, &[30, 31], &[]).unwrap()
    }

    fn key(rng: &mut ChaCha20Rng) -> Vec<u64> {
        let ring = ring();
        let moduli = ring.ciphertext_basis().moduli().flat_map(|q| std::iter::repeat_n(q, 32));
        moduli.map(|q| q.reduce(rng.next_u64())).collect()
    }

    #[test]
    fn the_shares_are_values_of_a_polynomial_through_the_secrets() {
        // Degree below 3, secrets at −1 and −2: f(x) = a + bx + cx² through three known values.
        let sharing = Sharing::new(&ring(), 5, 3, 2);
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (key, q) = (key(&mut rng), ring().ciphertext_basis().moduli().next().unwrap());
        let shares = sharing.deal(&key, &mut rng);
        for block in 0..16 {
            let (at_minus_one, at_minus_two) = (key[block], key[16 + block]);
            let at = |holder: usize| shares[holder][block];
            // Third differences of −2, −1, (0), 1, 2, 3: with f(0) from f(1), f(2), f(3).
            let times = |factor: i64, value| q.mul(q.reduce_signed(factor), value);
            let third =
                |a, b, c, d| [times(-1, a), times(3, b), times(-3, c), d].into_iter().fold(0, |x, y| q.add(x, y));
            let at_zero = [times(3, at(0)), times(-3, at(1)), at(2)].into_iter().fold(0, |x, y| q.add(x, y));
            assert_eq!(third(at_minus_two, at_minus_one, at_zero, at(0)), 0);
            assert_eq!(third(at_minus_one, at_zero, at(0), at(1)), 0);
            assert_eq!(third(at(1), at(2), at(3), at(4)), 0);
        }
    }

    /// With t − ρ shares every secret is still possible: the map from secrets to the other shares is a bijection.
    #[test]
    fn as_many_shares_as_say_nothing_go_with_any_secrets() {
        let sharing = Sharing::new(&ring(), 6, 4, 2);
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let (one, other) = (key(&mut rng), key(&mut rng));
        let shares = sharing.deal(&one, &mut rng);
        // Holders 1 and 4 know their shares; two further shares follow from them and from any other secrets.
        let q = ring().ciphertext_basis().moduli().next().unwrap();
        let nodes = [slot(0), slot(1), point(1), point(4)];
        let rows: Vec<&[u64]> = vec![&other[..16], &other[16..32], &shares[1][..16], &shares[4][..16]];
        let weights = lagrange(q, &nodes, &[point(0), point(5)]);
        let mut forged = [sharing.zero(), shares[1].clone(), shares[4].clone(), sharing.zero()];
        forged[0][..16].copy_from_slice(&combine(q, &weights[..4], &rows));
        forged[3][..16].copy_from_slice(&combine(q, &weights[4..], &rows));
        let holders: Vec<(usize, &Residues)> = [0, 1, 4, 5].into_iter().zip(&forged).collect();
        assert_eq!(sharing.open(&holders)[..32], other[..32]);
    }

    proptest! {
        #[test]
        fn any_threshold_of_sums_of_shares_gives_the_sum(
            seed: [u8; 32], holders in 2_usize..12, threshold in 0_usize..12, secrets in 0_usize..12,
        ) {
            let threshold = 1 + threshold % holders;
            let secrets = 1 + secrets % threshold;
            let sharing = Sharing::new(&ring(), holders, threshold, secrets);
            let mut rng = ChaCha20Rng::from_seed(seed);
            let (one, two) = (key(&mut rng), key(&mut rng));
            let mut shares = sharing.deal(&one, &mut rng);
            for (sum, share) in shares.iter_mut().zip(sharing.deal(&two, &mut rng)) {
                sharing.add(sum, &share);
            }
            let mut chosen: Vec<usize> = (0..holders).collect();
            while chosen.len() > threshold {
                chosen.remove(rng.next_u32() as usize % chosen.len());
            }
            let opened = sharing.open(&chosen.iter().map(|&holder| (holder, &shares[holder])).collect::<Vec<_>>());
            let moduli = ring().ciphertext_basis().moduli().flat_map(|q| std::iter::repeat_n(q, 32)).collect::<Vec<_>>();
            for (((opened, one), two), q) in opened.iter().zip(&one).zip(&two).zip(moduli) {
                prop_assert_eq!(*opened, q.add(*one, *two));
            }
        }
    }
}
