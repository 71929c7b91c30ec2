use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_core::Rng;
use rand_distr::{Distribution, Gamma, Open01};
use serde::{Deserialize, Deserializer, Serialize};

use super::{DataError, Dataset};

/// How examples are divided among simulated clients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Partition {
    /// At random, into parts whose sizes differ by at most one.
    #[serde(deserialize_with = "no_fields")]
    Iid,
    /// By label: a client has few classes ([McMahan et al. 2017, §3](https://arxiv.org/abs/1602.05629)).
    ///
    /// The examples are sorted by label, in random order within a label, and cut into `clients × shards_per_client`
    /// shards whose sizes differ by at most one; the shards are dealt at random. A shard may straddle labels.
    ByLabel {
        /// Shards that each client is dealt.
        shards_per_client: usize,
    },
    /// Class by class in Dirichlet proportions: the smaller `alpha`, the more skewed.
    ///
    /// For each class, proportions `p ~ Dir(α·1)` over the clients are drawn, and the class, shuffled, is cut at the
    /// cumulated proportions, rounded (Yurochkin, Agarwal, Ghosh, Greenewald, Hoang, Khazaeni 2019, §4). Both the mix of
    /// labels and the number of examples differ between clients. Clients that come out empty take, one after the other,
    /// one random example from the client that then has the most, the first such; Yurochkin et al. leave this open. Hsu,
    /// Qi and Brown (2019) draw a mix of classes for each client instead, with equal numbers of examples; that is not
    /// what happens here.
    Dirichlet {
        /// The concentration α, finite and more than 0.
        alpha: f64,
    },
}

impl Partition {
    /// The examples of each of `clients` clients: every index below `data.len()` in exactly one list, each list in
    /// increasing order and not empty.
    ///
    /// The randomness is public. The same generator state gives the same division; for
    /// [`Dirichlet`](Self::Dirichlet) on one platform, as its floating-point functions may round elsewhere otherwise.
    ///
    /// Cost: O(n log n) for n examples, and for [`Dirichlet`](Self::Dirichlet) `classes × clients` draws.
    ///
    /// # Errors
    /// [`DataError::NoClients`], [`DataError::MoreClientsThanExamples`], [`DataError::Shards`] or
    /// [`DataError::Concentration`] for what is out of range.
    pub fn split<R: Rng + ?Sized>(
        self,
        data: &Dataset,
        clients: usize,
        rng: &mut R,
    ) -> Result<Vec<Vec<usize>>, DataError> {
        let examples = data.len();
        if clients == 0 {
            return Err(DataError::NoClients);
        }
        if clients > examples {
            return Err(DataError::MoreClientsThanExamples { clients, examples });
        }
        let mut parts = match self {
            Self::Iid => deal(shuffled(data, rng), clients, 1, rng),
            Self::ByLabel { shards_per_client } => {
                if !(1..=examples / clients).contains(&shards_per_client) {
                    return Err(DataError::Shards { shards_per_client, clients, examples });
                }
                let mut sorted = shuffled(data, rng);
                sorted.sort_by_key(|&example| data.label(example));
                deal(sorted, clients, shards_per_client, rng)
            }
            Self::Dirichlet { alpha } => {
                if !(alpha.is_finite() && alpha > 0.0) {
                    return Err(DataError::Concentration { got: alpha });
                }
                let mut parts = by_proportions(data, clients, alpha, rng);
                fill_empty(&mut parts, rng);
                parts
            }
        };
        for part in &mut parts {
            part.sort_unstable();
        }
        Ok(parts)
    }
}

/// Refuses what stands beside a variant without fields, which `deny_unknown_fields` lets pass.
pub(crate) fn no_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NoFields {}
    NoFields::deserialize(deserializer).map(|NoFields {}| ())
}

fn shuffled<R: Rng + ?Sized>(data: &Dataset, rng: &mut R) -> Vec<usize> {
    let mut examples: Vec<usize> = (0..data.len()).collect();
    examples.shuffle(rng);
    examples
}

/// Cuts `examples` into shards and deals each client as many at random; there are no more shards than examples.
fn deal<R: Rng + ?Sized>(
    mut examples: Vec<usize>,
    clients: usize,
    shards_per_client: usize,
    rng: &mut R,
) -> Vec<Vec<usize>> {
    let shards = clients * shards_per_client;
    let mut cut: Vec<Vec<usize>> = (0..shards)
        .rev()
        .map(|remaining| {
            // The first `n mod shards` shards are the longer ones.
            let length = examples.len() / (remaining + 1);
            examples.split_off(examples.len() - length)
        })
        .collect();
    cut.shuffle(rng);
    cut.chunks(shards_per_client).map(<[_]>::concat).collect()
}

fn by_proportions<R: Rng + ?Sized>(data: &Dataset, clients: usize, alpha: f64, rng: &mut R) -> Vec<Vec<usize>> {
    let mut classes = vec![Vec::new(); data.classes()];
    for example in shuffled(data, rng) {
        classes[usize::from(data.label(example))].push(example);
    }
    let mut parts = vec![Vec::new(); clients];
    for class in classes {
        let weights = dirichlet_weights(clients, alpha, rng);
        let total: f64 = weights.iter().sum();
        let (mut cumulated, mut start) = (0.0, 0);
        for (client, (part, weight)) in parts.iter_mut().zip(weights).enumerate() {
            cumulated += weight;
            let cut = (cumulated / total * class.len() as f64).round() as usize;
            let end = if client + 1 == clients { class.len() } else { cut.clamp(start, class.len()) };
            part.extend_from_slice(&class[start..end]);
            start = end;
        }
    }
    parts
}

/// Weights in proportion to a draw of Dir(α·1), the greatest being 1.
///
/// A gamma variate underflows for α below about 0.01, and then all of them may be 0. For α ≤ 1 this works instead with
/// `α·ln g = α·ln g' + ln u`, where `g' ~ Gamma(α + 1)` and `u` is uniform, so `g = g'·u^(1/α) ~ Gamma(α)` (Marsaglia and
/// Tsang 2000, §6): the differences to the greatest are finite for every α, and dividing by α can only give −∞, weight 0.
fn dirichlet_weights<R: Rng + ?Sized>(count: usize, alpha: f64, rng: &mut R) -> Vec<f64> {
    let small = alpha <= 1.0;
    let gamma = Gamma::new(if small { alpha + 1.0 } else { alpha }, 1.0).expect("the shape is finite and positive");
    let logarithms: Vec<f64> = (0..count)
        .map(|_| {
            let logarithm: f64 = f64::ln(gamma.sample(rng));
            let uniform: f64 = Open01.sample(rng);
            if small { alpha * logarithm + uniform.ln() } else { logarithm }
        })
        .collect();
    let greatest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = if small { alpha } else { 1.0 };
    logarithms.into_iter().map(|logarithm| ((logarithm - greatest) / scale).exp()).collect()
}

/// Gives every empty part one example of the greatest; there are at least as many examples as parts.
fn fill_empty<R: Rng + ?Sized>(parts: &mut [Vec<usize>], rng: &mut R) {
    let mut by_size: BinaryHeap<_> =
        parts.iter().enumerate().map(|(client, part)| (part.len(), Reverse(client))).collect();
    for empty in 0..parts.len() {
        if parts[empty].is_empty() {
            let (size, Reverse(greatest)) = by_size.pop().expect("there is a part");
            assert!(
                size > 1,
                "while a part is empty, another has two of the examples, which are no fewer than the parts"
            );
            let taken = rng.random_range(..size);
            let taken = parts[greatest].swap_remove(taken);
            parts[empty].push(taken);
            by_size.push((size - 1, Reverse(greatest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn labelled(labels: Vec<u8>) -> Dataset {
        Dataset::new("", vec![0; labels.len()], labels, 1, 10).unwrap()
    }

    fn split(how: Partition, data: &Dataset, clients: usize, seed: u64) -> Result<Vec<Vec<usize>>, DataError> {
        how.split(data, clients, &mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn counts(data: &Dataset, part: &[usize]) -> [usize; 10] {
        part.iter().fold([0; 10], |mut counts, &example| {
            counts[usize::from(data.label(example))] += 1;
            counts
        })
    }

    /// The share of a client's commonest label, averaged over clients.
    fn skew(data: &Dataset, parts: &[Vec<usize>]) -> f64 {
        let share = |part: &Vec<usize>| *counts(data, part).iter().max().unwrap() as f64 / part.len() as f64;
        parts.iter().map(share).sum::<f64>() / parts.len() as f64
    }

    fn is_partition(parts: &[Vec<usize>], examples: usize) -> bool {
        let mut all = parts.concat();
        all.sort_unstable();
        all == (0..examples).collect::<Vec<_>>() && parts.iter().all(|part| !part.is_empty() && part.is_sorted())
    }

    #[test]
    fn independent_parts_are_of_equal_size_and_mixed() {
        let data = Dataset::digits();
        let parts = split(Partition::Iid, &data, 10, 1).unwrap();
        assert!(is_partition(&parts, data.len()));
        assert!(parts.iter().all(|part| [179, 180].contains(&part.len())));
        assert!(parts.iter().all(|part| counts(&data, part).iter().all(|&count| count > 3)));
        assert!(skew(&data, &parts) < 0.2, "{}", skew(&data, &parts));
    }

    #[test]
    fn two_shards_a_client_are_few_labels() {
        let data = Dataset::digits();
        let parts = split(Partition::ByLabel { shards_per_client: 2 }, &data, 100, 1).unwrap();
        assert!(is_partition(&parts, data.len()));
        let labels = |part: &Vec<usize>| counts(&data, part).iter().filter(|&&count| count > 0).count();
        assert!(parts.iter().all(|part| (16..=18).contains(&part.len())));
        // A shard of 9 of some 180 sorted examples touches two labels at most.
        assert!(parts.iter().all(|part| labels(part) <= 4));
        assert!(parts.iter().filter(|part| labels(part) <= 2).count() > 80);
        assert!(skew(&data, &parts) > 0.5);
    }

    #[test]
    fn one_shard_a_client_of_equal_classes_is_one_label() {
        let data = labelled((0..100).map(|example| example % 10).collect());
        let parts = split(Partition::ByLabel { shards_per_client: 1 }, &data, 20, 1).unwrap();
        for part in &parts {
            assert_eq!(part.len(), 5);
            assert!(part.iter().all(|&example| data.label(example) == data.label(part[0])));
        }
    }

    #[test]
    fn a_small_alpha_skews_and_a_large_one_does_not() {
        let data = Dataset::mnist10k();
        let at = |alpha| {
            let parts = split(Partition::Dirichlet { alpha }, &data, 10, 5).unwrap();
            assert!(is_partition(&parts, data.len()));
            skew(&data, &parts)
        };
        let [skewed, medium, uniform] = [0.05, 0.5, 1e6].map(at);
        assert!(skewed > 0.6, "{skewed}");
        assert!(medium > 0.2 && medium < skewed, "{medium}");
        assert!(uniform < 0.12, "{uniform}");
    }

    #[test]
    fn a_huge_alpha_divides_every_class_evenly() {
        let data = Dataset::mnist10k();
        let whole = counts(&data, &(0..data.len()).collect::<Vec<_>>());
        for part in split(Partition::Dirichlet { alpha: 1e12 }, &data, 10, 1).unwrap() {
            for (count, whole) in counts(&data, &part).into_iter().zip(whole) {
                assert!(count.abs_diff(whole / 10) <= 1, "{count} of {whole}");
            }
        }
    }

    #[test]
    fn weights_are_finite_for_every_alpha() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for alpha in [f64::from_bits(1), f64::MIN_POSITIVE, 1e-300, 1e-9, 0.01, 0.5, 1.0, 1.5, 1e9, 1e300, f64::MAX] {
            for count in [1, 2, 100] {
                let weights = dirichlet_weights(count, alpha, rng);
                assert!(weights.iter().all(|weight| (0.0..=1.0).contains(weight)), "{alpha}: {weights:?}");
                assert!(weights.contains(&1.0), "{alpha}: {weights:?}");
            }
        }
    }

    #[test]
    fn proportions_have_the_moments_of_the_dirichlet_distribution() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for alpha in [0.1, 1.0, 5.0] {
            let (count, draws) = (4, 20_000);
            let (mut mean, mut square) = (0.0, 0.0);
            for _ in 0..draws {
                let weights = dirichlet_weights(count, alpha, rng);
                let first = weights[0] / weights.iter().sum::<f64>();
                mean += first / f64::from(draws);
                square += first * first / f64::from(draws);
            }
            let k = count as f64;
            let variance = (k - 1.0) / (k * k * (k * alpha + 1.0));
            // Five standard errors of the mean; a variance within 5 %.
            assert!((mean - 1.0 / k).abs() < 5.0 * (variance / f64::from(draws)).sqrt(), "{alpha}: {mean}");
            assert!(((square - mean * mean) / variance - 1.0).abs() < 0.05, "{alpha}");
        }
    }

    #[test]
    fn every_client_has_an_example_even_at_a_tiny_alpha() {
        let data = Dataset::digits();
        for clients in [10, 1000, data.len()] {
            let parts = split(Partition::Dirichlet { alpha: 1e-9 }, &data, clients, 1).unwrap();
            assert!(is_partition(&parts, data.len()));
        }
    }

    #[test]
    fn an_empty_client_takes_one_example_from_the_greatest() {
        let mut parts = vec![vec![], vec![1, 2, 3], vec![4, 5, 6], vec![], vec![7]];
        fill_empty(&mut parts, &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 2, 1, 1]);
        assert!((1..=3).contains(&parts[0][0]) && (4..=6).contains(&parts[3][0]));
    }

    #[test]
    fn divisions_out_of_range_are_refused() {
        let data = labelled(vec![0; 10]);
        let refused = |how, clients| split(how, &data, clients, 1).unwrap_err();
        for how in [Partition::Iid, Partition::ByLabel { shards_per_client: 1 }, Partition::Dirichlet { alpha: 1.0 }] {
            assert_eq!(refused(how, 0), DataError::NoClients);
            assert_eq!(refused(how, 11), DataError::MoreClientsThanExamples { clients: 11, examples: 10 });
        }
        for shards_per_client in [0, 4, usize::MAX] {
            let error = refused(Partition::ByLabel { shards_per_client }, 3);
            assert_eq!(error, DataError::Shards { shards_per_client, clients: 3, examples: 10 });
        }
        for alpha in [0.0, -1.0, f64::INFINITY] {
            assert_eq!(refused(Partition::Dirichlet { alpha }, 3), DataError::Concentration { got: alpha });
        }
        let error = refused(Partition::Dirichlet { alpha: f64::NAN }, 3);
        assert!(matches!(error, DataError::Concentration { got } if got.is_nan()));
        let error = refused(Partition::ByLabel { shards_per_client: 4 }, 3);
        let message =
            "4 shards for each of 3 clients cannot be cut from 10 examples; allowed is 1 to 3 shards a client";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_partition_is_written_by_its_kind() {
        for (how, text) in [
            (Partition::Iid, "kind = \"iid\"\n"),
            (Partition::ByLabel { shards_per_client: 2 }, "kind = \"by-label\"\nshards_per_client = 2\n"),
            (Partition::Dirichlet { alpha: 0.5 }, "kind = \"dirichlet\"\nalpha = 0.5\n"),
        ] {
            assert_eq!(toml::to_string(&how).unwrap(), text);
            assert_eq!(toml::from_str::<Partition>(text).unwrap(), how);
        }
        assert!(toml::from_str::<Partition>("kind = \"dirichlet\"\nalpha = 0.5\nbeta = 1\n").is_err());
        assert!(toml::from_str::<Partition>("kind = \"iid\"\nalpha = 0.5\n").is_err());
    }

    #[test]
    fn the_same_seed_gives_the_same_division() {
        let data = Dataset::digits();
        for how in [Partition::Iid, Partition::ByLabel { shards_per_client: 2 }, Partition::Dirichlet { alpha: 0.5 }] {
            assert_eq!(split(how, &data, 20, 1), split(how, &data, 20, 1));
            assert_ne!(split(how, &data, 20, 1), split(how, &data, 20, 2));
        }
    }

    proptest! {
        #[test]
        fn every_example_has_exactly_one_client(
            labels in proptest::collection::vec(0u8..10, 1..200),
            clients in any::<prop::sample::Index>(),
            shards in any::<prop::sample::Index>(),
            exponent in -320.0f64..308.0,
            seed: u64,
        ) {
            let data = labelled(labels);
            let clients = clients.index(data.len()) + 1;
            let shards_per_client = shards.index(data.len() / clients) + 1;
            let alpha = 10f64.powf(exponent);
            for how in [Partition::Iid, Partition::ByLabel { shards_per_client }, Partition::Dirichlet { alpha }] {
                let parts = split(how, &data, clients, seed).unwrap();
                prop_assert_eq!(parts.len(), clients);
                prop_assert!(is_partition(&parts, data.len()), "{:?}: {:?}", how, parts);
            }
        }
    }
}
