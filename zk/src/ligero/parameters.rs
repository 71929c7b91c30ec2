use super::LigeroError;

/// The sizes of the code and of the test; soundness and the number of openings follow from them.
///
/// Rows are polynomials of degree below `K = degree`, evaluated at `N = K / ρ` points, of which every opening reads at
/// most `queries`. Of the `K` slots of a row, `uses · queries` are random and the others hold the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    log_degree: u32,
    log_inverse_rate: u32,
    queries: u32,
    work_bits: u32,
    uses: u32,
}

/// The rate `ρ = 2⁻⁴` unless another one is asked for: longer codes need fewer queries, and more hashing to commit.
const LOG_INVERSE_RATE: usize = 4;

/// How large the challenge field is, `3·log₂(2⁶⁴ − 2³² + 1)`; the difference to 192 is below `10⁻⁸`.
const EXTENSION_BITS: f64 = 192.0;

impl Parameters {
    /// How many message rows all oracles of one opening have together, at most.
    pub const MAX_ROWS: usize = 1 << 16;

    /// Parameters of rate 1/16 without proof of work.
    ///
    /// `degree` is a power of two from 4 to 2¹⁶, `uses` how often a commitment can be opened, `security` from 64 to 140
    /// bits. For 128 bits there are 155 queries, so a degree of 512 leaves 357, 202 or 47 message slots a row for one,
    /// two or three uses.
    ///
    /// # Errors
    /// [`LigeroError::Parameter`] if one is out of range, or no message slot is left.
    pub fn new(degree: usize, uses: usize, security: usize) -> Result<Self, LigeroError> {
        Self::tuned(degree, LOG_INVERSE_RATE, uses, security, 0)
    }

    /// Parameters of rate `2^−log_inverse_rate`, from 2 to 6, with a proof of work of at most 16 bits in every opening.
    ///
    /// The search for the work is parallel: with it, one seed may give several proofs.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn tuned(
        degree: usize,
        log_inverse_rate: usize,
        uses: usize,
        security: usize,
        work_bits: usize,
    ) -> Result<Self, LigeroError> {
        in_range("the security level", security, 64, 140)?;
        in_range("the logarithm of the inverse rate", log_inverse_rate, 2, 6)?;
        in_range("the bits of work", work_bits, 0, 16)?;
        // Far more than any level needs; the search below stops long before.
        for queries in (security - work_bits).max(1)..1 << 10 {
            let parameters = Self::with_queries(degree, log_inverse_rate, uses, queries, work_bits)?;
            if parameters.security_level() >= security as f64 {
                return Ok(parameters);
            }
        }
        Err(LigeroError::Parameter { name: "the security level", got: security, least: 64, most: 140 })
    }

    /// Parameters with any number of queries, as the tests of cheating need them.
    pub(super) fn with_queries(
        degree: usize,
        log_inverse_rate: usize,
        uses: usize,
        queries: usize,
        work_bits: usize,
    ) -> Result<Self, LigeroError> {
        in_range("the degree", degree, 4, 1 << 16)?;
        if !degree.is_power_of_two() {
            return Err(LigeroError::Parameter { name: "the degree", got: degree, least: 4, most: 1 << 16 });
        }
        // One message slot at least, in every row.
        in_range("the number of uses", uses, 1, (degree - 1) / queries)?;
        Ok(Self {
            log_degree: degree.trailing_zeros(),
            log_inverse_rate: log_inverse_rate as u32,
            queries: queries as u32,
            work_bits: work_bits as u32,
            uses: uses as u32,
        })
    }

    /// The bound `K` on the degree of a row: a row has so many slots, random ones included.
    pub const fn degree(&self) -> usize {
        1 << self.log_degree
    }

    /// The code's length `N`.
    pub const fn length(&self) -> usize {
        1 << (self.log_degree + self.log_inverse_rate)
    }

    /// The code's inverse rate `N / K`.
    pub const fn inverse_rate(&self) -> usize {
        1 << self.log_inverse_rate
    }

    /// How many positions an opening draws, with repetition.
    pub const fn queries(&self) -> usize {
        self.queries as usize
    }

    /// The bits of work in every opening.
    pub const fn work_bits(&self) -> usize {
        self.work_bits as usize
    }

    /// How often a commitment can be opened.
    pub const fn uses(&self) -> usize {
        self.uses as usize
    }

    /// How many message entries a row of a registered commitment holds: `K − uses · queries`.
    pub const fn slots(&self) -> usize {
        self.degree() - self.uses() * self.queries()
    }

    /// How many entries a row of pads holds; they are opened once.
    pub(super) const fn fresh_slots(&self) -> usize {
        self.degree() - self.queries()
    }

    /// The soundness error of one opening, term by term, as minus its base-two logarithm.
    ///
    /// With `|E| ≈ 2¹⁹²` challenges and at most [`Self::MAX_ROWS`] rows: `rows·N/|E|` for the proximity test,
    /// `(N + 1)/|E|` for the linear test, and `(1/2 + ρ)^queries · 2^−work_bits` for the columns. Where they come from is
    /// said in the [module](super). Beside them stands the collision resistance of BLAKE3, 128 bits.
    pub fn security(&self) -> Vec<(&'static str, f64)> {
        let length = self.length() as f64;
        let per_query = -(0.5 + 1.0 / self.inverse_rate() as f64).log2();
        vec![
            ("proximity test", EXTENSION_BITS - (Self::MAX_ROWS as f64 * length).log2()),
            ("linear test", EXTENSION_BITS - (length + 1.0).log2()),
            ("columns", f64::from(self.queries) * per_query + f64::from(self.work_bits)),
        ]
    }

    /// Minus the base-two logarithm of the sum of all terms of [`Self::security`].
    pub fn security_level(&self) -> f64 {
        -self.security().into_iter().map(|(_, bits)| (-bits).exp2()).sum::<f64>().log2()
    }

    /// Twenty bytes for a statement: degree, inverse rate, queries, work bits and uses, little-endian.
    pub fn to_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let words = [self.degree() as u32, self.inverse_rate() as u32, self.queries, self.work_bits, self.uses];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The longest vector that can be committed.
    pub const fn max_length(&self) -> usize {
        Self::MAX_ROWS * self.slots()
    }

    /// How many rows a vector takes.
    pub(super) const fn rows(&self, length: usize) -> usize {
        length.div_ceil(self.slots())
    }

    /// How many rows that many pads take.
    pub(super) const fn fresh_rows(&self, pads: usize) -> usize {
        pads.saturating_mul(crate::EXTENSION_DEGREE).div_ceil(self.fresh_slots())
    }
}

fn in_range(name: &'static str, got: usize, least: usize, most: usize) -> Result<(), LigeroError> {
    if (least..=most).contains(&got) { Ok(()) } else { Err(LigeroError::Parameter { name, got, least, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_and_twenty_eight_bits_take_155_queries_or_135_with_work() {
        let plain = Parameters::new(512, 2, 128).unwrap();
        assert_eq!((plain.queries(), plain.length(), plain.slots()), (155, 8192, 202));
        assert!(plain.security_level() >= 128.0);
        let worked = Parameters::tuned(512, 4, 2, 128, 16).unwrap();
        assert_eq!(worked.queries(), 135);
        assert!(worked.security_level() >= 128.0);
        assert_eq!(plain.to_bytes()[..12], [0, 2, 0, 0, 16, 0, 0, 0, 155, 0, 0, 0]);
    }

    #[test]
    fn the_level_holds_at_the_largest_code() {
        for security in [64, 100, 128, 140] {
            let parameters = Parameters::tuned(1 << 16, 6, 1, security, 0).unwrap();
            assert!(parameters.security_level() >= security as f64);
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused_by_name() {
        let name = |result: Result<Parameters, LigeroError>| match result {
            Err(LigeroError::Parameter { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(Parameters::new(512, 4, 128)), "the number of uses");
        assert_eq!(name(Parameters::new(512, 0, 128)), "the number of uses");
        assert_eq!(name(Parameters::new(500, 1, 128)), "the degree");
        assert_eq!(name(Parameters::new(1 << 17, 1, 128)), "the degree");
        assert_eq!(name(Parameters::new(512, 1, 141)), "the security level");
        assert_eq!(name(Parameters::tuned(512, 1, 1, 128, 0)), "the logarithm of the inverse rate");
        assert_eq!(name(Parameters::tuned(512, 4, 1, 128, 17)), "the bits of work");
    }
}
