//! One way of hashing and of deriving keys for the whole crate, with domain separation.

use hkdf::Hkdf;
use sha2::{Digest, Sha256};

/// SHA-256 over the domain and the parts, each preceded by its length.
pub(crate) fn digest(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// HKDF-SHA256 (RFC 5869): the domain is the salt, `context` in its order is the info.
///
/// The parts of `context` have fixed lengths wherever this is called, so their concatenation is unambiguous.
pub(crate) fn derive_key(domain: &str, secret: &[u8], context: &[&[u8]], key: &mut [u8; 32]) {
    Hkdf::<Sha256>::new(Some(domain.as_bytes()), secret)
        .expand_multi_info(context, key)
        .expect("32 bytes are within the limit of HKDF");
}
