use p3_field::PrimeCharacteristicRing;

use super::Affine;
use crate::multilinear::Functional;
use crate::{Ext, Transcript, ZkError};

/// The prover's end of an interactive argument made non-interactive: sends values, masked by one-time pads where
/// there are any, and draws challenges.
#[derive(Debug)]
pub struct Prover<'a> {
    transcript: &'a mut Transcript,
    messages: Vec<Ext>,
    /// One pad a masked message; none in a transparent proof.
    pads: Option<&'a [Ext]>,
    next_pad: usize,
}

impl<'a> Prover<'a> {
    pub(super) const fn new(transcript: &'a mut Transcript, pads: Option<&'a [Ext]>) -> Self {
        Self { transcript, messages: Vec::new(), pads, next_pad: 0 }
    }

    /// Sends a value that the verifier may know only up to its pad.
    pub fn send(&mut self, value: Ext) {
        let mask = self.pads.map_or(Ext::ZERO, |pads| pads[self.next_pad]);
        self.next_pad += 1;
        self.send_clear(value + mask);
    }

    /// Sends values one after another.
    pub fn send_all(&mut self, values: &[Ext]) {
        for &value in values {
            self.send(value);
        }
    }

    /// Skips a pad that masks no message.
    pub(super) const fn reserve(&mut self) {
        self.next_pad += 1;
    }

    /// Sends a value as it is: one whose distribution is known to be uniform already.
    pub(super) fn send_clear(&mut self, value: Ext) {
        self.transcript.absorb(value);
        self.messages.push(value);
    }

    /// A uniform challenge that depends on everything sent before.
    pub fn challenge(&mut self) -> Ext {
        self.transcript.challenge()
    }

    /// `count` uniform challenges.
    pub fn challenges(&mut self, count: usize) -> Vec<Ext> {
        self.transcript.challenges(count)
    }

    pub(super) fn messages(&self) -> &[Ext] {
        &self.messages
    }

    pub(super) fn into_messages(self) -> Vec<Ext> {
        self.messages
    }
}

/// `Σ coefficient·left·right + rest = 0`.
#[derive(Clone, Debug)]
pub(super) struct ProductRelation {
    pub(super) name: &'static str,
    pub(super) products: Vec<(Ext, Affine, Affine)>,
    pub(super) rest: Affine,
}

/// What an argument leaves to show: relations among pads and values, and claims about committed vectors.
#[derive(Debug, Default)]
pub(super) struct Relations {
    /// Each is zero.
    pub(super) linear: Vec<(&'static str, Affine)>,
    pub(super) products: Vec<ProductRelation>,
    /// `⟨functional, w⟩ = value` for the committed vector `w`.
    pub(super) claims: Vec<(Functional, Affine)>,
    /// `⟨coefficients, m⟩ = value` for the registered commitment of that index.
    pub(super) registered: Vec<(usize, Vec<Ext>, Affine)>,
}

/// The verifier's end: receives values, draws the same challenges, and notes what must hold.
///
/// In a transparent proof values are numbers and relations among them are checked on the spot, with the name of what
/// failed. In a zero-knowledge proof they are known up to pads; relations are collected and proven together at the end,
/// so a forgery there is caught without saying where.
#[derive(Debug)]
pub struct Verifier {
    transcript: Transcript,
    /// None in a dry run that only counts: then every message is zero.
    messages: Option<Vec<Ext>>,
    next_message: usize,
    next_pad: usize,
    masked: bool,
    pub(super) relations: Relations,
}

impl Verifier {
    pub(super) fn new(transcript: Transcript, messages: Vec<Ext>, masked: bool) -> Self {
        let relations = Relations::default();
        Self { transcript, messages: Some(messages), next_message: 0, next_pad: 0, masked, relations }
    }

    /// A verifier that receives zeros and finds out how many pads an argument needs.
    pub(super) fn counting() -> Self {
        let transcript = Transcript::new("counting", &[], &[]);
        Self { messages: None, ..Self::new(transcript, Vec::new(), true) }
    }

    /// A value the prover sent with [`Prover::send`].
    ///
    /// # Errors
    /// [`ZkError::Truncated`] if there are no more.
    pub fn receive(&mut self) -> Result<Affine, ZkError> {
        let value = self.receive_clear()?;
        self.next_pad += 1;
        Ok(if self.masked { Affine::masked(value, self.next_pad - 1) } else { Affine::known(value) })
    }

    pub(super) fn receive_clear(&mut self) -> Result<Ext, ZkError> {
        let value = match &self.messages {
            Some(messages) => *messages.get(self.next_message).ok_or(ZkError::Truncated)?,
            None => Ext::ZERO,
        };
        self.next_message += 1;
        self.transcript.absorb(value);
        Ok(value)
    }

    /// A pad that masks no message.
    pub(super) fn reserve(&mut self) -> Affine {
        self.next_pad += 1;
        Affine::pad(self.next_pad - 1)
    }

    /// A uniform challenge that depends on everything received before.
    pub fn challenge(&mut self) -> Ext {
        self.transcript.challenge()
    }

    /// `count` uniform challenges.
    pub fn challenges(&mut self, count: usize) -> Vec<Ext> {
        self.transcript.challenges(count)
    }

    /// Demands that `value` is zero.
    ///
    /// # Errors
    /// [`ZkError::Relation`] with the name, in a transparent proof whose value is not.
    pub fn assert_zero(&mut self, name: &'static str, value: Affine) -> Result<(), ZkError> {
        if self.masked {
            self.relations.linear.push((name, value));
            return Ok(());
        }
        if value.constant == Ext::ZERO { Ok(()) } else { Err(ZkError::Relation { name }) }
    }

    /// Demands that `Σ coefficient·left·right + rest` is zero.
    ///
    /// # Errors
    /// As [`Self::assert_zero`].
    pub fn assert_products(
        &mut self,
        name: &'static str,
        products: Vec<(Ext, Affine, Affine)>,
        rest: Affine,
    ) -> Result<(), ZkError> {
        if self.masked {
            self.relations.products.push(ProductRelation { name, products, rest });
            return Ok(());
        }
        let sum: Ext = products.iter().map(|(c, a, b)| *c * a.constant * b.constant).sum();
        if sum + rest.constant == Ext::ZERO { Ok(()) } else { Err(ZkError::Relation { name }) }
    }

    /// Demands that a functional of the committed vector has a value.
    pub fn claim(&mut self, functional: Functional, value: Affine) {
        self.relations.claims.push((functional, value));
    }

    /// Demands that a functional of a registered commitment, given by all its coefficients, has a value.
    pub fn claim_registered(&mut self, commitment: usize, coefficients: Vec<Ext>, value: Affine) {
        self.relations.registered.push((commitment, coefficients, value));
    }

    /// How many pads were used.
    pub(super) const fn pads(&self) -> usize {
        self.next_pad
    }

    /// Adds what the prover sent since the verifier was made.
    pub(super) fn extend(&mut self, all: &[Ext]) {
        if let Some(messages) = &mut self.messages {
            messages.extend_from_slice(&all[messages.len()..]);
        }
    }

    /// Ends the interaction, and hands over the transcript and what is left to show.
    pub(super) fn finish(self) -> Result<(Transcript, Relations), ZkError> {
        match self.messages {
            Some(messages) if messages.len() != self.next_message => {
                Err(ZkError::Trailing { expected: self.next_message, got: messages.len() })
            }
            _ => Ok((self.transcript, self.relations)),
        }
    }
}

impl Relations {
    /// Checks with the pads at hand what a zero-knowledge proof shows at its end: that the witness is one.
    pub(super) fn check(&self, pads: &[Ext]) -> Result<(), ZkError> {
        if let Some(&(name, _)) = self.linear.iter().find(|(_, value)| value.open(pads) != Ext::ZERO) {
            return Err(ZkError::Relation { name });
        }
        for ProductRelation { name, products, rest } in &self.products {
            let sum: Ext = products.iter().map(|(c, a, b)| *c * a.open(pads) * b.open(pads)).sum();
            if sum + rest.open(pads) != Ext::ZERO {
                return Err(ZkError::Relation { name });
            }
        }
        Ok(())
    }
}
