use std::fmt;

use rand::seq::SliceRandom;
use rand_core::Rng;
use sha2::{Digest, Sha256};

use nexus_circuits::CircuitError;
use nexus_circuits::reference::Examples;

use super::DataError;

/// Examples of `features` bytes each, with a label below `classes`, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    inputs: Vec<u8>,
    labels: Vec<u8>,
    features: usize,
    classes: usize,
}

impl Dataset {
    /// The most classes: a label is one byte.
    pub const MAX_CLASSES: usize = 256;
    /// The most features of an example.
    pub const MAX_FEATURES: usize = 1 << 18;
    /// The most input bytes, all examples together, that are read from a file.
    pub const MAX_INPUT_BYTES: u64 = 1 << 30;

    /// Data at hand: `inputs` holds `features` bytes for each label, example after example.
    ///
    /// # Errors
    /// [`DataError::Features`], [`DataError::Classes`], [`DataError::Shape`] or [`DataError::Label`] for what is out of
    /// range. No examples at all are accepted here.
    pub fn new(
        name: impl Into<String>,
        inputs: Vec<u8>,
        labels: Vec<u8>,
        features: usize,
        classes: usize,
    ) -> Result<Self, DataError> {
        if !(1..=Self::MAX_FEATURES).contains(&features) {
            return Err(DataError::Features { got: features });
        }
        Self::check_classes(classes)?;
        let expected = labels.len().saturating_mul(features);
        if inputs.len() != expected {
            return Err(DataError::Shape { examples: labels.len(), expected, got: inputs.len() });
        }
        if let Some(example) = labels.iter().position(|&label| usize::from(label) >= classes) {
            return Err(DataError::Label { example, got: labels[example], classes });
        }
        Ok(Self { name: name.into(), inputs, labels, features, classes })
    }

    /// What the data is called: the embedded set's name, or the file's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many examples there are.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no examples.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Input bytes of an example.
    pub const fn features(&self) -> usize {
        self.features
    }

    /// How many classes there are; some may have no example.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// All inputs, `len × features` bytes, row by row.
    pub fn inputs(&self) -> &[u8] {
        &self.inputs
    }

    /// The examples as training reads them.
    ///
    /// # Errors
    /// [`CircuitError`] if there are none.
    pub fn examples(&self) -> Result<Examples<'_>, CircuitError> {
        Examples::new(&self.inputs, &self.labels, self.features)
    }

    /// All labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The `features` bytes of one example.
    ///
    /// # Panics
    /// Unless `example` is below [`len`](Self::len).
    pub fn image(&self, example: usize) -> &[u8] {
        &self.inputs[example * self.features..][..self.features]
    }

    /// The label of one example.
    ///
    /// # Panics
    /// Unless `example` is below [`len`](Self::len).
    pub fn label(&self, example: usize) -> u8 {
        self.labels[example]
    }

    /// A copy of these examples, in this order, with the same name, features and classes.
    ///
    /// # Panics
    /// Unless every example is below [`len`](Self::len).
    pub fn subset(&self, examples: &[usize]) -> Self {
        let mut inputs = Vec::with_capacity(examples.len() * self.features);
        for &example in examples {
            inputs.extend_from_slice(self.image(example));
        }
        let labels = examples.iter().map(|&example| self.label(example)).collect();
        Self { name: self.name.clone(), inputs, labels, features: self.features, classes: self.classes }
    }

    /// SHA-256 over the dimensions and every row in order: inputs, then label. The name is not part of it.
    ///
    /// The bytes hashed are `"cipher-nexus data set v1"`, then the numbers of examples, features and classes as 64-bit
    /// little-endian integers, then the rows.
    ///
    /// # Security
    /// A plain hash: binding, not hiding. Who can guess the data can confirm the guess; publish a salted commitment to
    /// the digest instead.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"cipher-nexus data set v1");
        for dimension in [self.len(), self.features, self.classes] {
            hash.update((dimension as u64).to_le_bytes());
        }
        for example in 0..self.len() {
            hash.update(self.image(example));
            hash.update([self.label(example)]);
        }
        hash.finalize().into()
    }

    /// A random split into a set to train on and a set to test on, in this order.
    ///
    /// The test set has `test_fraction` of the examples, rounded to the nearest, and at least one; so has the other.
    /// Labels are not balanced between the two. The same generator state gives the same split.
    ///
    /// # Errors
    /// [`DataError::TestFraction`] unless the fraction is between 0 and 1, both excluded;
    /// [`DataError::TooFewExamples`] below two examples.
    pub fn train_test<R: Rng + ?Sized>(&self, test_fraction: f64, rng: &mut R) -> Result<(Self, Self), DataError> {
        if !(test_fraction > 0.0 && test_fraction < 1.0) {
            return Err(DataError::TestFraction { got: test_fraction });
        }
        if self.len() < 2 {
            return Err(DataError::TooFewExamples { got: self.len() });
        }
        let mut examples: Vec<usize> = (0..self.len()).collect();
        examples.shuffle(rng);
        let tests = (test_fraction * self.len() as f64).round() as usize;
        let (test, train) = examples.split_at(tests.clamp(1, self.len() - 1));
        Ok((self.subset(train), self.subset(test)))
    }

    pub(super) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    pub(super) fn check_classes(classes: usize) -> Result<(), DataError> {
        if (1..=Self::MAX_CLASSES).contains(&classes) { Ok(()) } else { Err(DataError::Classes { got: classes }) }
    }
}

/// The dimensions alone: rows are somebody's data and do not belong in a log.
impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("len", &self.len())
            .field("features", &self.features)
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn small() -> Dataset {
        Dataset::new("small", (0..12).collect(), vec![0, 1, 2, 0, 1, 2], 2, 3).unwrap()
    }

    #[test]
    fn data_of_the_wrong_shape_is_refused() {
        let new = |inputs: usize, labels: &[u8], features, classes| {
            Dataset::new("", vec![0; inputs], labels.to_vec(), features, classes).unwrap_err()
        };
        assert_eq!(new(3, &[0, 0], 2, 1), DataError::Shape { examples: 2, expected: 4, got: 3 });
        assert_eq!(new(4, &[1, 3], 2, 3), DataError::Label { example: 1, got: 3, classes: 3 });
        assert_eq!(new(0, &[0], 0, 3), DataError::Features { got: 0 });
        assert_eq!(new(4, &[0, 0], 2, 0), DataError::Classes { got: 0 });
        assert_eq!(new(4, &[0, 0], 2, 257), DataError::Classes { got: 257 });
        let message = new(4, &[1, 3], 2, 3).to_string();
        assert_eq!(message, "the label of example 1 is 3; allowed is 0 to 2");
    }

    #[test]
    fn a_subset_holds_the_named_rows_in_their_order() {
        let part = small().subset(&[4, 0, 4]);
        assert_eq!(part.inputs(), [8, 9, 0, 1, 8, 9]);
        assert_eq!(part.labels(), [1, 0, 1]);
        assert_eq!((part.len(), part.features(), part.classes(), part.name()), (3, 2, 3, "small"));
        assert!(small().subset(&[]).is_empty());
    }

    #[test]
    fn the_digest_changes_with_every_row_label_and_dimension() {
        let digests = [
            small(),
            small().subset(&[1, 0, 2, 3, 4, 5]),
            small().subset(&[0, 1, 2, 3, 4]),
            Dataset::new("", (1..13).collect(), small().labels().to_vec(), 2, 3).unwrap(),
            Dataset::new("", (0..12).collect(), vec![0, 1, 2, 0, 1, 1], 2, 3).unwrap(),
            Dataset::new("", (0..12).collect(), small().labels().to_vec(), 2, 4).unwrap(),
            Dataset::new("", (0..12).collect(), vec![0, 1, 2, 0], 3, 3).unwrap(),
        ]
        .map(|data| data.digest());
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "digest {index}");
        }
        let renamed = Dataset::new("other", (0..12).collect(), small().labels().to_vec(), 2, 3).unwrap();
        assert_eq!(renamed.digest(), small().digest());
    }

    #[test]
    fn a_split_keeps_every_example_once_and_follows_the_seed() {
        let data = Dataset::digits();
        let split = |seed| data.train_test(0.2, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
        let (train, test) = split(7);
        assert_eq!((train.len(), test.len()), (1438, 359));
        let rows = |data: &Dataset| -> Vec<(Vec<u8>, u8)> {
            (0..data.len()).map(|example| (data.image(example).to_vec(), data.label(example))).collect()
        };
        let mut together = [rows(&train), rows(&test)].concat();
        let mut all = rows(&data);
        together.sort();
        all.sort();
        assert_eq!(together, all);
        assert_eq!(split(7), (train.clone(), test));
        assert_ne!(split(8).0, train);
    }

    #[test]
    fn both_sides_of_a_split_have_an_example() {
        let sizes = |fraction| {
            let (train, test) = small().train_test(fraction, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
            (train.len(), test.len())
        };
        assert_eq!(sizes(1e-9), (5, 1));
        assert_eq!(sizes(0.999_999), (1, 5));
        assert_eq!(sizes(0.5), (3, 3));
    }

    #[test]
    fn a_split_that_leaves_a_side_empty_is_refused() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for fraction in [0.0, 1.0, -0.5, 1.5] {
            assert_eq!(small().train_test(fraction, rng), Err(DataError::TestFraction { got: fraction }));
        }
        assert!(matches!(small().train_test(f64::NAN, rng), Err(DataError::TestFraction { got }) if got.is_nan()));
        assert_eq!(small().subset(&[0]).train_test(0.5, rng), Err(DataError::TooFewExamples { got: 1 }));
    }

    #[test]
    fn debugging_prints_no_row() {
        assert_eq!(format!("{:?}", small()), "Dataset { name: \"small\", len: 6, features: 2, classes: 3, .. }");
    }
}
