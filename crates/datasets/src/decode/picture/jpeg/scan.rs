//! Scans: the coefficients of blocks, whole ones or a part of their bits.

use super::bits::{Bits, Coefficient, Huffman};
use super::{Frame, NATURAL, idct};

/// A channel.
#[derive(Default)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) quantisation_index: usize,
    /// The table in force when its first scan began.
    pub(super) quantisation: Option<[u16; 64]>,
    /// Samples that count.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks, up to whole units of the interleaved channels.
    pub(super) blocks_across: usize,
    pub(super) blocks_down: usize,
    /// Coefficients: of all blocks in a progressive file, else of the rows of one unit.
    pub(super) coefficients: Vec<[i16; 64]>,
    /// `[8 * blocks_down, 8 * blocks_across]` samples.
    pub(super) plane: Vec<u8>,
}

impl Component {
    pub(super) fn blocks(&self) -> u64 {
        self.blocks_across as u64 * self.blocks_down as u64
    }

    /// Rows of blocks whose coefficients are kept.
    fn rows_kept(&self, progressive: bool) -> usize {
        if progressive { self.blocks_down } else { self.down }
    }

    /// Bytes that [`Component::allocate`] asks for.
    pub(super) fn memory(&self, progressive: bool) -> u64 {
        128 * self.rows_kept(progressive) as u64 * self.blocks_across as u64 + 64 * self.blocks()
    }

    pub(super) fn allocate(&mut self, progressive: bool) {
        let rows = self.rows_kept(progressive);
        self.coefficients = vec![[0; 64]; rows * self.blocks_across];
        self.plane = vec![128; 64 * self.blocks_down * self.blocks_across];
    }

    /// Turns `rows` rows of blocks, the first of the coefficients, into the samples from block row `to` on.
    fn render(&mut self, rows: usize, to: usize) {
        let Some(quantisation) = &self.quantisation else { return };
        let row = 64 * self.blocks_across;
        let planes = self.plane[to * row..].chunks_exact_mut(row);
        for (blocks, samples) in self.coefficients.chunks_exact(self.blocks_across).take(rows).zip(planes) {
            idct::row(blocks, quantisation, samples);
        }
    }

    /// Turns all coefficients into samples.
    pub(super) fn render_all(&mut self) {
        self.render(self.blocks_down, 0);
        self.coefficients = Vec::new();
    }
}

/// A channel of a scan and its tables.
pub(super) struct Selected {
    pub(super) component: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// A scan's header.
pub(super) struct Scan<'a> {
    pub(super) selected: Vec<Selected>,
    /// First and last coefficient, in the order of the file.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The bit sent last before, and the one sent now.
    pub(super) high: u8,
    pub(super) low: u8,
    pub(super) restart_interval: usize,
    pub(super) dc: &'a [Option<Huffman>; 4],
    pub(super) ac: &'a [Option<Huffman>; 4],
}

/// What is carried from block to block.
#[derive(Default)]
struct State {
    /// The last mean of each selected channel.
    means: [i32; 4],
    /// Blocks that end at once.
    ended: i32,
}

#[derive(Clone, Copy)]
enum Kind {
    Sequential,
    MeanFirst,
    MeanRefine,
    First,
    Refine,
}

impl Scan<'_> {
    /// Whether the progression is one that is defined.
    pub(super) fn check(&self, progressive: bool) -> Result<(), String> {
        let Scan { first, last, high, low, .. } = *self;
        let means = first == 0 && last == 0;
        let others = 1 <= first && first <= last && last <= 63 && self.selected.len() == 1;
        if progressive && !((means || others) && low <= 13 && (high == 0 || high == low + 1)) {
            return Err(format!("a damaged JPEG: scan of coefficients {first} to {last}, bits {high} to {low}"));
        }
        Ok(())
    }

    /// How many blocks it visits, whether its data tell of them or not.
    pub(super) fn blocks(&self, frame: &Frame) -> u64 {
        self.selected.iter().map(|one| frame.components[one.component].blocks()).sum()
    }

    fn kind(&self, progressive: bool) -> Kind {
        match (progressive, self.first, self.high) {
            (false, ..) => Kind::Sequential,
            (true, 0, 0) => Kind::MeanFirst,
            (true, 0, _) => Kind::MeanRefine,
            (true, _, 0) => Kind::First,
            (true, ..) => Kind::Refine,
        }
    }

    /// Decodes the data into coefficients, and those of a sequential file into samples.
    pub(super) fn decode(&self, frame: &mut Frame, bits: &mut Bits) -> Result<(), String> {
        let kind = self.kind(frame.progressive);
        let missing = || "a damaged JPEG: a scan without its Huffman table".to_owned();
        let needs_dc = matches!(kind, Kind::Sequential | Kind::MeanFirst);
        let needs_ac = matches!(kind, Kind::Sequential | Kind::First | Kind::Refine);
        // A table that is not needed is never looked into: any stands in.
        let mut tables = Vec::with_capacity(self.selected.len());
        for one in &self.selected {
            let dc = self.dc.get(one.dc).and_then(Option::as_ref);
            let ac = self.ac.get(one.ac).and_then(Option::as_ref);
            if needs_dc && !dc.is_some_and(Huffman::is_for_dc) || needs_ac && ac.is_none() {
                return Err(missing());
            }
            tables.push((dc, ac));
        }
        let alone = self.selected.len() == 1;
        let (units_across, units_down) = if alone {
            let component = &frame.components[self.selected[0].component];
            (component.width.div_ceil(8), component.height.div_ceil(8))
        } else {
            (frame.width.div_ceil(8 * frame.largest.0), frame.height.div_ceil(8 * frame.largest.1))
        };
        let mut state = State::default();
        let (mut left, mut number) = (self.restart_interval, 0);
        let mut starved = false;
        for y in 0..units_down {
            if let Kind::Sequential = kind {
                for one in &self.selected {
                    frame.components[one.component].coefficients.as_flattened_mut().fill(0);
                }
            }
            for x in 0..units_across {
                if self.restart_interval > 0 {
                    if left == 0 {
                        bits.restart(number)?;
                        (left, number) = (self.restart_interval, (number + 1) & 7);
                        (state, starved) = (State::default(), false);
                    }
                    left -= 1;
                }
                if starved {
                    continue;
                }
                for (place, (one, tables)) in self.selected.iter().zip(&tables).enumerate() {
                    let component = &mut frame.components[one.component];
                    let (across, down) = if alone { (1, 1) } else { (component.across, component.down) };
                    let top = if frame.progressive { y * down } else { 0 };
                    for row in top..top + down {
                        let first = row * component.blocks_across + x * across;
                        for block in &mut component.coefficients[first..first + across] {
                            self.block(kind, block, bits, *tables, &mut state, place);
                        }
                    }
                }
                starved = bits.is_starved();
            }
            if let Kind::Sequential = kind {
                for one in &self.selected {
                    let component = &mut frame.components[one.component];
                    let down = if alone { 1 } else { component.down };
                    component.render(down, y * down);
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn block(
        &self,
        kind: Kind,
        block: &mut [i16; 64],
        bits: &mut Bits,
        (dc, ac): (Option<&Huffman>, Option<&Huffman>),
        state: &mut State,
        place: usize,
    ) {
        let mean = &mut state.means[place];
        match (kind, dc, ac) {
            (Kind::Sequential, Some(dc), Some(ac)) => sequential(block, bits, dc, ac, mean),
            (Kind::MeanFirst, Some(dc), _) => {
                *mean = mean.wrapping_add(bits.difference(dc));
                block[0] = (*mean << self.low) as i16;
            }
            (Kind::MeanRefine, ..) => block[0] |= i16::from(bits.bit()) << self.low,
            (Kind::First, _, Some(ac)) => self.first(block, bits, ac, &mut state.ended),
            (Kind::Refine, _, Some(ac)) => self.refine(block, bits, ac, &mut state.ended),
            // Asked before the scan.
            _ => {}
        }
    }

    /// The upper bits of a band of coefficients (T.81, G.1.2.2).
    fn first(&self, block: &mut [i16; 64], bits: &mut Bits, table: &Huffman, ended: &mut i32) {
        if *ended > 0 {
            *ended -= 1;
            return;
        }
        let mut place = self.first;
        while place <= self.last {
            match bits.coefficient(table) {
                Coefficient::Number(run, value) => {
                    place += run;
                    block[usize::from(NATURAL[place])] = (value << self.low) as i16;
                    place += 1;
                }
                Coefficient::Run(15) => place += 16,
                Coefficient::Run(size) => {
                    *ended = (1 << size) + bits.unsigned(size) - 1;
                    return;
                }
            }
        }
    }

    /// One bit more of a band of coefficients (T.81, G.1.2.3).
    fn refine(&self, block: &mut [i16; 64], bits: &mut Bits, table: &Huffman, ended: &mut i32) {
        let unit = 1i16 << self.low;
        let correct = |value: &mut i16, bits: &mut Bits| {
            if bits.bit() && *value & unit == 0 {
                *value = if *value >= 0 { value.wrapping_add(unit) } else { value.wrapping_sub(unit) };
            }
        };
        let mut place = self.first;
        if *ended == 0 {
            while place <= self.last {
                let (mut run, is_number) = bits.refinement(table);
                let mut new = 0;
                if is_number {
                    new = if bits.bit() { unit } else { -unit };
                } else if run < 15 {
                    *ended = (1 << run) + bits.unsigned(run);
                    break;
                }
                while place <= self.last {
                    let value = &mut block[usize::from(NATURAL[place])];
                    if *value != 0 {
                        correct(value, bits);
                    } else if run == 0 {
                        break;
                    } else {
                        run -= 1;
                    }
                    place += 1;
                }
                if new != 0 {
                    block[usize::from(NATURAL[place])] = new;
                }
                place += 1;
            }
        }
        if *ended > 0 {
            for &place in &NATURAL[place.min(64)..=self.last.max(place.min(64) - 1)] {
                let value = &mut block[usize::from(place)];
                if *value != 0 {
                    correct(value, bits);
                }
            }
            *ended -= 1;
        }
    }
}

/// A whole block (T.81, F.2.2).
#[inline(always)]
fn sequential(block: &mut [i16; 64], shared: &mut Bits, dc: &Huffman, ac: &Huffman, mean: &mut i32) {
    // A copy of its own lives in registers.
    let bits = &mut shared.clone();
    *mean = mean.wrapping_add(bits.difference(dc));
    block[0] = *mean as i16;
    let mut place = 1;
    while place < 64 {
        match bits.coefficient(ac) {
            Coefficient::Number(run, value) => {
                place += run;
                block[usize::from(NATURAL[place])] = value as i16;
                place += 1;
            }
            Coefficient::Run(15) => place += 16,
            Coefficient::Run(_) => break,
        }
    }
    *shared = *bits;
}
