//! A salted Merkle tree over columns, with one pruned path for many leaves.

use p3_field::PrimeField64;
use rayon::prelude::*;

use crate::Base;

pub(super) type Digest = [u8; 32];

/// Public keys, so that a leaf is never a node. A node's two children fill one block of BLAKE3 exactly.
const LEAF: Digest = *b"cipher-nexus ligero v1 leaf hash";
const NODE: Digest = *b"cipher-nexus ligero v1 node hash";

/// How many hashes are worth a thread's while.
const GRAIN: usize = 256;

/// The hash of a salt and a column. The verifier knows the column's length, so the input needs no separator.
pub(super) fn leaf(salt: &Digest, column: &[Base]) -> Digest {
    let mut bytes = Vec::with_capacity(salt.len() + 8 * column.len());
    bytes.extend_from_slice(salt);
    for entry in column {
        bytes.extend_from_slice(&entry.as_canonical_u64().to_le_bytes());
    }
    let digest = *blake3::keyed_hash(&LEAF, &bytes).as_bytes();
    bytes.fill(0);
    std::hint::black_box(&bytes);
    digest
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(left);
    bytes[32..].copy_from_slice(right);
    *blake3::keyed_hash(&NODE, &bytes).as_bytes()
}

/// All digests: the root at 1, the children of `i` at `2i` and `2i + 1`.
pub(super) struct Tree(Vec<Digest>);

impl Tree {
    /// The tree over leaves, as many as a power of two.
    pub(super) fn new(leaves: &[Digest]) -> Self {
        let count = leaves.len();
        assert!(count.is_power_of_two(), "the code's length is a power of two");
        let mut digests = vec![[0; 32]; count];
        digests.extend_from_slice(leaves);
        let mut width = count / 2;
        while width > 0 {
            let (parents, children) = digests.split_at_mut(2 * width);
            parents[width..]
                .par_iter_mut()
                .zip(children.par_chunks_exact(2))
                .with_min_len(GRAIN)
                .for_each(|(parent, pair)| *parent = node(&pair[0], &pair[1]));
            width /= 2;
        }
        Self(digests)
    }

    pub(super) fn root(&self) -> Digest {
        self.0[1]
    }

    /// The digests that lead from the leaves at `positions`, sorted and distinct, to the root: level by level from the
    /// leaves up, each level from left to right, and none that follows from others.
    pub(super) fn path(&self, positions: &[usize]) -> Vec<Digest> {
        let mut known: Vec<usize> = positions.iter().map(|position| position + self.0.len() / 2).collect();
        let mut path = Vec::new();
        while known.first().is_some_and(|&first| first > 1) {
            known = climb(&known, |missing| path.push(self.0[missing]));
        }
        path
    }
}

/// The root over `count` leaves that leaves at `positions`, sorted and distinct, and a path lead to; none unless the
/// path has exactly as many digests as it needs.
pub(super) fn root(count: usize, positions: &[usize], leaves: &[Digest], path: &[Digest]) -> Option<Digest> {
    let mut known: Vec<usize> = positions.iter().map(|position| position + count).collect();
    let mut digests = leaves.to_vec();
    let mut path = path.iter();
    while *known.first()? > 1 {
        let mut parents = Vec::with_capacity(digests.len());
        let mut at = 0;
        while at < known.len() {
            let paired = known.get(at + 1) == Some(&(known[at] ^ 1));
            let sibling = if paired { &digests[at + 1] } else { path.next()? };
            let (left, right) =
                if known[at].is_multiple_of(2) { (&digests[at], sibling) } else { (sibling, &digests[at]) };
            parents.push(node(left, right));
            at += 1 + usize::from(paired);
        }
        known = climb(&known, |_| ());
        digests = parents;
    }
    path.next().is_none().then_some(digests[0])
}

/// The parents of sorted nodes of one level, and the siblings that are not among them.
fn climb(known: &[usize], mut missing: impl FnMut(usize)) -> Vec<usize> {
    let mut parents = Vec::with_capacity(known.len());
    for (at, &here) in known.iter().enumerate() {
        let with_left = at > 0 && known[at - 1] == here ^ 1;
        let with_right = known.get(at + 1) == Some(&(here ^ 1));
        if !with_left {
            parents.push(here / 2);
            if !with_right {
                missing(here ^ 1);
            }
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use p3_field::PrimeCharacteristicRing;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_leaves_hash_as_by_hand() {
        let (left, right) = (leaf(&[1; 32], &[Base::ONE]), leaf(&[2; 32], &[]));
        let mut input = [1; 40];
        input[33..].fill(0);
        assert_eq!(left, *blake3::keyed_hash(&LEAF, &input).as_bytes());
        let tree = Tree::new(&[left, right]);
        assert_eq!(tree.root(), node(&left, &right));
        assert_eq!(tree.path(&[1]), [left]);
        assert_eq!(tree.path(&[0, 1]), [[0; 32]; 0]);
    }

    proptest! {
        #[test]
        fn a_path_leads_to_the_root_and_no_other_does(mask in 1_u32..=u32::MAX, seed in 0_u8..=255) {
            let leaves: Vec<Digest> = (0..32).map(|i| [seed.wrapping_add(i); 32]).collect();
            let tree = Tree::new(&leaves);
            let positions: Vec<usize> = (0..32).filter(|i| mask >> i & 1 == 1).collect();
            let mut opened: Vec<Digest> = positions.iter().map(|&i| leaves[i]).collect();
            let path = tree.path(&positions);
            prop_assert_eq!(root(32, &positions, &opened, &path), Some(tree.root()));
            let mut longer = path.clone();
            longer.push([0; 32]);
            prop_assert_eq!(root(32, &positions, &opened, &longer), None);
            if !path.is_empty() {
                prop_assert_eq!(root(32, &positions, &opened, &path[1..]), None);
                let mut changed = path.clone();
                changed[0][0] ^= 1;
                prop_assert_ne!(root(32, &positions, &opened, &changed), Some(tree.root()));
            }
            opened[0][31] ^= 1;
            prop_assert_ne!(root(32, &positions, &opened, &path), Some(tree.root()));
        }
    }
}
