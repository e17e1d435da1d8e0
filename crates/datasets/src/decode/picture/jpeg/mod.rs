//! JPEG to RGB, equal to the bit to Pillow's `Image.open(..).convert("RGB")`.
//!
//! A JPEG does not define its pixels to the bit: decoders differ in the rounding of the inverse transform, in how they
//! enlarge the colour planes and in how they convert colours, by up to dozens of levels in single pixels. What papers
//! publish was made with libjpeg-turbo (in Pillow, torchvision, OpenCV), so this decoder takes its defaults: the accurate
//! integer transform ([`idct`]), triangle ("fancy") enlarging and 16-bit fixed-point colours ([`output`]).
//!
//! Read are baseline, extended and progressive files of 8 bits (Huffman codes): grey, YCbCr, RGB, CMYK and YCCK, with any
//! whole sampling factors and with restart markers. As libjpeg does, bits that a scan lacks are zeros and unknown codes are
//! symbol 0; unlike it, a file without its end marker is an error. Not done: smoothing of progressive files that lack scans.
//!
//! Sources: ITU-T T.81 (format, codes, progressive scans); libjpeg's `jdapimin.c` (which colours a file has).

mod bits;
mod idct;
mod output;
mod scan;

use bits::{Bits, Huffman};
use output::Colours;
use scan::{Component, Scan, Selected};

/// More scans than this are refused: each of them visits every block, however few bytes it has.
const MOST_SCANS: usize = 500;
/// The scans of a progressive file may visit every block so often in the mean; encoders make ten scans, of which four to six
/// visit a block. A sequential file needs one visit.
const MOST_VISITS: u64 = 24;
const MOST_SEQUENTIAL_VISITS: u64 = 2;
/// So many visits are allowed whatever the size: they take less than a second.
const VISITS_FREE: u64 = 1 << 23;

/// The place in a block of the k-th coefficient of the file; runs that lead out of a block end in its last place.
pub(super) const NATURAL: [u8; 80] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
];

/// A decoded file.
pub struct Decoded {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `[height, width, 3]` red, green, blue.
    pub pixels: Vec<u8>,
    /// The EXIF block, from its byte-order mark on.
    pub exif: Option<Vec<u8>>,
}

/// Decodes a file of which at most `allowed` bytes of pixels are believed.
///
/// # Errors
/// What is wrong: damaged, cut off (no end marker), of a kind that is not read, or larger than `allowed`.
pub fn decode(bytes: &[u8], allowed: u64) -> Result<Decoded, String> {
    let mut reader = Reader { bytes, allowed, at: 2, ..Reader::default() };
    if bytes.get(..2) != Some(&[0xff, 0xd8]) {
        return Err("a JPEG begins with ff d8".into());
    }
    while reader.segment()? {}
    let frame = reader.frame.ok_or("a damaged JPEG: no frame header")?;
    if frame.components.iter().any(|component| component.quantisation.is_none()) {
        return Err("a damaged JPEG: a channel without data".into());
    }
    let colours = colours(&frame.components, reader.jfif, reader.adobe)?;
    let planes = frame.into_planes();
    Ok(Decoded {
        width: planes.width as u32,
        height: planes.height as u32,
        pixels: output::rgb(&planes, colours),
        exif: reader.exif,
    })
}

/// What libjpeg takes a file's channels for.
fn colours(components: &[Component], jfif: bool, adobe: Option<u8>) -> Result<Colours, String> {
    Ok(match (components, adobe) {
        ([_], _) => Colours::Grey,
        ([_, _, _], _) if jfif => Colours::YCbCr,
        ([_, _, _], Some(0)) => Colours::Rgb,
        ([_, _, _], Some(_)) => Colours::YCbCr,
        ([r, g, b], None) if [r.id, g.id, b.id] == *b"RGB" => Colours::Rgb,
        ([_, _, _], None) => Colours::YCbCr,
        ([_, _, _, _], None | Some(0)) => Colours::Cmyk,
        ([_, _, _, _], Some(_)) => Colours::Ycck,
        _ => return Err(format!("a JPEG of {} channels, expected 1, 3 or 4", components.len())),
    })
}

/// The size and the channels.
pub(super) struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    /// Largest sampling factors, across and down.
    largest: (usize, usize),
    components: Vec<Component>,
}

impl Frame {
    /// The decoded planes; those of a progressive file are made from their coefficients here.
    fn into_planes(mut self) -> output::Planes {
        if self.progressive {
            for component in &mut self.components {
                component.render_all();
            }
        }
        let planes = self.components.into_iter().map(|component| output::Plane {
            across: (self.largest.0, component.across),
            down: (self.largest.1, component.down),
            width: component.width,
            height: component.height,
            stride: 8 * component.blocks_across,
            samples: component.plane,
        });
        output::Planes { width: self.width, height: self.height, planes: planes.collect() }
    }
}

/// The state between segments.
#[derive(Default)]
struct Reader<'a> {
    bytes: &'a [u8],
    allowed: u64,
    at: usize,
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: usize,
    frame: Option<Frame>,
    scans: usize,
    /// Blocks that its scans visit.
    visits: u64,
    jfif: bool,
    adobe: Option<u8>,
    exif: Option<Vec<u8>>,
}

impl Reader<'_> {
    fn cut(&self) -> String {
        format!("a truncated JPEG: {} bytes without an end-of-image marker", self.bytes.len())
    }

    /// Reads a marker and its segment; false after the end marker.
    fn segment(&mut self) -> Result<bool, String> {
        while self.bytes.get(self.at..self.at + 2) == Some(&[0xff, 0xff]) {
            self.at += 1;
        }
        let Some(&[lead, marker]) = self.bytes.get(self.at..self.at + 2) else { return Err(self.cut()) };
        if lead != 0xff {
            return Err(format!("a damaged JPEG: expected a marker at byte {}, found {lead:02x}", self.at));
        }
        self.at += 2;
        match marker {
            0xd9 => return Ok(false),
            0x01 | 0xd0..=0xd8 => return Ok(true),
            _ => {}
        }
        let Some(&[high, low]) = self.bytes.get(self.at..self.at + 2) else { return Err(self.cut()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let bytes = self.bytes;
        if length < 2 {
            return Err(format!("a damaged JPEG: segment {marker:02x} of length {length}"));
        }
        let Some(body) = bytes.get(self.at + 2..self.at + length) else { return Err(self.cut()) };
        self.at += length;
        let damaged = || format!("a damaged JPEG: segment {marker:02x} of length {length}");
        match marker {
            0xc0..=0xc2 => self.start_frame(body, marker == 0xc2)?,
            0xc4 => self.huffman_tables(body).ok_or_else(damaged)?,
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(format!(
                    "a JPEG of kind SOF{} (lossless, hierarchical or arithmetic), expected baseline or progressive",
                    marker & 15
                ));
            }
            0xda => self.scan(body)?,
            0xdb => self.quantisation_tables(body).ok_or_else(damaged)?,
            0xdd => {
                let interval = body.first_chunk().ok_or_else(damaged)?;
                self.restart_interval = usize::from(u16::from_be_bytes(*interval));
            }
            0xe0 => self.jfif |= body.len() >= 12 && body.starts_with(b"JFIF\0"),
            0xe1 if self.exif.is_none() => self.exif = body.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec),
            0xee if body.len() >= 12 && body.starts_with(b"Adobe") => self.adobe = Some(body[11]),
            _ => {}
        }
        Ok(true)
    }

    fn quantisation_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let wide = match head >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let values = rest.get(..64 * wide)?;
            let mut table = [0; 64];
            for (value, &place) in values.chunks_exact(wide).zip(&NATURAL) {
                table[usize::from(place)] = value.iter().fold(0, |all, &byte| (all << 8) | u16::from(byte));
            }
            *self.quantisation.get_mut(usize::from(head & 15))? = Some(table);
            body = &rest[64 * wide..];
        }
        Some(())
    }

    fn huffman_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let counts: &[u8; 16] = rest.first_chunk()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
            let table = Huffman::new(counts, rest.get(16..16 + total)?, head >> 4 == 1)?;
            let tables = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(head & 15))? = Some(table);
            body = &rest[16 + total..];
        }
        Some(())
    }

    fn start_frame(&mut self, body: &[u8], progressive: bool) -> Result<(), String> {
        let damaged = || "a damaged JPEG: frame header".to_owned();
        let (&[precision, h1, h0, w1, w0, channels], rest) = body.split_first_chunk().ok_or_else(damaged)?;
        let (width, height) = (usize::from(u16::from_be_bytes([w1, w0])), usize::from(u16::from_be_bytes([h1, h0])));
        if precision != 8 {
            return Err(format!("a JPEG of {precision} bits, expected 8"));
        }
        if self.frame.is_some() || width == 0 || height == 0 || rest.len() != 3 * usize::from(channels) {
            return Err(damaged());
        }
        let needed = 3 * width as u64 * height as u64;
        if needed > self.allowed {
            let (allowed, size) = (self.allowed, self.bytes.len());
            return Err(format!(
                "{width} x {height} needs {needed} bytes, more than the {allowed} that a file of {size} can hold"
            ));
        }
        if !matches!(channels, 1 | 3 | 4) {
            return Err(format!("a JPEG of {channels} channels, expected 1, 3 or 4"));
        }
        let factors = |entry: &[u8]| (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
        let entries = || rest.chunks_exact(3);
        if entries().map(factors).any(|(across, down)| !(1..=4).contains(&across) || !(1..=4).contains(&down)) {
            return Err(damaged());
        }
        let largest = entries().map(factors).fold((1, 1), |most, one| (most.0.max(one.0), most.1.max(one.1)));
        if entries().map(factors).any(|one| largest.0 % one.0 != 0 || largest.1 % one.1 != 0) {
            return Err("a JPEG of fractional sampling factors is not supported".into());
        }
        let components = entries().map(|entry| {
            let (across, down) = factors(entry);
            Component {
                id: entry[0],
                across,
                down,
                quantisation_index: usize::from(entry[2]),
                width: (width * across).div_ceil(largest.0),
                height: (height * down).div_ceil(largest.1),
                blocks_across: width.div_ceil(8 * largest.0) * across,
                blocks_down: height.div_ceil(8 * largest.1) * down,
                ..Component::default()
            }
        });
        let mut components: Vec<Component> = components.collect();
        let memory = needed + components.iter().map(|component| component.memory(progressive)).sum::<u64>();
        if memory > super::NEVER_ABOVE {
            let most = super::NEVER_ABOVE;
            return Err(format!(
                "a JPEG of {width} x {height} takes {memory} bytes in memory, at most {most} expected"
            ));
        }
        components.iter_mut().for_each(|component| component.allocate(progressive));
        self.frame = Some(Frame { width, height, progressive, largest, components });
        Ok(())
    }

    /// Reads a scan's header and decodes its data.
    fn scan(&mut self, body: &[u8]) -> Result<(), String> {
        let damaged = || "a damaged JPEG: scan header".to_owned();
        let frame = self.frame.as_mut().ok_or_else(damaged)?;
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Err(format!("a JPEG of more than {MOST_SCANS} scans"));
        }
        let (&count, rest) = body.split_first().ok_or_else(damaged)?;
        let count = usize::from(count);
        if !(1..=4).contains(&count) || rest.len() != 2 * count + 3 {
            return Err(damaged());
        }
        let mut selected: Vec<Selected> = Vec::with_capacity(count);
        for entry in rest[..2 * count].chunks_exact(2) {
            let index = frame.components.iter().position(|component| component.id == entry[0]).ok_or_else(damaged)?;
            if selected.iter().any(|other| other.component == index) {
                return Err(damaged());
            }
            let component = &mut frame.components[index];
            if component.quantisation.is_none() {
                let table = self.quantisation.get(component.quantisation_index).copied().flatten();
                component.quantisation = Some(table.ok_or("a damaged JPEG: a channel without its quantisation table")?);
            }
            selected.push(Selected {
                component: index,
                dc: usize::from(entry[1] >> 4),
                ac: usize::from(entry[1] & 15),
            });
        }
        let &[first, last, approximation] = rest[2 * count..].first_chunk().ok_or_else(damaged)?;
        let scan = Scan {
            selected,
            first: usize::from(first),
            last: usize::from(last),
            high: approximation >> 4,
            low: approximation & 15,
            restart_interval: self.restart_interval,
            dc: &self.dc,
            ac: &self.ac,
        };
        let length = bits::length(&self.bytes[self.at..]);
        let Some(data) = length.map(|length| &self.bytes[self.at..self.at + length]) else { return Err(self.cut()) };
        scan.check(frame.progressive)?;
        self.visits = self.visits.saturating_add(scan.blocks(frame));
        let blocks = frame.components.iter().map(Component::blocks).sum::<u64>();
        let most = blocks * if frame.progressive { MOST_VISITS } else { MOST_SEQUENTIAL_VISITS };
        if self.visits > most.max(VISITS_FREE) {
            let (scans, visits) = (self.scans, self.visits);
            return Err(format!(
                "{scans} scans visit {visits} blocks of a JPEG that has {blocks}, at most {} expected",
                most.max(VISITS_FREE)
            ));
        }
        scan.decode(frame, &mut Bits::new(data))?;
        self.at += data.len();
        Ok(())
    }
}
