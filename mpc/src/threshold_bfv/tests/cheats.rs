//! What a malicious server or client may try, and the error that stops it.

use nexus_fhe::ring::{Ntt, Poly};

use super::super::messages::{Advertise, Masked as MaskedBody, Release, encode_share};
use super::*;
use crate::journal::{Journal, Step};
use crate::secagg::members::Members;
use crate::secagg::messages::{Advertisement, Claim, Quorum, Roster, SealedShare, SealedShares};
use crate::session::ChannelKey;

fn rejected(index: usize, reason: MpcError) -> MpcError {
    MpcError::Rejected { sender: client(index), reason: Box::new(reason) }
}

fn committed(index: usize, cohort: &Cohort, step: Step) -> MpcError {
    let (session, round) = (cohort.params.common().session(), cohort.params.common().round());
    MpcError::AlreadyCommitted { client: id(index), session, round, step }
}

fn roster_with(cohort: &Cohort, sent: &[Vec<u8>], index: usize, changed: &[u8]) -> Vec<u8> {
    let messages = sent.iter().enumerate().map(|(at, message)| if at == index { changed } else { message });
    cohort.by_server(Kind::Roster, &Roster::encode(messages))
}

fn sealed(cohort: &Cohort, message: &[u8]) -> SealedShares {
    let body = Envelope::decode(message).unwrap().body;
    SealedShares::decode(cohort.params.common(), cohort.params.layout().sealed_length(), body).unwrap()
}

fn encode(shares: &SealedShares) -> Vec<u8> {
    SealedShares::encode(&shares.roster, shares.entries.iter().map(|(id, share)| (*id, share)))
}

/// The honest claim's view with another survivor set.
fn claim_with(cohort: &Cohort, honest: &[u8], survivors: &[usize]) -> Vec<u8> {
    let common = cohort.params.common();
    let view = Claim::decode(common, Envelope::decode(honest).unwrap().body).unwrap().view;
    let mut members = Members::none(common);
    for index in survivors {
        members.insert(*index);
    }
    cohort.by_server(Kind::Claim, &Claim { view, survivors: members }.encode())
}

#[test]
fn a_peer_that_was_shown_another_model_is_named() {
    let mut cohort = Cohort::new(4);
    let mut elsewhere = Cohort::with(4, |builder| builder.model_hash = [44; 32]);
    let (_, deceived) = elsewhere.advertise(2);
    let After { mut clients, sent, .. } = cohort.advertised();
    let refused = clients.remove(0).share(&roster_with(&cohort, &sent, 2, &deceived), &mut cohort.rng).unwrap_err();
    let (expected, got) = (*cohort.params.hash(), *elsewhere.params.hash());
    assert_eq!(refused, MpcError::ParamsMismatch { sender: client(2), expected, got });
    assert_eq!(
        cohort.new_server().receive(&deceived),
        Err(MpcError::ParamsMismatch { sender: client(2), expected, got })
    );
}

/// Even if a server added up what clients of two models sent, it could open nothing: their public polynomials differ.
#[test]
fn ciphertexts_for_another_model_do_not_add_up() {
    let mut cohort = Cohort::new(4);
    let (mut server, _) = cohort.released(4);
    let elsewhere = Cohort::with(4, |builder| builder.model_hash = [44; 32]);
    assert_ne!(cohort.params.seed(&[1; 32]), elsewhere.params.seed(&[1; 32]));
    assert_ne!(cohort.params.seed(&[1; 32]), cohort.params.seed(&[2; 32]));
    server.params = elsewhere.params.clone();
    assert_eq!(server.close(), Err(MpcError::DoesNotOpen));
}

/// Signed by the same clients, for the other protocol with the very same parameters.
#[test]
fn messages_of_the_other_protocol_are_refused() {
    let cohort = Cohort::new(4);
    let others = Arc::new(common(4, |_| ()));
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let (_, message) = secagg::Client::advertise(others.clone(), id(1), cohort.clients[1].clone(), &mut rng).unwrap();
    let (expected, got) = (*cohort.params.hash(), *others.hash());
    assert_eq!(
        cohort.new_server().receive(&message),
        Err(MpcError::ParamsMismatch { sender: client(1), expected, got })
    );
}

#[test]
fn keys_of_low_order_or_of_another_client_are_refused_by_server_and_peers() {
    let mut cohort = Cohort::new(4);
    let After { clients, sent, .. } = cohort.advertised();
    let mut clients = clients.into_iter();
    let low = cohort.by_client(3, Kind::Advertise, &[0; 32]);
    let copied = cohort.by_client(3, Kind::Advertise, Envelope::decode(&sent[1]).unwrap().body);
    let mut peer = |message: &[u8]| {
        let roster = roster_with(&cohort, &sent, 3, message);
        clients.next().unwrap().share(&roster, &mut ChaCha20Rng::from_seed([9; 32])).unwrap_err()
    };
    assert_eq!(peer(&low), MpcError::LowOrderKey(id(3)));
    assert_eq!(peer(&copied), MpcError::DuplicateKey { first: id(1), second: id(3) });
    let mut server = cohort.new_server();
    server.receive(&sent[1]).unwrap();
    assert_eq!(server.receive(&low), Err(MpcError::LowOrderKey(id(3))));
    assert_eq!(server.receive(&copied), Err(MpcError::DuplicateKey { first: id(1), second: id(3) }));
    // The reader's own message replaced, as an image restored in the middle of a round would have made it.
    let (_, other) = cohort.advertise(2);
    let replaced = clients.next().unwrap().share(&roster_with(&cohort, &sent, 2, &other), &mut cohort.rng).unwrap_err();
    assert_eq!(replaced, MpcError::LeftOut(id(2)));
}

#[test]
fn sealed_shares_that_are_copied_tampered_with_or_malformed_name_their_dealer() {
    let cohort = Cohort::new(4);
    let After { sent: keys, .. } = cohort.restored().advertised();
    let refused = |change: &dyn Fn(&Cohort, &mut SealedShares)| {
        let mut cohort = cohort.restored();
        let After { mut clients, answer, .. } = cohort.shared();
        let mut shares = sealed(&cohort, &answer[0].1);
        change(&cohort, &mut shares);
        let inbox = cohort.by_server(Kind::Inbox, &encode(&shares));
        let input = cohort.inputs[0].clone();
        clients.remove(0).mask(&inbox, &input, &MemoryJournal::new(), &mut cohort.rng).unwrap_err()
    };
    // Another dealer's ciphertext under its id, and again with its own signature: what it is bound to is sealed.
    assert_eq!(
        refused(&|_, shares| shares.entries[1].1 = shares.entries[0].1.clone()),
        MpcError::BadSignature(client(2))
    );
    let signed = |cohort: &Cohort, shares: &SealedShares, dealer: usize, ciphertext| {
        let associated = SealedShare::associated(cohort.params.common(), id(dealer), id(0), &shares.roster);
        SealedShare::sign(&associated, ciphertext, &cohort.clients[dealer])
    };
    assert_eq!(
        refused(&|cohort, shares| {
            shares.entries[1].1 = signed(cohort, shares, 2, shares.entries[0].1.ciphertext.clone());
        }),
        MpcError::BadShare(id(2))
    );
    assert_eq!(refused(&|_, shares| shares.entries[2].1.ciphertext[40] ^= 1), MpcError::BadSignature(client(3)));
    // Sealed well, but no residues: all ones are above every prime.
    let recipient = Advertise::decode(Envelope::decode(&keys[0]).unwrap().body).unwrap();
    assert_eq!(
        refused(&|cohort, shares| {
            let plaintext = vec![0xff; cohort.params.layout().share_length()];
            let associated = SealedShare::associated(cohort.params.common(), id(1), id(0), &shares.roster);
            let mut rng = ChaCha20Rng::from_seed([8; 32]);
            let ciphertext = ChannelKey::seal(&recipient.channel, &associated, &plaintext, &mut rng).unwrap();
            shares.entries[0].1 = signed(cohort, shares, 1, ciphertext);
        }),
        MpcError::BadShare(id(1))
    );
    assert_eq!(
        refused(&|_, shares| shares.entries[0].0 = ClientId(11)),
        MpcError::UnknownSender(Party::Client(ClientId(11)))
    );
    assert_eq!(refused(&|_, shares| shares.roster[0] ^= 1), MpcError::InconsistentView(Party::Server));
    assert_eq!(
        refused(&|_, shares| shares.entries.truncate(1)),
        MpcError::TooFewClients { phase: Phase::Sharing, got: 2, needed: 3 }
    );
}

#[test]
fn an_entry_out_of_range_or_an_input_of_another_length_never_leaves_the_client() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer, .. } = cohort.shared();
    let mut refused = |input: &[i64]| {
        let index = 4 - clients.len();
        clients.remove(0).mask(&answer[index].1, input, &*cohort.journal, &mut cohort.rng).unwrap_err()
    };
    let mut input = vec![0; LENGTH];
    input[2] = 1 << 15;
    assert_eq!(refused(&input), MpcError::OutOfRange { index: 2, bits: 16 });
    assert_eq!(refused(&[0; 4]), MpcError::Length { what: "input", expected: LENGTH, got: 4 });
}

#[test]
fn malformed_vectors_are_refused_and_change_nothing() {
    let mut cohort = Cohort::new(4);
    let After { clients, mut server, answer, .. } = cohort.shared();
    let mut masked = Vec::new();
    for (index, client) in clients.into_iter().enumerate() {
        let (client, message) =
            client.mask(&answer[index].1, &cohort.inputs[index], &*cohort.journal, &mut cohort.rng).unwrap();
        let body = Envelope::decode(&message).unwrap().body.to_vec();
        let send = |body: &[u8]| cohort.by_client(index, Kind::Masked, body);
        let expected = cohort.params.layout().masked_length();
        let length = |got| rejected(index, MpcError::Length { what: "masked vector", expected, got });
        assert_eq!(server.receive(&send(&body[..body.len() - 1])), Err(length(expected - 1)));
        assert_eq!(server.receive(&send(&[&body[..], &[0]].concat())), Err(length(expected + 1)));
        let mut above = body.clone();
        above[32..48].fill(0xff);
        let what = "a residue below its prime";
        assert_eq!(server.receive(&send(&above)), Err(rejected(index, MpcError::Malformed { what })));
        let mut elsewhere = body.clone();
        elsewhere[0] ^= 1;
        assert_eq!(server.receive(&send(&elsewhere)), Err(MpcError::InconsistentView(self::client(index))));
        assert_eq!(server.receive(&message), Ok(id(index)));
        let twice = MpcError::DuplicateMessage { client: id(index), kind: Kind::Masked };
        assert_eq!(server.receive(&message), Err(twice));
        masked.push(client);
    }
    let (mut server, claim) = server.close().unwrap();
    let signed: Vec<_> = masked
        .into_iter()
        .map(|client| {
            let (client, message) = client.sign(&claim, &*cohort.journal).unwrap();
            server.receive(&message).unwrap();
            client
        })
        .collect();
    let (mut server, quorum) = server.close().unwrap();
    for client in signed {
        server.receive(&client.release(&quorum, &*cohort.journal).unwrap()).unwrap();
    }
    assert_eq!(server.close().unwrap().values, cohort.plain_sum(&(0..4)));
}

/// A client's ciphertext that another copies, or one that is only noise, spoils the sum and nothing else.
#[test]
fn a_sum_with_a_ciphertext_that_is_not_of_its_senders_key_does_not_open() {
    let mut cohort = Cohort::new(4);
    let After { clients, mut server, answer, .. } = cohort.shared();
    let mut masked = Vec::new();
    let mut first = Vec::new();
    for (index, client) in clients.into_iter().enumerate() {
        let (client, mut message) =
            client.mask(&answer[index].1, &cohort.inputs[index], &*cohort.journal, &mut cohort.rng).unwrap();
        if index == 0 {
            first = Envelope::decode(&message).unwrap().body.to_vec();
        } else if index == 3 {
            message = cohort.by_client(3, Kind::Masked, &first);
        }
        server.receive(&message).unwrap();
        masked.push(client);
    }
    let (mut server, claim) = server.close().unwrap();
    let signed: Vec<_> = masked
        .into_iter()
        .map(|client| {
            let (client, message) = client.sign(&claim, &*cohort.journal).unwrap();
            server.receive(&message).unwrap();
            client
        })
        .collect();
    let (mut server, quorum) = server.close().unwrap();
    for client in signed {
        server.receive(&client.release(&quorum, &*cohort.journal).unwrap()).unwrap();
    }
    assert_eq!(server.close(), Err(MpcError::DoesNotOpen));
}

#[test]
fn a_wrong_share_released_is_found_when_the_sum_is_opened() {
    let mut cohort = Cohort::new(4);
    let After { clients, mut server, answer: quorum, .. } = cohort.signed(4);
    for (index, client) in clients.into_iter().enumerate() {
        let mut message = client.release(&quorum, &*cohort.journal).unwrap();
        if index == 1 {
            let mut release =
                Release::decode(cohort.params.layout(), Envelope::decode(&message).unwrap().body).unwrap();
            release.share[3] ^= 1;
            message = cohort.by_client(1, Kind::Release, &release.encode(cohort.params.layout()));
        }
        server.receive(&message).unwrap();
    }
    assert_eq!(server.close(), Err(MpcError::DoesNotOpen));
}

#[test]
fn releases_about_another_claim_twice_of_strangers_or_malformed_are_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, mut server, answer: quorum, .. } = cohort.signed(3);
    let message = clients.remove(0).release(&quorum, &*cohort.journal).unwrap();
    let body = Envelope::decode(&message).unwrap().body.to_vec();
    let mut other = body.clone();
    other[0] ^= 1;
    let send = |index: usize, body: &[u8]| cohort.by_client(index, Kind::Release, body);
    assert_eq!(server.receive(&send(0, &other)), Err(rejected(0, MpcError::ClaimMismatch)));
    // It did not sign, for it dropped before.
    assert_eq!(server.receive(&send(3, &body)), Err(MpcError::UnknownSender(client(3))));
    let expected = cohort.params.layout().share_length();
    let short = MpcError::Length { what: "share of a key", expected, got: expected - 1 };
    assert_eq!(server.receive(&send(0, &body[..body.len() - 1])), Err(rejected(0, short)));
    let forged = Envelope::seal(client(0), Kind::Release, cohort.params.hash(), &body, &cohort.clients[1]);
    assert_eq!(server.receive(&forged), Err(MpcError::BadSignature(client(0))));
    assert_eq!(server.receive(&message), Ok(id(0)));
    let twice = MpcError::DuplicateMessage { client: id(0), kind: Kind::Release };
    assert_eq!(server.receive(&message), Err(twice));
}

#[test]
fn a_second_survivor_set_is_refused_by_a_client_that_was_restored() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer: claim, .. } = cohort.masked(4);
    clients.remove(0).sign(&claim, &*cohort.journal).unwrap();
    // The same state again, from an image; its journal remembers.
    let mut image = cohort.restored();
    image.journal = Arc::new(MemoryJournal::new());
    let After { mut clients, .. } = image.masked(4);
    let other = claim_with(&cohort, &claim, &[0, 1, 2]);
    let refused = clients.remove(0).sign(&other, &*cohort.journal).unwrap_err();
    assert_eq!(refused, committed(0, &cohort, Step::Signed));
}

#[test]
fn a_second_release_or_vector_is_refused_by_a_client_that_was_restored() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer: quorum, .. } = cohort.signed(4);
    let first = clients.remove(0).release(&quorum, &*cohort.journal).unwrap();
    // Restored before it signed, and told of another set: its share is another one.
    let mut image = cohort.restored();
    image.journal = Arc::new(MemoryJournal::new());
    let After { mut clients, answer: claim, .. } = image.masked(4);
    let other = claim_with(&image, &claim, &[0, 1, 2]);
    let forgetful = MemoryJournal::new();
    let mut signed = Vec::new();
    let mut signatures = Vec::new();
    for (index, client) in clients.drain(..3).enumerate() {
        let (client, message) = client.sign(&other, &forgetful).unwrap();
        signatures.push((id(index), Envelope::decode(&message).unwrap().signature()));
        signed.push(client);
    }
    let claim = Claim::decode(image.params.common(), Envelope::decode(&other).unwrap().body).unwrap();
    let quorum_body = Quorum { claim: claim.hash(image.params.common()), signatures }.encode();
    let second = signed.remove(0).release(&image.by_server(Kind::Quorum, &quorum_body), &*cohort.journal).unwrap_err();
    assert_eq!(second, committed(0, &cohort, Step::Released));
    // The same bytes may go again.
    let mut image = cohort.restored();
    image.journal = Arc::new(MemoryJournal::new());
    let After { mut clients, answer: quorum, .. } = image.signed(4);
    assert_eq!(clients.remove(0).release(&quorum, &*cohort.journal).unwrap(), first);

    // Another input in the same round.
    let mut image = cohort.restored();
    let After { mut clients, answer, .. } = image.shared();
    let refused = clients.remove(0).mask(&answer[0].1, &[1; LENGTH], &*cohort.journal, &mut image.rng).unwrap_err();
    assert_eq!(refused, committed(0, &cohort, Step::Masked));
}

#[test]
fn claims_and_quorums_that_are_not_the_clients_are_refused() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer: claim, .. } = cohort.masked(4);
    let journal = MemoryJournal::new();
    let mut refused = |claim: &[u8]| clients.remove(0).sign(claim, &journal).unwrap_err();
    assert_eq!(refused(&claim_with(&cohort, &claim, &[1, 2, 3])), MpcError::LeftOut(id(0)));
    let few = MpcError::TooFewClients { phase: Phase::Masking, got: 2, needed: 3 };
    assert_eq!(refused(&claim_with(&cohort, &claim, &[0, 1])), few);
    let mut body = Envelope::decode(&claim).unwrap().body.to_vec();
    body[0] ^= 1;
    assert_eq!(refused(&cohort.by_server(Kind::Claim, &body)), MpcError::InconsistentView(Party::Server));

    let mut cohort = Cohort::new(4);
    let After { mut clients, answer: quorum, .. } = cohort.signed(4);
    let honest = || Quorum::decode(cohort.params.common(), Envelope::decode(&quorum).unwrap().body).unwrap();
    let mut refused = |quorum: Quorum| {
        clients.remove(0).release(&cohort.by_server(Kind::Quorum, &quorum.encode()), &journal).unwrap_err()
    };
    let signatures = honest().signatures[..2].to_vec();
    let few = MpcError::TooFewClients { phase: Phase::Signing, got: 2, needed: 3 };
    assert_eq!(refused(Quorum { signatures, ..honest() }), few);
    assert_eq!(refused(Quorum { claim: [9; 32], ..honest() }), MpcError::ClaimMismatch);
    let mut forged = honest();
    forged.signatures[1].1 = forged.signatures[2].1;
    assert_eq!(refused(forged), MpcError::BadSignature(client(1)));
}

/// The journal is asked before anything leaves, and a journal that fails lets nothing out.
#[test]
fn nothing_leaves_if_the_journal_fails() {
    struct Failing;
    impl Journal for Failing {
        fn commit(&self, _: ClientId, _: SessionId, _: Round, _: Step, _: [u8; 32]) -> Result<(), MpcError> {
            Err(MpcError::Journal("no room".to_owned()))
        }
    }
    let failed = MpcError::Journal("no room".to_owned());
    let mut cohort = Cohort::new(3);
    let After { mut clients, answer, .. } = cohort.shared();
    let input = vec![0; LENGTH];
    assert_eq!(clients.remove(0).mask(&answer[0].1, &input, &Failing, &mut cohort.rng).unwrap_err(), failed);
    let After { mut clients, answer, .. } = cohort.restored().masked(3);
    assert_eq!(clients.remove(0).sign(&answer, &Failing).unwrap_err(), failed);
    let After { mut clients, answer, .. } = Cohort::new(3).signed(3);
    assert_eq!(clients.remove(0).release(&answer, &Failing).unwrap_err(), failed);
}

/// What a server has after a round, of two honest clients: the sum of their keys. The key of one fits any input.
#[test]
fn a_released_share_does_not_depend_on_any_vector() {
    let releases = |inputs: i64| {
        let mut cohort = Cohort::new(4);
        cohort.inputs.iter_mut().for_each(|input| input.fill(inputs));
        let (_, sent) = cohort.released(4);
        let body = |message: &Vec<u8>| Envelope::decode(message).unwrap().body[32..].to_vec();
        sent.iter().map(body).collect::<Vec<_>>()
    };
    assert_eq!(releases(1), releases(-5));
}

#[test]
fn what_is_kept_prints_no_secret() {
    let mut cohort = Cohort::new(3);
    let After { clients, answer, .. } = cohort.shared();
    assert!(format!("{:?}", clients[0]).contains("Secret(..)"));
    assert!(!answer.is_empty());
    let zero: Poly<Ntt> = Poly::zero(cohort.params.layout().ring().ciphertext_basis(), 1);
    assert_eq!(MaskedBody::encode(cohort.params.layout(), &[zero]).len() % 4, 0);
    assert!(
        encode_share(cohort.params.layout(), &cohort.params.layout().inner().sharing.zero()).iter().all(|b| *b == 0)
    );
}
