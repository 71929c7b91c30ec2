use ::tfhe::core_crypto::commons::noise_formulas::centered_mean_shifted_modulus_switch::centered_binary_shifted_modulus_switch_additive_variance;
use ::tfhe::core_crypto::commons::noise_formulas::lwe_keyswitch::keyswitch_additive_variance_132_bits_security_gaussian;
use ::tfhe::core_crypto::commons::noise_formulas::lwe_programmable_bootstrap::pbs_variance_132_bits_security_gaussian_fft_mul;
use ::tfhe::core_crypto::prelude::{DecompositionBaseLog, DecompositionLevelCount, LweDimension};
use ::tfhe::shortint::parameters::ClassicPBSParameters;
use ::tfhe::shortint::parameters::v1_8::V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128 as PUBLISHED;

/// Dimensions, noise and gadgets of keys and ciphertexts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    name: &'static str,
    id: u8,
    set: ClassicPBSParameters,
}

impl Parameters {
    /// `tfhe`'s `V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128`: LWE dimension 866, polynomials of 2048
    /// coefficients, tables of 4 bits, failure probability 2^−128.6 of a bootstrapping after its sums.
    pub const MESSAGE_2_CARRY_2: Self = Self { name: "message-2-carry-2", id: 1, set: PUBLISHED };

    /// The same keys and noise with bootstrapping keys of two levels of base 2^15 instead of one of base 2^23: results have
    /// a hundredth of the noise, so that sums of them have some 10 bits, at twice the time and twice the bootstrapping key.
    ///
    /// Dimensions and noise, and with them the hardness of LWE, are those of [`Self::MESSAGE_2_CARRY_2`]; the gadget bears on correctness alone.
    pub const MESSAGE_2_CARRY_2_FINE: Self = Self {
        name: "message-2-carry-2-fine",
        id: 2,
        set: ClassicPBSParameters {
            pbs_base_log: DecompositionBaseLog(15),
            pbs_level: DecompositionLevelCount(2),
            ..PUBLISHED
        },
    };

    /// The logarithm of the greatest probability with which any one bootstrapping or decryption may be wrong.
    pub const LOG2_FAILURE: i32 = -128;

    /// What the set is called.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The dimension of the LWE key between key switch and bootstrapping.
    pub const fn lwe_dimension(&self) -> usize {
        self.set.lwe_dimension.0
    }

    /// The number of coefficients of a polynomial, and the LWE dimension of a ciphertext.
    pub const fn polynomial_size(&self) -> usize {
        self.set.polynomial_size.0
    }

    pub(super) const fn id(&self) -> u8 {
        self.id
    }

    pub(super) const fn set(&self) -> &ClassicPBSParameters {
        &self.set
    }

    pub(super) fn with_id(id: u8) -> Option<Self> {
        [Self::MESSAGE_2_CARRY_2, Self::MESSAGE_2_CARRY_2_FINE].into_iter().find(|set| set.id == id)
    }

    /// The variance of a fresh ciphertext's noise on the torus.
    pub(super) fn fresh_variance(&self) -> f64 {
        self.set.glwe_noise_distribution.gaussian_std_dev().0.powi(2)
    }

    /// The variance of the noise after a bootstrapping.
    pub(super) fn bootstrapped_variance(&self) -> f64 {
        // The transform is of doubles.
        let mantissa = 53.0;
        let set = &self.set;
        pbs_variance_132_bits_security_gaussian_fft_mul(
            set.lwe_dimension,
            set.glwe_dimension,
            set.polynomial_size,
            set.pbs_base_log,
            set.pbs_level,
            mantissa,
            MODULUS,
        )
        .0
    }

    /// The variance that key switch and modulus switch add before a bootstrapping reads its input.
    pub(super) fn switching_variance(&self) -> f64 {
        let set = &self.set;
        let dimension = LweDimension(set.glwe_dimension.0 * set.polynomial_size.0);
        let key_switch = keyswitch_additive_variance_132_bits_security_gaussian(
            dimension,
            set.lwe_dimension,
            set.ks_base_log,
            set.ks_level,
            MODULUS,
            MODULUS,
        );
        let places = 2.0 * set.polynomial_size.0 as f64;
        let modulus_switch =
            centered_binary_shifted_modulus_switch_additive_variance(set.lwe_dimension, MODULUS, places);
        key_switch.0 + modulus_switch.0
    }
}

/// The modulus of ciphertexts, 2^64.
const MODULUS: f64 = 18_446_744_073_709_551_616.0;
