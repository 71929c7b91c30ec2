//! `tfhe` beside concrete-core 1.0.2, for what both do: encrypt an LWE ciphertext, switch its key, bootstrap it.
//!
//! concrete-core is `tfhe`'s ancestor and was deprecated by its authors in its favour in 2023. It stands here so that
//! figures of papers from before can be set beside today's on one machine, and nowhere else in the workspace. Both have
//! the dimensions, noise and gadgets of `tfhe`'s `V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128`, one thread, and a
//! modulus switch without `tfhe`'s later correction of the mean, which concrete-core has not.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tfhe::shortint::parameters::ClassicPBSParameters;
use tfhe::shortint::parameters::v1_8::V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128 as SET;

/// 4 bits and the padding bit.
const WIDTH: u32 = 5;
const MESSAGE: u64 = 7;
const PLAINTEXT: u64 = MESSAGE << (64 - WIDTH);

fn entry(message: u64) -> u64 {
    (15 - message) << (64 - WIDTH)
}

/// The table of `entry`: every entry over its share of the coefficients, the first around zero.
fn table(set: &ClassicPBSParameters) -> Vec<u64> {
    let size = set.polynomial_size.0;
    let places = size >> (WIDTH - 1);
    let mut table: Vec<u64> = (0..size).map(|at| entry((at / places) as u64)).collect();
    table[..places / 2].iter_mut().for_each(|value| *value = value.wrapping_neg());
    table.rotate_left(places / 2);
    table
}

fn decoded(phase: u64) -> u64 {
    phase.wrapping_add(1 << (63 - WIDTH)) >> (64 - WIDTH)
}

mod current {
    use tfhe::core_crypto::commons::generators::DeterministicSeeder;
    use tfhe::core_crypto::commons::math::random::{DefaultRandomGenerator, Seed};
    use tfhe::core_crypto::prelude::{
        CiphertextModulus, EncryptionRandomGenerator, FourierLweBootstrapKeyOwned, GlweCiphertextOwned,
        GlweSecretKeyOwned, LweCiphertextOwned, LweKeyswitchKeyOwned, LweSecretKeyOwned, Plaintext, PlaintextList,
        SecretRandomGenerator, allocate_and_generate_new_lwe_keyswitch_key,
        allocate_and_trivially_encrypt_new_glwe_ciphertext, convert_standard_lwe_bootstrap_key_to_fourier,
        decrypt_lwe_ciphertext, encrypt_lwe_ciphertext, keyswitch_lwe_ciphertext,
        par_allocate_and_generate_new_lwe_bootstrap_key, programmable_bootstrap_lwe_ciphertext,
    };

    use super::{PLAINTEXT, SET, table};

    pub(super) struct Library {
        generator: EncryptionRandomGenerator<DefaultRandomGenerator>,
        large: LweSecretKeyOwned<u64>,
        key_switch: LweKeyswitchKeyOwned<u64>,
        bootstrap: FourierLweBootstrapKeyOwned,
        table: GlweCiphertextOwned<u64>,
        pub(super) input: LweCiphertextOwned<u64>,
        pub(super) switched: LweCiphertextOwned<u64>,
        output: LweCiphertextOwned<u64>,
    }

    impl Library {
        pub(super) fn new() -> Self {
            let mut secrets = SecretRandomGenerator::<DefaultRandomGenerator>::new(Seed(1));
            let mut seeder = DeterministicSeeder::<DefaultRandomGenerator>::new(Seed(2));
            let mut generator = EncryptionRandomGenerator::new(Seed(3), &mut seeder);
            let modulus = CiphertextModulus::new_native();
            let small = LweSecretKeyOwned::generate_new_binary(SET.lwe_dimension, &mut secrets);
            let glwe = GlweSecretKeyOwned::generate_new_binary(SET.glwe_dimension, SET.polynomial_size, &mut secrets);
            let standard = par_allocate_and_generate_new_lwe_bootstrap_key(
                &small,
                &glwe,
                SET.pbs_base_log,
                SET.pbs_level,
                SET.glwe_noise_distribution,
                modulus,
                &mut generator,
            );
            let size = SET.glwe_dimension.to_glwe_size();
            let mut bootstrap = FourierLweBootstrapKeyOwned::new(
                SET.lwe_dimension,
                size,
                SET.polynomial_size,
                SET.pbs_base_log,
                SET.pbs_level,
            );
            convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut bootstrap);
            let large = glwe.into_lwe_secret_key();
            let key_switch = allocate_and_generate_new_lwe_keyswitch_key(
                &large,
                &small,
                SET.ks_base_log,
                SET.ks_level,
                SET.lwe_noise_distribution,
                modulus,
                &mut generator,
            );
            let table = PlaintextList::from_container(table(&SET));
            let table = allocate_and_trivially_encrypt_new_glwe_ciphertext(size, &table, modulus);
            let input = LweCiphertextOwned::new(0, large.lwe_dimension().to_lwe_size(), modulus);
            let switched = LweCiphertextOwned::new(0, small.lwe_dimension().to_lwe_size(), modulus);
            let output = input.clone();
            Self { generator, large, key_switch, bootstrap, table, input, switched, output }
        }

        pub(super) fn encrypt(&mut self) {
            let noise = SET.glwe_noise_distribution;
            encrypt_lwe_ciphertext(&self.large, &mut self.input, Plaintext(PLAINTEXT), noise, &mut self.generator);
        }

        pub(super) fn switch_key(&mut self) {
            keyswitch_lwe_ciphertext(&self.key_switch, &self.input, &mut self.switched);
        }

        pub(super) fn bootstrap(&mut self) {
            programmable_bootstrap_lwe_ciphertext(&self.switched, &mut self.output, &self.table, &self.bootstrap);
        }

        pub(super) fn result(&self) -> u64 {
            decrypt_lwe_ciphertext(&self.large, &self.output).0
        }
    }
}

mod deprecated {
    use concrete_core::prelude::{
        AbstractEngine, DecompositionBaseLog, DecompositionLevelCount, DefaultEngine, FftEngine,
        FftFourierLweBootstrapKey64, GlweCiphertext64, GlweCiphertextTrivialEncryptionEngine, GlweDimension,
        GlweSecretKey64, GlweSecretKeyGenerationEngine, GlweToLweSecretKeyTransformationEngine, LweBootstrapKey64,
        LweBootstrapKeyConversionEngine, LweBootstrapKeyGenerationEngine, LweCiphertext64,
        LweCiphertextDecryptionEngine, LweCiphertextDiscardingBootstrapEngine, LweCiphertextDiscardingEncryptionEngine,
        LweCiphertextDiscardingKeyswitchEngine, LweCiphertextZeroEncryptionEngine, LweDimension, LweKeyswitchKey64,
        LweKeyswitchKeyGenerationEngine, LweSecretKey64, LweSecretKeyGenerationEngine, Plaintext64,
        PlaintextCreationEngine, PlaintextRetrievalEngine, PlaintextVectorCreationEngine, PolynomialSize, UnixSeeder,
        Variance,
    };

    use super::{PLAINTEXT, SET, table};

    pub(super) struct Library {
        engine: DefaultEngine,
        transform: FftEngine,
        noise: Variance,
        large: LweSecretKey64,
        key_switch: LweKeyswitchKey64,
        bootstrap: FftFourierLweBootstrapKey64,
        table: GlweCiphertext64,
        plaintext: Plaintext64,
        input: LweCiphertext64,
        switched: LweCiphertext64,
        output: LweCiphertext64,
    }

    impl Library {
        pub(super) fn new() -> Self {
            let mut engine = DefaultEngine::new(Box::new(UnixSeeder::new(1))).expect("an engine");
            let mut transform = FftEngine::new(()).expect("an engine");
            let small_noise = Variance(SET.lwe_noise_distribution.gaussian_std_dev().0.powi(2));
            let noise = Variance(SET.glwe_noise_distribution.gaussian_std_dev().0.powi(2));
            let glwe_dimension = GlweDimension(SET.glwe_dimension.0);
            let small: LweSecretKey64 =
                engine.generate_new_lwe_secret_key(LweDimension(SET.lwe_dimension.0)).expect("a key");
            let glwe: GlweSecretKey64 = engine
                .generate_new_glwe_secret_key(glwe_dimension, PolynomialSize(SET.polynomial_size.0))
                .expect("a key");
            let standard: LweBootstrapKey64 = engine
                .generate_new_lwe_bootstrap_key(
                    &small,
                    &glwe,
                    DecompositionBaseLog(SET.pbs_base_log.0),
                    DecompositionLevelCount(SET.pbs_level.0),
                    noise,
                )
                .expect("a key");
            let bootstrap = transform.convert_lwe_bootstrap_key(&standard).expect("a key");
            let large: LweSecretKey64 = engine.transform_glwe_secret_key_to_lwe_secret_key(glwe).expect("a key");
            let key_switch = engine
                .generate_new_lwe_keyswitch_key(
                    &large,
                    &small,
                    DecompositionLevelCount(SET.ks_level.0),
                    DecompositionBaseLog(SET.ks_base_log.0),
                    small_noise,
                )
                .expect("a key");
            let table = engine.create_plaintext_vector_from(&table(&SET)).expect("a table");
            let table =
                engine.trivially_encrypt_glwe_ciphertext(glwe_dimension.to_glwe_size(), &table).expect("a table");
            let plaintext = engine.create_plaintext_from(&PLAINTEXT).expect("a plaintext");
            let input = engine.zero_encrypt_lwe_ciphertext(&large, noise).expect("a ciphertext");
            let switched = engine.zero_encrypt_lwe_ciphertext(&small, small_noise).expect("a ciphertext");
            let output = engine.zero_encrypt_lwe_ciphertext(&large, noise).expect("a ciphertext");
            Self { engine, transform, noise, large, key_switch, bootstrap, table, plaintext, input, switched, output }
        }

        pub(super) fn encrypt(&mut self) {
            self.engine
                .discard_encrypt_lwe_ciphertext(&self.large, &mut self.input, &self.plaintext, self.noise)
                .expect("the dimensions fit");
        }

        pub(super) fn switch_key(&mut self) {
            self.engine
                .discard_keyswitch_lwe_ciphertext(&mut self.switched, &self.input, &self.key_switch)
                .expect("the dimensions fit");
        }

        pub(super) fn bootstrap(&mut self) {
            self.transform
                .discard_bootstrap_lwe_ciphertext(&mut self.output, &self.switched, &self.table, &self.bootstrap)
                .expect("the dimensions fit");
        }

        pub(super) fn result(&mut self) -> u64 {
            let plaintext = self.engine.decrypt_lwe_ciphertext(&self.large, &self.output).expect("the dimensions fit");
            self.engine.retrieve_plaintext(&plaintext).expect("a plaintext")
        }
    }
}

fn operations(c: &mut Criterion) {
    let mut current = current::Library::new();
    let mut deprecated = deprecated::Library::new();
    // What is timed is right.
    for phase in [
        {
            current.encrypt();
            current.switch_key();
            current.bootstrap();
            current.result()
        },
        {
            deprecated.encrypt();
            deprecated.switch_key();
            deprecated.bootstrap();
            deprecated.result()
        },
    ] {
        assert_eq!(decoded(phase), decoded(entry(MESSAGE)));
    }
    let mut group = c.benchmark_group("tfhe/encrypt");
    group.bench_function("tfhe", |b| b.iter(|| current.encrypt()));
    group.bench_function("concrete-core", |b| b.iter(|| deprecated.encrypt()));
    group.finish();
    let mut group = c.benchmark_group("tfhe/keyswitch");
    group.bench_function("tfhe", |b| b.iter(|| black_box(&mut current).switch_key()));
    group.bench_function("concrete-core", |b| b.iter(|| black_box(&mut deprecated).switch_key()));
    group.finish();
    let mut group = c.benchmark_group("tfhe/bootstrap");
    group.sample_size(20);
    group.bench_function("tfhe", |b| b.iter(|| black_box(&mut current).bootstrap()));
    group.bench_function("concrete-core", |b| b.iter(|| black_box(&mut deprecated).bootstrap()));
    group.finish();
}

criterion_group!(benches, operations);
criterion_main!(benches);
