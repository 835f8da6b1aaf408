//! What does one fully connected layer after the encoder do?

use super::json::JsonFile;
use super::weights::Weights;
use crate::Result;

/// What follows the product of a [`Dense`] layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nonlinearity {
    Identity,
    Tanh,
    Relu,
    Sigmoid,
}

impl Nonlinearity {
    /// Reads the Python class that `field` names, such as `torch.nn.modules.activation.Tanh`; `default` when the field
    /// is absent. Errors: `model_unsupported` for another class.
    pub(crate) fn from_class(
        json: &JsonFile,
        field: &str,
        class: Option<&str>,
        default: Self,
    ) -> Result<Self> {
        let Some(class) = class else { return Ok(default) };
        match class.rsplit('.').next() {
            Some("Identity") => Ok(Nonlinearity::Identity),
            Some("Tanh") => Ok(Nonlinearity::Tanh),
            Some("ReLU") => Ok(Nonlinearity::Relu),
            Some("Sigmoid") => Ok(Nonlinearity::Sigmoid),
            _ => {
                Err(json
                    .unsupported(field, format!("is '{class}'; Identity, Tanh, ReLU and Sigmoid are run")))
            }
        }
    }

    /// The name in fingerprints.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Nonlinearity::Identity => "identity",
            Nonlinearity::Tanh => "tanh",
            Nonlinearity::Relu => "relu",
            Nonlinearity::Sigmoid => "sigmoid",
        }
    }

    /// The function at `x`.
    pub(crate) fn apply(self, x: f32) -> f32 {
        match self {
            Nonlinearity::Identity => x,
            Nonlinearity::Tanh => x.tanh(),
            Nonlinearity::Relu => x.max(0.0),
            Nonlinearity::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        }
    }
}

/// y = f(W x + b), for one vector at a time.
pub(crate) struct Dense {
    inputs: usize,
    /// One row of `inputs` weights per output.
    weight: Vec<f32>,
    bias: Vec<f32>,
    then: Nonlinearity,
}

impl Dense {
    /// Reads the tensors `{name}.weight` (outputs x inputs) and, where there is one, `{name}.bias`.
    /// Errors: `model_invalid` when the weight is missing or does not take `inputs` components.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        inputs: usize,
        outputs: usize,
        then: Nonlinearity,
    ) -> Result<Self> {
        let weight = weights.get(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = format!("{name}.bias");
        let bias = if weights.contains(&bias) { weights.get(&bias, &[outputs])? } else { vec![0.0; outputs] };
        Ok(Dense { inputs, weight, bias, then })
    }

    /// The components of a result.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// What follows the product.
    pub(crate) fn then(&self) -> Nonlinearity {
        self.then
    }

    /// The layer's output for `x`, which has as many components as the layer has inputs.
    pub(crate) fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(self.inputs).zip(&self.bias);
        rows.map(|(row, bias)| self.then.apply(row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + bias))
            .collect()
    }
}
