//! Messages of a round in any order, any number of times.

use proptest::prelude::*;

use super::*;

const CLIENTS: usize = 4;

/// What all clients send in each of the five steps.
fn sent() -> [Vec<Vec<u8>>; 5] {
    let cohort = Cohort::new(CLIENTS);
    [
        cohort.restored().advertised().sent,
        cohort.restored().shared().sent,
        cohort.restored().masked(CLIENTS).sent,
        cohort.restored().signed(CLIENTS).sent,
        cohort.restored().released(CLIENTS).1,
    ]
}

/// Delivers some messages of all steps, then all of the step that is due; only the latter may be taken, once each.
fn deliver(
    all: &[Vec<Vec<u8>>; 5],
    step: usize,
    order: &[(usize, usize)],
    mut receive: impl FnMut(&[u8]) -> Result<ClientId, MpcError>,
) {
    let due = (0..CLIENTS).map(|client| (step, client));
    let mut taken = [false; CLIENTS];
    for (of, client) in order.iter().copied().chain(due) {
        let id = Cohort::id(client);
        let result = receive(&all[of][client]);
        if of == step && !taken[client] {
            assert_eq!(result, Ok(id));
            taken[client] = true;
        } else if of == step {
            assert!(matches!(result, Err(MpcError::DuplicateMessage { client, .. }) if client == id));
        } else if of < step {
            assert!(matches!(result, Err(MpcError::Late { client, .. }) if client == id));
        } else {
            assert!(
                matches!(result, Err(MpcError::UnexpectedKind { sender: Party::Client(client), .. }) if client == id)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn repeated_late_and_early_messages_change_nothing(
        order in prop::collection::vec(prop::collection::vec((0_usize..5, 0..CLIENTS), 0..12), 5),
    ) {
        let all = sent();
        let cohort = Cohort::new(CLIENTS);
        let mut server = cohort.new_server();
        deliver(&all, 0, &order[0], |message| server.receive(message));
        let (mut server, _) = server.close().unwrap();
        deliver(&all, 1, &order[1], |message| server.receive(message));
        let (mut server, _) = server.close().unwrap();
        deliver(&all, 2, &order[2], |message| server.receive(message));
        let (mut server, _) = server.close().unwrap();
        deliver(&all, 3, &order[3], |message| server.receive(message));
        let (mut server, _) = server.close().unwrap();
        deliver(&all, 4, &order[4], |message| server.receive(message));
        prop_assert_eq!(server.close().unwrap().values, cohort.plain_sum(&(0..CLIENTS)));
    }
}
