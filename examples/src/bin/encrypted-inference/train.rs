use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use nexus_federated::data::Dataset;
use nexus_fhe::inference::{Dense, Network};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// The widths of inputs and of every layer's outputs.
const WIDTHS: [usize; 3] = [64, 32, 10];
pub(crate) const EPOCHS: usize = 40;
const BATCH: usize = 32;
const RATE: f64 = 4e-3;

/// Rounding in training, as a part of the greatest sum that a neuron's weights allow: TFHE's tables round sums to
/// sixteenths of the range, half of which to either side is a sixteenth of the greatest.
const ROUNDING: f64 = 0.05;

/// What stops a training.
pub(crate) type Error = Box<dyn std::error::Error>;

/// Trains a network by candle, in single precision, with squares for activations and cross-entropy for a loss.
///
/// Sums of the first layer get uniform noise of the size of TFHE's rounding, so that the weights that are found bear it:
/// the same weights serve both kinds of encryption. Not bit-stable across machines.
pub(crate) fn train(data: &Dataset, seed: u64, mut epoch: impl FnMut()) -> Result<Network, Error> {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(1);
    let device = &Device::Cpu;
    let mut layers = Vec::new();
    for pair in WIDTHS.windows(2) {
        let (inputs, outputs) = (pair[0], pair[1]);
        let scale = 1.0 / (inputs as f64).sqrt();
        let values: Vec<f32> = (0..inputs * outputs).map(|_| (scale * symmetric(rng)) as f32).collect();
        let weights = Var::from_tensor(&Tensor::from_vec(values, (outputs, inputs), device)?)?;
        layers.push([weights, Var::zeros(outputs, DType::F32, device)?]);
    }
    let variables = layers.iter().flatten().cloned().collect();
    let parameters = ParamsAdamW { lr: RATE, weight_decay: 1e-3, ..ParamsAdamW::default() };
    let mut optimiser = AdamW::new(variables, parameters)?;
    let mut order: Vec<usize> = (0..data.len()).collect();
    for index in 0..EPOCHS {
        optimiser.set_learning_rate(RATE * (1.0 - index as f64 / EPOCHS as f64));
        for at in (1..order.len()).rev() {
            order.swap(at, (rng.next_u64() % (at as u64 + 1)) as usize);
        }
        for batch in order.chunks(BATCH) {
            let images: Vec<f32> = batch.iter().flat_map(|&row| input(data, row)).map(|value| value as f32).collect();
            let labels: Vec<u32> = batch.iter().map(|&row| data.label(row).into()).collect();
            let mut values = Tensor::from_vec(images, (batch.len(), data.features()), device)?;
            for (layer, [weights, bias]) in layers.iter().enumerate() {
                values = values.matmul(&weights.t()?)?.broadcast_add(bias)?;
                if layer + 1 < layers.len() {
                    let noise: Vec<f32> = (0..values.elem_count()).map(|_| symmetric(rng) as f32).collect();
                    let noise = Tensor::from_vec(noise, values.shape(), device)?;
                    let range = (weights.as_tensor().detach().abs()?.sum(D::Minus1)? * ROUNDING)?;
                    values = (values + noise.broadcast_mul(&range)?)?.sqr()?;
                }
            }
            let loss = candle_nn::loss::cross_entropy(&values, &Tensor::new(labels, device)?)?;
            optimiser.backward_step(&loss)?;
        }
        epoch();
    }
    let dense = WIDTHS.windows(2).zip(&layers).map(|(pair, [weights, bias])| {
        let weights = weights.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let bias = bias.to_dtype(DType::F64)?.to_vec1()?;
        Ok::<_, Error>(Dense::new(pair[0], pair[1], weights, bias)?)
    });
    Ok(Network::new(dense.collect::<Result<_, _>>()?)?)
}

/// The pixels of an image, at least zero and below one.
pub(crate) fn input(data: &Dataset, row: usize) -> Vec<f64> {
    data.image(row).iter().map(|&pixel| f64::from(pixel) / 256.0).collect()
}

/// Uniform in ±1, of 53 bits.
fn symmetric(rng: &mut ChaCha20Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * f64::from(-52).exp2() - 1.0
}
