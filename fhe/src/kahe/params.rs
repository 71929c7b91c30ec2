use std::fmt;

use super::field::MODULUS;
use super::noise::{NOISE_BOUND, NOISE_VARIANCE};
use super::ring::DEGREE;
use super::security::SecurityEstimate;
use crate::FheError;

const VERSION: u8 = 1;
const ENCODED: usize = 1 + 4 + 8 + 8 + 4;
const HASH_DOMAIN: &str = "cipher-nexus/fhe/kahe/parameters/v1";

const MOST_CLIENTS: u32 = 1 << 20;
const MOST_ENTRIES: u32 = 8;
const MOST_LENGTH: u64 = 1 << 28;

/// What all parties of a round agree on: n clients, each with a vector of so many entries of bounded size.
///
/// A coefficient carries r entries as the digits of m = x₀ + M·x₁ + … + M^(r−1)·x_{r−1} in the mixed radix
/// M = 2·n·bound + 1, so that digits of the sum of n clients never meet. The noise stands above, as T·e with T = M^r.
/// All n sums of digits are exact, in the worst case and not only likely, if
///
/// `T·(2nE + 1) < p`, E = 40.
///
/// A power of two in the place of M would do, too, and make the digits bit fields, but rounds up: with two entries of 12
/// to 16 bits M holds cohorts 1.2 to 1.5 times as large (377 clients in the place of 256 at 16 bits). Encoding costs
/// the same; decoding costs r + 1 divisions for each coefficient of one sum, not of each client.
///
/// Values of this type hold the inequality; there is no other way to make one than those that check it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KaheParams {
    clients: u32,
    bound: u64,
    length: u64,
    entries: u32,
}

impl KaheParams {
    /// Parameters for up to `clients` clients with vectors of `length` entries, noise for privacy included between
    /// −`bound` and `bound`, of which `entries` share a coefficient.
    ///
    /// # Errors
    /// [`FheError::MaskParameter`] unless 2 ≤ `clients` ≤ 2²⁰, 1 ≤ `bound` < 2⁶³, 1 ≤ `length` ≤ 2²⁸ and
    /// 1 ≤ `entries` ≤ 8; [`FheError::MaskRoom`] if the sum could pass the modulus.
    pub fn new(clients: u32, bound: u64, length: usize, entries: u32) -> Result<Self, FheError> {
        let length = length as u64;
        in_range("clients", clients.into(), 2, MOST_CLIENTS.into())?;
        in_range("bound", bound, 1, i64::MAX as u64)?;
        in_range("length", length, 1, MOST_LENGTH)?;
        in_range("entries a coefficient", entries.into(), 1, MOST_ENTRIES.into())?;
        let largest = Self::largest_bound(clients, entries);
        if bound > largest {
            return Err(FheError::MaskRoom { clients, bound, entries, largest });
        }
        Ok(Self { clients, bound, length, entries })
    }

    /// The parameters with the most entries a coefficient, which are those with the shortest messages.
    ///
    /// # Errors
    /// As [`KaheParams::new`] with one entry a coefficient.
    pub fn densest(clients: u32, bound: u64, length: usize) -> Result<Self, FheError> {
        let one = Self::new(clients, bound, length, 1)?;
        let fits = |entries: &u32| bound <= Self::largest_bound(clients, *entries);
        Ok(Self { entries: (1..=MOST_ENTRIES).rev().find(fits).unwrap_or(1), ..one })
    }

    /// The largest bound that [`KaheParams::new`] accepts for so many clients and entries a coefficient; 0 if there is
    /// none.
    pub fn largest_bound(clients: u32, entries: u32) -> u64 {
        let (clients, entries) = (u128::from(clients.max(1)), entries.max(1));
        let room = u128::from(MODULUS - 1) / (2 * clients * u128::from(NOISE_BOUND) + 1);
        // The largest M with M^r ≤ room: its bits from above.
        let fits = |radix: u128| radix.checked_pow(entries).is_some_and(|scale| scale <= room);
        let radix = (0..64).rev().fold(0, |radix, bit| if fits(radix | 1 << bit) { radix | 1 << bit } else { radix });
        (radix.saturating_sub(1) / (2 * clients)) as u64
    }

    /// n, the largest number of contributors.
    pub fn clients(&self) -> u32 {
        self.clients
    }

    /// The largest absolute value of an entry.
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// Entries of a vector.
    pub fn length(&self) -> usize {
        self.length as usize
    }

    /// r, the number of entries that share a coefficient.
    pub fn entries_per_coefficient(&self) -> u32 {
        self.entries
    }

    /// M = 2·n·bound + 1, the radix of the digits.
    pub fn radix(&self) -> u64 {
        2 * u64::from(self.clients) * self.bound + 1
    }

    /// T = M^r, the factor of the noise.
    pub fn scale(&self) -> u64 {
        self.radix().pow(self.entries)
    }

    /// Coefficients of a masked vector: ⌈length/r⌉.
    pub fn coefficients(&self) -> usize {
        self.length().div_ceil(self.entries as usize)
    }

    /// Polynomials that a masked vector takes; the last may be cut short.
    pub fn polynomials(&self) -> usize {
        self.coefficients().div_ceil(DEGREE)
    }

    /// The size of a masked vector's encoding in bytes.
    pub fn message_bytes(&self) -> usize {
        super::update::HEADER + 8 * self.coefficients()
    }

    /// How hard it is to tell the masks from random, with what everyone knows once a sum of two clients is open.
    ///
    /// The number of samples is that of the coefficients. See [`SecurityEstimate`] for what it does and does not say.
    pub fn security(&self) -> SecurityEstimate {
        // Of two terms of variance v, one has v/2 left once their sum is known.
        let deviation = (NOISE_VARIANCE as f64 / 2.0).sqrt();
        SecurityEstimate::for_uniform_secret(DEGREE, (MODULUS as f64).log2(), deviation, self.coefficients())
    }

    /// The canonical encoding, of 25 bytes.
    pub fn to_bytes(&self) -> [u8; ENCODED] {
        let mut bytes = [0; ENCODED];
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&self.clients.to_le_bytes());
        bytes[5..13].copy_from_slice(&self.bound.to_le_bytes());
        bytes[13..21].copy_from_slice(&self.length.to_le_bytes());
        bytes[21..].copy_from_slice(&self.entries.to_le_bytes());
        bytes
    }

    /// Reads the canonical encoding.
    ///
    /// # Errors
    /// [`FheError::MaskLength`] and [`FheError::MaskVersion`] for other bytes, and those of [`KaheParams::new`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        let bytes: &[u8; ENCODED] = bytes.try_into().map_err(|_| FheError::MaskLength {
            what: "bytes of mask parameters",
            expected: ENCODED,
            got: bytes.len(),
        })?;
        if bytes[0] != VERSION {
            return Err(FheError::MaskVersion { expected: VERSION, got: bytes[0] });
        }
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        in_range("length", word(13), 1, MOST_LENGTH)?;
        Self::new(half(1), word(5), word(13) as usize, half(21))
    }

    /// BLAKE3 of the canonical encoding, under a name of its own.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key(HASH_DOMAIN, &self.to_bytes())
    }

    /// Entries that a full polynomial carries.
    pub(crate) fn entries_per_polynomial(&self) -> usize {
        DEGREE * self.entries as usize
    }
}

impl fmt::Debug for KaheParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KaheParams")
            .field("clients", &self.clients)
            .field("bound", &self.bound)
            .field("length", &self.length)
            .field("entries_per_coefficient", &self.entries)
            .finish()
    }
}

fn in_range(name: &'static str, got: u64, least: u64, most: u64) -> Result<(), FheError> {
    if (least..=most).contains(&got) { Ok(()) } else { Err(FheError::MaskParameter { name, got, least, most }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(clients: u32, bound: u64, entries: u32) -> bool {
        let radix = 2 * u128::from(clients) * u128::from(bound) + 1;
        let noise = 2 * u128::from(clients) * u128::from(NOISE_BOUND) + 1;
        radix
            .checked_pow(entries)
            .and_then(|scale| scale.checked_mul(noise))
            .is_some_and(|most| most < u128::from(MODULUS))
    }

    #[test]
    fn a_bound_is_accepted_up_to_the_largest_and_refused_one_above() {
        for clients in [2, 3, 100, 255, 1000, 1 << 20] {
            for entries in 1..=8 {
                let largest = KaheParams::largest_bound(clients, entries);
                assert!(!holds(clients, largest + 1, entries));
                let refused = KaheParams::new(clients, largest + 1, 10, entries).unwrap_err();
                assert_eq!(refused, FheError::MaskRoom { clients, bound: largest + 1, entries, largest });
                if largest > 0 {
                    assert!(holds(clients, largest, entries));
                    assert!(KaheParams::new(clients, largest, 10, entries).is_ok());
                }
            }
        }
    }

    /// The cohorts of two entries a coefficient against those of a radix that is a power of two: n·bound < 2^(w−1),
    /// 2^(2w)·(2nE + 1) < p.
    #[test]
    fn mixed_radix_holds_larger_cohorts_than_powers_of_two() {
        let with_powers = |bound: u64| {
            let fits = |n: u32| {
                let width = 64 - (u64::from(n) * bound).leading_zeros() + 1;
                (1_u128 << (2 * width)) * (80 * u128::from(n) + 1) < u128::from(MODULUS)
            };
            (2..100_000).take_while(|n| fits(*n)).last().unwrap_or(0)
        };
        let mixed = |bound: u64| (2..100_000).take_while(|n| holds(*n, bound, 2)).last().unwrap_or(0);
        let cohorts =
            [16, 15, 14, 13, 12].map(|bits| (with_powers((1 << (bits - 1)) - 1), mixed((1 << (bits - 1)) - 1)));
        assert_eq!(cohorts, [(256, 377), (512, 598), (819, 950), (1024, 1509), (2049, 2396)]);
    }

    #[test]
    fn parameters_out_of_range_are_refused_by_name() {
        let refused = |clients, bound, length, entries| match KaheParams::new(clients, bound, length, entries) {
            Err(FheError::MaskParameter { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(1, 1, 1, 1), "clients");
        assert_eq!(refused((1 << 20) + 1, 1, 1, 1), "clients");
        assert_eq!(refused(2, 0, 1, 1), "bound");
        assert_eq!(refused(2, 1 << 63, 1, 1), "bound");
        assert_eq!(refused(2, 1, 0, 1), "length");
        assert_eq!(refused(2, 1, (1 << 28) + 1, 1), "length");
        assert_eq!(refused(2, 1, 1, 0), "entries a coefficient");
        assert_eq!(refused(2, 1, 1, 9), "entries a coefficient");
    }

    #[test]
    fn the_densest_parameters_leave_no_room_for_one_more_entry() {
        for (clients, bound, entries) in [(100, 32_767, 2), (16, 127, 4), (2, 1, 8), (1000, 1 << 30, 1)] {
            let params = KaheParams::densest(clients, bound, 1000).unwrap();
            assert_eq!(params.entries_per_coefficient(), entries, "{clients} clients, {bound}");
        }
    }

    #[test]
    fn bytes_of_parameters_are_checked_like_the_parameters() {
        let bytes = KaheParams::new(100, 1000, 1_000_000, 2).unwrap().to_bytes();
        let changed = |at: usize, value: u8| {
            let mut bytes = bytes;
            bytes[at] = value;
            KaheParams::from_bytes(&bytes)
        };
        assert_eq!(changed(0, 2), Err(FheError::MaskVersion { expected: 1, got: 2 }));
        assert!(matches!(changed(12, 1), Err(FheError::MaskRoom { .. })));
        assert!(matches!(changed(20, 1), Err(FheError::MaskParameter { name: "length", .. })));
        assert!(matches!(KaheParams::from_bytes(&bytes[1..]), Err(FheError::MaskLength { expected: 25, got: 24, .. })));
    }

    #[test]
    fn every_parameter_changes_the_hash() {
        let hashes =
            [(100, 1000, 50, 2), (101, 1000, 50, 2), (100, 1001, 50, 2), (100, 1000, 51, 2), (100, 1000, 50, 1)]
                .map(|(n, bound, length, entries)| KaheParams::new(n, bound, length, entries).unwrap().hash());
        for (i, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..i].contains(hash));
        }
    }

    proptest! {
        #[test]
        fn parameters_survive_their_bytes(
            clients in 2_u32..17, length in 1_usize..1 << 28, entries in 1_u32..=8, part: u64,
        ) {
            let largest = KaheParams::largest_bound(clients, entries);
            let params = KaheParams::new(clients, 1 + part % largest, length, entries).unwrap();
            prop_assert_eq!(KaheParams::from_bytes(&params.to_bytes()), Ok(params));
        }

        #[test]
        fn mutated_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 20..30)) {
            if let Ok(params) = KaheParams::from_bytes(&bytes) {
                prop_assert_eq!(&params.to_bytes()[..], &bytes[..]);
            }
        }
    }
}
