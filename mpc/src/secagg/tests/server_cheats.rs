//! What a malicious server may try, and the error that stops it.

use super::super::members::Members;
use super::super::messages::{
    Advertise, Advertisement, Claim, Quorum, Release, Roster, SEALED_LENGTH, SealedShare, SealedShares, view_hash,
};
use super::*;
use crate::journal::{Journal, Step};
use crate::session::ChannelKey;

const SERVER: Party = Party::Server;

fn client(index: usize) -> Party {
    Party::Client(Cohort::id(index))
}

/// Signed advertisements of all clients, with `changed` in the place of one client's.
fn roster_with(cohort: &Cohort, sent: &[Vec<u8>], index: usize, changed: &[u8]) -> Vec<u8> {
    let messages = sent.iter().enumerate().map(|(at, message)| if at == index { changed } else { message });
    cohort.by_server(Kind::Roster, &Roster::encode(messages))
}

fn advertisement(message: &[u8]) -> Advertise {
    Advertise::decode(Envelope::decode(message).unwrap().body).unwrap()
}

fn set(cohort: &Cohort, indices: &[usize]) -> Members {
    let mut members = Members::none(&cohort.params);
    for index in indices {
        members.insert(*index);
    }
    members
}

/// The honest claim's view with another survivor set.
fn claim_with(cohort: &Cohort, honest: &[u8], survivors: &[usize]) -> Vec<u8> {
    let body = Envelope::decode(honest).unwrap().body;
    let view = Claim::decode(&cohort.params, body).unwrap().view;
    cohort.by_server(Kind::Claim, &Claim { view, survivors: set(cohort, survivors) }.encode())
}

fn committed(index: usize, cohort: &Cohort, step: Step) -> MpcError {
    MpcError::AlreadyCommitted {
        client: Cohort::id(index),
        session: cohort.params.session(),
        round: cohort.params.round(),
        step,
    }
}

#[test]
fn a_peer_that_was_shown_another_model_is_named() {
    let mut cohort = Cohort::new(4);
    let mut elsewhere = Cohort::with(4, 16, 5, |builder| builder.model_hash = [44; 32]);
    let (_, deceived) = elsewhere.advertise(2);
    let After { mut clients, sent, .. } = cohort.advertised();
    let roster = roster_with(&cohort, &sent, 2, &deceived);
    let refused = clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err();
    let (expected, got) = (*cohort.params.hash(), *elsewhere.params.hash());
    assert_eq!(refused, MpcError::ParamsMismatch { sender: client(2), expected, got });
}

/// Even if clients of two models were made to mask together, their common masks would differ.
#[test]
fn masks_for_another_model_do_not_cancel() {
    use super::super::keys::{MaskKey, PairSecret};
    let cohort = Cohort::new(4);
    let elsewhere = Cohort::with(4, 16, 5, |builder| builder.model_hash = [44; 32]);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let one = MaskKey::generate(&mut rng).exchange_key(&cohort.params);
    let two = x25519_dalek::PublicKey::from(&one).to_bytes();
    let expand = |params: &Params| {
        let mut values = [0; 8];
        let seed = PairSecret::agree(&one, &two).unwrap().seed(params, Cohort::id(0), Cohort::id(1));
        crate::mask::apply(&[crate::mask::Mask { seed, sign: crate::mask::Sign::Plus }], &mut values);
        values
    };
    assert_eq!(expand(&cohort.params), expand(&cohort.params));
    assert_ne!(expand(&cohort.params), expand(&elsewhere.params));
}

#[test]
fn another_rounds_roster_is_refused() {
    let mut cohort = Cohort::new(4);
    let mut next = Cohort::with(4, 16, 5, |builder| builder.round = Round(4));
    let After { answer: roster, .. } = next.advertised();
    let After { mut clients, .. } = cohort.advertised();
    let refused = clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err();
    let (expected, got) = (*cohort.params.hash(), *next.params.hash());
    assert_eq!(refused, MpcError::ParamsMismatch { sender: SERVER, expected, got });
}

#[test]
fn keys_of_low_order_from_an_accomplice_are_refused() {
    for low in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        for channel in [true, false] {
            let mut cohort = Cohort::new(4);
            let After { mut clients, sent, .. } = cohort.advertised();
            let mut keys = advertisement(&sent[3]);
            if channel {
                keys.channel = low;
            } else {
                keys.mask = low;
            }
            let message = cohort.by_client(3, Kind::Advertise, &keys.encode());
            let roster = roster_with(&cohort, &sent, 3, &message);
            let refused = clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err();
            assert_eq!(refused, MpcError::LowOrderKey(Cohort::id(3)));
        }
    }
}

#[test]
fn an_accomplice_with_the_keys_of_another_client_is_refused() {
    for (channel, mask) in [(true, false), (false, true), (false, false)] {
        let mut cohort = Cohort::new(4);
        let After { mut clients, sent, .. } = cohort.advertised();
        let victim = advertisement(&sent[1]);
        let mut keys = advertisement(&sent[3]);
        if channel {
            keys.channel = victim.channel;
        }
        if mask {
            keys.mask = victim.mask;
        }
        if !channel && !mask {
            keys.mask = victim.channel;
        }
        let message = cohort.by_client(3, Kind::Advertise, &keys.encode());
        let roster = roster_with(&cohort, &sent, 3, &message);
        let refused = clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err();
        assert_eq!(refused, MpcError::DuplicateKey { first: Cohort::id(1), second: Cohort::id(3) });
    }
}

#[test]
fn a_forged_or_replaced_advertisement_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, sent, .. } = cohort.advertised();
    // The server knows everything but the client's signing key.
    let keys = advertisement(&sent[2]);
    let forged = Envelope::seal(client(2), Kind::Advertise, cohort.params.hash(), &keys.encode(), &cohort.server);
    let roster = roster_with(&cohort, &sent, 2, &forged);
    assert_eq!(clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err(), MpcError::BadSignature(client(2)));
    // Another message of the reader itself, as an image restored in the middle of a round would have made it.
    let (_, other) = cohort.advertise(1);
    let roster = roster_with(&cohort, &sent, 1, &other);
    assert_eq!(clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err(), MpcError::LeftOut(Cohort::id(1)));
}

#[test]
fn a_client_that_nobody_registered_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, mut sent, .. } = cohort.advertised();
    let keys = advertisement(&sent[3]);
    let stranger = Party::Client(ClientId(999));
    sent.push(Envelope::seal(stranger, Kind::Advertise, cohort.params.hash(), &keys.encode(), &cohort.server));
    let roster = cohort.by_server(Kind::Roster, &Roster::encode(sent.iter().map(|message| &message[..])));
    let refused = clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err();
    assert_eq!(refused, MpcError::UnknownSender(stranger));
}

#[test]
fn a_roster_below_the_minimum_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, sent, .. } = cohort.advertised();
    let roster = cohort.by_server(Kind::Roster, &Roster::encode(sent[..2].iter().map(|message| &message[..])));
    let refused = clients.remove(0).share(&roster, &mut cohort.rng).unwrap_err();
    assert_eq!(refused, MpcError::TooFewClients { phase: Phase::Advertising, got: 2, needed: 3 });
}

#[test]
fn a_message_of_a_client_in_the_servers_place_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.advertised();
    let posing = cohort.by_client(3, Kind::Roster, Envelope::decode(&answer).unwrap().body);
    let refused = clients.remove(0).share(&posing, &mut cohort.rng).unwrap_err();
    assert_eq!(refused, MpcError::WrongSender { expected: SERVER, got: client(3) });
}

/// Splits an inbox into its parts, lets the test change them, and signs it again.
fn inbox_with(cohort: &Cohort, inbox: &[u8], change: impl FnOnce(&mut SealedShares)) -> Vec<u8> {
    let mut shares =
        SealedShares::decode(&cohort.params, SEALED_LENGTH, Envelope::decode(inbox).unwrap().body).unwrap();
    change(&mut shares);
    let entries = shares.entries.iter().map(|(id, share)| (*id, share));
    cohort.by_server(Kind::Inbox, &SealedShares::encode(&shares.roster, entries))
}

fn mask(cohort: &Cohort, client: Client<Shared>, inbox: &[u8]) -> Result<(Client<Masked>, Vec<u8>), MpcError> {
    client.mask(inbox, &cohort.inputs[0], &*cohort.journal)
}

#[test]
fn a_ciphertext_copied_under_another_id_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.shared();
    let inbox = inbox_with(&cohort, &answer[0].1, |shares| shares.entries[1].1 = shares.entries[0].1.clone());
    let refused = mask(&cohort, clients.remove(0), &inbox).unwrap_err();
    assert_eq!(refused, MpcError::BadSignature(client(2)));
}

#[test]
fn a_ciphertext_copied_by_an_accomplice_under_its_own_signature_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.shared();
    let (params, accomplice) = (cohort.params.clone(), cohort.clients[2].clone());
    let inbox = inbox_with(&cohort, &answer[0].1, |shares| {
        let associated = SealedShare::associated(&params, Cohort::id(2), Cohort::id(0), &shares.roster);
        let copied = shares.entries[0].1.ciphertext.clone();
        shares.entries[1].1 = SealedShare::sign(&associated, copied, &accomplice);
    });
    let refused = mask(&cohort, clients.remove(0), &inbox).unwrap_err();
    assert_eq!(refused, MpcError::BadShare(Cohort::id(2)));
}

#[test]
fn shares_meant_for_another_client_are_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.shared();
    // The inbox of client 1 holds an entry of client 0, which does not write to itself.
    assert_eq!(mask(&cohort, clients.remove(0), &answer[1].1).unwrap_err(), MpcError::UnknownSender(client(0)));
    let other =
        SealedShares::decode(&cohort.params, SEALED_LENGTH, Envelope::decode(&answer[3].1).unwrap().body).unwrap();
    let inbox = inbox_with(&cohort, &answer[1].1, |shares| shares.entries[0] = other.entries[0].clone());
    assert_eq!(mask(&cohort, clients.remove(0), &inbox).unwrap_err(), MpcError::BadSignature(client(0)));
}

#[test]
fn an_inbox_for_another_roster_or_below_the_minimum_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.shared();
    let inbox = inbox_with(&cohort, &answer[0].1, |shares| shares.roster[0] ^= 1);
    let refused = mask(&cohort, clients.remove(0), &inbox).unwrap_err();
    assert_eq!(refused, MpcError::InconsistentView(SERVER));
    let inbox = inbox_with(&cohort, &answer[1].1, |shares| shares.entries.truncate(1));
    let refused = mask(&cohort, clients.remove(0), &inbox).unwrap_err();
    assert_eq!(refused, MpcError::TooFewClients { phase: Phase::Sharing, got: 2, needed: 3 });
}

#[test]
fn clients_that_were_told_of_other_sharers_do_not_sign() {
    let mut cohort = Cohort::new(5);
    let After { mut clients, mut server, answer, .. } = cohort.shared();
    let inbox = inbox_with(&cohort, &answer[0].1, |shares| shares.entries.truncate(3));
    let (deceived, vector) = mask(&cohort, clients.remove(0), &inbox).unwrap();
    assert_eq!(server.receive(&vector), Err(MpcError::InconsistentView(client(0))));
    let mut claim = Vec::new();
    for (index, client) in clients.into_iter().enumerate() {
        let (_, message) = client.mask(&answer[index + 1].1, &cohort.inputs[index + 1], &*cohort.journal).unwrap();
        server.receive(&message).unwrap();
        claim = message;
    }
    assert!(!claim.is_empty());
    let (_, claim) = server.close().unwrap();
    let claim = claim_with(&cohort, &claim, &[0, 1, 2, 3]);
    assert_eq!(deceived.sign(&claim, &*cohort.journal).unwrap_err(), MpcError::InconsistentView(SERVER));
}

#[test]
fn a_claim_that_is_too_small_or_leaves_the_reader_out_or_adds_a_client_is_refused() {
    let mut cohort = Cohort::new(5);
    let After { mut clients, answer: claim, .. } = cohort.masked(5);
    let mut refused = |survivors: &[usize]| {
        let claim = claim_with(&cohort, &claim, survivors);
        clients.remove(0).sign(&claim, &*cohort.journal).unwrap_err()
    };
    assert_eq!(refused(&[0, 1, 2]), MpcError::TooFewClients { phase: Phase::Masking, got: 3, needed: 4 });
    assert_eq!(refused(&[0, 2, 3, 4]), MpcError::LeftOut(Cohort::id(1)));

    // Client 4 does not share; the claim lists it all the same.
    let mut cohort = Cohort::new(5);
    let After { clients, mut server, answer: roster, .. } = cohort.advertised();
    let mut sharing = Vec::new();
    for client in clients.into_iter().take(4) {
        let (client, message) = client.share(&roster, &mut cohort.rng).unwrap();
        server.receive(&message).unwrap();
        sharing.push(client);
    }
    let (_, inboxes) = server.close().unwrap();
    let (masked, _) = mask(&cohort, sharing.remove(0), &inboxes[0].1).unwrap();
    let hash = Roster::hash(&cohort.params, Envelope::decode(&roster).unwrap().body);
    let view = view_hash(&cohort.params, &hash, &set(&cohort, &[0, 1, 2, 3]));
    let body = Claim { view, survivors: set(&cohort, &[0, 1, 2, 4]) }.encode();
    let claim = cohort.by_server(Kind::Claim, &body);
    assert_eq!(masked.sign(&claim, &*cohort.journal).unwrap_err(), MpcError::NeverShared(Cohort::id(4)));
}

/// The server claims one set to some clients and another to the rest: overlapping lists of survivors and dropped.
/// No mixture of the signatures it gets is a quorum, so it opens neither secret of client 4, let alone both.
#[test]
fn overlapping_survivor_and_dropped_lists_open_nothing() {
    let mut cohort = Cohort::new(5);
    let After { clients, answer: claim, .. } = cohort.masked(5);
    let with = claim_with(&cohort, &claim, &[0, 1, 2, 3, 4]);
    let without = claim_with(&cohort, &claim, &[0, 1, 2, 3]);
    let mut signed = Vec::new();
    let mut signatures = Vec::new();
    for (index, client) in clients.into_iter().take(4).enumerate() {
        let claim = if index < 2 { &with } else { &without };
        let (client, message) = client.sign(claim, &*cohort.journal).unwrap();
        signatures.push((client.id(), Envelope::decode(&message).unwrap().signature()));
        signed.push(client);
    }
    let hash = |claim: &[u8]| {
        let body = Envelope::decode(claim).unwrap().body;
        Claim::decode(&cohort.params, body).unwrap().hash(&cohort.params)
    };
    let quorum = |claim: &[u8], signatures: &[_]| {
        let body = Quorum { claim: hash(claim), signatures: signatures.to_vec() }.encode();
        cohort.by_server(Kind::Quorum, &body)
    };
    let mut release = |message: Vec<u8>| signed.remove(0).release(&message, &*cohort.journal).unwrap_err();
    let too_few = MpcError::TooFewClients { phase: Phase::Signing, got: 2, needed: 4 };
    assert_eq!(release(quorum(&with, &signatures[..2])), too_few);
    assert_eq!(release(quorum(&with, &signatures)), MpcError::BadSignature(client(2)));
    assert_eq!(release(quorum(&with, &signatures)), MpcError::ClaimMismatch);
    assert_eq!(release(quorum(&without, &signatures)), MpcError::BadSignature(client(0)));
}

/// Each honest client releases one secret of each peer, the one that follows from the set that it signed.
#[test]
fn a_client_releases_exactly_one_secret_of_each_peer() {
    let mut cohort = Cohort::new(5);
    let (_, sent) = cohort.released(4);
    for message in sent {
        let body = Envelope::decode(&message).unwrap().body;
        let (_, releases) = Release::decode_all(body, 5).unwrap();
        for (index, release) in releases.iter().enumerate() {
            assert_eq!(matches!(release, Release::SelfMask(_)), index < 4);
        }
    }
}

#[test]
fn a_quorum_with_forged_repeated_or_foreign_signatures_is_refused() {
    let mut cohort = Cohort::new(5);
    let After { mut clients, answer: honest, .. } = cohort.signed(4);
    let body = Envelope::decode(&honest).unwrap().body;
    let quorum = |change: &dyn Fn(&mut Quorum)| {
        let mut quorum = Quorum::decode(&cohort.params, body).unwrap();
        change(&mut quorum);
        cohort.by_server(Kind::Quorum, &quorum.encode())
    };
    let mut refused =
        |change: &dyn Fn(&mut Quorum)| clients.remove(0).release(&quorum(change), &*cohort.journal).unwrap_err();
    assert_eq!(refused(&|quorum| quorum.signatures[1].1[40] ^= 1), MpcError::BadSignature(client(1)));
    assert_eq!(
        refused(&|quorum| quorum.signatures[3] = quorum.signatures[2]),
        MpcError::Malformed { what: "clients in ascending order" }
    );
    // Client 4 is registered, but not a survivor.
    assert_eq!(refused(&|quorum| quorum.signatures[3].0 = Cohort::id(4)), MpcError::UnknownSender(client(4)));
    assert_eq!(refused(&|quorum| quorum.claim[0] ^= 1), MpcError::ClaimMismatch);
}

#[test]
fn a_restored_client_does_not_mask_another_input_but_repeats_its_bytes() {
    let mut first = Cohort::new(4);
    let After { sent, .. } = first.masked(4);
    let mut again = first.restored();
    let After { sent: repeated, .. } = again.masked(4);
    assert_eq!(sent, repeated);

    let mut other = first.restored();
    let After { mut clients, answer, .. } = other.shared();
    let input: Vec<i64> = other.inputs[0].iter().map(|value| value ^ 1).collect();
    let refused = clients.remove(0).mask(&answer[0].1, &input, &*other.journal).unwrap_err();
    assert_eq!(refused, committed(0, &other, Step::Masked));
}

#[test]
fn a_restored_client_does_not_mask_under_fresh_keys() {
    let mut first = Cohort::new(4);
    first.masked(4);
    let mut fresh = first.restored();
    fresh.rng = ChaCha20Rng::from_seed([99; 32]);
    let After { mut clients, answer, .. } = fresh.shared();
    let refused = mask(&fresh, clients.remove(0), &answer[0].1).unwrap_err();
    assert_eq!(refused, committed(0, &fresh, Step::Masked));
}

#[test]
fn a_restored_client_does_not_sign_a_second_survivor_set() {
    let mut first = Cohort::new(5);
    first.signed(5);
    let mut again = first.restored();
    let After { mut clients, answer: claim, .. } = again.masked(5);
    let second = claim_with(&again, &claim, &[0, 1, 2, 3]);
    let refused = clients.remove(0).sign(&second, &*again.journal).unwrap_err();
    assert_eq!(refused, committed(0, &again, Step::Signed));
}

#[test]
fn a_second_release_is_refused_unless_it_is_the_same() {
    let mut first = Cohort::new(4);
    let (_, sent) = first.released(4);
    let mut again = first.restored();
    let (_, repeated) = again.released(4);
    assert_eq!(sent, repeated);

    let mut other = Cohort::new(4);
    let (id, session, round) = (Cohort::id(0), other.params.session(), other.params.round());
    other.journal.commit(id, session, round, Step::Released, [0; 32]).unwrap();
    let After { mut clients, answer: quorum, .. } = other.signed(4);
    let refused = clients.remove(0).release(&quorum, &*other.journal).unwrap_err();
    assert_eq!(refused, committed(0, &other, Step::Released));
}

#[test]
fn nothing_leaves_when_the_journal_fails() {
    struct Broken;
    impl Journal for Broken {
        fn commit(&self, _: ClientId, _: SessionId, _: Round, _: Step, _: [u8; 32]) -> Result<(), MpcError> {
            Err(MpcError::Journal("disk full".into()))
        }
    }
    let failed = MpcError::Journal("disk full".into());
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.shared();
    let refused = clients.remove(0).mask(&answer[0].1, &cohort.inputs[0], &Broken).unwrap_err();
    assert_eq!(refused, failed);
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.masked(4);
    assert_eq!(clients.remove(0).sign(&answer, &Broken).unwrap_err(), failed);
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.signed(4);
    assert_eq!(clients.remove(0).release(&answer, &Broken).unwrap_err(), failed);
}

/// A sealed share that the server made up cannot carry the dealer's signature.
#[test]
fn a_share_made_up_by_the_server_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { clients, sent, .. } = cohort.advertised();
    let keys = advertisement(&sent[0]);
    drop(clients);
    let mut cohort = cohort.restored();
    let After { mut clients, answer, .. } = cohort.shared();
    let (params, server) = (cohort.params.clone(), cohort.server.clone());
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let inbox = inbox_with(&cohort, &answer[0].1, |shares| {
        let associated = SealedShare::associated(&params, Cohort::id(1), Cohort::id(0), &shares.roster);
        let sealed = ChannelKey::seal(&keys.channel, &associated, &[0; 64], &mut rng).unwrap();
        shares.entries[0].1 = SealedShare::sign(&associated, sealed, &server);
    });
    assert_eq!(mask(&cohort, clients.remove(0), &inbox).unwrap_err(), MpcError::BadSignature(client(1)));
}

/// What the server would learn of a late vector: with the mask key of its owner nothing, with both secrets everything.
/// The second needs two runs of one client, which the journal prevents.
#[test]
fn a_late_vector_is_hidden_until_both_secrets_are_open() {
    use super::super::keys::{MaskKey, PairSecret, SelfMask};
    use crate::mask::{Mask, Sign, apply};
    use crate::share::{Point, Shamir, Share};

    let late = 4;
    let shares_about_late = |sent: Vec<Vec<u8>>| -> Vec<Share<_>> {
        let value = |message: &Vec<u8>| {
            let (_, releases) = Release::decode_all(Envelope::decode(message).unwrap().body, 5).unwrap();
            match releases[late] {
                Release::SelfMask(value) | Release::MaskKey(value) => value,
            }
        };
        sent.iter().enumerate().map(|(index, message)| Share::new(Point::of_index(index), value(message))).collect()
    };
    let sharing = Shamir::new(4, 5).unwrap();
    let dropped = sharing.reconstruct(&shares_about_late(Cohort::new(5).released(4).1)).unwrap();
    let counted = sharing.reconstruct(&shares_about_late(Cohort::new(5).released(5).1)).unwrap();

    let mut cohort = Cohort::new(5);
    let keys: Vec<Advertise> = cohort.restored().advertised().sent.iter().map(|sent| advertisement(sent)).collect();
    let vector = cohort.masked(5).sent.remove(late);
    let packed = &Envelope::decode(&vector).unwrap().body[32..];
    let (params, owner) = (&*cohort.params, Cohort::id(late));
    let bits = params.modulus_bits();
    let mut sums = vec![0; params.length()];
    bits.add_packed(packed, &mut sums);

    let key = MaskKey::from_scalar(dropped).exchange_key(params);
    let common: Vec<Mask> = (0..4)
        .map(|peer| Mask {
            seed: PairSecret::agree(&key, &keys[peer].mask).unwrap().seed(params, owner, Cohort::id(peer)),
            // The last client subtracts all its common masks.
            sign: Sign::Plus,
        })
        .collect();
    apply(&common, &mut sums);
    let read = |sums: &[u32]| sums.iter().map(|word| bits.centred(*word)).collect::<Vec<_>>();
    assert_ne!(read(&sums), cohort.inputs[late]);
    let own = Mask { seed: SelfMask::from_scalar(counted).seed(params, owner), sign: Sign::Minus };
    apply(&[own], &mut sums);
    assert_eq!(read(&sums), cohort.inputs[late]);
}
