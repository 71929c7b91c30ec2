use proptest::prelude::*;

use super::*;

/// Before which step a client disappears: 0 is the first, 5 never.
type Leaves = u8;

const NEVER: Leaves = 5;

/// One round in which the clients leave as told.
fn run(cohort: &mut Cohort, leaves: &[Leaves]) -> Result<Sum, MpcError> {
    let stays = |index: usize, step: Leaves| leaves[index] > step;
    let mut server = cohort.new_server();
    let mut clients = Vec::new();
    for index in (0..leaves.len()).filter(|index| stays(*index, 0)) {
        let (client, message) = cohort.advertise(index);
        server.receive(&message)?;
        clients.push((index, client));
    }
    let (mut server, roster) = server.close()?;
    let mut sharing = Vec::new();
    for (index, client) in clients.into_iter().filter(|(index, _)| stays(*index, 1)) {
        let (client, message) = client.share(&roster, &mut cohort.rng)?;
        server.receive(&message)?;
        sharing.push((index, client));
    }
    let (mut server, inboxes) = server.close()?;
    let mut masking = Vec::new();
    for ((index, client), (to, inbox)) in sharing.into_iter().zip(inboxes) {
        assert_eq!(client.id(), to);
        if stays(index, 2) {
            let (client, message) = client.mask(&inbox, &cohort.inputs[index], &*cohort.journal, &mut cohort.rng)?;
            server.receive(&message)?;
            masking.push((index, client));
        }
    }
    let (mut server, claim) = server.close()?;
    let mut signing = Vec::new();
    for (index, client) in masking.into_iter().filter(|(index, _)| stays(*index, 3)) {
        let (client, message) = client.sign(&claim, &*cohort.journal)?;
        server.receive(&message)?;
        signing.push((index, client));
    }
    let (mut server, quorum) = server.close()?;
    for (_, client) in signing.into_iter().filter(|(index, _)| stays(*index, 4)) {
        server.receive(&client.release(&quorum, &*cohort.journal)?)?;
    }
    server.close()
}

/// The sum is exact over those who masked, or the first step with too few clients is named.
fn check(cohort: &mut Cohort, leaves: &[Leaves]) {
    let result = run(cohort, leaves);
    let (survivors, threshold) = (cohort.params.common().min_survivors(), cohort.params.common().threshold());
    for (step, phase, needed) in [
        (0, Phase::Advertising, survivors),
        (1, Phase::Sharing, survivors),
        (2, Phase::Masking, survivors),
        (3, Phase::Signing, threshold),
        (4, Phase::Releasing, threshold),
    ] {
        let got = leaves.iter().filter(|leaves| **leaves > step).count();
        if got < needed {
            assert_eq!(result, Err(MpcError::TooFewClients { phase, got, needed }), "{leaves:?}");
            return;
        }
    }
    let counted = (0..leaves.len()).filter(|index| leaves[*index] > 2);
    let sum = result.unwrap_or_else(|error| panic!("{leaves:?}: {error}"));
    assert_eq!(sum.values, cohort.plain_sum(&counted), "{leaves:?}");
    assert_eq!(sum.contributors, counted.map(id).collect::<Vec<_>>());
    assert_eq!(sum.dropped, (0..leaves.len()).filter(|index| leaves[*index] <= 2).map(id).collect::<Vec<_>>());
}

#[test]
fn every_dropout_pattern_of_three_and_four_clients_gives_the_sum_or_an_abort() {
    for clients in [3, 4] {
        for pattern in 0..6_usize.pow(clients as u32) {
            let leaves: Vec<Leaves> = (0..clients).map(|at| (pattern / 6_usize.pow(at as u32) % 6) as Leaves).collect();
            check(&mut Cohort::new(clients), &leaves);
        }
    }
}

#[test]
fn a_higher_threshold_and_minimum_are_kept() {
    for leaving in [2, 3, 4] {
        for count in 0..4 {
            let mut leaves = [NEVER; 7];
            leaves[..count].fill(leaving);
            check(&mut Cohort::with(7, |builder| (builder.threshold, builder.min_survivors) = (5, 6)), &leaves);
        }
    }
}

/// Whoever releases, the sum is the same: no set of them is fixed before.
#[test]
fn any_threshold_of_the_releases_opens_the_sum() {
    let cohort = Cohort::new(7);
    let expected = cohort.plain_sum(&(0..6));
    for skipped in 0..6 {
        let (_, releases) = cohort.restored().released(6);
        let After { mut server, .. } = cohort.restored().signed(6);
        for (_, release) in releases.iter().enumerate().filter(|(index, _)| *index != skipped) {
            server.receive(release).unwrap();
        }
        assert_eq!(server.close().unwrap().values, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn random_dropouts_of_many_clients_give_the_sum_or_an_abort(
        clients in 6_usize..=40,
        dropouts in prop::collection::vec((0_usize..64, 0_u8..5), 0..12),
    ) {
        let mut leaves = vec![NEVER; clients];
        for (client, point) in dropouts {
            leaves[client % clients] = point;
        }
        check(&mut Cohort::new(clients), &leaves);
    }
}
