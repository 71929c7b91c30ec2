//! The coordinator as a state machine: every way a round can go, in milliseconds and without a clock.

mod parties;

use std::sync::Arc;

use nexus_federated::coordinator::{Coordinator, Effect};
use nexus_federated::message::Message;
use nexus_federated::participant::Participant;
use nexus_federated::protect::Phase;
use nexus_federated::{ClientId, Error, Hash, Round};
use nexus_mpc::MpcError;
use nexus_mpc::session::Party;
use parties::Parties;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const PHASES: [Phase; 5] = [Phase::Advertise, Phase::Share, Phase::Mask, Phase::Sign, Phase::Release];

/// A coordinator and four participants, with what the coordinator wants done.
struct Room {
    parties: Parties,
    coordinator: Coordinator,
    participants: Vec<Participant>,
    rngs: Vec<ChaCha20Rng>,
    effects: Vec<Effect>,
    now: u64,
}

impl Room {
    fn open() -> Self {
        let parties = Parties::new(4);
        let session = Arc::clone(&parties.session);
        let mut coordinator =
            Coordinator::new(session, Arc::clone(&parties.coordinator), parties.model.clone()).unwrap();
        let participants = (0..4).map(|id| parties.participant(id)).collect();
        let rngs = (0..4).map(ChaCha20Rng::seed_from_u64).collect();
        let effects = coordinator.open(0).unwrap();
        Self { parties, coordinator, participants, rngs, effects, now: 0 }
    }

    /// What these clients answer to what the coordinator sent last.
    fn answers(&mut self, clients: &[usize]) -> Vec<(usize, Vec<u8>)> {
        let effects = std::mem::take(&mut self.effects);
        let inbox = |client: usize| {
            effects.iter().find_map(|effect| match effect {
                Effect::Broadcast(bytes) => Some(bytes.clone()),
                Effect::Send(ClientId(id), bytes) if *id as usize == client => Some(bytes.clone()),
                _ => None,
            })
        };
        let answer = |&client: &usize| {
            let bytes = inbox(client).expect("the coordinator wrote to every client that is left");
            (client, self.participants[client].handle(&bytes, &mut self.rngs[client]).expect("an honest coordinator"))
        };
        clients.iter().map(answer).collect()
    }

    fn deliver(&mut self, client: usize, bytes: &[u8]) -> Vec<Effect> {
        self.coordinator.handle(self.now, ClientId(client as u32), bytes)
    }

    /// One phase with these clients, in this order; the rest stay silent until the deadline.
    fn phase(&mut self, clients: &[usize]) {
        let phase = self.coordinator.phase();
        for (client, bytes) in self.answers(clients) {
            let effects = self.deliver(client, &bytes);
            self.effects.extend(effects);
        }
        if self.coordinator.phase() == phase {
            self.now += 1_000;
            let late = self.coordinator.tick(self.now);
            self.effects.extend(late);
        }
    }

    /// All phases that are left, with these clients.
    fn finish(&mut self, clients: &[usize]) {
        while self.coordinator.phase().is_some() {
            self.phase(clients);
        }
    }

    fn model(&self) -> Hash {
        self.coordinator.model().hash()
    }

    fn completed(&self) -> Option<&[ClientId]> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Completed(completed) => Some(&completed.contributors[..]),
            _ => None,
        })
    }

    fn aborted(&self) -> Option<(Phase, &Error)> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Aborted { phase, reason, .. } => Some((*phase, reason)),
            _ => None,
        })
    }
}

fn rejected(effects: &[Effect]) -> (ClientId, Phase, &Error) {
    match effects {
        [Effect::Rejected { client, phase, reason }] => (*client, *phase, reason),
        other => panic!("expected one rejection, got {other:?}"),
    }
}

#[test]
fn a_round_is_charged_before_anything_is_sent() {
    let room = Room::open();
    let [Effect::Reserved { round: Round(1), model, spent: Some(spent) }, Effect::Broadcast(_)] = &room.effects[..]
    else {
        panic!("{:?}", room.effects)
    };
    assert_eq!(*model, room.parties.model.hash());
    let privacy = room.parties.session.config().privacy().unwrap();
    assert_eq!(*spent, privacy.mechanism.cost());
    assert_eq!(room.coordinator.spent(), Some(*spent));
}

#[test]
fn a_full_round_moves_the_model_and_names_all_contributors() {
    let mut room = Room::open();
    room.finish(&[0, 1, 2, 3]);
    assert_eq!(room.completed(), Some(&[0, 1, 2, 3].map(ClientId)[..]));
    assert_ne!(room.model(), room.parties.model.hash());
    assert_eq!(room.coordinator.next_round(), Some(Round(2)));
}

#[test]
fn one_client_may_leave_before_any_phase() {
    for leaves in 0..PHASES.len() {
        let mut room = Room::open();
        for (index, phase) in PHASES.iter().enumerate() {
            assert_eq!(room.coordinator.phase(), Some(*phase));
            room.phase(if index < leaves { &[0, 1, 2, 3] } else { &[0, 1, 3] });
        }
        // Whoever left after its masked vector is in the sum.
        let expected: &[u32] = if leaves > 2 { &[0, 1, 2, 3] } else { &[0, 1, 3] };
        let expected: Vec<ClientId> = expected.iter().copied().map(ClientId).collect();
        assert_eq!(room.completed(), Some(&expected[..]), "left before {:?}", PHASES[leaves]);
    }
}

#[test]
fn too_few_clients_abort_without_a_sum_and_stay_paid_for() {
    for (leaves, phase) in PHASES.into_iter().enumerate() {
        let mut room = Room::open();
        let spent = room.coordinator.spent();
        for index in 0..=leaves {
            room.phase(if index < leaves { &[0, 1, 2, 3] } else { &[0, 1] });
        }
        let Some((aborted, Error::Aggregation(MpcError::TooFewClients { got: 2, needed: 3, .. }))) = room.aborted()
        else {
            panic!("{phase:?}: {:?}", room.effects)
        };
        assert_eq!(aborted, phase);
        assert_eq!((room.model(), room.coordinator.spent()), (room.parties.model.hash(), spent));
        assert_eq!(room.coordinator.phase(), None);
        // The next round is another one, and is paid for too.
        let [Effect::Reserved { round: Round(2), spent: again, .. }, ..] = room.coordinator.open(0).unwrap()[..] else {
            panic!("no second round")
        };
        assert!(again > spent);
    }
}

#[test]
fn a_phase_waits_for_its_deadline_and_not_a_millisecond_less() {
    let mut room = Room::open();
    for (client, bytes) in room.answers(&[0, 1, 2]) {
        room.deliver(client, &bytes);
    }
    assert_eq!(room.coordinator.deadline(), Some(1_000));
    assert!(room.coordinator.tick(999).is_empty());
    assert_eq!(room.coordinator.phase(), Some(Phase::Advertise));
    assert!(matches!(room.coordinator.tick(1_000)[..], [Effect::Broadcast(_)]));
    assert_eq!(room.coordinator.phase(), Some(Phase::Share));
}

#[test]
fn a_second_round_cannot_be_opened_beside_the_first() {
    let mut room = Room::open();
    assert!(matches!(room.coordinator.open(0), Err(Error::OutOfTurn(_))));
}

#[test]
fn doubled_late_and_foreign_messages_are_rejected_by_name() {
    let mut room = Room::open();
    let answers = room.answers(&[0, 1, 2, 3]);
    room.deliver(0, &answers[0].1);
    let doubled = room.deliver(0, &answers[0].1);
    let (client, phase, reason) = rejected(&doubled);
    assert_eq!((client, phase), (ClientId(0), Phase::Advertise));
    assert!(matches!(reason, Error::Aggregation(MpcError::DuplicateMessage { client: ClientId(0), .. })), "{reason}");

    // A message of the coordinator itself, sent back to it.
    let start = Message::Start(&room.parties.start(1).encode(&room.parties.coordinator)).encode();
    let returned = room.deliver(1, &start);
    assert!(matches!(rejected(&returned), (ClientId(1), _, Error::OutOfTurn(_))));

    room.deliver(1, &answers[1].1);
    room.deliver(2, &answers[2].1);
    let next = room.coordinator.tick(1_000);
    room.effects = next;
    let late = room.deliver(3, &answers[3].1);
    let (client, phase, reason) = rejected(&late);
    assert_eq!((client, phase), (ClientId(3), Phase::Share));
    assert!(matches!(reason, Error::Aggregation(_)), "{reason}");
    room.finish(&[0, 1, 2]);
    assert_eq!(room.completed(), Some(&[0, 1, 2].map(ClientId)[..]));
    let after = room.deliver(0, &answers[0].1);
    assert!(matches!(rejected(&after), (ClientId(0), _, Error::OutOfTurn(_))));
}

#[test]
fn the_order_of_messages_does_not_change_the_model() {
    let models = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]].map(|order| {
        let mut room = Room::open();
        room.finish(&order);
        room.model()
    });
    assert!(models.windows(2).all(|pair| pair[0] == pair[1]), "{models:?}");
}

#[test]
fn a_peers_message_for_another_round_is_named_as_such() {
    let mut room = Room::open();
    let old = room.answers(&[2]).remove(0).1;
    room.now = 1_000;
    room.coordinator.tick(1_000);
    room.effects = room.coordinator.open(1_000).unwrap();
    let replayed = room.deliver(2, &old);
    let (client, _, reason) = rejected(&replayed);
    assert_eq!(client, ClientId(2));
    let named =
        matches!(reason, Error::Aggregation(MpcError::ParamsMismatch { sender: Party::Client(ClientId(2)), .. }));
    assert!(named, "{reason}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn changed_messages_of_any_phase_are_rejected_and_the_round_goes_on(
        phase in 0usize..5, position in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>(),
    ) {
        let mut room = Room::open();
        for _ in 0..phase {
            room.phase(&[0, 1, 2, 3]);
        }
        let answers = room.answers(&[0, 1, 2, 3]);
        let honest = &answers[0].1;
        let mut flipped = honest.clone();
        flipped[position.index(honest.len())] ^= 1 << bit;
        let longer = [&honest[..], &[0]].concat();
        for changed in [&flipped[..], &honest[..cut.index(honest.len())], &longer] {
            let effects = room.deliver(0, changed);
            prop_assert_eq!(rejected(&effects).0, ClientId(0));
        }
        for (client, bytes) in &answers {
            let effects = room.deliver(*client, bytes);
            room.effects.extend(effects);
        }
        room.finish(&[0, 1, 2, 3]);
        prop_assert_eq!(room.completed().map(<[_]>::len), Some(4));
    }

    #[test]
    fn changed_messages_of_the_coordinator_are_refused_by_a_participant(
        phase in 0usize..5, position in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut room = Room::open();
        for _ in 0..phase {
            room.phase(&[0, 1, 2, 3]);
        }
        let sent = room.effects.iter().find_map(|effect| match effect {
            Effect::Broadcast(bytes) | Effect::Send(ClientId(0), bytes) => Some(bytes.clone()),
            _ => None,
        });
        let mut bytes = sent.expect("the coordinator wrote to client 0");
        let position = position.index(bytes.len());
        bytes[position] ^= 1 << bit;
        prop_assert!(room.participants[0].handle(&bytes, &mut room.rngs[0]).is_err());
    }
}
