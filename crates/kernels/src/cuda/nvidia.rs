//! The machine that is a GPU, by cudarc.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cudarc::cublas::sys::{
    cublasComputeType_t, cublasGemmAlgo_t, cublasGemmStridedBatchedEx, cublasGetVersion_v2, cublasMath_t,
    cublasOperation_t, cublasSetMathMode, cublasSgemm_v2, cublasSgemmStridedBatched, cudaDataType,
};
use cudarc::cublas::{CudaBlas, result::CublasError};
use cudarc::driver::sys::cuDriverGetVersion;
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, DriverError, result};
use cudarc::nvrtc::sys::nvrtcVersion;
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts};

use super::available::{available, compiler_available, compiler_missing};
use super::{CudaError, Factors, Grid, Kernel, Machine, RawProduct, Source};

/// One GPU with one stream.
#[derive(Debug)]
pub(super) struct Nvidia {
    name: String,
    numerics: String,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    products: Mutex<CudaBlas>,
    modules: Mutex<BTreeMap<&'static str, Arc<CudaModule>>>,
    functions: Mutex<BTreeMap<(&'static str, &'static str), CudaFunction>>,
}

fn driver(what: &'static str) -> impl Fn(DriverError) -> CudaError {
    move |error| CudaError::Driver { what, message: error.to_string() }
}

fn cublas(what: &'static str) -> impl Fn(CublasError) -> CudaError {
    move |error| CudaError::Driver { what, message: format!("{error:?}") }
}

/// How matrices lie in memory, whatever the factors are rounded to.
const SINGLE: cudaDataType = cudaDataType::CUDA_R_32F;

/// cuBLAS's word for rounded factors; none for full single precision, which has calls of its own.
fn rounded(factors: Factors) -> Option<cublasComputeType_t> {
    match factors {
        Factors::Full => None,
        Factors::Tf32 => Some(cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32),
        Factors::Bf16 => Some(cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_16BF),
    }
}

/// Compiles a source to PTX, once in a process. Needs NVRTC, but neither a driver nor a GPU.
///
/// The code is for the compiler's oldest architecture and is finished by the driver for the GPU at hand, so that any GPU
/// newer than the libraries works too.
///
/// # Errors
/// When NVRTC is missing, or the source does not compile: then with the compiler's log.
pub fn compile(source: Source) -> Result<Ptx, CudaError> {
    static COMPILED: OnceLock<Mutex<BTreeMap<&'static str, Ptx>>> = OnceLock::new();
    if !compiler_available() {
        return Err(compiler_missing().into());
    }
    let mut compiled = COMPILED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ptx) = compiled.get(source.name) {
        return Ok(ptx.clone());
    }
    let name = Some(format!("{}.cu", source.name));
    let options = CompileOptions { name, options: vec!["--std=c++17".to_owned()], ..CompileOptions::default() };
    let ptx = compile_ptx_with_opts(source.unit(), options).map_err(|error| {
        let log = match error {
            CompileError::CompileError { log, .. } => log.to_string_lossy().trim().to_owned(),
            other => format!("{other:?}"),
        };
        CudaError::Compile { source_name: source.name, log }
    })?;
    compiled.insert(source.name, ptx.clone());
    Ok(ptx)
}

/// The versions of what decides bits: the driver finishes the kernels that NVRTC compiled, and cuBLAS chooses how it sums.
fn versions(products: &CudaBlas) -> Result<String, CudaError> {
    let (mut of_driver, mut of_products, mut major, mut minor) = (0, 0, 0, 0);
    // SAFETY: writes one number, which is ours.
    unsafe { cuDriverGetVersion(&raw mut of_driver) }.result().map_err(driver("asking for the driver's version"))?;
    // SAFETY: the handle is open; writes one number, which is ours.
    unsafe { cublasGetVersion_v2(*products.handle(), &raw mut of_products) }
        .result()
        .map_err(cublas("asking for the version of cuBLAS"))?;
    // SAFETY: writes two numbers, which are ours.
    unsafe { nvrtcVersion(&raw mut major, &raw mut minor) }.result().map_err(|error| CudaError::Driver {
        what: "asking for the version of NVRTC",
        message: format!("{error:?}"),
    })?;
    Ok(format!("driver {of_driver} cublas {of_products} nvrtc {major}.{minor}"))
}

impl Nvidia {
    pub fn open(index: usize) -> Result<Nvidia, CudaError> {
        available()?;
        let count = CudaContext::device_count().map_err(driver("counting GPUs"))?;
        let count = usize::try_from(count).unwrap_or(0);
        if index >= count {
            return Err(CudaError::NoSuchGpu { index, count });
        }
        let context = CudaContext::new(index).map_err(driver("opening the GPU"))?;
        // SAFETY: all work goes through one stream, in order, so that no events are needed between uses of a buffer.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(driver("making a stream"))?;
        let products = CudaBlas::new(Arc::clone(&stream)).map_err(cublas("opening cuBLAS"))?;
        // SAFETY: the handle is open. The default mode computes f32 products in f32, without TF32.
        unsafe { cublasSetMathMode(*products.handle(), cublasMath_t::CUBLAS_DEFAULT_MATH) }
            .result()
            .map_err(cublas("setting cuBLAS to full f32"))?;
        let name = context.name().map_err(driver("asking for the GPU's name"))?;
        let numerics = format!("{name} {}", versions(&products)?);
        let (products, modules, functions) = (Mutex::new(products), Mutex::default(), Mutex::default());
        Ok(Nvidia { name, numerics, context, stream, products, modules, functions })
    }

    /// The function of a kernel, compiled and loaded when first asked for.
    fn function(&self, kernel: Kernel) -> Result<CudaFunction, CudaError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(&(kernel.source.name, kernel.name)) {
            return Ok(function.clone());
        }
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.get(kernel.source.name) {
            Some(module) => Arc::clone(module),
            None => {
                let load = driver("loading a compiled kernel (is the driver older than the CUDA libraries?)");
                let module = self.context.load_module(compile(kernel.source)?).map_err(load)?;
                modules.insert(kernel.source.name, Arc::clone(&module));
                module
            }
        };
        let function = module.load_function(kernel.name).map_err(driver("finding a kernel"))?;
        functions.insert((kernel.source.name, kernel.name), function.clone());
        Ok(function)
    }

    /// Makes this GPU the one that the calling thread's driver calls mean.
    fn bind(&self) -> Result<(), CudaError> {
        self.context.bind_to_thread().map_err(driver("using the GPU in this thread"))
    }
}

impl Machine for Nvidia {
    fn name(&self) -> &str {
        &self.name
    }

    fn numerics(&self) -> &str {
        &self.numerics
    }

    fn allocate(&self, bytes: usize) -> Result<u64, CudaError> {
        self.stream.alloc_zeros::<u8>(bytes).map(|memory| memory.leak()).map_err(driver("allocating memory"))
    }

    unsafe fn release(&self, address: u64, bytes: usize) {
        // Freeing needs the context; should it be gone, the memory is gone too.
        let _ = self.bind();
        // SAFETY: the caller vouches that this is memory of this stream that nobody uses any more.
        drop(unsafe { self.stream.upgrade_device_ptr::<u8>(address, bytes) });
    }

    unsafe fn upload(&self, from: &[u8], to: u64) -> Result<(), CudaError> {
        self.bind()?;
        // SAFETY: the caller vouches for the room at `to`. Of pageable memory the driver takes a copy before it returns.
        unsafe { result::memcpy_htod_async(to, from, self.stream.cu_stream()) }.map_err(driver("copying to the GPU"))
    }

    unsafe fn download(&self, from: u64, to: &mut [u8]) -> Result<(), CudaError> {
        self.bind()?;
        // SAFETY: the caller vouches for the bytes at `from`; the copy is waited for before `to` is given back.
        unsafe { result::memcpy_dtoh_async(to, from, self.stream.cu_stream()) }
            .map_err(driver("copying from the GPU"))?;
        self.wait()
    }

    unsafe fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), CudaError> {
        self.bind()?;
        // SAFETY: the caller vouches for both places.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream.cu_stream()) }
            .map_err(driver("copying within the GPU"))
    }

    unsafe fn launch(&self, kernel: Kernel, grid: Grid, parameters: *const c_void) -> Result<(), CudaError> {
        let function = self.function(kernel)?;
        self.bind()?;
        let (blocks, threads) = grid.shape();
        // SAFETY: the driver copies the structure during the call; the caller vouches for its contents.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (blocks, 1, 1),
                (threads, 1, 1),
                0,
                self.stream.cu_stream(),
                &mut [parameters.cast_mut()],
            )
        }
        .map_err(driver("launching a kernel"))
    }

    unsafe fn product(&self, product: &RawProduct) -> Result<(), CudaError> {
        self.bind()?;
        let handle = self.products.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = |turn| if turn { cublasOperation_t::CUBLAS_OP_T } else { cublasOperation_t::CUBLAS_OP_N };
        let (turn, turn_left) = (turned(product.transposed), turned(product.left_transposed));
        let (scale, kept) = (product.scale, if product.accumulate { 1.0f32 } else { 0.0 });
        let (left, right, output) =
            (product.left as *const f32, product.right as *const f32, product.output as *mut f32);
        let [left_distance, right_distance, output_distance] = product.distances;
        let RawProduct { rows, columns, depth, left_stride, right_stride, output_stride, batch, .. } = *product;
        let (scale_at, kept_at) = (&raw const scale, &raw const kept);
        // A row-major matrix is the transpose of a column-major one, so the right matrix comes first. A single product
        // goes to the plain call, which may choose among more ways.
        // SAFETY: the caller vouches for the matrices; scale and kept live until the calls return, which read them.
        unsafe {
            if let Some(compute) = rounded(product.factors) {
                cublasGemmStridedBatchedEx(
                    *handle.handle(),
                    turn,
                    turn_left,
                    columns,
                    rows,
                    depth,
                    scale_at.cast(),
                    right.cast(),
                    SINGLE,
                    right_stride,
                    right_distance,
                    left.cast(),
                    SINGLE,
                    left_stride,
                    left_distance,
                    kept_at.cast(),
                    output.cast(),
                    SINGLE,
                    output_stride,
                    output_distance,
                    batch,
                    compute,
                    cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
                )
            } else if batch == 1 {
                cublasSgemm_v2(
                    *handle.handle(),
                    turn,
                    turn_left,
                    columns,
                    rows,
                    depth,
                    scale_at,
                    right,
                    right_stride,
                    left,
                    left_stride,
                    kept_at,
                    output,
                    output_stride,
                )
            } else {
                cublasSgemmStridedBatched(
                    *handle.handle(),
                    turn,
                    turn_left,
                    columns,
                    rows,
                    depth,
                    scale_at,
                    right,
                    right_stride,
                    right_distance,
                    left,
                    left_stride,
                    left_distance,
                    kept_at,
                    output,
                    output_stride,
                    output_distance,
                    batch,
                )
            }
        }
        .result()
        .map_err(cublas("a matrix product"))
    }

    fn wait(&self) -> Result<(), CudaError> {
        self.stream.synchronize().map_err(driver("waiting for the GPU"))
    }
}
