//! Tar files of pictures.

use oodlab_base::{Key, KeyBuilder};
use rayon::prelude::*;

use super::classes::Classes;
use super::{Part, Source, check_size};
use crate::blob::Blob;
use crate::decode::picture;
use crate::decode::tar::{self, Contents, Entry};
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::image::RgbImage;
use crate::manifest::{Manifest, Role};
use crate::reading::Reading;

/// Decodes every picture of an archive: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, label: Option<&str>, blob: &Blob) -> Result<(), String> {
    let blob = tar::unpacked(blob)?;
    let contents = tar::contents(&blob, label)?;
    labels(manifest, &contents)?;
    let problem = contents.pictures.par_iter().find_map_first(|entry| {
        let bytes = blob.slice(entry.offset, entry.size).map_err(|error| error.to_string());
        let image = bytes.and_then(|bytes| picture::decode(&bytes, Reading::default()));
        image.and_then(|image| check_size(manifest, &image)).err().map(|what| format!("{}: {what}", entry.name))
    });
    problem.map_or(Ok(()), Err)
}

pub(super) struct TarImages {
    archives: Vec<Archive>,
    labels: Vec<Option<u32>>,
    len: usize,
}

struct Archive {
    part: Part,
    digest: Digest,
    blob: Blob,
    pictures: Vec<Entry>,
    /// Position of its first image in the set.
    first: usize,
}

impl TarImages {
    pub fn open(
        manifest: &Manifest,
        parts: &[Part],
        label: Option<&str>,
        limit: usize,
    ) -> Result<TarImages, DatasetError> {
        let mut set = TarImages { archives: Vec::new(), labels: Vec::new(), len: 0 };
        for part in parts.iter().filter(|part| part.role == Role::Images) {
            if set.len >= limit {
                break;
            }
            let fail = |what| part.error(what);
            let blob = tar::unpacked(&part.blob()?).map_err(fail)?;
            let contents = tar::contents(&blob, label).map_err(fail)?;
            set.labels.extend(labels(manifest, &contents).map_err(fail)?);
            let (digest, pictures) = (part.digest()?, contents.pictures);
            let first = set.len;
            set.len += pictures.len();
            set.archives.push(Archive { part: part.clone(), digest, blob, pictures, first });
        }
        Ok(set)
    }

    fn at(&self, index: usize) -> (&Archive, &Entry) {
        // An archive without pictures begins where the next one does.
        let archive = self.archives.partition_point(|archive| archive.first <= index).saturating_sub(1);
        let archive = &self.archives[archive];
        (archive, &archive.pictures[index - archive.first])
    }
}

/// The label of every picture: the name of a class, or a number, a negative one meaning none.
fn labels(manifest: &Manifest, contents: &Contents) -> Result<Vec<Option<u32>>, String> {
    if contents.labels.is_empty() {
        return Ok(vec![None; contents.pictures.len()]);
    }
    let classes = Classes::new(manifest);
    let label =
        |(entry, text): (&Entry, &str)| classes.of_text(text).map_err(|what| format!("entry {:?}: {what}", entry.name));
    let texts = contents.labels.iter().map(|text| &**text);
    contents.pictures.iter().zip(texts).map(label).collect()
}

impl Source for TarImages {
    fn len(&self) -> usize {
        self.len
    }

    fn id(&self, index: usize) -> String {
        let (archive, entry) = self.at(index);
        format!("{}#{}", archive.part.path, entry.name)
    }

    fn fetch(&self, index: usize) -> Result<Option<Vec<u8>>, DatasetError> {
        let (archive, entry) = self.at(index);
        match archive.blob {
            Blob::Memory(_) => Ok(None),
            Blob::File { .. } => Ok(Some(archive.blob.slice(entry.offset, entry.size)?.into_owned())),
        }
    }

    fn decode(&self, index: usize, fetched: Option<Vec<u8>>, reading: Reading) -> Result<RgbImage, DatasetError> {
        let (archive, entry) = self.at(index);
        let bytes = match fetched {
            Some(bytes) => bytes.into(),
            None => archive.blob.slice(entry.offset, entry.size)?,
        };
        picture::decode(&bytes, reading).map_err(|what| archive.part.error(format!("{}: {what}", entry.name)))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied().flatten()
    }

    fn content(&self, index: usize) -> Key {
        let (archive, entry) = self.at(index);
        KeyBuilder::new("tar image", 1).text("file", &archive.digest.to_string()).text("name", &entry.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;

    fn part(file: &str) -> Part {
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tar"));
        let blake3 = Digest::blake3(&fs_err::read(folder.join(file)).expect("a fixture"));
        Part { path: file.into(), role: Role::Images, place: Place::Disk { folder: folder.into(), file: None, blake3 } }
    }

    fn manifest(files: &[&str], more: &str) -> Manifest {
        let files: Vec<String> = files.iter().map(|file| format!("{{path: {file}, split: test}}")).collect();
        let text = format!(
            "{{name: x, title: x, licence: x, citation: x, format: {{kind: tar-images, label: cls}}, files: [{}], \
             splits: {{test: {{}}}}, {more}}}",
            files.join(", ")
        );
        Manifest::parse("x.yaml", &text).expect("a manifest")
    }

    fn red(set: &TarImages, index: usize) -> u8 {
        let fetched = set.fetch(index).expect("readable");
        set.decode(index, fetched, Reading::default()).expect("a picture").pixels[0]
    }

    #[test]
    fn shards_of_every_form_are_read_in_their_order() {
        let files = ["ustar.tar", "pax.tar", "gnu.tar", "packed.tar.gz"];
        let (manifest, parts) = (manifest(&files, "classes: 3, image_size: [4, 3]"), files.map(part));
        let set = TarImages::open(&manifest, &parts, Some("cls"), usize::MAX).expect("valid");
        assert_eq!(set.len(), 20);
        for index in 0..20 {
            let place = index % 5;
            assert_eq!((red(&set, index), set.label(index)), (20 * place as u8, Some(place as u32 % 3)), "{index}");
        }
        assert_eq!(set.id(0), "ustar.tar#shard/000000.png");
        assert!(set.id(7).len() > 200 && set.id(12).len() > 200, "{}", set.id(7));
        assert_ne!(set.content(0), set.content(15), "the same bytes in another file");
        for part in &parts {
            inspect(&manifest, Some("cls"), &part.blob().expect("a fixture")).expect("valid");
        }
        assert_eq!(TarImages::open(&manifest, &parts, None, 6).expect("valid").archives.len(), 2);
    }

    #[test]
    fn labels_that_do_not_fit_are_named() {
        for (more, expected) in [
            ("classes: 2", "shard/000002.png\": label 2 is not below"),
            ("class_names: ['0', '1']", "label 2 is not below"),
        ] {
            let error = TarImages::open(&manifest(&["ustar.tar"], more), &[part("ustar.tar")], Some("cls"), 9).err();
            assert!(error.is_some_and(|error| error.to_string().contains(expected)), "{more}");
        }
        let error =
            TarImages::open(&manifest(&["ustar.tar"], "classes: 3"), &[part("ustar.tar")], Some("txt"), 9).err();
        let message = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("ustar.tar: entry \"shard/000000.png\": no shard/000000.txt"), "{message}");
        let small = manifest(&["ustar.tar"], "image_size: [3, 4]");
        let message = inspect(&small, None, &part("ustar.tar").blob().expect("a fixture")).expect_err("another size");
        assert!(message.starts_with("shard/000000.png: expected 3 x 4"), "{message}");
    }
}
