use std::sync::Arc;

use nexus_fhe::ring::Seed;

use super::layout::Layout;
use super::messages::Advertise;
use crate::MpcError;
use crate::digest::digest;
use crate::secagg;
use crate::secagg::messages::{Advertisement, sealed_entry};
use crate::session::ENVELOPE_OVERHEAD;

const DOMAIN: &str = "cipher-nexus/mpc/threshold-bfv/params/v1";
const COMMON_DOMAIN: &str = "cipher-nexus/mpc/threshold-bfv/common/v1";

/// P, the parameters of a round: those that `secagg` has too, and a layout.
///
/// Their hash is of this protocol alone: no message of the other is taken for one of it.
#[derive(Clone, Debug)]
pub struct Params {
    common: Arc<secagg::Params>,
    layout: Layout,
}

impl Params {
    /// Parameters with the layout for them.
    ///
    /// # Errors
    /// [`MpcError::Parameter`] naming what the layout has other than the parameters.
    pub fn new(common: secagg::Params, layout: Layout) -> Result<Self, MpcError> {
        layout.matches(&common)?;
        let packed = (layout.packed() as u64).to_le_bytes();
        let common = Arc::new(common.bound_to(DOMAIN, &[&layout.ring().hash(), &packed]));
        Ok(Self { common, layout })
    }

    /// What `secagg` has too; its hash is that of all of these parameters.
    pub fn common(&self) -> &Arc<secagg::Params> {
        &self.common
    }

    /// H(P): SHA-256 over all parameters in a canonical encoding.
    pub fn hash(&self) -> &[u8; 32] {
        self.common.hash()
    }

    /// The ring, the packing and the sharing.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The length in bytes that no honest message of the round exceeds, for transports to refuse longer ones.
    pub fn message_limit(&self) -> usize {
        let clients = self.common.clients().len();
        let roster = 4 + clients * (ENVELOPE_OVERHEAD + <Advertise as Advertisement>::LENGTH);
        let sealed = 36 + clients * sealed_entry(self.layout.sealed_length());
        // A quorum is shorter than a roster, a release shorter than a vector.
        ENVELOPE_OVERHEAD + roster.max(sealed).max(32 + self.layout.masked_length())
    }

    /// What the public polynomials `a_k` come from: clients of different parameters or views have others.
    pub(super) fn seed(&self, view: &[u8; 32]) -> Seed {
        Seed(digest(COMMON_DOMAIN, &[self.hash(), view]))
    }
}
