//! Latents that another program made, read from `.npy`, safetensors or `.pt`, and reduced as the released code does.
//!
//! | shape | taken as | becomes |
//! |---|---|---|
//! | `[n, w]` | vectors | as they are |
//! | `[n, h, w]` | latents averaged over their channels | the mean over the height: n vectors of w |
//! | `[n, 4, h, w]` | latents of Stable Diffusion | the mean over channels and height: n vectors of w |
//! | `[a, b, h, w]` | the released files, a = 100 runs of b = 3 | a · b latents `[h, w]`, then as above |
//!
//! A second tensor `classes` (safetensors, `.pt`) says for which class each was made, `0 ..`: what `information.variant: corrected` pairs by.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use oodlab_encoders::weights::Weights;
use oodlab_features::format::npy::NpyFile;
use oodlab_features::format::{Array, Arrays};

use crate::{OutlierError, Outliers};

/// Channels of Stable Diffusion's latents.
const CHANNELS: usize = 4;
/// Files larger than this are refused: the released ones have 5 MB.
const LARGEST_BYTES: u64 = 4 << 30;
/// Whole numbers below it are exact in single precision.
const LARGEST_CLASS: f32 = 16_777_216.0;

/// A shape and its values.
type Shaped = (Vec<usize>, Vec<f32>);

/// Reads outliers from a file, by its ending `.npy`, or else by what is in it (safetensors, `torch.save`). A file of several tensors must have
/// one called `latents`; one called `classes` holds the class of each row.
///
/// # Errors
/// When the file cannot be read, is too large, has another shape than one of the table's, or a value that is not finite, or classes
/// are not one whole number a row.
pub fn read(path: &Path) -> Result<Outliers, OutlierError> {
    let ((shape, values), classes) = if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        (npy(path)?, None)
    } else {
        tensors(path)?
    };
    reduce(&shape, values, classes).map_err(|problem| refuse(path, problem))
}

fn refuse(path: &Path, problem: impl std::fmt::Display) -> OutlierError {
    OutlierError::File { file: path.display().to_string(), problem: problem.to_string() }
}

fn npy(path: &Path) -> Result<Shaped, OutlierError> {
    let file = File::open(path).map_err(|error| refuse(path, error))?;
    let length = file.metadata().map_err(|error| refuse(path, error))?.len();
    if length > LARGEST_BYTES {
        return Err(refuse(path, format!("it has {length} bytes, at most {LARGEST_BYTES} are read")));
    }
    let mut file = NpyFile::open(BufReader::new(file)).map_err(|error| refuse(path, error))?;
    let Array { shape, values } = file.read("features").map_err(|error| refuse(path, error))?;
    match values {
        oodlab_features::format::Values::Floats(values) => Ok((shape, values)),
        _ => Err(refuse(path, "it holds no floating-point numbers")),
    }
}

/// Latents, and the class of each where the file has them.
fn tensors(path: &Path) -> Result<(Shaped, Option<Vec<u32>>), OutlierError> {
    let weights = Weights::read(path).map_err(|error| refuse(path, error))?;
    let names: Vec<&str> = weights.names().collect();
    let name = match names.as_slice() {
        [only] => only,
        _ => "latents",
    };
    let Some(latents) = weights.get(name) else {
        return Err(refuse(path, format!("it holds the tensors {names:?}, expected one, or one called \"latents\"")));
    };
    let classes = match weights.get("classes").filter(|_| name == "latents") {
        Some(classes) => Some(whole(&classes.values).map_err(|problem| refuse(path, problem))?),
        None => None,
    };
    Ok(((latents.shape.clone(), latents.values.clone()), classes))
}

fn whole(values: &[f32]) -> Result<Vec<u32>, String> {
    let class = |(row, &value): (usize, &f32)| {
        let is_class = (0.0..LARGEST_CLASS).contains(&value) && value.fract() == 0.0;
        if is_class { Ok(value as u32) } else { Err(format!("row {row} has class {value}, expected 0, 1, ..")) }
    };
    values.iter().enumerate().map(class).collect()
}

/// The reduction of the table above.
fn reduce(shape: &[usize], values: Vec<f32>, classes: Option<Vec<u32>>) -> Result<Outliers, String> {
    let (count, height, width) = match *shape {
        [count, width] => (count, 1, width),
        [count, height, width] => (count, height, width),
        [count, CHANNELS, height, width] => (count, CHANNELS.saturating_mul(height), width),
        [runs, batch, height, width] => (runs.saturating_mul(batch), height, width),
        _ => {
            return Err(format!(
                "it has shape {shape:?}, expected [n, w], [n, h, w], [n, 4, h, w] or [runs, batch, h, w]"
            ));
        }
    };
    let each = height.saturating_mul(width);
    if each == 0 || count == 0 || count.checked_mul(each) != Some(values.len()) {
        return Err(format!("it has shape {shape:?} and {} values", values.len()));
    }
    let mut means = vec![0.0f64; count * width];
    for (latent, mean) in values.chunks_exact(each).zip(means.chunks_exact_mut(width)) {
        for row in latent.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
    }
    let means = means.into_iter().map(|sum| (sum / height as f64) as f32).collect();
    Outliers::new(width, means, classes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use oodlab_diffusion::tensor_file::{self, Values};

    use super::*;

    #[test]
    fn latents_are_reduced_as_published() {
        let count_up = |n: usize| (0..n).map(|i| i as f32).collect::<Vec<_>>();
        let values = |shape: &[usize]| reduce(shape, count_up(shape.iter().product()), None).expect("a known shape");
        assert_eq!(values(&[2, 3]).values, count_up(6));
        // numpy: arange(12).reshape(2, 2, 3).mean(1)
        assert_eq!(values(&[2, 2, 3]).values, [1.5, 2.5, 3.5, 7.5, 8.5, 9.5]);
        // arange(16).reshape(1, 4, 2, 2).mean(1).mean(1)
        assert_eq!(values(&[1, 4, 2, 2]).values, [7.0, 8.0]);
        // arange(12).reshape(2, 3, 1, 2).reshape(6, 1, 2).mean(1)
        assert_eq!(values(&[2, 3, 1, 2]).values, count_up(12));
        assert_eq!(values(&[2, 3, 1, 2]).width, 2);
        assert!(reduce(&[5], count_up(5), None).expect_err("no rows").contains("[5]"));
        assert!(reduce(&[0, 4], Vec::new(), None).is_err());
    }

    #[test]
    fn latents_may_have_classes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("latents.safetensors");
        let write = |classes: &[f32]| {
            let tensors = [
                ("latents".to_owned(), vec![3, 2], Values::F32(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
                ("classes".to_owned(), vec![classes.len()], Values::F32(classes)),
            ];
            std::fs::write(&path, tensor_file::write(&(), &tensors).expect("bytes")).expect("written");
            read(&path)
        };
        assert_eq!(write(&[0.0, 2.0, 1.0]).expect("classes").classes, Some(vec![0, 2, 1]));
        for (classes, told) in
            [(&[0.0, 1.5, 2.0][..], "row 1 has class 1.5"), (&[0.0, -1.0, 0.0], "-1"), (&[0.0], "classes")]
        {
            let found = write(classes).expect_err("no classes of these rows").to_string();
            assert!(found.contains(told) && found.contains("latents.safetensors"), "{found}");
        }
    }

    #[test]
    fn files_of_every_kind_are_read_and_damaged_ones_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let npy = folder.path().join("latents.npy");
        let mut bytes = oodlab_formats::npy::header("<f4", &[2, 2]);
        bytes.extend([1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()));
        std::fs::write(&npy, &bytes).expect("written");
        assert_eq!(read(&npy).expect("an array").values, [1.0, 2.0, 3.0, 4.0]);
        std::fs::write(&npy, &bytes[..bytes.len() - 3]).expect("written");
        let told = read(&npy).expect_err("cut short").to_string();
        assert!(told.contains("latents.npy") && told.contains("16 bytes"), "{told}");
        bytes.truncate(bytes.len() - 4);
        bytes.extend(f32::NAN.to_le_bytes());
        std::fs::write(&npy, &bytes).expect("written");
        assert!(read(&npy).expect_err("a NaN").to_string().contains("row 1"));
        // torch.save(torch.arange(8.).reshape(2, 2, 2), ..)
        let torch = include_bytes!("../../golden/tensor.pt");
        let path = folder.path().join("latents.pt");
        std::fs::write(&path, torch).expect("written");
        assert_eq!(read(&path).expect("a tensor").values, [1.0, 2.0, 5.0, 6.0]);
        assert!(read(&folder.path().join("absent.pt")).expect_err("absent").to_string().contains("absent.pt"));
    }
}
