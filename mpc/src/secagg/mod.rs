//! Secure aggregation with pairwise masks against a malicious server, on the full graph.
//!
//! One server and n registered clients compute the sum of the clients' integer vectors mod 2ᵇ; the server learns the
//! sum over the survivors and no other function of the inputs. The protocol is the one of Bonawitz et
//! al. (CCS 2017, §6, with the consistency round) with the hardening of Bell et al. (CCS 2020); every pair of clients
//! shares a mask.
//!
//! | step | client sends | server sends |
//! |---|---|---|
//! | 1 advertise | channel key, mask key, commitment to its self-mask seed | roster: all signed advertisements |
//! | 2 share | both secrets, shared t-of-n, sealed to each peer | to each client what was sealed to it (so U₁) |
//! | 3 mask | y = x + PRG(bᵢ) + Σⱼ ± PRG(kᵢⱼ) mod 2ᵇ, j ∈ U₁ | claim: the survivors U₂ ⊆ U₁ |
//! | 4 sign | its signature over that one claim | quorum: the signatures |
//! | 5 release | for each j ∈ U₁ its share of bⱼ if j ∈ U₂, else of the mask key of j | (the sum) |
//!
//! A client that drops before step 3 is left out, and one that drops after it is counted. A client in U₁ but not in U₂
//! has no part in steps 4 and 5, even if it is still there: a late vector is discarded with a typed error, and since its
//! self-mask is never opened the server could not read it. If at any step too few clients are left, the round
//! ends with a typed error and an honest server has learned nothing; another attempt is another round, with fresh keys.
//!
//! Entries wrap: the caller sees to it that n · max|x| < 2^(b−1), or the sum is right only mod 2ᵇ.
//!
//! # Security
//! Up to `max_corrupt` clients may collude with the server. Then, whatever the server sends, the inputs of honest
//! clients stay hidden but for the sum over one survivor set with at least `min_survivors` members, of
//! which at least two are honest: [`ParamsBuilder::build`] refuses parameters for which the counting argument fails.
//! It needs that clients agree on P out of band (or by its hash) and that each keeps a durable
//! [`Journal`](crate::journal::Journal).
//!
//! A client that has released cannot know whether the sum was opened, whatever the server says of the round. One that
//! then puts the same input into another round lets the server compare the sums over two survivor sets: retry with
//! fresh noise, and account for both rounds.
//!
//! Not guaranteed: that an input is honest or small; that a round ends (one client that seals bad shares or releases a
//! wrong one makes it abort, and only in the first case is it named for certain); that the sum is right if the server
//! lies about it. Security is computational and classical: nothing here withstands a quantum adversary.

mod client;
pub(crate) mod inbound;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod messages;
mod opening;
mod params;
pub(crate) mod seat;
mod server;
#[cfg(test)]
mod tests;

use crate::MpcError;
use crate::session::ClientId;

pub use client::{Advertised, Client, Masked, Shared, Signed};
pub use params::{MAX_CLIENTS, MAX_LENGTH, Params, ParamsBuilder};
pub use server::{Advertising, Masking, Releasing, Server, Sharing, Signing, Sum};

/// Messages for single clients, by their recipients in ascending order.
pub type Inboxes = Vec<(ClientId, Vec<u8>)>;

/// What the server is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Step 1: keys.
    Advertising,
    /// Step 2: sealed shares.
    Sharing,
    /// Step 3: masked vectors.
    Masking,
    /// Step 4: consent to the survivor set.
    Signing,
    /// Step 5: released shares.
    Releasing,
}

pub(crate) fn check_enough(phase: Phase, got: usize, needed: usize) -> Result<(), MpcError> {
    if got < needed {
        return Err(MpcError::TooFewClients { phase, got, needed });
    }
    Ok(())
}
