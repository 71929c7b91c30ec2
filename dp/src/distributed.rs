//! The distributed discrete Gaussian: each contributor adds a share of the noise, and only the sum is released.
//!
//! Kairouz, Liu and Steinke (2021, arXiv 2102.06387), accounted over the guaranteed honest contributors alone.

mod calibrate;
mod mechanism;
mod release;

pub use mechanism::DistributedGaussian;
pub use release::DistributedRelease;
