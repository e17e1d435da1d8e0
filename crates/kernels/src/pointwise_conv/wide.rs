//! The inner loop of 14 pixels for 512-bit vectors, in assembly: the compiler runs out of registers for the sums when it
//! also chooses the addresses, and loses a fifth of the speed.
#![cfg(target_arch = "x86_64")]

use std::arch::asm;

use super::cpu::Segment;

/// Where a tile's values lie.
#[repr(C)]
pub(crate) struct Tile14 {
    /// The windows of the first and of the second seven pixels.
    pub rows: [*const f32; 2],
    /// What the sums begin with, and how far that of one pixel lies from the next, in bytes.
    pub start: *const f32,
    pub start_step: usize,
    /// Where the sums go, `[14][vectors][16]`.
    pub sums: *mut f32,
    /// From one pixel to the next, in bytes.
    pub stride: usize,
    /// Weights that are needed soon, and how many bytes of them to ask for with each input.
    pub ahead: *const f32,
    pub ahead_step: usize,
}

/// One pixel: its input in every lane, times the weights' vectors, into its sums.
macro_rules! pixel {
    ($value:literal, $address:literal, $first:literal) => {
        concat!(
            "vbroadcastss zmm",
            $value,
            ", dword ptr [",
            $address,
            "]\n",
            "vfmadd231ps zmm",
            $first,
            ", zmm28, zmm",
            $value,
            "\n"
        )
    };
    ($value:literal, $address:literal, $first:literal, $second:literal) => {
        concat!(
            "vbroadcastss zmm",
            $value,
            ", dword ptr [",
            $address,
            "]\n",
            "vfmadd231ps zmm",
            $first,
            ", zmm28, zmm",
            $value,
            "\n",
            "vfmadd231ps zmm",
            $second,
            ", zmm29, zmm",
            $value,
            "\n"
        )
    };
}

/// The sums of one pixel from memory, and on to the next pixel.
macro_rules! load {
    ($first:literal) => {
        concat!("vmovups zmm", $first, ", zmmword ptr [{a}]\nadd {a}, {b}\n")
    };
    ($first:literal, $second:literal) => {
        concat!(
            "vmovups zmm",
            $first,
            ", zmmword ptr [{a}]\nvmovups zmm",
            $second,
            ", zmmword ptr [{a} + 64]\nadd {a}, {b}\n"
        )
    };
}
/// The sums of one pixel to memory, and on to the next pixel.
macro_rules! save {
    ($first:literal) => {
        concat!("vmovups zmmword ptr [{a}], zmm", $first, "\nadd {a}, 64\n")
    };
    ($first:literal, $second:literal) => {
        concat!(
            "vmovups zmmword ptr [{a}], zmm",
            $first,
            "\nvmovups zmmword ptr [{a} + 64], zmm",
            $second,
            "\nadd {a}, 128\n"
        )
    };
}
/// `load` or `save` for the registers of all pixels.
macro_rules! all_sums {
    ($what:ident, 1) => {
        concat!(
            $what!("0"),
            $what!("1"),
            $what!("2"),
            $what!("3"),
            $what!("4"),
            $what!("5"),
            $what!("6"),
            $what!("7"),
            $what!("8"),
            $what!("9"),
            $what!("10"),
            $what!("11"),
            $what!("12"),
            $what!("13"),
        )
    };
    ($what:ident, 2) => {
        concat!(
            $what!("0", "1"),
            $what!("2", "3"),
            $what!("4", "5"),
            $what!("6", "7"),
            $what!("8", "9"),
            $what!("10", "11"),
            $what!("12", "13"),
            $what!("14", "15"),
            $what!("16", "17"),
            $what!("18", "19"),
            $what!("20", "21"),
            $what!("22", "23"),
            $what!("24", "25"),
            $what!("26", "27"),
        )
    };
}

/// The whole loop, from the pixels' lines and the bytes of weights of one input.
macro_rules! product {
    ($tile:expr, $segments:expr, $weights:expr, $load:expr, $pixels:expr, $save:expr, $second:literal, $bytes:literal, $advance:literal) => {
        asm!(
            "mov {a}, qword ptr [{tile} + 16]",
            "mov {b}, qword ptr [{tile} + 24]",
            $load,
            "2:",
            "mov {b}, qword ptr [{segment}]",
            "mov {a}, qword ptr [{tile}]",
            "add {a}, {b}",
            "add {b}, qword ptr [{tile} + 8]",
            "mov {count}, qword ptr [{segment} + 8]",
            "3:",
            "vmovups zmm28, zmmword ptr [{weights}]",
            $second,
            $pixels,
            "prefetcht0 byte ptr [{ahead}]",
            "add {ahead}, {step}",
            concat!("add {weights}, ", $bytes),
            concat!("add {a}, ", $advance),
            concat!("add {b}, ", $advance),
            "dec {count}",
            "jnz 3b",
            "add {segment}, 16",
            "dec {segments}",
            "jnz 2b",
            "mov {a}, qword ptr [{tile} + 32]",
            $save,
            tile = in(reg) std::ptr::from_ref::<Tile14>($tile),
            segment = inout(reg) $segments.as_ptr() => _,
            segments = inout(reg) $segments.len() => _,
            weights = inout(reg) $weights => _,
            ahead = inout(reg) $tile.ahead => _,
            step = in(reg) $tile.ahead_step,
            s1 = in(reg) $tile.stride,
            s3 = in(reg) 3 * $tile.stride,
            s5 = in(reg) 5 * $tile.stride,
            a = out(reg) _,
            b = out(reg) _,
            count = out(reg) _,
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _, out("zmm6") _,
            out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _,
            out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _,
            out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
            options(nostack),
        )
    };
}

/// Adds a chunk to the sums of 14 pixels × 32 channels.
///
/// # Safety
/// AVX-512F is there, no segment is empty and there is at least one, and all that the tile points to is as long as the
/// segments say: `[inputs][32]` weights, sums of `[14][32]`.
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn sum_two(tile: &Tile14, segments: &[Segment], weights: *const f32) {
    // SAFETY: the caller's; the assembly reads the tile's fields and the segments in the layout that `repr(C)` gives them.
    unsafe {
        product!(
            tile,
            segments,
            weights,
            all_sums!(load, 2),
            concat!(
                pixel!("30", "{a}", "0", "1"),
                pixel!("31", "{a} + {s1}", "2", "3"),
                pixel!("30", "{a} + 2 * {s1}", "4", "5"),
                pixel!("31", "{a} + {s3}", "6", "7"),
                pixel!("30", "{a} + 4 * {s1}", "8", "9"),
                pixel!("31", "{a} + {s5}", "10", "11"),
                pixel!("30", "{a} + 2 * {s3}", "12", "13"),
                pixel!("31", "{b}", "14", "15"),
                pixel!("30", "{b} + {s1}", "16", "17"),
                pixel!("31", "{b} + 2 * {s1}", "18", "19"),
                pixel!("30", "{b} + {s3}", "20", "21"),
                pixel!("31", "{b} + 4 * {s1}", "22", "23"),
                pixel!("30", "{b} + {s5}", "24", "25"),
                pixel!("31", "{b} + 2 * {s3}", "26", "27"),
            ),
            all_sums!(save, 2),
            "vmovups zmm29, zmmword ptr [{weights} + 64]",
            "128",
            "4"
        );
    }
}

/// [`sum_two`] for 16 channels.
///
/// # Safety
/// As [`sum_two`], with `[inputs][16]` weights and sums of `[14][16]`.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn sum_one(tile: &Tile14, segments: &[Segment], weights: *const f32) {
    // SAFETY: as for `sum_two`.
    unsafe {
        product!(
            tile,
            segments,
            weights,
            all_sums!(load, 1),
            concat!(
                pixel!("30", "{a}", "0"),
                pixel!("31", "{a} + {s1}", "1"),
                pixel!("30", "{a} + 2 * {s1}", "2"),
                pixel!("31", "{a} + {s3}", "3"),
                pixel!("30", "{a} + 4 * {s1}", "4"),
                pixel!("31", "{a} + {s5}", "5"),
                pixel!("30", "{a} + 2 * {s3}", "6"),
                pixel!("31", "{b}", "7"),
                pixel!("30", "{b} + {s1}", "8"),
                pixel!("31", "{b} + 2 * {s1}", "9"),
                pixel!("30", "{b} + {s3}", "10"),
                pixel!("31", "{b} + 4 * {s1}", "11"),
                pixel!("30", "{b} + {s5}", "12"),
                pixel!("31", "{b} + 2 * {s3}", "13"),
            ),
            all_sums!(save, 1),
            "",
            "64",
            "4"
        );
    }
}

/// [`sum_two`] for inputs that lie one after the other: pixel q of input k at `rows[0] + offset + (16 k + q)`, in values.
///
/// # Safety
/// As [`sum_two`]; strides and the second row are not used.
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn sum_packed(tile: &Tile14, segments: &[Segment], weights: *const f32) {
    // SAFETY: as for `sum_two`. The comment names operands that this loop does without.
    unsafe {
        product!(
            tile,
            segments,
            weights,
            all_sums!(load, 2),
            concat!(
                "# {s1} {s3} {s5}\n",
                pixel!("30", "{a}", "0", "1"),
                pixel!("31", "{a} + 4", "2", "3"),
                pixel!("30", "{a} + 8", "4", "5"),
                pixel!("31", "{a} + 12", "6", "7"),
                pixel!("30", "{a} + 16", "8", "9"),
                pixel!("31", "{a} + 20", "10", "11"),
                pixel!("30", "{a} + 24", "12", "13"),
                pixel!("31", "{a} + 28", "14", "15"),
                pixel!("30", "{a} + 32", "16", "17"),
                pixel!("31", "{a} + 36", "18", "19"),
                pixel!("30", "{a} + 40", "20", "21"),
                pixel!("31", "{a} + 44", "22", "23"),
                pixel!("30", "{a} + 48", "24", "25"),
                pixel!("31", "{a} + 52", "26", "27"),
            ),
            all_sums!(save, 2),
            "vmovups zmm29, zmmword ptr [{weights} + 64]",
            "128",
            "64"
        );
    }
}
