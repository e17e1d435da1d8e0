//! Writes the embedded sample from the official files of CIFAR-10 (binary version) and FashionMNIST.
//!
//! `cargo run --release -p oodlab-datasets --example make_sample -- CIFAR10_FOLDER FASHION_MNIST_FOLDER OUT`

use std::path::{Path, PathBuf};

use oodlab_datasets::decode::{gzip, idx};

const RECORD: usize = 1 + 3 * 32 * 32;
const TRAIN: usize = 1500;
const TEST: usize = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [cifar, fashion, out] = folders.as_slice() else {
        return Err("usage: make_sample CIFAR10_FOLDER FASHION_MNIST_FOLDER OUT".into());
    };
    let records = |name: &str, count: usize| -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let bytes = std::fs::read(cifar.join(name))?;
        Ok(bytes.get(..count * RECORD).ok_or("too few records")?.to_vec())
    };
    write(out, "cifar10_train.bin.gz", &records("data_batch_1.bin", TRAIN)?)?;
    write(out, "cifar10_test.bin.gz", &records("test_batch.bin", TEST)?)?;
    let images = idx::Idx::parse(std::fs::read(fashion.join("t10k-images-idx3-ubyte.gz"))?, 3)?;
    let labels = idx::Idx::parse(std::fs::read(fashion.join("t10k-labels-idx1-ubyte.gz"))?, 1)?;
    let first = |idx: &idx::Idx| -> Vec<u8> { (0..TEST).filter_map(|i| idx.entry(i)).flatten().copied().collect() };
    write(out, "fashion_mnist_test_images.idx.gz", &idx::write(&[TEST as u32, 28, 28], &first(&images)))?;
    write(out, "fashion_mnist_test_labels.idx.gz", &idx::write(&[TEST as u32], &first(&labels)))?;
    Ok(())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(folder.join(name), gzip::pack(bytes)?)
}
