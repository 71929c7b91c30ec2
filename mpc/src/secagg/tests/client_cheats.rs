//! What a malicious or broken client may try, and the error that stops it.

use curve25519_dalek::Scalar;

use super::super::messages::{Advertise, Advertisement, Release, SEALED_LENGTH, SealedShare, SealedShares};
use super::*;
use crate::session::ChannelKey;

fn client(index: usize) -> Party {
    Party::Client(Cohort::id(index))
}

fn rejected(index: usize, reason: MpcError) -> MpcError {
    MpcError::Rejected { sender: client(index), reason: Box::new(reason) }
}

/// The shares of one client sealed again with other plaintexts.
fn resealed(cohort: &Cohort, dealer: usize, sent: &[Vec<u8>], shares: &[u8], plaintext: &[u8; 64]) -> Vec<u8> {
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let mut shares =
        SealedShares::decode(&cohort.params, SEALED_LENGTH, Envelope::decode(shares).unwrap().body).unwrap();
    for (to, share) in &mut shares.entries {
        let recipient = cohort.params.client_index(*to).unwrap();
        let keys = Advertise::decode(Envelope::decode(&sent[recipient]).unwrap().body).unwrap();
        let associated = SealedShare::associated(&cohort.params, Cohort::id(dealer), *to, &shares.roster);
        let sealed = ChannelKey::seal(&keys.channel, &associated, plaintext, &mut rng).unwrap();
        *share = SealedShare::sign(&associated, sealed, &cohort.clients[dealer]);
    }
    let entries = shares.entries.iter().map(|(id, share)| (*id, share));
    cohort.by_client(dealer, Kind::Shares, &SealedShares::encode(&shares.roster, entries))
}

/// All after step 2, where one dealer's shares have the given plaintext.
fn shared_with(cohort: &mut Cohort, dealer: usize, plaintext: &[u8; 64]) -> After<Shared, Masking, Inboxes> {
    let After { clients, mut server, sent, answer: roster } = cohort.advertised();
    let mut sharing = Vec::new();
    for (index, client) in clients.into_iter().enumerate() {
        let (client, mut message) = client.share(&roster, &mut cohort.rng).unwrap();
        if index == dealer {
            message = resealed(cohort, dealer, &sent, &message, plaintext);
        }
        server.receive(&message).unwrap();
        sharing.push(client);
    }
    let (server, inboxes) = server.close().unwrap();
    After { clients: sharing, server, sent, answer: inboxes }
}

#[test]
fn a_share_that_is_no_scalar_is_named() {
    let mut cohort = Cohort::new(4);
    let After { mut clients, answer: inboxes, .. } = shared_with(&mut cohort, 2, &[0xff; 64]);
    let refused = clients.remove(0).mask(&inboxes[0].1, &cohort.inputs[0], &*cohort.journal).unwrap_err();
    assert_eq!(refused, MpcError::BadShare(Cohort::id(2)));
}

/// The dealer shares other secrets than it advertised; it drops or stays.
#[test]
fn wrong_secrets_shared_are_found_against_the_advertised_ones() {
    for masking in [4, 5] {
        let mut cohort = Cohort::new(5);
        let mut plaintext = [0; 64];
        plaintext[0] = 9;
        plaintext[32] = 9;
        let After { clients, mut server, answer: inboxes, .. } = shared_with(&mut cohort, 4, &plaintext);
        let mut masked = Vec::new();
        for ((client, (_, inbox)), input) in clients.into_iter().zip(inboxes).zip(&cohort.inputs).take(masking) {
            let (client, message) = client.mask(&inbox, input, &*cohort.journal).unwrap();
            server.receive(&message).unwrap();
            masked.push(client);
        }
        let (mut server, claim) = server.close().unwrap();
        let mut signed = Vec::new();
        for client in masked {
            let (client, message) = client.sign(&claim, &*cohort.journal).unwrap();
            server.receive(&message).unwrap();
            signed.push(client);
        }
        let (mut server, quorum) = server.close().unwrap();
        for client in signed {
            server.receive(&client.release(&quorum, &*cohort.journal).unwrap()).unwrap();
        }
        assert_eq!(server.close(), Err(MpcError::Unrecoverable(Cohort::id(4))));
    }
}

/// One holder releases a wrong share; a spare release of a higher id does not help, by design.
#[test]
fn a_wrong_share_released_aborts_the_round() {
    let mut cohort = Cohort::new(5);
    let After { clients, mut server, answer: quorum, .. } = cohort.signed(5);
    for (index, client) in clients.into_iter().enumerate() {
        let mut message = client.release(&quorum, &*cohort.journal).unwrap();
        if index == 1 {
            let (claim, mut releases) = Release::decode_all(Envelope::decode(&message).unwrap().body, 5).unwrap();
            releases[3] = Release::SelfMask(Scalar::ONE);
            message = cohort.by_client(1, Kind::Release, &Release::encode_all(&claim, &releases));
        }
        server.receive(&message).unwrap();
    }
    assert_eq!(server.close(), Err(MpcError::Unrecoverable(Cohort::id(3))));
}

#[test]
fn a_release_of_the_wrong_secret_is_refused_and_the_right_one_still_counts() {
    let mut cohort = Cohort::new(5);
    let After { clients, mut server, answer: quorum, .. } = cohort.signed(4);
    for client in clients {
        let id = client.id();
        let index = cohort.params.client_index(id).unwrap();
        let message = client.release(&quorum, &*cohort.journal).unwrap();
        let (claim, releases) = Release::decode_all(Envelope::decode(&message).unwrap().body, 5).unwrap();
        for about in 0..5 {
            let mut wrong = releases.clone();
            wrong[about] = match wrong[about] {
                Release::SelfMask(value) => Release::MaskKey(value),
                Release::MaskKey(value) => Release::SelfMask(value),
            };
            let wrong = cohort.by_client(index, Kind::Release, &Release::encode_all(&claim, &wrong));
            let about = Cohort::id(about);
            assert_eq!(server.receive(&wrong), Err(MpcError::WrongRelease { client: id, about }));
        }
        assert_eq!(server.receive(&message), Ok(id));
    }
    assert_eq!(server.close().unwrap().values, cohort.plain_sum(&(0..4)));
}

#[test]
fn an_entry_out_of_range_or_an_input_of_another_length_never_leaves_the_client() {
    let mut cohort = Cohort::with(4, 8, 5, |_| ());
    let After { mut clients, answer, .. } = cohort.shared();
    let mut refused = |input: &[i64]| {
        let index = 4 - clients.len();
        clients.remove(0).mask(&answer[index].1, input, &*cohort.journal).unwrap_err()
    };
    assert_eq!(refused(&[0, 0, 128, 0, 0]), MpcError::OutOfRange { index: 2, bits: 8 });
    assert_eq!(refused(&[0, 0, 0, 0, -129]), MpcError::OutOfRange { index: 4, bits: 8 });
    assert_eq!(refused(&[0; 4]), MpcError::Length { what: "input", expected: 5, got: 4 });
    assert_eq!(refused(&[0; 6]), MpcError::Length { what: "input", expected: 5, got: 6 });
}

#[test]
fn a_vector_too_short_too_long_or_with_padding_is_refused_and_changes_nothing() {
    // 5 entries of 7 bits are 35 bits, so 5 bits of the fifth byte must be zero.
    let mut cohort = Cohort::with(4, 7, 5, |_| ());
    let After { clients, mut server, answer, .. } = cohort.shared();
    let mut masked = Vec::new();
    for (index, client) in clients.into_iter().enumerate() {
        let (client, message) = client.mask(&answer[index].1, &cohort.inputs[index], &*cohort.journal).unwrap();
        let body = Envelope::decode(&message).unwrap().body.to_vec();
        let send = |body: &[u8]| cohort.by_client(index, Kind::Masked, body);
        let length = |got| rejected(index, MpcError::Length { what: "packed vector", expected: 5, got });
        assert_eq!(server.receive(&send(&body[..36])), Err(length(4)));
        assert_eq!(server.receive(&send(&[&body[..], &[0]].concat())), Err(length(6)));
        let mut padded = body.clone();
        padded[36] |= 0x80;
        let what = "bits after the last entry of a packed vector";
        assert_eq!(server.receive(&send(&padded)), Err(rejected(index, MpcError::Malformed { what })));
        let mut elsewhere = body.clone();
        elsewhere[0] ^= 1;
        assert_eq!(server.receive(&send(&elsewhere)), Err(MpcError::InconsistentView(self::client(index))));
        assert_eq!(server.receive(&message), Ok(Cohort::id(index)));
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

#[test]
fn a_message_twice_late_early_foreign_or_forged_is_refused() {
    let mut cohort = Cohort::new(4);
    let After { clients, mut server, sent, answer: roster } = cohort.advertised();
    let late = MpcError::Late { client: Cohort::id(0), got: Kind::Advertise };
    assert_eq!(server.receive(&sent[0]), Err(late));

    let mut clients = clients.into_iter();
    let (_, shares) = clients.next().unwrap().share(&roster, &mut cohort.rng).unwrap();
    assert_eq!(server.receive(&shares), Ok(Cohort::id(0)));
    let twice = MpcError::DuplicateMessage { client: Cohort::id(0), kind: Kind::Shares };
    assert_eq!(server.receive(&shares), Err(twice));

    let early = cohort.by_client(1, Kind::Masked, &[]);
    let unexpected = MpcError::UnexpectedKind { sender: client(1), expected: Kind::Shares, got: Kind::Masked };
    assert_eq!(server.receive(&early), Err(unexpected));

    let (_, shares) = clients.next().unwrap().share(&roster, &mut cohort.rng).unwrap();
    let body = Envelope::decode(&shares).unwrap().body;
    let forged = Envelope::seal(client(1), Kind::Shares, cohort.params.hash(), body, &cohort.clients[2]);
    assert_eq!(server.receive(&forged), Err(MpcError::BadSignature(client(1))));
    let stranger = Party::Client(ClientId(11));
    let foreign = Envelope::seal(stranger, Kind::Shares, cohort.params.hash(), body, &cohort.clients[1]);
    assert_eq!(server.receive(&foreign), Err(MpcError::UnknownSender(stranger)));
    let posing = cohort.by_server(Kind::Shares, body);
    assert_eq!(server.receive(&posing), Err(MpcError::UnknownSender(Party::Server)));
    assert_eq!(server.receive(&shares), Ok(Cohort::id(1)));
}

#[test]
fn a_late_vector_is_discarded() {
    let mut cohort = Cohort::new(4);
    let After { clients, mut server, answer, .. } = cohort.shared();
    let vectors: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(index, client)| client.mask(&answer[index].1, &cohort.inputs[index], &*cohort.journal).unwrap())
        .collect();
    for (_, vector) in &vectors[..3] {
        server.receive(vector).unwrap();
    }
    assert_eq!(server.awaiting(), [Cohort::id(3)]);
    let (mut server, claim) = server.close().unwrap();
    let late = MpcError::Late { client: Cohort::id(3), got: Kind::Masked };
    assert_eq!(server.receive(&vectors[3].1), Err(late));
    // It has no part in the rest of the round: its own check says so, and the server would not listen.
    let consent = cohort.by_client(3, Kind::Consent, &[0; 32]);
    assert_eq!(server.receive(&consent), Err(MpcError::UnknownSender(client(3))));
    let (last, _) = vectors.into_iter().next_back().unwrap();
    assert_eq!(last.sign(&claim, &*cohort.journal).unwrap_err(), MpcError::LeftOut(Cohort::id(3)));
}

#[test]
fn a_message_of_another_round_is_refused_by_the_server() {
    let cohort = Cohort::new(4);
    let mut elsewhere = Cohort::with(4, 16, 5, |builder| builder.round = Round(9));
    let (_, message) = elsewhere.advertise(1);
    let (expected, got) = (*cohort.params.hash(), *elsewhere.params.hash());
    assert_eq!(
        cohort.new_server().receive(&message),
        Err(MpcError::ParamsMismatch { sender: client(1), expected, got })
    );
}

#[test]
fn keys_of_low_order_or_of_another_client_are_refused_by_the_server() {
    let mut cohort = Cohort::new(4);
    let (_, first) = cohort.advertise(0);
    let (_, second) = cohort.advertise(1);
    let mut server = cohort.new_server();
    server.receive(&first).unwrap();
    let decode = |message: &[u8]| Advertise::decode(Envelope::decode(message).unwrap().body).unwrap();
    let (victim, honest) = (decode(&first), decode(&second));
    let send = |keys: Advertise| cohort.by_client(1, Kind::Advertise, &keys.encode());
    let (low, id) = (MpcError::LowOrderKey(Cohort::id(1)), Cohort::id(1));
    assert_eq!(server.receive(&send(Advertise { channel: [0; 32], ..honest })), Err(low.clone()));
    assert_eq!(server.receive(&send(Advertise { mask: [0; 32], ..honest })), Err(low));
    let twice = |first| MpcError::DuplicateKey { first, second: id };
    assert_eq!(server.receive(&send(Advertise { mask: victim.mask, ..honest })), Err(twice(Cohort::id(0))));
    assert_eq!(server.receive(&send(Advertise { channel: victim.mask, ..honest })), Err(twice(Cohort::id(0))));
    assert_eq!(server.receive(&send(Advertise { mask: honest.channel, ..honest })), Err(twice(id)));
    // Other bytes for the same points, as RFC 7748 would read them.
    let mut top = victim;
    top.mask[31] |= 0x80;
    let mut above = victim;
    above.mask = [0xff; 32];
    (above.mask[0], above.mask[31]) = (0xed, 0x7f);
    for other in [top, above] {
        let not_canonical = rejected(1, MpcError::Malformed { what: "mask key" });
        assert_eq!(server.receive(&send(Advertise { mask: other.mask, ..honest })), Err(not_canonical));
    }
    assert_eq!(server.receive(&second), Ok(id));
}

#[test]
fn shares_for_another_roster_or_not_for_everyone_are_refused() {
    let mut cohort = Cohort::new(4);
    let After { clients, mut server, answer: roster, .. } = cohort.advertised();
    let (_, message) = clients.into_iter().next().unwrap().share(&roster, &mut cohort.rng).unwrap();
    let honest = SealedShares::decode(&cohort.params, SEALED_LENGTH, Envelope::decode(&message).unwrap().body).unwrap();
    let send = |roster: &[u8; 32], entries: &[(ClientId, SealedShare)]| {
        let entries = entries.iter().map(|(id, share)| (*id, share));
        cohort.by_client(0, Kind::Shares, &SealedShares::encode(roster, entries))
    };
    let what = "one sealed share for each peer in the roster";
    let incomplete = rejected(0, MpcError::Malformed { what });
    assert_eq!(server.receive(&send(&honest.roster, &honest.entries[1..])), Err(incomplete.clone()));
    let mut to_itself = honest.entries.clone();
    to_itself[0].0 = Cohort::id(0);
    assert_eq!(server.receive(&send(&honest.roster, &to_itself)), Err(incomplete));
    assert_eq!(server.receive(&send(&[0; 32], &honest.entries)), Err(MpcError::InconsistentView(client(0))));
    assert_eq!(server.receive(&message), Ok(Cohort::id(0)));
}

#[test]
fn consent_to_another_set_is_refused_by_the_server() {
    let mut cohort = Cohort::new(4);
    let After { mut server, .. } = cohort.masked(4);
    let other = cohort.by_client(0, Kind::Consent, &[1; 32]);
    assert_eq!(server.receive(&other), Err(rejected(0, MpcError::ClaimMismatch)));
}

#[test]
fn a_release_about_another_claim_is_refused_by_the_server() {
    let mut cohort = Cohort::new(4);
    let After { clients, mut server, answer: quorum, .. } = cohort.signed(4);
    let message = clients.into_iter().next().unwrap().release(&quorum, &*cohort.journal).unwrap();
    let (mut claim, releases) = Release::decode_all(Envelope::decode(&message).unwrap().body, 4).unwrap();
    claim[0] ^= 1;
    let other = cohort.by_client(0, Kind::Release, &Release::encode_all(&claim, &releases));
    assert_eq!(server.receive(&other), Err(rejected(0, MpcError::ClaimMismatch)));
}

#[test]
fn an_identity_that_is_not_the_registered_one_is_refused() {
    let mut cohort = Cohort::new(4);
    let wrong = cohort.clients[1].clone();
    let refused = Client::advertise(cohort.params.clone(), Cohort::id(0), wrong.clone(), &mut cohort.rng);
    assert_eq!(refused.unwrap_err(), MpcError::NotMyIdentity(client(0)));
    let unknown = Client::advertise(cohort.params.clone(), ClientId(1), wrong.clone(), &mut cohort.rng);
    assert_eq!(unknown.unwrap_err(), MpcError::UnknownSender(Party::Client(ClientId(1))));
    let server = Server::new(cohort.params.clone(), wrong);
    assert_eq!(server.unwrap_err(), MpcError::NotMyIdentity(Party::Server));
}
