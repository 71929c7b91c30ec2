use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::CircuitError;

/// Which examples each step sees: consecutive passes over the data, each in a fresh pseudo-random order.
///
/// A batch that is larger than what is left of a pass goes on into the next, so the batch size says nothing about
/// how many examples there are. The order comes from a seed that is fixed after the data was committed: nobody picks
/// favourable batches.
///
/// # Security
/// A public schedule earns no privacy amplification by subsampling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    batch: usize,
    indices: Vec<u32>,
}

impl Schedule {
    /// The most indices a schedule may hold, steps times batch.
    pub const MAX_INDICES: usize = 1 << 28;

    /// The schedule of `steps` batches of `batch` among `examples` examples.
    ///
    /// Pass after pass, a Fisher–Yates shuffle (Knuth, TAOCP 2, §3.4.2, algorithm P) driven by ChaCha20 keyed with
    /// `seed`; bounded integers by rejection on 32-bit words, so every order is equally likely.
    ///
    /// # Errors
    /// [`CircuitError::OutOfRange`] for no examples, an empty batch, no steps, or more indices than [`Self::MAX_INDICES`].
    pub fn new(seed: [u8; 32], examples: usize, batch: usize, steps: usize) -> Result<Self, CircuitError> {
        let check = |field, value: usize, max: usize| {
            if (1..=max).contains(&value) {
                return Ok(());
            }
            Err(CircuitError::OutOfRange { field, value: value as i128, min: 1, max: max as i128 })
        };
        check("examples", examples, Self::MAX_INDICES)?;
        check("batch", batch, Self::MAX_INDICES)?;
        check("steps", steps, Self::MAX_INDICES / batch)?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let wanted = batch * steps;
        let mut indices = Vec::with_capacity(wanted + examples);
        while indices.len() < wanted {
            let start = indices.len();
            indices.extend(0..examples as u32);
            let pass = &mut indices[start..];
            for last in (1..pass.len()).rev() {
                pass.swap(last, below(last as u32 + 1, &mut rng) as usize);
            }
        }
        indices.truncate(wanted);
        Ok(Self { batch, indices })
    }

    /// The seed of one participant's schedule in one round, `H(domain ‖ beacon ‖ data ‖ id ‖ round)` with SHA-256.
    ///
    /// `beacon` must be fixed after `data_digest` was registered.
    pub fn seed(beacon: &[u8; 32], data_digest: &[u8; 32], id: u32, round: u32) -> [u8; 32] {
        Sha256::new()
            .chain_update(b"cipher-nexus batch schedule v1")
            .chain_update(beacon)
            .chain_update(data_digest)
            .chain_update(id.to_le_bytes())
            .chain_update(round.to_le_bytes())
            .finalize()
            .into()
    }

    /// The batches in order, each a slice of example indices.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.indices.chunks_exact(self.batch)
    }
}

/// A uniform integer in `[0, bound)`, by rejection.
fn below(bound: u32, rng: &mut ChaCha20Rng) -> u32 {
    let excess = (u32::MAX % bound + 1) % bound;
    loop {
        let word = rng.next_u32();
        if word <= u32::MAX - excess {
            return word % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pass_is_a_permutation_and_passes_differ() {
        let schedule = Schedule::new([1; 32], 10, 4, 5).unwrap();
        let flat: Vec<u32> = schedule.batches().flatten().copied().collect();
        assert_eq!(flat.len(), 20);
        for pass in flat.chunks(10) {
            let mut sorted = pass.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(flat[..10], flat[10..]);
    }

    #[test]
    fn a_batch_larger_than_the_data_wraps_into_the_next_pass() {
        let schedule = Schedule::new([2; 32], 3, 8, 1).unwrap();
        let batch = schedule.batches().next().unwrap();
        assert_eq!(batch.len(), 8);
        for index in 0..3 {
            assert!(batch.iter().filter(|&&i| i == index).count() >= 2);
        }
    }

    #[test]
    fn the_schedule_is_pinned() {
        // A change here changes what every proof says: it needs a new version of the statement.
        let schedule = Schedule::new([0; 32], 8, 8, 1).unwrap();
        // The words come from the ChaCha20 keystream of the all-zero key and nonce (RFC 8439, A.1, vector 1).
        assert_eq!(schedule.batches().next().unwrap(), [3, 2, 5, 7, 1, 0, 4, 6]);
    }

    #[test]
    fn every_order_is_about_equally_likely() {
        let mut counts = std::collections::HashMap::new();
        for trial in 0u32..6_000 {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&trial.to_le_bytes());
            let schedule = Schedule::new(seed, 3, 3, 1).unwrap();
            *counts.entry(schedule.batches().next().unwrap().to_vec()).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Six cells of 1,000 expected; chi-square with 5 degrees of freedom exceeds 35.9 with probability 1e-6.
        let chi: f64 = counts.values().map(|&c| (f64::from(c) - 1_000.0).powi(2) / 1_000.0).sum();
        assert!(chi < 35.9, "chi-square {chi}");
    }

    #[test]
    fn the_seed_binds_every_input() {
        let base = Schedule::seed(&[0; 32], &[0; 32], 0, 0);
        assert_ne!(base, Schedule::seed(&[1; 32], &[0; 32], 0, 0));
        assert_ne!(base, Schedule::seed(&[0; 32], &[1; 32], 0, 0));
        assert_ne!(base, Schedule::seed(&[0; 32], &[0; 32], 1, 0));
        assert_ne!(base, Schedule::seed(&[0; 32], &[0; 32], 0, 1));
    }

    #[test]
    fn absurd_sizes_are_refused_before_anything_is_allocated() {
        let field = |examples, batch, steps| match Schedule::new([0; 32], examples, batch, steps) {
            Err(CircuitError::OutOfRange { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(0, 1, 1), "examples");
        assert_eq!(field(1, 0, 1), "batch");
        assert_eq!(field(1, 1, 0), "steps");
        assert_eq!(field(1, 1 << 28, 2), "steps");
        assert_eq!(field(usize::MAX, 1, 1), "examples");
    }
}
