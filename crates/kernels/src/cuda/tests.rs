use super::{CudaError, Gpu, available, compile, source};

/// The run-time compiler needs no GPU, only its library: on `LD_LIBRARY_PATH`, from the Python package
/// `nvidia-cuda-nvrtc-cu12`, where there is no CUDA. `OODLAB_REQUIRE_NVRTC` makes its absence an error.
#[test]
fn every_source_compiles_for_a_gpu() {
    for source in source::all() {
        match compile(source) {
            Ok(ptx) => {
                let text = ptx.to_src();
                for name in source.text.split("__global__ void ").skip(1) {
                    let name = name.split('(').next().unwrap_or_default();
                    assert!(text.contains(&format!(".entry {name}(")), "{}: no entry {name}", source.name);
                }
                println!("{}: {} bytes of PTX", source.name, text.len());
            }
            Err(CudaError::Missing(missing)) => {
                assert!(std::env::var_os("OODLAB_REQUIRE_NVRTC").is_none(), "{missing}");
                println!("skipped: {missing}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Without CUDA the error names the library; with it a GPU of an absurd number is refused.
#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    let error = Gpu::open(9999).expect_err("no machine has so many");
    match available() {
        Err(missing) => assert_eq!(error, CudaError::Missing(missing)),
        Ok(()) => assert!(matches!(error, CudaError::NoSuchGpu { .. } | CudaError::Driver { .. }), "{error}"),
    }
}

/// What launchers and kernels must agree on beside the structures, whose sizes both sides assert.
#[test]
fn blocks_are_as_the_sources_say() {
    assert!(source::COMMON.contains(&format!("#define ROW_BLOCK {}\n", super::Grid::ROW_BLOCK)));
    for source in source::all() {
        let waits = ["__syncthreads", "add_up(", "largest_of("].iter().any(|word| source.text.contains(word));
        assert_eq!(waits, source.text.contains("blockIdx.x"), "{}: rows and single threads are mixed", source.name);
    }
}
