//! What an opening proves, in bits: error terms of WHIR and of its hiding variant, from code geometry.
//!
//! Every term is a proven bound in the interactive model, for Reed–Solomon codes up to the Johnson radius; nothing
//! here rests on the capacity conjectures. The rates are the true ones, randomness of the hiding encoding included.

use super::PcsSecurity;

/// `⌊log₂ |Ext|⌋`.
pub(super) const FIELD_BITS: f64 = 191.0;

/// `d` of the masked sumcheck's round polynomials, `max(ℓ_zk − 1, 2)`, for the shortest masks.
const MASKED_DEGREE: f64 = 2.0;

/// How close to a code a word must be, for the analysis; it is no parameter of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Radius {
    /// Agreement `(1 + ρ)/2`: at most one codeword.
    Unique,
    /// Agreement `(1 + 1/2m)·√ρ`: a short list.
    Johnson { m: f64 },
}

/// A Reed–Solomon code whose codewords are committed `width` at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Code {
    /// Message and randomness coefficients of one codeword.
    pub dimension: usize,
    /// Evaluations of one codeword.
    pub length: usize,
    /// Codewords that share a Merkle leaf.
    pub width: usize,
}

/// One batch of folds: the oracle that is folded, and what checks it afterwards.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub code: Code,
    pub folds: usize,
    pub fold_work: usize,
    /// Out-of-domain samples taken when the oracle was sent, and the degree of the polynomials they tell apart.
    pub out_of_domain: Option<(usize, usize)>,
    /// Positions at which the oracle is opened.
    pub queries: usize,
    pub query_work: usize,
    /// Out-of-domain samples and queries combined right after the opening; none when the reveal is checked directly.
    pub combined: usize,
}

/// The whole protocol, as far as soundness is concerned.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub phases: Vec<Phase>,
    /// Claims combined at the start, out-of-domain ones included.
    pub claims: usize,
    /// Folds after the last oracle, on a message sent in the clear.
    pub closing_folds: usize,
    /// Mask oracles of the hiding variant, with their spot checks; none for the plain one.
    pub masks: Vec<Code>,
    pub mask_queries: usize,
}

impl Geometry {
    /// The error terms at the radii that make their sum smallest.
    pub(super) fn security(&self) -> PcsSecurity {
        const MULTIPLICITIES: [f64; 12] = [3.0, 5.0, 8.0, 12.0, 20.0, 32.0, 50.0, 80.0, 120.0, 200.0, 400.0, 800.0];
        let sources = MULTIPLICITIES.map(|m| Radius::Johnson { m });
        let masks = MULTIPLICITIES[..6].iter().map(|&m| Radius::Johnson { m });
        let masks: Vec<_> = std::iter::once(Radius::Unique).chain(masks).collect();
        let masks = if self.masks.is_empty() { &masks[..1] } else { &masks[..] };
        let choices = sources.iter().flat_map(|&source| masks.iter().map(move |&mask| (source, mask)));
        choices
            .map(|(source, mask)| self.security_at(source, mask))
            .max_by(|a, b| a.bits().total_cmp(&b.bits()))
            .expect("there is a choice of radii")
    }

    fn security_at(&self, source: Radius, mask: Radius) -> PcsSecurity {
        let hiding = !self.masks.is_empty();
        let mask_lists: f64 = self.masks.iter().map(|code| code.list(mask)).sum();
        let source_list = self.phases.iter().map(|phase| phase.code.list(source)).fold(0.0, f64::max);
        // A check by a random combination must hold for every word of every list: their product.
        let lists = source_list + mask_lists;
        let algebraic = |degree: f64| FIELD_BITS - degree.log2() - lists;
        let mut terms = Terms::default();
        if self.claims > 1 {
            terms.add("combination of claims", algebraic((self.claims - 1) as f64));
        }
        for phase in &self.phases {
            let work = phase.fold_work as f64;
            if let Some((samples, degree)) = phase.out_of_domain {
                let per_sample = FIELD_BITS - (degree as f64).log2();
                let mask_list = self.masks.iter().map(|code| code.list(mask)).fold(0.0, f64::max);
                let pairs = 2.0 * (phase.code.list(source) + mask_list) - 1.0;
                terms.add("out-of-domain samples", samples as f64 * per_sample - pairs);
            }
            let folds = (phase.folds as f64).log2();
            terms.add("proximity of folds", phase.code.correlated_agreement(source) - folds + work);
            let degree = if hiding { MASKED_DEGREE } else { 2.0 };
            terms.add("sumcheck of folds", algebraic(degree) - folds + work);
            if hiding {
                terms.add("sumcheck masks", algebraic(1.0));
            }
            terms.add("queries", phase.code.query(source) * phase.queries as f64 + phase.query_work as f64);
            if phase.combined > 0 {
                terms.add("combination of queries", algebraic(phase.combined as f64));
            }
        }
        if self.closing_folds > 0 {
            terms.add("closing sumcheck", FIELD_BITS - 1.0 - (self.closing_folds as f64).log2());
        }
        if hiding {
            // One challenge blinds the folded source and every mask at once.
            let last = self.phases.last().expect("there is a phase").code;
            terms.add("blinded reveal", Code { width: 1, ..last }.correlated_agreement(source));
            terms.add("blinded reveal", algebraic(1.0));
            for code in &self.masks {
                terms.add("blinded reveal", code.correlated_agreement(mask));
                terms.add("mask queries", code.query(mask) * self.mask_queries as f64);
            }
        }
        PcsSecurity { terms: terms.0, candidates: self.phases[0].code.list(source) }
    }
}

impl Code {
    fn rate(&self) -> f64 {
        self.dimension as f64 / self.length as f64
    }

    /// The share of positions on which a word at the radius agrees with the code.
    fn agreement(&self, radius: Radius) -> f64 {
        let rho = self.rate();
        let share = match radius {
            Radius::Unique => f64::midpoint(1.0, rho),
            Radius::Johnson { m } => (1.0 + 0.5 / m) * rho.sqrt(),
        };
        share.min(1.0)
    }

    /// Bits of one uniformly random position.
    fn query(&self, radius: Radius) -> f64 {
        -self.agreement(radius).log2()
    }

    /// `log₂` of how many codewords are within the radius of a word.
    ///
    /// Two codewords agree on at most a share `ρ`, so by counting pairs `L ≤ (a − ρ)/(a² − ρ)` of them agree with
    /// one word on a share `a > √ρ` (Johnson 1962). The alphabet does not enter: the bound holds for codewords
    /// interleaved at any width, and for a pair that shares its positions.
    fn list(&self, radius: Radius) -> f64 {
        let (rho, a) = (self.rate(), self.agreement(radius));
        if a >= f64::midpoint(1.0, rho) { 0.0 } else { ((a - rho) / (a * a - rho)).log2() }
    }

    /// Bits of one random line keeping its distance: mutual correlated agreement, times the width.
    ///
    /// Unique radius: `n/|F|` (Ben-Sasson, Carmon, Ishai, Kopparty, Saraf 2020; Arnon, Chiesa, Fenzi, Yogev 2024,
    /// Lemma 4.10). Johnson radius: `8·n·(m + ½)³/(3·ρ⁻)/|F|` with `ρ⁻ = (k − 1)/n` and `m ≥ 3` (Dao, Kominers,
    /// Thaler 2026, Theorem 5.12, as `p3-security` uses it).
    fn correlated_agreement(&self, radius: Radius) -> f64 {
        let n = self.length as f64;
        let exceptions = match radius {
            Radius::Unique => n,
            Radius::Johnson { m } => 8.0 * n * (m + 0.5).powi(3) * n / (3.0 * (self.dimension - 1) as f64),
        };
        FIELD_BITS - exceptions.log2() - (self.width as f64).log2()
    }
}

/// Error terms by name; those of one name are added as probabilities.
#[derive(Default)]
struct Terms(Vec<(&'static str, f64)>);

impl Terms {
    fn add(&mut self, name: &'static str, bits: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = add_bits(*sum, bits),
            None => self.0.push((name, bits)),
        }
    }
}

/// `−log₂(2^−a + 2^−b)`.
pub(super) fn add_bits(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::INFINITY { low } else { low - (1.0 + (low - high).exp2()).log2() }
}

#[cfg(test)]
mod tests {
    use p3_whir::SecurityAssumption::JohnsonBound;

    use super::*;

    const TEN: Radius = Radius::Johnson { m: 10.0 };

    /// The library's own accounting fixes `η = √ρ/20`, which is `m = 10`.
    #[test]
    fn the_terms_of_a_dyadic_code_agree_with_the_library() {
        for (log_dimension, log_inverse_rate) in [(10, 1), (17, 1), (12, 4), (6, 9)] {
            let code =
                Code { dimension: 1 << log_dimension, length: 1 << (log_dimension + log_inverse_rate), width: 1 };
            let query = JohnsonBound.queries_error(log_inverse_rate, 1);
            assert!((code.query(TEN) - query).abs() < 1e-9, "{} {query}", code.query(TEN));
            let line = JohnsonBound.prox_gaps_error(log_dimension, log_inverse_rate, FIELD_BITS as usize, 2);
            assert!((code.correlated_agreement(TEN) - line).abs() < 1e-9, "{} {line}", code.correlated_agreement(TEN));
            let list = JohnsonBound.list_size_bits(log_dimension, log_inverse_rate);
            assert!(code.list(TEN) <= list && code.list(TEN) > list / 2.0, "{} {list}", code.list(TEN));
        }
    }

    #[test]
    fn randomness_of_the_encoding_weakens_every_term() {
        let plain = Code { dimension: 1 << 10, length: 1 << 11, width: 32 };
        let hiding = Code { dimension: (1 << 10) + 270, ..plain };
        assert!(hiding.query(TEN) < plain.query(TEN) * 0.7);
        let far = Radius::Johnson { m: 800.0 };
        assert!(
            plain.query(far) > plain.query(TEN) && plain.correlated_agreement(far) < plain.correlated_agreement(TEN)
        );
        assert!(plain.list(Radius::Unique).abs() < 1e-12);
        let full = Code { dimension: 1 << 11, ..plain };
        assert!(full.query(TEN).abs() < 1e-12, "a code without redundancy is never tested");
    }

    #[test]
    fn bits_add_as_probabilities() {
        assert!((add_bits(128.0, 128.0) - 127.0).abs() < 1e-12);
        assert!((add_bits(f64::INFINITY, 5.0) - 5.0).abs() < 1e-12);
        assert!(add_bits(f64::INFINITY, f64::INFINITY).is_infinite());
    }
}
