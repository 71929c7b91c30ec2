//! Local training: the reference's integers through candle's matrix products, and float SGD to compare with.

mod exact;
mod float;

pub use exact::{CandleProducts, ExactTrainer};
pub use float::FloatSgd;
