//! Secret sharing and secure aggregation of integer vectors.
//!
//! A server and some clients compute the sum of the clients' vectors, and the server learns that sum alone, even if
//! it does not follow the protocol:
//!
//! ```
//! use std::sync::Arc;
//!
//! use nexus_mpc::journal::MemoryJournal;
//! use nexus_mpc::secagg::{Client, Params, ParamsBuilder, Server};
//! use nexus_mpc::session::{ClientId, Identity, Round, SessionId};
//! use rand_chacha::ChaCha20Rng;
//! use rand_core::SeedableRng;
//!
//! # fn main() -> Result<(), nexus_mpc::MpcError> {
//! // A program takes its randomness from the operating system, each party its own.
//! let mut rng = ChaCha20Rng::from_seed([1; 32]);
//!
//! // Registered once: long-term keys. Agreed for each round: the parameters.
//! let server_key = Arc::new(Identity::generate(&mut rng));
//! let keys: Vec<_> = (0..4).map(|_| Arc::new(Identity::generate(&mut rng))).collect();
//! let params = Arc::new(
//!     ParamsBuilder {
//!         session: SessionId([7; 32]),
//!         round: Round(0),
//!         clients: keys.iter().zip(0..).map(|(key, id)| (ClientId(id), key.verifying_key())).collect(),
//!         server: server_key.verifying_key(),
//!         threshold: Params::least_threshold(4),
//!         modulus_bits: 16,
//!         length: 3,
//!         model_hash: [0; 32],
//!         config_hash: [0; 32],
//!         min_survivors: 3,
//!         max_corrupt: 1,
//!     }
//!     .build()?,
//! );
//! let inputs = [[1, 2, -3], [10, 20, -30], [100, 200, -300], [5, 5, 5]];
//! // In earnest a `DurableJournal`, one for each client.
//! let journal = MemoryJournal::new();
//!
//! // 1. Everyone advertises keys.
//! let mut server = Server::new(params.clone(), server_key)?;
//! let mut clients = Vec::new();
//! for (key, id) in keys.iter().zip(0..) {
//!     let (client, message) = Client::advertise(params.clone(), ClientId(id), key.clone(), &mut rng)?;
//!     server.receive(&message)?;
//!     clients.push(client);
//! }
//! let (mut server, roster) = server.close()?;
//!
//! // 2. Everyone shares the secrets that its masks come from.
//! let mut sharing = Vec::new();
//! for client in clients {
//!     let (client, message) = client.share(&roster, &mut rng)?;
//!     server.receive(&message)?;
//!     sharing.push(client);
//! }
//! let (mut server, inboxes) = server.close()?;
//!
//! // 3. Everyone sends its masked vector, but the last client drops out.
//! let mut masking = Vec::new();
//! for ((client, (_, inbox)), input) in sharing.into_iter().zip(&inboxes).zip(&inputs).take(3) {
//!     let (client, message) = client.mask(inbox, input, &journal)?;
//!     server.receive(&message)?;
//!     masking.push(client);
//! }
//! let (mut server, claim) = server.close()?;
//!
//! // 4. The others sign the set of survivors,
//! let mut signing = Vec::new();
//! for client in masking {
//!     let (client, message) = client.sign(&claim, &journal)?;
//!     server.receive(&message)?;
//!     signing.push(client);
//! }
//! let (mut server, quorum) = server.close()?;
//!
//! // 5. and release what opens the sum over that set.
//! for client in signing {
//!     server.receive(&client.release(&quorum, &journal)?)?;
//! }
//! let sum = server.close()?;
//! assert_eq!(sum.values, [111, 222, -333]);
//! assert_eq!(sum.dropped, [ClientId(3)]);
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | what it holds |
//! |---|---|
//! | [`secagg`] | sums by pairwise masks: parameters, client and server in their states |
//! | `threshold_bfv` | sums under homomorphic encryption, opened by a threshold of the clients (feature `threshold-bfv`) |
//! | [`session`] | identities, and the signed envelope of every message |
//! | [`journal`] | what a client stores durably before a message leaves |
//! | [`mask`] | expansion of seeds into long masks, packing of b-bit entries |
//! | [`share`] | Shamir sharing over the Ristretto scalars and over Goldilocks |
//!
//! # Not provided
//!
//! - Sparse mask graphs: every pair of clients shares a mask, up to [`secagg::MAX_CLIENTS`] clients.
//! - Verifiable sharing: a client that deals or releases wrong shares makes the round abort, and who did it is
//!   narrowed down but not proven. Threshold keys, one-shot aggregation and aggregation by two servers.
//! - Stored client states: a process that starts again sits out the round; see [`journal`].
//! - Proofs about inputs, and noise for differential privacy: this crate adds up whatever integers it is given.
//! - Post-quantum security.
//!
//! # Security
//! The threat model is in [`secagg`]. Secrets are erased on drop, are not printed, and the code that handles them avoids
//! branches and indices that depend on them: best effort, not checked on the machine code. The code has not been
//! audited.
//!
//! # Features
//! `parallel` (on by default) spreads masks over threads with rayon; the bytes are the same without it.
//! `threshold-bfv` adds the module of that name, on the crate `nexus-fhe`.

mod digest;
mod error;
pub mod journal;
pub mod mask;
pub mod secagg;
pub mod session;
pub mod share;
#[cfg(feature = "threshold-bfv")]
pub mod threshold_bfv;
mod wire;

pub use error::MpcError;
