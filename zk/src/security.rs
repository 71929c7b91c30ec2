use std::fmt;

/// What a false statement's proof could slip through by, term by term.
///
/// Each term is minus the base-two logarithm of an error probability that is proven, in the interactive argument; the
/// transform to a transcript (in the random-oracle model) and the hash's collision resistance stand beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecurityReport {
    terms: Vec<(&'static str, &'static str, f64)>,
}

impl SecurityReport {
    pub(crate) const fn new() -> Self {
        Self { terms: Vec::new() }
    }

    pub(crate) fn push(&mut self, part: &'static str, term: &'static str, bits: f64) {
        self.terms.push((part, term, bits));
    }

    /// Part, term and bits.
    pub fn terms(&self) -> &[(&'static str, &'static str, f64)] {
        &self.terms
    }

    /// The bits of all terms together.
    pub fn bits(&self) -> f64 {
        -self.terms.iter().map(|(_, _, bits)| (-bits).exp2()).sum::<f64>().log2()
    }
}

impl fmt::Display for SecurityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, term, bits) in &self.terms {
            writeln!(f, "{bits:8.1}  {part}: {term}")?;
        }
        write!(f, "{:8.1}  in all", self.bits())
    }
}
