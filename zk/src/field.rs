use p3_field::extension::CubicTrinomialExtensionField;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField64};
use p3_goldilocks::Goldilocks;

/// The field of witnesses, of order `p = 2⁶⁴ − 2³² + 1`.
pub type Base = Goldilocks;

/// The field of challenges, `Base[X] / (X³ − X − 1)`, of order `p³ ≈ 2¹⁹²`.
pub type Ext = CubicTrinomialExtensionField<Goldilocks>;

/// How many base coefficients an extension element has.
pub const EXTENSION_DEGREE: usize = 3;

/// The element of a signed integer, negative ones as `p − |value|`.
pub fn from_signed(value: i64) -> Base {
    if value < 0 { -Base::from_u64(value.unsigned_abs()) } else { Base::from_u64(value as u64) }
}

/// The 24 bytes of an extension element: three canonical little-endian words, constant coefficient first.
pub fn ext_to_bytes(value: Ext) -> [u8; 24] {
    let mut bytes = [0; 24];
    let coefficients: &[Base] = value.as_basis_coefficients_slice();
    for (chunk, coefficient) in bytes.chunks_exact_mut(8).zip(coefficients) {
        chunk.copy_from_slice(&coefficient.as_canonical_u64().to_le_bytes());
    }
    bytes
}

/// The extension element of 24 bytes; none if a coefficient is not below `p`.
pub fn ext_from_bytes(bytes: &[u8; 24]) -> Option<Ext> {
    let mut coefficients = [Base::ZERO; EXTENSION_DEGREE];
    for (coefficient, chunk) in coefficients.iter_mut().zip(bytes.chunks_exact(8)) {
        let word = u64::from_le_bytes(chunk.try_into().expect("a chunk has eight bytes"));
        if word >= Base::ORDER_U64 {
            return None;
        }
        *coefficient = Base::from_u64(word);
    }
    Ext::from_basis_coefficients_slice(&coefficients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_element_survives_its_bytes_and_only_its_own() {
        let value = Ext::from_basis_coefficients_fn(|i| from_signed(-(i as i64) - 5));
        assert_eq!(ext_from_bytes(&ext_to_bytes(value)), Some(value));
        let mut bytes = ext_to_bytes(value);
        bytes[8..16].copy_from_slice(&Base::ORDER_U64.to_le_bytes());
        assert_eq!(ext_from_bytes(&bytes), None, "p itself is not canonical");
    }
}
