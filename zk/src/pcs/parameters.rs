//! Protocol parameters by size, and the derivation of the query counts from the target.

use p3_whir::{FoldingFactor, ProtocolParameters, SecurityAssumption, WhirConfig, ZkParameters, ZkWhirConfig};

use super::soundness::{Code, FIELD_BITS, Geometry, Phase};
use super::{PcsError, PcsSecurity};
use crate::transcript::Challenger;
use crate::{Base, Ext};

pub(super) type PlainConfig = WhirConfig<Ext, Base, Challenger>;
pub(super) type HidingConfig = ZkWhirConfig<Ext, Base, Challenger>;

/// Variables left when the folds end: the message of 2⁶ entries is then sent, blinded in the hiding variant.
const LEFT: usize = 6;

/// Most variables a later batch of folds removes.
const FOLD: usize = 6;

/// What is chosen by size; query counts follow from the target.
///
/// The choices were found by measuring proof size and time: a small polynomial pays for its bytes, so it gets a long
/// code and few queries; a large one pays for its Fourier transforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// `log₂` of the inverse rate of the committed codeword.
    log_inverse_rate: usize,
    /// How many variables each batch of folds removes.
    folds: Vec<usize>,
    /// `log₂` of the inverse rate of each later codeword, one fewer than batches of folds.
    later_rates: Vec<usize>,
    /// Most bits of proof of work that replace queries, at each opening of an oracle.
    work: usize,
    /// `log₂` of the inverse rate of the mask codes; read by the hiding variant alone.
    mask_rate: usize,
}

impl Settings {
    pub(super) fn plain(variables: usize) -> Self {
        match variables {
            ..=12 => Self::new(variables, 4, variables.saturating_sub(LEFT).max(1), 0),
            13..=16 => Self::new(variables, 3, 5, 5),
            17..=20 => Self::new(variables, 2, 5, 4),
            _ => Self::new(variables, 1, 6, 4),
        }
    }

    pub(super) fn hiding(variables: usize) -> Self {
        match variables {
            ..=13 => Self::new(variables, 6, variables.saturating_sub(LEFT).max(3), 0),
            14..=16 => Self::new(variables, 4, 5, 7),
            17..=18 => Self::new(variables, 2, 6, 6),
            19..=20 => Self::new(variables, 2, 6, 4),
            // Half the rate takes two fifths more time, and saves three tenths of the bytes.
            21..=23 => Self { later_rates: vec![5, 9], mask_rate: 7, ..Self::new(variables, 2, 6, 5) },
            // Here memory is what there is least of.
            _ => Self::new(variables, 1, 6, 4),
        }
    }

    /// The first batch removes `first` variables, the others share the rest evenly.
    fn new(variables: usize, log_inverse_rate: usize, first: usize, first_later_rate: usize) -> Self {
        let rest = variables.saturating_sub(first + LEFT);
        let batches = rest.div_ceil(FOLD);
        let later = (0..batches).map(|i| rest / batches + usize::from(i < rest % batches));
        Self {
            log_inverse_rate,
            folds: std::iter::once(first).chain(later).collect(),
            later_rates: (0..batches).map(|i| first_later_rate + 3 * i).collect(),
            work: if variables <= 18 { 12 } else { 16 },
            mask_rate: 5,
        }
    }

    fn protocol(&self, level: usize) -> ProtocolParameters {
        ProtocolParameters {
            starting_log_inv_rate: self.log_inverse_rate,
            round_log_inv_rates: self.later_rates.clone(),
            folding_factor: FoldingFactor::PerRound(self.folds.clone()),
            soundness_type: SecurityAssumption::JohnsonBound,
            security_level: level,
            pow_bits: self.work,
        }
    }
}

/// The cheapest plain configuration whose error terms add up to at most `2^−bits`.
pub(super) fn plain(
    variables: usize,
    bits: usize,
    settings: &Settings,
) -> Result<(PlainConfig, PcsSecurity), PcsError> {
    derive(variables, bits, settings.work, |level| {
        let config = PlainConfig::new_with_initial_claims(variables, settings.protocol(level), 1).ok()?;
        let security = plain_geometry(&config).security();
        Some((config, security))
    })
}

/// The cheapest hiding configuration whose error terms add up to at most `2^−bits`.
pub(super) fn hiding(
    variables: usize,
    bits: usize,
    settings: &Settings,
) -> Result<(HidingConfig, PcsSecurity), PcsError> {
    derive(variables, bits, settings.work, |level| {
        let zk = ZkParameters { ell_zk: 3, mask_log_inv_rate: settings.mask_rate };
        let config = HidingConfig::new(variables, settings.protocol(level), zk).ok()?;
        let security = hiding_geometry(&config).security();
        Some((config, security))
    })
}

/// The level asked of `p3-whir` is only how queries are counted there, per term and at one fixed radius: it is raised
/// until the sum of the terms, at the true rates and the best radius, reaches the target.
fn derive<C>(
    variables: usize,
    bits: usize,
    work: usize,
    configure: impl Fn(usize) -> Option<(C, PcsSecurity)>,
) -> Result<(C, PcsSecurity), PcsError> {
    // No term can reach more bits than the field has.
    let (least, top) = ((bits / 2).max(work + 1), bits.min(FIELD_BITS as usize) + 64);
    // More bits asked of every term give more in all, so the first level that is enough is found by halving; where there
    // is no configuration at all, the search goes on one by one.
    let (mut low, mut high) = (least, top);
    while low < high {
        let middle = low.midpoint(high);
        if configure(middle).is_some_and(|(_, security)| security.bits() < bits as f64) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut reached = 0;
    for start in [low, least] {
        for (config, security) in (start..top).filter_map(&configure) {
            if security.bits() >= bits as f64 {
                return Ok((config, security));
            }
            reached = reached.max(security.bits().max(0.0) as usize);
        }
    }
    Err(PcsError::Insecure { variables, expected: bits, reached })
}

fn plain_geometry(config: &PlainConfig) -> Geometry {
    Geometry {
        phases: phases(config, |_| 0, config.terminal().num_queries, config.terminal().pow_bits, true),
        claims: 1 + config.commitment_ood_samples(),
        closing_folds: config.final_sumcheck_rounds(),
        masks: Vec::new(),
        mask_queries: 0,
    }
}

fn hiding_geometry(config: &HidingConfig) -> Geometry {
    let terminal = config.randomized_terminal();
    let masks = config.mask_groups().into_iter().map(|group| Code {
        dimension: group.shape.message_len + group.shape.randomness_len,
        length: group.shape.domain_size,
        width: group.width,
    });
    let randomness = |oracle| config.oracle_randomness()[oracle];
    Geometry {
        phases: phases(config.inner(), randomness, terminal.num_queries, terminal.pow_bits, false),
        claims: 1,
        closing_folds: 0,
        masks: masks.collect(),
        mask_queries: config.mask_queries(),
    }
}

fn phases(
    config: &PlainConfig,
    randomness: impl Fn(usize) -> usize,
    last_queries: usize,
    last_work: usize,
    commitment_samples: bool,
) -> Vec<Phase> {
    let rounds = config.round_parameters();
    let schedule = config.folding_schedule();
    let phase = |index: usize| {
        let folds = schedule[index];
        let (variables, log_inverse_rate, fold_work) = match index.checked_sub(1) {
            None => (config.num_variables(), config.params().starting_log_inv_rate, config.starting_folding_pow_bits()),
            Some(before) => {
                let round = &rounds[before];
                (round.num_variables, round.log_inv_rate, round.folding_pow_bits)
            }
        };
        let message = 1 << (variables - folds);
        let samples = match index.checked_sub(1) {
            None if commitment_samples => Some(config.commitment_ood_samples()),
            None => None,
            Some(before) => Some(rounds[before].ood_samples),
        };
        let hidden_before = if index > 0 { randomness(index - 1) } else { 0 };
        let (queries, query_work, combined) = match rounds.get(index) {
            Some(round) => (round.num_queries, round.pow_bits, round.num_queries + round.ood_samples),
            None => (last_queries, last_work, 0),
        };
        Phase {
            code: Code {
                dimension: message + randomness(index),
                length: message << log_inverse_rate,
                width: 1 << folds,
            },
            folds,
            fold_work,
            out_of_domain: samples.map(|samples| (samples, (1 << variables) + hidden_before + samples)),
            queries,
            query_work,
            combined,
        }
    };
    (0..schedule.len()).map(phase).collect()
}
