use curve25519_dalek::Scalar;
#[cfg(feature = "parallel")]
use rayon::prelude::*;
use x25519_dalek::{PublicKey, StaticSecret};

use super::client::pair_sign;
use super::keys::{MaskKey, PairSecret, SelfMask};
use super::members::Members;
use super::messages::{Advertise, Release};
use super::params::Params;
use crate::MpcError;
use crate::mask::{Mask, Sign, apply};
use crate::share::{Lagrange, Point, Share};

/// The masked sum, and what the server needs to strip the masks once t clients have released their shares.
pub(super) struct Opening {
    /// By client index, for everyone in the roster.
    pub(super) keys: Vec<Option<Advertise>>,
    /// U₁.
    pub(super) sharers: Members,
    /// U₂.
    pub(super) survivors: Members,
    /// What the survivors signed.
    pub(super) claim: [u8; 32],
    /// Of the survivors' masked vectors, mod 2³².
    pub(super) sums: Vec<u32>,
}

/// The shares that one client released: its point, and one share for each client of U₁ in ascending order.
pub(super) type Released = Vec<Share<Scalar>>;

impl Opening {
    /// Checks that a client released of each peer the secret that the survivor set asks for.
    pub(super) fn check(&self, params: &Params, holder: usize, releases: Vec<Release>) -> Result<Released, MpcError> {
        let point = Point::of_index(holder);
        self.sharers
            .indices()
            .zip(releases)
            .map(|(about, release)| match (release, self.survivors.contains(about)) {
                (Release::SelfMask(value), true) | (Release::MaskKey(value), false) => Ok(Share::new(point, value)),
                _ => Err(MpcError::WrongRelease { client: params.client_id(holder), about: params.client_id(about) }),
            })
            .collect()
    }

    /// The sum mod 2³² with all masks stripped, from the releases of exactly t clients.
    pub(super) fn strip(mut self, params: &Params, released: &[&Released]) -> Result<Vec<u32>, MpcError> {
        let Opened { self_masks, dropped } = self.reconstruct(params, released)?;
        apply(&self_masks, &mut self.sums);
        let survivors: Vec<usize> = self.survivors.indices().collect();
        for (index, key) in &dropped {
            // One dropped client at a time: the masks in memory stay linear in the cohort.
            let masks = map_all(&survivors, |survivor| self.common_mask(params, *index, key, survivor));
            apply(&masks, &mut self.sums);
        }
        Ok(self.sums)
    }

    /// The survivors' own masks and the dropped clients' keys, each checked against what its owner advertised.
    fn reconstruct(&self, params: &Params, released: &[&Released]) -> Result<Opened, MpcError> {
        let points: Vec<Point> = released.iter().map(|shares| shares[0].point()).collect();
        let lagrange = Lagrange::new(&points)?;
        let mut self_masks = Vec::with_capacity(self.survivors.count());
        let mut dropped = Vec::new();
        for (rank, index) in self.sharers.indices().enumerate() {
            let shares: Vec<Share<Scalar>> =
                released.iter().map(|shares| Share::new(shares[rank].point(), shares[rank].value())).collect();
            let secret = lagrange.reconstruct(&shares)?;
            let id = params.client_id(index);
            let advertised = self.keys[index].expect("a client that shared is in the roster");
            if self.survivors.contains(index) {
                let self_mask = SelfMask::from_scalar(secret);
                if self_mask.commitment(params, id) != advertised.commitment {
                    return Err(MpcError::Unrecoverable(id));
                }
                self_masks.push(Mask { seed: self_mask.seed(params, id), sign: Sign::Minus });
            } else {
                let key = MaskKey::from_scalar(secret).exchange_key(params);
                if PublicKey::from(&key).to_bytes() != advertised.mask {
                    return Err(MpcError::Unrecoverable(id));
                }
                dropped.push((index, key));
            }
        }
        Ok(Opened { self_masks, dropped })
    }

    /// What a survivor added for a dropped client, with the opposite sign.
    fn common_mask(&self, params: &Params, dropped: usize, key: &StaticSecret, survivor: usize) -> Mask {
        let other = self.keys[survivor].expect("a survivor is in the roster").mask;
        let pair = PairSecret::agree(key, &other).expect("keys of low order were refused when they came");
        Mask {
            seed: pair.seed(params, params.client_id(dropped), params.client_id(survivor)),
            sign: pair_sign(survivor, dropped).flipped(),
        }
    }
}

/// The secrets that were shared, as far as the survivor set lets them be opened.
struct Opened {
    self_masks: Vec<Mask>,
    /// By client index.
    dropped: Vec<(usize, StaticSecret)>,
}

fn map_all<T: Send>(indices: &[usize], map: impl Fn(usize) -> T + Sync) -> Vec<T> {
    #[cfg(feature = "parallel")]
    return indices.par_iter().map(|index| map(*index)).collect();
    #[cfg(not(feature = "parallel"))]
    indices.iter().map(|index| map(*index)).collect()
}
