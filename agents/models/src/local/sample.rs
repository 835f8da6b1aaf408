//! Which token comes next?

use quorate_core::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::request::Request;

/// Chooses tokens: the likeliest, or by chance from a seed.
pub(super) struct Sampler {
    temperature: f64,
    top_p: f64,
    top_k: usize,
    chance: ChaCha8Rng,
}

impl Sampler {
    /// As a request asks: `temperature` (without one the likeliest token is taken), `seed` (0 without one), and `top_p`
    /// and `top_k` among its further fields. Errors: `invalid_argument`.
    pub(super) fn new(request: &Request) -> Result<Self> {
        let (mut top_p, mut top_k) = (1.0, usize::MAX);
        for (name, value) in &request.extra {
            match name.as_str() {
                "top_p" => {
                    top_p = value.as_f64().filter(|p| *p > 0.0 && *p <= 1.0).ok_or_else(|| {
                        Error::invalid(format!("top_p is {value}, expected a number above 0 and at most 1"))
                    })?;
                }
                "top_k" => {
                    let k = value.as_u64().filter(|k| *k > 0).and_then(|k| usize::try_from(k).ok());
                    top_k = k.ok_or_else(|| {
                        Error::invalid(format!("top_k is {value}, expected a whole number from 1 on"))
                    })?;
                }
                "template" if value.is_object() => {}
                other => {
                    return Err(Error::invalid(format!(
                        "local models take no field '{}'; there are top_p, top_k and template (an object)",
                        quorate_core::shorten(other)
                    )));
                }
            }
        }
        let temperature = request.temperature.unwrap_or(0.0);
        Ok(Sampler {
            temperature,
            top_p,
            top_k,
            chance: ChaCha8Rng::seed_from_u64(request.seed.unwrap_or(0)),
        })
    }

    /// The next token among those that are allowed; `None` when none is.
    pub(super) fn choose(&mut self, logits: &[f32], allowed: impl Fn(u32) -> bool) -> Option<u32> {
        let mut best: Option<(u32, f32)> = None;
        for (id, &logit) in (0u32..).zip(logits) {
            if best.is_none_or(|(_, most)| logit > most) && allowed(id) {
                best = Some((id, logit));
            }
        }
        let (likeliest, most) = best?;
        if self.temperature <= 0.0 {
            return Some(likeliest);
        }
        // Beyond that far below the likeliest a token has no chance in double precision.
        let floor = most - (745.0 * self.temperature).min(f64::from(f32::MAX)) as f32;
        let mut tokens: Vec<(u32, f64)> = (0u32..)
            .zip(logits)
            .filter(|(id, logit)| **logit >= floor && allowed(*id))
            .map(|(id, logit)| (id, (f64::from(logit - most) / self.temperature).exp()))
            .collect();
        if self.top_p < 1.0 || self.top_k < tokens.len() {
            tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            tokens.truncate(self.top_k);
            let all: f64 = tokens.iter().map(|(_, p)| p).sum();
            let mut sum = 0.0;
            let enough = tokens.iter().position(|(_, p)| {
                sum += p;
                sum >= self.top_p * all
            });
            tokens.truncate(enough.map_or(tokens.len(), |last| last + 1));
        }
        let all: f64 = tokens.iter().map(|(_, p)| p).sum();
        let mut left = self.chance.random::<f64>() * all;
        for (id, p) in &tokens {
            left -= p;
            if left < 0.0 {
                return Some(*id);
            }
        }
        tokens.last().map(|(id, _)| *id)
    }
}

/// Fields for the chat template alone.
pub(super) fn template_fields(request: &Request) -> Option<&serde_json::Map<String, Value>> {
    request.extra.get("template").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Message;

    fn request(temperature: Option<f64>, seed: u64, extra: Value) -> Request {
        let extra = extra.as_object().cloned().unwrap_or_default();
        Request { temperature, seed: Some(seed), extra, ..Request::new(vec![Message::user("x")]) }
    }

    fn counts(request: &Request, logits: &[f32]) -> Vec<usize> {
        let mut sampler = Sampler::new(request).unwrap();
        let mut counts = vec![0; logits.len()];
        for _ in 0..4000 {
            counts[sampler.choose(logits, |_| true).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn without_a_temperature_the_likeliest_is_taken_and_the_first_of_equals() {
        assert_eq!(counts(&request(None, 1, json!({})), &[0.1, 0.7, 0.7]), [0, 4000, 0]);
        assert_eq!(counts(&request(Some(0.0), 1, json!({})), &[0.7, 0.7, 0.1]), [4000, 0, 0]);
    }

    #[test]
    fn chances_are_those_of_the_softmax_and_repeat_with_the_seed() {
        // Probabilities 1/7, 2/7, 4/7 at temperature 1.
        let logits = [0.0, std::f32::consts::LN_2, 2.0 * std::f32::consts::LN_2];
        let first = counts(&request(Some(1.0), 7, json!({})), &logits);
        for (count, p) in first.iter().zip([1.0, 2.0, 4.0]) {
            // Five standard deviations of 4,000 draws.
            assert!(
                (*count as f64 - 4000.0 * p / 7.0).abs()
                    < 5.0 * (4000.0 * p / 7.0 * (1.0 - p / 7.0f64)).sqrt()
            );
        }
        assert_eq!(first, counts(&request(Some(1.0), 7, json!({})), &logits));
        assert_ne!(first, counts(&request(Some(1.0), 8, json!({})), &logits));
        // Half the temperature squares the odds: 1, 4, 16.
        let cold = counts(&request(Some(0.5), 7, json!({})), &logits);
        assert!((cold[2] as f64 - 4000.0 * 16.0 / 21.0).abs() < 140.0);
    }

    #[test]
    fn top_p_and_top_k_leave_the_likeliest() {
        let logits = [0.0, std::f32::consts::LN_2, 2.0 * std::f32::consts::LN_2];
        assert_eq!(counts(&request(Some(1.0), 7, json!({"top_p": 0.5})), &logits)[..2], [0, 0]);
        assert_eq!(counts(&request(Some(1.0), 7, json!({"top_p": 0.8})), &logits)[0], 0);
        assert_eq!(counts(&request(Some(1.0), 7, json!({"top_k": 2})), &logits)[0], 0);
        assert!(counts(&request(Some(1.0), 7, json!({"top_p": 1.0})), &logits)[0] > 0);
    }

    #[test]
    fn only_allowed_tokens_are_taken_and_odd_fields_are_refused() {
        let mut sampler = Sampler::new(&request(Some(1.0), 7, json!({}))).unwrap();
        assert_eq!(sampler.choose(&[9.0, 1.0, 0.0], |id| id == 2), Some(2));
        assert_eq!(sampler.choose(&[9.0, 1.0, 0.0], |_| false), None);
        for extra in [json!({"top_p": 0}), json!({"top_p": "x"}), json!({"top_k": 0}), json!({"min_p": 0.1})]
        {
            assert!(Sampler::new(&request(None, 0, extra)).is_err());
        }
    }
}
