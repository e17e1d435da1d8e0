//! The network forward, with everything kept that the way back reads, or without.

use oodlab_kernels::cuda::{Buffer, CudaError};
use oodlab_kernels::dense::cuda as dense;
use oodlab_kernels::group_norm::cuda::CudaGroupNorm;
use oodlab_kernels::step_rows::cuda::CudaStepIndex;

use super::EPSILON;
use super::linear::Products;
use super::places::{Block, Norm, Places};
use super::time::Time;

/// What a norm leaves: its rows, normalised and activated, and their statistics.
#[derive(Debug)]
pub(super) struct Normalised {
    pub rows: Buffer<f32>,
    pub statistics: Buffer<f32>,
}

/// What a block leaves.
#[derive(Debug)]
pub(super) struct Inside {
    pub first: Normalised,
    /// The first product, without bias and shift.
    pub product: Buffer<f32>,
    pub second: Normalised,
}

/// The values of one pass.
#[derive(Debug)]
pub(super) struct Tape {
    /// Noised samples, as they came and activated.
    pub x: Buffer<f32>,
    pub activated: Buffer<f32>,
    /// Rows between the blocks.
    pub between: Vec<Buffer<f32>>,
    pub blocks: Vec<Inside>,
    pub last: Normalised,
    /// The output's product, without bias.
    pub output: Buffer<f32>,
}

/// The sizes of one pass, and whether all of it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    pub rows: usize,
    pub width: usize,
    pub kept: bool,
}

impl Pass {
    /// Where the values of a block lie: all in one place when they are not kept.
    pub fn block(self, block: usize) -> usize {
        if self.kept { block } else { 0 }
    }

    /// Where the rows before a block lie; two places in turn when they are not kept.
    pub fn before(self, block: usize) -> usize {
        if self.kept { block } else { block % 2 }
    }
}

/// What a pass is computed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network<'a> {
    pub products: &'a Products,
    pub places: &'a Places,
    pub parameters: &'a Buffer<f32>,
    pub time: &'a Time,
    pub index: &'a CudaStepIndex,
}

impl<'a> Network<'a> {
    pub fn norm(&self, norm: Norm, pass: Pass, input: &'a Buffer<f32>) -> CudaGroupNorm<'a> {
        CudaGroupNorm {
            input,
            shift: None,
            weight: (self.parameters, norm.weight),
            bias: (self.parameters, norm.bias),
            rows: pass.rows,
            width: pass.width,
            epsilon: EPSILON,
        }
    }

    /// The second norm of a block, whose input is shifted: by the step's row, or by the product's bias alone.
    pub fn shifted(&self, at: usize, block: &Block, pass: Pass, input: &'a Buffer<f32>) -> CudaGroupNorm<'a> {
        let table = match block.shift {
            Some(_) => (&self.time.shifts[at], 0),
            None => (self.parameters, block.first.bias),
        };
        CudaGroupNorm { shift: Some((table, self.index)), ..self.norm(block.second_norm, pass, input) }
    }
}

impl Normalised {
    fn new(products: &Products) -> Result<Normalised, CudaError> {
        Ok(Normalised { rows: products.gpu.zeros(0)?, statistics: products.gpu.zeros(0)? })
    }

    fn compute(&mut self, products: &Products, norm: &CudaGroupNorm<'_>) -> Result<(), CudaError> {
        self.rows.reserve(norm.rows * norm.width)?;
        self.statistics.reserve(2 * norm.rows)?;
        norm.forward(&products.gpu, &mut self.rows, &mut self.statistics)
    }
}

impl Tape {
    pub fn new(products: &Products) -> Result<Tape, CudaError> {
        let empty = || products.gpu.zeros::<f32>(0);
        Ok(Tape {
            x: empty()?,
            activated: empty()?,
            between: Vec::new(),
            blocks: Vec::new(),
            last: Normalised::new(products)?,
            output: empty()?,
        })
    }

    fn reserve(&mut self, network: Network<'_>, pass: Pass) -> Result<(), CudaError> {
        let (places, length) = (network.places, pass.rows * pass.width);
        let blocks = pass.block(places.blocks.len().saturating_sub(1)) + 1;
        let between = if pass.kept { blocks + 1 } else { 2 };
        let empty = || network.products.gpu.zeros::<f32>(0);
        while self.blocks.len() < blocks {
            let [first, second] = [Normalised::new(network.products)?, Normalised::new(network.products)?];
            self.blocks.push(Inside { first, product: empty()?, second });
        }
        while self.between.len() < between {
            self.between.push(empty()?);
        }
        for rows in &mut self.between[..between] {
            rows.reserve(length)?;
        }
        for block in &mut self.blocks[..blocks] {
            block.product.reserve(length)?;
        }
        self.activated.reserve(pass.rows * places.input.from)?;
        self.output.reserve(pass.rows * places.output.to)
    }

    /// From `x` to the output's product, without its bias.
    pub fn compute(&mut self, network: Network<'_>, pass: Pass) -> Result<(), CudaError> {
        self.reserve(network, pass)?;
        let Network { products, places, parameters, .. } = network;
        let (gpu, rows, shape) = (&products.gpu, pass.rows, (pass.rows, pass.width));
        dense::silu(gpu, &self.x, rows * places.input.from, &mut self.activated)?;
        products.forward(places.input, parameters, &self.activated, rows, &mut self.between[0])?;
        dense::add_bias(gpu, &mut self.between[0], shape, (parameters, places.input.bias), None)?;
        for (at, block) in places.blocks.iter().enumerate() {
            let inside = &mut self.blocks[pass.block(at)];
            let [before, after] = pair(&mut self.between, pass.before(at), pass.before(at + 1));
            inside.first.compute(products, &network.norm(block.first_norm, pass, before))?;
            products.forward(block.first, parameters, &inside.first.rows, rows, &mut inside.product)?;
            inside.second.compute(products, &network.shifted(at, block, pass, &inside.product))?;
            products.forward(block.second, parameters, &inside.second.rows, rows, after)?;
            dense::add_bias(gpu, after, shape, (parameters, block.second.bias), Some(before))?;
        }
        let last = &self.between[pass.before(places.blocks.len())];
        self.last.compute(products, &network.norm(places.norm, pass, last))?;
        products.forward(places.output, parameters, &self.last.rows, rows, &mut self.output)
    }
}

/// Two different elements.
fn pair(buffers: &mut [Buffer<f32>], before: usize, after: usize) -> [&mut Buffer<f32>; 2] {
    let (low, high) = buffers.split_at_mut(before.max(after));
    let (low, high) = (&mut low[before.min(after)], &mut high[0]);
    if before < after { [low, high] } else { [high, low] }
}
