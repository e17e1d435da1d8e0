//! Files of other programs that hold the same images as a known file.

use std::io::BufWriter;
use std::path::Path;

use oodlab_base::{Cancel, Progress};

use crate::decode::{lmdb as database, pickle};
use crate::error::DatasetError;
use crate::manifest::Manifest;
use crate::source::cifar_layout;

/// A pickle that is larger is no batch of CIFAR (the largest has 155 MB).
const LARGEST_PICKLE: u64 = 1 << 30;

/// Turns a batch of CIFAR's "python version" into that of the "binary version".
pub(super) fn cifar_pickle(manifest: &Manifest, source: &Path, target: &Path) -> Result<(), DatasetError> {
    let fail = |what: String| DatasetError::decode(source.display().to_string(), what);
    let layout = cifar_layout(manifest).ok_or_else(|| fail("the set is not of format cifar-binary".into()))?;
    let size = fs_err::metadata(source)?.len();
    if size > LARGEST_PICKLE {
        return Err(fail(format!("{size} bytes, at most {LARGEST_PICKLE} expected of a batch of CIFAR")));
    }
    let binary = pickle::to_cifar_binary(&fs_err::read(source)?, layout).map_err(fail)?;
    Ok(fs_err::write(target, binary)?)
}

/// Turns an LMDB database into a tar file.
pub(super) fn lmdb(folder: &Path, target: &Path, progress: &dyn Progress, cancel: &Cancel) -> Result<(), DatasetError> {
    let mut out = BufWriter::with_capacity(1 << 20, fs_err::File::create(target)?);
    database::to_tar(folder, &mut out, progress, cancel)?;
    Ok(())
}
