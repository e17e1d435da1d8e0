//! A machine without a GPU: the kernels' own text, compiled as C++ by the system's compiler, over memory with guards.
//!
//! Included by the tests of several crates. What it cannot show is whether the GPU's compiler, driver and products do as
//! they promise.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use oodlab_kernels::cuda::{CudaError, Factors, Gpu, Grid, Kernel, Machine, RawProduct, source};

const HEADER: &str = include_str!("emulation.hpp");
/// Bytes before and behind each allocation, and what they hold: as f32 a NaN, so that no result may depend on them.
const GUARD: usize = 4096;
const FILL: u8 = 0xff;

/// Whether threads run forward or backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Forward,
    Backward,
}

/// The grid's place is global in the library, which a process loads once: kernels run one at a time.
static RUNNING: Mutex<()> = Mutex::new(());

type Entry = unsafe extern "C" fn(*const c_void, u32, u32, i32, i32) -> i32;

#[derive(Debug)]
pub struct Emulation {
    library: libloading::Library,
    order: Order,
    /// Memory by address.
    memory: Mutex<BTreeMap<u64, Vec<u128>>>,
}

/// GPUs that are none, one for each order of threads; none where there is no C++ compiler, which `OODLAB_REQUIRE_EMULATION`
/// makes an error.
pub fn gpus(folder: &Path) -> Vec<(Order, Gpu)> {
    static COMPILED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(library) = COMPILED.get_or_init(|| compile(folder)) else {
        assert!(std::env::var_os("OODLAB_REQUIRE_EMULATION").is_none(), "no C++ compiler: set CXX to one");
        println!("skipped: no C++ compiler to run the GPU's kernels with; set CXX to one");
        return Vec::new();
    };
    let gpu = |order| {
        // SAFETY: the library was made from the kernels' text just now; loading it runs no code of its own.
        let library = unsafe { libloading::Library::new(library) }.expect("the library was made by the compiler");
        Gpu::on(Arc::new(Emulation { library, order, memory: Mutex::default() }))
    };
    [Order::Forward, Order::Backward].into_iter().map(|order| (order, gpu(order))).collect()
}

/// Compiles all kernels into one library; none without a compiler.
fn compile(folder: &Path) -> Option<PathBuf> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    Command::new(&compiler).arg("--version").output().ok().filter(|output| output.status.success())?;
    let mut text = HEADER.to_owned();
    for source in source::all() {
        text += &format!("\nnamespace {} {{\n{}\n", source.name, source.unit());
        for entry in entries(source.text) {
            text += &format!("ENTRY({}, {})\n", entry.0, entry.1);
        }
        text += "}\n";
    }
    std::fs::create_dir_all(folder).expect("cargo's folder for temporary files can be written");
    let (program, library) = (folder.join("kernels.cpp"), folder.join("kernels.so"));
    std::fs::write(&program, text).expect("as above");
    let options = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-Wall", "-Werror"];
    let unused = ["-Wno-unused-function", "-Wno-unused-variable"];
    let output = Command::new(compiler).args(options).args(unused).arg(program).arg("-o").arg(&library).output();
    let output = output.expect("the compiler ran before");
    assert!(output.status.success(), "kernels as C++:\n{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

/// (kernel, type of its parameters) of each `__global__` function.
fn entries(text: &str) -> Vec<(&str, &str)> {
    text.split("__global__ void ")
        .skip(1)
        .map(|rest| {
            let (name, rest) = rest.split_once('(').expect("a function has parameters");
            let (parameters, _) = rest.split_once(')').expect("they end");
            (name, parameters.split_whitespace().next().expect("the parameter has a type"))
        })
        .collect()
}

impl Emulation {
    fn memory(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Vec<u128>>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A dense copy of a matrix `[rows, columns]` whose elements lie (down, across) apart, rounded as the factors are.
///
/// # Safety
/// The matrix lies in memory.
unsafe fn matrix(from: *const f32, rows: (i32, i32), columns: (i32, i32), factors: Factors) -> Vec<f32> {
    let dropped = match factors {
        Factors::Full => 0,
        Factors::Tf32 => 13,
        Factors::Bf16 => 16,
    };
    let half = (1u32 << dropped) >> 1;
    let place = |row: i32, column: i32| row as isize * rows.1 as isize + column as isize * columns.1 as isize;
    (0..rows.0)
        .flat_map(|row| (0..columns.0).map(move |column| (row, column)))
        .map(|(row, column)| {
            // SAFETY: the caller's contract.
            let value = unsafe { *from.offset(place(row, column)) };
            f32::from_bits(value.to_bits().wrapping_add(half) & (u32::MAX << dropped))
        })
        .collect()
}

impl Machine for Emulation {
    fn name(&self) -> &str {
        "emulation"
    }

    fn numerics(&self) -> &str {
        "emulation driver 0 cublas 0 nvrtc 0.0"
    }

    fn allocate(&self, bytes: usize) -> Result<u64, CudaError> {
        let mut memory = vec![u128::MAX; (2 * GUARD + bytes).div_ceil(16)];
        let address = memory.as_mut_ptr() as u64 + GUARD as u64;
        // SAFETY: the vector has `bytes` bytes from there on.
        unsafe { std::ptr::write_bytes(address as *mut u8, 0, bytes) };
        self.memory().insert(address, memory);
        Ok(address)
    }

    unsafe fn release(&self, address: u64, bytes: usize) {
        let memory = self.memory().remove(&address).expect("memory is released once");
        // SAFETY: a u128 has no padding.
        let all = unsafe { std::slice::from_raw_parts(memory.as_ptr().cast::<u8>(), 16 * memory.len()) };
        let guards = all[..GUARD].iter().chain(&all[GUARD + bytes..]);
        if !std::thread::panicking() {
            assert!(guards.into_iter().all(|&byte| byte == FILL), "a kernel wrote outside its buffer of {bytes} bytes");
        }
    }

    unsafe fn upload(&self, from: &[u8], to: u64) -> Result<(), CudaError> {
        // SAFETY: the caller's contract.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut u8, from.len()) };
        Ok(())
    }

    unsafe fn download(&self, from: u64, to: &mut [u8]) -> Result<(), CudaError> {
        // SAFETY: the caller's contract.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    unsafe fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), CudaError> {
        // SAFETY: the caller's contract.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes) };
        Ok(())
    }

    unsafe fn launch(&self, kernel: Kernel, grid: Grid, parameters: *const c_void) -> Result<(), CudaError> {
        let (blocks, threads) = grid.shape();
        let waits = i32::from(matches!(grid, Grid::Rows(_)));
        let backward = i32::from(self.order == Order::Backward);
        let name = format!("emulate_{}", kernel.name);
        let one_at_a_time = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the text above defines each entry with this type; the caller vouches for the parameters.
        let failed = unsafe {
            let entry = self.library.get::<Entry>(name.as_bytes()).expect("every kernel has an entry");
            entry(parameters, blocks, threads, waits, backward)
        };
        drop(one_at_a_time);
        assert_eq!(failed, 0, "{}: not all threads of a block came to the same barrier", kernel.name);
        Ok(())
    }

    unsafe fn product(&self, product: &RawProduct) -> Result<(), CudaError> {
        let RawProduct { rows, columns, depth, scale, .. } = *product;
        let (across, down) = if product.transposed { (product.right_stride, 1) } else { (1, product.right_stride) };
        let (left_across, left_down) =
            if product.left_transposed { (product.left_stride, 1) } else { (1, product.left_stride) };
        for item in 0..i64::from(product.batch) {
            let at = |address: u64, distance: i64| (address as i64 + 4 * item * distance) as *mut f32;
            // SAFETY: the caller vouches for the matrices.
            let (left, right) = unsafe {
                let left = at(product.left, product.distances[0]);
                let right = at(product.right, product.distances[1]);
                (
                    matrix(left, (rows, left_down), (depth, left_across), product.factors),
                    matrix(right, (depth, down), (columns, across), product.factors),
                )
            };
            // SAFETY: as above; the copies are dense.
            unsafe {
                gemm::gemm(
                    rows as usize,
                    columns as usize,
                    depth as usize,
                    at(product.output, product.distances[2]),
                    1,
                    product.output_stride as isize,
                    product.accumulate,
                    left.as_ptr(),
                    1,
                    depth as isize,
                    right.as_ptr(),
                    1,
                    columns as isize,
                    if product.accumulate { 1.0 } else { 0.0 },
                    scale,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), CudaError> {
        Ok(())
    }
}
