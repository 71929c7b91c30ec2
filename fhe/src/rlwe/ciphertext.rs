use crate::bytes::{Reader, Writer};
use crate::ring::sample::{Seed, uniform};
use crate::ring::{Ntt, Poly};
use crate::{FheError, KeyId, Parameters};

/// Polynomials `c_0, c_1, …` whose phase hides a message. What the message is, a scheme says.
#[derive(Clone, Debug, PartialEq)]
pub struct Ciphertext {
    parameters: Parameters,
    key: KeyId,
    parts: Vec<Poly<Ntt>>,
    /// What `c_1` was expanded from, as long as nothing was done with it.
    seed: Option<Seed>,
}

impl Ciphertext {
    pub(crate) fn new(parameters: &Parameters, key: KeyId, parts: Vec<Poly<Ntt>>) -> Self {
        assert!(parts.len() >= 2, "a ciphertext has two parts at least");
        Self { parameters: parameters.clone(), key, parts, seed: None }
    }

    pub(crate) fn seeded(parameters: &Parameters, key: KeyId, c0: Poly<Ntt>, c1: Poly<Ntt>, seed: Seed) -> Self {
        Self { parameters: parameters.clone(), key, parts: vec![c0, c1], seed: Some(seed) }
    }

    /// The parameters it was made for.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The name of the key that it is encrypted under.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// The number of primes that it is left with.
    pub fn level(&self) -> usize {
        self.parts[0].limbs()
    }

    /// `c_0, c_1, …`
    pub fn parts(&self) -> &[Poly<Ntt>] {
        &self.parts
    }

    /// The parts, to be changed: they come from no seed from now on.
    pub(crate) fn parts_mut(&mut self) -> &mut Vec<Poly<Ntt>> {
        self.seed = None;
        &mut self.parts
    }

    /// # Errors
    /// [`FheError::Keys`] for another key.
    pub(crate) fn belongs_to(&self, key: KeyId) -> Result<(), FheError> {
        if self.key == key { Ok(()) } else { Err(FheError::Keys { left: self.key, right: key }) }
    }

    /// # Errors
    /// [`FheError::Parameters`] or [`FheError::Keys`], unless the two can be operands of one operation.
    pub(crate) fn goes_with(&self, other: &Self) -> Result<(), FheError> {
        self.parameters.matches(&other.parameters)?;
        self.belongs_to(other.key)
    }

    /// `self += other`, both of one key and level; the longer one's further parts are kept.
    ///
    /// # Errors
    /// [`FheError::Parameters`], [`FheError::Keys`], [`FheError::Level`].
    pub fn add_assign(&mut self, other: &Self) -> Result<(), FheError> {
        self.combine(other, Poly::add_assign, |part| part)
    }

    /// `self −= other`, both of one key and level.
    ///
    /// # Errors
    /// [`FheError::Parameters`], [`FheError::Keys`], [`FheError::Level`].
    pub(crate) fn sub_assign(&mut self, other: &Self) -> Result<(), FheError> {
        self.combine(other, Poly::sub_assign, |mut part| {
            part.negate();
            part
        })
    }

    fn combine(
        &mut self,
        other: &Self,
        both: impl Fn(&mut Poly<Ntt>, &Poly<Ntt>),
        alone: impl Fn(Poly<Ntt>) -> Poly<Ntt>,
    ) -> Result<(), FheError> {
        self.goes_with(other)?;
        if self.level() != other.level() {
            return Err(FheError::Level { what: "a sum", left: self.level(), right: other.level() });
        }
        let count = self.parts.len();
        let parts = self.parts_mut();
        parts.iter_mut().zip(&other.parts).for_each(|(part, other)| both(part, other));
        parts.extend(other.parts.iter().skip(count).cloned().map(alone));
        Ok(())
    }

    /// Key, level and parts, `c_1` as its seed where it has one.
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.key.0);
        writer.u8(self.level() as u8);
        writer.u8(self.parts.len() as u8);
        writer.u8(u8::from(self.seed.is_some()));
        writer.poly(&self.parts[0]);
        match self.seed {
            Some(seed) => writer.bytes(&seed.0),
            None => self.parts[1..].iter().for_each(|part| writer.poly(part)),
        }
    }

    pub(crate) fn read(parameters: &Parameters, reader: &mut Reader<'_>) -> Result<Self, FheError> {
        let key = KeyId(reader.array("the key's name")?);
        let level = usize::from(reader.u8("the level")?);
        if level == 0 || level > parameters.levels() {
            return Err(FheError::Malformed("a level from 1 to that of the parameters"));
        }
        let count = reader.u8("the number of parts")?;
        let seeded = reader.u8("whether there is a seed")?;
        let basis = parameters.ciphertext_basis();
        match (count, seeded) {
            (2, 1) => {
                let c0 = reader.poly(basis, level, "c_0")?;
                let seed = Seed(reader.array("the seed")?);
                let c1 = uniform(basis, level, seed, super::keys::SECRET_KEY_ENCRYPTION);
                Ok(Self::seeded(parameters, key, c0, c1, seed))
            }
            (2 | 3, 0) => {
                let parts = (0..count).map(|_| reader.poly(basis, level, "a part")).collect::<Result<_, _>>()?;
                Ok(Self::new(parameters, key, parts))
            }
            _ => Err(FheError::Malformed("two parts, or three without a seed")),
        }
    }
}
