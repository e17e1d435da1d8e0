//! Golden numbers of this crate.

use oodlab_base::Tolerance;
use oodlab_base::golden::{Findings, GoldenError, GoldenFile, GoldenTensor, Outcome};

use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::resize::{self, Filter};

const FILTERS: [Filter; 5] = [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];

/// The golden files that are compiled in: (stem, bytes).
#[must_use]
pub fn embedded() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("resize_pillow_bilinear", include_bytes!("../golden/resize_pillow_bilinear.safetensors")),
        ("resize_filters", include_bytes!("../golden/resize_filters.safetensors")),
        ("resize_plain", include_bytes!("../golden/resize_plain.safetensors")),
    ]
}

/// Checks one golden file; `None` when its kind is not one of this crate's.
///
/// Known: `resize_pillow_bilinear*`, every tensor `NAME_to_SIZE_u8` against the resized `NAME*_u8`, exact;
/// `resize_filters*` and `resize_plain*` (Pillow's filters, torch without antialiasing), every tensor `NAME.FILTER.SIZE` against
/// the resized `NAME`, exact and within a level.
#[must_use]
pub fn check(file: &GoldenFile) -> Option<Result<Outcome, GoldenError>> {
    let kind = file.stem.as_str();
    if kind.starts_with("resize_pillow_bilinear") {
        return Some(check_resize(file));
    }
    match kind {
        _ if kind.starts_with("resize_filters") => Some(check_filters(file, resize::filtered, Tolerance::EXACT)),
        // At ties torch's last bit decides, and with it the order of its sums.
        _ if kind.starts_with("resize_plain") => Some(check_filters(file, resize::plainly, ONE_LEVEL)),
        _ => None,
    }
}

/// Of 8-bit values.
const ONE_LEVEL: Tolerance = Tolerance { name: "one level", absolute: 1.0, relative: 0.0 };

type Resize = fn(&RgbImage, u32, u32, Filter) -> Result<RgbImage, DatasetError>;

fn check_filters(file: &GoldenFile, resize: Resize, tolerance: Tolerance) -> Result<Outcome, GoldenError> {
    let mut findings = Findings::new();
    for (name, want) in file.with_prefix("").filter(|(name, _)| name.contains('.')) {
        let malformed = || GoldenError::Missing { stem: file.stem.clone(), name: format!("source of {name}") };
        let mut parts = name.split('.');
        let source = parts.next().and_then(|source| file.with_prefix("").find(|(other, _)| *other == source));
        let filter = parts.next().and_then(|filter| FILTERS.into_iter().find(|known| known.name() == filter));
        let (Some((_, source)), Some(filter)) = (source, filter) else { return Err(malformed()) };
        let &[3, height, width] = want.shape.as_slice() else { return Err(malformed()) };
        let [image] = &images(source).ok_or_else(malformed)?[..] else { return Err(malformed()) };
        let resized = resize(image, width as u32, height as u32, filter).map_err(|_| malformed())?;
        let got =
            (0..3).flat_map(|channel| resized.pixels.iter().skip(channel).step_by(3)).map(|&value| f64::from(value));
        findings.add(name, tolerance.compare(got, want.values.iter().copied()));
    }
    Ok(findings.outcome())
}

fn check_resize(file: &GoldenFile) -> Result<Outcome, GoldenError> {
    let mut findings = Findings::new();
    let all: Vec<_> = file.with_prefix("").collect();
    for &(name, want) in all.iter().filter(|(name, _)| name.contains("_to_")) {
        let malformed = || GoldenError::Missing { stem: file.stem.clone(), name: format!("source of {name}") };
        let stem = name.split("_to_").next().unwrap_or_default();
        let mut sources = all.iter().filter(|(other, _)| other.starts_with(stem) && !other.contains("_to_"));
        let (_, source) = sources.next().ok_or_else(malformed)?;
        let &[.., 3, height, width] = want.shape.as_slice() else { return Err(malformed()) };
        let mut got = Vec::with_capacity(want.values.len());
        for image in images(source).ok_or_else(malformed)? {
            let resized = resize::bilinear(&image, width as u32, height as u32).map_err(|_| malformed())?;
            for channel in 0..3 {
                got.extend(resized.pixels.iter().skip(channel).step_by(3).map(|&value| f64::from(value)));
            }
        }
        findings.add(name, Tolerance::EXACT.compare(got, want.values.iter().copied()));
    }
    Ok(findings.outcome())
}

/// `[.., 3, h, w]` as images.
fn images(tensor: &GoldenTensor) -> Option<Vec<RgbImage>> {
    let &[.., 3, height, width] = tensor.shape.as_slice() else { return None };
    let bytes: Vec<u8> = tensor.values.iter().map(|&value| value as u8).collect();
    let size = 3 * height * width;
    if size == 0 {
        return None;
    }
    bytes.chunks_exact(size).map(|planes| RgbImage::from_planes(width as u32, height as u32, planes).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_passes() {
        for ((stem, bytes), least) in embedded().into_iter().zip([2, 90, 36]) {
            let file = GoldenFile::parse(stem, bytes).expect("a safetensors file");
            let compared = file.with_prefix("").filter(|(name, _)| name.contains("_to_") || name.contains('.')).count();
            assert!(compared >= least, "{stem}: {compared} tensors");
            match check(&file) {
                Some(Ok(Outcome::Pass(comparison))) => assert!(comparison.count > 0, "{stem}"),
                other => panic!("{stem}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_kinds_are_not_ours() {
        let mut file = GoldenFile::parse("x", embedded()[0].1).expect("a safetensors file");
        file.stem = "schedule".into();
        assert!(check(&file).is_none());
    }
}
