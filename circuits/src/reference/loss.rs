use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FixedPoint, Softmax};
use crate::CircuitError;

/// What training minimises, averaged over the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Half the squared distance of the outputs from the one-hot target: version 1.
    #[default]
    SquaredError,
    /// The negative logarithm of the label's softmax probability: version 2.
    CrossEntropy,
}

impl Loss {
    /// The most classes, whose labels are bytes.
    const MAX_CLASSES: usize = 256;

    pub(super) fn validate(self, format: FixedPoint, classes: usize) -> Result<(), CircuitError> {
        let check = |field, value: usize, max: usize| {
            if value <= max {
                return Ok(());
            }
            Err(CircuitError::OutOfRange { field, value: value as i128, min: 1, max: max as i128 })
        };
        if self == Self::SquaredError {
            return Ok(());
        }
        check("classes", classes, Self::MAX_CLASSES)?;
        // The table of exponentials has a row for every difference of two outputs.
        check("activation_bits", format.activation_bits as usize, Softmax::MAX_BITS as usize)?;
        check("activation_fraction", format.activation_fraction as usize, Softmax::MAX_BITS as usize - 2)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SquaredError => "squared-error",
            Self::CrossEntropy => "cross-entropy",
        })
    }
}
