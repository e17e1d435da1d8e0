//! The sample that is compiled in; `datasets/sample/README.md` states its origin and licence.

use crate::error::DatasetError;

const FILES: &[(&str, &[u8])] = &[
    ("sample/cifar10_train.bin.gz", include_bytes!("../../../datasets/sample/cifar10_train.bin.gz")),
    ("sample/cifar10_test.bin.gz", include_bytes!("../../../datasets/sample/cifar10_test.bin.gz")),
    (
        "sample/fashion_mnist_test_images.idx.gz",
        include_bytes!("../../../datasets/sample/fashion_mnist_test_images.idx.gz"),
    ),
    (
        "sample/fashion_mnist_test_labels.idx.gz",
        include_bytes!("../../../datasets/sample/fashion_mnist_test_labels.idx.gz"),
    ),
];

/// The bytes of an embedded file.
///
/// # Errors
/// When no file of that path is embedded.
pub(crate) fn file(path: &str) -> Result<&'static [u8], DatasetError> {
    let known = FILES.iter().find(|(name, _)| *name == path);
    known.map(|&(_, bytes)| bytes).ok_or_else(|| DatasetError::decode(path, "no such file is embedded in this program"))
}
