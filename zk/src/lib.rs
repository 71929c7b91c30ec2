//! Proof systems behind one face.
//!
//! Nothing is built yet: this page says what is to stand here. What will be proven is already defined, in integers, by
//! the crate `nexus-circuits`.
//!
//! | module | what it will hold |
//! |---|---|
//! | `transcript` | domain-separated Fiat–Shamir over (protocol, session, statement) |
//! | `pcs` | polynomial commitments: hiding WHIR over Goldilocks, Hyrax over Ristretto |
//! | `sumcheck`, `matmul`, `logup` | masked sumcheck, Thaler's matrix products, LogUp-GKR look-ups |
//! | `builder` | one relation, stated once for every back end |
//! | `groth16`, `halo2`, `plonky2`, `stark`, `range` | the back ends, each behind a feature |
