use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

const INFO: &[u8] = b"cipher-nexus/mpc/sealed-share/v1";
const ENCAPPED_LENGTH: usize = 32;
const TAG_LENGTH: usize = 16;

/// Bytes of a sealed message beside its plaintext: the encapsulated key and the tag.
pub(crate) const SEALED_OVERHEAD: usize = ENCAPPED_LENGTH + TAG_LENGTH;

/// Why a message could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SealError {
    /// The recipient's public key is of low order.
    LowOrderKey,
    /// The bytes were not sealed to this key with this associated data.
    Rejected,
}

/// The X25519 key of one round to which peers seal shares: HPKE base mode (RFC 9180) with
/// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, one message a context.
pub(crate) struct ChannelKey {
    secret: StaticSecret,
}

impl ChannelKey {
    pub(crate) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self { secret: StaticSecret::from(*seed) }
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&self.secret).to_bytes()
    }

    /// Seals `plaintext` to `recipient`: encapsulated key, then ciphertext with its tag.
    pub(crate) fn seal<R: CryptoRng + ?Sized>(
        recipient: &[u8; 32],
        associated: &[u8],
        plaintext: &[u8],
        rng: &mut R,
    ) -> Result<Vec<u8>, SealError> {
        let recipient = PublicKey::from_bytes(recipient).expect("32 bytes are an X25519 key");
        let (encapped, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &recipient,
            INFO,
            plaintext,
            associated,
            &mut &mut *rng,
        )
        .map_err(|_| SealError::LowOrderKey)?;
        let mut sealed = Vec::with_capacity(SEALED_OVERHEAD + plaintext.len());
        sealed.extend_from_slice(&encapped.to_bytes());
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (encapped, ciphertext) = sealed.split_at_checked(ENCAPPED_LENGTH).ok_or(SealError::Rejected)?;
        let encapped = EncappedKey::from_bytes(encapped).map_err(|_| SealError::Rejected)?;
        let secret = PrivateKey::from_bytes(self.secret.as_bytes()).expect("32 bytes are an X25519 key");
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret,
            &encapped,
            INFO,
            ciphertext,
            associated,
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError::Rejected)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_data() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (key, other) = (ChannelKey::generate(&mut rng), ChannelKey::generate(&mut rng));
        let sealed = ChannelKey::seal(&key.public(), b"data", b"share", &mut rng).unwrap();
        assert_eq!(sealed.len(), SEALED_OVERHEAD + 5);
        assert_eq!(&key.open(b"data", &sealed).unwrap()[..], b"share");
        assert_eq!(key.open(b"dat", &sealed), Err(SealError::Rejected));
        assert_eq!(other.open(b"data", &sealed), Err(SealError::Rejected));
        for byte in 0..sealed.len() {
            let mut wrong = sealed.clone();
            wrong[byte] ^= 1;
            assert_eq!(key.open(b"data", &wrong), Err(SealError::Rejected));
        }
        assert_eq!(key.open(b"data", &sealed[..20]), Err(SealError::Rejected));
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        assert_eq!(ChannelKey::seal(&[0; 32], b"", b"share", &mut rng), Err(SealError::LowOrderKey));
    }
}
