use std::fmt;
use std::sync::Arc;

use nexus_fhe::aggregate::SumParameters;
use nexus_fhe::{MODULUS_LINE, Parameters, Security};

use super::messages::packed_length;
use super::sharing::Sharing;
use crate::MpcError;
use crate::mask::ModulusBits;
use crate::secagg::messages::sealed_entry;
use crate::secagg::{MAX_CLIENTS, MAX_LENGTH, Params};
use crate::session::SEALED_OVERHEAD;

/// The largest prime of the ring, in bits.
const PRIME_BITS: u32 = 50;

/// The smallest, for which every ring has enough.
const LEAST_PRIME_BITS: u32 = 25;

/// The ring, the packing and the sharing for a cohort and a length of vectors; cloning is cheap.
///
/// Of all rings and packings it is the one by which a client sends and receives the fewest bytes; it follows from
/// the four arguments alone, so that all parties have the same.
#[derive(Clone)]
pub struct Layout(Arc<Inner>);

pub(super) struct Inner {
    clients: usize,
    threshold: usize,
    bits: ModulusBits,
    length: usize,
    pub(super) sums: SumParameters,
    pub(super) sharing: Sharing,
}

/// A ring that could be used.
struct Candidate {
    degree: usize,
    primes: Vec<u32>,
    packed: usize,
}

impl Layout {
    /// The layout for `clients` clients of whom `threshold` open a sum of vectors of `length` entries of `bits` bits.
    ///
    /// Cost: the search for primes, and t·n multiplications a prime for the matrix of the sharing.
    ///
    /// # Errors
    /// [`MpcError::Parameter`] for a number outside of its range, which is that of
    /// [`ParamsBuilder::build`](crate::secagg::ParamsBuilder::build).
    pub fn new(clients: usize, threshold: usize, bits: ModulusBits, length: usize) -> Result<Self, MpcError> {
        check(clients, threshold, length)?;
        let candidates = MODULUS_LINE.into_iter().flat_map(|(degree, line)| {
            (1_usize..).map_while(move |packed| candidate(degree, line, packed, (clients, bits, length))).map(
                move |candidate| {
                    let traffic = candidate.traffic(clients, packed_secrets(clients, threshold), length);
                    (traffic, candidate)
                },
            )
        });
        let best = candidates.min_by_key(|(traffic, _)| *traffic);
        let (_, best) = best.expect("every width fits the smallest ring");
        let ring = Parameters::new(best.degree, &best.primes, &[]).expect("the candidates are under the line");
        Ok(Self::with_ring(ring, best.packed, (clients, threshold, bits, length)))
    }

    /// In a ring of 32 coefficients: for tests that are to be fast, and for nothing else.
    #[cfg(test)]
    pub(super) fn insecure(
        clients: usize,
        threshold: usize,
        bits: ModulusBits,
        length: usize,
        packed: usize,
    ) -> Result<Self, MpcError> {
        check(clients, threshold, length)?;
        let primes = primes(SumParameters::modulus_bits(clients, bits.bits(), packed) + 1);
        let ring = Parameters::insecure(32, &primes, &[]).expect("there are primes of all sizes");
        Ok(Self::with_ring(ring, packed, (clients, threshold, bits, length)))
    }

    fn with_ring(ring: Parameters, packed: usize, cohort: (usize, usize, ModulusBits, usize)) -> Self {
        let (clients, threshold, bits, length) = cohort;
        let sharing = Sharing::new(&ring, clients, threshold, packed_secrets(clients, threshold));
        let sums =
            SumParameters::new(ring, clients, bits.bits(), packed).expect("the ring was chosen to have the room");
        Self(Arc::new(Inner { clients, threshold, bits, length, sums, sharing }))
    }

    /// The ring's degree and modulus.
    pub fn ring(&self) -> &Parameters {
        self.0.sums.ring()
    }

    /// What the ring promises.
    pub fn security(&self) -> Security {
        self.ring().security()
    }

    /// Entries in a coefficient.
    pub fn packed(&self) -> usize {
        self.0.sums.packed()
    }

    /// Polynomials that a client sends.
    pub fn chunks(&self) -> usize {
        self.0.length.div_ceil(self.0.sums.chunk())
    }

    /// The most clients that may pool their shares and learn nothing of a key.
    pub fn privacy(&self) -> usize {
        self.0.sharing.privacy()
    }

    /// Bytes of a masked vector.
    pub fn masked_length(&self) -> usize {
        self.chunks() * packed_length(self.ring(), self.ring().degree())
    }

    /// Bytes of one share of a key, before it is sealed.
    pub fn share_length(&self) -> usize {
        packed_length(self.ring(), self.0.sharing.blocks())
    }

    pub(super) fn sealed_length(&self) -> usize {
        SEALED_OVERHEAD + self.share_length()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// # Errors
    /// [`MpcError::Parameter`] naming what the parameters have other than this layout.
    pub(super) fn matches(&self, params: &Params) -> Result<(), MpcError> {
        let Inner { clients, threshold, bits, length, .. } = *self.0;
        for (name, got, ours) in [
            ("clients", params.clients().len(), clients),
            ("threshold", params.threshold(), threshold),
            ("modulus_bits", params.modulus_bits().bits() as usize, bits.bits() as usize),
            ("length", params.length(), length),
        ] {
            if got != ours {
                let (got, only) = (got as u64, ours as u64);
                return Err(MpcError::Parameter { name, got, least: only, most: only });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.security() {
            Security::Bits128 { modulus_bits, line } => {
                write!(
                    f,
                    "Ring of degree {}, log2 Q = {modulus_bits:.1} of {line} for 128 bits",
                    self.ring().degree()
                )?;
            }
            Security::Insecure => write!(f, "Ring of degree {}, insecure", self.ring().degree())?,
        }
        let (vector, share) = (self.masked_length(), self.share_length());
        write!(f, "; values a coefficient: {}, bytes a vector: {vector}, a share: {share}", self.packed())
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({}, {} a coefficient, {} chunks)", self.ring(), self.packed(), self.chunks())
    }
}

/// ρ: the privacy threshold t − ρ is the most corrupt clients that any parameters of such a cohort may name.
fn packed_secrets(clients: usize, threshold: usize) -> usize {
    threshold - Params::most_corrupt(clients)
}

fn check(clients: usize, threshold: usize, length: usize) -> Result<(), MpcError> {
    let range = |name, got: usize, least: usize, most: usize| {
        let refused = MpcError::Parameter { name, got: got as u64, least: least as u64, most: most as u64 };
        if (least..=most).contains(&got) { Ok(()) } else { Err(refused) }
    };
    range("clients", clients, 3, MAX_CLIENTS)?;
    range("threshold", threshold, Params::least_threshold(clients), clients)?;
    range("length", length, 1, MAX_LENGTH)
}

/// Primes of `bits` bits altogether, all about as large.
fn primes(bits: u32) -> Vec<u32> {
    let count = bits.div_ceil(PRIME_BITS);
    (0..count).map(|i| ((bits + i) / count).max(LEAST_PRIME_BITS)).collect()
}

/// A ring of this degree for so many entries a coefficient, if it has 128 bits and the vector fills it.
fn candidate(
    degree: usize,
    line: u32,
    packed: usize,
    (clients, bits, length): (usize, ModulusBits, usize),
) -> Option<Candidate> {
    let primes = primes(SumParameters::modulus_bits(clients, bits.bits(), packed) + 1);
    // More integers a coefficient than the vector has would be room for nothing.
    let useful = packed == 1 || (packed - 1) * degree < length;
    (useful && primes.iter().sum::<u32>() <= line).then_some(Candidate { degree, primes, packed })
}

impl Candidate {
    /// Bytes that a client sends and receives: shares both ways, its ciphertext, its release.
    fn traffic(&self, clients: usize, secrets: usize, length: usize) -> usize {
        let bytes =
            |residues: usize| self.primes.iter().map(|&bits| (residues * bits as usize).div_ceil(8)).sum::<usize>();
        let share = bytes(self.degree.div_ceil(secrets));
        let chunks = length.div_ceil(self.packed * self.degree);
        let sealed = sealed_entry(SEALED_OVERHEAD + share);
        chunks * bytes(self.degree) + 2 * (clients - 1) * sealed + share
    }
}
