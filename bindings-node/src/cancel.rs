//! How does JavaScript stop work that it has begun?

use napi_derive::napi;
use quorate::Cancel;

/// Stops work from outside; an AbortSignal pulls it.
#[napi(js_name = "Cancel")]
#[derive(Default)]
pub struct NativeCancel {
    flag: Cancel,
}

#[napi]
impl NativeCancel {
    /// One that is not pulled.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the work.
    #[napi]
    pub fn cancel(&self) {
        self.flag.cancel();
    }
}

/// The flag of a call's optional [`NativeCancel`].
pub fn flag(cancel: Option<&NativeCancel>) -> Cancel {
    cancel.map_or_else(Cancel::new, |cancel| cancel.flag.clone())
}
