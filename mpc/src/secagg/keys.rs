use curve25519_dalek::Scalar;
use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::params::Params;
use crate::digest::{derive_key, digest};
use crate::mask::MaskSeed;
use crate::session::ClientId;

const MASK_KEY_DOMAIN: &str = "cipher-nexus/mpc/secagg/mask-key/v1";
const COMMITMENT_DOMAIN: &str = "cipher-nexus/mpc/secagg/self-mask-commitment/v1";
const SELF_MASK: &[u8] = b"self";
const PAIR_MASK: &[u8] = b"pair";

/// κ, from which a client's X25519 key for pairwise masks is derived: a uniform scalar, so that it can be shared
/// without loss. It is opened if its owner drops.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct MaskKey(Scalar);

impl MaskKey {
    pub(crate) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Scalar::random(rng))
    }

    pub(crate) fn from_scalar(scalar: Scalar) -> Self {
        Self(scalar)
    }

    pub(crate) fn scalar(&self) -> Scalar {
        self.0
    }

    /// The X25519 key of this scalar in this round.
    pub(crate) fn exchange_key(&self, params: &Params) -> StaticSecret {
        let mut bytes = [0; 32];
        derive_key(MASK_KEY_DOMAIN, self.0.as_bytes(), &[params.hash()], &mut bytes);
        let key = StaticSecret::from(bytes);
        bytes.zeroize();
        key
    }
}

/// b, the seed of a client's own mask: a uniform scalar. It is opened if its owner's vector is counted.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SelfMask(Scalar);

impl SelfMask {
    pub(crate) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Scalar::random(rng))
    }

    pub(crate) fn from_scalar(scalar: Scalar) -> Self {
        Self(scalar)
    }

    pub(crate) fn scalar(&self) -> Scalar {
        self.0
    }

    /// A hash commitment: it hides because the scalar has 252 bits of entropy.
    pub(crate) fn commitment(&self, params: &Params, owner: ClientId) -> [u8; 32] {
        digest(COMMITMENT_DOMAIN, &[params.hash(), &owner.0.to_le_bytes(), self.0.as_bytes()])
    }

    pub(crate) fn seed(&self, params: &Params, owner: ClientId) -> MaskSeed {
        MaskSeed::derive(self.0.as_bytes(), &[SELF_MASK, params.hash(), &owner.0.to_le_bytes()])
    }
}

/// The Diffie–Hellman secret of two clients, from which their common mask comes.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct PairSecret([u8; 32]);

impl PairSecret {
    /// `None` if the other key is of low order.
    pub(crate) fn agree(own: &StaticSecret, other: &[u8; 32]) -> Option<Self> {
        let shared = own.diffie_hellman(&PublicKey::from(*other));
        shared.was_contributory().then(|| Self(shared.to_bytes()))
    }

    /// The seed of the common mask. H(P) covers the rest of the context; round and model are named again because
    /// everything hangs on clients of different models not cancelling.
    pub(crate) fn seed(&self, params: &Params, one: ClientId, other: ClientId) -> MaskSeed {
        let (low, high) = (one.min(other), one.max(other));
        MaskSeed::derive(
            &self.0,
            &[
                PAIR_MASK,
                params.hash(),
                &params.round().0.to_le_bytes(),
                params.model_hash(),
                &low.0.to_le_bytes(),
                &high.0.to_le_bytes(),
            ],
        )
    }
}

/// Whether an X25519 key is of low order: every secret agrees on zero with it.
pub(crate) fn is_low_order(key: &[u8; 32]) -> bool {
    // Any scalar will do: clamping makes it a multiple of the cofactor.
    PairSecret::agree(&StaticSecret::from([1; 32]), key).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).unwrap();
        bytes
    }

    /// RFC 7748, §6.1: Bob's key pair and the secret he shares with Alice.
    #[test]
    fn pair_secrets_are_those_of_rfc_7748() {
        let bob = StaticSecret::from(bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
        assert_eq!(
            PublicKey::from(&bob).to_bytes(),
            bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        );
        let alice = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(
            PairSecret::agree(&bob, &alice).unwrap().0,
            bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
        );
    }

    /// The encodings below 2²⁵⁵ of all u-coordinates of order 1, 2, 4 and 8 on the curve and its twist.
    #[test]
    fn every_point_of_low_order_is_recognised() {
        for key in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let mut key = bytes(key);
            assert!(is_low_order(&key));
            key[31] |= 0x80;
            assert!(is_low_order(&key), "the unused top bit makes no difference");
        }
        assert!(!is_low_order(&bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")));
    }
}
