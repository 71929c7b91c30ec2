use super::basis::{Prime, RnsBasis};
use super::buffer::Buffer;

/// Calls `work` with the index, the prime and the residues of every limb, on several threads if there are.
///
/// Limbs are independent, so the result does not depend on how they are shared out.
pub(crate) fn for_each_limb(
    values: &mut [u64],
    basis: &RnsBasis,
    work: impl Fn(usize, &Prime, &mut [u64]) + Send + Sync,
) {
    let degree = basis.degree();
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        if values.len() > degree && rayon::current_num_threads() > 1 {
            values
                .par_chunks_exact_mut(degree)
                .zip(basis.primes())
                .enumerate()
                .for_each(|(i, (limb, prime))| work(i, prime, limb));
            return;
        }
    }
    values.chunks_exact_mut(degree).zip(basis.primes()).enumerate().for_each(|(i, (limb, prime))| work(i, prime, limb));
}

/// The same for limbs of two polynomials at once, whatever their primes, with `scratch` residues of room that hold anything.
pub(crate) fn for_each_limb_pair(
    (first, second): (&mut [u64], &mut [u64]),
    degree: usize,
    scratch: usize,
    work: impl Fn(usize, (&mut [u64], &mut [u64]), &mut [u64]) + Send + Sync,
) {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        if first.len() > degree && rayon::current_num_threads() > 1 {
            first
                .par_chunks_exact_mut(degree)
                .zip(second.par_chunks_exact_mut(degree))
                .enumerate()
                .for_each_init(|| Buffer::any(scratch), |room, (i, limbs)| work(i, limbs, room));
            return;
        }
    }
    let mut room = Buffer::any(scratch);
    let limbs = first.chunks_exact_mut(degree).zip(second.chunks_exact_mut(degree));
    limbs.enumerate().for_each(|(i, limbs)| work(i, limbs, &mut room));
}
