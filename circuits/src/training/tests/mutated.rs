//! Honest proofs with one thing changed: a field of the statement, or the bytes.

use nexus_zk::Base;
use p3_field::PrimeField64;

use super::forged::{SESSION, network, registered, statement};
use super::{Case, FixedPoint, Integers, Loss, Proof, Spec, Statement, TrainingPlan, TransparentProof, Weights, rng};
use crate::reference::Clip;
use crate::training::{DataCommitment, DataProof, TrainingError};

/// Both proofs of one case, about copies 0 and 1 of three.
struct Proven {
    case: Case,
    data: DataCommitment,
    transparent: Vec<u8>,
    masked: Vec<u8>,
}

fn proven(spec: Spec) -> Proven {
    let case = spec.case();
    let (data, mut secret) = registered(&case, 3);
    let of = |round| statement(&case, Spec::default().seed, data.clone(), round);
    let (transparent, _) =
        TransparentProof::new(&of(0), &mut secret, case.examples(), Integers, SESSION, &mut rng(5)).unwrap();
    let (masked, _) = Proof::new(&of(1), &mut secret, case.examples(), Integers, SESSION, &mut rng(6)).unwrap();
    let (transparent, masked) = (transparent.to_bytes(), masked.to_bytes());
    Proven { case, data, transparent, masked }
}

impl Proven {
    fn statement(&self, round: usize) -> Statement {
        statement(&self.case, Spec::default().seed, self.data.clone(), round)
    }

    /// Reads and verifies, as whoever is sent the bytes.
    fn transparent(&self, bytes: &[u8]) -> Result<(), TrainingError> {
        TransparentProof::from_bytes(bytes)?.verify(&self.statement(0), SESSION)
    }

    fn masked(&self, bytes: &[u8]) -> Result<(), TrainingError> {
        Proof::from_bytes(bytes)?.verify(&self.statement(1), SESSION)
    }
}

#[test]
fn every_public_field_is_bound() {
    let proven = proven(Spec::default());
    let Proven { case, data, .. } = &proven;
    let transparent = TransparentProof::from_bytes(&proven.transparent).unwrap();
    let masked = Proof::from_bytes(&proven.masked).unwrap();
    transparent.verify(&proven.statement(0), SESSION).unwrap();
    masked.verify(&proven.statement(1), SESSION).unwrap();

    let (shape, format, parameters) = (case.plan.shape(), case.plan.format(), case.plan.shape().parameters());
    let plan = |shape: &crate::reference::Shape, format, batch, steps, rate| {
        TrainingPlan::new(shape.clone(), format, batch, steps, rate).unwrap()
    };
    let weight = |index: usize, change: i32| {
        let mut values = case.start.values().to_vec();
        values[index] += change;
        Weights::new(shape, values, format).unwrap()
    };
    let commitment = |byte: usize| {
        let mut bytes = data.to_bytes();
        bytes[byte] ^= 1;
        DataCommitment::from_bytes(&bytes).unwrap()
    };
    let (seed, clip) = ([Spec::default().seed; 32], case.clip.unwrap());
    let base = |plan: TrainingPlan, start: Weights, data: DataCommitment, seed, clip| {
        [0, 1].map(|round| Statement::new(plan.clone(), start.clone(), data.clone(), round, seed, clip).unwrap())
    };
    let with_plan = |other| base(other, case.start.clone(), data.clone(), seed, Some(clip));
    let with_format = |format| with_plan(plan(shape, format, 2, 2, 1));
    let with_start = |start| base(case.plan.clone(), start, data.clone(), seed, Some(clip));
    let with_data = |data| base(case.plan.clone(), case.start.clone(), data, seed, Some(clip));
    let with_clip = |clip| base(case.plan.clone(), case.start.clone(), data.clone(), seed, clip);
    // Two shapes of as many parameters: (3+1)·3 + (3+1)·2 = 20 = (3+1)·2 + (2+1)·4.
    let other: crate::reference::Shape = "3-2-4".parse().unwrap();
    let same_values = Weights::new(&other, case.start.values().to_vec(), format).unwrap();
    let mut late = seed;
    late[31] ^= 0x80;
    let copies = 32; // magic and three counts
    let mutated = vec![
        ("dimensions", base(plan(&other, format, 2, 2, 1), same_values, data.clone(), seed, Some(clip))),
        ("batch", with_plan(plan(shape, format, 4, 2, 1))),
        ("batch and steps", with_plan(plan(shape, format, 4, 1, 1))),
        ("steps", with_plan(plan(shape, format, 2, 3, 1))),
        ("fewer steps", with_plan(plan(shape, format, 2, 1, 1))),
        ("rate", with_plan(plan(shape, format, 2, 2, 2))),
        ("weight bits", with_format(FixedPoint { weight_bits: 25, ..format })),
        ("weight fraction", with_format(FixedPoint { weight_fraction: 19, ..format })),
        ("activation bits", with_format(FixedPoint { activation_bits: 17, ..format })),
        ("activation fraction", with_format(FixedPoint { activation_fraction: 11, ..format })),
        ("seed", base(case.plan.clone(), case.start.clone(), data.clone(), late, Some(clip))),
        ("first weight", with_start(weight(0, 1))),
        ("last weight", with_start(weight(parameters - 1, -1))),
        ("data of this copy", with_data(commitment(copies))),
        ("data of the second copy", with_data(commitment(copies + 40))),
        ("data of a copy not used", with_data(commitment(copies + 80))),
        ("clip bound", with_clip(Some(Clip::new(clip.bound() + 1, 4, parameters).unwrap()))),
        ("dropped bits", with_clip(Some(Clip::new(clip.bound(), 3, parameters).unwrap()))),
        ("no clip", with_clip(None)),
    ];
    let mut digests = vec![proven.statement(0).digest(), proven.statement(1).digest(), proven.statement(2).digest()];
    for (what, [zero, one]) in &mutated {
        digests.extend([zero.digest(), one.digest()]);
        let results = [transparent.verify(zero, SESSION), masked.verify(one, SESSION)];
        assert!(results.iter().all(|result| matches!(result, Err(TrainingError::Proof(_)))), "{what}: {results:?}");
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 2 * mutated.len() + 3, "every statement has a digest of its own");

    // Another copy of the same data, and another session.
    for round in [0, 2] {
        assert!(matches!(masked.verify(&proven.statement(round), SESSION), Err(TrainingError::Proof(_))));
    }
    for session in [&b""[..], b"sessio", b"session ", b"Session"] {
        assert!(matches!(transparent.verify(&proven.statement(0), session), Err(TrainingError::Proof(_))));
        assert!(matches!(masked.verify(&proven.statement(1), session), Err(TrainingError::Proof(_))));
    }
}

#[test]
fn more_classes_than_a_label_has_values_are_refused() {
    // With 65536 classes and six features before the label, two examples would be one entry: 2^64 = 2^32 − 1 modulo p.
    let case = Spec { shape: "6-2", ..Spec::default() }.case();
    let (data, _) = registered(&case, 1);
    let classes = |classes: usize| {
        let shape = crate::reference::Shape::new(&[6, classes]).unwrap();
        let plan = TrainingPlan::new(shape.clone(), case.plan.format(), 2, 1, 1).unwrap();
        Statement::new(plan, Weights::zeros(&shape), data.clone(), 0, [0; 32], None)
    };
    assert!(classes(256).is_ok());
    let refused = TrainingError::OutOfRange { field: "classes", value: 257, min: 1, max: 256 };
    assert_eq!(classes(257).err(), Some(refused));
}

/// Where the parts of a proof start: kind, vector, pads, count, messages, opening's length, opening, linear's length, linear.
fn parts(bytes: &[u8]) -> [usize; 10] {
    let count = |at: usize| u32::from_le_bytes(bytes[at..][..4].try_into().unwrap()) as usize;
    let messages = 76;
    let opening = messages + 24 * count(72);
    let linear = opening + 4 + count(opening);
    let end = linear + 4 + count(linear);
    assert_eq!(end, bytes.len());
    [0, 8, 40, 72, messages, opening, opening + 4, linear, linear + 4, end]
}

/// The bytes with the messages, the opening or the linear proof changed, and its length written anew.
fn reframed(bytes: &[u8], change: impl FnOnce(&mut [Vec<u8>; 3])) -> Vec<u8> {
    let at = parts(bytes);
    let mut three = [bytes[at[4]..at[5]].to_vec(), bytes[at[6]..at[7]].to_vec(), bytes[at[8]..at[9]].to_vec()];
    change(&mut three);
    let mut out = bytes[..72].to_vec();
    for (part, unit) in three.iter().zip([24, 1, 1]) {
        out.extend(((part.len() / unit) as u32).to_le_bytes());
        out.extend(part);
    }
    out
}

#[test]
fn every_part_of_a_network_is_bound() {
    let Proven { case, data, transparent, masked } = proven(network());
    let (transparent, masked) =
        (TransparentProof::from_bytes(&transparent).unwrap(), Proof::from_bytes(&masked).unwrap());
    let with = |text: &str, loss| {
        let shape: crate::reference::Shape = text.parse().unwrap();
        let Spec { batch, steps, rate, seed, .. } = network();
        let plan = TrainingPlan::with_loss(shape.clone(), case.plan.format(), loss, batch, steps, rate).unwrap();
        // The weights that there are, and zeros after them.
        let mut weights = case.start.values().to_vec();
        weights.resize(shape.parameters(), 0);
        let start = Weights::new(&shape, weights, case.plan.format()).unwrap();
        [0, 1].map(|round| {
            Statement::new(plan.clone(), start.clone(), data.clone(), round, [seed; 32], case.clip).unwrap()
        })
    };
    let own = network().shape;
    let [zero, one] = with(own, Loss::CrossEntropy);
    transparent.verify(&zero, SESSION).unwrap();
    masked.verify(&one, SESSION).unwrap();
    let mut digests = vec![zero.digest(), one.digest()];
    for (what, text, loss) in [
        ("loss", own, Loss::SquaredError),
        ("sides", "3x4x1-3c2p1-a2-2c2-3", Loss::CrossEntropy),
        ("other sides", "2x6x1-3c2p1-a2-2c2p1-3", Loss::CrossEntropy),
        ("channels of the image", "2x3x2-3c2p1-a2-2c1-3", Loss::CrossEntropy),
        ("no image", "12-3-2-3", Loss::CrossEntropy),
        ("kernel", "4x3x1-3c3p1-a2-2c1-3", Loss::CrossEntropy),
        ("kernel and padding", "4x3x1-3c3p2-a2-2c2-3", Loss::CrossEntropy),
        ("no padding", "4x3x1-3c2-a2-2c1-3", Loss::CrossEntropy),
        ("padding of the second", "4x3x1-3c2p1-a2-2c2p1-3", Loss::CrossEntropy),
        ("square", "4x3x1-3c2p1-a4-2c1-3", Loss::CrossEntropy),
        ("no square", "4x3x1-3c2p1-2c2-3", Loss::CrossEntropy),
        ("where the square is", "4x3x1-3c2p1-2c2-a2-3", Loss::CrossEntropy),
        ("channels", "4x3x1-2c2p1-a2-2c2-3", Loss::CrossEntropy),
        ("classes", "4x3x1-3c2p1-a2-2c2-4", Loss::CrossEntropy),
    ] {
        let [zero, one] = with(text, loss);
        let results = [transparent.verify(&zero, SESSION), masked.verify(&one, SESSION)];
        assert!(results.iter().all(|result| matches!(result, Err(TrainingError::Proof(_)))), "{what}: {results:?}");
        digests.extend([zero.digest(), one.digest()]);
    }
    let statements = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), statements, "every network has a digest of its own");
    // A kernel that covers its image is a dense layer, by either name: one network, and one statement.
    let names = ["4x3x1-3c2p1-a2-2c2-3", "4x3x1-3c2p1-a2-2-3", " 4x3x1 - 3c2p1 - a2 - 2c2p0 - 3"];
    for name in names {
        assert_eq!(with(name, Loss::CrossEntropy)[0].digest(), with(own, Loss::CrossEntropy)[0].digest(), "{name}");
    }
}

#[test]
fn bytes_that_are_cut_extended_or_flipped_are_errors() {
    for spec in [Spec::default(), network()] {
        cut_extend_and_flip(&proven(spec));
    }
}

fn cut_extend_and_flip(proven: &Proven) {
    for (bytes, verify) in [
        (
            &proven.transparent,
            &(|bytes: &[u8]| proven.transparent(bytes)) as &dyn Fn(&[u8]) -> Result<(), TrainingError>,
        ),
        (&proven.masked, &|bytes| proven.masked(bytes)),
    ] {
        assert_eq!(verify(bytes), Ok(()));
        let parts = parts(bytes);
        for &part in &parts {
            for cut in [part.wrapping_sub(1), part, part + 1] {
                if cut < bytes.len() {
                    assert!(matches!(verify(&bytes[..cut]), Err(TrainingError::Proof(_))), "cut at {cut}");
                }
            }
        }
        for more in [1, 8, 24] {
            let extended = [bytes.as_slice(), &vec![0; more]].concat();
            assert!(matches!(verify(&extended), Err(TrainingError::Proof(_))), "{more} more");
        }
        // Around every boundary, in every message, and spread over the rest.
        let mut places: Vec<usize> = parts.iter().flat_map(|&part| part.saturating_sub(2)..part + 2).collect();
        places.extend((parts[4]..parts[5]).step_by(24 * 7 + 1));
        places.extend((parts[5]..bytes.len()).step_by(bytes.len() / 150));
        for place in places.into_iter().filter(|&place| place < bytes.len()) {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            let result = verify(&flipped);
            assert!(matches!(result, Err(TrainingError::Proof(_))), "byte {place}: {result:?}");
        }
    }
}

/// A change of messages, opening and linear proof, by name.
type Change<'a> = (&'static str, Box<dyn Fn(&mut [Vec<u8>; 3]) + 'a>);

#[test]
fn parts_that_are_shorter_longer_swapped_or_of_another_proof_are_errors() {
    let proven = proven(Spec::default());
    let fresh = proven_again(&proven);
    let order = <Base as PrimeField64>::ORDER_U64;
    let bytes_of = |masked: bool| if masked { &proven.masked } else { &proven.transparent };
    for masked in [false, true] {
        let bytes = bytes_of(masked);
        let last = (parts(bytes)[5] - parts(bytes)[4]) / 24 - 1;
        let swap = |a: usize, b: usize| {
            move |parts: &mut [Vec<u8>; 3]| {
                let (first, second) = (parts[0][24 * a..][..24].to_vec(), parts[0][24 * b..][..24].to_vec());
                assert_ne!(first, second);
                parts[0][24 * a..][..24].copy_from_slice(&second);
                parts[0][24 * b..][..24].copy_from_slice(&first);
            }
        };
        let mut changes: Vec<Change<'_>> = vec![
            ("one message fewer", Box::new(|parts| parts[0].truncate(parts[0].len() - 24))),
            ("no message", Box::new(|parts| parts[0].clear())),
            ("one message more", Box::new(|parts| parts[0].extend([0; 24]))),
            ("a message of p", Box::new(move |parts| parts[0][24..32].copy_from_slice(&order.to_le_bytes()))),
            ("the first two messages swapped", Box::new(swap(0, 1))),
            ("the last two messages swapped", Box::new(swap(last - 1, last))),
            ("first and last swapped", Box::new(swap(0, last))),
            ("a message twice", Box::new(|parts| parts[0].copy_within(0..24, 24))),
            ("no opening", Box::new(|parts| parts[1].clear())),
            ("a shorter opening", Box::new(|parts| parts[1].truncate(parts[1].len() - 1))),
            ("half an opening", Box::new(|parts| parts[1].truncate(parts[1].len() / 2))),
            ("a longer opening", Box::new(|parts| parts[1].push(0))),
            ("no linear proof", Box::new(|parts| parts[2].clear())),
            ("a shorter linear proof", Box::new(|parts| parts[2].truncate(parts[2].len() - 8))),
            ("a longer linear proof", Box::new(|parts| parts[2].extend([0; 8]))),
            ("opening and linear proof swapped", Box::new(|parts| parts.swap(1, 2))),
        ];
        if masked {
            for part in 0..3 {
                let other = fresh.clone();
                let change = move |three: &mut [Vec<u8>; 3]| {
                    reframed(&other, |others| three[part].clone_from(&others[part]));
                };
                changes.push(("a part of another proof of the statement", Box::new(change)));
            }
        }
        for (what, change) in changes {
            let changed = reframed(bytes, change);
            let result = if masked { proven.masked(&changed) } else { proven.transparent(&changed) };
            assert!(matches!(result, Err(TrainingError::Proof(_))), "{what}: {result:?}");
        }
    }
    assert!(Proof::from_bytes(&proven.transparent).is_err() && TransparentProof::from_bytes(&proven.masked).is_err());
    let mut relabelled = proven.transparent.clone();
    relabelled[..8].copy_from_slice(&proven.masked[..8]);
    assert!(matches!(proven.masked(&relabelled), Err(TrainingError::Proof(_))), "transparent messages as masked ones");
}

/// Another honest masked proof of the same statement.
fn proven_again(proven: &Proven) -> Vec<u8> {
    let (_, mut secret) = registered(&proven.case, 3);
    let statement = proven.statement(1);
    let (proof, _) =
        Proof::new(&statement, &mut secret, proven.case.examples(), Integers, SESSION, &mut rng(9)).unwrap();
    proof.verify(&statement, SESSION).unwrap();
    proof.to_bytes()
}

#[test]
fn a_data_commitment_and_its_proof_survive_their_bytes_and_only_their_own() {
    let case = Spec::default().case();
    let (data, _, proof) = DataCommitment::new(case.examples(), 2, SESSION, &mut rng(1)).unwrap();
    let (bytes, shown) = (data.to_bytes(), proof.to_bytes());
    let read = |bytes: &[u8], shown: &[u8]| {
        let data = DataCommitment::from_bytes(bytes)?;
        let proof = DataProof::from_bytes(&data, shown)?;
        data.verify(&proof, SESSION).map(|()| (data, proof))
    };
    assert_eq!(read(&bytes, &shown), Ok((data.clone(), proof.clone())));
    assert!(data.verify(&proof, b"another").is_err());
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        assert!(read(&flipped, &shown).is_err(), "byte {place} of the commitment");
        assert!(DataCommitment::from_bytes(&bytes[..place]).is_err());
    }
    for place in (0..shown.len()).step_by(shown.len() / 100) {
        let mut flipped = shown.clone();
        flipped[place] ^= 1 << (place % 8);
        assert!(read(&bytes, &flipped).is_err(), "byte {place} of the proof");
        assert!(read(&bytes, &shown[..place]).is_err());
    }
    for bytes in [[bytes.clone(), vec![0]].concat(), [bytes.clone(), vec![0; 40]].concat()] {
        assert!(DataCommitment::from_bytes(&bytes).is_err());
    }
    assert!(read(&bytes, &[shown.clone(), vec![0]].concat()).is_err());

    // Two copies of different data are not shown to be equal by anybody's proof.
    let other = Spec { data: 41, ..Spec::default() }.case();
    let (other, ..) = DataCommitment::new(other.examples(), 2, SESSION, &mut rng(1)).unwrap();
    let mut mixed = bytes.clone();
    mixed[72..].copy_from_slice(&other.to_bytes()[72..]);
    assert!(read(&mixed, &shown).is_err());
}
