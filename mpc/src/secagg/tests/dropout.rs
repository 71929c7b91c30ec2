use proptest::prelude::*;

use super::*;

/// Before which step a client disappears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leaves {
    BeforeAdvertising,
    BeforeSharing,
    BeforeMasking,
    BeforeSigning,
    BeforeReleasing,
    Never,
}

use Leaves::{BeforeAdvertising, BeforeMasking, BeforeReleasing, BeforeSharing, BeforeSigning, Never};

const EVERYWHERE: [Leaves; 6] =
    [BeforeAdvertising, BeforeSharing, BeforeMasking, BeforeSigning, BeforeReleasing, Never];

/// One round in which the clients leave as told.
fn run(cohort: &mut Cohort, leaves: &[Leaves]) -> Result<Sum, MpcError> {
    let stays = |index: usize, step: Leaves| leaves[index] > step;
    let mut server = cohort.new_server();
    let mut clients = Vec::new();
    for index in 0..leaves.len() {
        if stays(index, BeforeAdvertising) {
            let (client, message) = cohort.advertise(index);
            server.receive(&message)?;
            clients.push((index, client));
        }
    }
    let (mut server, roster) = server.close()?;
    let mut sharing = Vec::new();
    for (index, client) in clients {
        if stays(index, BeforeSharing) {
            let (client, message) = client.share(&roster, &mut cohort.rng)?;
            server.receive(&message)?;
            sharing.push((index, client));
        }
    }
    let (mut server, inboxes) = server.close()?;
    let mut masking = Vec::new();
    for ((index, client), (to, inbox)) in sharing.into_iter().zip(inboxes) {
        assert_eq!(client.id(), to);
        if stays(index, BeforeMasking) {
            let (client, message) = client.mask(&inbox, &cohort.inputs[index], &*cohort.journal)?;
            server.receive(&message)?;
            masking.push((index, client));
        }
    }
    let (mut server, claim) = server.close()?;
    let mut signing = Vec::new();
    for (index, client) in masking {
        if stays(index, BeforeSigning) {
            let (client, message) = client.sign(&claim, &*cohort.journal)?;
            server.receive(&message)?;
            signing.push((index, client));
        }
    }
    let (mut server, quorum) = server.close()?;
    for (index, client) in signing {
        if stays(index, BeforeReleasing) {
            server.receive(&client.release(&quorum, &*cohort.journal)?)?;
        }
    }
    server.close()
}

/// The sum is exact over those who masked, or the first step with too few clients is named.
fn check(cohort: &mut Cohort, leaves: &[Leaves]) {
    let result = run(cohort, leaves);
    let (survivors, threshold) = (cohort.params.min_survivors(), cohort.params.threshold());
    for (step, phase, needed) in [
        (BeforeAdvertising, Phase::Advertising, survivors),
        (BeforeSharing, Phase::Sharing, survivors),
        (BeforeMasking, Phase::Masking, survivors),
        (BeforeSigning, Phase::Signing, threshold),
        (BeforeReleasing, Phase::Releasing, threshold),
    ] {
        let got = leaves.iter().filter(|leaves| **leaves > step).count();
        if got < needed {
            let expected = MpcError::TooFewClients { phase, got, needed };
            assert_eq!(result, Err(expected), "{leaves:?}");
            return;
        }
    }
    let counted = (0..leaves.len()).filter(|index| leaves[*index] > BeforeMasking);
    let missing = (0..leaves.len()).filter(|index| leaves[*index] <= BeforeMasking);
    let sum = result.unwrap_or_else(|error| panic!("{leaves:?}: {error}"));
    assert_eq!(sum.values, cohort.plain_sum(&counted), "{leaves:?}");
    assert_eq!(sum.contributors, counted.map(Cohort::id).collect::<Vec<_>>());
    assert_eq!(sum.dropped, missing.map(Cohort::id).collect::<Vec<_>>());
}

fn check_every_pattern(clients: usize, points: &[Leaves]) {
    for pattern in 0..points.len().pow(clients as u32) {
        let leaves: Vec<Leaves> =
            (0..clients).map(|client| points[pattern / points.len().pow(client as u32) % points.len()]).collect();
        check(&mut Cohort::new(clients), &leaves);
    }
}

#[test]
fn every_dropout_pattern_of_three_clients_gives_the_sum_or_an_abort() {
    check_every_pattern(3, &EVERYWHERE);
}

#[test]
fn every_dropout_pattern_of_four_clients_gives_the_sum_or_an_abort() {
    check_every_pattern(4, &EVERYWHERE);
}

#[test]
fn four_points_of_dropout_of_five_clients_give_the_sum_or_an_abort() {
    check_every_pattern(5, &[BeforeSharing, BeforeMasking, BeforeReleasing, Never]);
}

#[test]
fn sums_equal_plain_addition_for_every_usual_width() {
    for bits in [1, 8, 16, 22, 31, 32] {
        let mut cohort = Cohort::with(4, bits, 9001, |_| ());
        check(&mut cohort, &[Never, BeforeMasking, Never, Never]);
    }
}

#[test]
fn a_higher_threshold_and_minimum_are_kept() {
    let strict = |builder: &mut ParamsBuilder| {
        builder.threshold = 5;
        builder.min_survivors = 6;
    };
    for leaving in [BeforeMasking, BeforeSigning, BeforeReleasing] {
        for count in 0..4 {
            let mut leaves = [Never; 7];
            leaves[..count].fill(leaving);
            check(&mut Cohort::with(7, 16, 5, strict), &leaves);
        }
    }
}

/// The parallel and the portable build must agree on this hash, which both test runs compare.
#[test]
fn the_transcript_of_a_seeded_round_does_not_change() {
    let sum = run(&mut Cohort::with(4, 22, 9001, |_| ()), &[Never, BeforeMasking, Never, Never]).unwrap();
    assert_eq!(hex::encode(sum.transcript), "ec409ddb0e28186459044cf8316208c9f4dca0fb898bd1302cc48aac6d675ebe");
}

#[test]
fn the_transcript_depends_on_every_event() {
    let honest = run(&mut Cohort::new(4), &[Never; 4]).unwrap();
    let mut seen = vec![honest.transcript];
    for left in [BeforeSharing, BeforeMasking, BeforeSigning] {
        let leaves = [Never, Never, Never, left];
        seen.push(run(&mut Cohort::new(4), &leaves).unwrap().transcript);
    }
    let mut other = Cohort::new(4);
    other.inputs[0][0] ^= 1;
    seen.push(run(&mut other, &[Never; 4]).unwrap().transcript);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn random_dropouts_of_many_clients_give_the_sum_or_an_abort(
        clients in 6_usize..=64,
        dropouts in prop::collection::vec((0_usize..64, 0_usize..5), 0..16),
    ) {
        let mut leaves = vec![Never; clients];
        for (client, point) in dropouts {
            leaves[client % clients] = EVERYWHERE[point];
        }
        check(&mut Cohort::new(clients), &leaves);
    }
}
