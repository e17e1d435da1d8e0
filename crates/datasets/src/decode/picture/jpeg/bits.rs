//! The bits of a scan, and the codes they are written in.

/// Codes up to this length are found by one look into a table.
const LOOK: u32 = 10;

/// How many bytes of entropy-coded data come before the next marker that is no restart; none where the file ends first.
pub(super) fn length(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += data.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        match data.get(at + 1)? {
            0xff => at += 1,
            0x00 | 0xd0..=0xd7 => at += 2,
            _ => return Some(at),
        }
    }
}

/// A Huffman code.
pub(super) struct Huffman {
    /// Of the next [`LOOK`] bits: the code's length times 256 and its symbol; 0 where the code is longer.
    look: Box<[u16; 1 << LOOK]>,
    /// Of the next [`LOOK`] bits, where a code and the number after it fit in: the number, the run of zeros before it and
    /// the bits of both. The number is 0 where they do not fit.
    numbers: Box<[Number; 1 << LOOK]>,
    /// Largest code of each length, -1 where there is none.
    largest: [i32; 17],
    /// What to add to a code of each length to find its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Number {
    value: i16,
    run: u8,
    bits: u8,
}

impl Huffman {
    /// The code with `counts[i]` symbols of length `i + 1`, of coefficients or of differences; none when there are more than fit.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8], of_ac: bool) -> Option<Huffman> {
        let mut table = Huffman {
            look: Box::new([0; 1 << LOOK]),
            numbers: Box::new([Number::default(); 1 << LOOK]),
            largest: [-1; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0usize, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            let count = usize::from(count);
            if code + count > 1 << length {
                return None;
            }
            if count > 0 {
                table.offset[length as usize] = place as i32 - code as i32;
                table.largest[length as usize] = (code + count - 1) as i32;
            }
            if length <= LOOK {
                for (code, &symbol) in (code..).zip(symbols.get(place..place + count)?) {
                    let span = 1 << (LOOK - length);
                    table.look[code * span..(code + 1) * span].fill((length as u16) << 8 | u16::from(symbol));
                }
            }
            place += count;
            code = (code + count) << 1;
        }
        if !of_ac {
            return Some(table);
        }
        for (bits, number) in table.numbers.iter_mut().enumerate() {
            let (length, symbol) = (u32::from(table.look[bits] >> 8), table.look[bits] & 0xff);
            let size = u32::from(symbol & 15);
            if size > 0 && length > 0 && length + size <= LOOK {
                let raw = (bits >> (LOOK - length - size)) as i32 & ((1 << size) - 1);
                *number =
                    Number { value: extend(raw, size) as i16, run: (symbol >> 4) as u8, bits: (length + size) as u8 };
            }
        }
        Some(table)
    }

    /// Whether every symbol is the size of a difference.
    pub(super) fn is_for_dc(&self) -> bool {
        self.symbols.iter().all(|&symbol| symbol <= 15)
    }
}

/// The number that `size` bits stand for (T.81, F.2.2.1).
#[inline(always)]
fn extend(raw: i32, size: u32) -> i32 {
    if raw < 1 << (size - 1) { raw - (1 << size) + 1 } else { raw }
}

/// What an AC code says.
pub(super) enum Coefficient {
    /// So many zeros, then a number.
    Number(usize, i32),
    /// A code without a number: its upper half.
    Run(u32),
}

/// Reads a scan's data bit by bit; zeros follow where it ends, or where a marker stands.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the highest down.
    buffer: u64,
    count: u32,
    /// How many of the last bits are made up.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Bits<'a> {
        Bits { data, at: 0, buffer: 0, count: 0, made_up: 0 }
    }

    /// Whether bits were read that the data do not have.
    #[inline(always)]
    pub(super) fn is_starved(&self) -> bool {
        self.count < self.made_up
    }

    /// Has at least 48 bits ready: a code of up to 17 bits and the number after it.
    #[inline(always)]
    fn fill(&mut self) {
        if self.count < 48 {
            self.refill();
        }
    }

    #[inline(always)]
    fn refill(&mut self) {
        if let Some(word) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*word);
            let inverse = !word;
            // No byte of the inverse is 0: no byte is ff.
            if inverse.wrapping_sub(0x0101_0101_0101_0101) & !inverse & 0x8080_8080_8080_8080 == 0 {
                let bytes = (63 - self.count) / 8;
                self.buffer |= (word >> (64 - 8 * bytes)) << (64 - 8 * bytes - self.count);
                self.count += 8 * bytes;
                self.at += bytes as usize;
                return;
            }
        }
        self.refill_slowly();
    }

    #[inline(never)]
    fn refill_slowly(&mut self) {
        while self.count <= 55 {
            let byte = match self.data.get(self.at..) {
                Some(&[0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                Some(&[0xff, 0xff, ..]) => {
                    self.at += 1;
                    continue;
                }
                Some(&[0xff, ..] | &[]) | None => {
                    self.made_up += 8;
                    0
                }
                Some(&[byte, ..]) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn take(&mut self, count: u32) -> i32 {
        let value = (self.buffer >> (64 - count)) as i32;
        self.skip(count);
        value
    }

    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }

    /// One bit.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        self.fill();
        self.take(1) != 0
    }

    /// An unsigned number of up to 15 bits.
    #[inline(always)]
    pub(super) fn unsigned(&mut self, size: u32) -> i32 {
        self.fill();
        if size == 0 { 0 } else { self.take(size) }
    }

    /// A code's symbol; 0 when there is no such code.
    #[inline(always)]
    fn symbol(&mut self, table: &Huffman) -> u32 {
        let entry = table.look[(self.buffer >> (64 - LOOK)) as usize];
        if entry != 0 {
            self.skip(u32::from(entry >> 8));
            return u32::from(entry & 0xff);
        }
        self.long_symbol(table)
    }

    #[cold]
    fn long_symbol(&mut self, table: &Huffman) -> u32 {
        for length in LOOK + 1..=16 {
            let code = (self.buffer >> (64 - length)) as i32;
            if code <= table.largest[length as usize] {
                self.skip(length);
                let place = code + table.offset[length as usize];
                return table.symbols.get(place as usize).map_or(0, |&symbol| u32::from(symbol));
            }
        }
        self.skip(17);
        0
    }

    /// The difference to the last block's mean.
    #[inline(always)]
    pub(super) fn difference(&mut self, table: &Huffman) -> i32 {
        self.fill();
        let size = self.symbol(table) & 15;
        if size == 0 { 0 } else { extend(self.take(size), size) }
    }

    /// The next coefficient.
    #[inline(always)]
    pub(super) fn coefficient(&mut self, table: &Huffman) -> Coefficient {
        self.fill();
        let number = table.numbers[(self.buffer >> (64 - LOOK)) as usize];
        if number.value != 0 {
            self.skip(u32::from(number.bits));
            return Coefficient::Number(usize::from(number.run), i32::from(number.value));
        }
        let symbol = self.symbol(table);
        match symbol & 15 {
            0 => Coefficient::Run(symbol >> 4),
            size => Coefficient::Number((symbol >> 4) as usize, extend(self.take(size), size)),
        }
    }

    /// The next code's run and whether a number follows: of scans that refine.
    #[inline(always)]
    pub(super) fn refinement(&mut self, table: &Huffman) -> (u32, bool) {
        self.fill();
        let symbol = self.symbol(table);
        (symbol >> 4, symbol & 15 != 0)
    }

    /// Goes on behind the next restart marker, which must have this number. Where no marker follows, only zeros do.
    ///
    /// # Errors
    /// Another marker.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), String> {
        (self.buffer, self.count, self.made_up) = (0, 0, 0);
        while let Some(rest) = self.data.get(self.at..).filter(|rest| rest.len() >= 2) {
            if rest[0] == 0xff && matches!(rest[1], 0xd0..=0xd7) {
                self.at += 2;
                let found = rest[1] & 7;
                let message = || format!("a damaged JPEG: expected restart marker {number}, found {found}");
                return if found == number { Ok(()) } else { Err(message()) };
            }
            self.at += 1;
        }
        self.at = self.data.len();
        Ok(())
    }
}
