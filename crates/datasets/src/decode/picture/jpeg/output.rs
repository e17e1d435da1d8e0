//! From planes of samples to RGB: colour planes are enlarged and colours converted as libjpeg does, to the bit.
//!
//! A plane of half the size is enlarged by a triangle filter: the nearer sample counts three times, the farther once
//! (`jdsample.c`, "fancy upsampling"); planes of at most two columns and all other ratios repeat samples. Colours are
//! converted in 16-bit fixed point (`jdcolor.c`), CMYK as Pillow does (`Convert.c`, after inverting as Adobe's files need).

/// What the channels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

/// A channel's samples.
pub(super) struct Plane {
    /// Largest sampling factor of the file and that of this channel: across, down.
    pub(super) across: (usize, usize),
    pub(super) down: (usize, usize),
    /// Samples that count.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Samples a row.
    pub(super) stride: usize,
    pub(super) samples: Vec<u8>,
}

/// The channels of an image.
pub(super) struct Planes {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) planes: Vec<Plane>,
}

/// The image as `[height, width, 3]`.
pub(super) fn rgb(planes: &Planes, colours: Colours) -> Vec<u8> {
    let mut pixels = vec![0; 3 * planes.width * planes.height];
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, asked in the line above; the function has no other requirement.
        unsafe { rgb_avx2(planes, colours, &mut pixels) };
        return pixels;
    }
    rgb_plain(planes, colours, &mut pixels);
    pixels
}

/// [`rgb_plain`], compiled for wider registers: integers only, so the result is the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn rgb_avx2(planes: &Planes, colours: Colours, pixels: &mut [u8]) {
    rgb_plain(planes, colours, pixels);
}

#[inline(always)]
fn rgb_plain(planes: &Planes, colours: Colours, pixels: &mut [u8]) {
    // A row of each channel; some samples more, since whole source samples are enlarged.
    let mut lines = vec![vec![0; planes.width + 8]; planes.planes.len()];
    let mut sums = vec![0; planes.width + 8];
    for (y, row) in pixels.chunks_exact_mut(3 * planes.width).enumerate() {
        for (plane, line) in planes.planes.iter().zip(&mut lines) {
            enlarge(plane, y, line, &mut sums);
        }
        match (colours, lines.as_slice()) {
            (Colours::Grey, [grey]) => {
                for (pixel, &level) in row.as_chunks_mut::<3>().0.iter_mut().zip(grey) {
                    *pixel = [level; 3];
                }
            }
            (Colours::Rgb, [red, green, blue]) => interleave(row, red, green, blue),
            (Colours::YCbCr, [luma, blueness, redness]) => {
                let pairs = luma.iter().zip(blueness).zip(redness);
                for (pixel, ((&y, &cb), &cr)) in row.as_chunks_mut::<3>().0.iter_mut().zip(pairs) {
                    *pixel = convert(y, cb, cr);
                }
            }
            (Colours::Cmyk | Colours::Ycck, [first, second, third, black]) => {
                let lines = first.iter().zip(second).zip(third).zip(black);
                for (pixel, (((&first, &second), &third), &black)) in row.as_chunks_mut::<3>().0.iter_mut().zip(lines) {
                    let inks = match colours {
                        Colours::Ycck => convert(first, second, third).map(|level| 255 - level),
                        _ => [first, second, third],
                    };
                    // Adobe's files hold 255 less the ink, so that `black` is the share of light left.
                    *pixel = inks.map(|ink| black.saturating_sub(share(255 - ink, black)));
                }
            }
            // Other numbers of channels were refused.
            _ => {}
        }
    }
}

#[inline(always)]
fn interleave(row: &mut [u8], red: &[u8], green: &[u8], blue: &[u8]) {
    for (pixel, ((&r, &g), &b)) in row.as_chunks_mut::<3>().0.iter_mut().zip(red.iter().zip(green).zip(blue)) {
        *pixel = [r, g, b];
    }
}

/// `a * b / 255`, rounded: Pillow's `MULDIV255`.
#[inline(always)]
fn share(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

/// YCbCr to RGB with factors of 16 fractional bits.
#[inline(always)]
fn convert(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + 32_768) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16);
    let blue = y + ((116_130 * cb + 32_768) >> 16);
    [red, green, blue].map(|level| level.clamp(0, 255) as u8)
}

/// Writes row `y` of the image's size.
#[inline(always)]
fn enlarge(plane: &Plane, y: usize, out: &mut [u8], sums: &mut [u16]) {
    let (across, down) = (plane.across.0 / plane.across.1, plane.down.0 / plane.down.1);
    let source = y / down;
    let row = |index: usize| &plane.samples[index * plane.stride..index * plane.stride + plane.width];
    // Of two output rows the upper leans to the source row above, the lower to the one below.
    let other = if y.is_multiple_of(2) { source.saturating_sub(1) } else { (source + 1).min(plane.height - 1) };
    match (across, down) {
        (1, 1) => out[..plane.width].copy_from_slice(row(source)),
        (1, 2) => {
            let bias = if y.is_multiple_of(2) { 1 } else { 2 };
            for (out, (&near, &far)) in out.iter_mut().zip(row(source).iter().zip(row(other))) {
                *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
            }
        }
        (2, 1) if plane.width > 2 => {
            for (sum, &near) in sums.iter_mut().zip(row(source)) {
                *sum = u16::from(near);
            }
            double::<2, 1, 2>(&sums[..plane.width], out);
        }
        (2, 2) if plane.width > 2 => {
            for (sum, (&near, &far)) in sums.iter_mut().zip(row(source).iter().zip(row(other))) {
                *sum = 3 * u16::from(near) + u16::from(far);
            }
            double::<4, 8, 7>(&sums[..plane.width], out);
        }
        _ => {
            for (out, &sample) in out.chunks_mut(across).zip(row(source)) {
                out.fill(sample);
            }
        }
    }
}

/// Doubles a row by the triangle filter; `LEFT` and `RIGHT` are what is added before `SHIFT` bits are dropped.
#[inline(always)]
fn double<const SHIFT: u32, const LEFT: u16, const RIGHT: u16>(sums: &[u16], out: &mut [u8]) {
    let last = sums.len() - 1;
    let (pairs, _) = out.as_chunks_mut::<2>();
    let blend = |near: u16, far: u16, bias: u16| ((3 * near + far + bias) >> SHIFT) as u8;
    pairs[0] = [blend(sums[0], sums[0], LEFT), blend(sums[0], sums[1], RIGHT)];
    for (pair, sums) in pairs[1..last].iter_mut().zip(sums.windows(3)) {
        *pair = [blend(sums[1], sums[0], LEFT), blend(sums[1], sums[2], RIGHT)];
    }
    pairs[last] = [blend(sums[last], sums[last - 1], LEFT), blend(sums[last], sums[last], RIGHT)];
}
