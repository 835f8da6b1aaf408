//! Which vector unit does this processor have, and how is a kernel compiled for each?

/// The vector unit that the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// AVX-512 F, BW, DQ, VL and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2, FMA and AVX-VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON with the dot product extension.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Whatever the compiler's baseline has.
    Scalar,
}

impl Isa {
    /// The best unit of this processor.
    pub(super) fn detect() -> Isa {
        Self::available()[0]
    }

    /// Every unit of this processor, the best first.
    pub(super) fn available() -> Vec<Isa> {
        let mut units = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            if avx2 && avx512 {
                units.push(Isa::Avx512);
            }
            if avx2 && is_x86_feature_detected!("avxvnni") {
                units.push(Isa::Avx2Vnni);
            }
            if avx2 {
                units.push(Isa::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                units.push(Isa::NeonDot);
            }
            units.push(Isa::Neon);
        }
        units.push(Isa::Scalar);
        units
    }

    /// The width of a panel of weights, in columns.
    pub(super) fn panel(self) -> usize {
        use super::lanes::{Lanes, Scalar};
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => super::lanes_x86::Avx512::PANEL,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2Vnni | Isa::Avx2 => super::lanes_x86::Avx2::<false>::PANEL,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot | Isa::Neon => super::lanes_neon::Neon::<false>::PANEL,
            Isa::Scalar => Scalar::PANEL,
        }
    }
}

/// Compiles a generic kernel `fn generic<L: Lanes>(arguments)` for every unit and makes a function
/// `name(isa, arguments)` that picks one.
///
/// The function is `unsafe` as the kernel is: `isa` must come from [`Isa::available`], and what the kernel demands of
/// its pointers holds here too.
macro_rules! for_each_isa {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $generic:path;) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe fn $name(isa: $crate::embed::fast::isa::Isa, $($arg: $ty),*) {
            use $generic as generic;
            use $crate::embed::fast::isa::Isa;
            #[cfg(target_arch = "aarch64")]
            use $crate::embed::fast::lanes_neon::Neon;
            #[cfg(target_arch = "x86_64")]
            use $crate::embed::fast::lanes_x86::{Avx2, Avx512};

            // SAFETY (each): compiled for the unit and called on a processor that has it, as `isa` says; the rest is
            // the caller's word.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512($($arg: $ty),*) {
                unsafe { generic::<Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avxvnni")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2vnni($($arg: $ty),*) {
                unsafe { generic::<Avx2<true>>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2($($arg: $ty),*) {
                unsafe { generic::<Avx2<false>>($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon,dotprod")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn neon_dot($($arg: $ty),*) {
                unsafe { generic::<Neon<true>>($($arg),*) }
            }
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2Vnni => avx2vnni($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    Isa::NeonDot => neon_dot($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => generic::<Neon<false>>($($arg),*),
                    Isa::Scalar => generic::<$crate::embed::fast::lanes::Scalar>($($arg),*),
                }
            }
        }
    };
}

pub(super) use for_each_isa;
