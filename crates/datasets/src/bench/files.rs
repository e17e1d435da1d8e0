//! The files that are read: the pictures of the embedded sample, in every format that this program can write.

use std::io::Write;
use std::path::Path;

use crate::decode::{gzip, idx};
use crate::embedded;
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::image::RgbImage;
use crate::resize;

/// Pictures in a file of many.
const MANY: usize = 2000;
/// Pictures of the size of photographs.
const LARGE: usize = 64;
/// Their side.
const LARGE_SIDE: u32 = 256;
/// Side of CIFAR's pictures.
const SIDE: u32 = 32;

/// A set that was written.
pub(super) struct Sample {
    pub name: &'static str,
    format: String,
    pub size: (u32, u32),
    /// Its only file where the format wants it named.
    file: Option<(&'static str, String, u64)>,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Sample {
    /// The manifest under which it is imported.
    pub fn manifest(&self) -> String {
        let Sample { name, format, size, .. } = self;
        let (files, split) = match &self.file {
            Some((path, sha256, bytes)) => (
                format!("files:\n  - {{path: {path}, split: all, size: {bytes}, sha256: {sha256}}}\n"),
                "{}".to_owned(),
            ),
            None => (String::new(), format!("{{folders: [{name}]}}")),
        };
        format!(
            "name: {name}\ntitle: {name}\nlicence: none\ncitation: none\nformat: {format}\nimage_size: [{}, {}]\n{files}splits:\n  all: \
             {split}\n",
            size.0, size.1
        )
    }
}

/// Writes all samples below a folder, each into a folder of its name.
pub(super) fn write_all(folder: &Path) -> Result<Vec<Sample>, DatasetError> {
    let pictures = pictures()?;
    let large: Vec<RgbImage> = pictures
        .iter()
        .take(LARGE)
        .map(|picture| resize::bilinear(picture, LARGE_SIDE, LARGE_SIDE))
        .collect::<Result<_, _>>()?;
    let many: Vec<&RgbImage> = pictures.iter().cycle().take(MANY).collect();
    let small = (SIDE, SIDE);
    let one = |name, format: &str, path, size, bytes: Vec<u8>| -> Result<Sample, DatasetError> {
        put(&folder.join(name).join(path), &bytes)?;
        let (sha256, length) = (Digest::sha256(&bytes).to_string(), bytes.len() as u64);
        Ok(Sample { name, format: format.to_owned(), size, file: Some((path, sha256, length)), bytes: length })
    };
    let by_column: Vec<u8> = many.iter().flat_map(|picture| planes(picture, true)).collect();
    let grey: Vec<u8> = many.iter().flat_map(|picture| picture.pixels.iter().skip(1).step_by(3).copied()).collect();
    let records = many.iter().flat_map(|picture| std::iter::once(0).chain(planes(picture, false))).collect();
    let shape = [MANY as u32, SIDE, SIDE];
    let mut npy = oodlab_formats::npy::header("|u1", &[MANY, SIDE as usize, SIDE as usize, 3]);
    npy.extend(many.iter().flat_map(|picture| &picture.pixels));
    let mat = "{kind: mat, images: X}";
    Ok(vec![
        one("cifar", "{kind: cifar-binary, labels: [class], label: class}", "batch.bin", small, records)?,
        one("idx", "{kind: idx}", "images-idx3-ubyte", small, idx::write(&shape, &grey))?,
        one("idx-gz", "{kind: idx}", "images-idx3-ubyte.gz", small, gzip::pack(&idx::write(&shape, &grey))?)?,
        one("mat", mat, "images.mat", small, mat_file(&by_column, false)?)?,
        one("mat-packed", mat, "images.mat", small, mat_file(&by_column, true)?)?,
        one("npy", "{kind: numpy}", "images.npy", small, npy)?,
        one("planes", "{kind: planes}", "images.bin", small, by_column)?,
        pictures_in_a_folder(folder, "png-folder", "png", &pictures)?,
        pictures_in_a_folder(folder, "png-folder-256", "png", &large)?,
        pictures_in_a_folder(folder, "jpeg-folder", "jpg", &large)?,
        one("jpeg-tar", "{kind: tar-images}", "images.tar", (LARGE_SIDE, LARGE_SIDE), tar_file(&large)?)?,
    ])
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    Ok(fs_err::write(path, bytes)?)
}

/// The pictures of the embedded sample of CIFAR-10.
fn pictures() -> Result<Vec<RgbImage>, DatasetError> {
    let bytes = gzip::unpack(embedded::file("sample/cifar10_test.bin.gz")?, u64::MAX);
    let bytes = bytes.map_err(|what| DatasetError::decode("embedded sample", what))?;
    let record = 1 + 3 * (SIDE * SIDE) as usize;
    bytes.chunks_exact(record).map(|record| RgbImage::from_planes(SIDE, SIDE, &record[1..])).collect()
}

/// Three planes, each row by row or column by column.
fn planes(picture: &RgbImage, by_column: bool) -> Vec<u8> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let value = |channel: usize, at: usize| {
        let (x, y) = if by_column { (at / height, at % height) } else { (at % width, at / width) };
        picture.pixels[3 * (y * width + x) + channel]
    };
    (0..3).flat_map(|channel| (0..width * height).map(move |at| (channel, at))).map(|(c, at)| value(c, at)).collect()
}

/// A MAT-file of one array `X [32, 32, 3, n]`.
fn mat_file(by_column: &[u8], packed: bool) -> Result<Vec<u8>, DatasetError> {
    let element = |kind: u32, data: &[u8]| {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let flags = [9u32.to_le_bytes(), [0; 4]].concat();
    let shape: Vec<u8> = [SIDE, SIDE, 3, MANY as u32].into_iter().flat_map(u32::to_le_bytes).collect();
    let parts = [element(6, &flags), element(5, &shape), element(1, b"X"), element(2, by_column)].concat();
    let matrix = element(14, &parts);
    let mut file = b"MATLAB 5.0 MAT-file, written by oodlab".to_vec();
    file.resize(124, b' ');
    file.extend(b"\x00\x01IM");
    if packed {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(&matrix)?;
        let packed = writer.finish()?;
        file.extend([15u32.to_le_bytes(), (packed.len() as u32).to_le_bytes()].concat());
        file.extend(packed);
    } else {
        file.extend(matrix);
    }
    Ok(file)
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode(&picture.pixels, picture.width, picture.height, image::ExtendedColorType::Rgb8)
        .map_err(|error| DatasetError::decode("JPEG encoder", error.to_string()))?;
    Ok(bytes)
}

fn pictures_in_a_folder(
    folder: &Path,
    name: &'static str,
    ending: &str,
    pictures: &[RgbImage],
) -> Result<Sample, DatasetError> {
    let mut bytes = 0;
    for (index, picture) in pictures.iter().enumerate() {
        let file = if ending == "jpg" { jpeg(picture)? } else { picture.to_png()? };
        bytes += file.len() as u64;
        put(&folder.join(name).join(format!("{name}/{index:05}.{ending}")), &file)?;
    }
    let size = pictures.first().map_or((0, 0), |picture| (picture.width, picture.height));
    Ok(Sample { name, format: "{kind: image-folder, classes: none}".to_owned(), size, file: None, bytes })
}

fn tar_file(pictures: &[RgbImage]) -> Result<Vec<u8>, DatasetError> {
    let mut tar = tar::Builder::new(Vec::new());
    for (index, picture) in pictures.iter().enumerate() {
        let file = jpeg(picture)?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, format!("{index:05}.jpg"), file.as_slice())?;
    }
    Ok(tar.into_inner()?)
}
