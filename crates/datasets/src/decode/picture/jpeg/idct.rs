//! The inverse transform of 8 x 8 blocks: libjpeg's accurate integer one (`jidctint.c`, "islow"), to the bit.
//!
//! Loeffler, Ligtenberg and Moschytz's factors ("Practical fast 1-D DCT algorithms with 11 multiplications", 1989) in 13-bit
//! fixed point; two bits more are kept between the passes. Every step works on eight numbers at once.

/// Fractional bits of a factor.
const FACTOR_BITS: u32 = 13;
/// Fractional bits kept between the passes.
const PASS_BITS: u32 = 2;

const F_0_298631336: i32 = 2446;
const F_0_390180644: i32 = 3196;
const F_0_541196100: i32 = 4433;
const F_0_765366865: i32 = 6270;
const F_0_899976223: i32 = 7373;
const F_1_175875602: i32 = 9633;
const F_1_501321110: i32 = 12299;
const F_1_847759065: i32 = 15137;
const F_1_961570560: i32 = 16069;
const F_2_053119869: i32 = 16819;
const F_2_562915447: i32 = 20995;
const F_3_072711026: i32 = 25172;

/// Turns a row of blocks into samples: `[blocks, 64]` coefficients in natural order to `[8, 8 * blocks]`.
pub(super) fn row(blocks: &[[i16; 64]], quantisation: &[u16; 64], samples: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, asked in the line above; the function has no other requirement.
        return unsafe { row_avx2(blocks, quantisation, samples) };
    }
    row_plain(blocks, quantisation, samples);
}

/// [`row_plain`], compiled for wider registers: integers only, so the result is the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn row_avx2(blocks: &[[i16; 64]], quantisation: &[u16; 64], samples: &mut [u8]) {
    row_plain(blocks, quantisation, samples);
}

#[inline(always)]
fn row_plain(blocks: &[[i16; 64]], quantisation: &[u16; 64], samples: &mut [u8]) {
    let stride = 8 * blocks.len();
    for (x, block) in blocks.iter().enumerate() {
        // Flat blocks are common.
        if block[1..].iter().fold(0, |all, value| all | value) == 0 {
            let mean = i32::from(block[0].wrapping_mul(quantisation[0] as i16));
            let level = (((mean << PASS_BITS) + (1 << (PASS_BITS + 2))) >> (PASS_BITS + 3)) + 128;
            for line in samples.chunks_exact_mut(stride) {
                line[8 * x..8 * x + 8].fill(level.clamp(0, 255) as u8);
            }
            continue;
        }
        let pixels = transform(block, quantisation);
        for (line, pixels) in samples.chunks_exact_mut(stride).zip(&pixels) {
            line[8 * x..8 * x + 8].copy_from_slice(pixels);
        }
    }
}

/// Eight numbers, one of each column.
type Lanes = [i32; 8];

#[inline(always)]
fn transform(block: &[i16; 64], quantisation: &[u16; 64]) -> [[u8; 8]; 8] {
    let mut rows = [[0i32; 8]; 8];
    for (y, row) in rows.iter_mut().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = i32::from(block[8 * y + x].wrapping_mul(quantisation[8 * y + x] as i16));
        }
    }
    let columns = transpose(&pass::<{ FACTOR_BITS - PASS_BITS }>(&rows));
    let rows = transpose(&pass::<{ FACTOR_BITS + PASS_BITS + 3 }>(&columns));
    let mut pixels = [[0; 8]; 8];
    for (pixels, row) in pixels.iter_mut().zip(&rows) {
        for (pixel, &value) in pixels.iter_mut().zip(row) {
            *pixel = (value + 128).clamp(0, 255) as u8;
        }
    }
    pixels
}

#[inline(always)]
fn transpose(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let mut out = [[0; 8]; 8];
    for (y, row) in rows.iter().enumerate() {
        for (x, &value) in row.iter().enumerate() {
            out[x][y] = value;
        }
    }
    out
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|i| a[i].wrapping_add(b[i]))
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
}

#[inline(always)]
fn times(a: Lanes, factor: i32) -> Lanes {
    std::array::from_fn(|i| a[i].wrapping_mul(factor))
}

#[inline(always)]
fn round<const SHIFT: u32>(a: Lanes) -> Lanes {
    std::array::from_fn(|i| a[i].wrapping_add(1 << (SHIFT - 1)) >> SHIFT)
}

/// Transforms along the first axis and rounds `SHIFT` bits away.
#[inline(always)]
fn pass<const SHIFT: u32>(rows: &[Lanes; 8]) -> [Lanes; 8] {
    // Even part.
    let z1 = times(add(rows[2], rows[6]), F_0_541196100);
    let tmp2 = sub(z1, times(rows[6], F_1_847759065));
    let tmp3 = add(z1, times(rows[2], F_0_765366865));
    let tmp0 = times(add(rows[0], rows[4]), 1 << FACTOR_BITS);
    let tmp1 = times(sub(rows[0], rows[4]), 1 << FACTOR_BITS);
    let (even0, even3) = (add(tmp0, tmp3), sub(tmp0, tmp3));
    let (even1, even2) = (add(tmp1, tmp2), sub(tmp1, tmp2));
    // Odd part.
    let (tmp0, tmp1, tmp2, tmp3) = (rows[7], rows[5], rows[3], rows[1]);
    let (z3, z4) = (add(tmp0, tmp2), add(tmp1, tmp3));
    let z5 = times(add(z3, z4), F_1_175875602);
    let z1 = times(add(tmp0, tmp3), -F_0_899976223);
    let z2 = times(add(tmp1, tmp2), -F_2_562915447);
    let z3 = add(times(z3, -F_1_961570560), z5);
    let z4 = add(times(z4, -F_0_390180644), z5);
    let odd0 = add(times(tmp0, F_0_298631336), add(z1, z3));
    let odd1 = add(times(tmp1, F_2_053119869), add(z2, z4));
    let odd2 = add(times(tmp2, F_3_072711026), add(z2, z3));
    let odd3 = add(times(tmp3, F_1_501321110), add(z1, z4));
    [
        round::<SHIFT>(add(even0, odd3)),
        round::<SHIFT>(add(even1, odd2)),
        round::<SHIFT>(add(even2, odd1)),
        round::<SHIFT>(add(even3, odd0)),
        round::<SHIFT>(sub(even3, odd0)),
        round::<SHIFT>(sub(even2, odd1)),
        round::<SHIFT>(sub(even1, odd2)),
        round::<SHIFT>(sub(even0, odd3)),
    ]
}
