//! What does a kernel need from a vector unit, and what does plain Rust offer in its place?

/// A vector unit: a fixed number of f32 that are worked on together.
///
/// Kernels are written once over this trait and compiled once per unit (see [`super::isa`]); [`Scalar`] is the
/// twin that needs nothing of the processor and that tests compare the others with.
///
/// # Safety
/// Every method may use instructions of the unit: call them only inside a function compiled for it, on a
/// processor that has it. Pointers must be valid for the stated number of elements; no alignment is needed.
pub(super) trait Lanes: Copy {
    /// Floats in a vector.
    const LANES: usize;
    /// The width of a panel of weights: a tile of a product is two vectors wide.
    const PANEL: usize = 2 * Self::LANES;
    /// The most rows in a tile of a product: 4, 6 or 12.
    const ROWS: usize;
    /// What a stored byte of 0 stands for: 0 where activations are unsigned bytes, 128 where they are signed.
    const ZERO: u8 = 0;
    /// `LANES` floats.
    type V: Copy;
    /// `LANES` 32-bit integers.
    type I: Copy;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Reads `LANES` floats.
    unsafe fn load(p: *const f32) -> Self::V;
    /// Reads `n < LANES` floats; the other lanes are `fill`.
    unsafe fn load_first(p: *const f32, n: usize, fill: f32) -> Self::V;
    /// Writes `LANES` floats.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// Writes the first `n <= LANES` floats.
    unsafe fn store_first(p: *mut f32, n: usize, v: Self::V);
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger; `b` where either is NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` where either is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// The nearest whole number, ties to even.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `a * 2^n` for whole `n` in -126..=127; NaN in `a` stays.
    unsafe fn scale2(a: Self::V, n: Self::V) -> Self::V;
    /// The sum of the lanes, in an order that depends on the unit only.
    unsafe fn sum(a: Self::V) -> f32;
    /// The largest lane.
    unsafe fn max_lane(a: Self::V) -> f32;
    /// The smallest lane.
    unsafe fn min_lane(a: Self::V) -> f32;

    /// Zeros.
    unsafe fn zero_int() -> Self::I;
    /// Adds to each 32-bit lane of `acc` the product of the four bytes `a`, stored by
    /// [`store_bytes`](Lanes::store_bytes), with the lane's four signed bytes at `b` (`4 * LANES` bytes), without
    /// saturation. The result counts bytes from [`ZERO`](Lanes::ZERO).
    unsafe fn dot4(acc: Self::I, a: u32, b: *const i8) -> Self::I;
    /// As floats.
    unsafe fn to_float(a: Self::I) -> Self::V;
    /// Writes the first `n <= LANES` lanes, each 0..=255, rounded to the nearest whole number, ties to even, less
    /// [`ZERO`](Lanes::ZERO).
    unsafe fn store_bytes(p: *mut u8, n: usize, v: Self::V);
}

/// The twin in plain Rust, four lanes wide: compilers turn it into whatever the target's baseline has (NEON on
/// aarch64, SSE2 on x86-64).
#[derive(Clone, Copy)]
pub(super) struct Scalar;

const WIDTH: usize = 4;

/// `a * b + c`, in one rounding where the target's baseline has such an instruction.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn map2(a: [f32; WIDTH], b: [f32; WIDTH], f: impl Fn(f32, f32) -> f32) -> [f32; WIDTH] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Lanes for Scalar {
    const LANES: usize = WIDTH;
    const ROWS: usize = 4;
    type V = [f32; WIDTH];
    type I = [i32; WIDTH];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; WIDTH]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller vouches for LANES floats.
        unsafe { p.cast::<[f32; WIDTH]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize, fill: f32) -> Self::V {
        // SAFETY: the caller vouches for n floats.
        std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { fill })
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: the caller vouches for LANES floats.
        unsafe { p.cast::<[f32; WIDTH]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
        for (i, x) in v.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for n floats.
            unsafe { *p.add(i) = x }
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| multiply_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        a.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn scale2(a: Self::V, n: Self::V) -> Self::V {
        map2(a, n, |x, n| x * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn sum(a: Self::V) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    unsafe fn max_lane(a: Self::V) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, |m, x| if m > x { m } else { x })
    }
    #[inline(always)]
    unsafe fn min_lane(a: Self::V) -> f32 {
        a.into_iter().fold(f32::INFINITY, |m, x| if m < x { m } else { x })
    }
    #[inline(always)]
    unsafe fn zero_int() -> Self::I {
        [0; WIDTH]
    }
    #[inline(always)]
    unsafe fn dot4(acc: Self::I, a: u32, b: *const i8) -> Self::I {
        // SAFETY: the caller vouches for 4 * LANES bytes.
        let b: [[i8; 4]; WIDTH] = unsafe { b.cast::<[[i8; 4]; WIDTH]>().read_unaligned() };
        let a = a.to_le_bytes();
        std::array::from_fn(|i| acc[i] + (0..4).map(|j| i32::from(a[j]) * i32::from(b[i][j])).sum::<i32>())
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::V {
        a.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn store_bytes(p: *mut u8, n: usize, v: Self::V) {
        for (i, x) in v.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for n bytes.
            unsafe { *p.add(i) = x.round_ties_even() as u8 }
        }
    }
}
