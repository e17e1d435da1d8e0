//! Known weights from the addresses in their manifests.

use std::path::Path;

use oodlab_base::{Cancel, Progress};
use oodlab_fetch::{Checksum, Download, Fetcher, Size};

use super::import::{Imported, fit};
use super::library::{Presence, WeightLibrary};
use super::manifest::{WeightFile, WeightManifest};
use super::{LARGEST_FILE_BYTES, WeightError};

impl WeightLibrary {
    /// Fetches known weights, unless they are here: the first of their files that has an address, with its checksum compared
    /// before it gets its name, then checked tensor by tensor against their network. `mirror` is an address below which
    /// files of the same names lie; it is tried first.
    ///
    /// # Errors
    /// [`WeightError::Unknown`] for a name that nothing is known of, [`WeightError::NoAddress`] when no address is
    /// published, [`WeightError::Fetch`] with what went wrong at each address; [`WeightError::Names`] and
    /// [`WeightError::Fold`] when the file does not fit its network: it is removed then.
    pub fn fetch(
        &self,
        name: &str,
        mirror: Option<&str>,
        fetcher: &Fetcher,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Imported, WeightError> {
        let manifest = self.manifest(name).ok_or_else(|| self.unknown(name))?;
        if let Presence::Imported(path) = self.presence(manifest)
            && let Ok(there) = self.import(&path)
        {
            return Ok(there);
        }
        let (file, addresses) = self.source(manifest, mirror)?;
        let target = self.root.join(&file.file);
        let checksum = Checksum::Sha256(file.sha256.clone());
        let size = file.size_bytes.map_or(Size::AtMost(LARGEST_FILE_BYTES), Size::Exact);
        let download =
            Download { label: &file.file, addresses: &addresses, checksum: &checksum, size, target: &target };
        let fetched = fetcher.fetch(&download, progress, cancel)?;
        let notes = match fit(&target, &manifest.network) {
            Ok(notes) => notes,
            Err(error) => {
                // What does not fit must not be found as present; that it cannot be removed is not what matters here.
                let _ = fs_err::remove_file(&target);
                return Err(error);
            }
        };
        Ok(Imported {
            name: manifest.name.clone(),
            network: manifest.network.clone(),
            from: fetched.address.as_deref().map_or_else(|| target.clone(), |address| Path::new(address).to_owned()),
            to: target,
            sha256: fetched.sha256,
            copied: true,
            notes,
        })
    }

    /// The file to fetch and where from.
    fn source<'a>(
        &self,
        manifest: &'a WeightManifest,
        mirror: Option<&str>,
    ) -> Result<(&'a WeightFile, Vec<String>), WeightError> {
        let published = manifest.files.iter().find(|file| !file.addresses.is_empty());
        let Some(file) = published.or_else(|| mirror.and(manifest.files.first())) else {
            let file = &manifest.files[0];
            return Err(WeightError::NoAddress {
                name: manifest.name.clone(),
                file: file.file.clone(),
                sha256: file.sha256_shown(),
                origin: manifest.source.clone(),
            });
        };
        let mirrored = mirror.map(|mirror| format!("{}/{}", mirror.trim_end_matches('/'), file.file));
        Ok((file, mirrored.into_iter().chain(file.addresses.iter().cloned()).collect()))
    }
}
