//! A prover that checks nothing: whatever it commits to and says, only the verifier stands in its way.

use p3_field::{Algebra, PrimeCharacteristicRing};
use rand::rngs::StdRng;
use rand_core::SeedableRng;

use super::*;
use crate::ligero::{self, Committed, Fresh, LigeroError, Parameters};
use crate::logup::{Lookup, Lookups, Table};
use crate::multilinear::{Functional, Term};
use crate::pcs::{HidingWhir, MultilinearPcs, PcsError};
use crate::sumcheck::{self, Summand};
use crate::{ext_from_bytes, ext_to_bytes};

/// `c = a·b` for sixteen rows, `a` below 16, and `a` is what was registered.
struct Toy {
    lookups: Lookups,
    /// Changes the four values that are claimed at the end.
    say: fn(&mut [Ext; 4]),
}

const A: usize = 16;
const B: usize = 32;
const C: usize = 48;
const BLINDING_AT: usize = 64;

struct Difference;

impl Summand<3> for Difference {
    const DEGREE: usize = 2;
    fn evaluate<R: Algebra<Ext> + Copy>(&self, [a, b, c]: [R; 3]) -> R {
        c - a * b
    }
}

impl Toy {
    fn new(say: fn(&mut [Ext; 4])) -> Self {
        let lookup = Lookup { table: 0, columns: vec![A], rows: 16 };
        Self { lookups: Lookups::new(5, vec![(Table::Range { bits: 4 }, 0)], vec![lookup]), say }
    }

    /// The vector, with `a` changed before everything that follows from it.
    fn vector(change: impl FnOnce(&mut [Base])) -> Vec<Base> {
        let mut vector = Base::zero_vec(128);
        for row in 0..16 {
            vector[A + row] = Base::from_usize(row * 7 % 16);
            vector[B + row] = Base::from_usize(row * row + 5);
        }
        change(&mut vector[A..B]);
        for row in 0..16 {
            vector[C + row] = vector[A + row] * vector[B + row];
        }
        // As many multiplicities as there are rows: what is out of the table is counted for the last one.
        for row in 0..16 {
            let at = vector[A..B][row];
            let slot = (0..16).find(|&value| Base::from_usize(value) == at).unwrap_or(15);
            vector[slot] += Base::ONE;
        }
        vector
    }
}

fn column(start: usize, point: &[Ext]) -> Functional {
    let mut functional = Functional::new();
    let (row_point, column_point) = (point.to_vec(), Vec::new());
    functional.push(Term::Block { scale: Ext::ONE, offset: start, rows: 16, row_start: 0, row_point, column_point });
    functional
}

impl Argument for Toy {
    fn variables(&self) -> usize {
        7
    }
    fn blinding(&self) -> usize {
        BLINDING_AT
    }
    fn prove(&self, vector: &[Base], prover: &mut Prover<'_>) {
        self.lookups.prove(vector, prover);
        let point = prover.challenges(4);
        let tables = [A, B, C].map(|start| vector[start..][..16].iter().map(|&entry| Ext::from(entry)).collect());
        let (_, [a, b, c]) = sumcheck::prove(prover, tables, &point, &Difference);
        let challenge = prover.challenge();
        let registered = vector[A..B].iter().zip(challenge.powers()).map(|(&entry, power)| power * entry).sum();
        let mut values = [a, b, c, registered];
        (self.say)(&mut values);
        for value in values {
            prover.send(value);
        }
    }
    fn verify(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
        self.lookups.verify(verifier)?;
        let point = verifier.challenges(4);
        let (at, last) = sumcheck::verify(verifier, Affine::default(), &point, 4, 2)?;
        let challenge = verifier.challenge();
        let [a, b, c] = [verifier.receive()?, verifier.receive()?, verifier.receive()?];
        for (value, start) in [(&a, A), (&b, B), (&c, C)] {
            verifier.claim(column(start, &at), value.clone());
        }
        verifier.assert_products("the product", vec![(-Ext::ONE, a, b)], c - &last)?;
        let registered = verifier.receive()?;
        let powers: Vec<Ext> = challenge.powers().take(16).collect();
        let mut functional = Functional::new();
        functional.push(Term::Outer { offset: A, rows: powers.clone(), columns: vec![Ext::ONE] });
        verifier.claim(functional, registered.clone());
        verifier.claim_registered(0, powers, registered);
        Ok(())
    }
}

fn security() -> Security {
    Security { bits: 100, linear: Parameters::new(512, 1, 100).unwrap() }
}

/// The parts of an argument's proof by a prover that checks nothing. `reuse` is what it does to its pads after it
/// committed to them.
struct Forger {
    vector: [u8; 32],
    fresh: [u8; 32],
    messages: Vec<Ext>,
    opening: Vec<u8>,
    linear: Vec<u8>,
}

impl Forger {
    fn prove(
        toy: &Toy,
        mut vector: Vec<Base>,
        data: &[Base],
        reuse: impl FnOnce(&mut [Ext]),
    ) -> (Self, ligero::Commitment) {
        let mut rng = StdRng::seed_from_u64(1);
        let security = security();
        for entry in &mut vector[BLINDING_AT..][..BLINDING] {
            *entry = rand::RngExt::random(&mut rng);
        }
        let mut pads: Vec<Ext> = (0..count(toy).unwrap().pads).map(|_| random(&mut rng)).collect();
        let pcs = HidingWhir::new(toy.variables(), security.bits).unwrap();
        let (registered, mut copy) = Committed::commit(&security.linear, data, &mut rng).unwrap();
        let (commitment, committed) = pcs.commit(vector.clone(), &mut rng).unwrap();
        let (root, fresh) = Fresh::commit(&security.linear, &pads, &mut rng).unwrap();
        reuse(&mut pads);
        let mut transcript = start();
        transcript.absorb_bytes("registered commitment", &registered.to_bytes());
        transcript.absorb_bytes("committed vector", &commitment.to_bytes());
        transcript.absorb_bytes("pads", &root.to_bytes());

        let mut replay = Verifier::new(transcript.clone(), Vec::new(), true);
        let mut prover = Prover::new(&mut transcript, Some(&pads));
        toy.prove(&vector, &mut prover);
        replay.extend(prover.messages());
        toy.verify(&mut replay).unwrap();
        let blinds = [Affine::pad(replay.pads()), Affine::pad(replay.pads() + 1)];
        tail::prove_products(replay.relations.products.clone(), blinds, &pads, &mut prover);
        replay.extend(prover.messages());
        tail::verify_products(&mut replay).unwrap();
        tail::prove_claims(&replay.relations.claims, &vector, &mut prover);
        replay.extend(prover.messages());
        let (point, _) = tail::verify_claims(&mut replay, toy.variables()).unwrap();
        assert_eq!(replay.pads(), pads.len(), "every pad is used, and none twice");
        let messages = prover.into_messages();
        let (_, relations) = replay.finish().unwrap();

        let (_, opening) = pcs.open(committed, &point, &mut transcript, &mut rng).unwrap();
        let gathered = tail::gather(&relations, pads.len(), &[16], transcript.challenge());
        let oracles = &mut [(&mut copy, gathered.registered[0].as_slice())];
        let linear = ligero::open(&security.linear, oracles, fresh, &gathered.pads, &mut transcript).unwrap();
        let (vector, fresh, linear) = (commitment.to_bytes(), root.to_bytes(), linear.to_bytes());
        (Self { vector, fresh, messages, opening, linear }, registered)
    }

    fn verify(&self, registered: &ligero::Commitment) -> Result<(), ZkError> {
        let mut bytes = b"nxzk\0\0\0\x01".to_vec();
        bytes.extend(self.vector);
        bytes.extend(self.fresh);
        bytes.extend((self.messages.len() as u32).to_le_bytes());
        self.messages.iter().for_each(|&message| bytes.extend(ext_to_bytes(message)));
        for part in [&self.opening, &self.linear] {
            bytes.extend((part.len() as u32).to_le_bytes());
            bytes.extend(part);
        }
        let proof = Proof::from_bytes(&bytes)?;
        assert_eq!(proof.to_bytes(), bytes);
        proof.verify(&Toy::new(|_| ()), &[registered], &security(), &mut start())
    }
}

fn start() -> Transcript {
    Transcript::new("forged", b"session", b"statement")
}

/// What becomes of a vector, said honestly, with the data registered that `data` makes of the first column.
fn attempt(vector: Vec<Base>, data: impl FnOnce(&mut [Base])) -> Result<(), ZkError> {
    let mut registered = vector[A..B].to_vec();
    data(&mut registered);
    let (forged, registered) = Forger::prove(&Toy::new(|_| ()), vector, &registered, |_| ());
    forged.verify(&registered)
}

const SUM: Result<(), ZkError> = Err(ZkError::Ligero(LigeroError::Sum));

#[test]
fn a_prover_that_need_not_check_is_believed() {
    assert_eq!(attempt(Toy::vector(|_| ()), |_| ()), Ok(()));
}

#[test]
fn a_false_vector_is_rejected_though_the_prover_follows_the_protocol() {
    // Each is right in all but the one thing.
    assert_eq!(attempt(Toy::vector(|a| a[3] = Base::from_u64(16)), |_| ()), SUM, "just out of the table");
    assert_eq!(attempt(Toy::vector(|a| a[3] = -Base::ONE), |_| ()), SUM, "near p");
    assert_eq!(attempt(Toy::vector(|_| ()), |data| data[15] += Base::ONE), SUM, "other data");
    // Row 0 is a product with zero, so its other factor is free.
    for entry in [0, 15, B + 1, C, C + 15] {
        let mut vector = Toy::vector(|_| ());
        vector[entry] += Base::ONE;
        assert_eq!(attempt(vector, |_| ()), SUM, "entry {entry}");
    }
    let mut moved = Toy::vector(|_| ());
    moved[4] += Base::ONE;
    moved[5] -= Base::ONE;
    assert_eq!(attempt(moved, |_| ()), SUM, "multiplicities that sum to the right number");
}

/// A change of the claimed values, by name.
type Lie = (&'static str, fn(&mut [Ext; 4]));

#[test]
fn false_values_are_rejected_though_they_satisfy_their_products() {
    let lies: [Lie; 5] = [
        ("factors of the same product", |values| {
            values[0] = values[0].double();
            values[1] = values[1].halve();
        }),
        ("factors swapped", |values| values.swap(0, 1)),
        ("all of them zero", |values| *values = [Ext::ZERO; 4]),
        ("another product", |values| values[2] += Ext::ONE),
        ("another value of the registered vector", |values| values[3] += Ext::ONE),
    ];
    for (what, say) in lies {
        let vector = Toy::vector(|_| ());
        let data = vector[A..B].to_vec();
        let (forged, registered) = Forger::prove(&Toy::new(say), vector, &data, |_| ());
        assert_eq!(forged.verify(&registered), SUM, "{what}");
    }
}

#[test]
fn a_message_under_the_pad_of_another_is_rejected() {
    let vector = Toy::vector(|_| ());
    let data = vector[A..B].to_vec();
    let pads = count(&Toy::new(|_| ())).unwrap().pads;
    for (of, used) in [(0, 1), (1, 0), (pads / 2, 0), (pads - 1, pads - 2), (0, pads - 1)] {
        let reuse = |pads: &mut [Ext]| pads[of] = pads[used];
        let (forged, registered) = Forger::prove(&Toy::new(|_| ()), vector.clone(), &data, reuse);
        assert_eq!(forged.verify(&registered), SUM, "pad {used} on message {of}");
    }
    let none = |pads: &mut [Ext]| pads.fill(Ext::ZERO);
    let (forged, registered) = Forger::prove(&Toy::new(|_| ()), vector, &data, none);
    assert_eq!(forged.verify(&registered), SUM, "no pads at all");
}

#[test]
fn messages_and_parts_that_are_changed_afterwards_are_rejected() {
    let vector = Toy::vector(|_| ());
    let data = vector[A..B].to_vec();
    let forger = || Forger::prove(&Toy::new(|_| ()), vector.clone(), &data, |_| ());
    let (mut forged, registered) = forger();
    let honest = forged.messages.clone();
    for message in 0..honest.len() {
        forged.messages[message] += Ext::ONE;
        assert!(forged.verify(&registered).is_err(), "message {message}");
        forged.messages.clone_from(&honest);
        if message > 0 {
            forged.messages.swap(message - 1, message);
            assert!(forged.verify(&registered).is_err(), "messages {} and {message} swapped", message - 1);
            forged.messages.clone_from(&honest);
        }
    }
    assert_eq!(forged.verify(&registered), Ok(()));
    forged.messages.pop();
    assert_eq!(forged.verify(&registered), Err(ZkError::Truncated));
    forged.messages.extend([Ext::ZERO; 2]);
    let (expected, got) = (honest.len(), honest.len() + 1);
    assert_eq!(forged.verify(&registered), Err(ZkError::Trailing { expected, got }));
    forged.messages = honest;
    forged.opening.clear();
    assert_eq!(forged.verify(&registered), Err(ZkError::Pcs(PcsError::Malformed)));
    assert_eq!(ext_from_bytes(&[255; 24]), None);
}
