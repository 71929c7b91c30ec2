//! Reading canonical encodings without panics.

use crate::MpcError;

/// A cursor over bytes from outside: every read is checked, and what is left over is an error.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn take(&mut self, what: &'static str, count: usize) -> Result<&'a [u8], MpcError> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(MpcError::Length {
            what,
            expected: count,
            got: self.bytes.len(),
        })?;
        self.bytes = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], MpcError> {
        let head = self.take(what, N)?;
        Ok(head.try_into().expect("`take` returns N bytes"))
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, MpcError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn number(&mut self, what: &'static str) -> Result<u32, MpcError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// Reads a count of entries of `size` bytes each and checks that exactly so many bytes follow,
    /// so that a count never decides how much memory is taken.
    pub(crate) fn count(&mut self, what: &'static str, size: usize) -> Result<usize, MpcError> {
        let count = self.number(what)? as usize;
        let expected = count.checked_mul(size).ok_or(MpcError::Malformed { what })?;
        if self.bytes.len() != expected {
            return Err(MpcError::Length { what, expected, got: self.bytes.len() });
        }
        Ok(count)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn finish(self, what: &'static str) -> Result<(), MpcError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(MpcError::Length { what, expected: 0, got: self.bytes.len() }) }
    }
}
