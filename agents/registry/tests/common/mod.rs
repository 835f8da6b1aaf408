//! An embedder for tests: words become fixed random directions, a text the mean of its words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result};

pub struct Words {
    id: String,
    pub calls: AtomicUsize,
}

pub const DIM: usize = 384;

impl Words {
    pub fn named(id: &str) -> Arc<Self> {
        Arc::new(Words { id: id.into(), calls: AtomicUsize::new(0) })
    }

    pub fn vector(text: &str) -> Vec<f32> {
        let mut out = vec![0.0f32; DIM];
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2) {
            let mut state = word
                .to_lowercase()
                .bytes()
                .fold(0x9e37_79b9_7f4a_7c15u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
            for x in &mut out {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *x += (state >> 40) as f32 / 8_388_608.0 - 1.0;
            }
        }
        let norm = out.iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm > 0.0 {
            out.iter_mut().for_each(|x| *x /= norm);
        }
        out
    }
}

impl Embed for Words {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn max_tokens(&self) -> usize {
        512
    }

    fn embed(&self, texts: &[&str], _cancel: &Cancel) -> Result<Matrix> {
        self.calls.fetch_add(texts.len(), Ordering::Relaxed);
        if texts.contains(&"this text cannot be embedded") {
            return Err(Error::new(Code::Offline, "refused"));
        }
        let data: Vec<f32> = texts.iter().flat_map(|t| Words::vector(t)).collect();
        Matrix::new(data, texts.len(), DIM)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        Ok(Words::vector(text))
    }

    fn tokenize(&self, _text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        Ok(Vec::new())
    }

    fn special_tokens(&self) -> usize {
        0
    }
}
