//! What CKKS adds: room for the message beside the noise. What is opened is decoded by
//! [`Encoder::open`](crate::ckks::Encoder::open).

use crate::FheError;
use crate::ckks::Ciphertext;
use crate::noise::NoiseBound;

use super::flooding::Flooding;
use super::request::Request;
use super::session::{PartyId, Session};

impl Ciphertext {
    /// The request to open it together.
    ///
    /// # Errors
    /// As [`Request::new`]; [`FheError::NoRoomToFlood`] if message and flooded noise are not below half of the modulus.
    pub fn request(&self, session: &Session, active: &[PartyId], flooding: Flooding) -> Result<Request, FheError> {
        let message = self.scale().log2() + self.bound().log2();
        let half = self.ring().ciphertext_basis().log2(self.level()) - 1.0;
        let room = half + (1.0 - (message - half).exp2()).log2();
        Request::new(session, self.inner().clone(), self.noise(), active, flooding)?.within(NoiseBound::from_log2(room))
    }
}
