use nexus_mpc::session::{ClientId, Envelope, Round};

use super::Engine;
use crate::attack::Attack;
use crate::message::{Message, RoundStart};
use crate::model::Model;
use crate::participant::Participant;
use crate::protect::{self, Closed, Outbound, Phase, ServerProtocol};
use crate::{Error, Hash};

/// The cheat of one round, if there is one.
#[derive(Default)]
pub(super) struct Rogue {
    pub(super) attack: Option<Attack>,
    round: u32,
    /// The start of the round with another model, for the coordinator's victim.
    pub(super) other_start: Option<Vec<u8>>,
    /// The coordinator's second state, which has not seen the victim's masked message.
    shadow: Option<Box<dyn ServerProtocol>>,
    pub(super) second_claim: Option<Vec<u8>>,
    pub(super) hides_overflow: bool,
    pub(super) kept: Option<Vec<u8>>,
}

impl Rogue {
    pub(super) fn new(engine: &Engine, round: Round, model: Hash) -> Result<Self, Error> {
        let attack = engine.attack.filter(|attack| (attack.first_round()..=attack.last_round()).contains(&round));
        let mut rogue = Self { attack, round: round.0, ..Self::default() };
        // The replaying client listens one round early.
        if engine.attack == Some(Attack::Replay) && round.0 < Attack::Replay.first_round().0 {
            rogue.attack = engine.attack;
        }
        match attack {
            Some(Attack::InconsistentModel) => {
                let session = engine.coordinator.session();
                let honest = engine.coordinator.model();
                let mut values = honest.weights().values().to_vec();
                values[0] ^= 1;
                let weights =
                    nexus_circuits::reference::Weights::new(honest.weights().shape(), values, honest.format())?;
                let start = RoundStart {
                    session: session.id(),
                    round,
                    config: session.config().hash(),
                    model: Model::new(weights, honest.format()),
                };
                rogue.other_start = Some(Message::Start(&start.encode(&engine.identity)).encode());
            }
            Some(Attack::DoubleRelease) => {
                let session = engine.coordinator.session();
                rogue.shadow = Some(protect::server(session, round, model, &engine.identity)?);
            }
            Some(Attack::Overflow) => rogue.hides_overflow = round == Attack::Overflow.last_round(),
            Some(_) | None => {}
        }
        Ok(rogue)
    }

    /// A coordinator that cheats does not act on what its own cheat makes fail.
    pub(super) fn hides_rejection(&self, client: ClientId) -> bool {
        self.other_start.is_some() && client == Attack::CLIENT
    }

    /// The second state hears what the coordinator hears, but for the victim's masked message.
    pub(super) fn overhear(&mut self, client: ClientId, phase: Phase, bytes: &[u8]) {
        if self.attack == Some(Attack::Replay) && client == Attack::CLIENT && phase == Phase::Mask {
            self.kept = Some(bytes.to_vec());
        }
        let victim = client == Attack::CLIENT && phase == Phase::Mask;
        if let (Some(shadow), Ok(Message::Protocol(body) | Message::Proven { body, .. }), false) =
            (&mut self.shadow, Message::decode(bytes), victim)
        {
            // What the second state makes of it does not matter unless it comes to a claim.
            shadow.receive(body).ok();
        }
    }

    pub(super) fn close(&mut self, phase: Phase) {
        let closed = match phase {
            Phase::Advertise | Phase::Share | Phase::Mask => self.shadow.as_mut().map(|shadow| shadow.close()),
            _ => None,
        };
        if let (Phase::Mask, Some(Ok(Closed::Next(Outbound::Broadcast(claim))))) = (phase, closed) {
            self.second_claim = Some(claim);
        }
    }

    /// What the cheating client sends first, given what it and the others would: its own message behind another's proof.
    pub(super) fn stolen(&self, own: &[u8], others: &[&[u8]], client: &Participant) -> Option<Vec<u8>> {
        let Ok(Message::Proven { body, .. }) = Message::decode(own) else { return None };
        let theirs = others.first().filter(|_| self.attack == Some(Attack::StolenProof))?;
        let Ok(Message::Proven { proof, .. }) = Message::decode(theirs) else { return None };
        Some(Message::proven(proof, body, client.identity()))
    }

    /// What the cheating client sends for its masked message.
    pub(super) fn replacement(&self, honest: &[u8], kept: Option<&Vec<u8>>, client: &Participant) -> Option<Vec<u8>> {
        match self.attack? {
            Attack::Replay if self.round >= Attack::Replay.first_round().0 => kept.cloned(),
            Attack::Overflow if !self.hides_overflow => {
                let Ok(Message::Protocol(body)) = Message::decode(honest) else { return None };
                let Envelope { sender, kind, params, body, .. } = Envelope::decode(body).ok()?;
                // Twice the bytes, as a client would send that does not reduce its entries; properly signed.
                let wide = Envelope::seal(sender, kind, &params, &[body, body].concat(), client.identity());
                Some(Message::Protocol(&wide).encode())
            }
            _ => None,
        }
    }
}
