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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::TrainingPlan;

    fn refused(shape: &str, loss: Loss, format: FixedPoint) -> Option<CircuitError> {
        TrainingPlan::with_loss(shape.parse().unwrap(), format, loss, 1, 1, 12).err()
    }

    #[test]
    fn classes_that_no_byte_can_name_have_no_cross_entropy() {
        assert_eq!(refused("2-256", Loss::CrossEntropy, FixedPoint::V1), None);
        assert_eq!(
            refused("2-257", Loss::CrossEntropy, FixedPoint::V1),
            Some(CircuitError::OutOfRange { field: "classes", value: 257, min: 1, max: 256 })
        );
        assert_eq!(refused("2-257", Loss::SquaredError, FixedPoint::V1), None);
    }

    #[test]
    fn activations_too_wide_for_the_table_are_named() {
        let format = |activation_bits, activation_fraction| FixedPoint {
            activation_bits,
            activation_fraction,
            ..FixedPoint::V1
        };
        assert_eq!(refused("2-3", Loss::CrossEntropy, format(20, 18)), None);
        assert_eq!(
            refused("2-3", Loss::CrossEntropy, format(21, 12)),
            Some(CircuitError::OutOfRange { field: "activation_bits", value: 21, min: 1, max: 20 })
        );
        assert_eq!(
            refused("2-3", Loss::CrossEntropy, format(20, 19)),
            Some(CircuitError::OutOfRange { field: "activation_fraction", value: 19, min: 1, max: 18 })
        );
        assert_eq!(refused("2-3", Loss::SquaredError, format(21, 19)), None);
    }

    #[test]
    fn a_loss_is_written_as_settings_have_it() {
        assert_eq!(Loss::default(), Loss::SquaredError);
        assert_eq!([Loss::SquaredError, Loss::CrossEntropy].map(|l| l.to_string()), ["squared-error", "cross-entropy"]);
    }
}
