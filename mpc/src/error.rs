use std::fmt::Write as _;

use crate::journal::Step;
use crate::secagg::Phase;
use crate::session::{ClientId, Kind, Party, Round, SessionId};
use crate::share::Point;

/// Everything that can go wrong in this crate, with what was expected, what came, and who is to blame.
///
/// A party named by a variant is proven to be the author only where the variant says so; elsewhere it is the
/// party that the message claims to come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MpcError {
    /// A piece of a message, or an input vector, has the wrong length.
    #[error("{what}: expected {expected} bytes or entries, got {got}")]
    Length {
        /// What was read.
        what: &'static str,
        /// The length that the parameters ask for.
        expected: usize,
        /// The length that was there.
        got: usize,
    },
    /// A message has the right length but not the one canonical encoding.
    #[error("not a canonical encoding: {what}")]
    Malformed {
        /// The rule that the bytes break.
        what: &'static str,
    },
    /// The named party signed a message that breaks the protocol; the signature was checked first.
    #[error("{sender} signed a message that is not valid: {reason}")]
    Rejected {
        /// Who signed.
        sender: Party,
        /// What is wrong with it.
        reason: Box<MpcError>,
    },
    /// A message of another kind than this step reads.
    #[error("{sender} sent a message of kind {got:?} where {expected:?} was due")]
    UnexpectedKind {
        /// Who claims to have sent it.
        sender: Party,
        /// The kind that this step reads.
        expected: Kind,
        /// The kind that came.
        got: Kind,
    },
    /// A message of a step that is already closed; it is discarded and never used.
    #[error("{client} sent {got:?} after that step was closed")]
    Late {
        /// Who claims to have sent it.
        client: ClientId,
        /// The kind that came.
        got: Kind,
    },
    /// A second message of one client in one step; the first one stands.
    #[error("{client} has already sent {kind:?}")]
    DuplicateMessage {
        /// The sender.
        client: ClientId,
        /// What it sent twice.
        kind: Kind,
    },
    /// A message from a party that the parameters do not list, or that has no part in this step.
    #[error("{0} has no part in this step")]
    UnknownSender(Party),
    /// The message comes from another party than the one it must come from.
    #[error("expected a message of {expected}, got one of {got}")]
    WrongSender {
        /// Who had to send it.
        expected: Party,
        /// Who did.
        got: Party,
    },
    /// The signature is not one of the named party over these bytes; anyone may have made the message.
    #[error("the signature of {0} does not verify")]
    BadSignature(Party),
    /// The named party signed a message for other parameters: another session, round, model or cohort.
    ///
    /// The signature was checked first, so the message is evidence: of a peer it shows that the server told the
    /// two clients different things (or that the peer is at fault).
    #[error("{sender} works with parameters {}, not {}", hex(.got), hex(.expected))]
    ParamsMismatch {
        /// Who signed.
        sender: Party,
        /// Our parameters hash.
        expected: [u8; 32],
        /// Theirs.
        got: [u8; 32],
    },
    /// A parameter outside its range.
    #[error("parameter {name} is {got}, allowed is {least} to {most}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        got: u64,
        /// The least value allowed beside the other parameters.
        least: u64,
        /// The largest value allowed beside the other parameters.
        most: u64,
    },
    /// The clients of the parameters are not in strictly ascending order of their ids.
    #[error("clients must be listed once each in ascending order: {0} is not")]
    ClientOrder(ClientId),
    /// Two parties registered the same identity key.
    #[error("{first} and {second} have the same identity key")]
    SharedIdentity {
        /// The one.
        first: Party,
        /// The other.
        second: Party,
    },
    /// An identity key that is no point, or a point of small order.
    #[error("the identity key of {0} is not a usable Ed25519 key")]
    WeakIdentity(Party),
    /// The given identity is not the one that the parameters list for this party.
    #[error("the identity key given is not the registered one of {0}")]
    NotMyIdentity(Party),
    /// An evaluation point of zero would be the secret itself.
    #[error("an evaluation point must not be zero")]
    ZeroPoint,
    /// Two shares at one point.
    #[error("evaluation point {0} occurs twice")]
    DuplicatePoint(Point),
    /// Shares at other points than the coefficients are for.
    #[error("expected a share at point {expected}, got one at {got}")]
    WrongPoint {
        /// The point whose turn it is.
        expected: Point,
        /// The point that came.
        got: Point,
    },
    /// Fewer shares than the threshold.
    #[error("{got} shares, {needed} are needed")]
    TooFewShares {
        /// Shares at hand.
        got: usize,
        /// The threshold.
        needed: usize,
    },
    /// An X25519 key of low order: the shared secret with it would be known to everyone.
    #[error("{0} sent an X25519 key of low order")]
    LowOrderKey(ClientId),
    /// An X25519 key occurs twice in one roster.
    #[error("{first} and {second} sent the same X25519 key")]
    DuplicateKey {
        /// The one.
        first: ClientId,
        /// The other.
        second: ClientId,
    },
    /// The server left this client, or its message, out of what it broadcast.
    #[error("{0} or its message was left out or replaced by the server")]
    LeftOut(ClientId),
    /// The sealed share of the named sender does not open, or holds no canonical scalars.
    ///
    /// The sender's signature over the sealed bytes was checked first.
    #[error("the shares that {0} sealed are not usable")]
    BadShare(ClientId),
    /// The named party signed something about another roster or another set of sharing clients.
    #[error("{0} saw another roster or another set of sharing clients")]
    InconsistentView(Party),
    /// The quorum is about another survivor set than the one that this client signed.
    #[error("the quorum is about another survivor set than the one signed")]
    ClaimMismatch,
    /// The claimed survivor set holds a client that never shared its secrets.
    #[error("{0} is claimed to survive but never shared")]
    NeverShared(ClientId),
    /// The named client released the wrong one of the two secrets, or shares of other clients than it had to.
    #[error("the release of {client} about {about} is not the one that the survivor set asks for")]
    WrongRelease {
        /// Who released.
        client: ClientId,
        /// Whose secret it is about.
        about: ClientId,
    },
    /// Too few clients are left, and the round is over: this party reveals nothing more in it.
    #[error("{got} clients in step {phase:?}, {needed} are needed")]
    TooFewClients {
        /// The step.
        phase: Phase,
        /// How many there are.
        got: usize,
        /// How many there must be.
        needed: usize,
    },
    /// An input entry outside −2^(b−1) ≤ x < 2^(b−1).
    ///
    /// The value itself is secret and is not repeated here.
    #[error("entry {index} does not fit {bits} signed bits")]
    OutOfRange {
        /// Where it is.
        index: usize,
        /// b.
        bits: u32,
    },
    /// Something else was already committed for this step: sending this message too would break privacy.
    #[error("{client} has already committed to another message: {session} {round} {step:?}")]
    AlreadyCommitted {
        /// The client.
        client: ClientId,
        /// The session.
        session: SessionId,
        /// The round.
        round: Round,
        /// The step.
        step: Step,
    },
    /// The journal could not be read or written; nothing may be sent.
    #[error("journal: {0}")]
    Journal(String),
    /// The shares of the named dealer give another secret than the one it committed to.
    ///
    /// The dealer or one of those who released a share lied; without verifiable sharing it is not known which.
    #[error("the shares of {0} do not open what it advertised: it, or one who holds its shares, is at fault")]
    Unrecoverable(ClientId),
    /// A sum of ciphertexts does not open under the sum of keys that was released.
    ///
    /// A ciphertext is not made as it should be, a client dealt shares of another key than it used, or somebody
    /// released another share than it had to; which, and who, is not known.
    #[error("the sum does not open: a ciphertext, a dealt share or a released one is not what it should be")]
    DoesNotOpen,
}

/// The first bytes of a hash, enough for a person to tell two apart.
fn hex(bytes: &[u8; 32]) -> String {
    let mut text = bytes[..8].iter().fold(String::with_capacity(19), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    text.push('…');
    text
}
