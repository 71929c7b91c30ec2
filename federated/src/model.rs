//! A model between candle's named tensors and one ordered list of integers.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use nexus_circuits::reference::{FixedPoint, Layer, Shape, Weights};
use rand_core::Rng;
use sha2::{Digest, Sha256};

use crate::quantise::{dequantise, quantise};
use crate::update::VerifiedAggregate;
use crate::{Error, Hash};

/// A network's parameters in fixed point, and what they stand for as candle tensors.
///
/// Candle's `VarMap` is a hash map, whose order changes from run to run, so the order is the [`Shape`]'s. Layer `l` is
/// `layer{l}.weight` and `layer{l}.bias` (outputs), as `candle_nn::linear` and `conv2d` name them. The weight of a
/// convolution is outputs × channels × rows × columns of the kernel, as candle and `PyTorch` have it; that of a dense layer
/// is outputs × inputs. The inputs of a dense layer behind an image are in the order (row, column, channel): flatten an
/// image of candle's order, (channel, row, column), only after `permute((0, 2, 3, 1))`. A layer whose kernel covers its
/// whole image without padding is dense, however it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    weights: Weights,
    format: FixedPoint,
}

impl Model {
    /// The most bytes a checkpoint may have.
    const MAX_CHECKPOINT: u64 = 4 << 30;

    /// A fresh network: the last layer zero, weights and biases before it uniform in ±√(6/inputs) (He et al. 2015, §2.2).
    ///
    /// A zero last layer begins at no opinion, so that no clipped update is spent on unlearning a random one. The
    /// generator is ours since candle's CPU generator cannot be seeded.
    ///
    /// # Errors
    /// [`Error::WeightOutOfRange`] if the format does not hold weights of this size.
    pub fn initial<R: Rng + ?Sized>(shape: &Shape, format: FixedPoint, rng: &mut R) -> Result<Self, Error> {
        let mut reals = Vec::with_capacity(shape.parameters());
        for layer in shape.layers() {
            let last = layer.index + 1 == shape.depth();
            let scale = if last { 0.0 } else { (6.0 / layer.inputs as f64).sqrt() };
            // 53 random bits in [0, 1).
            let mut uniform = || (rng.next_u64() >> 11) as f64 * f64::from(-53).exp2();
            reals.extend((0..layer.parameters()).map(|_| (2.0 * uniform() - 1.0) * scale));
        }
        Self::from_reals(shape, format, &reals)
    }

    /// A model of these weights.
    pub const fn new(weights: Weights, format: FixedPoint) -> Self {
        Self { weights, format }
    }

    /// The parameters as integers, in order.
    pub const fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The widths of the integers.
    pub const fn format(&self) -> FixedPoint {
        self.format
    }

    /// SHA-256 over the shape, the widths and every parameter.
    ///
    /// A multilayer perceptron is its layers' widths: version 1. Any other network is the text that it is written as: version 2.
    pub fn hash(&self) -> Hash {
        let mut hash = Sha256::new();
        let shape = self.weights.shape();
        let widths: Vec<usize> = shape.layers().map(|layer| layer.inputs).chain([shape.outputs()]).collect();
        if Shape::new(&widths).as_ref() == Ok(shape) {
            hash.update(b"cipher-nexus model v1");
            hash.update((shape.depth() as u64).to_le_bytes());
            for width in widths {
                hash.update((width as u64).to_le_bytes());
            }
        } else {
            let text = shape.to_string();
            hash.update(b"cipher-nexus model v2");
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let FixedPoint { weight_bits, weight_fraction, activation_bits, activation_fraction } = self.format;
        for width in [weight_bits, weight_fraction, activation_bits, activation_fraction] {
            hash.update(width.to_le_bytes());
        }
        hash.update(self.bytes());
        Hash(hash.finalize().into())
    }

    /// The parameters as little-endian 32-bit integers.
    pub fn bytes(&self) -> Vec<u8> {
        self.weights.values().iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// A model from what [`Self::bytes`] wrote, for a known shape.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the count differs or a parameter does not fit.
    pub fn from_bytes(shape: &Shape, format: FixedPoint, bytes: &[u8]) -> Result<Self, Error> {
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || words.len() != shape.parameters() {
            return Err(Error::Malformed {
                what: "model",
                expected: format!("{} bytes", 4 * shape.parameters()),
                got: format!("{} bytes", bytes.len()),
            });
        }
        let values = words.iter().map(|word| i32::from_le_bytes(*word)).collect();
        Ok(Self::new(Weights::new(shape, values, format)?, format))
    }

    /// The model with the mean of an opened, verified sum added, rounded to nearest and saturated at the weights' width.
    ///
    /// # Errors
    /// [`Error::WrongModel`] if the aggregate was made from another model.
    pub fn apply(&self, aggregate: &VerifiedAggregate) -> Result<Self, Error> {
        if aggregate.model() != self.hash() {
            return Err(Error::WrongModel { expected: self.hash(), got: aggregate.model() });
        }
        let limit = 1i128 << (self.format.weight_bits - 1);
        let contributors = aggregate.contributors().len() as i128;
        let mean = |sum: i64| {
            let scaled = i128::from(sum) << aggregate.dropped_bits();
            (2 * scaled + contributors).div_euclid(2 * contributors)
        };
        let values = self.weights.values().iter().zip(aggregate.values());
        let values = values.map(|(&weight, &sum)| (i128::from(weight) + mean(sum)).clamp(-limit, limit - 1) as i32);
        Ok(Self::new(Weights::new(self.weights.shape(), values.collect(), self.format)?, self.format))
    }

    /// The model as candle tensors in double precision, which holds every parameter exactly.
    ///
    /// # Errors
    /// [`Error::Candle`] if a tensor cannot be made.
    pub fn to_tensors(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut tensors = BTreeMap::new();
        for layer in self.weights.shape().layers() {
            let reals = dequantise(self.weights.layer(layer), self.format);
            let block = Tensor::from_vec(reals, (layer.rows(), layer.outputs), &Device::Cpu)?;
            let [weight, bias] = names(layer);
            let inputs = block.narrow(0, 0, layer.inputs)?;
            let exported = if is_dense(layer) {
                inputs.t()?
            } else {
                let [height, width] = layer.kernel;
                inputs.reshape((height, width, layer.image().channels, layer.outputs))?.permute((3, 2, 0, 1))?
            };
            tensors.insert(weight, exported.contiguous()?);
            tensors.insert(bias, block.get(layer.inputs)?.contiguous()?);
        }
        Ok(tensors)
    }

    /// A model from candle tensors of any float type, say of a `VarMap`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a missing, left-over or mis-shaped tensor, [`Error::NotFinite`] and
    /// [`Error::WeightOutOfRange`] for values.
    pub fn from_tensors(shape: &Shape, format: FixedPoint, tensors: &HashMap<String, Tensor>) -> Result<Self, Error> {
        let mut reals = Vec::with_capacity(shape.parameters());
        for layer in shape.layers() {
            let [weight, bias] = names(layer);
            let weight = if is_dense(layer) {
                expect(tensors, &weight, &[layer.outputs, layer.inputs])?.t()?
            } else {
                let [height, width] = layer.kernel;
                let dimensions = [layer.outputs, layer.image().channels, height, width];
                expect(tensors, &weight, &dimensions)?.permute((2, 3, 1, 0))?
            };
            let bias = expect(tensors, &bias, &[layer.outputs])?;
            reals.extend(weight.contiguous()?.flatten_all()?.to_vec1::<f64>()?);
            reals.extend(bias.to_vec1::<f64>()?);
        }
        let expected = 2 * shape.depth();
        if tensors.len() != expected {
            return Err(Error::Malformed {
                what: "model",
                expected: format!("{expected} tensors"),
                got: format!("{} tensors", tensors.len()),
            });
        }
        Self::from_reals(shape, format, &reals)
    }

    /// Writes the model as safetensors, through a file beside it so that a crash leaves the old or the new one whole.
    ///
    /// # Errors
    /// [`Error::File`] naming the file.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let tensors = self.to_tensors()?;
        let bytes = safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), None)
            .map_err(|error| Error::file(path, error))?;
        crate::run::write_durably(path, &bytes)
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and what is wrong with it.
    pub fn load(path: &Path, shape: &Shape, format: FixedPoint) -> Result<Self, Error> {
        let length = std::fs::metadata(path).map_err(|error| Error::file(path, error))?.len();
        if length > Self::MAX_CHECKPOINT {
            return Err(Error::file(path, format!("{length} bytes, allowed are at most {}", Self::MAX_CHECKPOINT)));
        }
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).map_err(|error| Error::file(path, error))?;
        Self::from_tensors(shape, format, &tensors).map_err(|error| Error::file(path, error))
    }

    fn from_reals(shape: &Shape, format: FixedPoint, reals: &[f64]) -> Result<Self, Error> {
        Ok(Self::new(Weights::new(shape, quantise(reals, format)?, format)?, format))
    }
}

fn names(layer: Layer) -> [String; 2] {
    [format!("layer{}.weight", layer.index), format!("layer{}.bias", layer.index)]
}

/// Whether a layer sees its whole image at once.
fn is_dense(layer: Layer) -> bool {
    let image = layer.image();
    layer.kernel == [image.height, image.width] && layer.padding == 0
}

fn expect(tensors: &HashMap<String, Tensor>, name: &str, dimensions: &[usize]) -> Result<Tensor, Error> {
    let wanted = || format!("{name} of {dimensions:?}");
    let Some(tensor) = tensors.get(name) else {
        return Err(Error::Malformed { what: "model", expected: wanted(), got: "no such tensor".to_owned() });
    };
    if tensor.dims() != dimensions {
        return Err(Error::Malformed { what: "model", expected: wanted(), got: format!("{:?}", tensor.dims()) });
    }
    Ok(tensor.to_dtype(DType::F64)?)
}

#[cfg(test)]
mod tests {
    use candle_nn::{Module, VarBuilder, VarMap};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn model(shape: &str, seed: u64) -> Model {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        Model::initial(&shape.parse().unwrap(), FixedPoint::V1, rng).unwrap()
    }

    #[test]
    fn a_model_survives_bytes_tensors_and_files() {
        for text in ["5-4-3", "5x4x2-3c3p1-a2-2c2-3", "3x5x2-4c3-3", "1x1x2-4c3p1-2c2p1-a2-3", "4x4x1-6-3"] {
            let model = model(text, 1);
            let shape = model.weights().shape();
            assert_eq!(Model::from_bytes(shape, FixedPoint::V1, &model.bytes()).unwrap(), model);
            let tensors = model.to_tensors().unwrap().into_iter().collect();
            assert_eq!(Model::from_tensors(shape, FixedPoint::V1, &tensors).unwrap(), model);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.safetensors");
            model.save(&path).unwrap();
            assert_eq!(Model::load(&path, shape, FixedPoint::V1).unwrap(), model);
        }
    }

    #[test]
    fn candle_layers_read_the_exported_tensors() {
        let model = model("3-2", 2);
        let tensors: HashMap<_, _> = model.to_tensors().unwrap().into_iter().collect();
        let builder = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
        let linear = candle_nn::linear(3, 2, builder.pp("layer0")).unwrap();
        let out = linear.forward(&Tensor::new(&[[1.0f64, 0.5, 0.25]], &Device::Cpu).unwrap()).unwrap();
        let reals = dequantise(model.weights().values(), FixedPoint::V1);
        let by_hand = |j: usize| reals[j] + 0.5 * reals[2 + j] + 0.25 * reals[4 + j] + reals[6 + j];
        assert_eq!(out.to_vec2::<f64>().unwrap(), [[by_hand(0), by_hand(1)]]);
    }

    #[test]
    fn convolutions_are_exported_as_candle_has_them() {
        let model = model("4x3x2-5c2p1-a2-3", 7);
        let tensors: HashMap<_, _> = model.to_tensors().unwrap().into_iter().collect();
        assert_eq!(tensors["layer0.weight"].dims(), [5, 2, 2, 2]);
        assert_eq!(tensors["layer1.weight"].dims(), [3, 2 * 2 * 5]);
        let builder = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
        let padded = candle_nn::Conv2dConfig { padding: 1, ..candle_nn::Conv2dConfig::default() };
        let convolution = candle_nn::conv2d(2, 5, 2, padded, builder.pp("layer0")).unwrap();
        // Pixels (row, column, channel) of ours, made (channel, row, column) for candle.
        let pixels: Vec<f64> = (0..24).map(|i| f64::from(i * i % 17) / 4.0).collect();
        let image = Tensor::from_vec(pixels.clone(), (1, 4, 3, 2), &Device::Cpu).unwrap();
        let out = convolution.forward(&image.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()).unwrap();
        let out = out.permute((0, 2, 3, 1)).unwrap().get(0).unwrap().to_vec3::<f64>().unwrap();
        let reals = dequantise(model.weights().values(), FixedPoint::V1);
        for (row, line) in out.iter().enumerate() {
            for (column, pixel) in line.iter().enumerate() {
                for (output, &got) in pixel.iter().enumerate() {
                    let mut sum = reals[8 * 5 + output];
                    for (tap, (down, right)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
                        let (y, x) = ((row + down).wrapping_sub(1), (column + right).wrapping_sub(1));
                        for channel in 0..2 {
                            if y < 4 && x < 3 {
                                sum += pixels[(y * 3 + x) * 2 + channel] * reals[(tap * 2 + channel) * 5 + output];
                            }
                        }
                    }
                    assert!((got - sum).abs() < 1e-9, "({row}, {column}, {output}): {got} against {sum}");
                }
            }
        }
        assert_eq!((out.len(), out[0].len()), (5, 4));
    }

    #[test]
    fn a_convolution_of_other_sides_is_refused_by_name() {
        let good: HashMap<_, _> = model("4x3x2-5c2p1-a2-3", 8).to_tensors().unwrap().into_iter().collect();
        let load = |shape: &str| Model::from_tensors(&shape.parse().unwrap(), FixedPoint::V1, &good);
        assert!(load("4x3x2-5c2p1-a2-3").is_ok());
        let error = load("4x3x2-5c3p1-a2-3").unwrap_err().to_string();
        assert!(error.contains("layer0.weight of [5, 2, 3, 3]") && error.contains("[5, 2, 2, 2]"), "{error}");
        // As many numbers, laid out otherwise.
        let mut flat = good.clone();
        flat.insert("layer0.weight".to_owned(), good["layer0.weight"].reshape((5, 8)).unwrap());
        let error = Model::from_tensors(&"4x3x2-5c2p1-a2-3".parse().unwrap(), FixedPoint::V1, &flat).unwrap_err();
        assert!(error.to_string().contains("layer0.weight of [5, 2, 2, 2]"), "{error}");
    }

    #[test]
    fn a_var_map_becomes_a_model_in_our_order() {
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        candle_nn::linear(4, 3, builder.pp("layer0")).unwrap();
        candle_nn::linear(3, 2, builder.pp("layer1")).unwrap();
        let tensors: HashMap<_, _> = variables
            .data()
            .lock()
            .unwrap()
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        let shape = "4-3-2".parse().unwrap();
        let model = Model::from_tensors(&shape, FixedPoint::V1, &tensors).unwrap();
        let weight = tensors["layer1.weight"].to_vec2::<f32>().unwrap();
        let layer = shape.layers().next_back().unwrap();
        // Row 1, column 0 of our block is input 1, output 0.
        let expected = (f64::from(weight[0][1]) * f64::from(1 << 20)).round() as i32;
        assert_eq!(model.weights().layer(layer)[2], expected);
    }

    #[test]
    fn tensors_that_are_missing_left_over_or_not_finite_are_refused() {
        let shape: Shape = "3-2".parse().unwrap();
        let good: HashMap<_, _> = model("3-2", 3).to_tensors().unwrap().into_iter().collect();
        let load =
            |tensors: &HashMap<String, Tensor>| Model::from_tensors(&shape, FixedPoint::V1, tensors).unwrap_err();
        let mut missing = good.clone();
        missing.remove("layer0.bias");
        assert!(load(&missing).to_string().contains("layer0.bias"));
        let mut extra = good.clone();
        extra.insert("layer1.bias".to_owned(), good["layer0.bias"].clone());
        assert!(load(&extra).to_string().contains("2 tensors"));
        let mut nan = good.clone();
        nan.insert("layer0.bias".to_owned(), Tensor::new(&[0.0, f64::NAN], &Device::Cpu).unwrap());
        assert!(matches!(load(&nan), Error::NotFinite { index: 7, .. }));
    }

    #[test]
    fn the_hash_binds_shape_and_every_parameter() {
        let base = model("2-2", 4);
        let mut values = base.weights().values().to_vec();
        values[5] += 1;
        let weights = Weights::new(base.weights().shape(), values.clone(), FixedPoint::V1).unwrap();
        assert_ne!(Model::new(weights, FixedPoint::V1).hash(), base.hash());
        values[5] -= 1;
        let other = FixedPoint { activation_fraction: 11, ..FixedPoint::V1 };
        let weights = Weights::new(base.weights().shape(), values, other).unwrap();
        assert_ne!(Model::new(weights, other).hash(), base.hash());
    }

    #[test]
    fn the_hash_tells_networks_of_the_same_widths_apart() {
        // Nine inputs, eighteen, three outputs each; the last two even have the same parameters.
        let texts = ["9-18-3", "3x3x1-2c3p1-3", "5x5x1-2c3-3", "3x3x1-18-3", "1x9x1-18-3"];
        let values = |text: &str| vec![1; text.parse::<Shape>().unwrap().parameters()];
        let hash = |text: &str| {
            let weights = Weights::new(&text.parse().unwrap(), values(text), FixedPoint::V1).unwrap();
            Model::new(weights, FixedPoint::V1).hash()
        };
        let hashes: std::collections::BTreeSet<_> = texts.into_iter().map(hash).collect();
        assert_eq!(hashes.len(), texts.len());
        assert_eq!(hash("1x1x9-18c1-3"), hash("9-18-3"), "one network, however it is written");
    }

    #[test]
    fn the_hash_is_pinned() {
        // Recorded runs name their models by it.
        let digest = |parts: &[&[u8]]| Hash(Sha256::digest(parts.concat()).into());
        let format: Vec<u8> = [24u32, 20, 16, 12].iter().flat_map(|width| width.to_le_bytes()).collect();
        let number = |number: u64| number.to_le_bytes();
        let perceptron = model("2-3", 6);
        let widths = [number(1), number(2), number(3)].concat();
        let expected = digest(&[b"cipher-nexus model v1", &widths, &format, &perceptron.bytes()]);
        assert_eq!(perceptron.hash(), expected);
        let convolution = model("4x4x1-2c3-a2-3", 6);
        let text = b"4x4x1-2c3-a2-3";
        let expected = digest(&[b"cipher-nexus model v2", &number(14), text, &format, &convolution.bytes()]);
        assert_eq!(convolution.hash(), expected);
    }

    #[test]
    fn model_bytes_that_are_cut_or_out_of_range_are_refused() {
        let base = model("2-2", 5);
        let mut bytes = base.bytes();
        let shape = base.weights().shape();
        assert!(matches!(Model::from_bytes(shape, FixedPoint::V1, &bytes[1..]), Err(Error::Malformed { .. })));
        bytes[3] = 0x7f;
        assert!(matches!(Model::from_bytes(shape, FixedPoint::V1, &bytes), Err(Error::Circuit(_))));
    }
}
