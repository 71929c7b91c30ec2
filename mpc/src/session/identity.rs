use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub(crate) const SIGNATURE_LENGTH: usize = 64;

const DOMAIN: &[u8] = b"cipher-nexus/mpc/signature/v1";

/// The long-term Ed25519 signing key of a party (RFC 8032).
///
/// # Security
/// The key is zeroed on drop; copies that the compiler makes on the stack are not reached (best effort).
#[derive(ZeroizeOnDrop)]
pub struct Identity {
    key: SigningKey,
}

impl Identity {
    /// A fresh identity.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self { key: SigningKey::from_bytes(&seed) }
    }

    /// The identity of a stored seed: the 32-byte secret key of RFC 8032, §5.1.5.
    ///
    /// The argument is zeroed; whatever the caller copied it from is not.
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        Self { key }
    }

    /// The public half, to be registered with the other parties.
    pub fn verifying_key(&self) -> PublicIdentity {
        PublicIdentity(self.key.verifying_key().to_bytes())
    }

    /// Signs `message` in `context`, a constant that names the protocol and the role of the message.
    ///
    /// What is signed is a prefix of this crate, the context and the message, each with its length, so that a
    /// signature in one context is none in another.
    pub fn sign(&self, context: &str, message: &[u8]) -> [u8; 64] {
        self.key.sign(&framed(context, message)).to_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("public", &self.verifying_key())
            .field("key", &format_args!("Secret(..)"))
            .finish()
    }
}

/// The public half of an [`Identity`]: 32 bytes that should encode an Ed25519 point.
///
/// Whether they do is checked where keys are registered ([`crate::secagg::ParamsBuilder::build`]) and again by
/// every verification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicIdentity(pub [u8; 32]);

impl PublicIdentity {
    /// Whether `signature` is one by this key over `message` in `context`.
    ///
    /// The check is strict (`verify_strict`): keys and commitments of small order are refused, so that one
    /// signature fits one key and one message. All inputs are public; variable time.
    pub fn verify(&self, context: &str, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(&framed(context, message), &Signature::from_bytes(signature)).is_ok())
    }

    /// Whether the bytes are the encoding of a point that is not of small order.
    pub fn is_usable(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicIdentity(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

fn framed(context: &str, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DOMAIN.len() + 12 + context.len() + message.len());
    bytes.extend_from_slice(DOMAIN);
    bytes.extend_from_slice(&(context.len() as u32).to_le_bytes());
    bytes.extend_from_slice(context.as_bytes());
    bytes.extend_from_slice(&(message.len() as u64).to_le_bytes());
    bytes.extend_from_slice(message);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, §7.1, tests 2 and 3: the public keys of two secret keys.
    #[test]
    fn public_keys_are_those_of_rfc_8032() {
        for (seed, public) in [
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            ),
        ] {
            let mut bytes = [0; 32];
            hex::decode_to_slice(seed, &mut bytes).unwrap();
            let identity = Identity::from_seed(bytes);
            assert_eq!(hex::encode(identity.verifying_key().0), public);
        }
    }

    #[test]
    fn a_signature_is_bound_to_its_context_message_and_key() {
        let identity = Identity::from_seed([1; 32]);
        let key = identity.verifying_key();
        let signature = identity.sign("context", b"message");
        assert!(key.verify("context", b"message", &signature));
        assert!(!key.verify("contextm", b"essage", &signature));
        assert!(!key.verify("context", b"messagf", &signature));
        let other = Identity::from_seed([2; 32]).verifying_key();
        assert!(!other.verify("context", b"message", &signature));
        for byte in 0..64 {
            let mut wrong = signature;
            wrong[byte] ^= 1;
            assert!(!key.verify("context", b"message", &wrong));
        }
    }

    #[test]
    fn keys_of_small_order_are_not_usable() {
        let mut identity_element = [0; 32];
        identity_element[0] = 1;
        assert!(!PublicIdentity(identity_element).is_usable());
        assert!(!PublicIdentity([0; 32]).is_usable());
        assert!(Identity::from_seed([1; 32]).verifying_key().is_usable());
    }

    #[test]
    fn debug_output_hides_the_key() {
        let shown = format!("{:?}", Identity::from_seed([0xab; 32]));
        assert!(shown.contains("Secret(..)") && !shown.contains("abab"));
    }
}
